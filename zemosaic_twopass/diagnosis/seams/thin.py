"""Thin lines along edges, of a pixel to a few: no step, but seen as a seam.

Masks that leave a gap, a feathered rim or a row of a tile's border averaged in make them. Each column across an edge
tells how far the pixels at the edge lie beyond those beside it on either side: a step, however soft, lies between both.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .fit import along, middle, profiles
from .strips import COLUMNS, near_pixels, spread_ahead

# Distances from the edge in pixels: where a line may be, and what it is held against on either side.
_AT = np.arange(-2.5, 3.0)
_BESIDE = np.arange(4.0, 8.0)
_DEPTHS = np.concatenate([-_BESIDE[::-1], _AT, _BESIDE])
_FEW_PLACES = 4
# Pixels along the edge in a column, a multiple of four.
_ALONG = 8
# Stretches at a time, so that their pixels lie in the cache.
_AT_A_TIME = 64


@dataclass(frozen=True, eq=False)
class ThinLines:
    """What was found at n edges.

    Attributes
    ----------
    depth, error : ndarray, shape (n, C)
        How far the pixels at the edge lie beyond both sides, in adu, negative where they are darker; 0 where they lie
        between them. The one of six places within 3 px of the edge counts that has most errors. NaN where not known.
    distance : ndarray, shape (m,)
        From the edge in pixels, of what follows.
    level, spread : ndarray, shape (n, C, m)
        Medians along the edge, less the mean of both sides, and their errors.
    """

    depth: np.ndarray
    error: np.ndarray
    distance: np.ndarray
    level: np.ndarray
    spread: np.ndarray

    @classmethod
    def of(cls, stretches, regions, pixels, coverage=None):
        """Look along edges.

        Parameters
        ----------
        stretches : Stretches
        regions : Regions
        pixels : ndarray, shape (H, W, C)
        coverage : ndarray, shape (H, W), optional
            Where it is not positive there is nothing.

        Returns
        -------
        ThinLines
        """
        ahead = spread_ahead(stretches, _ALONG)
        columns = np.full((len(stretches), COLUMNS, len(_AT) + 2, pixels.shape[2]), np.nan, dtype=np.float32)
        with np.errstate(all="ignore"):
            for first in range(0, len(stretches), _AT_A_TIME):
                part = slice(first, first + _AT_A_TIME)
                values = near_pixels(stretches, regions, pixels, (ahead, _DEPTHS, part), coverage)
                columns[part] = _columns(values.reshape(len(values), COLUMNS, _ALONG, *values.shape[2:]))
            return cls._of_columns(columns.transpose(0, 3, 1, 2))

    def scale_by(self, scale):
        """The same in other units, of which `scale`, shape (C,), is one."""
        own = scale[:, np.newaxis]
        return replace(
            self, depth=self.depth / scale, error=self.error / scale, level=self.level / own, spread=self.spread / own
        )

    @classmethod
    def _of_columns(cls, columns):
        """Lines from values of shape (n, C, columns, m), both sides first and last."""
        level, spread = profiles(columns - (columns[..., :1] + columns[..., -1:]) / 2)
        half = np.abs(level[..., :1] - level[..., -1:]) / 2
        beyond = np.abs(level) - half
        place = np.argmax(np.nan_to_num(beyond / spread, nan=-np.inf)[..., 1:-1], axis=-1) + 1
        bright = np.take_along_axis(level, place[..., np.newaxis], -1)[..., 0] > 0
        # Held against the side that lies nearer to it.
        higher_inside = level[..., 0] > level[..., -1]
        side = np.where(bright == higher_inside, 0, columns.shape[-1] - 1)
        own, beside = (
            np.take_along_axis(columns, index[:, :, np.newaxis, np.newaxis], -1)[..., 0] for index in (place, side)
        )
        depth, error = along(own - beside, np.ones((len(columns), columns.shape[2])))
        # With few columns the one or the other is small by chance, and both must be larger to be as rare.
        error = np.maximum(error, np.take_along_axis(spread, place[..., np.newaxis], -1)[..., 0])
        error *= 1 + _FEW_PLACES / np.isfinite(own).sum(axis=-1)
        depth = np.where(np.isfinite(depth), np.where(bright, np.maximum(depth, 0), np.minimum(depth, 0)), np.nan)
        distance = np.concatenate([[-_BESIDE.mean()], _AT, [_BESIDE.mean()]])
        return cls(depth, error, distance, level - middle(level)[..., np.newaxis], spread)


def _columns(values):
    """Columns across edges, both sides first and last: (n, columns, m, C) of pixels (n, columns, along, depth, C).

    Each is the mean of the two in the middle of every four along an edge, which stars do not draw along.
    """
    count, fours = len(_BESIDE), []
    for first in range(0, values.shape[2], 4):
        one, two, three, four = (values[:, :, first + number] for number in range(4))
        low = np.minimum(np.minimum(one, two), np.minimum(three, four))
        high = np.maximum(np.maximum(one, two), np.maximum(three, four))
        fours.append(one + two + three + four - low - high)
    pixels = sum(fours) / (2 * len(fours))
    inside, outside = (
        sum(part[:, :, number] for number in range(count)) / count for part in (pixels, pixels[:, :, -count:])
    )
    return np.concatenate([inside[:, :, np.newaxis], pixels[:, :, count:-count], outside[:, :, np.newaxis]], axis=2)
