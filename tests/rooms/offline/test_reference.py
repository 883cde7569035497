"""Mosaics that do not go with their tiles, and such as do in another scale."""

from types import SimpleNamespace

import numpy as np
import pytest
from astropy.io import fits

from helpers.scenes import Pass, coadded
from zemosaic_twopass.command import cli
from zemosaic_twopass.offline.reference import fit_mosaic
from zemosaic_twopass.offline.replay import replay
from zemosaic_twopass.synthetic.sky import synthetic_tiles
from zemosaic_twopass.tiles.images import TileError
from zemosaic_twopass.tiles.reading import write_master_tile

SHAPE, MOSAIC = (150, 190), (300, 380)


class Night:
    """Tiles on disk, 30 adu too much in tile 2, and their mosaic in adu."""

    def __init__(self, folder):
        self.folder = folder
        tiles = synthetic_tiles(rows=2, columns=2, shape=SHAPE, overlap=0.6, seed=11)
        tiles[2].pixels[:] += 30
        self.paths = [folder / tile.name for tile in tiles]
        for path, tile in zip(self.paths, tiles, strict=True):
            write_master_tile(path, tile)
        self.mosaic = coadded(tiles, MOSAIC)
        self.other = coadded(synthetic_tiles(rows=2, columns=2, shape=SHAPE, overlap=0.6, seed=12), MOSAIC).pixels
        self.plain = self.replayed(self.mosaic.pixels)

    def written(self, pixels):
        """A mosaic of these pixels with the header of the sound one."""
        path = self.folder / "other mosaic.fits"
        image = pixels if pixels.ndim == 2 else np.moveaxis(pixels, 2, 0)
        header = self.mosaic.wcs.to_header(relax=True)
        fits.PrimaryHDU(np.ascontiguousarray(image, dtype=np.float32), header).writeto(path, overwrite=True)
        return path

    def replayed(self, pixels, **kwargs):
        report, left_out = replay(self.written(pixels), self.paths, **kwargs)
        assert not left_out
        return report


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    return Night(tmp_path_factory.mktemp("night"))


def displaced(x, y):
    return lambda mosaic, other: np.roll(mosaic, (y, x), axis=(0, 1))


WRONG = {
    "upside down": (lambda mosaic, other: mosaic[::-1], "correlation"),
    "mirrored": (lambda mosaic, other: mosaic[:, ::-1], "correlation"),
    "turned": (lambda mosaic, other: mosaic[::-1, ::-1], "correlation"),
    "transposed": (lambda mosaic, other: mosaic.transpose(1, 0, 2), "correlation"),
    "negative": (lambda mosaic, other: 3000 - mosaic, "correlation"),
    "another sky": (lambda mosaic, other: other, "correlation"),
    "another sky, normalised": (lambda mosaic, other: other / 65535, "correlation"),
    "10 px beside": (displaced(10, 0), "correlation"),
    "6 px beside": (displaced(-4, 4), "correlation"),
    "3 px beside": (displaced(3, 0), "it lies about x=+"),
    "2 px above": (displaced(0, -2), "px beside them"),
    "nothing of it": (lambda mosaic, other: np.where(np.isnan(mosaic), 1000 + np.indices(mosaic.shape)[0] % 9, np.nan),
                      "none of them meets"),
    "grey": (lambda mosaic, other: mosaic[..., 0], "3 channels != 1 of other mosaic.fits"),
    "four planes": (lambda mosaic, other: mosaic[..., [0, 1, 2, 0]], "4 planes, 1 or 3 are read"),
}  # fmt: skip


@pytest.mark.parametrize("kind", list(WRONG))
def test_a_mosaic_that_does_not_go_with_the_tiles(night, tmp_path, capsys, kind):
    change, words = WRONG[kind]
    path = night.written(change(night.mosaic.pixels, night.other))
    capsys.readouterr()
    assert cli.main(["replay", str(path), *map(str, night.paths), "--out", str(tmp_path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert words in line
    assert path.name in line
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("downsample", [4, 16])
@pytest.mark.parametrize(
    ("scale", "level"),
    [(1 / 65535, 0), (0.3, 100), (20, -3000), (1, -1100), ((1e-4, 2e-4, 5e-5), (0.1, 0.0, -0.02))],
    ids=["0..1", "scaled and shifted", "larger", "level taken out", "each channel by itself"],
)
def test_a_normalised_mosaic_is_scaled(night, scale, level, downsample):
    plain = night.replayed(night.mosaic.pixels, downsample=downsample)
    report = night.replayed(np.asarray(scale) * night.mosaic.pixels + np.asarray(level), downsample=downsample)
    # What is not known in them is NaN, which equals nothing.
    assert repr(report.findings) == repr(plain.findings)
    assert (report.verdict, report.worst) == ("residual", 2)
    settings = dict(report.settings)
    np.testing.assert_allclose(settings.pop("mosaic_scale"), np.broadcast_to(scale, 3), rtol=1e-5)
    assert len(settings.pop("mosaic_level")) == 3
    assert settings == plain.settings
    # The noise of a pixel is 8 adu.
    for found, expected in ((report.before, plain.before), (report.delta, plain.delta)):
        known = expected.count > 0
        np.testing.assert_allclose(found.signed[known], expected.signed[known], atol=0.02)
        np.testing.assert_allclose(found.tile_medians, expected.tile_medians, atol=0.01)


def test_the_scale_is_said(night, tmp_path, capsys):
    path = night.written(night.mosaic.pixels / 65535)
    assert cli.main(["replay", str(path), *map(str, night.paths), "--out", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    (line,) = (line for line in lines if line.startswith("[TwoPassReplay] "))
    assert line.startswith('[TwoPassReplay] mosaic="other mosaic.fits" scale=[1.5')
    assert " x tiles + level" in line


def test_one_in_adu_is_left_as_it_is(night):
    assert set(night.plain.settings) == {"mosaic", "shape_out", "downsample"}
    for factor in (0.9, 1.1):
        report = night.replayed(factor * night.mosaic.pixels)
        assert set(report.settings) == {"mosaic", "shape_out", "downsample"}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("channels", [1, 3])
def test_sound_mosaics_go_with_their_tiles(seed, channels, tmp_path):
    """Coadds after gains of 10 %, matched backgrounds, offsets of twice the noise and half a pixel beside."""
    scene = Pass.make(channels=channels, seed=20 + seed)
    rng = np.random.default_rng(seed)
    scene.tiles = [tile + np.float32(rng.normal(0, 16)) for tile in scene.tiles]
    scene.coadd()
    header = scene.out.to_header(relax=True)
    header["CRPIX1"] += 0.5
    fits.PrimaryHDU(np.moveaxis(scene.mosaic, 2, 0), header).writeto(tmp_path / "mosaic.fits")
    paths = []
    for tile, wcs in zip(scene.tiles, scene.wcs, strict=True):
        paths.append(tmp_path / f"{len(paths)}.fits")
        image = tile if tile.ndim == 2 else np.moveaxis(tile, 2, 0)
        fits.PrimaryHDU(image, wcs.to_header(relax=True)).writeto(paths[-1])
    report, left_out = replay(tmp_path / "mosaic.fits", paths)
    assert not left_out
    assert "mosaic_scale" not in report.settings


def test_too_few_blocks_tell_nothing():
    means = np.random.default_rng(0).normal(size=(1, 6, 7))
    tile = SimpleNamespace(box=(slice(0, 6), slice(0, 7)), value=-means, dx=means, dy=means)
    assert fit_mosaic(means, [tile, None], 1.0) is None
    flat = np.ones((1, 20, 20))
    tile = SimpleNamespace(box=(slice(0, 20), slice(0, 20)), value=flat, dx=0 * flat, dy=0 * flat)
    with np.errstate(all="raise"):
        assert fit_mosaic(flat, [tile], 1.0) is None
    wide = np.random.default_rng(0).normal(size=(1, 20, 20))
    tile = SimpleNamespace(box=(slice(0, 20), slice(0, 20)), value=-wide, dx=wide, dy=wide)
    with pytest.raises(TileError, match="correlation -1.00"):
        fit_mosaic(wide, [tile], 1.0)
