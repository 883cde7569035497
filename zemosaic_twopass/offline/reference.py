"""The mosaic that tiles are replayed against: whether it goes with them, and in which scale it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..tiles.images import TileError

# Mosaics of the tiles themselves come out above 0.8, others below 0.15; fewer blocks tell nothing.
# Least correlation of a mosaic with what its tiles show, and fewest blocks to tell it by.
_LEAST_CORRELATION, _LEAST_BLOCKS = 0.4, 30
# In pixels: what lies further off makes a map of edges of stars.
_FURTHEST = 1.5
# What gains, which are clipped to 0.85 and 1.18, may make of a scale and a level; in noise, where the level is none.
_SCALES, _OF_LEVEL, _OF_NOISE = (0.8, 1.25), 0.25, 5.0


@dataclass(frozen=True, eq=False)
class MosaicFit:
    """A mosaic as scale × tiles + level.

    Attributes
    ----------
    scale, level : ndarray, shape (C,)
        The level in units of the mosaic.
    """

    scale: np.ndarray
    level: np.ndarray

    def in_adu(self, means):
        """Block means of the channels of a mosaic, shape (C, h, w), as one in adu of the tiles, shape (h, w)."""
        return np.mean(
            [(mean - own) / scale for mean, scale, own in zip(means, self.scale, self.level, strict=True)], 0
        )


def fit_mosaic(means, tiles, noise):
    """Hold a mosaic against its tiles.

    What a block has more than its four neighbours is compared: levels and slopes of single tiles, and matched
    backgrounds, are not in it; stars and, where there are none, the noise of the very same pixels are.

    Parameters
    ----------
    means : ndarray, shape (C, h, w)
        Means of the mosaic in blocks of `coarse.FACTOR` pixels; NaN where it holds nothing.
    tiles : sequence of (CoarseTile or None)
        With as many channels.
    noise : float
        Standard deviation of a pixel of the tiles, in adu.

    Returns
    -------
    MosaicFit or None
        None where the mosaic is in the tiles' adu, or too few blocks tell.

    Raises
    ------
    TileError
        If it does not go with them: they show something else, or the same at other places.
    """
    sky = [_mean_of(tiles, name, means.shape) for name in ("value", "dx", "dy")]
    details = [np.stack([_detail(plane) for plane in layer]) for layer in (means, *sky)]
    known = np.isfinite(details).all(axis=(0, 1))
    count, covered = np.count_nonzero(known), np.count_nonzero(np.isfinite(means).all(axis=0))
    if count < _LEAST_BLOCKS:
        if covered >= _LEAST_BLOCKS and not count:
            raise TileError("does not go with the tiles: none of them meets what it covers")
        return None
    details = [layer[:, known] for layer in details]
    correlations = np.array([_correlation(*pair) for pair in zip(*details[:2], strict=True)])
    if not np.isfinite(correlations).any():
        # Without any detail nothing is known.
        return None
    correlation = float(np.nanmedian(correlations))
    if correlation < _LEAST_CORRELATION:
        raise TileError(
            f"does not go with the tiles: correlation {correlation:.2f} with what they show, "
            f"{_LEAST_CORRELATION} is needed; another sky, another WCS, or upside down?"
        )
    x, y = np.median([_shift(*layers) for layers in zip(*details, strict=True)], axis=0)
    if np.hypot(x, y) > _FURTHEST:
        raise TileError(
            f"does not go with the tiles: it lies about x={x:+.1f} y={y:+.1f} px beside them, "
            f"at most {_FURTHEST} px are looked past"
        )
    scale = np.array([_scale(*pair) for pair in zip(*details[:2], strict=True)])
    level = np.array([np.nanmedian(mean - own * tile) for mean, own, tile in zip(means, scale, sky[0], strict=True)])
    if not (np.isfinite([scale, level]).all() and (scale > 0).all()):
        return None
    off = np.nanmedian(means - sky[0], axis=(1, 2))
    allowed = np.fmax(_OF_LEVEL * np.abs(np.nanmedian(sky[0], axis=(1, 2))), _OF_NOISE * noise)
    gains_alone = (scale >= _SCALES[0]) & (scale <= _SCALES[1]) & (np.abs(off) <= allowed)
    return None if gains_alone.all() else MosaicFit(scale, level)


def _mean_of(tiles, name, shape):
    """Mean over the tiles of one of their maps on the coarse grid of the mosaic; NaN where none knows."""
    total, count = np.zeros(shape), np.zeros(shape)
    for tile in tiles:
        if tile is not None:
            layer, part = getattr(tile, name), (slice(None), *tile.box)
            total[part] += np.nan_to_num(layer, nan=0.0)
            count[part] += np.isfinite(layer)
    return np.divide(total, count, out=np.full(shape, np.nan), where=count > 0)


def _detail(plane):
    """What each block has more than the mean of its four neighbours; NaN along the edges."""
    detail = np.full(plane.shape, np.nan)
    if min(plane.shape) > 2:
        around = plane[:-2, 1:-1] + plane[2:, 1:-1] + plane[1:-1, :-2] + plane[1:-1, 2:]
        detail[1:-1, 1:-1] = plane[1:-1, 1:-1] - around / 4
    return detail


def _correlation(mosaic, tiles):
    """Pearson's, of details in units of their usual size; beyond that their logarithm, so that no star is all."""
    usual = [np.median(np.abs(detail)) for detail in (mosaic, tiles)]
    if min(usual) <= 0:
        return np.nan
    return np.corrcoef(np.arcsinh(mosaic / usual[0]), np.arcsinh(tiles / usual[1]))[0, 1]


def _shift(mosaic, tiles, dx, dy):
    """How far the mosaic lies from the tiles in its pixels, (x, y): to first order, so rightly up to about 3 px."""
    weight = 1 / np.sqrt(np.median(np.abs(tiles)) ** 2 + tiles**2 + (2 * dx) ** 2 + (2 * dy) ** 2)
    layers = np.stack([tiles, dx, dy], axis=1) * weight[:, np.newaxis]
    (scale, *moved), *_ = np.linalg.lstsq(layers, mosaic * weight, rcond=None)
    return -np.array(moved) / scale


def _scale(mosaic, tiles):
    """The factor with the least sum of absolute residuals: the median of the ratios, weighted by the tiles' details."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = mosaic / tiles
    order = np.argsort(ratio)
    weights = np.cumsum(np.abs(tiles)[order])
    return ratio[order][np.searchsorted(weights, weights[-1] / 2)]
