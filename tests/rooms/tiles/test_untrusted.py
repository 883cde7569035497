"""Tiles from strangers: whatever is in them, the command ends well or with one line, and writes nowhere else."""

import bz2
import gzip
import html
import os
import shutil
import zipfile

import numpy as np
import pytest
from astropy.io import fits

from helpers.untrusted import EVIL, damaged, ran, refused
from zemosaic_twopass.command import cli
from zemosaic_twopass.report.artefacts import PAGE_NAME
from zemosaic_twopass.synthetic.sky import synthetic_tiles
from zemosaic_twopass.tiles import images, mosaic
from zemosaic_twopass.tiles.images import TileError
from zemosaic_twopass.tiles.reading import read_master_tile, write_master_tile
from zemosaic_twopass.tiles.records import Tile

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_pictures")]


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Two small mono tiles on disk that overlap, the second with a coverage."""
    folder = tmp_path_factory.mktemp("pair")
    for index, tile in enumerate(synthetic_tiles(rows=1, columns=2, shape=(24, 30), overlap=0.6)):
        coverage = tile.coverage if index else None
        write_master_tile(folder / tile.name, Tile(tile.pixels[..., 0].copy(), tile.wcs, coverage, name=tile.name))
    return sorted(folder.iterdir())


@pytest.fixture
def small_mosaics(monkeypatch):
    """A flipped bit in a WCS that moves a tile makes a mosaic of seconds, not of minutes."""
    monkeypatch.setattr(mosaic, "_LARGE_MOSAIC", 1 << 15)


def packed(tile, path, compression):
    cards = tile.wcs.to_header()
    image = fits.CompImageHDU(tile.pixels, cards, compression_type=compression)
    fits.HDUList([fits.PrimaryHDU(), image]).writeto(path)
    return path.read_bytes()


def kinds_of_fits(pair, folder):
    """(name, content, where the damage may be, cases) of one tile in every form in which it may come."""
    good = pair[1].read_bytes()
    yield "plain", good, len(good), 60
    yield "header", good, 2880, 60
    yield "gzip", gzip.compress(good), None, 40
    yield "bzip2", bz2.compress(good), None, 20
    for compression in ("RICE_1", "GZIP_2", "HCOMPRESS_1"):
        content = packed(read_master_tile(pair[1]), folder / "packed.fits", compression)
        (folder / "packed.fits").unlink()
        yield compression, content, None, 25


def code_of_reading(path):
    """0 where a tile can be read, 2 where that is refused; any other error comes out."""
    try:
        read_master_tile(path)
    except TileError:
        return 2
    return 0


@pytest.mark.no_cover
def test_damaged_tiles(pair, tmp_path, capsys, small_mosaics):
    rng = np.random.default_rng(20260421)
    given = tmp_path / "given"
    given.mkdir()
    codes = {}
    for name, content, end, cases in kinds_of_fits(pair, given):
        for number in range(cases):
            bad = given / f"{name}_{number}.fits"
            bad.write_bytes(damaged(content[:end], rng) + content[end:] if end else damaged(content, rng))
            code = code_of_reading(bad)
            # A whole pass takes half a minute a hundred times.
            if number % 3 == 0:
                assert ran(capsys, "run", pair[0], bad, "--out", tmp_path / "out", codes=(code, 2))[0] >= code
            codes.setdefault(name, []).append(code)
            bad.unlink()
    # Most damage is seen, not all of it does harm.
    assert all(np.mean(found) > 0 for found in codes.values()), codes
    assert {0, 2} == set(codes["plain"]) == set(codes["header"])
    assert {path.name for path in tmp_path.iterdir()} == {"given", "out"}
    assert not list(given.iterdir())


def card(text):
    return text.ljust(80).encode()


def absurd_tiles(folder):
    """(path, words): files that are small but would be huge."""

    def put(name, content):
        (folder / name).write_bytes(content)
        return folder / name

    size = "NAXIS   = 2"
    head = b"".join(map(card, ("SIMPLE  = T", "BITPIX  = -32", size)))
    wide = head + card(f"NAXIS1  = {1 << 16}") + card(f"NAXIS2  = {1 << 16}") + card("END")
    yield put("claim.fits", wide.ljust(2880)), "4294967296 values > 1073741824"
    yield put("claim.fits.gz", gzip.compress(wide.ljust(2880))), "4294967296 values > 1073741824"
    beyond = head + card(f"NAXIS1  = {10**17}") + card(f"NAXIS2  = {10**17}") + card("END")
    yield put("beyond.fits", beyond.ljust(2880)), "beyond.fits: cannot be read"
    yield put("endless.fits.gz", gzip.compress(b"SIMPLE  = T".ljust(80) + b" " * 40_000_000)), "headers of more than"
    good = head + card("NAXIS1  = 30") + card("NAXIS2  = 24") + card("END")
    good = good.ljust(2880) + bytes(2880)
    yield put("tail.fits.gz", gzip.compress(good + b" " * 40_000_000)), "headers of more than 8388608 bytes"
    empty = b"".join(
        map(card, ("XTENSION= 'IMAGE   '", "BITPIX  = 8", "NAXIS   = 0", "PCOUNT  = 0", "GCOUNT  = 1", "END"))
    )
    yield put("many.fits.gz", gzip.compress(good + empty.ljust(2880) * 500)), "257 HDUs; at most"
    with zipfile.ZipFile(folder / "tile.zip", "w") as archive:
        archive.writestr("tile.fits", good)
    yield folder / "tile.zip", "is a zip archive"
    os.mkfifo(folder / "pipe.fits")
    yield folder / "pipe.fits", "is not a regular file"


def test_absurd_tiles(pair, tmp_path, capsys):
    seen = 0
    for path, words in absurd_tiles(tmp_path):
        refused(capsys, ["run", pair[0], path, "--out", tmp_path / "out"], path, words)
        seen += 1
    assert seen == 8
    assert not (tmp_path / "out").exists()


def test_total_size_is_bounded(pair, monkeypatch):
    monkeypatch.setattr(images, "_MAX_BYTES", 5000)
    with pytest.raises(TileError, match="bytes in 2 HDUs; at most 5000"):
        read_master_tile(pair[1])
    assert read_master_tile(pair[0]).pixels.shape == (24, 30)


def test_compressed_image_that_claims_too_much(pair, tmp_path, capsys):
    content = packed(read_master_tile(pair[0]), tmp_path / "packed.fits", "RICE_1")
    for axis, old in (("1", 30), ("2", 24)):
        before = f"ZNAXIS{axis} = {old:20d}".encode()
        assert content.count(before) == 1
        content = content.replace(before, f"ZNAXIS{axis} = {10**6:20d}".encode())
    (tmp_path / "packed.fits").write_bytes(content)
    refused(capsys, ["run", tmp_path / "packed.fits", "--out", tmp_path / "out"], "1000000000000 values >")


def test_tile_at_the_other_end_of_the_sky(pair, tmp_path, capsys):
    far = tmp_path / "far.fits"
    shutil.copy(pair[1], far)
    for name, change in (("CRVAL1", 60), ("CRVAL2", 40)):
        fits.setval(far, name, value=fits.getval(far, name) + change)
    refused(capsys, ["run", pair[0], far, "--out", tmp_path / "out"], "mosaic of shape", "a tile has the wrong WCS")


def change_pixels(path, sizes, projection="TAN"):
    with fits.open(path, mode="update") as hdus:
        header = hdus[0].header
        for name in [name for name in header if name.startswith(("PC", "CD"))]:
            del header[name]
        header["CDELT1"], header["CDELT2"] = sizes
        header["CTYPE1"], header["CTYPE2"] = f"RA---{projection}", f"DEC--{projection}"


def test_pixels_without_an_area(pair, tmp_path, capsys):
    """One tile of many is left out by `replay`, and named by both."""
    bad, out = tmp_path / "bad.fits", tmp_path / "out"
    shutil.copy(pair[1], bad)
    ran(capsys, "run", *pair, "--out", out, codes=(0,))
    for sizes in ((-1e-200, 1e-200), (-1e200, 1e200), (-1e-300, 1.0)):
        change_pixels(bad, sizes)
        refused(capsys, ["run", pair[0], bad, "--out", out], bad, "no celestial WCS: a pixel of")
        _, text, _ = ran(capsys, "replay", out / "mosaic.fits", pair[0], bad, "--out", out, codes=(1,))
        assert f"[TwoPassReplay] left out: {bad}: no celestial WCS: a pixel of" in text


def test_tiles_without_a_common_grid(pair, tmp_path, capsys):
    bad = tmp_path / "bad.fits"
    shutil.copy(pair[1], bad)
    change_pixels(bad, (-20.0, 20.0), "AIT")
    refused(capsys, ["run", pair[0], bad, "--out", tmp_path / "out"], "the tiles have no common grid: ")


def test_no_memory_is_one_line(pair, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(cli, "run_second_pass", lambda *args, **kwargs: np.empty((1 << 30, 1 << 29)))
    refused(capsys, ["run", *pair, "--out", tmp_path / "out"], "Unable to allocate")

    def no_memory(*args, **kwargs):
        raise MemoryError

    monkeypatch.setattr(cli, "run_second_pass", no_memory)
    refused(capsys, ["run", *pair, "--out", tmp_path / "out"], "error: MemoryError")


def test_name_that_looks_like_an_address(pair, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "http:" / "host").mkdir(parents=True)
    (tmp_path / "~").mkdir()
    for name in ("http:/host/tile.fits", "~/tile.fits"):
        shutil.copy(pair[0], name)
        assert ran(capsys, "run", name, "--out", "out")[0] == 0


def evil_names():
    """File names from strangers; none has a slash, so none leads anywhere."""
    yield f"a{EVIL}.fits"
    yield '<img src=x onerror="alert(1)">&\'.fits'
    yield "..\\..\\x.fits"
    yield "two\n[TwoPassVerdict] clean.fits"
    yield os.fsdecode(b"\xff\xfe.fits")
    yield "$\\frac{$ %s {0} é 星.fits"
    yield "-" * 200 + ".fits"


def test_names_of_tiles(pair, tmp_path, capsys):
    given = tmp_path / "given"
    given.mkdir()
    for number, name in enumerate(evil_names()):
        shutil.copy(pair[number % 2], given / name)
    out = tmp_path / "out"
    _, text, _ = ran(capsys, "run", *sorted(given.iterdir()), "--out", out, codes=(0,))
    assert len([line for line in text.splitlines() if line.startswith("[TwoPassVerdict]")]) == 1
    for argv in (["show", out], ["show", out, "--json"], ["compare", out, out]):
        ran(capsys, *argv, codes=(0,))
    again = tmp_path / f"again{EVIL}"
    _, text, _ = ran(capsys, "replay", out / "mosaic.fits", *sorted(given.iterdir()), "--out", again, codes=(0,))
    assert len([line for line in text.splitlines() if line.startswith("[TwoPassVerdict]")]) == 1
    assert {path.name for path in tmp_path.iterdir()} == {"given", "out", again.name}
    page = (out / PAGE_NAME).read_text(encoding="utf-8", errors="surrogateescape")
    assert "<img src=x" not in page
    assert html.escape("<img src=x onerror=") in page
    for name in evil_names():
        (given / name).write_bytes(b"no tile")
        refused(capsys, ["run", given / name, "--out", out], "cannot be read")
    tiles = [*pair, *sorted(given.iterdir())]
    _, text, _ = ran(capsys, "replay", out / "mosaic.fits", *tiles, "--out", again, codes=(1,))
    assert len([line for line in text.splitlines() if line.startswith("[TwoPassVerdict]")]) == 1


def test_header_texts_from_strangers(pair, tmp_path, capsys):
    """Texts of a header reach neither the names of files nor, unescaped, the page."""
    bad = tmp_path / "bad.fits"
    with fits.open(pair[0]) as hdus:
        for key, value in {
            "OBJECT": "../../<script>",
            "RADESYS": "<script>alert(1)</script>",
            "WCSNAME": "../../../etc/x",
            "DATE-OBS": "../<b>",
            "FILENAME": "/tmp/x",
            "EXTNAME": "../up",
        }.items():
            hdus[0].header[key] = value
        hdus.writeto(bad)
    refused(capsys, ["run", bad, "--out", tmp_path / "out"], bad, "gives no position on the sky")
    fits.delval(bad, "RADESYS")
    assert ran(capsys, "run", bad, "--out", tmp_path / "out")[0] == 0
    assert {path.name for path in tmp_path.iterdir()} == {"bad.fits", "out"}
    page = (tmp_path / "out" / PAGE_NAME).read_text(encoding="utf-8")
    assert "<script" not in page
    assert "../" not in page
