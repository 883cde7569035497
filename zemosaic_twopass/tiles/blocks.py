"""Means and sums over blocks of pixels."""

from __future__ import annotations

import numpy as np

from .planes import channels_last, real_planes

# Values summed at a time.
_BAND_VALUES = 1 << 19


def block_mean(image, factor, coverage=None):
    """Average an image over blocks of factor × factor pixels, channels together.

    Rows and columns beyond the last whole block are left out.

    Parameters
    ----------
    image : array_like, shape (H, W) or (H, W, C)
        Pixel values in adu, of any real dtype and byte order.
    factor : int
        Side of a block in pixels, at least 1.
    coverage : array_like, shape (H, W), optional
        Pixels where it is not positive count as not finite.

    Returns
    -------
    ndarray, shape (H // factor, W // factor), float64
        Mean over channels and pixels of each block. A pixel with a channel that is not finite is left out: a mean over
        fewer channels would be compared with a mean over all of them. NaN where fewer than half of the pixels are left.

    Raises
    ------
    ValueError
        If `image` has neither two nor three axes, or `coverage` another shape than it.
    TypeError
        If its values are not real numbers.
    """
    return _average_blocks(image, factor, coverage, together=True)[..., 0]


def block_means(image, factor, coverage=None):
    """Average each channel of an image over blocks by itself; parameters and errors as of `block_mean`.

    Returns
    -------
    ndarray, shape (C, H // factor, W // factor), float64
        NaN where fewer than half of the pixels of a block are finite in that channel.
    """
    return np.moveaxis(_average_blocks(image, factor, coverage, together=False), 2, 0)


def _average_blocks(image, factor, coverage, together):
    """Means over blocks, shape (h, w, C); of all channels `together` shape (h, w, 1)."""
    image = real_planes(image, "image")
    height, width, channels = image.shape
    if coverage is not None and np.shape(coverage) != (height, width):
        raise ValueError(f"coverage shape {np.shape(coverage)} != tile shape {(height, width)}")
    down, across = height // factor, width // factor
    out = np.full((down, across, 1 if together else channels), np.nan)
    # Band by band: the temporaries stay in the cache however large the mosaic is.
    step = max(1, _BAND_VALUES // max(1, factor * width * channels))
    for top in range(0, down if across else 0, step):
        rows = slice(top * factor, min(top + step, down) * factor)
        # From a file the rows come with other strides and byte order; once as they are needed is quicker than twice.
        band = np.ascontiguousarray(image[rows], dtype=image.dtype.newbyteorder("="))
        good = None if coverage is None else np.asarray(coverage[rows]) > 0
        out[top : top + step] = _average_band(band, factor, good, together)
    return out


def _average_band(band, factor, good, together):
    """The same of whole rows of blocks; of `good`, shape (n factor, W), those pixels alone that are."""
    across, channels = band.shape[1] // factor, band.shape[2]
    # By products, which take an eighth of the time of sums over so short axes.
    each = np.ones((channels, 1)) if together else np.eye(channels)
    with np.errstate(invalid="ignore", over="ignore"):
        means = _sum_rows(band, factor) @ np.tile(each, (factor, 1)) / (factor * factor * each[:, 0].sum())
    ragged = ~np.isfinite(means).all(axis=2)
    if good is not None and not good.all():
        whole = np.logical_and.reduce(good.reshape(-1, factor, band.shape[1]), axis=1)
        # Column by column of the blocks: numpy is slow at short last axes.
        ragged |= ~np.logical_and.reduce([whole[:, n : across * factor : factor] for n in range(factor)])
    if ragged.any():
        means[ragged] = _average_ragged(
            *(_cut(own, factor)[ragged] for own in (band, good) if own is not None), together=together
        )
    return means


def _cut(band, factor):
    """The blocks of whole rows of them, shape (n, W // factor, factor, factor, …); a view but for what is left over."""
    across = band.shape[1] // factor
    return band[:, : across * factor].reshape(-1, factor, across, factor, *band.shape[2:]).swapaxes(1, 2)


def _average_ragged(blocks, good=None, *, together):
    """Means of blocks, shape (n, factor, factor, C), of what is finite and `good`; NaN where that is less than half."""
    # Channel by channel, the pixels of a block side by side: numpy is slow at short last axes.
    values = np.ascontiguousarray(np.moveaxis(blocks, 3, 0)).reshape(blocks.shape[3], len(blocks), -1)
    known = np.isfinite(values)
    if together:
        known = np.broadcast_to(known.all(axis=0), known.shape)
    if good is not None:
        known = known & good.reshape(len(blocks), -1)
    total = np.where(known, values, 0).sum(axis=2, dtype=np.float64)
    count = np.count_nonzero(known, axis=2)
    if together:
        total, count = (own.sum(axis=0, keepdims=True) for own in (total, count))
    pixels = values[0, 0].size * (len(values) if together else 1)
    return np.where(2 * count >= pixels, total / np.maximum(count, 1), np.nan).T


def block_sum(image, factor):
    """Sums over blocks of factor × factor pixels, channels together.

    Parameters
    ----------
    image : ndarray, shape (n factor, W) or (n factor, W, C)
        Whole rows of blocks; columns beyond the last whole block are left out. No NaN.
    factor : int

    Returns
    -------
    ndarray, shape (n, W // factor), float64
    """
    return _sum_rows(channels_last(image), factor).sum(axis=-1)


def _sum_rows(band, factor):
    """Sums over the rows of whole rows of blocks, shape (n factor, W, C): (n, W // factor, factor × C), float64."""
    # As flat ones: adding long lines to each other is what numpy does fastest.
    lines = np.add.reduce(band.reshape(-1, factor, band.shape[1] * band.shape[2]), axis=1, dtype=np.float64)
    across, each = band.shape[1] // factor, factor * band.shape[2]
    return lines[:, : across * each].reshape(len(lines), across, each)
