"""Every tile against all others: offset, gain and slopes of all of them at once, and which of these are there."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from ...measure.coarse import FACTOR, coarse_shape
from ...parallel import threads
from ...settings import worker_count
from ..terms import TileTerms
from .held_out import Halves, Helps, helps, without_the_refuted
from .model import Channel
from .normal_equations import KINDS, Equations
from .overlaps import find_shared_blocks
from .pricing import find_thresholds, independent_of, unborne
from .scatter import Misfit, Residuals, misfit, spread
from .selection import choose, deviance_drop, fix_gauge, search
from .tile_fit import TileFit, terms_inside, tile_fits
from .witness import Witness, Witnessed, find_witnessed, own_units
from .zero_points import StarScales

# A step changes a gain by this part of itself at most.
_FURTHEST, _STEPS, _LEAST_GAIN = 0.5, 12, 1e-3
_ROUNDS = 30
# Times that what does not help is dropped and all solved again.
_DOUBTS = 4
# Rounds after which the kinds, and before that the weights, stay as they are: they may go to and fro for ever.
_CHOOSING = 8
_WEIGHING = 5
# In errors of a term if the others were known; for gains at first, relatively.
_CONVERGED = 0.02


@dataclass(frozen=True, eq=False)
class Solution:
    """All tiles against one another.

    Attributes
    ----------
    fits : tuple of (TileFit or None)
        One a tile; None where it meets the others in too few places.
    active : ndarray of bool, shape (N, 3)
        Which tile has which kind of fault, `KINDS` in order.
    terms, covariance : ndarray, shapes (C, N, 4) and (C, N, 4, 4)
        Terms of each tile as `TileTerms` has them, with only what is `active`; 0 and NaN for what is not.
    level : ndarray, shape (C, N)
        Median of the sky in adu where each tile meets others.
    noise : ndarray, shape (N, C)
        Noise of one pixel in adu.
    deviance_drop : ndarray, shape (N, 8)
        Fall of the deviance by each set of kinds, as `selection.subset_number` counts them.
    threshold : ndarray, shape (N, 3)
        What a kind must bring to be there.
    independent : float
        How many channels there would be if they were independent.
    neighbours : tuple of tuple of int
        Tiles that each tile shares blocks with.
    equations : tuple of Equations
        One a channel, with what is `active` in them.
    signal : ndarray, shape (C, N)
        What a gain multiplies, in adu: the level, or how far the brightest of what a tile shares rises above it.
    stars : StarScales
        Scales of the tiles by their stars, of those without blocks too; gains were held against those of the others.
    astray : tuple of (int or None, int)
        Tile and channel whose terms grew beyond all values there are, None for those of all tiles; empty where there is
        a solution.
    misfit : Misfit
        How much that is smooth is left.
    helps : Helps
        What each kind that is inside brings where it was not fitted.
    sharing : ndarray of int, shape (N,)
        Tiles with the same number share pixels with one another in all channels, so that their light is one.
    """

    fits: tuple[TileFit | None, ...]
    active: np.ndarray
    terms: np.ndarray
    covariance: np.ndarray
    level: np.ndarray
    noise: np.ndarray
    deviance_drop: np.ndarray
    threshold: np.ndarray
    independent: float
    neighbours: tuple[tuple[int, ...], ...]
    equations: tuple[Equations, ...]
    signal: np.ndarray
    stars: StarScales
    astray: tuple[int | None, ...]
    misfit: Misfit
    helps: Helps
    sharing: np.ndarray

    def of(self, index):
        """What was found in one tile, as `TileTerms` without a shift."""
        return TileTerms(self.terms[:, index], self.covariance[:, index])


def solve(looks, shape_out, stars=None):
    """Solve all tiles at once.

    Parameters
    ----------
    looks : sequence of (CoarseTile or None, ndarray, shape (C,))
        Blocks of each tile and noise of its pixels in adu; at least one.
    shape_out : tuple of int
        (H, W) of the mosaic.
    stars : StarScales, optional
        A second witness of the gains; without it, and where it is silent, the sky alone speaks.

    Returns
    -------
    Solution
    """
    tiles, noise = [tile for tile, _ in looks], np.array([own for _, own in looks])
    stars = StarScales.none(*noise.shape) if stars is None else stars
    there = np.array([tile is not None for tile in tiles])
    witnesses = [Witness.of(stars, channel, there, own) for channel, own in enumerate(own_units(tiles, noise))]
    shared = find_shared_blocks(tiles, coarse_shape(shape_out), [witness.units() for witness in witnesses])
    channels = [Channel(*own) for own in zip(shared, noise.T, witnesses, strict=True)]
    neighbours, groups = _neighbours(channels, len(tiles))
    # Channels know nothing of one another but which tile has which kind of fault.
    with threads(min(worker_count(), len(channels))) as run:
        list(run(lambda channel: _begin(channel, groups), channels))
        nothing = np.zeros((len(tiles), len(KINDS)), dtype=bool)
        active, states = _converge(channels, nothing, groups, lambda *of: search(*of, groups), run)
        equations, threshold = [state.equations for state in states], find_thresholds(channels, states, active)
        settled, crowded = fix_gauge(equations, active, threshold, groups)
        # Where all have a kind, the tile that has none stays the one that the others are measured from.
        known, refuted = np.where(settled, 0.0, np.inf), np.zeros_like(active)

        def choose_again(own, kinds, threshold):
            return choose(own, kinds, np.where(refuted, np.inf, np.where(crowded, known, threshold)), groups)

        if crowded.any():
            active, states = _converge(channels, settled, groups, choose_again, run)
        for _ in range(_DOUBTS):
            own = _find_refuted(channels, states, active, crowded)
            if not own.any():
                break
            refuted |= own
            active, states = _converge(channels, active & ~refuted, groups, choose_again, run)
    return _solution(channels, states, active, stars, neighbours)


def _find_refuted(channels, states, active, spared):
    """Kinds that do not help where they were not fitted, shape (N, 3)."""
    if not active.any():
        return active
    alone = np.zeros_like(active)
    alone[:, 1] = np.any([unborne(*own) for own in zip(channels, states, strict=True)], axis=0)
    if (alone & active).any():
        return alone & active
    halves = [Halves(channel, state.found) for channel, state in zip(channels, states, strict=True)]
    return active & ~without_the_refuted(halves, active, independent_of(channels, states), spared)


def _helps(channels, states, active):
    if not active.any():
        return Helps(*np.zeros((2, len(active), len(KINDS) + 1)))
    halves = [Halves(channel, state.found) for channel, state in zip(channels, states, strict=True)]
    return helps(halves, active, independent_of(channels, states))


def _begin(channel, groups):
    """All terms of all tiles, so that the equations hold where the solution is."""
    # Offsets and slopes first: they do not ask what the sky looks like.
    for turn in range(_STEPS):
        found = find_witnessed(channel, skies=bool(turn))
        change = found.change
        # A gain that nobody speaks for any more must not stay where it was drawn to.
        change[~found.told, 1] = -channel.terms[~found.told, 1]
        left = channel.subtract(change)
        channel.weigh(left, left)
        grown = np.max(np.abs(change[:, 1]) / np.maximum(np.abs(1 + channel.terms[:, 1]), _LEAST_GAIN))
        # A gain far from 1 is reached by halving or doubling; further the straight line does not hold.
        channel.move(channel.terms + change * min(1.0, _FURTHEST / max(grown, _LEAST_GAIN)))
        if turn and grown < _CONVERGED:
            break
    channel.scale_sky(groups)


@dataclass(eq=False)
class _State:
    equations: Equations
    plain: np.ndarray
    residuals: Residuals
    freedom: float
    flat: np.ndarray
    told: np.ndarray
    found: Witnessed


def _linearise_channel(channel, free):
    found = find_witnessed(channel)
    left = channel.subtract(found.change)
    plain = found.equations.full(np.zeros_like(found.told), channel.witness.gains())
    residuals = channel.residuals(left)
    channel.variance, freedom = spread(residuals, free)
    scaled = found.equations.scale_by(channel.variance)
    return _State(scaled, plain, residuals, freedom, found.flat / channel.variance, found.told, found)


def _converge(channels, active, groups, select, run):
    """Kinds and terms until neither changes, the channels in `run`; the last states hold the equations at the end."""
    free = sum(4 * len(group) - 4 for group in groups)

    def linearise():
        return list(run(lambda channel: _linearise_channel(channel, free), channels))

    for turn in range(_ROUNDS):
        states, before = linearise(), active
        equations = [state.equations for state in states]
        if turn < _CHOOSING:
            active = select(equations, active, find_thresholds(channels, states, active))
        _enter(equations, active)
        moved = max(run(lambda channel, state, turn=turn: _move(channel, state, turn < _WEIGHING), channels, states))
        if moved < _CONVERGED and (active == before).all():
            return active, states
    states = linearise()
    _enter([state.equations for state in states], active)
    return active, states


def _move(channel, state, weighing):
    """How far the terms went, in errors, when a channel took those that its equations have."""
    change = state.equations.terms() - channel.terms
    if weighing:
        channel.weigh(state.residuals.left, channel.subtract(state.plain))
    channel.move(channel.terms + change)
    # What a tile alone tells may be below 0 by rounding.
    return np.max(np.abs(change[:, :4]) * np.sqrt(np.maximum(state.equations.alone, 0.0)))


def _enter(equations, active):
    for own in equations:
        own.enter(active)


def _neighbours(channels, count):
    """Partners of each tile, and the groups of tiles that hang together."""
    links = np.zeros((count, count), dtype=bool)
    for channel in channels:
        i, j = channel.pairs
        links[i, j] = links[j, i] = True
    number, label = connected_components(csr_array(links), directed=False)
    groups = [np.flatnonzero(label == own) for own in range(number)]
    neighbours = tuple(tuple(int(other) for other in np.flatnonzero(row)) for row in links)
    return neighbours, [group for group in groups if len(group) > 1]


def with_kinds_of(solution, active):
    """A solution with another choice of which tile has which kind of fault.

    Parameters
    ----------
    solution : Solution
        Its equations are changed; its fits stay those of its own choice.
    active : ndarray of bool, shape (N, 3)

    Returns
    -------
    Solution
    """
    _enter(solution.equations, active)
    terms, covariance = map(np.array, zip(*map(terms_inside, solution.equations), strict=True))
    return replace(solution, active=active, terms=terms, covariance=covariance)


def _solution(channels, states, active, stars, neighbours):
    equations = [state.equations for state in states]
    threshold = find_thresholds(channels, states, active)
    astray = next(((*tile, index) for index, own in enumerate(channels) if (tile := own.astray())), ())
    if astray:
        # As where tiles hold next to no noise: better nothing than that.
        threshold[:], active = np.inf, np.zeros_like(active)
        _enter(equations, active)
    terms, covariance = map(np.array, zip(*map(terms_inside, equations), strict=True))
    return Solution(
        tile_fits(channels, states, np.isfinite(threshold[:, 0]), neighbours),
        active,
        terms,
        covariance,
        np.array([channel.level for channel in channels]),
        FACTOR * np.stack([channel.noise for channel in channels], axis=1),
        deviance_drop(equations),
        threshold,
        independent_of(channels, states),
        neighbours,
        tuple(equations),
        np.array([channel.signal() for channel in channels]),
        stars,
        astray,
        misfit([state.residuals for state in states]),
        _helps(channels, states, active),
        connected_components(csr_array(np.all([channel.sharing for channel in channels], axis=0)), directed=False)[1],
    )
