"""Copies of tiles on disk, put right: everything that is in the file is kept but for pixels and place."""

from __future__ import annotations

import io

import numpy as np
from astropy.io import fits

from ..files import whole_file
from .headers import sky_axes
from .images import TileError, open_hdus, put_spatial_first
from .planes import channels_last

PACKED = (".gz", ".bz2", ".xz", ".fz")

# Rows that are in work at a time, in float64.
_BAND = 128
# What is no longer true of the pixels.
_STALE = ("BSCALE", "BZERO", "BLANK", "DATAMIN", "DATAMAX", "CHECKSUM", "DATASUM")


def name_unpacked(path):
    """File name of a tile without its folder, and without the ending that says that it is packed."""
    return path.stem if path.suffix.lower() in PACKED else path.name


def write_copy(path, copy, edit, moved=(0.0, 0.0), history=()):
    """Write a copy of a tile with other pixels.

    The image becomes float32, unpacked, in the same HDU and order of axes, without cards that were about the old pixels
    (scaling, BLANK, DATAMIN, DATAMAX); a checksum is made anew if there was one. All else is copied as it is.

    Parameters
    ----------
    path : path-like
        As for `tiles.read_master_tile`.
    copy : pathlib.Path
        Written whole or not at all.
    edit : callable
        From the values of some whole rows, shape (C, h, W), float64, NaN where there are none, and the first row's
        number to those of the copy.
    moved : sequence of float, optional
        What is added to the reference pixel, (x, y).
    history : sequence of str, optional
        ASCII, for HISTORY.

    Raises
    ------
    TileError
        As `tiles.read_master_tile`.
    OSError
        If the copy cannot be written.
    """
    with open_hdus(path) as (hdus, index):
        image = hdus[index]
        try:
            pixels = _edit_image(np.asarray(image.data), edit)
        except TileError as error:
            raise TileError(f"{path}: {error}") from None
        header = _edit_header(image.header, moved, history)
        new = (fits.ImageHDU if index else fits.PrimaryHDU)(pixels, header)
        hdus[index] = new
        hdus.update_extend()
        if "CHECKSUM" in image.header:
            new.add_checksum()
        buffer = io.BytesIO()
        # Odd cards are no business of ours: what cannot be mended is handed on as it is.
        hdus.writeto(buffer, output_verify="silentfix+ignore")
    # Not straight into the file: what NumPy's C stream cannot write when it is closed is lost without an error.
    with whole_file(copy) as temporary:
        temporary.write_bytes(buffer.getbuffer())


def _edit_image(data, edit):
    """An image as it lies in a file after an edit, in the same order of axes."""
    pixels = np.empty(data.shape, dtype=np.float32)
    old, new = channels_last(put_spatial_first(data)), channels_last(put_spatial_first(pixels))
    with np.errstate(all="ignore"):
        for top in range(0, len(old), _BAND):
            rows = slice(top, top + _BAND)
            values = np.moveaxis(np.asarray(old[rows], dtype=np.float64), 2, 0)
            new[rows] = np.moveaxis(edit(values, top), 0, 2)
    return pixels


def _edit_header(header, moved, history):
    header = header.copy()
    for key in _STALE:
        header.remove(key, ignore_missing=True, remove_all=True)
    if any(moved):
        for axis, change in zip(sky_axes(header.tostring()), moved, strict=True):
            key = f"CRPIX{axis}"
            header[key] = header.get(key, 0.0) + float(change)
    for line in history:
        header.add_history(line)
    return header
