"""Line, table and picture of seams, and where a report has them."""

import base64
import io
from dataclasses import replace

import numpy as np
import pytest
from astropy.table import Table

from helpers.reports import OFFSET, make_report, make_seams, names
from zemosaic_twopass.diagnosis.seams import SeamMap, compare_seams
from zemosaic_twopass.report import seam_picture, seam_profiles
from zemosaic_twopass.report.artefacts import PAGE_NAME
from zemosaic_twopass.report.backdrop import Backdrop, stretch
from zemosaic_twopass.report.seam_changes import change_lines
from zemosaic_twopass.report.seam_picture import SEAMS_PICTURE, write_seam_picture
from zemosaic_twopass.report.seams import SEAMS_TABLE, seam_line, seam_sentence, seam_table, write_seam_table
from zemosaic_twopass.report.show import read_report, report_lines


@pytest.fixture
def maps():
    return make_seams()["seams"]


def test_the_line_of_a_mosaic(maps):
    assert seam_line(maps[1]) == (
        "[TwoPassSeam] mosaic=merged edges=2 rms=2.95127 worst=4 unit=adu contrast=2 visible=0.5 worst_idx=0 x=50 y=20"
    )
    assert "worst_idx=-" in seam_line(SeamMap.of("mosa\u00efque.fits", [], 1))
    assert seam_line(SeamMap.of("mosa\u00efque.fits", [], 1)).isascii()
    assert seam_sentence(maps[1]).startswith("A seam is visible in the picture. The largest step, +4 ± 0.1 adu")
    assert "no known tile" in seam_sentence(SeamMap.of("a", maps[1].edges[1:], 2))


def test_the_name_of_a_mosaic_is_one_token_of_its_lines():
    seams = SeamMap.of('m 31"\n[TwoPassVerdict] clean', [], 1)
    lines = seam_line(seams), *change_lines(compare_seams(seams, seams))
    token = r'mosaic="m 31\"\n[TwoPassVerdict] clean" '
    assert [token in line for line in lines] == [True, True, True, False]
    assert "\n" not in "".join(lines)


def test_the_table_has_a_row_an_edge_and_stage(maps, tmp_path):
    write_seam_table(maps, tmp_path / "seams.ecsv")
    table = Table.read(tmp_path / "seams.ecsv", format="ascii.ecsv")
    assert list(table["mosaic"]) == ["first_pass"] * 2 + ["merged"] * 2
    assert list(table["tile"]) == [0, 2, 0, -1]
    assert list(table["look"]) == ["none", "none", "visible", "faint"]
    assert table["step_0"].unit == "adu"
    assert np.isnan(table["expected_0"]).all()
    assert table.meta["picture"] == {"first_pass": "no_seam", "merged": "visible"}
    assert len(seam_table([SeamMap.of("a", [], 1)])) == 0


def test_the_table_is_read_as_if_astropy_had_written_it(maps, tmp_path):
    strange, broken = (replace(maps[0], mosaic=name) for name in ('#a "b" c,d.fits', "a\nb.fits"))
    long = replace(
        maps[0], edges=tuple(replace(edge, x=1234.56789, step=(-1 / 3e5, 2e7 / 3)) for edge in maps[0].edges)
    )
    for shown in (maps, (strange, maps[1]), (broken,), (long,), (SeamMap.of("a", [], 1),), ()):
        whole, names = io.StringIO(), " ".join(seam_table(shown).colnames) + "\n"
        seam_table(shown).write(whole, format="ascii.ecsv")
        write_seam_table(shown, tmp_path / "seams.ecsv")
        texts = whole.getvalue(), (tmp_path / "seams.ecsv").read_text(encoding="utf-8")
        assert texts[0].partition(names)[:2] == texts[1].partition(names)[:2]
        wanted, table = (Table.read(text, format="ascii.ecsv") for text in texts)
        assert table.meta == wanted.meta and table.colnames == wanted.colnames
        for own, right in zip(table.itercols(), wanted.itercols(), strict=True):
            if right.dtype.kind == "f":
                np.testing.assert_allclose(own, right, rtol=5e-7)
            else:
                assert list(own) == list(right)


def test_the_picture_is_written(maps, tmp_path):
    pytest.importorskip("matplotlib")
    own = make_seams()
    for name, profiles in (("with.png", own["profiles"]), ("without.png", [])):
        write_seam_picture(maps, profiles, own["backdrops"], tmp_path / name)
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
    nothing = Backdrop.of(np.full((40, 120), np.nan))
    write_seam_picture([SeamMap.of("a", [], 1)], [], [nothing], tmp_path / "nothing.png")


def test_a_mosaic_that_is_the_last_to_the_bit_is_drawn_once(maps):
    pytest.importorskip("matplotlib")
    own = make_seams()
    first, last = own["backdrops"]
    both = seam_picture.draw_seams(maps, own["profiles"], (first, last))
    once = seam_picture.draw_seams(maps, own["profiles"], (last, last))
    counts = [sum(artist.get_label() == "mosaic" for artist in figure.artists) for figure in (both, once)]
    assert counts == [2, 1]
    titles = [text.get_text() for text in once.texts]
    assert "first pass and merged: visible" in titles
    assert not any(title.startswith("first pass:") for title in titles)


def test_profiles_stand_side_by_side_each_as_wide_as_its_place(maps):
    """A line of a few pixels would be a needle in the width of a step."""
    pytest.importorskip("matplotlib")
    own, (step,) = make_seams(), [edge for edge in maps[-1].edges if edge.look == "visible"]
    line = replace(step, line=(-9.0,), line_error=(0.1,), line_contrast=9.0, line_px=4.0)
    drawn = replace(maps[-1], edges=(step, line))
    assert line.thin and not step.lined
    profiles = [replace(own["profiles"][-1], last=last, edge=last) for last in (0, 1)]
    figure = seam_picture.draw_seams((drawn,), profiles, own["backdrops"][-1:])
    (curve,) = [artist for artist in figure.artists if getattr(artist, "get_marker", str)() == "."]
    places = curve.get_xdata()
    np.testing.assert_allclose(places[:4], profiles[0].distance / 68)
    np.testing.assert_allclose(places[5:7], 2 + np.array([-4.0, 4.0]) / 8)
    assert np.isnan(places[[4, 7]]).all()
    ticks = {text.get_text(): text for text in figure.texts if text.get_ha() == "center"}
    assert {"−50", "50", "−5", "5"} <= ticks.keys()
    # A tick is below what lies so far from the edge: the line's, 5 px, at 5/8 of half a place.
    at = curve.get_transform().transform([(2 + 5 / 8, 0.0)])[0, 0]
    np.testing.assert_allclose(figure.dpi_scale_trans.transform((ticks["5"].get_position()[0], 0))[0], at)


def test_ticks_are_named_once_where_they_hold_for_the_next_profile_too(maps):
    pytest.importorskip("matplotlib")
    own, (step,) = make_seams(), [edge for edge in maps[-1].edges if edge.look == "visible"]
    line = replace(step, line=(-9.0,), line_error=(0.1,), line_contrast=9.0, line_px=4.0)
    drawn = replace(maps[-1], edges=(step, step, line, step))
    profiles = [replace(own["profiles"][-1], last=last, edge=last) for last in range(4)]
    figure = seam_picture.draw_seams((drawn,), profiles, own["backdrops"][-1:])
    named = [text.get_text() for text in figure.texts if text.get_ha() == "center"]
    assert [named.count(text) for text in ("−50", "50", "−5", "5")] == [2, 2, 1, 1]


def test_a_line_is_drawn_on_both_sides_of_it_and_not_over_it(maps):
    pytest.importorskip("matplotlib")
    (step,) = [edge for edge in maps[-1].edges if edge.look == "visible"]
    line = replace(step, line=(-9.0,), line_error=(0.1,), line_contrast=9.0, line_px=24.0)
    figure = seam_picture.draw_seams((replace(maps[-1], edges=(line,)),), [], make_seams()["backdrops"][-1:])
    seen = [own for own in figure.artists if own.get_clip_box() and hasattr(own, "get_paths")]
    drawn = [path.vertices for own in seen for path in own.get_paths()]
    across = np.array([(ends - (line.x, line.y)) @ line.normal for ends in drawn])
    assert (np.abs(across) > 12).all()
    assert {1.0, -1.0} == set(np.sign(across).ravel())


def test_long_names_of_mosaics_do_not_leave_the_picture(maps):
    pytest.importorskip("matplotlib")
    own = make_seams()
    long = [replace(one, mosaic=f"{number}_of_a_mosaic_with_a_long_name.fits") for number, one in enumerate(maps)]
    profiles = [replace(one, mosaic=long[0 if one.mosaic == "first_pass" else 1].mosaic) for one in own["profiles"]]
    figure = seam_picture.draw_seams(long, profiles, own["backdrops"])
    figure.draw_without_rendering()
    stages = [text for text in figure.texts if ":" not in text.get_text()]
    names = [text for text in stages if text.get_text()[1:].startswith("_of_a")]
    assert len(names) == 2
    assert max(text.get_window_extent().x1 for text in names) <= figure.bbox.x1
    assert names[0].get_window_extent().x1 < names[1].get_window_extent().x0


@pytest.fixture
def report():
    return replace(make_report(findings=(OFFSET,)), picture="visible")


def test_a_report_has_their_files_and_its_page_begins_with_them(report, tmp_path):
    report.write(tmp_path)
    assert {SEAMS_TABLE, SEAMS_PICTURE} <= names(tmp_path)
    assert (tmp_path / SEAMS_PICTURE).read_bytes().startswith(b"\x89PNG")
    page = (tmp_path / PAGE_NAME).read_text()
    shown = base64.b64encode((tmp_path / SEAMS_PICTURE).read_bytes()).decode()
    assert page.index("A seam is visible in the picture.") < page.index(shown) < page.index("<h2>Findings</h2>")
    assert page.count("A seam is visible") == 1


def test_what_the_verdict_says_of_the_picture_is_not_said_again(report, maps, tmp_path):
    told = replace(report, summary="A visible seam, 2 times the noise, along tile 3 (x=50, y=20): its level.")
    told.write(tmp_path)
    page = (tmp_path / PAGE_NAME).read_text()
    assert page.count("2 times the noise") == 1
    assert "A seam is visible in the picture" not in page
    heading = seam_picture._heading(maps, {0: 1, 1: 2})
    assert "dashed" not in heading
    edge = replace(maps[1].edges[0], line=(-9.0, 0.0), line_error=(0.5, 0.5), line_contrast=4.0)
    own = SeamMap.of("merged", [edge], 2)
    assert seam_picture._heading([own], {}).endswith("1 edges of footprints. A line lies between\ndashed ones.")
    assert seam_line(own).endswith("worst=-9 unit=adu contrast=4 visible=1 worst_idx=0 x=50 y=20 line")
    assert "The strongest line, thin and dark, -9 ± 0.5 adu" in seam_sentence(own)
    assert heading == "A seam is visible in the picture. 2 edges of footprints; 1 to 2, the worst of\nthem, below."


def test_of_edges_that_are_read_as_one_the_tile_that_makes_them_is_named(maps):
    named = replace(maps[1], along=3)
    assert "worst_idx=3 x=50" in seam_line(named)
    assert "along tile 3, x=50, y=20" in seam_sentence(named)
    assert seam_profiles._whose(named, 0) == "tile 3"
    assert seam_profiles._whose(named, 1) == "no tile"


def test_a_picture_of_them_that_cannot_be_drawn_takes_no_other_file_with_it(report, tmp_path, monkeypatch):
    def fail(*args):
        raise ValueError("shape")

    monkeypatch.setattr(seam_picture, "draw_seams", fail)
    report.write(tmp_path / "without")
    monkeypatch.undo()
    report.write(tmp_path / "with")
    assert names(tmp_path / "with") - names(tmp_path / "without") == {SEAMS_PICTURE}
    page = (tmp_path / "without" / PAGE_NAME).read_text()
    assert "A seam is visible in the picture." in page


def test_without_seams_there_are_no_files_and_what_was_not_measured_last_is_not_told(report, tmp_path):
    unseen = replace(report, picture="unknown")
    unseen.write(tmp_path)
    assert "A seam is visible" not in (tmp_path / PAGE_NAME).read_text()
    replace(report, seams=(), picture="unknown").write(tmp_path)
    assert not {SEAMS_TABLE, SEAMS_PICTURE} & names(tmp_path)


def test_the_report_is_read_back_with_what_it_says_of_the_picture(report, tmp_path):
    report.write(tmp_path)
    found = read_report(tmp_path)
    assert found["seams"][1]["edges"][0]["step"] == [4.0, None]
    assert [entry["mosaic"] for entry in found["seams"]] == ["first_pass", "merged"]
    assert "A seam is visible in the picture." in list(report_lines(found))
    for strange in (None, [], "no such", {"a": 1}):
        assert not any("picture" in line for line in report_lines({**found, "picture": strange}))


def test_an_image_is_stretched_as_people_do():
    image = np.random.default_rng(1).normal(1000, 5, (100, 100)).astype(np.float32)
    image[0, :3] = np.nan, 1e5, 0.0
    shown = stretch(image)
    assert shown.min() == 0
    assert shown.max() == 1
    np.testing.assert_allclose(np.median(shown), 0.25, atol=0.01)
    assert shown[0, 0] == 1


def test_a_backdrop_moved_out_of_itself_is_white():
    own = Backdrop.of(np.random.default_rng(1).normal(100, 3, (30, 20)))
    for away in ((20, 0), (21, 0), (-21, 0), (0, 31), (0, -31), (1000, -1000)):
        assert (own.move_by(*away).grey == 255).all()
    assert (own.move_by(2, -3).grey[:27, 2:] == own.grey[3:, :18]).all()
