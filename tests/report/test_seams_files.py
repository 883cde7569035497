"""Line, table and picture of seams."""

import numpy as np
import pytest
from astropy.table import Table

from zemosaic_twopass.diagnosis.seams import Edge, Profile, SeamMap
from zemosaic_twopass.report.seam_picture import Backdrop, stretched, write_seam_picture
from zemosaic_twopass.report.seams import seam_line, seam_sentence, seam_table, write_seam_table


def edge(tile, step, contrast, x=50.0):
    return Edge(tile, (1, 3), x, 20.0, (0.0, 1.0), 60.0, (step, np.nan), (0.1, np.nan), (2.0, 2.2), contrast)


@pytest.fixture
def maps():
    first = SeamMap.of("first_pass", [edge(0, 0.1, 0.05), edge(2, 0.2, 0.1)], 2)
    return first, SeamMap.of("merged", [edge(0, 4.0, 2.0), edge(None, -1.2, 0.6, 90.0)], 2)


def test_the_line_of_a_mosaic(maps):
    assert seam_line(maps[1]) == (
        "[TwoPassSeam] mosaic=merged edges=2 rms=2.95127 worst=4 unit=adu contrast=2 visible=0.5 worst_idx=0 x=50 y=20"
    )
    assert "worst_idx=-" in seam_line(SeamMap.of("mosa\u00efque.fits", [], 1))
    assert seam_line(SeamMap.of("mosa\u00efque.fits", [], 1)).isascii()
    assert seam_sentence(maps[1]).startswith("A seam is visible in the picture. The largest step, +4 ± 0.1 adu")
    assert "no known tile" in seam_sentence(SeamMap.of("a", [edge(None, 4.0, 2.0)], 2))


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


def test_the_picture_is_written(maps, tmp_path):
    pytest.importorskip("matplotlib")
    image = np.random.default_rng(0).normal(100, 3, (40, 120, 2))
    image[:4] = np.nan
    across = np.array([-12.0, -4.0, 4.0, 12.0]), np.array([4.0, 4.0, 0.0, np.nan]), np.array([0.1, 0.1, 0.1, np.nan])
    profiles = [Profile("first_pass", 0, 0, 0, *across), Profile("merged", 0, 0, 0, *across)]
    for name, own in (("with.png", profiles), ("without.png", [])):
        write_seam_picture(maps, own, [Backdrop.of(image)] * 2, tmp_path / name)
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
    write_seam_picture([SeamMap.of("a", [], 1)], [], [Backdrop.of(image * np.nan)], tmp_path / "nothing.png")


def test_an_image_is_stretched_as_people_do():
    image = np.random.default_rng(1).normal(1000, 5, (100, 100)).astype(np.float32)
    image[0, :3] = np.nan, 1e5, 0.0
    shown = stretched(image)
    assert shown.min() == 0
    assert shown.max() == 1
    np.testing.assert_allclose(np.median(shown), 0.25, atol=0.01)
    assert shown[0, 0] == 1
