"""Images as (H, W, C), whatever number of axes they come with."""

from __future__ import annotations

import numpy as np


def channels_last(image):
    """An image as (H, W, C); a view."""
    image = np.asarray(image)
    return image[..., np.newaxis] if image.ndim == 2 else image


def channel_names(count):
    """Short names of `count` channels: l; r, g, b; else 0, 1, 2, …"""
    return {1: ("l",), 3: ("r", "g", "b")}.get(count, tuple(str(channel) for channel in range(count)))


def in_channel(channel, count):
    """Where in a tile of `count` channels something is, to end a phrase with: `` in channel r``; empty for a mono tile.

    `channel` is None for what is in no channel more than in others.
    """
    return "" if channel is None or count == 1 else f" in channel {channel_names(count)[channel]}"


def real_planes(image, what):
    """An image that may be anything as (H, W, C); a view.

    Parameters
    ----------
    image : array_like, shape (H, W) or (H, W, C)
    what : str
        What to call it in a message.

    Returns
    -------
    ndarray, shape (H, W, C)

    Raises
    ------
    ValueError
        If it has neither two nor three axes.
    TypeError
        If its values are not real numbers.
    """
    image = np.asarray(image)
    if image.ndim not in (2, 3):
        raise ValueError(f"{what} of shape {image.shape}: 2 or 3 axes are needed, not {image.ndim}")
    if image.dtype.kind not in "buif":
        raise TypeError(f"{what} of dtype {image.dtype}: real numbers are needed")
    return channels_last(image)
