"""The gains that a second pass really applied, read off its own output.

The mosaic of a second pass is M = Σ f_j (g_j T_j − c_j), with f_j the share of tile j and c_j what background
matching took from it. At some ten thousand pixels that is a sparse linear system in the 2N unknowns g and c,
and it closes to the last bits of float32 where the pass did what it says. Where it does not, the points that a
tile does not touch still close without it, and so the tile is found.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from astropy.stats import mad_std
from scipy.sparse import csr_array, eye_array
from scipy.sparse.linalg import splu

from ...measure.sampling import draw_points, sample_tile
from ...parallel import threads
from ...settings import worker_count
from ...tiles.planes import channels_last
from ..gains import GAIN_TOLERANCE
from .faulty_tile import FaultyTile, describe, find_share

_POINTS = 20_000
_POINTS_PER_TILE = 300
_MIN_POINTS = 500
_MIN_TILE_POINTS = 40
_SEED = 20260421
# A sum that closes leaves rounding; 1 % of a pixel's noise allows for interpolation done in float32.
_ROUNDING = 64 * np.finfo(np.float32).eps
_CLOSED = 0.01
_QUANTILE = 0.98
_MAX_SUSPECTS = 40
_COVERAGE_TOLERANCE = 1e-3
_RIDGE = 1e-12
_REFINEMENTS = 4


@dataclass(eq=False)
class Closure:
    """Outcome of the closure of one second pass.

    Attributes
    ----------
    gains, offsets : ndarray, shape (N, C)
        g and c (adu) of each tile; NaN where too few points see it, it holds one value only, or nothing closed.
    errors : ndarray, shape (N, C)
        Standard error of each gain; what does not close is taken to be systematic, not to average out.
    rms : float
        What does not close in the worst tile, 98th percentile in adu; NaN where it could not be made.
    faulty_tile : FaultyTile or None
        What does not close.
    reason : str
        Why the closure could not be made; empty where it was.
    """

    gains: np.ndarray
    offsets: np.ndarray
    errors: np.ndarray
    rms: float = np.nan
    faulty_tile: FaultyTile | None = None
    reason: str = ""

    def furthest(self, index, recorded):
        """Channel in which the gain of a tile is furthest from the recorded one; None where none is known."""
        known = np.flatnonzero(np.isfinite(self.gains[index]) & np.isfinite(self.errors[index]))
        return int(known[np.argmax(np.abs(self.gains[index, known] - recorded))]) if known.size else None


@dataclass(eq=False)
class System:
    """Tiles and mosaic at the points, with everything the closure needs.

    Attributes
    ----------
    places : ndarray of int, shape (n, 2)
        Column and row of each point.
    samples : tuple of TileSamples
    shares : list of ndarray
        f of each tile at its points.
    values : ndarray, shape (n, C)
        The mosaic in adu; NaN where it has no value.
    coverage : ndarray, shape (n,)
        Coverage of the mosaic.
    predicted : ndarray, shape (n,)
        Sum of the weights of the tiles that are there.
    weights : ndarray, shape (N,)
    noise : float
        Noise of one pixel of a tile, in adu.
    usable : ndarray of bool, shape (n,)
        Away from every edge, with at least one tile, coverage as predicted.
    odd : ndarray of bool, shape (n,)
        Away from every edge, coverage not as predicted.
    apart : tuple of (list of int, ndarray)
        Tiles that have the very same pixels, and by how much their recorded gains differ from their mean, weighted: no
        mosaic tells more than the mean.
    """

    places: np.ndarray
    samples: tuple
    shares: list
    values: np.ndarray
    coverage: np.ndarray
    predicted: np.ndarray
    weights: np.ndarray
    noise: float
    usable: np.ndarray
    odd: np.ndarray
    apart: tuple = ()


def close_mosaic(second_pass, noise, twins=None):
    """Solve for the gains that made a mosaic, and say what does not fit.

    Parameters
    ----------
    second_pass : SecondPass
        At least one tile; its mosaic is a weighted mean of them, background matched or not, and its coverage the sum of
        the weights. Nothing is solved with the recorded gains; where the mosaic closes without one tile as
        well as without another, that one is to blame that leaves fewer of the other gains off, then less that
        does not close, then fewer of its own points that cannot be accounted for.
    noise : float
        Noise of one pixel of a tile in adu: what is left counts as nothing up to a hundredth of it.
    twins : dict of int to int, optional
        Tiles that have the very pixels of another, and which that is. Their gains are told in the mean, and are taken
        to differ as recorded.

    Returns
    -------
    Closure
        With a reason, and no gains, where fewer than 500 pixels can be used.
    """
    tiles, recorded = second_pass.tiles, second_pass.sound_gains
    system = _sample(second_pass, noise)
    if twins and recorded is not None:
        system.apart = _apart(twins, np.asarray(recorded, dtype=float), system.weights)
    blank = np.full((len(tiles), system.values.shape[1]), np.nan)
    used = np.count_nonzero(system.usable)
    if used < _MIN_POINTS:
        reason = f"{used} pixels away from every edge, fewer than {_MIN_POINTS}"
        return Closure(blank, blank, blank, reason=reason)
    closure = _solve(system, system.usable)
    if closure.rms <= limit(system):
        if system.odd.any():
            closure.faulty_tile = describe(system, closure, None, tiles, closure.rms)
        return closure
    suspect, without = _close_without(system, closure, recorded)
    if suspect is None:
        return Closure(blank, blank, blank, closure.rms, FaultyTile("not_closed", None, closure.rms))
    without.faulty_tile = describe(system, without, suspect, tiles, closure.rms)
    return without


def _apart(twins, recorded, weights):
    groups = {}
    for later, first in twins.items():
        groups.setdefault(first, [first]).append(later)
    return tuple(
        (members, recorded[members] - np.average(recorded[members], weights=weights[members]))
        for members in groups.values()
    )


def limit(system):
    """Largest scatter in adu that still counts as closed."""
    level = float(np.nanmedian(np.abs(system.values[system.usable])))
    return max(_CLOSED * system.noise, _ROUNDING * level)


def _sample(second_pass, noise):
    tiles, coverage = second_pass.tiles, np.asarray(second_pass.coverage)
    mosaic, count = channels_last(second_pass.mosaic), len(tiles)
    places = draw_points(coverage, max(_POINTS, _POINTS_PER_TILE * count), np.random.default_rng(_SEED))
    rows, columns = places

    def look(index):
        tile = tiles[index]
        return sample_tile(tile, second_pass.place(index), places), tile.weight

    with threads(worker_count()) as run:
        samples, weights = zip(*run(look, range(count)), strict=True)
    weights = np.array(weights)
    predicted = np.zeros(len(rows))
    clear = np.ones(len(rows), dtype=bool)
    for sample, weight in zip(samples, weights, strict=True):
        predicted[sample.points] += weight
        clear[sample.doubtful] = False
    shares = [weight / predicted[sample.points] for sample, weight in zip(samples, weights, strict=True)]
    values = mosaic[rows, columns].astype(np.float64)
    covered = coverage[rows, columns].astype(np.float64)
    clear &= np.isfinite(values).all(axis=1)
    odd = clear & (np.abs(covered - predicted) > _COVERAGE_TOLERANCE * np.maximum(covered, predicted))
    if np.count_nonzero(odd) > 0.5 * np.count_nonzero(clear):
        # This version's coverage is no sum of weights: nothing can be read from it.
        odd[:] = False
    points, usable = np.stack([columns, rows], axis=1), clear & ~odd & (predicted > 0)
    return System(points, samples, shares, values, covered, predicted, weights, noise, usable, odd)


def _solve(system, rows):
    """Least squares over some of the points, each channel on its own."""
    count, channels = len(system.samples), system.values.shape[1]
    closure = Closure(*(np.full((count, channels), np.nan) for _ in range(3)), rms=0.0)
    number = np.cumsum(rows) - 1
    inside = [rows[sample.points] for sample in system.samples]
    places = [number[sample.points[keep]] for sample, keep in zip(system.samples, inside, strict=True)]
    for channel in range(channels):
        target = system.values[rows, channel]
        level = np.median(target)
        columns, centres, spreads = _columns(system, inside, places, channel, len(target))
        norm = np.sqrt((columns**2).sum(axis=0))
        norm[norm == 0] = 1.0
        # The shares add up to 1, so a level taken off the mosaic comes off every tile alike.
        solution = _least_squares(columns * (1 / norm), target - level) / norm
        left = np.abs(target - level - columns @ solution)
        for index, place in enumerate(places):
            if len(place) < _MIN_TILE_POINTS:
                continue
            scatter = float(np.quantile(left[place], _QUANTILE))
            closure.rms = max(closure.rms, scatter)
            if not np.isfinite(spreads[index]):
                continue
            gain = solution[2 * index] / spreads[index]
            closure.gains[index, channel] = gain
            closure.offsets[index, channel] = gain * centres[index] - solution[2 * index + 1] - level
            closure.errors[index, channel] = scatter / spreads[index]
    for members, differences in system.apart:
        share = system.weights[members] / system.weights[members].sum()
        closure.gains[members] = share @ closure.gains[members] + differences[:, np.newaxis]
    return closure


def _least_squares(design, target):
    """Least squares over a sparse design of unit columns: normal equations, refined.

    Each unknown meets few others, so that this grows with their number; a few steps of refinement
    make up for the squared condition (Björck 1996, Numerical Methods for Least Squares Problems, 2.9). What
    the points say nothing about stays at 0.
    """
    solve = splu((design.T @ design + _RIDGE * eye_array(design.shape[1])).tocsc()).solve
    solution = np.zeros(design.shape[1])
    for _ in range(_REFINEMENTS):
        solution += solve(design.T @ (target - design @ solution))
    return solution


def _columns(system, inside, places, channel, count):
    """The sparse system of one channel: for each tile its values about their median, and a constant."""
    data, rows, columns, centres, spreads = [], [], [], [], []
    for index, (sample, share, keep, place) in enumerate(
        zip(system.samples, system.shares, inside, places, strict=True)
    ):
        values, weight = sample.values[keep, channel], share[keep]
        centre = float(np.median(values)) if values.size else 0.0
        spread = float(mad_std(values)) if values.size else 0.0
        # A tile that holds one value does not tell gain from offset.
        is_flat = not values.size or np.ptp(values) <= _ROUNDING * abs(centre)
        spread = np.inf if is_flat else spread or 1.0
        centres.append(centre)
        spreads.append(spread)
        data += [weight * (values - centre) / spread, weight]
        rows += [place, place]
        columns += [np.full(len(place), 2 * index), np.full(len(place), 2 * index + 1)]
    shape = count, 2 * len(system.samples)
    matrix = csr_array((np.concatenate(data), (np.concatenate(rows), np.concatenate(columns))), shape=shape)
    return matrix, centres, spreads


def _close_without(system, closure, recorded):
    """The tile without which the mosaic closes, and that closure; (None, None) where there is none."""
    best, most = (None, None), ()
    for suspect in _suspects(closure):
        rest = system.usable.copy()
        rest[system.samples[suspect].points] = False
        if np.count_nonzero(rest) < _MIN_POINTS:
            continue
        without = _solve(system, rest)
        if without.rms > limit(system):
            continue
        off = 0 if recorded is None else _gains_off(without, recorded)
        # Rounding is about the same for every tile: another power of ten means that something is left.
        merit = -off, -round(np.log10(max(without.rms, np.finfo(float).tiny))), find_share(system, without, suspect)
        if merit > most:
            best, most = (int(suspect), without), merit
    return best


def _gains_off(closure, recorded):
    gains = np.asarray(recorded, dtype=float)[:, np.newaxis]
    # A comparison with NaN is false: a gain that is not known is not off.
    off = np.abs(closure.gains - gains) > np.fmax(GAIN_TOLERANCE * gains, 6 * closure.errors)
    return np.count_nonzero(off.any(axis=1))


def _suspects(closure):
    """Tiles in the order in which they are likely to be what does not close."""
    sizes = np.nan_to_num(closure.errors).max(axis=1)
    return np.argsort(-sizes, kind="stable")[:_MAX_SUSPECTS]
