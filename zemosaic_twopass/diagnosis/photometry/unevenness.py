"""Light on one tile that no term explains, as cloud, glow, moonlight, banding or a flat field of its own leave it.

The others are solved without that tile; what it shows beyond them is smoothed, and level and plane of it are told only
as far as what is left of them lets it: light that is uneven over a tile is uneven over any part of it too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...measure.robust import GAUSSIAN_MAD, MEDIAN_COST
from ...tiles.planes import in_channel
from ..finding import Finding, in_digits
from ..terms import size_of
from .surface import Squares, second_order, surface_of
from .zero_points import FEWEST_STARS

# Blocks, each way, over which the field is smoothed, fewer where little is known, and of which such a part must be.
_SIDES = 4, 2
_KNOWN = 6 / 16
_FEWEST_SQUARES = 8
# Squares that go together: light is smooth over more than one of them.
_TOGETHER = 9.0
_PERCENTILES = 2.0, 98.0
# Error in adu of what is not told.
_UNTOLD = 1e30
_SURE = 5.0
_MORE_THAN_NOISE = 2.0
# In units of a pixel's noise.
_FLOOR = 0.2
_IN_COMMON = "All tiles have in common"
_OF_MANY = "More tiles than can be told apart have, each its own or not,"
_OF_TWO = (
    "Light that is no plane lies on tile {0} or on tile {1}, where these two alone meet: {size:.4g} adu from place to "
    "place{where}, {effect} times the noise of a pixel; no third tile says on which of them: look at both."
)


@dataclass(frozen=True, eq=False)
class Unevenness:
    """Light on a tile, or the like on all of them, that no term explains.

    Attributes
    ----------
    tiles : tuple of int
        The tile on which it lies; or the two on one of which, where no third meets them there; none where it lies on
        more than can be told apart.
    value, error : ndarray, shape (C,)
        98th less 2nd percentile of the smooth field over its overlaps, its plane out, in adu, and what noise alone
        makes of it.
    plane, plane_error : ndarray, shape (C, 3)
        Level of the field in adu, and its rise from end to end of what the tile knows along columns and rows, with
        standard errors that allow for the rest of it.
    factor : ndarray, shape (C,), or None
        Factor of the tile's scale, that it was seen beyond the others with.
    surface : (ndarray, ndarray) or None
        What takes all of it out, as `surface_of` has it; None where nothing is known to.
    shared : bool
        Whether it is the same in all tiles.
    """

    tiles: tuple[int, ...]
    value: np.ndarray
    error: np.ndarray
    plane: np.ndarray
    plane_error: np.ndarray
    factor: np.ndarray | None = None
    surface: tuple[np.ndarray, np.ndarray] | None = None
    shared: bool = False

    @property
    def tile(self):
        """The tile on which it lies; None where that is not one."""
        return self.tiles[0] if len(self.tiles) == 1 else None

    @property
    def of_all(self):
        """Whether the light of more tiles is uneven than can be told apart."""
        return not self.tiles

    @property
    def certain(self):
        """Whether it is more than noise."""
        return bool(np.any(self.value > _MORE_THAN_NOISE * self.error))


def light_beyond(tiles, look, others, factor):
    """What a tile shows beyond the others.

    Parameters
    ----------
    tiles : tuple of int
        The tile, or two that meet.
    look : CoarseTile
        Blocks of the first of them.
    others : ndarray, shape (C, h, w)
        Mean of the others where the tile's blocks are, their faults taken out; NaN where there is none.
    factor : ndarray, shape (C,)
        Factor of the tile's scale over theirs, as its stars have it; 1 where they say nothing.

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
    for side in _SIDES:
        seen = [_over_squares(own, np.stack(uv), (rows, columns), side) for own in field]
        if None not in seen:
            break
    else:
        return None
    surface = surface_of(seen) if len(tiles) == 1 else None
    return Unevenness(tiles, *map(np.array, zip(*map(_fit_surface, seen), strict=True)), factor, surface)


def _over_squares(field, uv, places_of, side):
    """One channel's field as `Squares` of so many blocks each way; None where too few are known."""
    known, (rows, columns) = np.isfinite(field), places_of
    square = (rows // side) * (columns.max() // side + 1) + columns // side
    values, counts, places = [], [], []
    for number in np.unique(square[known]):
        own = known & (square == number)
        if np.count_nonzero(own) >= _KNOWN * side**2:
            # The median: stars are sharper in one tile than in another.
            values.append(np.median(field[own]))
            counts.append(np.count_nonzero(own))
            places.append(uv[:, own].mean(axis=1))
    if len(values) < _FEWEST_SQUARES:
        return None
    # What is known may be one block wide.
    steps = next((own for own in (np.diff(field, axis=axis) for axis in (1, 0)) if np.isfinite(own).any()), None)
    if steps is None:
        return None
    noise = GAUSSIAN_MAD * np.nanmedian(np.abs(steps - np.nanmedian(steps))) / np.sqrt(2)
    return Squares(np.array(values), float(MEDIAN_COST * noise / np.sqrt(np.median(counts))), np.transpose(places))


def _fit_surface(squares):
    """Percentiles of one channel's field and their error, its plane and the errors of that."""
    # Across a single row of squares no slope is told.
    told = np.r_[True, np.ptp(squares.places, axis=1) > 0]
    design = second_order(*squares.places)[:, :3][:, told]
    plane, error = np.zeros(3), np.full(3, _UNTOLD)
    plane[told] = np.linalg.lstsq(design, squares.value, rcond=None)[0]
    left = squares.value - design @ plane[told]
    covariance = np.linalg.pinv(design.T @ design) * np.mean(left**2) * min(_TOGETHER, len(left) / 4)
    error[told] = np.sqrt(np.diag(covariance))
    low, high = np.percentile(left, _PERCENTILES)
    # Medians that are noise and no more have these percentiles about four standard deviations apart.
    return high - low, 4 * squares.error, plane, error


def uneven_findings(found, solution):
    """What is said of a tile on which light lies that no term explains.

    Parameters
    ----------
    found : Unevenness
    solution : Solution
        Solution of all tiles, this one among them: for its noise and its stars.

    Returns
    -------
    list of (float, Finding)
        With the size of each effect in units of a pixel's noise: the light, its level and slope as far as they are
        told, and a scale that the stars tell.
    """
    noise = np.nanmedian(solution.noise[list(found.tiles) or slice(None)], axis=0)
    effect = found.value / noise
    channel = int(np.nanargmax(effect))
    if not effect[channel] > _FLOOR:
        return []
    where = in_channel(channel, len(noise))
    who = f"Tile {found.tile} has"
    if found.of_all:
        who = _IN_COMMON if found.shared else _OF_MANY
    said = {"who": who, "size": float(found.value[channel]), "where": where, "effect": in_digits(effect[channel])}
    fields = {"error": float(found.error[channel]), "channel": channel}
    if len(found.tiles) > 1:
        fields |= {"tiles": found.tiles, "message": _OF_TWO.format(*found.tiles, **said)}
    sigma = said["size"] / fields["error"]
    finding = Finding.of("uneven_background", found.tile, said["size"], sigma, said, **fields)
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
        "where": in_channel(channel, len(noise)),
        "effect": in_digits(effect),
        "beside": ", beside light that is uneven",
    }
    return effect, Finding.of(kind, tile, value, abs(value) / error, said, error=error, channel=channel)
