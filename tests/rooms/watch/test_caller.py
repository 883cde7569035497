"""A miniature application: what its callers make of the second pass is seen, named and said where people read it."""

import functools
import logging
import re

import numpy as np
import pytest
from scipy.ndimage import affine_transform

from helpers.bystander import failing
from helpers.logs import ListHandler
from helpers.passes import Scene, digest
from zemosaic_instrument import TwoPassProbe
from zemosaic_twopass.watch import hooks
from zemosaic_twopass.watch.hooks import COADD, GAINS

CALLER = "_apply_two_pass_coverage_renorm_if_requested"


@pytest.fixture(scope="module")
def night():
    return Scene.make(1, shape=(240, 330), overlap=0.5)


class Application:
    """A worker whose caller may do what callers have been seen to do, and its log at INFO."""

    def __init__(self, worker, night):
        self.worker, self.night = worker, night
        self.inner = getattr(worker, CALLER)
        self.logger = logging.Logger("application", logging.INFO)
        self.handler = ListHandler()
        self.logger.addHandler(self.handler)

    def assemble(self):
        """First pass, then the second through the caller."""
        return self.night.merged(self.worker, self.logger)

    def watched(self, **settings):
        """The reports of one watched run, after two bare ones agreed with it to the byte."""
        bare = [self.outcome() for _ in range(2)]
        assert bare[0] == bare[1]
        with TwoPassProbe(self.worker, strict=True, **settings) as probe:
            assert self.outcome() == bare[0]
        return list(probe.reports)

    def outcome(self):
        """What the pipeline and its user see, our lines aside."""
        self.handler.messages.clear()
        try:
            found = digest(*self.assemble())
        except BaseException as error:
            found = repr(error)
        return found, [entry for entry in self.handler.messages if not ours(entry[1])]

    def lines(self, start):
        return [(level, text) for level, text in self.handler.messages if text.startswith(start)]


def ours(line):
    return line.startswith(
        ("[TwoPassProbe]", "[TwoPassMerge]", "[TwoPassSeam]", "[TwoPassFinding]", "[TwoPassReport]", "[TwoPassVerdict]")
    )


@pytest.fixture
def application(worker, night, monkeypatch, no_pictures):
    made = Application(worker, night)

    def change(name, function):
        """Put a function in place of the worker's that is given the worker's own first."""
        original = getattr(worker, name)
        changed = functools.wraps(original)(functools.partial(function, original))
        monkeypatch.setattr(worker, name, changed)

    made.change = change
    return made


def kinds(report):
    return [finding.kind for finding in report.findings if finding.kind != "undetermined"]


def test_a_sound_run_speaks_at_info(application, tmp_path):
    (report,) = application.watched(directory=tmp_path)
    assert not {"second_pass_unused", "pass_misregistration"} & set(kinds(report))
    assert report.merge.share > 0.99
    levels, lines = zip(*[entry for entry in application.handler.messages if ours(entry[1])], strict=True)
    # The application's log, which was opened after the worker was attached to.
    assert set(levels) == {"INFO"}
    assert [line.split("]")[0] for line in lines if "Finding" not in line] == [
        "[TwoPassProbe",
        "[TwoPassMerge",
        *["[TwoPassSeam"] * 3,
        "[TwoPassReport",
        "[TwoPassVerdict",
    ]
    assert lines[0].startswith("[TwoPassProbe] attached to ")
    assert f"second_pass={report.merge.share:.6g} pixels={report.merge.pixels} " in lines[1]
    assert [line.split()[1] for line in lines[2:5]] == ["mosaic=first_pass", "mosaic=second_pass", "mosaic=merged"]
    assert "picture=no_seam" in lines[-1]
    assert (tmp_path / "twopass_report.json").is_file()
    # Statistics too, whatever the level.
    assert len(report.tiles) == 4 and np.isfinite(report.tiles[0].post.mean).all()


def test_one_that_crops_its_first_pass(application, tmp_path):
    """In place, as the newest one does: the second pass is asked for with the shape of before."""
    first = application.night.first

    def cropped(night=application.night):
        mosaic, coverage, wcs, shape = first
        night.first = mosaic[:-60], coverage[:-60], wcs, shape
        try:
            return night.merged(application.worker, application.logger)
        finally:
            night.first = first

    application.change("compute_per_tile_gains_from_coverage", lambda own, tiles, *args, **kwargs: [1.01] * len(tiles))
    application.assemble = cropped
    (report,) = application.watched(directory=tmp_path)
    assert kinds(report)[0] == "second_pass_unused"
    assert "pass_misregistration" not in kinds(report)
    height, width = first[3]
    message = report.findings[0].message
    assert f"({height}, {width}) != ({height - 60}, {width})" in message
    assert "first pass stands" in message and "trust" not in message
    assert report.verdict == "pipeline_bug"
    ((level, verdict),) = application.lines("[TwoPassVerdict]")
    assert level == "WARNING" and "The second pass had no effect" in verdict
    # What the user sees is the first pass, which begins where the second does.
    assert [seams.mosaic for seams in report.seams] == ["first_pass", "second_pass", "merged"]
    assert report.picture == "no_seam"
    seen = [edge for edge in report.seams[-1].edges if edge.look != "unknown"]
    assert len(seen) > 10 and max(edge.y for edge in seen) < height - 60
    steps = [np.subtract(edge.step, edge.expected) for edge in seen if edge.expected]
    assert len(steps) > 10 and np.abs(steps).max() < 0.5
    # Everything else of the report as ever.
    assert report.delta.reference == "tiles"
    assert any(f.test == "map" and "has shape" in f.message for f in report.findings)
    assert (tmp_path / "twopass_delta_map.npy").is_file()
    assert not application.lines("[TwoPassProbe] diagnostics failed")


def shifted(own, mosaic, coverage, *, collected_tiles, **kwargs):
    moved = []
    for pixels, wcs, *rest in collected_tiles:
        wcs = wcs.deepcopy()
        wcs.wcs.crpix -= 12, 9
        moved.append((pixels, wcs, *rest))
    return own(mosaic, coverage, collected_tiles=moved, **kwargs)


def test_one_that_shifts_the_wcs_of_the_second(application, tmp_path):
    """As a crop that is applied twice does."""
    application.change(CALLER, shifted)
    (report,) = application.watched(directory=tmp_path)
    first = report.findings[0]
    assert kinds(report)[0] == first.kind == "pass_misregistration"
    assert "second_pass_unused" not in kinds(report)
    assert first.value == pytest.approx(15, abs=0.05)
    x, y = map(float, re.search(r"\(x ([^,]+), y ([^)]+)\)", first.message).groups())
    assert (x, y) == pytest.approx((12, 9), abs=0.05)
    assert "double" in first.message
    assert "not in the code" not in " ".join([report.summary, *(f.message for f in report.findings)])
    # All but all of what it merged is the second pass.
    assert report.merge.share > 0.95
    mosaics = ["first_pass", "second_pass", "merged"]
    assert ([seams.mosaic for seams in report.seams], report.picture) == (mosaics, "no_seam")


def test_one_that_turns(application, tmp_path):
    def turned(own, *args, **kwargs):
        mosaic, coverage = own(*args, **kwargs)
        angle, middle = np.deg2rad(0.5), (np.array(coverage.shape) - 1) / 2
        back = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        planes = [
            affine_transform(np.nan_to_num(plane), back, middle - back @ middle, order=1)
            for plane in np.moveaxis(mosaic, 2, 0)
        ]
        result = np.where(coverage[..., None] > 0, np.stack(planes, axis=2), np.nan).astype(np.float32)
        return result, coverage

    application.change("run_second_pass_coverage_renorm", turned)
    (report,) = application.watched(directory=tmp_path)
    found = next(f for f in report.findings if f.kind == "pass_misregistration")
    assert "turned by +0.5" in found.message


@pytest.mark.parametrize("way", ["raises", "gives none", "gains fail", "coadd fails", "is kept out"])
def test_one_whose_second_pass_comes_to_nothing(application, tmp_path, way):
    def fail(own, *args, **kwargs):
        raise OSError("no space\nleft")

    if way == "raises":
        application.change("_coadd_channels", fail)
        application.change("run_second_pass_coverage_renorm", lambda own, *args, **kwargs: fail(own))
    elif way == "gives none":
        application.change("_coadd_channels", fail)
    elif way.endswith(("fail", "fails")):
        # The body catches it and gives None; on the way it went through a hook.
        application.change(GAINS if way == "gains fail" else COADD, fail)
    else:
        application.change("merge_passes", lambda own, first, second: (first, 0.0))
    (report,) = application.watched(directory=tmp_path)
    words = {
        "raises": "it ended with OSError: no space left.",
        "gives none": "it gave no mosaic.",
        "gains fail": "it gave no mosaic after OSError: no space left.",
        "coadd fails": "it gave no mosaic after OSError: no space left.",
        "is kept out": "kept the first pass",
    }
    assert kinds(report)[0] == "second_pass_unused"
    assert words[way] in report.findings[0].message
    # The tiles are compared all the same.
    assert all(tile.fit is not None for tile in report.tiles)
    assert report.verdict == "pipeline_bug"


def test_a_reason_that_cannot_be_noted(application, tmp_path):
    def fail(own, *args, **kwargs):
        raise OSError("no space left")

    application.change(GAINS, fail)
    bare = application.outcome()
    with (
        TwoPassProbe(application.worker, directory=tmp_path) as probe,
        failing(hooks._note_trouble, error=ValueError) as count,
    ):
        assert application.outcome() == bare
    assert count() == 1
    assert "it gave no mosaic." in probe.reports[0].findings[0].message
    assert len(application.lines("[TwoPassProbe] diagnostics failed")) == 1


def test_one_that_is_cancelled(application, tmp_path):
    """While the pass runs, or after it: no verdict."""

    def cancelled(own, *args, **kwargs):
        own(*args, **kwargs)
        raise KeyboardInterrupt

    application.change("merge_passes", cancelled)
    assert application.watched(directory=tmp_path) == []
    assert not application.lines("[TwoPassVerdict]")
    application.change("_coadd_channels", cancelled)
    assert application.watched(directory=tmp_path) == []


def test_one_that_raises_itself(application, tmp_path):
    """What became of the pass is not known, the pass itself is."""

    def fails(own, *args, **kwargs):
        own(*args, **kwargs)
        raise MemoryError("merge")

    application.change("merge_passes", fails)
    application.change(CALLER, lambda own, *args, **kwargs: fails(own, *args, **kwargs))
    (report,) = application.watched(directory=tmp_path)
    assert report.merge is None
    assert "second_pass_unused" not in kinds(report)


def test_three_runs_in_one_process(application, tmp_path):
    with TwoPassProbe(application.worker, directory=tmp_path, strict=True) as probe:
        for _ in range(3):
            application.assemble()
    assert [report.merge.share > 0.99 for report in probe.reports] == [True] * 3
    assert len(application.lines("[TwoPassVerdict]")) == 3
    # Each run may have a log of its own.
    assert len(application.lines("[TwoPassProbe] attached")) == 3


@pytest.mark.parametrize(
    "part", ["measure_pass", "delta_maps", "examination_of", "gather", "stages_of", "tile_records", "settings_of"]
)
def test_a_part_that_fails_takes_no_other_with_it(application, tmp_path, monkeypatch, part):
    def fail(*args):
        raise ValueError("shape (3, 4) != (5, 4)")

    monkeypatch.setattr(f"zemosaic_twopass.watch.publish.{part}", fail)
    with TwoPassProbe(application.worker, directory=tmp_path) as probe:
        application.assemble()
    (report,) = probe.reports
    warnings = [text for level, text in application.handler.messages if level == "WARNING"]
    assert warnings == ["[TwoPassProbe] diagnostics failed: ValueError: shape (3, 4) != (5, 4)"]
    assert (report.delta is None) == (part in ("delta_maps", "measure_pass"))
    assert (len(report.tiles) == 0) == (part == "tile_records")
    assert (len(report.evidence) == 0) == (part in ("gather", "examination_of", "measure_pass"))
    assert (report.settings == {}) == (part == "settings_of")
    assert (report.verdict == "undetermined") == (part in ("examination_of", "measure_pass"))
    assert report.merge is not None
    assert (len(report.seams) == 0) == (part in ("stages_of", "examination_of", "measure_pass"))
    assert len(application.lines("[TwoPassVerdict]")) == 1


def test_without_the_map_and_below_debug_nothing_is_made(application, tmp_path):
    (report,) = application.watched(directory=tmp_path, delta_map=False)
    assert (report.tiles, report.findings, report.delta) == ((), (), None)
    assert [text.split("]")[0] for _, text in application.handler.messages if ours(text)] == ["[TwoPassProbe"]
    assert list(tmp_path.iterdir()) == []
