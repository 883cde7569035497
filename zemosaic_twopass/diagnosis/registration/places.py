"""What stars of one place in the mosaic have in common in a tile: a distortion, a turn, frames that were rounded.

Errors of stars that lie side by side are then not independent, and the shift of a tile that meets the others along a
side is less sure than so many stars would make it. One variance of a place in a tile is told for all tiles, from how
far the stars of single places disagree with the shifts of their tiles (a component of variance, solved for as Paule &
Mandel 1982, J. Res. Natl. Bur. Stand. 87, 377, but for the median in the place of the mean).
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_array, csr_array, dia_array

# So many places across what stars tell of a tile.
_ACROSS = 3
# Those that the shift of their tile rests on tell nothing of how far they disagree with it; nor do so few others.
_OWN = 0.1
_FEWEST_TELLING = 8
_HALVINGS = 40


class Places:
    """Stars by place and tile.

    Parameters
    ----------
    places : ndarray, shape (m, 2)
        Places of every star in every tile that has it, in mosaic pixels.
    tiles, numbers : ndarray of int, shape (m,)
        Which tile, and which star from 0 up, sorted by star.
    weight : ndarray, shape (m,)
        Inverse variances.
    """

    def __init__(self, places, tiles, numbers, weight):
        cells = np.floor(_mean(places, numbers) / _size(places, tiles)).astype(int)
        cells -= cells.min(axis=0)
        cell = (cells @ [1, int(cells[:, 0].max()) + 1])[numbers]
        count = int(tiles.max()) + 1
        known, self._keys = np.unique(cell * count + tiles, return_inverse=True)
        self._tiles = known % count
        shape = int(numbers[-1]) + 1, len(known)
        own = csr_array(coo_array((weight, (numbers, self._keys)), shape=shape))
        total = np.bincount(numbers, weight)
        share = dia_array((1 / total[np.newaxis], [0]), shape=(shape[0],) * 2) @ own
        sums = np.bincount(self._keys, weight, minlength=shape[1])
        self._normal = csr_array(dia_array((sums[np.newaxis], [0]), shape=(shape[1],) * 2) - own.T @ share)

    def variance(self, pulls, inverse, excess):
        """Variance of one coordinate of a place in a tile, beside what the errors of its stars make.

        Parameters
        ----------
        pulls : ndarray, shape (m, 2)
            What each star pulls at its tile where the others have put it.
        inverse : ndarray, shape (N, N)
            Pseudo-inverse of the normal matrix of the tiles.
        excess : float
            Factor of the variances that the weights stand for.

        Returns
        -------
        float
            0 where too few places tell.
        """
        size = sum(np.bincount(self._keys, axis, minlength=len(self._tiles)) ** 2 for axis in pulls.T) / 2
        whole = self._normal.diagonal()
        tiles = csr_array((np.ones(len(whole)), (np.arange(len(whole)), self._tiles)), shape=(len(whole), len(inverse)))
        by_tile = (self._normal @ tiles).toarray()
        free = np.clip(1 - np.einsum("kn,nm,km->k", by_tile, inverse, by_tile, optimize=True) / whole, 0, 1)
        tell = free > _OWN
        if np.count_nonzero(tell) < _FEWEST_TELLING:
            return 0.0
        by_noise = (excess * whole * free)[tell]
        by_place = (self._normal.multiply(self._normal) @ np.ones(len(whole)) * free**2)[tell]
        return _component(size[tell], by_noise, by_place)

    def felt_by(self, influence):
        """The same in combinations of places of stars; `influence` of each of these, shape (k, m). Shape (k, k)."""
        sums = np.stack([np.bincount(self._keys, own, minlength=len(self._tiles)) for own in influence])
        return sums @ sums.T

    def felt(self, influence):
        """Factor of that variance in a combination of shifts; `influence` of each tile on it, shape (N,)."""
        return float(np.sum((self._normal @ influence[self._tiles]) ** 2))


def _component(size, by_noise, by_place):
    """Factor of a second part of variances, with which the median of squares is what it should be; 0 for none.

    Less what the median is high by in one case of six, as what is too low is none: else where there is none some would
    be seen.
    """
    # It is that of the mean of two squares of Gaussian values; the places of two tiles that meet tell the same.
    expected = np.log(2) + 1 / np.sqrt(len(size) / 2)

    def more(factor):
        return np.median(size / (by_noise + factor * by_place)) > expected

    low, high = 0.0, float(np.max(size / by_place)) / expected
    if not more(low):
        return 0.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if more(middle) else (low, middle)
    return low


def _mean(places, numbers):
    """Mean place of each star."""
    count = np.bincount(numbers)
    return np.stack([np.bincount(numbers, axis) / count for axis in places.T], axis=1)


def _size(places, tiles):
    """Side of a place: a part of what the stars of a typical tile span."""
    starts = np.argsort(tiles, kind="stable")
    first = np.flatnonzero(np.diff(tiles[starts], prepend=-1))
    span = np.maximum.reduceat(places[starts], first) - np.minimum.reduceat(places[starts], first)
    return max(float(np.median(np.sqrt(span.prod(axis=1)))) / _ACROSS, 1.0)
