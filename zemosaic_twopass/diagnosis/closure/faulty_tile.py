"""What is wrong with the one tile that keeps a mosaic from closing: its mask, its place, or something else."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ...tiles.planes import channels_last
from .displacement import MIN_POINTS, displacement

_CLOSING_SHARE = 0.9
_SOME = 0.01
_LINE_TOLERANCE = 0.005
_LINES = 100
# The tile must span so many tolerances of a line at points where the mosaic holds a constant.
_VARIED = 100
_SEED = 20260421


@dataclass(frozen=True, eq=False)
class FaultyTile:
    """What does not close.

    Attributes
    ----------
    kind : {"mask_bug", "misregistration", "not_closed"}
    tile : int or None
    value : float
        Share of the tile's points whose mask is wrong; length of the shift; what does not close in adu.
    error : float
        Standard error of a shift; NaN otherwise.
    shift : (float, float)
        Along columns and rows of the mosaic in pixels; NaN where it is none.
    places : ndarray of int, shape (n, 2)
        Columns and rows of the mosaic at which the tile was looked at; none for a shift.
    left : ndarray, shape (n,)
        For a mask, at each place: −1 where the coadd left the tile out, 1 where it used what it should not, 0 where all
        is well. Else what the best gain and offset leave, in adu.
    """

    kind: str
    tile: int | None
    value: float
    error: float = np.nan
    shift: tuple[float, float] = (np.nan, np.nan)
    places: np.ndarray = field(default_factory=lambda: np.empty((0, 2), dtype=int))
    left: np.ndarray = field(default_factory=lambda: np.empty(0))


def describe(system, closure, suspect, tiles, scatter):
    """Say what is wrong.

    Parameters
    ----------
    system : System
        From `zemosaic_twopass.diagnosis.closure.solve`.
    closure : Closure
        Closure of the points that close.
    suspect : int or None
        Tile without which the mosaic closes; None where every tile closes and only the coverage is odd.
    tiles : TileList
    scatter : float
        What does not close with the suspect, in adu.

    Returns
    -------
    FaultyTile or None
        None where a handful of odd points speak for no tile.
    """
    masked = _mask_faulty_tile(system, closure)
    if suspect is None:
        return masked
    points, implied, absent = _find_implied(system, closure, suspect)
    places = system.places[system.samples[suspect].points[points]]
    if len(points) >= MIN_POINTS:
        for wrong, state in ((absent, -1.0), (_fill(system, suspect, points, implied), 1.0)):
            share = float(np.mean(wrong))
            if share >= _SOME and _find_closing_share(system, suspect, points, implied, wrong) >= _CLOSING_SHARE:
                return FaultyTile("mask_bug", suspect, share, places=places, left=state * wrong)
        sample = system.samples[suspect]
        pixels = channels_last(tiles[suspect].pixels)
        shift, error = displacement(pixels, sample.x[points], sample.y[points], implied)
        if shift is not None:
            x, y = _on_the_mosaic(system, sample) @ shift
            return FaultyTile("misregistration", suspect, float(np.hypot(x, y)), float(error), (float(x), float(y)))
    if masked is not None and masked.tile == suspect:
        return masked
    left = _subtract_best_line(system.samples[suspect].values[points, 0], implied[:, 0]) if len(points) else np.empty(0)
    return FaultyTile("not_closed", suspect, scatter, places=places, left=left)


def find_share(system, closure, suspect):
    """Share of a suspect's points that two gains, one here and one there, could account for.

    Where only a part of a tile is wrong, and that part lies in another tile, the mosaic closes without either.

    Parameters
    ----------
    system : System
    closure : Closure
        Without the suspect.
    suspect : int

    Returns
    -------
    float
        0 where too few points are known.
    """
    points, implied, absent = _find_implied(system, closure, suspect)
    left_over = ~absent
    for _ in range(2):
        if np.count_nonzero(left_over) >= MIN_POINTS:
            values = system.samples[suspect].values[points[left_over], 0]
            left_over[left_over] = ~_on_best_line(values, implied[left_over, 0], _LINE_TOLERANCE * system.noise)
    return 1.0 - float(np.mean(left_over)) if len(points) else 0.0


def _on_the_mosaic(system, sample):
    """Matrix from steps in a tile's pixels to steps in the mosaic's, shape (2, 2)."""
    design = np.stack([sample.x, sample.y, np.ones(len(sample.x))], axis=1)
    return np.linalg.lstsq(design, system.places[sample.points], rcond=None)[0][:2].T


def _mask_faulty_tile(system, closure):
    """The tile whose absence, or presence where it should be masked, explains most of the odd points."""
    odd = np.flatnonzero(system.odd)
    excess = (system.coverage - system.predicted)[odd]
    best, most, which = None, 0, None
    for index, (sample, weight) in enumerate(zip(system.samples, system.weights, strict=True)):
        close = 0.01 * weight
        missing = np.isin(odd, sample.points) & (np.abs(excess + weight) < close)
        added = np.isin(odd, sample.masked) & (np.abs(excess - weight) < close)
        if np.count_nonzero(missing | added) > most:
            # Several tiles may lie there; the mosaic itself says which one is not in it.
            missing[missing] = _fits_without(system, closure, index, odd[missing])
        count = np.count_nonzero(missing | added)
        if count > most:
            best, most, which = index, count, missing | added
    if best is None or most < max(5, 0.001 * len(system.samples[best].points)):
        return None
    # Only where no tile's edge is near is anything known of either.
    clear = np.flatnonzero(system.usable | system.odd)
    sample = system.samples[best]
    points, masked = np.intersect1d(sample.points, clear), np.intersect1d(sample.masked, clear)
    wrong, added = np.isin(points, odd[which]), np.intersect1d(masked, odd[which])
    places = system.places[np.concatenate([points, added])]
    state = np.concatenate([-1.0 * wrong, np.ones(len(added))])
    return FaultyTile("mask_bug", best, most / (len(points) + len(masked)), places=places, left=state)


def _others(system, closure, index):
    """Weighted sum of all tiles but one at every point, as the gains of the closure make it; shape (n, C)."""
    total = np.zeros((len(system.coverage), system.values.shape[1]))
    for other, sample in enumerate(system.samples):
        if other != index:
            corrected = sample.values * closure.gains[other] - closure.offsets[other]
            total[sample.points] += system.weights[other] * corrected
    return total


def _fits_without(system, closure, index, points):
    """Whether the mosaic at points where a tile should be is the mean of the other tiles."""
    rest = system.predicted[points] - system.weights[index]
    mean = np.full((len(points), system.values.shape[1]), np.inf)
    np.divide(_others(system, closure, index)[points], rest[:, np.newaxis], out=mean, where=rest[:, np.newaxis] > 0)
    return (np.abs(system.values[points] - mean) <= _tolerance(system, closure)).all(axis=1)


def _tolerance(system, closure):
    return 10 * max(closure.rms, 1e-6 * system.noise)


def _find_implied(system, closure, suspect):
    """What the mosaic says that the suspect holds, channel by channel, and where it looks as if it were not there."""
    sample = system.samples[suspect]
    others = _others(system, closure, suspect)
    known = system.usable[sample.points] & np.isfinite(others[sample.points]).all(axis=1)
    points = np.flatnonzero(known)
    where = sample.points[points]
    weight = system.weights[suspect]
    implied = (system.values[where] * system.predicted[where, np.newaxis] - others[where]) / weight
    return points, implied, _fits_without(system, closure, suspect, where)


def _fill(system, suspect, points, implied):
    """Points where the mosaic says that the tile holds one constant, while it holds anything but one."""
    tolerance = _LINE_TOLERANCE * system.noise
    target = implied[:, 0]
    order = np.sort(target)
    inside = np.searchsorted(order, order + 2 * tolerance, side="right") - np.arange(len(order))
    filled = np.abs(target - order[np.argmax(inside)] - tolerance) <= tolerance
    values = system.samples[suspect].values[points[filled], 0]
    return filled & (np.ptp(values) > _VARIED * tolerance)


def _find_closing_share(system, suspect, points, implied, wrong):
    """Share of the points that are explained by one gain and offset, or by pixels that are wrong."""
    values = system.samples[suspect].values[points]
    explained = wrong.copy()
    present = ~wrong
    if np.count_nonzero(present) >= MIN_POINTS:
        explained[present] = _on_best_line(values[present, 0], implied[present, 0], _LINE_TOLERANCE * system.noise)
    return float(np.mean(explained))


def _subtract_best_line(values, target):
    """What the line leaves that explains most of the points to a hundredth of the scatter."""
    scatter = np.median(np.abs(target - np.median(target)))
    near = _on_best_line(values, target, 0.01 * max(scatter, np.finfo(float).tiny))
    x, y = values[near], target[near]
    spread = x - x.mean()
    # Not `polyfit`, which warns where the points are all but one.
    slope = spread @ (y - y.mean()) / max(spread @ spread, np.finfo(float).tiny)
    return target - y.mean() - slope * (values - x.mean())


def _on_best_line(values, target, tolerance):
    """Which points lie on the straight line that most of them lie on (Fischler & Bolles 1981, RANSAC)."""
    rng = np.random.default_rng(_SEED)
    first, second = rng.integers(0, len(values), (2, _LINES))
    step = values[second] - values[first]
    # Two points that are close together give no direction.
    apart = np.abs(step) >= np.median(np.abs(step))
    first, second, step = first[apart], second[apart], step[apart]
    slopes = np.divide(target[second] - target[first], step, out=np.zeros(len(step)), where=step != 0)
    left = target - target[first, np.newaxis] - slopes[:, np.newaxis] * (values - values[first, np.newaxis])
    near = np.abs(left) <= tolerance
    return near[np.argmax(np.count_nonzero(near, axis=1))]
