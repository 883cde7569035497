"""A mosaic reduced to what its edges are measured by: means and noise of blocks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...tiles.blocks import block_mean, block_means
from ...tiles.planes import channels_last
from .lines import Lines
from .strips import BLOCK

# Noise is the same over a few pixels after an interpolation: neighbours would show too little of it.
_LAG = BLOCK // 2
_EVERY = 4
_BAND = 64 * BLOCK


@dataclass(frozen=True, eq=False)
class Picture:
    """A mosaic in blocks of 8 × 8 pixels; its pixels are let go of.

    Attributes
    ----------
    name : str
        As `SeamMap.mosaic`.
    value : ndarray, shape (C, h, w)
        Means of the blocks in adu; NaN where less than half of a block is known.
    noise : ndarray, shape (C, h, w)
        Standard deviation of a pixel by differences of pixels 4 px apart, in adu; NaN where a pixel is missing.
    part : ndarray, shape (h, w), or None
        How much of each block the second pass has in a merged mosaic.
    lines : tuple of Lines
        Thin and broad ones along the edges of footprints, as `Layout.with_lines` reads them off its pixels.
    """

    name: str
    value: np.ndarray
    noise: np.ndarray
    part: np.ndarray | None = None
    lines: tuple[Lines, ...] = ()

    @classmethod
    def of(cls, name, pixels, coverage=None, part=None):
        """Reduce a mosaic.

        Parameters
        ----------
        name : str
        pixels : array_like, shape (H, W) or (H, W, C)
            Linear, of any real dtype; read in bands. NaN where there is nothing.
        coverage : array_like, shape (H, W), optional
            Where it is not positive there is nothing.
        part : array_like, shape (H, W), bool, optional
            The pixels of a merged mosaic that are the second pass's.

        Returns
        -------
        Picture

        Raises
        ------
        ValueError
            If coverage or part have another shape than the mosaic.
        """
        planes = channels_last(pixels)
        for what, other in (("coverage", coverage), ("part", part)):
            if other is not None and np.shape(other) != planes.shape[:2]:
                raise ValueError(f"{what} shape {np.shape(other)} != mosaic shape {planes.shape[:2]}")
        part = None if part is None else block_mean(np.asarray(part, dtype=np.float32), BLOCK)
        return cls(name, block_means(planes, BLOCK, coverage), _noise(planes), part)


def _noise(planes):
    """Noise of each block of planes, shape (H, W, C), from the mean difference of pixels half a block apart."""
    down, across = (n // BLOCK for n in planes.shape[:2])
    found = np.full((planes.shape[2], down, across), np.nan)
    # In a mosaic that is narrower than a block there is none.
    for top in range(0, down * BLOCK if across else 0, _BAND):
        rows = planes[top : min(top + _BAND, down * BLOCK) : _EVERY, : across * BLOCK]
        # Channel by channel, so that what one of them misses is known of the others.
        band = np.array(np.moveaxis(rows, 2, 0), dtype=np.float32, order="C").reshape(len(found), -1, across, BLOCK)
        with np.errstate(invalid="ignore"):
            apart = np.abs(band[..., _LAG:] - band[..., :_LAG]) @ np.ones(BLOCK - _LAG, dtype=np.float32)
        apart = apart.reshape(len(found), -1, BLOCK // _EVERY, across).mean(axis=2) / (BLOCK - _LAG)
        # The mean difference of Gaussian noise is 2 / sqrt(pi) of it.
        found[:, top // BLOCK :][:, : apart.shape[1]] = apart * (np.sqrt(np.pi) / 2)
    return found
