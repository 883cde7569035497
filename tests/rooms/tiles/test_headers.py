"""WCS of every sort, read as astropy reads that of the mono image; and what is said of those that it misreads."""

import io
import logging
import warnings

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from helpers.sorts_of_wcs import SHAPE, SORTS, header_of, iraf
from zemosaic_twopass.tiles.grid import block_wcs
from zemosaic_twopass.tiles.headers import celestial_wcs, wcs_remarks
from zemosaic_twopass.tiles.images import TileError
from zemosaic_twopass.tiles.reading import load_master_tiles, read_master_tile

LEADING = {"mono": (), "cube": (3,), "NAXIS 4": (1, 3)}
THIRD_AXIS = {"CTYPE3": "RGB", "CRPIX3": 1.0, "CRVAL3": 1.0, "CDELT3": 1.0, "CD1_3": 0.0, "CD3_3": 1.0, "WCSAXES": 3}


def written(path, header, leading=()):
    fits.PrimaryHDU(np.ones((*leading, *SHAPE), "f4"), header).writeto(path)
    return path


def corners(wcs):
    """Pixels of the image and beyond."""
    x, y = np.meshgrid([-0.5, 20.0, 39.5], [-0.5, 14.0, 29.5])
    return np.array(wcs.all_pix2world(x, y, 0))


def as_astropy_reads(header):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return corners(WCS(fits.PrimaryHDU(np.ones(SHAPE, "f4"), header).header))


@pytest.mark.parametrize("leading", LEADING)
@pytest.mark.parametrize("sort", SORTS)
def test_every_sort_is_read_as_in_a_mono_image(tmp_path, sort, leading):
    tile = read_master_tile(written(tmp_path / "tile.fits", SORTS[sort], LEADING[leading]))
    assert tile.pixels.shape == SHAPE + (3,) * (leading != "mono")
    assert tile.wcs.naxis == 2
    assert tile.wcs.array_shape == SHAPE
    expected = as_astropy_reads(SORTS[sort])
    np.testing.assert_allclose(corners(tile.wcs), expected, atol=1e-11, rtol=0)
    # The sorts do differ: what holds of one by chance does not of all.
    assert np.abs(expected - corners(WCS(header_of(matrix="CDELT")))).max() > 1e-6 or sort == "CDELT alone"


def test_astropy_prints_nothing(tmp_path, capfd):
    """What it has to say of SIP without its name would stand before the JSON of a command."""
    celestial_wcs(SORTS["SIP without its name"].tostring(), SHAPE)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("sort", ["CD", "SIP", "TPV", "PV of SCAMP", "TNX", "SIP and PV"])
def test_cards_of_a_third_axis_change_nothing(tmp_path, sort):
    header = SORTS[sort].copy()
    header.update(THIRD_AXIS)
    for leading in ((3,), ()):
        tile = read_master_tile(written(tmp_path / f"{len(leading)}.fits", header, leading))
        np.testing.assert_allclose(corners(tile.wcs), as_astropy_reads(SORTS[sort]), atol=1e-11, rtol=0)


def test_two_matrices_are_one_where_the_wcs_is_scaled():
    """A block-averaged tile lies where the tile lies."""
    wcs = celestial_wcs(SORTS["PC and CD"].tostring(), SHAPE)
    middle = (0.5 / 4 - 0.5,) * 2
    np.testing.assert_allclose(
        block_wcs(wcs, 4).all_pix2world(*middle, 0), wcs.all_pix2world(0, 0, 0), atol=1e-10, rtol=0
    )


def with_card(header, text, leading=()):
    """A FITS file in which a card is another, byte for byte."""
    buffer = io.BytesIO()
    fits.PrimaryHDU(np.ones((*leading, *SHAPE), "f4"), header).writeto(buffer)
    content, key = buffer.getvalue(), text[:8].replace(b"\0", b" ")
    assert content.count(key + b"=") == 1
    start = content.index(key + b"=")
    return content[:start] + text.ljust(80)[:80] + content[start + 80 :]


BAD_CARDS = {
    "NaN": (b"CRVAL1  =                  NaN", "CRVAL1 is no number: 'NaN'"),
    "nan in CRPIX": (b"CRPIX2  = nan", "CRPIX2 is no number: 'nan'"),
    "NaN in CD": (b"CD1_1   =                  NaN", "CD1_1 is no number"),
    "NaN in SIP": (b"A_2_0   =                  NaN", "A_2_0 is no number"),
    "infinite": (b"CRVAL2  =                 -Inf", "CRVAL2 is no number"),
    "too large": (b"CRVAL1  =                1E999", "CRVAL1 is no number: inf"),
    "blank": (b"CRVAL1  =", "CRVAL1 is no number: nothing"),
    "text": (b"CRVAL1  = '83.8    '", "CRVAL1 is no number: '83.8'"),
    "comma": (b"CRVAL1  =                 83,8", "CRVAL1 is no number: '83,8'"),
    "logical": (b"CRVAL1  =                    T", "CRVAL1 is no number: True"),
    "NaN in EQUINOX": (b"EQUINOX =                  NaN", "EQUINOX is no number"),
    "NUL at the end": (b"CRVAL1  =                 83.8".ljust(80, b"\0"), "CRVAL1 holds NUL bytes"),
    "NUL in a number": (b"CRVAL1  =               83\0.8", "CRVAL1 holds NUL bytes"),
    "NUL before a number": (b"CRVAL1  =\0                83.8", "CRVAL1 holds NUL bytes"),
    "NUL in a keyword": (b"CRVAL1\0 =                 83.8", "CRVAL1 holds NUL bytes"),
    "NUL in a word": (b"CTYPE1  = 'RA---TAN\0\0'", "CTYPE1 holds NUL bytes"),
    "NUL elsewhere": (b"OBJECT  = 'M42\0\0   '", "OBJECT holds NUL bytes"),
}


@pytest.mark.parametrize("kind", BAD_CARDS)
@pytest.mark.parametrize("leading", [(), (3,)])
def test_a_card_that_would_be_passed_over_is_named_with_its_file(tmp_path, kind, leading):
    text, words = BAD_CARDS[kind]
    header = SORTS["SIP"].copy()
    header.update({"EQUINOX": 2000.0, "OBJECT": "M42"})
    path = tmp_path / "tile.fits"
    path.write_bytes(with_card(header, text, leading))
    with pytest.raises(TileError) as caught:
        read_master_tile(path)
    assert str(caught.value).startswith(f"{path}: {words}")


def test_a_bad_card_of_a_compressed_image_is_named(tmp_path):
    path = tmp_path / "tile.fits.fz"
    image = fits.CompImageHDU(np.ones(SHAPE, "f4"), header_of(), compression_type="GZIP_2", quantize_level=0)
    fits.HDUList([fits.PrimaryHDU(), image]).writeto(path)
    content = path.read_bytes()
    start = content.index(b"CRVAL1  =")
    path.write_bytes(content[:start] + b"CRVAL1  =                  NaN".ljust(80) + content[start + 80 :])
    with pytest.raises(TileError, match=r"tile\.fits\.fz: CRVAL1 is no number"):
        read_master_tile(path)


def test_bytes_of_no_text_in_comments_are_no_matter(tmp_path):
    """Wherever they stand: nothing behind them is lost."""
    header = header_of()
    header.insert("CTYPE1", ("CREATOR", "x"))
    for number, text in enumerate((b"COMMENT = a\0\0", b"\0" * 80)):
        content = with_card(header, b"CREATOR = 'x'")
        start = content.index(b"CREATOR =")
        path = tmp_path / f"{number}.fits"
        path.write_bytes(content[:start] + text.ljust(80) + content[start + 80 :])
        np.testing.assert_array_equal(corners(read_master_tile(path).wcs), as_astropy_reads(header_of()))


def test_nan_of_an_axis_that_is_not_read_is_no_matter(tmp_path):
    header = header_of()
    header["CRVAL3"] = 1.0
    (tmp_path / "tile.fits").write_bytes(with_card(header, b"CRVAL3  =                  NaN", (3,)))
    np.testing.assert_array_equal(corners(read_master_tile(tmp_path / "tile.fits").wcs), as_astropy_reads(header_of()))


def remarks(header):
    return wcs_remarks(header.tostring(), SHAPE)


def test_what_is_passed_over_is_said():
    (both,) = remarks(SORTS["PC and CD"])
    assert "PC1_1 and CD1_1 are both there" in both
    (first,) = remarks(SORTS["SIP and PV"])
    assert "SIP is read, PV is not" in first
    (second,) = remarks(SORTS["TPV and SIP"])
    assert "PV is read, SIP is not" in second


@pytest.mark.parametrize("more", [{}, {"WAT0_001": "system=image"}, {"WAT1_01": "wtype=tnx axtype=ra"}])
def test_a_polynomial_that_is_dropped_is_said(tmp_path, more):
    header = header_of("TNX", **more)
    np.testing.assert_array_equal(as_astropy_reads(header), as_astropy_reads(header_of()))
    (remark,) = remarks(header)
    assert "CTYPE1 'RA---TNX' and CTYPE2 'DEC--TNX'" in remark
    assert "without it" in remark


@pytest.mark.parametrize("header", [header_of("ZPX"), header_of("TNX", **iraf(1, "lngcor", 3))])
def test_a_polynomial_that_cannot_be_read_is_refused_with_its_kind(tmp_path, header):
    path = written(tmp_path / "tile.fits", header)
    with pytest.raises(TileError, match=rf"tile\.fits: cannot be read: .*CTYPE1 = '{header['CTYPE1']}'"):
        read_master_tile(path)


@pytest.mark.parametrize("sort", [sort for sort in SORTS if " and " not in sort or sort == "CDELT and CROTA2"])
def test_nothing_is_said_where_all_is_read(sort):
    assert remarks(SORTS[sort]) == []


def test_many_tiles_are_warned_of_in_one_line(tmp_path, caplog):
    paths = [written(tmp_path / f"{k}.fits", SORTS["PC and CD" if k else "CD"]) for k in range(4)]
    with caplog.at_level(logging.WARNING, "ZeMosaicWorker"):
        load_master_tiles(paths)
    (line,) = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert line.startswith(f"[TwoPassInput] {paths[1]}, {paths[2]}, {paths[3]}: PC1_1 and CD1_1")
