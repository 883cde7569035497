"""Master tiles from FITS, and what is said of those that cannot be used."""

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
    yield write(folder / "four.fits", np.ones((1, 1, 30, 40)), wcs), "2 or 3 axes are needed, not 4"
    yield write(folder / "alpha.fits", np.ones((30, 40)), wcs, np.ones((4, 5))), r"\(4, 5\) != image shape \(30, 40\)"


def test_every_bad_file_is_named(master, tmp_path):
    seen = 0
    for path, words in bad_files(tmp_path, master.wcs):
        with pytest.raises(TileError, match=words) as caught:
            load_master_tiles([path])
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)
        seen += 1
    assert seen == 12


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
