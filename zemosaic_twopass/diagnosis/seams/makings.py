"""What a mosaic is made of: tiles, gains and shares, and so what it should hold, and what a fault in it makes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ...measure.median import median_of_known
from ...measure.robust import GAUSSIAN_MAD
from .sky import match
from .taken import NOTHING, Matching, fit_matching

# Blocks may scatter by so much of the noise of a pixel beside what is predicted: else it was made otherwise.
_CLOSES = 0.1


@dataclass(frozen=True, eq=False)
class Predicted:
    """What a mosaic should hold.

    Attributes
    ----------
    value : ndarray, shape (C, h, w)
        Value of each block, in adu of the tiles; NaN where it is not known.
    scale : ndarray, shape (C,)
        Scale of the mosaic: its adu over those of `value`.
    gains : ndarray, shape (N,)
        Those in it.
    taken : ndarray, shape (N, C), or None
        What background matching took from each tile in adu, but for a constant; NaN where that is not known. None where
        several went into it.
    """

    value: np.ndarray
    scale: np.ndarray
    gains: np.ndarray
    taken: np.ndarray | None = None

    def subtract(self, value):
        """What a mosaic of shape (C, h, w) holds beyond it, in adu of the tiles, but for a constant."""
        return value / self.scale[:, np.newaxis, np.newaxis] - self.value


@dataclass(frozen=True, eq=False)
class Makings:
    """What the mosaics of a pass are made of, N tiles in blocks.

    M = Σ f_i (g_i T_i − c_i) with T_i the tile, g_i its gain, 1 in a first pass, f_i its share of the weight there, and
    c_i what matching took, which is read off the mosaic where everything else is known.

    Attributes
    ----------
    shape : tuple of int
        (h, w) of the mosaics in blocks.
    footprints : sequence of ((tuple of slice, ndarray of shape (h, w)) or None)
        As of `measured.seams_with_tiles`.
    given : sequence of (ndarray, shape (C, h, w), or None)
        Block means of the tiles as given, in their boxes.
    gains : ndarray, shape (N,)
        As applied in the second pass; NaN for one that is not known.
    weights : ndarray, shape (N,)
    doubtful : sequence of bool
        Tiles of which the coadd may have used more than the footprint, as edges that are no sky.
    altered : sequence of bool
        Tiles whose pixels the coadd changed: what matching took of these cannot be read off, and is what it would have
        taken of the tile as it was.
    """

    shape: tuple
    footprints: tuple
    given: tuple
    gains: np.ndarray
    weights: np.ndarray
    doubtful: tuple
    altered: tuple

    def predict(self, picture, before):
        """What a mosaic of a pass should hold.

        Parameters
        ----------
        picture : Picture
        before : dict of str to (Predicted or None)
            Predictions of the mosaics before it.

        Returns
        -------
        Predicted or None
            None where it is not the mean of the tiles that it should be, or of mosaics that are, or that is not known.
        """
        first, second, last = (before.get(name) for name in ("first_pass", "second_pass", "merged"))
        if picture.name == "first_pass":
            return self._mean(picture, np.ones_like(self.gains))
        if picture.name == "second_pass":
            return self._mean(picture, self.gains)
        if picture.name == "final" and "merged" in before:
            # What is done to it as a whole is no seam.
            return last and Predicted(last.value, match(picture.value, last.value)[1], last.gains, last.taken)
        if picture.part is None:
            found = [one for one in (second, first) if one is not None]
            return min(found, key=lambda one: _scatter(one.subtract(picture.value)), default=None)
        if first is None or second is None:
            return None
        share = picture.part
        with np.errstate(invalid="ignore"):
            value = np.where(share >= 1 - NOTHING, second.value, np.where(share <= NOTHING, first.value, np.nan))
        return Predicted(value, second.scale, second.gains)

    def steps_of(self, fields, predicted):
        """What fields of adu in some tiles make in a mosaic, with what matching takes of them.

        Parameters
        ----------
        fields : dict of int to ndarray, shape (C, h, w)
            By tile, in its box; before the gain.
        predicted : Predicted
            Prediction of the mosaic.

        Returns
        -------
        ndarray, shape (C, h, w)
            NaN where it is not known.
        """
        fields = {tile: predicted.gains[tile] * field for tile, field in fields.items()}
        return self._made(fields, self._matching.steps_of(fields), predicted)

    def steps_of_gains(self, predicted):
        """What unequal gains make in a mosaic, as `steps_of`."""
        gains = predicted.gains - np.nanmedian(predicted.gains)
        return self._made(self._given_times(gains), self._matching.steps_of_gains(gains), predicted)

    def _made(self, fields, steps, predicted):
        """What fields after their gains, with those mean steps, make in a mosaic."""
        taken = self._matching.balance(steps if self._is_matched(predicted) else np.zeros_like(steps))
        return self._sum(fields, taken, self._shares(self.weights))

    def _given_times(self, gains):
        return {i: gains[i] * own for i, own in enumerate(self.given) if own is not None}

    def beyond(self):
        """Blocks of which the coadd may have used more than a doubtful tile shows, (h, w) bool, by tile."""
        found = {}
        for tile, (own, doubtful) in enumerate(zip(self.footprints, self.doubtful, strict=True)):
            if own is not None and doubtful:
                found[tile] = np.zeros(self.shape, dtype=bool)
                found[tile][own[0]] = own[1] <= NOTHING
        return found

    def coadd_matched(self):
        """Blocks of a mean of the tiles before any gain, backgrounds matched, shape (C, h, w)."""
        equal = np.ones_like(self.weights)
        taken = self._matching.balance(self._matching.steps_of_gains(equal))
        return self._sum(self._given_times(equal), taken, self._shares(self.weights))

    def noise(self, tiles):
        """Noise of a pixel of that mean, by that of each tile, sequence of ndarray of shape (C,): (C, h, w)."""
        total = np.zeros((len(tiles[0]), *self.shape))
        for own, noise in zip(self._shares(self.weights), tiles, strict=True):
            if own is not None:
                box, share = own
                total[:, box[0], box[1]] = np.nan_to_num(total[:, box[0], box[1]]) + np.multiply.outer(
                    noise**2, share**2
                )
        return np.sqrt(total)

    def _mean(self, picture, gains):
        """`Predicted` of a mean of all tiles after their gains."""
        # A mosaic smaller than a block has no noise.
        if not (np.isfinite(gains).all() and picture.noise.size):
            return None
        fields = {i: gains[i] * own for i, own in enumerate(self.given) if own is not None and self.footprints[i]}
        noise = float(median_of_known(picture.noise.ravel()))
        ones = np.ones_like(self.weights)
        # Not every version weighs tiles in its first pass.
        for weights in (self.weights, ones) if (self.weights != self.weights[0]).any() else (ones,):
            shares = self._shares(weights)
            if all(own is None for own in shares):
                return None
            plain = self._sum(fields, np.zeros((len(gains), len(picture.value))), shares)
            taken = self._taken(picture.value - plain, gains, shares)
            value = self._sum(fields, taken, shares)
            if _scatter(picture.value - value) <= _CLOSES * noise:
                return Predicted(value, np.ones(len(value)), gains, taken)
        return None

    def _taken(self, left, gains, shares):
        """What matching took of each tile, shape (N, C), by what is left of a mosaic of tiles × gains, −Σ f_i c_i."""
        clear = np.ones(self.shape, dtype=bool)
        for own, altered in zip(shares, self.altered, strict=True):
            if own is not None and altered:
                clear[own[0]] &= own[1] == 0
        taken = fit_matching(np.where(clear, left, np.nan), shares)
        if clear.all():
            return taken
        steps = self._matching.steps_of_gains(gains)
        matched = self._matching.would_take(steps, taken)
        if matched:
            return self._matching.balance(steps, taken)
        return taken if matched is None else np.where(np.isfinite(taken), taken, np.nanmedian(taken, axis=0))

    def _shares(self, weights):
        """f of each tile in its box; NaN where what it has in the coadd is not known."""
        total, found = np.zeros(self.shape), []
        for own, weight, doubtful in zip(self.footprints, weights, self.doubtful, strict=True):
            if own is not None:
                share = np.where(own[1] > NOTHING, own[1], np.nan if doubtful else 0.0)
                total[own[0]] += weight * share
        for own, weight in zip(self.footprints, weights, strict=True):
            share = own and weight * np.where(own[1] > NOTHING, own[1], 0.0)
            with np.errstate(invalid="ignore", divide="ignore"):
                found.append(own and (own[0], np.where(total[own[0]] > 0, share / total[own[0]], np.nan)))
        return found

    def _sum(self, fields, taken, shares):
        """Σ f_i (field_i − c_i) on all blocks; NaN where no tile is, or one of them is not known."""
        total, covered = np.zeros((taken.shape[1], *self.shape)), np.zeros(self.shape, dtype=bool)
        for index, own in enumerate(shares):
            if own is None:
                continue
            box, share = own
            field = fields.get(index, 0.0) - taken[index][:, np.newaxis, np.newaxis]
            part, nothing = share * field, share == 0
            # What it has nothing of need not be known.
            part[:, nothing] = 0.0
            total[:, box[0], box[1]] += part
            covered[box] |= ~nothing
        return np.where(covered, total, np.nan)

    @cached_property
    def _matching(self):
        return Matching.of(self.footprints, self.given)

    def _is_matched(self, predicted):
        """Whether backgrounds were matched."""
        if predicted.taken is None:
            return True
        return self._matching.would_take(self._matching.steps_of_gains(predicted.gains), predicted.taken)


def _scatter(left):
    """Scatter of what is left of blocks, about its median of each channel."""
    known = left[:, np.isfinite(left).all(axis=0)]
    if not known.size:
        return np.inf
    return GAUSSIAN_MAD * float(median_of_known(np.abs(known - median_of_known(known)[:, np.newaxis]).ravel()))
