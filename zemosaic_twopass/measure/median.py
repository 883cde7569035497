"""Medians of what is known."""

from __future__ import annotations

import numpy as np


def median_of_known(values):
    """Median along the last axis of what is not NaN.

    `numpy.nanmedian` to the bit. That one warns where all are NaN, and a filter of its warnings would hold for all
    threads; and it takes twice the time where nothing is missing.

    Parameters
    ----------
    values : ndarray of float
        At least one along the last axis.

    Returns
    -------
    ndarray
        NaN where nothing is known.
    """
    size, missing = values.shape[-1], np.isnan(values)
    if not missing.any():
        half = size // 2
        ordered = np.partition(values, half, axis=-1)
        low = ordered[..., half] if size % 2 else ordered[..., :half].max(axis=-1)
        return (low + ordered[..., half]) / 2
    count = size - np.count_nonzero(missing, axis=-1, keepdims=True)
    ordered = np.sort(values, axis=-1)
    middle = np.maximum(count - 1, 0) // 2, np.minimum(count // 2, size - 1)
    low, high = (np.take_along_axis(ordered, rank, axis=-1)[..., 0] for rank in middle)
    return (low + high) / 2
