"""The seams of a pass: its mosaics reduced as they are seen, the edges measured when its caller has returned."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..diagnosis.causes import causes_of, makings_of
from ..diagnosis.contract import part_of
from ..diagnosis.explained import explain
from ..diagnosis.seams import Layout, Picture, seams_with_tiles
from ..report.backdrop import Backdrop
from ..tiles.planes import channels_last

# Share of a merged mosaic that is the second pass's, from which it is as good as that.
_ALL_BUT_ALL = 0.95


class Stages:
    """The mosaics of a pass, in the order in which they are seen, and what their edges are measured by.

    Nothing of a mosaic is kept but means of blocks: whoever holds it may go on to write to it.

    Parameters
    ----------
    second_pass : SecondPass
    measurements : sequence of TileMeasurement
        One a tile.
    found : Examination
        What was found in these tiles.
    """

    def __init__(self, second_pass, measurements, found):
        self._shape = (*map(int, second_pass.shape), len(measurements[0].noise))
        self._layout = Layout(one.footprint for one in measurements)
        self._corrected = found.corrected_tiles.in_boxes_of(measurements)
        weights = [second_pass.tiles.weight_of(index) for index in range(len(second_pass.tiles))]
        altered = {finding.tile for finding in found.findings if finding.kind == "not_closed"}
        self._makings = makings_of(measurements, found.corrected_tiles, weights, second_pass.shape, altered)
        self._findings = found.findings
        # Where the first pass begins on the grid of the tiles, which is that of the second; None: it is turned.
        self.corner = found.shift.corner if found.shift is not None and found.shift.matters else (0, 0)
        self._causes = causes_of(found.findings, measurements, found.corrected_tiles)
        # (Picture, Backdrop, corner) of each; None of one that cannot be measured.
        self._seen = []
        # As `seams_with_tiles` gives it, where the last of them is in it.
        self._measured = None

    def see(self, name, mosaic, coverage, corner=(0, 0), part=None):
        """Take in a mosaic; of one that cannot be placed only that it came.

        Parameters
        ----------
        name : str
            As `SeamMap.mosaic`.
        mosaic : ndarray, shape (H, W) or (H, W, C)
        coverage : ndarray, shape (H, W), or None
            Left aside where it has another shape.
        corner : (int, int) or None
            Where it begins on the grid of the second pass, (x, y) in pixels; None where it lies on it in no such way.
        part : ndarray, shape (H, W), bool, optional
            The pixels of it that are the second pass's.
        """
        self._seen.append(None)
        if np.ndim(mosaic) not in (2, 3) or channels_last(mosaic).shape[2] != self._shape[2]:
            return
        if corner is None:
            return
        coverage = coverage if np.shape(coverage) == np.shape(mosaic)[:2] else None
        backdrop = Backdrop.of(mosaic)
        # One of another shape was cropped, at its far sides where it begins where the grid does.
        if corner != (0, 0) or channels_last(mosaic).shape != self._shape:
            mosaic, coverage = (one if one is None else self._place(one, corner) for one in (mosaic, coverage))
        picture = self._layout.with_lines(Picture.of(name, mosaic, coverage, part), mosaic, coverage)
        self._seen[-1] = picture, backdrop, corner

    def _place(self, image, corner):
        """Put an image that begins at a corner of the grid on all of that, NaN where it does not reach."""
        placed = np.full((*self._shape[:2], *np.shape(image)[2:]), np.nan, dtype=np.float32)
        here = tuple(slice(max(start, 0), None) for start in corner[::-1])
        seen = np.asarray(image)[tuple(slice(max(-start, 0), None) for start in corner[::-1])]
        rows, columns = map(min, placed[here].shape[:2], seen.shape[:2])
        placed[here][:rows, :columns] = seen[:rows, :columns]
        return placed

    @property
    def last_corner(self):
        """Where the last mosaic that came begins, as `see` takes it."""
        last = self._seen[-1]
        return last and last[2]

    def see_again(self, name):
        """Take in a mosaic that is the last one, to the bit."""
        last = self._seen[-1]
        self._seen.append(last and (replace(last[0], name=name), *last[1:]))

    def measure(self):
        """Measure what a report has to tell of seams, as `TwoPassReport.of` takes it.

        Returns
        -------
        dict
            `picture` is "unknown" where the last mosaic could not be measured.
        """
        seen = [one for one in self._seen if one is not None]
        if not seen:
            return {}
        pictures, backdrops, corners = zip(*seen, strict=True)
        found = seams_with_tiles(pictures, self._layout, self._corrected, self._makings, self._causes)
        if any(corners[-1]):
            # Where somebody finds them: in the pixels of the last mosaic.
            away = -np.array(corners[-1])
            found = replace(found, maps=tuple(one.move_by(*away.tolist()) for one in found.maps))
            backdrops = [own.move_by(*(away + at).tolist()) for own, at in zip(backdrops, corners, strict=True)]
        picture = "unknown"
        if self._seen[-1] is not None:
            picture, self._measured = found.maps[-1].picture, found
        return {"seams": found.maps, "profiles": found.profiles, "backdrops": backdrops, "picture": picture}

    def explain(self, found, parts):
        """What its findings make in the last mosaic, where that was measured.

        Parameters
        ----------
        found : Examination
        parts : dict
            As `measured` gives them.

        Returns
        -------
        found : Examination
        parts : dict
            The worst edge of the last mosaic is that of the tile that makes it, of those that are read as one.
        """
        if self._measured is None:
            return found, parts
        found, last = explain(found, self._measured, self._findings)
        return found, {**parts, "seams": (*parts["seams"][:-1], last)}


def stages_of(run, measurements, found):
    """The `Stages` of a pass that has ended; None where its tiles could not be compared.

    Parameters
    ----------
    run : Run
        Each step is guarded by it.
    measurements : sequence of TileMeasurement
    found : Examination
    """
    second_pass, stages = run.capture.second_pass, None
    if found.corrected_tiles is None or second_pass.mosaic is None:
        return None
    with run.guard():
        stages = Stages(second_pass, measurements, found)
    if stages is None:
        return None
    if second_pass.first_pass is not None:
        with run.guard():
            stages.see("first_pass", second_pass.first_pass, second_pass.first_coverage, stages.corner)
    with run.guard():
        stages.see("second_pass", second_pass.mosaic, second_pass.coverage)
    return stages


def see_merged(drafts, passes, result, merge):
    """Take in what the caller of a pass returned.

    Parameters
    ----------
    drafts : list of Draft
    passes : ((mosaic, coverage), (mosaic, coverage))
        The first and the second.
    result : tuple
        What the caller returned: the mosaic, and what else it gives.
    merge : Merge or None
    """
    stages = _stages(drafts)
    mosaic, coverage = result[0], result[1] if len(result) > 1 else None
    if stages and np.array_equal(mosaic, passes[1][0], equal_nan=True):
        for own in stages:
            own.see_again("merged")
        return
    mixed = merge is not None and 0 < merge.share < 1
    part = part_of(passes[0][0], passes[1][0], mosaic) if mixed else None
    for own in stages:
        own.see("merged", mosaic, coverage, _corner_of_merged(own.corner, merge), part)


def _corner_of_merged(corner, merge):
    """Say where a merged mosaic begins, by where the first pass does; None where tiles are in it twice."""
    if corner == (0, 0):
        return corner
    if merge is None:
        return None
    if merge.share == 0:
        return corner
    # What little there is of the first pass hides nothing of the other.
    return (0, 0) if merge.share >= _ALL_BUT_ALL else None


def see_final(drafts, result):
    """Take in what the steps after the merge returned; parameters as of `see_merged`."""
    for own in _stages(drafts):
        own.see("final", result[0], result[1] if len(result) > 1 else None, own.last_corner)


def _stages(drafts):
    return [draft.stages for draft in drafts if draft.stages is not None]
