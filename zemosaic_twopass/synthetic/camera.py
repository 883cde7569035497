"""A colour camera: frames with noise behind a Bayer mask, debayered and stacked on the grid of a tile."""

from __future__ import annotations

import numpy as np

from .night_sky import BAYER, bilinear

_FULL = 30_000.0
_NOISE_PER_SIGNAL = 0.6
_READ_VARIANCE = 60.0
_TURN_DEG = 2.0
_DITHER_PX = 9.0


def stack(sky, to_plane, shape, frames, rng, noise):
    """Take a tile: frames, each turned and dithered by its own, averaged where they reach.

    Parameters
    ----------
    sky : SeenSky
    to_plane : ndarray, shape (3, 3)
        Projective map from pixels of the tile to those of the plane of the sky.
    shape : tuple of int
        (H, W) of the tile and of a frame.
    frames : int
    rng : (numpy.random.Generator, numpy.random.Generator)
        For the places of the frames and for their noise.
    noise : bool

    Returns
    -------
    data : ndarray, shape (H, W, 3), float32
        In adu, NaN where no frame reaches.
    coverage : ndarray, shape (H, W), float32
        Share of the frames that reach.
    """
    height, width = shape
    total = np.zeros((3, height, width), dtype=np.float32)
    count = np.zeros(shape, dtype=np.float32)
    for _ in range(frames):
        to_tile = _frame_place(rng[0], shape)
        frame = sky.frame(to_plane @ to_tile, shape)
        if noise:
            scatter = np.sqrt(np.float32(_NOISE_PER_SIGNAL) * frame + np.float32(_READ_VARIANCE))
            scatter *= rng[1].standard_normal(shape, dtype=np.float32)
            frame += scatter
        np.minimum(frame, np.float32(_FULL), out=frame)
        planes, reached = bilinear(debayer(frame), np.linalg.inv(to_tile), shape)
        planes *= reached
        total += planes
        count += reached
    data = np.full((height, width, 3), np.nan, dtype=np.float32)
    np.divide(np.moveaxis(total, 0, 2), count[..., np.newaxis], out=data, where=count[..., np.newaxis] > 0)
    return data, count / np.float32(frames)


def _frame_place(rng, shape):
    """Map from the pixels of a frame to those of its tile."""
    angle = np.deg2rad(rng.uniform(-_TURN_DEG, _TURN_DEG))
    dx, dy = rng.uniform(-_DITHER_PX, _DITHER_PX, 2)
    cos, sin = np.cos(angle), np.sin(angle)
    x, y = (shape[1] - 1) / 2, (shape[0] - 1) / 2
    return np.array([[cos, -sin, x + dx - cos * x + sin * y], [sin, cos, y + dy - sin * x - cos * y], [0, 0, 1]])


def debayer(frame):
    """The three colours of every pixel of a Bayer frame: its own as it is, the others as the mean of the nearest.

    Parameters
    ----------
    frame : ndarray, shape (H, W), float32
        RGGB; at least 2 pixels each way.

    Returns
    -------
    ndarray, shape (3, H, W), float32
    """
    # Reflected about the outermost pixels, the colours stay in their places.
    wide = np.pad(frame, 1, mode="reflect")
    up, down, left, right = wide[:-2, 1:-1], wide[2:, 1:-1], wide[1:-1, :-2], wide[1:-1, 2:]
    colours = np.empty((3, *frame.shape), dtype=np.float32)
    colours[:] = frame
    pairs = wide[:-2] + wide[2:]
    for row, column in np.ndindex(2, 2):
        here = np.s_[row::2, column::2]
        beside, above = left[here] + right[here], up[here] + down[here]
        own = BAYER[row, column]
        if own == 1:
            # The row of a green pixel has its red, or its blue, beside it.
            in_row = BAYER[row, 1 - column]
            colours[in_row][here], colours[2 - in_row][here] = beside / 2, above / 2
        else:
            corners = pairs[:, :-2][here] + pairs[:, 2:][here]
            colours[1][here], colours[2 - own][here] = (beside + above) / 4, corners / 4
    return colours
