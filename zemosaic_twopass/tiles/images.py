"""FITS images that may be anybody's: opened within bounds, mapped into memory where the file allows it."""

from __future__ import annotations

import bz2
import gzip
import lzma
import math
import warnings
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.utils.exceptions import AstropyWarning

# What is said of a card that astropy cannot take for text.
NO_TEXT = "holds NUL bytes or others that are no text"

_COVERAGE = "ALPHA"
_CHANNELS = (1, 3)
# More cannot be the planes of an axis of colours.
_MAX_PLANES = 4
# Far beyond any tile: a file that claims more, or unpacks to more, is not read.
_MAX_VALUES = 1 << 30
_MAX_BYTES = 1 << 33
_MAX_HDUS = 256
_MAX_HEADER_BYTES = 1 << 23
# Bytes that a FITS file is made of, by its standard.
_FITS_BLOCK = 2880
_UNPACK = {b"\x1f\x8b": gzip.open, b"BZ": bz2.open, b"\xfd7": lzma.open}


class TileError(ValueError):
    """A tile that cannot be used; the message names it and states both values."""


@contextmanager
def open_image(path):
    """Open a FITS image to be read in parts.

    Parameters
    ----------
    path : path-like
        As for `tiles.read_master_tile`.

    Yields
    ------
    data : ndarray, shape (H, W) or (H, W, C)
        As it lies in the file, mapped into memory and not read yet where the file allows it. For the time of the
        block only: what is to stay must be copied.
    header : str
        Header of the image, which `headers.celestial_wcs` makes a WCS of. A WCS itself loses its last bits when it is
        pickled.
    coverage : ndarray, shape (H, W), or None
        As `data`.

    Raises
    ------
    TileError
        As `tiles.read_master_tile`; one that is raised within the block gets the file's name too.
    """
    with _name_in_errors(path), _open_parts(Path(path)) as parts:
        yield parts


@contextmanager
def _open_parts(path):
    with _open_with_image(path) as (hdus, index):
        image = hdus[index]
        try:
            data = put_spatial_first(np.asarray(image.data))
            coverage = np.squeeze(np.asarray(hdus[_COVERAGE].data)) if _COVERAGE in hdus else None
        except TileError:
            raise
        except Exception as error:  # astropy raises much on a damaged file
            raise explain_unreadable(error) from error
        if coverage is not None and coverage.shape != data.shape[:2]:
            raise TileError(f"ALPHA shape {coverage.shape} != image shape {data.shape[:2]}")
        yield data, _read_header(image.header), coverage


def _read_header(header):
    for card in header.cards:
        try:
            str(card)
        except Exception as error:  # astropy does not say which card it is
            raise TileError(f"{card.keyword.strip()} {NO_TEXT}") from error
    return header.tostring()


@contextmanager
def open_hdus(path):
    """Open a FITS file that holds an image, to take over what else is in it.

    Parameters
    ----------
    path : path-like
        As for `tiles.read_master_tile`.

    Yields
    ------
    hdus : astropy.io.fits.HDUList
        For the time of the block only.
    index : int
        Which of them the image is.

    Raises
    ------
    TileError
        As `open_image`.
    """
    with _name_in_errors(path), _open_with_image(Path(path)) as found:
        yield found


@contextmanager
def _name_in_errors(path):
    """Errors of a file get its name."""
    try:
        with quiet_astropy():
            yield
    except TileError as error:
        raise TileError(f"{path}: {error}") from None


@contextmanager
def _open_with_image(path):
    """The HDUs of a file and the index of its image; without the file's name in what is raised."""
    with ExitStack() as stack:
        try:
            hdus = stack.enter_context(_open_checked(path, memmap=True))
            if any(key in hdu.header for hdu in hdus for key in ("BSCALE", "BZERO", "BLANK")):
                # An image that is stored scaled must be computed.
                hdus = stack.enter_context(_open_checked(path, memmap=False))
            images = [index for index, hdu in enumerate(hdus) if _is_image(hdu)]
            if not images:
                raise TileError("holds no image")
        except TileError:
            raise
        except Exception as error:  # astropy raises much on a damaged file
            raise explain_unreadable(error) from error
        yield hdus, images[0]


def _is_image(hdu):
    return hdu.is_image and hdu.header.get("NAXIS", 0) >= 2 and hdu.name.upper() != _COVERAGE


def explain_unreadable(error):
    """The TileError of what another library raised, in one line."""
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    return TileError(f"cannot be read: {reason}")


@contextmanager
def _open_checked(path, memmap):
    with _open_regular(path) as file, fits.open(file, memmap=memmap and not isinstance(file, _Unpacked)) as hdus:
        _check_sizes(hdus)
        yield hdus


class _Unpacked:
    """A packed file as it unpacks; headers without an end are not read for ever."""

    def __init__(self, file):
        self._file = file
        self._left = _MAX_HEADER_BYTES
        self.seek, self.tell, self.close = file.seek, file.tell, file.close

    def read(self, size=-1):
        # Headers are read block by block, an image at once.
        self._left -= size if 0 <= size <= _FITS_BLOCK else 0
        if self._left < 0:
            # An OSError: astropy takes a ValueError for the end of the file.
            raise OSError(f"headers of more than {_MAX_HEADER_BYTES} bytes")
        return self._file.read(size)


@contextmanager
def _open_regular(path):
    """What astropy is to read: the file, or what a packed one unpacks to; never a name, which it might fetch."""
    if path.exists() and not path.is_file():
        raise TileError("cannot be read: is not a regular file")
    with path.open("rb") as file:
        magic = file.read(2)
        file.seek(0)
        if magic == b"PK":
            raise TileError("cannot be read: is a zip archive")
        if magic not in _UNPACK:
            yield file
            return
        with _UNPACK[magic](file) as unpacked:
            yield _Unpacked(unpacked)


def _check_sizes(hdus):
    """Hold every HDU to a sane size before anything behind it is looked for."""
    total = 0
    for number, hdu in enumerate(hdus, start=1):
        values = math.prod(int(n) for n in hdu.shape) if hdu.is_image else 0
        # Behind one that cannot be made out, which has no such account, nothing is looked for.
        total += hdu.fileinfo()["datSpan"] if hasattr(hdu, "fileinfo") else 0
        if values > _MAX_VALUES:
            raise TileError(f"image of shape {hdu.shape}: {values} values > {_MAX_VALUES}")
        if total > _MAX_BYTES or number > _MAX_HDUS:
            raise TileError(f"{total} bytes in {number} HDUs; at most {_MAX_BYTES} in {_MAX_HDUS} are read")


@contextmanager
def quiet_astropy():
    """What astropy mends in a header is no news to the reader; what it cannot mend raises."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AstropyWarning)
        yield


def put_spatial_first(data):
    """An image as it lies in a file as HW or HWC; a view.

    Parameters
    ----------
    data : ndarray
        Where it has more than three axes, those of length 1 are passed over, the outermost first.

    Returns
    -------
    ndarray, shape (H, W) or (H, W, C)

    Raises
    ------
    TileError
        If it has neither two nor three axes, which of three holds the channels cannot be told, or there are other
        than 1 or 3 of them: the last may be no colour.
    """
    shape = data.shape
    while data.ndim > 3 and 1 in data.shape:
        data = data.squeeze(data.shape.index(1))
    if data.ndim == 2:
        return data
    if data.ndim != 3:
        raise TileError(f"image of shape {shape}: 2 or 3 axes are needed, not {data.ndim}")
    small = [axis for axis, size in enumerate(data.shape) if size <= _MAX_PLANES]
    if small not in ([0], [2]):
        raise TileError(
            f"axis order of shape {shape} cannot be told: one outer axis of at most {_MAX_PLANES} channels is needed"
        )
    planes = data.shape[small[0]]
    if planes not in _CHANNELS:
        raise TileError(f"{planes} planes, 1 or 3 are read: is the last one alpha? give it as an extension {_COVERAGE}")
    return np.moveaxis(data, small[0], 2)
