"""Light on one tile that no term explains, as cloud, glow, moonlight, banding or a flat field of its own leave it.

The others are solved without that tile; what it shows beyond them is smoothed, and level and plane of it are told only
as far as what is left of them lets it: light that is uneven over a tile is uneven over any part of it too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..finding import Finding, in_digits
from ..terms import size_of
from .zero_points import FEWEST_STARS

# Blocks, each way, over which the field is smoothed, and of which so many must be known.
_SIDE = 4
_FEWEST_BLOCKS = 6
_FEWEST_SQUARES = 8
# Squares that go together: light is smooth over more than one of them.
_TOGETHER = 9.0
_PERCENTILES = 2.0, 98.0
_SURE = 5.0
_MORE_THAN_NOISE = 1.5
# In units of a pixel's noise.
_FLOOR = 0.2
_GAUSSIAN_MAD, _MEDIAN_COST = 1.4826, 1.2533


@dataclass(frozen=True, eq=False)
class Unevenness:
    """Light on a tile, or the like on all of them, that no term explains.

    Attributes
    ----------
    tile : int or None
        None where the light of nearly all tiles is uneven.
    value, error : ndarray, shape (C,)
        98th less 2nd percentile of the smooth field over its overlaps, its plane out, in adu, and what noise alone
        makes of it.
    plane, plane_error : ndarray, shape (C, 3)
        Level of the field in adu, and its rise from end to end of what the tile knows along columns and rows, with
        standard errors that allow for the rest of it.
    """

    tile: int | None
    value: np.ndarray
    error: np.ndarray
    plane: np.ndarray
    plane_error: np.ndarray

    @property
    def certain(self):
        """Whether it is more than noise."""
        return bool(np.any(self.value > _MORE_THAN_NOISE * self.error))


def light_beyond(tile, look, others, factor):
    """What a tile shows beyond the others.

    Parameters
    ----------
    tile : int
    look : CoarseTile
        Of that tile.
    others : ndarray, shape (C, h, w)
        Mean of the others where the tile's blocks are, their faults taken out; NaN where there is none.
    factor : ndarray, shape (C,)
        Of the tile's scale over theirs, as its stars have it; 1 where they say nothing.

    Returns
    -------
    Unevenness or None
        None where too little of the tile is covered by others.
    """
    rows, columns = np.indices(others.shape[1:])
    known = np.isfinite(look.value).any(axis=0)
    ends = [np.flatnonzero(known.any(axis=axis))[[0, -1]] for axis in (0, 1)]
    uv = [
        (own - first + 0.5) / (last - first + 1) - 0.5 for own, (first, last) in zip((columns, rows), ends, strict=True)
    ]
    field = look.value - factor[:, np.newaxis, np.newaxis] * others
    fitted = [_fitted(own, np.stack(uv), _squares(rows, columns)) for own in field]
    return None if None in fitted else Unevenness(tile, *map(np.array, zip(*fitted, strict=True)))


def _squares(rows, columns):
    return (rows // _SIDE) * (columns.max() // _SIDE + 1) + columns // _SIDE


def _fitted(field, uv, square):
    """Percentiles of one channel's field and their error, its plane and the errors of that; None where too few know."""
    known = np.isfinite(field)
    values, counts, places = [], [], []
    for number in np.unique(square[known]):
        own = known & (square == number)
        if np.count_nonzero(own) >= _FEWEST_BLOCKS:
            # The median: stars are sharper in one tile than in another.
            values.append(np.median(field[own]))
            counts.append(np.count_nonzero(own))
            places.append(uv[:, own].mean(axis=1))
    if len(values) < _FEWEST_SQUARES:
        return None
    design = np.column_stack([np.ones(len(values)), np.array(places)])
    plane = np.linalg.lstsq(design, values, rcond=None)[0]
    left = values - design @ plane
    covariance = np.linalg.pinv(design.T @ design) * np.mean(left**2) * min(_TOGETHER, len(values) / 4)
    low, high = np.percentile(left, _PERCENTILES)
    noise = _GAUSSIAN_MAD * np.nanmedian(np.abs(np.diff(field, axis=1))) / np.sqrt(2)
    # Of medians that are noise and no more these percentiles are about four standard deviations apart.
    error = 4 * _MEDIAN_COST * noise / np.sqrt(np.median(counts))
    return high - low, float(error), plane, np.sqrt(np.diag(covariance))


def uneven_findings(found, solution):
    """What is said of a tile on which light lies that no term explains.

    Parameters
    ----------
    found : Unevenness
    solution : Solution
        Of all tiles, this one among them: for its noise and its stars.

    Returns
    -------
    list of (float, Finding)
        With the size of each effect in units of a pixel's noise: the light, its level and slope as far as they are
        told, and a scale that the stars tell.
    """
    noise = np.nanmedian(solution.noise, axis=0) if found.tile is None else solution.noise[found.tile]
    effect = found.value / noise
    channel = int(np.nanargmax(effect))
    if not effect[channel] > _FLOOR:
        return []
    where = f" in channel {channel}" if len(noise) > 1 else ""
    who = "All tiles have" if found.tile is None else f"Tile {found.tile} has"
    said = {"who": who, "size": float(found.value[channel]), "where": where, "effect": in_digits(effect[channel])}
    error = float(found.error[channel])
    fields = {"error": error, "channel": channel}
    finding = Finding.of("uneven_background", found.tile, said["size"], said["size"] / error, said, **fields)
    told = [(float(effect[channel]), finding)]
    if found.tile is None:
        return told
    for kind, columns in (("offset", (0,)), ("gradient", (1, 2))):
        size, error = size_of(found.plane, found.plane_error, columns)
        sure = np.abs(size) / error
        own = int(np.nanargmax(sure))
        if sure[own] > _SURE and np.abs(size[own]) > max(found.value[own], _FLOOR * noise[own]):
            told.append(_plain(kind, found.tile, (size[own], error[own]), own, noise))
    return told + _by_stars(found.tile, solution)


def _by_stars(tile, solution):
    left, error = (layer[tile] for layer in solution.stars.against_others(1.0))
    sure = np.abs(left) / error
    if not np.any(sure > _SURE) or solution.stars.counts[tile].max() < FEWEST_STARS:
        return []
    own = int(np.nanargmax(sure))
    factor = float(np.exp(left[own]))
    effect = abs(factor - 1) * solution.signal[own].max() / solution.noise[tile, own]
    sizes = factor - 1, factor * error[own]
    return [_plain("gain_residual", tile, sizes, own, solution.noise[tile], effect)]


def _plain(kind, tile, sizes, channel, noise, effect=None):
    """A finding with size and error, as (effect, Finding)."""
    value, error = map(float, sizes)
    effect = float(abs(value) / noise[channel] if effect is None else effect)
    said = {
        "factor": 1 + value,
        "where": f" in channel {channel}" if len(noise) > 1 else "",
        "effect": in_digits(effect),
        "doubt": ", beside light that is uneven",
    }
    return effect, Finding.of(kind, tile, value, abs(value) / error, said, error=error, channel=channel)
