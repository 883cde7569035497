"""The sky of a night: pedestal, nebulosity and stars, as a camera sees them through the air of one tile."""

from __future__ import annotations

import numpy as np
from scipy import fft

from .mosaics import transform

PEDESTAL = 800.0

_NEBULA_PEAK = 220.0
_NEBULA_COLOUR = np.array([1.0, 0.6, 0.75], dtype=np.float32)
STAR_AREA = 700.0
_STAR_FLUX = 150.0
_LARGEST_FLUX = 2e6
_COLOUR_SPREAD = 0.25
# A star's stamp ends where it is fainter than this, in adu.
_VISIBLE = 0.005
_REACH_STEP = 4
# Nebulosity is kept that much finer than the pixels: linear interpolation in it errs by 0.005 adu.
_FINE = 2
_EDGE = 24
_BAND = 32
# Channel of the pixels of a Bayer cell, RGGB.
BAYER = np.array([[0, 1], [1, 2]])


class NightSky:
    """Nebulosity and stars on a plane of pixels, outside of the air.

    Parameters
    ----------
    rng : numpy.random.Generator
    shape : tuple of int
        (H, W) of the plane.
    star_area : float
        In pixels, for each star.
    """

    def __init__(self, rng, shape, star_area=STAR_AREA):
        size = [fft.next_fast_len(n, real=True) for n in shape]
        wave = np.hypot(np.fft.fftfreq(size[0])[:, np.newaxis], np.fft.rfftfreq(size[1])).astype(np.float32)
        wave[0, 0] = np.inf
        # Power k^-3 is amplitude k^-1.5.
        field = fft.irfft2(fft.rfft2(rng.standard_normal(size, dtype=np.float32)) / (wave * np.sqrt(wave)), size)
        field *= field
        self.nebula = field * np.float32(_NEBULA_PEAK / field.max())
        stars = int(size[0] * size[1] / star_area)
        self.star_xy = rng.uniform(0, 1, (2, stars)) * np.array(size[::-1])[:, np.newaxis]
        self.flux = np.minimum(_STAR_FLUX * (rng.pareto(0.9, stars) + 0.2), _LARGEST_FLUX)
        # From red to blue along one line, as the colours of stars lie.
        self.colour = np.exp(rng.normal(0, _COLOUR_SPREAD, (stars, 1)) * [1.0, 0.0, -1.0])


class SeenSky:
    """The sky through the air of one tile: everything is spread by a Moffat profile of β = 3.

    Parameters
    ----------
    sky : NightSky
    seeing : float
        Full width at half maximum in pixels.
    box : tuple of slice
        (rows, columns) of the plane of the sky that may be looked at.
    """

    def __init__(self, sky, seeing, box):
        self._width = seeing / (2 * np.sqrt(2 ** (1 / 3) - 1))
        self._sky = sky
        # A margin: the transform takes the nebulosity for periodic.
        rows, columns = (_widen(part, n) for part, n in zip(box, sky.nebula.shape, strict=True))
        self._corner = columns.start, rows.start
        self._nebula = self._spread(sky.nebula[rows, columns])

    def _spread(self, nebula):
        """Nebulosity after the air, on a grid `_FINE` times as fine, made to be read by linear interpolation."""
        height, width = nebula.shape
        y, x = (np.fft.fftfreq(n).astype(np.float32) for n in nebula.shape)
        profile = _moffat((height * y[:, np.newaxis]) ** 2 + (width * x) ** 2, self._width)
        spectrum = fft.rfft2(nebula) * (fft.rfft2(profile) / profile.sum())
        # What linear interpolation takes from a wave, on the average over all places, is given to it beforehand.
        y, x = (np.sinc(frequency / _FINE) ** 2 / _FINE for frequency in (y, x))
        spectrum = spectrum[:, : width // 2] / (y[:, np.newaxis] * x[: width // 2])
        # Zeros beyond the highest frequency: the same image on the finer grid.
        finer = np.zeros((_FINE * height, spectrum.shape[1]), dtype=spectrum.dtype)
        finer[: height // 2], finer[-(height // 2) :] = spectrum[: height // 2], spectrum[-(height // 2) :]
        return fft.irfft2(finer, (_FINE * height, _FINE * width))

    def frame(self, to_plane, shape):
        """What falls on a Bayer sensor, without noise.

        Parameters
        ----------
        to_plane : ndarray, shape (3, 3)
            Projective map from pixels of the frame to pixels of the plane of the sky.
        shape : tuple of int
            (H, W) of the frame.

        Returns
        -------
        ndarray, shape (H, W), float32
            In adu.
        """
        to_fine = np.diag([_FINE, _FINE, 1.0]) @ _translation(*(-np.array(self._corner))) @ to_plane
        (image,), _ = bilinear(self._nebula[np.newaxis], to_fine, shape)
        for row, column in np.ndindex(2, 2):
            image[row::2, column::2] *= _NEBULA_COLOUR[BAYER[row, column]]
        image += np.float32(PEDESTAL)
        self._add_stars(image, np.linalg.inv(to_plane))
        return image

    def _add_stars(self, image, from_plane):
        x, y = transform(from_plane, *self._sky.star_xy)
        height, width = image.shape
        peak = 2 * self._sky.flux[:, np.newaxis] * self._sky.colour / (np.pi * self._width**2)
        # Far out the profile is peak (r / width)^-6.
        reach = self._width * (peak.max(axis=1) / _VISIBLE) ** (1 / 6)
        reach = (np.ceil(reach / _REACH_STEP) * _REACH_STEP).astype(int)
        near = (x > -reach) & (x < width + reach) & (y > -reach) & (y < height + reach)
        margin = 2 * int(reach[near].max(initial=0)) + 2
        canvas = np.zeros((height + 2 * margin, width + 2 * margin), dtype=np.float32)
        for size in np.unique(reach[near]):
            chosen = near & (reach == size)
            corners, stamps = self._stamps(x[chosen], y[chosen], peak[chosen], size)
            side = stamps.shape[1]
            for (column, row), stamp in zip((corners + margin).T.tolist(), stamps, strict=True):
                canvas[row : row + side, column : column + side] += stamp
        image += canvas[margin : margin + height, margin : margin + width]

    def _stamps(self, x, y, peak, reach):
        """Stamps of stars that reach as far, shape (n, side, side), and their first (column, row), even."""
        # Whole Bayer cells: every stamp then has the colours in the same places.
        corners = 2 * np.floor((np.stack([x, y]) - reach) / 2).astype(int)
        ahead = np.arange(2 * reach + 2)
        dx, dy = (
            (c[:, np.newaxis] + ahead - p[:, np.newaxis]).astype(np.float32)
            for c, p in zip(corners, (x, y), strict=True)
        )
        stamps = _moffat(dy[:, :, np.newaxis] ** 2 + dx[:, np.newaxis] ** 2, self._width)
        cells = stamps.reshape(len(x), reach + 1, 2, reach + 1, 2)
        cells *= peak.astype(np.float32)[:, BAYER][:, np.newaxis, :, np.newaxis, :]
        return corners, stamps


def bilinear(planes, matrix, shape):
    """Several planes on another grid, by linear interpolation.

    Parameters
    ----------
    planes : ndarray, shape (n, H, W), float32
        C-contiguous.
    matrix : ndarray, shape (3, 3)
        Projective map from the pixels of the grid to those of the planes.
    shape : tuple of int
        (h, w) of the grid.

    Returns
    -------
    images : ndarray, shape (n, h, w), float32
        Beyond the planes' outermost pixels what lies there, carried on.
    inside : ndarray, shape (h, w), bool
        Where the planes reach.
    """
    height, width = planes.shape[1:]
    flat = planes.reshape(len(planes), -1)
    images, inside = np.empty((len(planes), *shape), dtype=np.float32), np.empty(shape, dtype=bool)
    columns, rows = np.arange(shape[1], dtype=np.float32), np.arange(shape[0], dtype=np.float32)[:, np.newaxis]
    # Band by band, so that all that is made on the way stays in the cache.
    for band in (slice(top, top + _BAND) for top in range(0, shape[0], _BAND)):
        x, y = transform(matrix, columns, rows[band])
        inside[band] = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
        column, row = np.clip(x.astype(np.int32), 0, width - 2), np.clip(y.astype(np.int32), 0, height - 2)
        first = (row * np.int32(width) + column).astype(np.intp)
        x -= column
        y -= row
        for plane, image in zip(flat, images, strict=True):
            top, bottom = plane.take(first), plane[width:].take(first)
            top += x * (plane[1:].take(first) - top)
            bottom += x * (plane[width + 1 :].take(first) - bottom)
            bottom -= top
            bottom *= y
            np.add(top, bottom, out=image[band])
    return images, inside


def _moffat(squares, width):
    """Moffat profile of β = 3, 1 in the middle, at squared distances; these are overwritten."""
    squares *= np.float32(1 / width**2)
    squares += np.float32(1)
    return 1 / (squares * squares * squares)


def _translation(x, y):
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1.0]])


def _widen(part, size):
    """A part with an edge on both sides, of a length that the transform likes, inside of a plane of a size."""
    length = min(size, fft.next_fast_len(part.stop - part.start + 2 * _EDGE, real=True))
    start = min(max(0, part.start - _EDGE), size - length)
    return slice(start, start + length)
