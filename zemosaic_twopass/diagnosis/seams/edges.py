"""What was measured at the edges of a mosaic, put together as `Edge` records, and how strong it looks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...measure.median import median_of_known
from ...measure.robust import GAUSSIAN_MAD
from .lines import Lines
from .records import SURE, Edge, SeamMap

# Every so many columns of a strip are enough for what need not be known to a few per cent.
ENOUGH = 3
# What is half as deep over many pixels as over a few is no thin line, of which less lies there: thin, and broad.
_SHARES = 1.0, 0.5


@dataclass(frozen=True, eq=False)
class Left:
    """What is left of the steps at n edges once what is expected is taken from them.

    Attributes
    ----------
    step, error : ndarray, shape (n, C)
        In adu; NaN where it is not known.
    contrast : ndarray, shape (n, C)
        As `Edge.contrast`, of what is left.
    """

    step: np.ndarray
    error: np.ndarray
    contrast: np.ndarray


@dataclass(frozen=True, eq=False)
class Measured:
    """One mosaic.

    Attributes
    ----------
    map : SeamMap
    across : (ndarray of shape (n, m), and two of shape (n, C, m))
        What lies across each of its edges: distances, levels, and their errors.
    channel : ndarray, shape (n,)
        Channel of the largest contrast.
    lines : tuple of Lines
        Thin and broad ones, in adu of the map; empty where nobody looked.
    line_channel : ndarray, shape (n,)
        As `channel`, of the lines.
    left : Left or None
    """

    map: SeamMap
    across: tuple[np.ndarray, np.ndarray, np.ndarray]
    channel: np.ndarray
    lines: tuple[Lines, ...] = ()
    line_channel: np.ndarray | None = None
    left: Left | None = None

    @classmethod
    def without_edges(cls, picture):
        """The edges of a picture in which no footprint ends: none."""
        return cls(SeamMap.of(picture.name, (), len(picture.value)), (), np.zeros(0))

    def profile(self, index, channel, edge):
        """(distance, level, error) across an edge, as its line was read where the `Edge` shows one."""
        if edge.lined and self.lines:
            own = self.lines[0 if edge.thin else 1]
            return own.distance, own.level[index, channel], own.spread[index, channel]
        distance, level, error = self.across
        return distance[index], level[index, channel] - median_of_known(level[index, channel]), error[index, channel]


def map_edges(name, stretches, steps, looks, across):
    """The edges of one mosaic as records.

    Parameters
    ----------
    name : str
    stretches : Stretches
    steps : (ndarray, ndarray, (ndarray, ndarray) or None, ndarray or None)
        Steps, their errors, and what is left of them with its errors, shape (n, C) each; errors in the steps of their
        lines, shape (n,).
    looks : (ndarray of shape (2, n, C), ndarray of shape (n, C), tuple of Lines)
        Noise on both sides, structure of the sky, and lines.
    across : (Strips, ndarray, ndarray)
        With the levels in them and their errors, shape (n, C, m) each.

    Returns
    -------
    Measured
    """
    (step, error, left, sure), (noise, structure, lines) = steps, looks
    expected = np.full(step.shape, np.nan) if left is None else step - left[0]
    # Not their sum: what is left of the noise is in the structure too, and a step of the noise is to be one.
    scale = np.fmax(np.sqrt(np.mean(noise**2, axis=0)), structure)
    contrast, channel = _contrast(step, scale)
    chosen, line_channel = _choose_lines(lines, scale) if lines else ([((), (), np.nan, np.nan)] * len(step), channel)
    told = np.isfinite(expected).any(axis=1)
    edges = [
        Edge(*row, *line[:-1], along_sigma=along, line_px=line[-1])
        for *row, line, along in zip(
            stretches.tile,
            stretches.neighbours,
            stretches.x.tolist(),
            stretches.y.tolist(),
            map(tuple, stretches.normal.tolist()),
            stretches.length.tolist(),
            map(tuple, step.tolist()),
            map(tuple, error.tolist()),
            map(tuple, noise.mean(axis=-1).T.tolist()),
            contrast[np.arange(len(step)), channel].tolist(),
            (tuple(own) if known else None for own, known in zip(expected.tolist(), told, strict=True)),
            chosen,
            (np.zeros(len(step)) if sure is None else sure).tolist(),
            strict=True,
        )
    ]
    strips, level, spread = across
    left = left and Left(*left, np.abs(left[0]) / np.where(scale > 0, scale, np.nan))
    found = SeamMap.of(name, edges, step.shape[1])
    return Measured(found, (strips.middle_distance, level, spread), channel, lines, line_channel, left)


def _choose_lines(lines, scale):
    """Depth, error, contrast and width of the line along each edge, thin or broad, and the channel of the contrast."""
    each, found = np.arange(len(scale)), []
    for own, share in zip(lines, _SHARES, strict=True):
        contrast, channel = _contrast(own.depth, scale)
        largest, sigma = contrast[each, channel], np.fmax.reduce(np.abs(own.depth) / own.error, axis=1)
        # What is not sure counts for less, as of steps.
        weight = np.nan_to_num(largest * np.minimum(1.0, sigma / SURE), nan=-1.0) / share
        found.append((weight, own.depth, own.error, largest, channel, np.full(len(each), own.width)))
    weight, *rest = map(np.stack, zip(*found, strict=True))
    depth, error, largest, channel, width = (values[np.argmax(weight, axis=0), each] for values in rest)
    rows = zip(map(tuple, depth.tolist()), map(tuple, error.tolist()), largest.tolist(), width.tolist(), strict=True)
    return list(rows), channel


def _contrast(values, scale):
    """Sizes of values over a scale, NaN where that is not known, and the channel where that is most."""
    contrast = np.where(np.isfinite(values) & (scale > 0), np.abs(values) / scale, np.nan)
    return contrast, np.argmax(np.nan_to_num(contrast, nan=-1.0), axis=1)


def noise_beside(strips, noise):
    """Noise of a pixel inside and outside of each edge, shape (2, n, C)."""
    values = strips.of(noise, ENOUGH)
    inside = (strips.distance < 0)[:, np.newaxis, ::ENOUGH]
    sides = (np.where(side, values, np.nan).reshape(*values.shape[:2], -1) for side in (inside, ~inside))
    return np.stack([median_of_known(side) for side in sides])


def structure_along(shown):
    """What the sky does along each edge beyond a straight line, shape (n, C): cells about their medians along it."""
    across, count = np.moveaxis(shown, 2, -1), shown.shape[2]
    ahead = np.linspace(-1, 1, count)
    off = across - median_of_known(across)[..., np.newaxis]
    slope = median_of_known(np.where(np.abs(ahead) > 0.3, off / ahead, np.nan))
    off -= slope[..., np.newaxis] * ahead
    return GAUSSIAN_MAD * median_of_known(np.abs(off).reshape(*off.shape[:2], -1))
