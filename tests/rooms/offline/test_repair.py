"""Faults taken out of copies on disk: the copies agree, the tiles stay as they were, and nothing is done by halves."""

import contextlib
import hashlib
import os
import resource
import signal
import warnings
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from astropy.wcs.utils import pixel_to_pixel

from zemosaic_twopass.diagnosis.examination import verdict_of
from zemosaic_twopass.offline import repair as offline_repair
from zemosaic_twopass.offline.corrections import TABLE_NAME, repair_lines
from zemosaic_twopass.offline.repair import repair
from zemosaic_twopass.synthetic.faults import Fault, direction_of
from zemosaic_twopass.synthetic.sky import synthetic_tiles
from zemosaic_twopass.tiles.images import TileError
from zemosaic_twopass.tiles.reading import read_master_tile, write_master_tile

SKY = {"rows": 3, "columns": 3, "shape": (260, 330), "overlap": 0.55}
FAULTS = [
    Fault("offset", 4, 25.0),
    Fault("gain_residual", 0, 0.05),
    Fault("gradient", 7, 60.0),
    Fault("astrometry", 2, 2.0),
]


def written(folder, tiles):
    for tile in tiles:
        write_master_tile(folder / tile.name, tile)
    return [folder / tile.name for tile in tiles]


def hashes(paths):
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]


@pytest.fixture(scope="module")
def faulty(tmp_path_factory):
    return written(tmp_path_factory.mktemp("faulty"), synthetic_tiles(**SKY, faults=FAULTS))


@pytest.fixture(scope="module")
def clean():
    """The same tiles without a fault."""
    return synthetic_tiles(**SKY)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Four small tiles, an offset in the third."""
    sky = {"rows": 2, "columns": 2, "shape": (100, 120), "overlap": 0.6}
    return written(tmp_path_factory.mktemp("small"), synthetic_tiles(**sky, faults=[Fault("offset", 2, 40.0)]))


@pytest.fixture(scope="module")
def done(faulty, tmp_path_factory):
    before = hashes(faulty)
    found = repair(faulty, tmp_path_factory.mktemp("copies") / "new")
    assert hashes(faulty) == before
    return found


def test_the_faults_are_gone(done, clean):
    assert (verdict_of(done.before.findings), verdict_of(done.after.findings)) == ("residual", "clean")
    assert {finding.tile for finding in done.before.findings} == {0, 2, 4, 7}
    assert not done.failed
    before, after = done.steps
    assert before > 15
    assert after < 0.25
    assert done.noise == pytest.approx(8, rel=0.05)
    for path, tile in zip(done.files, clean, strict=True):
        left = read_master_tile(path).pixels - tile.pixels
        if path.name != "tile_02.fits":
            # All over the tile, in its corners too: a slope that is taken out askew would be seen there.
            for part in (np.s_[:60, :80], np.s_[-60:, :80], np.s_[:60, -80:], np.s_[-60:, -80:]):
                assert np.abs(np.nanmean(left[part], axis=(0, 1))).max() < 0.4, path


def test_tiles_without_a_fault_are_copied_byte_for_byte(done, faulty):
    same = [
        index for index, (one, other) in enumerate(zip(hashes(faulty), hashes(done.files), strict=True)) if one == other
    ]
    assert same == [1, 3, 5, 6, 8]
    assert sorted(path.name for path in done.files[0].parent.iterdir()) == sorted(
        [*(path.name for path in faulty), TABLE_NAME]
    )


def test_a_shift_goes_into_the_wcs_alone(done, faulty, clean):
    old, new = read_master_tile(faulty[2]), read_master_tile(done.files[2])
    np.testing.assert_array_equal(old.pixels, new.pixels)
    moved = new.wcs.wcs.crpix - old.wcs.wcs.crpix
    np.testing.assert_allclose(moved, 2.0 * direction_of(2), atol=0.05)
    difference = fits.FITSDiff(str(faulty[2]), str(done.files[2])).diff_hdus
    assert [number for number, *_ in difference] == [0]
    assert set(difference[0][1].diff_headers.diff_keyword_values) == {"CRPIX1", "CRPIX2"}
    assert "CRPIX moved" in str(new_history(done.files[2]))


def new_history(path):
    return fits.getheader(path)["HISTORY"]


def test_every_pixel_is_what_the_record_says(done, faulty):
    """Against the formula at every pixel, without lattice or bands."""
    correction, tile = done.corrections[7], read_master_tile(faulty[7])
    copy = read_master_tile(done.files[7])
    assert correction.slope.all()
    rows, columns = np.indices(tile.shape)
    grid = synthetic_grid(faulty)
    x, y = pixel_to_pixel(tile.wcs, grid, columns, rows)
    expected = correction.take_out(np.moveaxis(tile.pixels, 2, 0).astype(float), x, y)
    np.testing.assert_allclose(np.moveaxis(copy.pixels, 2, 0), expected, rtol=0, atol=2e-4)
    assert fits.getheader(done.files[7])["HISTORY"][0].startswith("zemosaic-twopass ")


def synthetic_grid(paths):
    from reproject.mosaicking import find_optimal_celestial_wcs

    tiles = [read_master_tile(path) for path in paths]
    return find_optimal_celestial_wcs([(tile.shape, tile.wcs) for tile in tiles])[0]


def test_the_table_says_what_was_done(done, faulty):
    table = Table.read(done.files[0].parent / TABLE_NAME, format="ascii.ecsv")
    assert list(table["id"]) == [path.name for path in faulty] == list(table["copy"])
    assert [int(n) for n in np.flatnonzero(table["corrected"])] == [0, 2, 4, 7]
    assert table["compared"].all()
    assert table.meta == {"verdict_before": "residual", "verdict_after": "clean"}
    for name in table.colnames:
        assert table[name].description
        assert table[name].unit == (
            "adu"
            if name.startswith(("lowest", "offset", "slope", "curvature", "bend"))
            else "pix"
            if "shift" in name
            else None
        )
    assert table["gain_g"][0] == pytest.approx(1 / 1.05, rel=1e-3)
    assert 0 < table["gain_error_g"][0] < 1e-3
    assert table["offset_b"][4] == pytest.approx(-25, abs=0.3)
    assert 0 < table["offset_error_b"][4] < 0.3
    assert np.hypot(table["slope_x_r"][7], table["slope_y_r"][7]) == pytest.approx(60, rel=0.05)
    assert np.hypot(table["shift_x"][2], table["shift_y"][2]) == pytest.approx(2, abs=0.05)
    assert (table["gain_r"][1], table["offset_r"][1], table["shift_x"][1]) == (1, 0, 0)
    assert np.isnan(table["gain_error_r"][1])
    # As an assembly that knows only gain and offset applies it.
    old, new = read_master_tile(faulty[4]).pixels, read_master_tile(done.files[4]).pixels
    by_table = [old[..., k] * table[f"gain_{c}"][4] + table[f"offset_{c}"][4] for k, c in enumerate("rgb")]
    np.testing.assert_allclose(np.stack(by_table, axis=-1), new, rtol=1e-6)


def test_the_lines(done):
    lines = repair_lines(done)
    assert lines[0] == "[TwoPassRepair] before verdict=residual tiles=9 findings=4 worst_idx=2"
    assert lines[1] == "[TwoPassRepair] after verdict=clean tiles=9 findings=0 worst_idx=-"
    assert [line.split()[1] for line in lines[2:-1]] == [f"tile=tile_0{k}.fits" for k in (0, 2, 4, 7)]
    factor, shift, offset, slopes = (line.split()[2:] for line in lines[2:-1])
    assert [word.split("=")[0] for word in (*factor, *shift, *offset)] == ["factor", "shift", "offset"]
    assert offset[0].startswith("offset=[+2")
    assert offset[0].count("+/-") == offset[0].count(",") + 1 == 3
    assert [word.split("=")[0] for word in slopes][-2:] == ["slope_x", "slope_y"]
    before, after = done.steps
    assert lines[-1] == f"[TwoPassRepair] steps rms {before:.3g} -> {after:.3g} adu (noise {done.noise:.3g})"


def test_nothing_to_correct(done, tmp_path):
    again = repair(done.files, tmp_path / "again")
    assert hashes(again.files) == hashes(done.files)
    assert again.steps[0] == again.steps[1] == pytest.approx(done.steps[1], abs=0.1)
    assert repair_lines(again)[2] == "[TwoPassRepair] nothing to correct: every copy is its tile, byte for byte"
    assert verdict_of(again.after.findings) == "clean"


def test_pixels_that_go_below_0_are_told_with_the_constant_that_lifts_them(small, tmp_path):
    """A sky near 0, as ZeMosaic saves master tiles: what was too bright goes below it, and stays right."""
    tiles = [read_master_tile(path) for path in small]
    floor = np.nanmin(tiles[2].pixels)
    (tmp_path / "low").mkdir()
    paths = written(tmp_path / "low", [replace(tile, pixels=tile.pixels - floor) for tile in tiles])
    done = repair(paths, tmp_path / "out")
    expected = []
    for path, copy in zip(paths, done.files, strict=True):
        before, after = read_master_tile(path).pixels, read_master_tile(copy).pixels
        expected.append(np.min(after, initial=0.0, where=(before >= 0) & (after < 0)))
    np.testing.assert_allclose(done.lowest, expected, rtol=1e-6)
    assert min(expected) < 0
    (line,) = [line for line in repair_lines(done) if "below 0" in line]
    assert f"add {int(np.ceil(-min(expected)))} adu to every copy" in line
    table = Table.read(tmp_path / "out" / TABLE_NAME, format="ascii.ecsv")
    np.testing.assert_allclose(table["lowest"], done.lowest)
    assert not any("below 0" in line for line in repair_lines(replace(done, lowest=(0.0,) * 4)))


def test_what_the_coverage_leaves_out_stays_as_it_is(small, tmp_path):
    paths = [tmp_path / path.name for path in small]
    for path, old in zip(paths, small, strict=True):
        tile = read_master_tile(old)
        write_master_tile(path, replace(tile, pixels=np.nan_to_num(tile.pixels, nan=0.0)))
    copy, old = read_master_tile(repair(paths, tmp_path / "out").files[2]), read_master_tile(paths[2])
    filled = ~(old.coverage > 0)
    assert filled.any()
    assert not copy.pixels[filled].any()
    assert (copy.pixels[~filled] < old.pixels[~filled] - 30).all()


def test_channels_in_any_order_and_integers_give_the_same(small, tmp_path):
    folder, paths = tmp_path / "mixed", []
    folder.mkdir()
    for index, path in enumerate(small):
        tile = read_master_tile(path)
        header = fits.getheader(path)
        for key in ("NAXIS", "NAXIS1", "NAXIS2", "NAXIS3", "BITPIX"):
            del header[key]
        alpha = fits.ImageHDU(tile.coverage, name="ALPHA")
        name = path.name + (".gz" if index == 2 else ".fz" if index == 3 else "")
        data = tile.pixels if index in (0, 2) else np.moveaxis(tile.pixels, 2, 0)
        if index == 3:
            packed = fits.CompImageHDU(data, header, compression_type="GZIP_2", quantize_level=0)
            hdus = [fits.PrimaryHDU(), packed, alpha]
        else:
            hdus = [fits.PrimaryHDU(data, header), alpha]
        paths.append(folder / name)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fits.HDUList(hdus).writeto(paths[-1])
    plain, mixed = repair(small, tmp_path / "a"), repair(paths, tmp_path / "b")
    assert [path.name for path in mixed.files] == ["tile_00.fits", "tile_01.fits", "tile_02.fits", "tile_03.fits.fz"]
    assert plain.steps == mixed.steps
    for one, other in zip(plain.files, mixed.files, strict=True):
        np.testing.assert_array_equal(read_master_tile(one).pixels, read_master_tile(other).pixels)
    assert fits.getdata(mixed.files[2]).shape == (100, 120, 3)


def test_a_tile_that_meets_no_other_is_left_as_it_is(small, tmp_path):
    lonely = synthetic_tiles(rows=1, columns=12, shape=(100, 120), overlap=0.1)[-1]
    paths = [*small, tmp_path / "lonely.fits"]
    write_master_tile(paths[-1], lonely)
    done = repair(paths, tmp_path / "out")
    assert done.corrections[-1] is None
    assert hashes(done.files[-1:]) == hashes(paths[-1:])
    assert [(finding.kind, finding.tile) for finding in done.after.findings] == [("undetermined", 4)]
    table = Table.read(tmp_path / "out" / TABLE_NAME, format="ascii.ecsv")
    assert list(table["compared"]) == [True] * 4 + [False]
    assert (table["gain_r"][-1], table["offset_r"][-1]) == (1, 0)


def refusals(small, folder):
    """(tiles, folder of the copies, words of the message) of every set that is not repaired."""
    out = folder / "out"
    tiles = [read_master_tile(path) for path in small]
    (folder / "text.fits").write_text("no")
    (folder / "other").mkdir()
    same = folder / "other" / small[0].name
    same.write_bytes(small[0].read_bytes())
    packed = folder / "other" / f"{small[1].name}.gz"
    packed.write_bytes(small[1].read_bytes())
    grey = folder / "grey.fits"
    fits.PrimaryHDU(tiles[0].pixels[..., 0], tiles[0].wcs.to_header()).writeto(grey)
    apart = written(folder, synthetic_tiles(rows=1, columns=2, shape=(60, 70), overlap=-1.0, seed=8))
    yield small[:1], out, rf"{small[0].name}: 1 given, at least 2"
    yield [], out, "no tiles: 0 given"
    yield [*small, folder / "gone.fits"], out, r"gone\.fits: no such file"
    yield [*small, folder / "text.fits"], out, r"text\.fits: cannot be read"
    yield [*small, grey], out, r"grey\.fits: 1 channels != 3 of .*tile_00\.fits"
    yield [*small, same], out, rf"{small[0]} and {same}: the copies of both would be called tile_00\.fits"
    yield [*small, packed], out, r"tile_01\.fits and .*tile_01\.fits\.gz: the copies of both"
    yield apart, out, "none of 2 tiles meets another"
    yield small, small[0].parent, rf"holds {small[0]}: another folder"
    os.symlink(small[0].parent, folder / "link")
    yield small, folder / "link", rf"link: holds {small[0]}"
    yield small, small[0].parent / ".." / small[0].parent.name, "another folder"
    (folder / "linked").mkdir()
    os.link(small[1], folder / "linked" / small[1].name)
    yield small, folder / "linked", rf"linked/tile_01\.fits: is {small[1]} itself"
    (folder / "pointing").mkdir()
    os.symlink(small[2], folder / "pointing" / TABLE_NAME)
    yield small, folder / "pointing", rf"{TABLE_NAME}: is {small[2]} itself"
    os.symlink(same, folder / "alias.fits")
    yield [*small[1:], folder / "alias.fits"], same.parent, r"other: holds .*alias\.fits"


def test_what_cannot_be_repaired_is_refused(small, tmp_path):
    before, seen = hashes(small), 0
    for paths, out, words in refusals(small, tmp_path):
        held = sorted(out.iterdir()) if out.exists() else None
        with pytest.raises(TileError, match=words):
            repair(paths, out)
        assert (sorted(out.iterdir()) if out.exists() else None) == held, words
        seen += 1
    assert hashes(small) == before
    assert seen == 14


@contextmanager
def largest_file(size):
    """A limit on the size of a file stands in for a full disk."""
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_full_disk_loses_what_does_not_fit(small, tmp_path):
    paths = [tmp_path / path.name for path in small]
    for index, (path, old) in enumerate(zip(paths, small, strict=True)):
        path.write_bytes(old.read_bytes())
        if index >= 2:
            fits.append(path, np.zeros((200, 200), "f4"))
    out = tmp_path / "out"
    repair(paths, out)
    with largest_file(paths[0].stat().st_size + 10_000):
        done = repair(paths, out)
    assert list(done.failed) == ["tile_02.fits", "tile_03.fits"]
    assert all("File too large" in reason for reason in done.failed.values())
    assert [path and path.name for path in done.files] == ["tile_00.fits", "tile_01.fits", None, None]
    # Neither half of one nor one of the call before.
    assert sorted(path.name for path in out.iterdir()) == ["tile_00.fits", "tile_01.fits", TABLE_NAME]
    assert not done.after.findings
    assert done.steps[0] == done.steps[1]
    table = Table.read(out / TABLE_NAME, format="ascii.ecsv")
    assert list(table["copy"]) == ["tile_00.fits", "tile_01.fits", "-", "-"]
    with largest_file(1000), pytest.raises(TileError, match=r"none: no copy could be written: OSError: File too large"):
        repair(paths, tmp_path / "none")
    assert list((tmp_path / "none").iterdir()) == []


def test_a_tile_that_vanishes_before_its_copy_is_named(small, tmp_path):
    paths = [tmp_path / path.name for path in small]
    for path, old in zip(paths, small, strict=True):
        path.write_bytes(old.read_bytes())
    told = []

    def tell():
        told.append(None)
        if len(told) == len(paths):
            paths[2].unlink()

    @contextlib.contextmanager
    def stage(what, total=1):
        yield tell if total > 1 else lambda: None

    done = repair(paths, tmp_path / "out", stage=stage)
    assert list(done.failed) == ["tile_02.fits"]
    assert "No such file" in done.failed["tile_02.fits"]
    assert len(told) >= 2 * len(paths)


def test_another_call_into_the_same_folder_leaves_no_tile_twice(small, tmp_path, monkeypatch):
    import gzip

    paths = [tmp_path / f"{path.name}.gz" for path in small]
    for path, old in zip(paths, small, strict=True):
        path.write_bytes(gzip.compress(old.read_bytes(), 1))
    sound = offline_repair._sound
    for of_tile, kept in ((sound, ".gz"), (lambda correction: False, ""), (sound, ".gz")):
        monkeypatch.setattr(offline_repair, "_sound", of_tile)
        repair(paths, tmp_path / "out")
        names = sorted(path.name for path in (tmp_path / "out").iterdir())
        assert names == [*(f"tile_0{k}.fits{'' if k == 2 else kept}" for k in range(4)), TABLE_NAME]
