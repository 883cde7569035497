"""Lines along edges, of a pixel to a few or of ten to some twenty: no step, but seen as a seam.

Masks that leave a gap, a feathered rim or a row of a tile's border averaged in make thin ones, and what smooths seams
after the coadd digs broad ones. Each column across an edge tells how far the pixels at the edge lie beyond those beside
it on either side: a step, however soft, lies between both.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ...measure.median import median_of_known
from .fit import along, profiles
from .strips import COLUMNS, NearPixels, spread_ahead

# Distances from the edge in pixels: where a thin line may be, and what it is held against on either side. A broad one
# is read from all of these, and held against what is far.
_AT = np.arange(-2.5, 3.0)
_BESIDE = np.arange(4.0, 8.0)
_NEAR = np.concatenate([-_BESIDE[::-1], _AT, _BESIDE])
_AWAY = np.arange(14.0, 21.0, 2.0)
_FAR = np.concatenate([-_AWAY[::-1], _AWAY])
# How wide a thin or broad line may be.
THIN_PX, _BROAD_PX = 5.0, 24.0
_FEW_PLACES = 4
# Pixels along the edge in a column, a multiple of four.
_ALONG = 8
# Stretches at a time, so that their pixels lie in the cache.
_AT_A_TIME = 32


@dataclass(frozen=True, eq=False)
class Lines:
    """What was found at n edges, of one width.

    Attributes
    ----------
    width : float
        Of the widest such line in pixels.
    depth, error : ndarray, shape (n, C)
        How far the pixels at the edge lie beyond both sides, in adu, negative where they are darker; 0 where they lie
        between them. Of six places within 3 px of the edge, where a thin one may be, that counts which has most errors.
        NaN where not known.
    distance : ndarray, shape (m,)
        From the edge in pixels, of what follows.
    level, spread : ndarray, shape (n, C, m)
        Medians along the edge, less the mean of both sides, and their errors.
    """

    width: float
    depth: np.ndarray
    error: np.ndarray
    distance: np.ndarray
    level: np.ndarray
    spread: np.ndarray

    def scale_by(self, scale):
        """The same in other units, of which `scale`, shape (C,), is one."""
        own = scale[:, np.newaxis]
        return replace(
            self, depth=self.depth / scale, error=self.error / scale, level=self.level / own, spread=self.spread / own
        )

    @classmethod
    def of_columns(cls, width, distance, columns):
        """Lines from values of shape (n, C, columns, m), both sides first and last."""
        level, spread = profiles(columns - (columns[..., :1] + columns[..., -1:]) / 2)
        half = np.abs(level[..., :1] - level[..., -1:]) / 2
        beyond = np.abs(level) - half
        peak = np.argmax(np.nan_to_num(beyond / spread, nan=-np.inf)[..., 1:-1], axis=-1) + 1
        bright = np.take_along_axis(level, peak[..., np.newaxis], -1)[..., 0] > 0
        # Held against the side that lies nearer to it.
        higher_inside = level[..., 0] > level[..., -1]
        side = np.where(bright == higher_inside, 0, columns.shape[-1] - 1)
        own, beside = (
            np.take_along_axis(columns, index[:, :, np.newaxis, np.newaxis], -1)[..., 0] for index in (peak, side)
        )
        depth, error = along(own - beside, np.ones((len(columns), columns.shape[2])))
        # With few columns the one or the other is small by chance, and both must be larger to be as rare.
        error = np.maximum(error, np.take_along_axis(spread, peak[..., np.newaxis], -1)[..., 0])
        error *= 1 + _FEW_PLACES / np.isfinite(own).sum(axis=-1)
        depth = np.where(np.isfinite(depth), np.where(bright, np.maximum(depth, 0), np.minimum(depth, 0)), np.nan)
        return cls(width, depth, error, distance, level - median_of_known(level)[..., np.newaxis], spread)


class LineReader:
    """Where lines are looked for: along edges, found once for all images of a shape.

    Parameters
    ----------
    stretches : Stretches
    regions : Regions
    """

    def __init__(self, stretches, regions):
        self._stretches, self._regions = stretches, regions
        # Lists of (slice of the stretches, NearPixels, NearPixels) by the shape of an image.
        self._places = {}

    def _places_in(self, shape):
        if shape not in self._places:
            ahead, own = spread_ahead(self._stretches, _ALONG), (self._stretches, self._regions, shape)
            parts = (slice(first, first + _AT_A_TIME) for first in range(0, len(ahead), _AT_A_TIME))
            self._places[shape] = [
                (part, *(NearPixels.of(*own, (ahead, depths, part)) for depths in (_NEAR, _FAR))) for part in parts
            ]
        return self._places[shape]

    def read(self, pixels, coverage=None):
        """Look for lines in an image.

        Parameters
        ----------
        pixels : ndarray, shape (H, W, C)
        coverage : ndarray, shape (H, W), optional
            Where it is not positive there is nothing.

        Returns
        -------
        (Lines, Lines)
            Thin and broad ones.
        """
        shape, channels = (len(self._stretches), COLUMNS), pixels.shape[2]
        # Else each look at a few pixels of it would copy it whole.
        coverage = None if coverage is None else np.ascontiguousarray(coverage)
        thin = np.full((*shape, len(_AT) + 2, channels), np.nan, dtype=np.float32)
        broad = np.full((*shape, 3, channels), np.nan, dtype=np.float32)
        with np.errstate(all="ignore"):
            for part, *places in self._places_in(pixels.shape[:2]):
                near, far = (_middle_pairs(own.of_image(pixels, coverage)) for own in places)
                thin[part] = _average_sides(near, len(_BESIDE))
                sides = _average_sides(far, len(_AWAY))
                broad[part] = np.stack([sides[:, :, 0], near.mean(axis=2), sides[:, :, 1]], axis=2)
            return tuple(
                Lines.of_columns(width, np.array([-beside, *at, beside]), columns.transpose(0, 3, 1, 2))
                for width, beside, at, columns in (
                    (THIN_PX, _BESIDE.mean(), _AT, thin),
                    (_BROAD_PX, _AWAY.mean(), [0.0], broad),
                )
            )


def _middle_pairs(values):
    """Columns across edges, shape (n, columns, depth, C), of pixels (n, columns × along, depth, C).

    Each is the mean of the two in the middle of every four along an edge, which stars do not draw along.
    """
    values, fours = values.reshape(len(values), COLUMNS, _ALONG, *values.shape[2:]), []
    for first in range(0, _ALONG, 4):
        one, two, three, four = (values[:, :, first + number] for number in range(4))
        low = np.minimum(np.minimum(one, two), np.minimum(three, four))
        high = np.maximum(np.maximum(one, two), np.maximum(three, four))
        fours.append(one + two + three + four - low - high)
    return sum(fours) / (2 * len(fours))


def _average_sides(pixels, count):
    """Pixels along the third axis with so many of them on either side averaged, those first and last."""
    inside, outside = (
        sum(part[:, :, number] for number in range(count)) / count for part in (pixels, pixels[:, :, -count:])
    )
    return np.concatenate([inside[:, :, np.newaxis], pixels[:, :, count:-count], outside[:, :, np.newaxis]], axis=2)
