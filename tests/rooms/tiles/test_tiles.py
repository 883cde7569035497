"""Master tiles from FITS, and what is said of those that cannot be used."""

import bz2
import gzip
import lzma
import re

import numpy as np
import pytest
from astropy.io import fits

from zemosaic_twopass.synthetic.sky import synthetic_tiles
from zemosaic_twopass.tiles.images import TileError
from zemosaic_twopass.tiles.reading import load_master_tiles, write_master_tile
from zemosaic_twopass.tiles.records import Tile, check_tiles
from zemosaic_worker import load_master_tiles as worker_load_master_tiles


@pytest.fixture(scope="module")
def master():
    return synthetic_tiles(rows=1, columns=1, shape=(30, 40))[0]


def write(path, data, wcs=None, alpha=None, header=()):
    cards = wcs.to_header() if wcs is not None else fits.Header()
    cards.update(header)
    hdus = [fits.PrimaryHDU(data, cards)]
    if alpha is not None:
        hdus.append(fits.ImageHDU(alpha, name="ALPHA"))
    fits.HDUList(hdus).writeto(path)
    return path


def read(path):
    tiles, tiles_wcs, coverage = load_master_tiles([path])
    return tiles[0], tiles_wcs[0], coverage[0]


def test_the_worker_loads_tiles():
    assert worker_load_master_tiles is load_master_tiles


def test_written_tile_comes_back(master, tmp_path):
    write_master_tile(tmp_path / "tile.fits", master)
    data, wcs, coverage = read(tmp_path / "tile.fits")
    np.testing.assert_array_equal(data, master.pixels)
    np.testing.assert_array_equal(coverage, master.coverage)
    assert data.dtype == coverage.dtype == np.float32
    assert data.flags.c_contiguous
    assert wcs.array_shape == (30, 40)
    np.testing.assert_allclose(wcs.pixel_to_world_values(3, 4), master.wcs.pixel_to_world_values(3, 4), atol=1e-10)


@pytest.mark.parametrize("dtype", ["u1", ">i2", ">f8"])
@pytest.mark.parametrize("layout", ["HW", "HWC", "CHW"])
def test_layouts_and_types(master, tmp_path, dtype, layout):
    values = np.arange(30 * 40 * 3).reshape(30, 40, 3) % 250
    expected = values[..., 0] if layout == "HW" else values
    stored = np.moveaxis(expected, 2, 0) if layout == "CHW" else expected
    data, wcs, coverage = read(write(tmp_path / "tile.fits", stored.astype(dtype), master.wcs))
    np.testing.assert_array_equal(data, expected)
    assert data.dtype == np.float32
    assert wcs.naxis == 2
    assert coverage is None


def test_image_in_an_extension_and_compressed(master, tmp_path):
    cards = master.wcs.to_header()
    packed = fits.CompImageHDU(master.pixels[..., 0], cards, compression_type="GZIP_2", quantize_level=0)
    fits.HDUList([fits.PrimaryHDU(), packed]).writeto(tmp_path / "tile.fits.gz")
    np.testing.assert_array_equal(read(tmp_path / "tile.fits.gz")[0], master.pixels[..., 0])


def test_blank_integers_are_nan(master, tmp_path):
    path = write(tmp_path / "tile.fits", np.array([[1, -5], [3, 4]], "i2"), master.wcs, header={"BLANK": -5})
    np.testing.assert_array_equal(read(path)[0], [[1, np.nan], [3, 4]])


@pytest.mark.parametrize("shape", [(1, 1, 30, 40), (1, 3, 30, 40), (3, 1, 30, 40), (1, 1, 3, 30, 40), (1, 30, 40, 3)])
def test_further_axes_of_one_are_passed_over(master, tmp_path, shape):
    stored = np.arange(np.prod(shape), dtype="f4").reshape(shape)
    data, wcs, _ = read(write(tmp_path / "tile.fits", stored, master.wcs))
    expected = stored.reshape([n for n in shape if n > 1])
    expected = np.moveaxis(expected, 0, 2) if expected.shape[0] == 3 else expected.reshape(30, 40, -1)
    np.testing.assert_array_equal(data, expected)
    np.testing.assert_allclose(wcs.pixel_to_world_values(3, 4), master.wcs.pixel_to_world_values(3, 4), atol=1e-10)


def image_hdu(kind, data, header):
    if kind == "tile-compressed":
        return fits.CompImageHDU(data, header, compression_type="GZIP_2", quantize_level=0)
    return fits.ImageHDU(data, header)


@pytest.mark.parametrize("kind", ["plain", "tile-compressed"])
@pytest.mark.parametrize("layout", ["HW", "CHW", "HWC"])
@pytest.mark.parametrize("alpha_dtype", ["u1", "f4"])
def test_alpha_before_the_image(master, tmp_path, kind, layout, alpha_dtype):
    expected = master.pixels[..., 0] if layout == "HW" else master.pixels
    image = image_hdu(kind, np.moveaxis(expected, 2, 0) if layout == "CHW" else expected, master.wcs.to_header())
    alpha = fits.ImageHDU((255 * master.coverage).astype(alpha_dtype), name="ALPHA")
    fits.HDUList([fits.PrimaryHDU(), alpha, image]).writeto(tmp_path / "tile.fits")
    data, wcs, coverage = read(tmp_path / "tile.fits")
    np.testing.assert_array_equal(data, expected)
    np.testing.assert_array_equal(coverage, (255 * master.coverage).astype(alpha_dtype))
    assert wcs.has_celestial


PACKINGS = {"": bytes, ".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}


@pytest.mark.parametrize("ending", [*PACKINGS, ".fz"])
@pytest.mark.parametrize("dtype", ["u1", "i2", "u2", "i4", "f4", "f8"])
@pytest.mark.parametrize("layout", ["HW", "CHW"])
def test_packings_and_types(master, tmp_path, ending, dtype, layout):
    """Unsigned integers lie in the file with BZERO."""
    expected = np.arange(30 * 40 * 3).reshape(30, 40, 3) % 250
    expected = expected[..., 0] if layout == "HW" else expected
    stored = (np.moveaxis(expected, 2, 0) if layout == "CHW" else expected).astype(dtype)
    path = write(tmp_path / "plain", stored, master.wcs)
    if ending == ".fz":
        packed = image_hdu("tile-compressed", stored, master.wcs.to_header())
        fits.HDUList([fits.PrimaryHDU(), packed]).writeto(tmp_path / "tile.fits.fz")
    else:
        (tmp_path / f"tile.fits{ending}").write_bytes(PACKINGS[ending](path.read_bytes()))
    data, wcs, coverage = read(tmp_path / f"tile.fits{ending}")
    np.testing.assert_array_equal(data, expected)
    assert data.dtype == np.float32
    assert coverage is None
    np.testing.assert_allclose(wcs.pixel_to_world_values(3, 4), master.wcs.pixel_to_world_values(3, 4), atol=1e-10)


def bad_files(folder, wcs):
    """(path, words of the message) of every kind of file that cannot be used."""
    (folder / "text.fits").write_text("no FITS at all")
    yield folder / "text.fits", "cannot be read"
    yield folder / "missing.fits", "No such file"
    yield folder, "cannot be read"
    write(folder / "whole.fits", np.ones((30, 40), "f4"), wcs)
    (folder / "cut.fits").write_bytes((folder / "whole.fits").read_bytes()[:4000])
    yield folder / "cut.fits", "cannot be read"
    yield write(folder / "empty.fits", None), "holds no image"
    yield write(folder / "row.fits", np.ones(7), wcs), "holds no image"
    yield write(folder / "nowcs.fits", np.ones((30, 40))), "no celestial WCS"
    yield write(folder / "cube.fits", np.ones((3, 40, 3)), wcs), r"axis order of shape \(3, 40, 3\) cannot be told"
    yield write(folder / "deep.fits", np.ones((30, 40, 9)), wcs), r"axis order of shape \(30, 40, 9\)"
    yield write(folder / "middle.fits", np.ones((30, 3, 40)), wcs), r"axis order of shape \(30, 3, 40\)"
    yield write(folder / "four.fits", np.ones((2, 3, 30, 40)), wcs), "2 or 3 axes are needed, not 4"
    yield write(folder / "mask.fits", None, alpha=np.ones((30, 40))), "holds no image"
    for shape in ((4, 30, 40), (30, 40, 4), (1, 4, 30, 40)):
        name = f"rgba_{'_'.join(map(str, shape))}.fits"
        yield write(folder / name, np.ones(shape), wcs), "4 planes, 1 or 3 are read: is the last one alpha"
    yield write(folder / "grey.fits", np.ones((2, 30, 40)), wcs), "2 planes, 1 or 3 are read: is the last one alpha"
    yield write(folder / "alpha.fits", np.ones((30, 40)), wcs, np.ones((4, 5))), r"\(4, 5\) != image shape \(30, 40\)"


def test_every_bad_file_is_named(master, tmp_path):
    seen = 0
    for path, words in bad_files(tmp_path, master.wcs):
        with pytest.raises(TileError, match=words) as caught:
            load_master_tiles([path])
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)
        seen += 1
    assert seen == 17


def test_all_bad_files_are_named_at_once(master, tmp_path):
    good = write(tmp_path / "good.fits", master.pixels[..., 0], master.wcs)
    bad = dict(bad_files(tmp_path, master.wcs))
    with pytest.raises(TileError) as caught:
        load_master_tiles([good, *bad, good])
    text = str(caught.value)
    assert "\n" not in text
    assert all(f"{path}" in text and re.search(words, text) for path, words in bad.items())
    assert "good.fits" not in text
    # What is said of several is said once.
    assert text.count("4 planes, 1 or 3 are read") == 1


def test_tiles_that_do_not_go_together(master, tmp_path):
    rgb = write(tmp_path / "rgb.fits", np.moveaxis(master.pixels, 2, 0), master.wcs)
    mono = write(tmp_path / "mono.fits", master.pixels[..., 0], master.wcs)
    with pytest.raises(TileError, match=r"mono.fits: 1 channels != 3 of .*rgb.fits"):
        load_master_tiles([rgb, mono])
    with pytest.raises(TileError, match="0 files"):
        load_master_tiles([])


@pytest.mark.parametrize(
    ("tiles", "wcs", "coverage", "words"),
    [
        ([np.ones((3, 4))], [], None, "1 tiles != 0 WCS"),
        ([np.ones((3, 4))], [None], [], "0 tile coverages != 1 tiles"),
        ([np.ones(3)], [None], None, r"tile 0: shape \(3,\) has 1 axes"),
        ([np.ones((3, 4, 0))], [None], None, r"tile 0: shape \(3, 4, 0\) has no channel"),
        ([np.ones((3, 4)), np.ones((3, 4, 3))], [None] * 2, None, "tile 1: 3 channels != 1 of tile 0"),
        ([np.ones((3, 4))], [None], [np.ones((5, 4))], r"tile 0: coverage shape \(5, 4\) != tile shape \(3, 4\)"),
    ],
)
def test_check_states_both_values(tiles, wcs, coverage, words):
    with pytest.raises(TileError, match=words):
        check_tiles(tiles, wcs, coverage)


def test_check_counts_channels():
    assert check_tiles([], []) == 0
    assert check_tiles([np.ones((3, 4))], [None], [None]) == 1
    assert check_tiles([np.ones((3, 4, 3))] * 2, [None] * 2) == 3


def test_axes_of_the_sky_among_three(master, tmp_path):
    header = {"CTYPE3": "FREQ", "CRPIX3": 1.0, "CRVAL3": 1.0, "CDELT3": 1.0, "CUNIT3": "Hz"}
    path = write(tmp_path / "tile.fits", np.ones((3, 30, 40), "f4"), master.wcs, header=header)
    data, wcs, _ = read(path)
    assert data.shape == (30, 40, 3)
    assert wcs.naxis == 2
    np.testing.assert_allclose(wcs.pixel_to_world_values(3, 4), master.wcs.pixel_to_world_values(3, 4), atol=1e-10)


def test_mono_tile_is_written_as_two_axes(master, tmp_path):
    write_master_tile(tmp_path / "tile.fits", Tile(master.pixels[..., 0], master.wcs, None, name="tile.fits"))
    assert fits.getdata(tmp_path / "tile.fits").shape == (30, 40)
