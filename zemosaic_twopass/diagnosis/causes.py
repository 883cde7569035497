"""What each finding adds to the tiles, so that it can be asked what that makes in a mosaic."""

from __future__ import annotations

import numpy as np

from ..measure.coarse import FACTOR
from .seams import Makings, sky_of

_OFFSET, _GAIN = 0, 1


def makings_of(measurements, corrected_tiles, weights, shape, altered=()):
    """What the mosaics of a pass are made of.

    Parameters
    ----------
    measurements : sequence of TileMeasurement
        Measurements of the tiles as given.
    corrected_tiles : CorrectedTiles
        The same tiles, corrected.
    weights : sequence of float
        Weights of the tiles in the coadd.
    shape : tuple of int
        (H, W) of the mosaics.
    altered : container of int, optional
        Tiles whose pixels the coadd changed, as far as that is known.

    Returns
    -------
    Makings
    """
    blocks = [one.blocks for one in measurements]
    return Makings(
        tuple(int(n) // FACTOR for n in shape),
        tuple(one.footprint for one in measurements),
        tuple(own and own.value for own in blocks),
        np.asarray(corrected_tiles.gains.applied, dtype=float),
        np.asarray(weights, dtype=float),
        tuple(one.border is not None for one in measurements),
        tuple(index in altered for index in range(len(measurements))),
    )


def causes_of(findings, measurements, corrected_tiles):
    """What each finding adds to the tiles.

    Parameters
    ----------
    findings : sequence of Finding
    measurements : sequence of TileMeasurement
        Measurements of the tiles as given.
    corrected_tiles : CorrectedTiles
        The same tiles, corrected.

    Returns
    -------
    list of (dict of int to ndarray, shape (C, h, w), or None)
        In adu before the gain, by tile in its box; NaN where it is not known. None for a finding that adds nothing, or
        of which that is not known.
    """
    with np.errstate(all="ignore"):
        causes = _Causes(measurements, corrected_tiles)
        return [causes.of(finding) for finding in findings]


class _Causes:
    """Tiles as given and mended, and how these differ."""

    def __init__(self, measurements, corrected_tiles):
        self._given = [one.blocks for one in measurements]
        self._footprints = [one.footprint for one in measurements]
        self._corrected = corrected_tiles.in_boxes_of(measurements)
        self._mended = corrected_tiles
        self._sky = None

    def of(self, finding):
        tile, kind = finding.tile, finding.kind
        if kind == "vignetting":
            return {i: self._beyond_terms(i) for i in range(len(self._given)) if self._is_known(i)}
        if tile is None or self._given[tile] is None:
            return None
        if kind in ("gain_not_applied", "gain_swapped", "gain_mismatch"):
            gains = self._mended.gains
            return {tile: (1 - gains.recorded[tile] / gains.applied[tile]) * self._given[tile].value}
        if kind == "uneven_background":
            return {tile: self._given[tile].value - self._sky_in(tile)}
        if not self._is_known(tile):
            return None
        if kind == "astrometry":
            return {tile: self._beyond_terms(tile)}
        terms = dict(zip(("offset", "gain_residual", "gradient"), self._terms(tile), strict=True))
        return {tile: terms[kind]} if kind in terms else None

    def _is_known(self, tile):
        return self._corrected[tile] is not None and self._mended.corrections[tile] is not None

    def _terms(self, tile):
        """What a tile's offset, gain and slopes add to it, shape (C, h, w) each."""
        own, right = self._mended.corrections[tile], self._corrected[tile]
        x, y = self._given[tile].centres()
        u, v = own.uv(x, y[:, np.newaxis])
        value = own.value[:, :, np.newaxis, np.newaxis]
        slopes = value[:, 2] * u + value[:, 3] * v
        return value[:, _OFFSET] + 0 * right, value[:, _GAIN] * right, slopes + 0 * right

    def _beyond_terms(self, tile):
        """What else is taken out of a tile: a bow, or a shift."""
        return self._given[tile].value - self._corrected[tile] - sum(self._terms(tile))

    def _sky_in(self, tile):
        """The sky that the other tiles show, in the box of one that is in none of it."""
        box = self._given[tile].box
        if self._sky is None:
            ends = [own[0] for own in self._footprints if own is not None]
            shape = [max(each[axis].stop for each in ends) for axis in (0, 1)]
            self._sky, _ = sky_of(self._footprints, self._corrected, shape, len(self._given[tile].value))
        return self._sky[:, box[0], box[1]]
