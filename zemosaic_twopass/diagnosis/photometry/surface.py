"""Light on one tile that a surface of second order takes out, as moonlight: told only where its overlaps hold it.

What lies between the overlaps nobody sees. So three sides must hold the surface, what it leaves must be noise, half of
it must foretell the other half, and it must be sure all over the tile.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# So much of the tile is a side; so much of a side must be held, at so many sides.
_BAND = 0.25
_HELD = 0.5
_SIDES = 3
# In errors of a square: what is left of it, root mean square, is no more than noise.
_NOISE = 1.6
# As a part of the rise that is taken out: error of the surface anywhere on the tile.
_MOST_ERROR = 0.2
_CORNERS = np.array([(u, v) for u in (-0.5, 0.0, 0.5) for v in (-0.5, 0.0, 0.5)]).T


@dataclass(frozen=True, eq=False)
class Squares:
    """What a tile shows beyond the others, in one channel, over squares of sky.

    Attributes
    ----------
    value : ndarray, shape (n,)
        Medians in adu.
    error : float
        Error of each, as far as it is noise.
    places : ndarray, shape (2, n)
        (u, v) in what the tile knows, from −½ to ½.
    """

    value: np.ndarray
    error: float
    places: np.ndarray


def second_order(u, v):
    """What a surface of second order is made of at places: its six terms, shape (…, 6)."""
    u, v = np.broadcast_arrays(u, v)
    return np.stack([np.ones_like(u), u, v, u * u, u * v, v * v], axis=-1)


def surface_of(channels):
    """The surface of second order that takes the light out of a tile.

    Parameters
    ----------
    channels : sequence of Squares

    Returns
    -------
    (ndarray, ndarray) or None
        Its terms in adu, as `second_order` has them, and their covariances, shapes (C, 6) and (C, 6, 6); None where the
        overlaps do not hold one, or it leaves more than noise.
    """
    fitted = [_fit(own) for own in channels]
    if None in fitted or not any(_matters(own, terms) for own, (terms, _) in zip(channels, fitted, strict=True)):
        return None
    terms, covariance = zip(*fitted, strict=True)
    return np.array(terms), np.array(covariance)


def _fit(squares):
    """Terms of one channel and their covariance; None where it is not to be trusted."""
    u, v = squares.places
    sides = (u < _BAND - 0.5, u > 0.5 - _BAND, v < _BAND - 0.5, v > 0.5 - _BAND)
    along = (v, v, u, u)
    # A side is held where squares lie all along it.
    held = [len(np.unique(np.floor(8 * own[side]))) > 8 * _HELD for side, own in zip(sides, along, strict=True)]
    if np.count_nonzero(held) < _SIDES or len(u) < 4 * 6:
        return None
    design = second_order(u, v)
    terms, covariance = _solve(design, squares)
    left = (squares.value - design @ terms) / squares.error
    if np.sqrt(np.mean(left**2)) > _NOISE or not _foretell(design, squares):
        return None
    corners = second_order(*_CORNERS)
    worst = np.sqrt(np.max(np.einsum("ij,jk,ik->i", corners, covariance, corners)))
    return (terms, covariance) if worst < _MOST_ERROR * max(np.ptp(design @ terms), 5 * squares.error) else None


def _solve(design, squares):
    terms = np.linalg.lstsq(design, squares.value, rcond=None)[0]
    left = squares.value - design @ terms
    variance = max(np.mean(left**2), squares.error**2)
    return terms, np.linalg.pinv(design.T @ design) * variance


def _foretell(design, squares):
    """Whether each half of the tile, in quarters that meet at corners, is foretold better so than by a plane."""
    u, v = squares.places
    half = (np.floor(2 * u) + np.floor(2 * v)) % 2 == 0
    saved = error = 0.0
    for fit, test in ((half, ~half), (~half, half)):
        guesses = []
        for columns in (slice(0, 3), slice(0, 6)):
            terms = np.linalg.lstsq(design[fit, columns], squares.value[fit], rcond=None)[0]
            guesses.append(design[test, columns] @ terms)
        plane, surface = guesses
        step = surface - plane
        saved += np.sum((squares.value[test] - plane) ** 2 - (squares.value[test] - surface) ** 2)
        error += 4 * np.sum(step**2) * squares.error**2
    return saved > np.sqrt(error)


def _matters(squares, terms):
    """Whether its bend is more than noise."""
    design = second_order(*squares.places)[:, 3:]
    return np.ptp(design @ terms[3:]) > 5 * squares.error
