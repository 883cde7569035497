"""A probe on a replayed night, beside the same call without one."""

import contextlib
import gc
import logging

import pytest

from helpers.bystander import differences, failing, surroundings
from helpers.logs import ListHandler
from helpers.passes import digest
from helpers.replay import Night
from zemosaic_instrument import TwoPassProbe
from zemosaic_twopass.report import artefacts
from zemosaic_twopass.report.evidence_picture import EVIDENCE_PICTURE
from zemosaic_twopass.report.pictures import MAP_PICTURE, TILES_PICTURE
from zemosaic_twopass.report.seam_picture import SEAMS_PICTURE

FAILED = "[TwoPassProbe] diagnostics failed: "
PICTURES = {name: artefacts.ARTEFACTS[name] for name in (MAP_PICTURE, TILES_PICTURE, EVIDENCE_PICTURE, SEAMS_PICTURE)}


class Watch:
    """One night, its bare result, and calls that must not differ from it."""

    def __init__(self, patch):
        self.patch = patch
        self.night = Night.make(fault="mask")
        self.logger = logging.getLogger("ZeMosaicWorker")
        self.handler = ListHandler()
        self.given = self.night.given()
        bare = [(digest(*self.night.call(self.logger)), surroundings()["random"]) for _ in range(2)]
        assert bare[0] == bare[1], "two bare runs differ: the comparison would prove nothing"
        self.bare = bare[0]
        self.probe = TwoPassProbe(self.night.worker, downsample=4)

    def draw(self, *pictures):
        """Draw these pictures and no other: they take long."""
        for name in PICTURES:
            drawn = PICTURES[name] if name in pictures else (lambda report: False, None)
            self.patch.setitem(artefacts.ARTEFACTS, name, drawn)

    def call(self, **kwargs):
        """One call in which nothing of the pipeline may differ; gives its warnings, but for that of a verdict."""
        self.handler.messages.clear()
        # What earlier tests left to be collected may hold files open: closed in here, they would be a change.
        gc.disable()
        try:
            before = surroundings()
            result = self.night.call(**{"logger": self.logger, **kwargs})
            after = surroundings()
        finally:
            gc.enable()
        assert (digest(*result), after.pop("random")) == self.bare
        before.pop("random")
        changed = differences(before, after)
        assert not changed, changed
        assert self.night.given() == self.given
        warned = [text for level, text in self.handler.messages if level not in ("DEBUG", "INFO")]
        return [text for text in warned if not text.startswith("[TwoPassVerdict] pipeline_bug ")]

    def survive(self, *functions, error, delta_map=True):
        """A call in which functions of ours fail says so once."""
        self.probe.delta_map = delta_map
        with failing(*functions, error=error) as count:
            warned = self.call()
            assert count() > 0, "was not called"
        # A picture that cannot be drawn is left out, with a warning of its own.
        assert [text.startswith((FAILED, "[TwoPassReport] left out: ")) for text in warned] == [True], warned

    def observe(self, delta_map=True):
        """A call that is seen in full."""
        self.probe.delta_map = delta_map
        self.probe.reports.clear()
        assert self.call() == []
        (report,) = self.probe.reports
        gains = [(tile.gain, tile.post_source) for tile in report.tiles]
        assert gains == [(1.0, "observed"), (1.125, "observed"), (1.25, "observed")]
        assert (report.delta is not None) == delta_map
        assert report.verdict == ("pipeline_bug" if delta_map else "undetermined")


@contextlib.contextmanager
def watching(directory):
    """A `Watch` with its probe open, the worker's logger at DEBUG; `directory` as the environment says it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZEMOSAIC_TWO_PASS_DEBUG_DIR", str(directory))
        watch = Watch(patch)
        watch.draw()
        level = watch.logger.level
        watch.logger.setLevel(logging.DEBUG)
        watch.logger.addHandler(watch.handler)
        try:
            with watch.probe:
                yield watch
        finally:
            watch.logger.removeHandler(watch.handler)
            watch.logger.setLevel(level)
