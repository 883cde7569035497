"""Copies of tiles with other pixels: everything else in the file stays as it was."""

import warnings

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS

from zemosaic_twopass.synthetic.sky import synthetic_tiles
from zemosaic_twopass.tiles.copies import name_unpacked, write_copy
from zemosaic_twopass.tiles.images import TileError
from zemosaic_twopass.tiles.reading import read_master_tile

SHAPE = (300, 40)
NOTE = "pixel x 0.5 +7 adu"


@pytest.fixture(scope="module")
def master():
    return synthetic_tiles(rows=1, columns=1, shape=SHAPE)[0]


def edit(values, top):
    """Another change in every channel and row, so that mixed-up axes are seen."""
    assert values.dtype == np.float64
    rows = top + np.arange(values.shape[1])
    return 0.5 * values + 7 + 100 * np.arange(len(values))[:, None, None] + rows[:, None]


def expected(pixels):
    planes = pixels.astype(np.float64) if pixels.ndim == 3 else pixels[..., None].astype(np.float64)
    changed = np.moveaxis(edit(np.moveaxis(planes, 2, 0), 0), 0, 2).astype(np.float32)
    return changed if pixels.ndim == 3 else changed[..., 0]


def cards(master):
    header = master.wcs.to_header()
    header["OBJECT"] = "M 42", "with a comment"
    header["HIERARCH a long key"] = 3
    header["DATAMAX"] = 1.0
    header["EXPTIME"] = 1e-3
    header.add_comment("kept")
    header.add_history("first")
    return header


def stored(master, layout):
    pixels = master.pixels[..., 0] if layout == "HW" else master.pixels
    return np.moveaxis(pixels, 2, 0) if layout == "CHW" else pixels


@pytest.mark.parametrize("where", ["primary", "extension", "tile-compressed", "gzip", "bzip2"])
@pytest.mark.parametrize("layout", ["HW", "HWC", "CHW"])
def test_everything_else_is_kept(master, tmp_path, layout, where):
    path = tmp_path / {"gzip": "tile.fits.gz", "bzip2": "tile.fits.bz2"}.get(where, "tile.fits")
    data, header = stored(master, layout), cards(master)
    if where in ("primary", "gzip", "bzip2"):
        hdus = [fits.PrimaryHDU(data, header)]
    else:
        image = fits.ImageHDU(data, header, name="SCI")
        if where == "tile-compressed":
            image = fits.CompImageHDU(data, header, name="SCI", compression_type="GZIP_2", quantize_level=0)
        hdus = [fits.PrimaryHDU(header=fits.Header({"TELESCOP": "small"})), image]
    hdus.append(fits.ImageHDU((master.coverage * 255).astype(np.uint8), name="ALPHA"))
    hdus.append(fits.ImageHDU(np.arange(6, dtype=np.uint16).reshape(2, 3), name="COUNT"))
    hdus.append(fits.CompImageHDU(np.arange(12.0).reshape(3, 4), name="PACKED", quantize_level=0))
    hdus.append(fits.table_to_hdu(Table({"a": [1, 2], "b": ["x", "yy"]})))
    fits.HDUList(hdus).writeto(path, checksum=True)
    before, old = path.read_bytes(), read_master_tile(path)
    write_copy(path, tmp_path / "copies" / "tile.fits", edit, history=[NOTE])
    assert path.read_bytes() == before
    copy = tmp_path / "copies" / "tile.fits"
    assert [entry.name for entry in copy.parent.iterdir()] == ["tile.fits"]
    new = read_master_tile(copy)
    np.testing.assert_array_equal(new.pixels, expected(old.pixels))
    assert np.isnan(new.pixels).any()
    np.testing.assert_array_equal(new.coverage, old.coverage)
    with warnings.catch_warnings(), fits.open(path) as was, fits.open(copy, checksum=True) as now:
        warnings.simplefilter("error")
        assert len(was) == len(now)
        index = next(number for number, hdu in enumerate(was) if hdu.header.get("NAXIS", 0) >= 2)
        for number, (one, other) in enumerate(zip(was, now, strict=True)):
            if number != index:
                assert repr(one.header) == repr(other.header)
                np.testing.assert_array_equal(one.data, other.data)
                continue
            assert one.data.shape == other.data.shape
            assert other.header["BITPIX"] == -32
            assert "DATAMAX" not in other.header
            assert list(other.header["HISTORY"]) == ["first", NOTE]
            for key in ("OBJECT", "a long key", "EXPTIME", "COMMENT", "CRPIX1", "CRPIX2", "CRVAL1", "PC1_2"):
                assert str(one.header[key]) == str(other.header[key])
            assert other.header.comments["OBJECT"] == "with a comment"
            # That of a tile-compressed image is of its compressed form, and not seen by newer astropy.
            assert "CHECKSUM" in other.header or where == "tile-compressed"


@pytest.mark.parametrize("leading", [(1,), (1, 1)])
def test_axes_of_one_are_kept(master, tmp_path, leading):
    data = np.moveaxis(master.pixels, 2, 0)[(None,) * len(leading)]
    fits.PrimaryHDU(data, cards(master)).writeto(tmp_path / "tile.fits")
    write_copy(tmp_path / "tile.fits", tmp_path / "copy.fits", edit)
    assert fits.getdata(tmp_path / "copy.fits").shape == data.shape
    np.testing.assert_array_equal(read_master_tile(tmp_path / "copy.fits").pixels, expected(master.pixels))


@pytest.mark.parametrize("layout", ["HW", "HWC", "CHW"])
def test_scaled_integers_with_blanks_become_floats(master, tmp_path, layout):
    values = np.nan_to_num(stored(master, layout), nan=0.0)
    raw = np.round((values - 500) / 0.25).clip(-32000, 32000).astype(np.int16)
    raw[~np.isfinite(stored(master, layout))] = -32768
    hdu = fits.PrimaryHDU(raw, cards(master))
    hdu.header["BSCALE"], hdu.header["BZERO"], hdu.header["BLANK"] = 0.25, 500.0, -32768
    hdu.writeto(tmp_path / "tile.fits", output_verify="ignore")
    old = read_master_tile(tmp_path / "tile.fits")
    write_copy(tmp_path / "tile.fits", tmp_path / "copy.fits", edit)
    header = fits.getheader(tmp_path / "copy.fits")
    assert header["BITPIX"] == -32
    assert not {"BSCALE", "BZERO", "BLANK", "CHECKSUM"} & set(header)
    pixels = read_master_tile(tmp_path / "copy.fits").pixels
    np.testing.assert_allclose(pixels, expected(old.pixels), rtol=1e-6)
    np.testing.assert_array_equal(
        np.isnan(pixels), ~np.isfinite(master.pixels if layout != "HW" else values) | np.isnan(old.pixels)
    )
    assert np.isnan(pixels).any()


@pytest.mark.parametrize(
    "frame", ["plain", "sip", "swapped", "cube", "sip cube", "four axes", "alpha first", "no CRPIX"]
)
def test_the_reference_pixel_moves_and_the_image_with_it(master, tmp_path, frame):
    header, data = master.wcs.to_header(relax=True), master.pixels[..., 0]
    if "sip" in frame:
        header["CTYPE1"], header["CTYPE2"] = "RA---TAN-SIP", "DEC--TAN-SIP"
        for name, number in (("A", 2e-5), ("B", -1e-5), ("AP", -2e-5), ("BP", 1e-5)):
            header[f"{name}_ORDER"], header[f"{name}_2_0"] = 2, number
    if frame == "swapped":
        for key in ("CTYPE", "CRVAL", "CUNIT", "CDELT"):
            header[f"{key}1"], header[f"{key}2"] = header[f"{key}2"], header[f"{key}1"]
        header["PC1_1"], header["PC2_1"] = header["PC2_1"], header["PC1_1"]
        header["PC1_2"], header["PC2_2"] = header["PC2_2"], header["PC1_2"]
    if frame == "cube":
        data = np.stack([data] * 3)
        header.update({"CTYPE3": "FREQ", "CRPIX3": 1.0, "CRVAL3": 1.0, "CDELT3": 1.0, "CUNIT3": "Hz"})
    if frame in ("sip cube", "four axes"):
        data = np.stack([data] * 3)[(None,) * (frame == "four axes")]
    if frame == "no CRPIX":
        del header["CRPIX1"], header["CRPIX2"]
    hdus, where = [fits.PrimaryHDU(data, header)], 0
    if frame == "alpha first":
        alpha = fits.ImageHDU(master.coverage.astype("u1"), name="ALPHA")
        hdus, where = [fits.PrimaryHDU(), alpha, fits.ImageHDU(data, header)], 2
    fits.HDUList(hdus).writeto(tmp_path / "tile.fits")
    write_copy(tmp_path / "tile.fits", tmp_path / "copy.fits", lambda values, top: values, (2.25, -1.5))
    assert fits.getdata(tmp_path / "copy.fits", where).shape == data.shape
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        naxis = None if frame == "cube" else 2
        old, new = (WCS(fits.getheader(tmp_path / n, where), naxis=naxis).celestial for n in ("tile.fits", "copy.fits"))
    x, y = np.array([3.0, 30.0]), np.array([200.0, 7.0])
    np.testing.assert_allclose(
        new.pixel_to_world_values(x + 2.25, y - 1.5), old.pixel_to_world_values(x, y), atol=1e-11, rtol=0
    )
    changed = fits.FITSDiff(tmp_path / "tile.fits", tmp_path / "copy.fits").diff_hdus[0][1].diff_headers
    assert set(changed.diff_keyword_values) == ({"CRPIX1", "CRPIX2"} if frame != "no CRPIX" else set())


def test_an_error_leaves_no_copy(master, tmp_path):
    path = tmp_path / "tile.fits"
    fits.PrimaryHDU(master.pixels[..., 0], master.wcs.to_header()).writeto(path)
    with pytest.raises(ZeroDivisionError):
        write_copy(path, tmp_path / "copy.fits", lambda values, top: 1 / 0)
    with pytest.raises(TileError, match=r"gone\.fits: cannot be read"):
        write_copy(tmp_path / "gone.fits", tmp_path / "copy.fits", edit)
    fits.PrimaryHDU(np.ones((5, 30, 9), "f4")).writeto(tmp_path / "deep.fits")
    with pytest.raises(TileError, match=r"deep\.fits: axis order"):
        write_copy(tmp_path / "deep.fits", tmp_path / "copy.fits", edit)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["deep.fits", "tile.fits"]


@pytest.mark.parametrize(
    ("name", "plain"),
    [("a.fits", "a.fits"), ("a.fits.gz", "a.fits"), ("a.fit.FZ", "a.fit"), ("a.b.fts", "a.b.fts"), ("a.xz", "a")],
)
def test_names_without_the_packing(tmp_path, name, plain):
    assert name_unpacked(tmp_path / name) == plain
