"""All tiles against one another: level them, fit each, take the worst fault out, fit its neighbours again.

A fault in one tile leans on everything that overlaps it. Taking the largest one out first, and with it what
it did to the others, is coordinate descent on the joint least-squares problem; it leaves a
fault where it is instead of spreading it, as the solution of least norm would.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..measure.coarse import pixel_noise, project_blocks
from ..parallel import threads
from ..settings import worker_count
from ..tiles.grid import copied
from ..tiles.planes import channels_last
from .levels import joint_planes
from .registration import Shift, ShiftField
from .residual import TERMS, Coadd, TileFit, fit_tile, information

MIN_SIGNIFICANCE = 5.0
# Effects smaller than these are of no consequence, however sure: in units of a pixel's noise, and in pixels.
OFFSET_FLOOR = 0.05
GRADIENT_FLOOR = 0.1
SHIFT_FLOOR = 0.05
_ROUNDS_PER_TILE = 2
_CERTAIN = 2.0
_MAX_ROUNDS = 64
_RESOLUTION = 64 * np.finfo(np.float32).eps


@dataclass(eq=False)
class TileState:
    """What is known of one tile against the others.

    Attributes
    ----------
    fits : list of (TileFit or None)
        One a channel, of what is left after the correction; None where there is too little overlap.
    taken : ndarray, shape (C, 7)
        Terms already taken out of the tile.
    shift : Shift or None
        Against the others' places; None where nothing stands out of the noise.
    placed : bool
        Whether the shift was taken out of the coadd.
    noise : ndarray, shape (C,)
        Of one pixel in adu, at least what float32 resolves.
    partners : tuple of int
        Tiles that share a block with it.
    """

    fits: list[TileFit | None]
    taken: np.ndarray
    shift: Shift | None
    placed: bool
    noise: np.ndarray
    partners: tuple[int, ...]

    @property
    def tested(self):
        """Whether every channel could be fitted."""
        return bool(self.fits) and all(fit is not None for fit in self.fits)

    def terms(self, channel):
        """Terms of the tile as given, corrections included; shape (7,)."""
        return self.taken[channel] + self.fits[channel].terms


def survey(second_pass):
    """Compare every tile as given with the others.

    Parameters
    ----------
    second_pass : SecondPass
        Of its mosaic only the places of the stars are used.

    Returns
    -------
    states : list of TileState
        One a tile, in order.
    coarse : list of (CoarseTile or None)
        The tiles as they were compared, None for one that reaches no block of the mosaic.
    """
    tiles, mosaic = second_pass.tiles, channels_last(second_pass.mosaic)

    def look(index):
        tile = tiles[index]
        return look_at(replace(tile, wcs=copied(tile.wcs)), mosaic, copied(second_pass.wcs)), tile.weight

    with threads(worker_count()) as run:
        looks, weights = zip(*run(look, range(len(tiles))), strict=True)
    return compare(looks, mosaic.shape[:2], weights), [coarse for coarse, _ in looks]


def look_at(tile, mosaic, wcs):
    """What `compare` needs of one tile: its blocks, as `project_blocks` gives them, and its noise, shape (C,)."""
    return project_blocks(tile, mosaic, wcs), _noise(tile.pixels)


def compare(looks, shape_out, tile_weights=None):
    """Compare every tile with the others.

    Parameters
    ----------
    looks : sequence of (CoarseTile or None, ndarray, shape (C,))
        From `look_at`, at least one.
    shape_out : tuple of int
        (H, W) of the mosaic.
    tile_weights : sequence of float, optional

    Returns
    -------
    list of TileState
        One a tile, in order.
    """
    count, channels = len(looks), len(looks[0][1])
    weights = np.ones(count) if tile_weights is None else np.asarray(tile_weights, dtype=float)
    coarse = [blocks for blocks, _ in looks]
    coadds = [Coadd(coarse, weights, shape_out, channel) for channel in range(channels)]
    field = ShiftField(coarse, weights, shape_out)
    states = []
    for index, (blocks, noise) in enumerate(looks):
        partners = () if blocks is None else coadds[0].partners(index)
        states.append(TileState([], np.zeros((channels, len(TERMS))), None, False, noise, partners))
    _level(coarse, states, coadds)
    for index in range(count):
        _refit(index, states[index], coadds, field)
    for _ in range(min(_ROUNDS_PER_TILE * count, _MAX_ROUNDS)):
        sizes = [_excess(state) for state in states]
        worst = int(np.argmax(sizes))
        if sizes[worst] == 0:
            break
        _take_out(worst, states[worst], coadds, field)
        for index in (worst, *states[worst].partners):
            _refit(index, states[index], coadds, field)
    return states


def _noise(tile):
    planes = channels_last(tile)[::7, ::7]
    level = np.max(np.abs(planes), initial=0.0, where=np.isfinite(planes))
    # Never 0, not even for a tile of zeros: effects are measured in units of it.
    return np.fmax(pixel_noise(tile), max(_RESOLUTION * level, np.finfo(np.float32).tiny))


def _level(coarse, states, coadds):
    """Take out of each tile the level and slope that all pairs together give it, where they are large enough."""
    boxes = [None if tile is None else tile.box for tile in coarse]
    for channel, coadd in enumerate(coadds):
        maps = [None if tile is None else tile.value[channel] for tile in coarse]
        noises = [state.noise[channel] for state in states if np.isfinite(state.noise[channel])]
        if not noises:
            continue
        noise = float(np.median(noises))
        for index, plane in enumerate(joint_planes(maps, boxes, noise)):
            plane[0] *= abs(plane[0]) > _CERTAIN * OFFSET_FLOOR * noise
            plane[1:] *= np.hypot(*plane[1:]) > _CERTAIN * GRADIENT_FLOOR * noise
            if plane.any():
                v, u = (np.linspace(-0.5, 0.5, n) for n in maps[index].shape)
                coadd.correct(index, plane[0] + plane[1] * u + plane[2] * v[:, np.newaxis])
                states[index].taken[channel, [0, 2, 3]] += plane


def _refit(index, state, coadds, field):
    if not state.partners:
        state.fits = [None] * len(coadds)
        return
    found = [fit_tile(coadd, index) for coadd in coadds]
    state.fits = [None if pair is None else pair[0] for pair in found]
    state.shift = field.shift(index)


def _take_out(index, state, coadds, field):
    """Correct a tile in the coadd by the simplest fault that its fits allow."""
    for channel, (coadd, fit) in enumerate(zip(coadds, state.fits, strict=True)):
        simple, model = fit_tile(coadd, index, _superfluous(fit))
        coadd.correct(index, model)
        state.taken[channel, :4] += simple.terms[:4]
    if state.shift is not None and is_shifted(state.shift):
        field.correct(index, state.shift.pixels)
        state.placed = True


def _superfluous(fit):
    """Terms that a fit can do without: the most, of those sets that leave out nothing significant."""
    for left_out in ((1, 2, 3), (1,), (2, 3)):
        own = np.ix_(left_out, left_out)
        excess = fit.terms[list(left_out)] @ information(fit.covariance[own]) @ fit.terms[list(left_out)]
        if excess <= MIN_SIGNIFICANCE**2:
            return left_out
    return ()


def is_shifted(shift):
    """Whether a shift is both sure and large enough to matter."""
    return shift.significance > MIN_SIGNIFICANCE and np.hypot(*shift.pixels) > SHIFT_FLOOR


def _excess(state):
    """Largest effect that is still in the coadd, in units of its floor; 0 where none is sure."""
    if not state.tested:
        return 0.0
    sizes = [0.0]
    if state.shift is not None and not state.placed and is_shifted(state.shift):
        sizes.append(float(np.hypot(*state.shift.pixels)) / SHIFT_FLOOR)
    for fit, noise in zip(state.fits, state.noise, strict=True):
        size = fit.effect / (OFFSET_FLOOR * noise)
        if size > 1 and np.any(np.abs(fit.z[:4]) > MIN_SIGNIFICANCE):
            sizes.append(size)
    return max(sizes)
