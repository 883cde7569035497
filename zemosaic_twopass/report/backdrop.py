"""What is kept of a mosaic to be drawn: small, and in grey as people stretch it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from astropy.stats import mad_std

from ..tiles.blocks import block_mean

# Pixels of the longer side of what is kept of a mosaic to be drawn.
_SHOWN = 720
# So many pixels tell how an image is to be stretched.
_ENOUGH = 50_000
# How bright the sky is drawn.
_SKY = 0.25


@dataclass(frozen=True, eq=False)
class Backdrop:
    """What is kept of a mosaic to be drawn.

    Attributes
    ----------
    grey : ndarray, shape (h, w), uint8
        Mean of the channels of blocks, after `stretch`; white where there is nothing.
    step : int
        Side of a block in pixels.
    shape : tuple of int
        (H, W) of the mosaic.
    """

    grey: np.ndarray
    step: int
    shape: tuple[int, int]

    @classmethod
    def of(cls, pixels):
        """Reduce a mosaic, shape (H, W) or (H, W, C), to at most 720 pixels a side."""
        shape = np.shape(pixels)[:2]
        step = max(1, -(-max(shape) // _SHOWN))
        grey = stretch(block_mean(pixels, step).astype(np.float32))
        return cls(np.rint(255 * grey).astype(np.uint8), step, tuple(shape))

    def move_by(self, right, up):
        """The same in the pixels of a mosaic that begins so far to the left and below, to a block; white beyond it."""
        grey, (height, width) = np.full_like(self.grey, 255), self.grey.shape
        right, up = (int(np.clip(round(by / self.step), -n, n)) for by, n in ((right, width), (up, height)))
        seen = self.grey[max(-up, 0) : height - max(up, 0), max(-right, 0) : width - max(right, 0)]
        grey[max(up, 0) :, max(right, 0) :][: len(seen), : seen.shape[1]] = seen
        return replace(self, grey=grey)


def stretch(grey):
    """A linear image as people look at it, from 0 to 1: the sky at a quarter, by a midtones transfer function.

    Black lies 2.8 deviations below the median, as screen stretches have it; where there is nothing it is white.
    """
    known = grey[np.isfinite(grey)]
    if not known.size:
        return np.ones_like(grey)
    # Enough for what nobody sees to be off.
    known = known[:: max(1, known.size // _ENOUGH)]
    median = np.median(known)
    spread = mad_std(known)
    black = median - 2.8 * spread
    white = max(np.quantile(known, 0.9995), black + 10 * spread, black + np.finfo(np.float32).tiny)
    with np.errstate(invalid="ignore", divide="ignore"):
        part = np.clip((grey - black) / (white - black), 0, 1)
        sky = float(np.clip((median - black) / (white - black), 1e-6, 1 - 1e-6))
        # The balance that brings the sky to where it is to be.
        balance = sky * (1 - _SKY) / (sky * (1 - 2 * _SKY) + _SKY)
        shown = (balance - 1) * part / ((2 * balance - 1) * part - balance)
    return np.where(np.isfinite(grey), np.nan_to_num(shown), 1.0)
