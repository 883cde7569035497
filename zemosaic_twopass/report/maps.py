"""The delta map as FITS: a primary image that any viewer opens, further layers as extensions."""

from __future__ import annotations

import io

import numpy as np
from astropy.io import fits

from .. import __version__

UNIT = "adu"
_REFERENCES = {"first_pass": "first-pass mosaic", "tiles": "mean of the tiles before the gain"}


def reference_text(report):
    """What the tiles of a report with a delta map were compared with, in words."""
    if not report.of_pass:
        return "mosaic as it was given"
    return _REFERENCES.get(report.delta.reference, report.delta.reference)


def blank_uncompared(layer, count):
    """A layer of a delta map with NaN where nothing was compared.

    Parameters
    ----------
    layer : ndarray, shape (h, w)
        In adu.
    count : ndarray of int, shape (h, w)
        Number of tiles compared.

    Returns
    -------
    ndarray, shape (h, w), float32
    """
    return np.where(count > 0, layer, np.nan).astype(np.float32)


def write_map(report, path):
    """Write the delta map of a report and its layers as FITS.

    The primary image is the mean of \\|tile − reference\\| with NaN where nothing was compared;
    extensions: SIGNED (mean of tile − reference), COUNT (tiles compared), WORST (index of the
    tile furthest from the reference, −1 for none) and, where it is known, BEFORE (the primary
    image with the tiles as given). Each has the celestial WCS, each a checksum.

    Parameters
    ----------
    report : TwoPassReport
        With a delta map.
    path : pathlib.Path
        Overwritten.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    delta = report.delta
    wcs_hdus = delta.wcs.to_fits(relax=True)
    header = wcs_header(delta.wcs, wcs_hdus[0].header)
    primary = fits.PrimaryHDU(blank_uncompared(delta.delta, delta.count), header)
    primary.name = "DELTA"
    primary.header["BUNIT"] = UNIT, "unit of the pixel values"
    for card in _provenance(report):
        primary.header.append(card)
    layers = [
        ("SIGNED", blank_uncompared(delta.signed, delta.count), UNIT),
        ("COUNT", delta.count.astype(np.int32), None),
        ("WORST", delta.worst.astype(np.int32), None),
    ]
    if report.before is not None:
        layers.append(("BEFORE", blank_uncompared(report.before.delta, report.before.count), UNIT))
    hdus = fits.HDUList([primary])
    for name, data, unit in layers:
        hdu = fits.ImageHDU(data, header, name=name)
        if unit:
            hdu.header["BUNIT"] = unit, "unit of the pixel values"
        hdus.append(hdu)
    # The lookup tables of a distorted WCS, which the headers refer to.
    hdus.extend(wcs_hdus[1:])
    buffer = io.BytesIO()
    hdus.writeto(buffer, checksum=True)
    # Not straight into the file: the end of an array that does not fit on the disk any more is lost without an error.
    path.write_bytes(buffer.getvalue())


def wcs_header(wcs, header):
    """Cards of a celestial WCS, a CD matrix as CD and not, as astropy writes it, as PC.

    Viewers that read nothing but CD or CDELT would take a scale of 1° from a PC matrix that holds it.

    Parameters
    ----------
    wcs : astropy.wcs.WCS
    header : astropy.io.fits.Header
        As `wcs.to_fits(relax=True)` gives it, which keeps SIP; not changed.

    Returns
    -------
    astropy.io.fits.Header
    """
    header = header.copy(strip=True)
    if wcs.wcs.has_cd():
        for name in ("PC1_1", "PC1_2", "PC2_1", "PC2_2", "CDELT1", "CDELT2"):
            header.remove(name, ignore_missing=True)
        for i, row in enumerate(wcs.wcs.cd, start=1):
            for j, value in enumerate(row, start=1):
                header[f"CD{i}_{j}"] = float(value), "Coordinate transformation matrix element"
    return header


def _provenance(report):
    delta = report.delta
    reference = reference_text(report)
    tile = "tile x gain" if report.after_gain else "tile as given"
    yield "DOWNSAMP", delta.downsample, "side of a pixel in pixels of the mosaic"
    yield "REFERENC", delta.reference, "what the tiles were compared with"
    yield "NTILES", len(delta.tile_medians), "number of tiles"
    yield "VERDICT", report.verdict, "of the diagnosis, see twopass_report.json"
    yield "CREATOR", f"zemosaic-instrument {__version__}", "software that made this file"
    yield "DATE", report.created[:19], "UTC, when the report was made"
    yield "HISTORY", f"Primary: mean over the tiles of |{tile} - reference|, {UNIT}; NaN: not compared."
    yield "HISTORY", f"SIGNED: mean of {tile} - reference. COUNT: number of tiles compared."
    yield "HISTORY", "WORST: index of the tile furthest from the reference, -1 where none was compared."
    yield "HISTORY", "BEFORE: as the primary, with the tiles as given, before the gain."
    yield "HISTORY", f"Reference: {reference}; block means, then tiles interpolated onto this grid."
