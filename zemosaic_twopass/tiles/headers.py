"""What a FITS header says of where its image lies: read as astropy reads that of a mono image, or refused by card."""

from __future__ import annotations

import math
import re

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS
from astropy.wcs.utils import proj_plane_pixel_scales

from .images import NO_TEXT, TileError, explain_unreadable, quiet_astropy

# Characters of a card of a FITS header.
_CARD = 80
# What is said of an axis, or of a pair: its numbers are the groups.
_OF_AXES = re.compile(
    r"(?:NAXIS|CTYPE|CUNIT|CRVAL|CRPIX|CDELT|CROTA|CNAME)(\d+)|(?:PC|CD)(\d+)_(\d+)|(?:PV|PS)(\d+)_\d+"
)
# wcslib passes over a card of these that is no number: the image would lie at right ascension 0.
_NUMBERS = re.compile(
    r"(?:CRVAL|CRPIX|CDELT|CROTA)\d+|(?:PC|CD|PV)\d+_\d+|[AB]P?_(?:ORDER|\d+_\d+)|LONPOLE|LATPOLE|EQUINOX"
)
_WORDS = re.compile(r"CTYPE\d+|CUNIT\d+|RADESYS")
_OF_IRAF = ("TNX", "ZPX")
# Up to here a PV card may belong to the projection itself.
_PV_OF_TAN = 4


def celestial_wcs(header, shape):
    """The WCS of an image.

    Parameters
    ----------
    header : str
        As `images.open_image` gives it.
    shape : tuple of int
        (H, W) of the image.

    Returns
    -------
    astropy.wcs.WCS
        Two-dimensional: of the first two axes, as if there were no others; of those of the sky where these are others.
        Without the CD matrix where there is a PC matrix, which astropy prefers.

    Raises
    ------
    TileError
        If it is not celestial, its pixels have no area, or a card of it is no number or no text; names the card.
    """
    with quiet_astropy():
        try:
            wcs = _wcs_of(header)[0]
            sky = wcs.celestial if wcs.has_celestial else wcs
            position = sky.pixel_to_world(shape[1] / 2, shape[0] / 2) if wcs.has_celestial else None
            area = float(np.prod(proj_plane_pixel_scales(sky))) if wcs.has_celestial else 0.0
        except TileError:
            raise
        except Exception as error:  # so does wcslib
            raise explain_unreadable(error) from error
    if not wcs.has_celestial:
        raise TileError(f"no celestial WCS: CTYPE is {list(wcs.wcs.ctype)}")
    if not isinstance(position, SkyCoord):
        frame = f"CTYPE {list(sky.wcs.ctype)} in RADESYS {sky.wcs.radesys!r}"
        raise TileError(f"no celestial WCS: {frame} gives no position on the sky")
    if not (math.isfinite(area) and area > 0):
        raise TileError(f"no celestial WCS: a pixel of {area:g} square degrees")
    sky.array_shape = shape
    return sky


def sky_axes(header):
    """Numbers, from 1, of the two axes of the sky in a header that `celestial_wcs` reads, in ascending order."""
    with quiet_astropy():
        wcs = _wcs_of(header)[0].wcs
    return tuple(sorted((wcs.lng + 1, wcs.lat + 1)))


def wcs_remarks(header, shape):
    """What of a WCS astropy passes over, which whoever wrote it may have meant.

    Parameters
    ----------
    header : str
        One that `celestial_wcs` reads.
    shape : tuple of int
        (H, W) of the image.

    Returns
    -------
    list of str
        Empty where all is read.
    """
    with quiet_astropy():
        wcs, cards = _wcs_of(header)
        return [*_two_matrices(header), *_two_polynomials(wcs, cards), *_no_polynomial(wcs, cards, shape)]


def _two_matrices(header):
    kept = [keyword for keyword, _ in _cards(header) if not _beyond_two(keyword)]
    pc, cd = (min(filter(_of(name), kept), default=None) for name in ("PC", "CD"))
    if pc and cd:
        yield f"{pc} and {cd} are both there: as astropy does, PC is read with CDELT, CD is not"


def _two_polynomials(wcs, cards):
    higher = [keyword for keyword in filter(_of("PV"), cards) if int(keyword.partition("_")[2]) > _PV_OF_TAN]
    if {"A_ORDER", "B_ORDER"} <= cards.keys() and higher:
        read, not_read = ("SIP", "PV") if wcs.sip is not None else ("PV", "SIP")
        yield f"A_ORDER (SIP) and {higher[0]} are both there: as astropy does, {read} is read, {not_read} is not"


def _no_polynomial(wcs, cards, shape):
    """One of IRAF's that is not in the header in the form that wcslib reads is left out without a word."""
    ctypes = {keyword: str(_value(cards[keyword])) for keyword in ("CTYPE1", "CTYPE2") if keyword in cards}
    named = [f"{keyword} {ctype!r}" for keyword, ctype in ctypes.items() if ctype[-3:] in _OF_IRAF]
    if not named:
        return
    bare = {keyword: card for keyword, card in cards.items() if not keyword.startswith("WAT")}
    bare |= {keyword: str(fits.Card(keyword, f"{ctype[:-3]}TAN")) for keyword, ctype in ctypes.items()}
    y, x = np.meshgrid(np.linspace(0, shape[0], 5), np.linspace(0, shape[1], 5))
    with_it, without = (each.wcs_pix2world(x, y, 0) for each in (wcs, _wcs_of_cards(list(bare.items()), 2)))
    if np.array_equal(with_it, without):
        yield f"{' and '.join(named)}: astropy finds no polynomial in WAT cards, the tile is placed without it"


def _wcs_of(header):
    """The WCS of a header and the cards it is made of, by keyword: of two axes, of all where these are not the sky."""
    whole = list(_cards(header))
    flat = [(keyword, card) for keyword, card in whole if not _beyond_two(keyword)]
    if any(map(_of("PC"), dict(flat))):
        # Both matrices at once would be read rightly, but whoever scales such a WCS would scale the wrong one.
        flat = [(keyword, card) for keyword, card in flat if not _of("CD")(keyword)]
    wcs = _wcs_of_cards(flat, 2)
    if wcs.has_celestial:
        return wcs, dict(flat)
    return _wcs_of_cards(whole), dict(whole)


def _wcs_of_cards(cards, axes=None):
    _check(cards)
    try:
        header = _header_of(card for _, card in cards)
        if axes is not None:
            header["NAXIS"] = axes
            _complete_sip(header)
        # Not with its own naxis=2: so it cannot pass over PV beside SIP.
        return WCS(header)
    except Exception as error:  # so does wcslib
        ctypes = [" ".join(card.split("/")[0].split()) for keyword, card in cards if keyword.startswith("CTYPE")]
        raise explain_unreadable(f"{', '.join(ctypes) or 'no CTYPE'}: {error}") from error


def _complete_sip(header):
    """SIP without the name of it in CTYPE is read all the same, but astropy says so on standard output."""
    ctypes = ("CTYPE1", "CTYPE2")
    plain = all(str(header.get(key, "")).endswith("-TAN") for key in ctypes) and not any(map(_of("PV"), header))
    if plain and {"A_ORDER", "B_ORDER"} <= set(header):
        for key in ctypes:
            header[key] += "-SIP"


def _check(cards):
    """Raise at a card that wcslib would pass over."""
    for keyword, card in cards:
        if "\0" in card and (_NUMBERS.fullmatch(keyword) or _WORDS.fullmatch(keyword)):
            raise TileError(f"{keyword} {NO_TEXT}")
        if _NUMBERS.fullmatch(keyword):
            value = _value(card)
            number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
            # An equinox may be a word, which does no harm.
            if not number and (keyword != "EQUINOX" or str(value).strip("+- ").lower() in ("nan", "inf", "infinity")):
                raise TileError(f"{keyword} is no number: {'nothing' if value is None else repr(value)}")


def _value(card):
    try:
        value = fits.Card.fromstring(card).value
        return None if isinstance(value, fits.card.Undefined) else value
    except Exception:  # older astropy raises where newer makes a text of it
        return None


def _cards(header):
    """(keyword, card) of each; a NUL byte in a keyword is not part of it."""
    for start in range(0, len(header), _CARD):
        card = header[start : start + _CARD]
        yield card[:8].replace("\0", "").strip(), card


def _header_of(cards):
    # What is left of NUL bytes stands in comments.
    return fits.Header.fromstring("".join(cards).replace("\0", " "))


def _of(name):
    """Whether a keyword is that of an element of a matrix or list of parameters: CD, PC or PV."""
    return re.compile(rf"{name}\d+_\d+").fullmatch


def _beyond_two(keyword):
    found = _OF_AXES.fullmatch(keyword)
    return keyword == "WCSAXES" or (found is not None and max(int(number or 0) for number in found.groups()) > 2)
