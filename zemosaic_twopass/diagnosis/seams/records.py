"""What is found at the edges of footprints: one record an edge, one a mosaic, and what lies across an edge."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from ...measure.median import median_of_known
from .lines import THIN_PX

# What a picture looks like.
PICTURES = ("no_seam", "faint", "visible", "unknown")
# In units of noise and structure: what somebody finds who looks for it, and what everybody sees.
FAINT = 0.5
VISIBLE = 1.0
# So many errors must be in a step for it to be one.
SURE = 5.0
# Noise on one side over that on the other from which an edge is seen without a step.
_UNEVEN = 1.25


class _Judged(NamedTuple):
    """How sure the step and the line of an edge are, what each counts for, and how it looks; None: no line is seen."""

    sigma: float
    line_sigma: float
    step_weight: float
    line_weight: float
    step_look: str
    line_look: str | None


@dataclass(frozen=True)
class Edge:
    """A stretch of an edge of a footprint, with the same tiles on either side all along.

    Attributes
    ----------
    tile : int or None
        Whose footprint ends there. None where no tile's does: an edge of the second pass's part in the merge, or one
        that only a coverage map tells of.
    neighbours : tuple of int
        The other tiles there.
    x, y : float
        Its middle, in pixels of the mosaic from 0.
    normal : (float, float)
        Unit vector (x, y) across it, out of the tile; towards the lower coverage where there is none.
    length : float
        In pixels.
    step, error : tuple of float
        Inside − outside in adu, one a channel, and its standard error; NaN where it cannot be told.
    noise : (float, float)
        Standard deviation of a pixel inside and outside in adu, mean of the channels.
    contrast : float
        The largest |step| over noise or local structure of the sky, whichever is more, of all channels; NaN where there
        is no step.
    expected : tuple of float or None
        What tiles, gains and matching predict, in adu; None where that is not known.
    line, line_error : tuple of float
        How far a line along the edge, thin or broad, lies beyond both sides in adu, one a channel, negative where it is
        darker, 0 where there is none; and its standard error. NaN where it cannot be told, empty where nobody looked.
    line_contrast : float
        As `contrast`, of the line.
    along_sigma : float
        Errors in the steps of all edges in one line with it, together, where its own goes the same way; 0 where it does
        not, or where each is sure enough by itself.
    line_px : float
        Over how many pixels across the edge the line was read, at most; a few where it is thin. NaN: nobody looked.
    """

    tile: int | None
    neighbours: tuple[int, ...]
    x: float
    y: float
    normal: tuple[float, float]
    length: float
    step: tuple[float, ...]
    error: tuple[float, ...]
    noise: tuple[float, float]
    contrast: float
    expected: tuple[float, ...] | None = None
    line: tuple[float, ...] = ()
    line_error: tuple[float, ...] = ()
    line_contrast: float = math.nan
    along_sigma: float = 0.0
    line_px: float = math.nan

    @cached_property
    def _judged(self):
        """What the properties below say, worked out at once: to keep each by itself takes three times as long."""
        sigma, line_sigma = max(_most(self.step, self.error), self.along_sigma), _most(self.line, self.line_error)
        line_look = _look(self.line_contrast, line_sigma)
        line_weight = self.line_contrast if line_look else -1.0
        weights = _weight(self.contrast, sigma), line_weight
        return _Judged(sigma, line_sigma, *weights, self._look_of_step(sigma), line_look)

    def _look_of_step(self, sigma):
        if math.isnan(self.contrast):
            return "unknown"
        inside, outside = self.noise
        nothing = "noise" if max(inside, outside) > _UNEVEN * min(inside, outside) else "none"
        return _look(self.contrast, sigma) or nothing

    @property
    def sigma(self):
        """Errors in the step of the channel that has most, or of its line; NaN where there is none."""
        return self._judged.sigma

    @property
    def line_sigma(self):
        """The same of the line."""
        return self._judged.line_sigma

    @property
    def side(self):
        """Which side of its tile it is, the rows of the mosaic upwards: "left", "right", "upper" or "lower"."""
        right, up = self.normal
        if abs(right) > abs(up):
            return "right" if right > 0 else "left"
        return "upper" if up > 0 else "lower"

    @property
    def weight(self):
        """The contrast of the step, less where that is not sure, or of a line that is seen; -1: nothing is known."""
        return max(self._judged.step_weight, self._judged.line_weight)

    @property
    def seen(self):
        """Whether anybody sees it."""
        return self.look in ("faint", "visible")

    @property
    def lined(self):
        """Whether what is seen, or the most of it, is a line and no step."""
        return self._judged.line_weight > self._judged.step_weight

    @property
    def thin(self):
        """Whether it is a line of a pixel to a few."""
        return self.lined and not self.line_px > THIN_PX

    @property
    def step_look(self):
        """How its step looks: "visible", "faint", "noise" (nothing but the noise changes), "none", or "unknown"."""
        return self._judged.step_look

    @property
    def look(self):
        """How it looks, its step or the line along it, whichever is seen more; in the words of `step_look`."""
        step, line = self._judged.step_look, self._judged.line_look
        return "visible" if "visible" in (step, line) else "faint" if "faint" in (step, line) else step

    @property
    def tone(self):
        """Whether the line is "dark" or "bright", where it is most."""
        return "bright" if max(np.nan_to_num(self.line), key=abs) > 0 else "dark"


def _rank(edge):
    return edge.seen, edge.weight


def _most(values, errors):
    """Errors in the value that has most of them; NaN where there is none."""
    return max([abs(value) / error for value, error in zip(values, errors, strict=True) if error > 0], default=math.nan)


def _weight(contrast, sigma):
    return -1.0 if math.isnan(contrast) else contrast * min(1.0, sigma / SURE)


def _look(contrast, sigma):
    """ "visible" or "faint"; None where nobody sees it, or it is not sure."""
    if sigma >= SURE and contrast >= FAINT:
        return "visible" if contrast >= VISIBLE else "faint"
    return None


@dataclass(frozen=True)
class SeamMap:
    """The edges in one mosaic.

    Attributes
    ----------
    mosaic : str
        "first_pass", "second_pass", "merged", "final", or the name of a file.
    edges : tuple of Edge
    rms : tuple of float
        Root mean square of the steps in adu, one a channel, by length, the errors taken out; NaN without edges.
    worst : int or None
        Index of the edge with the largest contrast, of its step or of a line; one that is not sure counts for less.
        None where nothing is known of any edge.
    visible : float
        Share of the length that is visible; NaN where nothing could be told.
    along : int or None
        Tile that makes the worst edge, where that is another's and read as one with an edge of this tile.
    """

    mosaic: str
    edges: tuple[Edge, ...]
    rms: tuple[float, ...]
    worst: int | None
    visible: float
    along: int | None = None

    @classmethod
    def of(cls, mosaic, edges, channels):
        """Score the edges of a mosaic of so many channels."""
        edges = tuple(edges)
        looks = [edge.look for edge in edges]
        told = [edge for edge, look in zip(edges, looks, strict=True) if look != "unknown"]
        if not told:
            return cls(mosaic, edges, (np.nan,) * channels, None, np.nan)
        length = np.array([edge.length for edge in told])
        step, error = (np.array([getattr(edge, name) for edge in told]) for name in ("step", "error"))
        weight = np.where(np.isfinite(step), length[:, np.newaxis], 0.0)
        total = weight.sum(axis=0)
        square = np.nansum(weight * (step**2 - error**2), axis=0) / np.where(total > 0, total, np.nan)
        visible = sum(edge.length for edge, look in zip(edges, looks, strict=True) if look == "visible") / length.sum()
        worst = max(range(len(edges)), key=lambda index: _rank(edges[index]))
        return cls(mosaic, edges, tuple(np.sqrt(np.maximum(square, 0.0)).tolist()), worst, float(visible))

    def move_by(self, right, up):
        """The same in the pixels of a mosaic that begins so far to the left and below."""
        edges = (replace(edge, x=edge.x + right, y=edge.y + up) for edge in self.edges)
        return replace(self, edges=tuple(edges))

    def worst_first(self):
        """Indices of the edges of which something is known: those that are seen first, by `Edge.weight`."""
        known = [index for index, edge in enumerate(self.edges) if edge.weight >= 0]
        return sorted(known, key=lambda index: _rank(self.edges[index]), reverse=True)

    @property
    def tile(self):
        """By the name of which tile the worst edge goes; None where it is no tile's, or there is none."""
        if self.along is not None or self.worst is None:
            return self.along
        return self.edges[self.worst].tile

    @cached_property
    def picture(self):
        """`no_seam`, `faint`, `visible`; `unknown` where along most of the length a seam would not be told."""
        looks = {edge.look for edge in self.edges}
        for look in ("visible", "faint"):
            if look in looks:
                return look
        if not looks - {"unknown"}:
            return "unknown"
        length, noise, error = (
            np.array([getattr(e, name) for e in self.edges]) for name in ("length", "noise", "error")
        )
        # Whether a step of the noise would have been told from none.
        scale = np.maximum(np.hypot(*noise.T) / np.sqrt(2), np.finfo(float).tiny)
        told = SURE * median_of_known(error) < VISIBLE * scale
        told &= [edge.look != "unknown" for edge in self.edges]
        return "no_seam" if 2 * length[told].sum() > length.sum() else "unknown"


@dataclass(frozen=True, eq=False)
class Profile:
    """What lies across an edge, in the channel with the largest contrast.

    Attributes
    ----------
    mosaic : str
    edge : int
        Its index in the `SeamMap`.
    last : int
        Index of the edge at the same place in the last mosaic.
    channel : int
    distance : ndarray, shape (n,)
        From the edge in pixels, negative inside.
    value, error : ndarray, shape (n,)
        Medians along the edge in adu, less their median, and their standard errors; NaN where nothing is known.
    """

    mosaic: str
    edge: int
    last: int
    channel: int
    distance: np.ndarray
    value: np.ndarray
    error: np.ndarray
