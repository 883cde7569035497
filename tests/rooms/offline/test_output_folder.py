"""What is found in the output folder of a run, whole, cleaned up, or strange."""

import os

import pytest

from zemosaic_twopass.offline.output_folder import OutputFolder
from zemosaic_twopass.tiles.images import TileError

HEAD = "tile_id,path,tile_weight_raw,tile_weight_effective,has_alpha_weight2d\n"
TILES = "zemosaic_temp_master_tiles"


def made(folder, *names, tiles=(), listed=None):
    """A folder with files of these names, tiles that were kept, and paths that the table of weights lists."""
    (folder / TILES).mkdir(parents=True)
    for name in (*names, *(f"{TILES}/{tile}" for tile in tiles)):
        (folder / name).touch()
    if listed is not None:
        rows = "".join(f"tile:{number},{path},8,1,True\n" for number, path in enumerate(listed))
        (folder / "tile_weights_final.csv").write_text(HEAD + rows, encoding="utf-8")
    return folder


def test_the_science_image_is_taken_and_never_one_to_be_looked_at(tmp_path):
    copies = [f"zemosaic_MT6_R0{suffix}.fits" for suffix in ("_aesthetic", "_viewer", "_display", "_coverage")]
    folder = made(tmp_path / "a", *copies, "zemosaic_MT6_R0_science.fits", "zemosaic_MT6_R0.fits", "winner_map.fits")
    found = OutputFolder.of(folder)
    assert found.mosaic.name == "zemosaic_MT6_R0_science.fits"
    assert found.coverage.name == "zemosaic_MT6_R0_coverage.fits"
    (folder / "zemosaic_MT6_R0_science.fits").unlink()
    assert OutputFolder.of(folder).mosaic.name == "zemosaic_MT6_R0.fits"
    (folder / "zemosaic_MT6_R0.fits").rename(folder / "zemosaic_MT6_R0_lin.fits")
    with pytest.raises(TileError, match=r"neither zemosaic_MT6_R0_science.fits nor .*zemosaic_MT6_R0_lin.fits.*suffix"):
        OutputFolder.of(folder)
    found = OutputFolder.of(folder, "_lin")
    assert (found.mosaic.name, found.coverage.name) == ("zemosaic_MT6_R0_lin.fits", "zemosaic_MT6_R0_coverage.fits")
    grid = made(tmp_path / "grid", "mosaic_grid.fits", "mosaic_grid_coverage.fits", "mosaic_grid_viewer.fits")
    assert OutputFolder.of(grid).mosaic.name == "mosaic_grid.fits"


def test_without_a_coverage_and_of_several_runs_the_newest(tmp_path):
    folder = made(tmp_path, "zemosaic_MT6_R48.fits", "zemosaic_MT6_R48_viewer.fits", "weighted_coverage_map.fits")
    found = OutputFolder.of(folder)
    assert (found.mosaic.name, found.coverage) == ("zemosaic_MT6_R48.fits", None)
    for name in ("zemosaic_MT7_R50.fits", "zemosaic_MT7_R50_coverage.fits", "zemosaic_MT6_R48_coverage.fits"):
        (folder / name).touch()
    os.utime(folder / "zemosaic_MT6_R48.fits", (1, 1))
    found = OutputFolder.of(folder)
    assert found.mosaic.name == "zemosaic_MT7_R50.fits"
    assert "1 older mosaics lie beside zemosaic_MT7_R50.fits" in found.remarks[0]


def test_tiles_in_the_order_of_the_table_wherever_the_folder_is_now(tmp_path):
    names = "master_tile_001.fits", "master_tile_000.fits"
    main = "zemosaic_MT2_R0.fits", "zemosaic_MT2_R0_coverage.fits"
    elsewhere = made(tmp_path / "in", *names)
    for number, listed in enumerate(
        ([rf"C:\out\{TILES}\{name}" for name in names], [f"/gone/{TILES}/{name}" for name in names])
    ):
        found = OutputFolder.of(made(tmp_path / f"moved{number}", *main, tiles=names, listed=listed))
        assert [path.name for path in found.tiles] == list(names)
        assert found.remarks == ()
    existing = OutputFolder.of(made(tmp_path / "existing", *main, listed=[elsewhere / name for name in names]))
    assert existing.tiles == tuple(elsewhere / name for name in names)
    unlisted = OutputFolder.of(made(tmp_path / "unlisted", *main, tiles=names))
    assert [path.name for path in unlisted.tiles] == sorted(names)


def test_tiles_that_are_gone_are_said_to_be(tmp_path):
    main = "zemosaic_MT2_R0.fits", "zemosaic_MT2_R0_coverage.fits"
    paths = [f"/gone/master_tile_00{number}.fits" for number in range(3)]
    cleaned = OutputFolder.of(made(tmp_path / "cleaned", *main, listed=paths))
    assert cleaned.tiles == ()
    assert cleaned.remarks[0].startswith(
        "its 3 master tiles were not kept: switch off 'Delete temporary processing files"
    )
    some = OutputFolder.of(made(tmp_path / "some", *main, tiles=["master_tile_001.fits"], listed=paths))
    assert some.tiles == ()
    assert some.remarks == ("2 of its 3 master tiles are gone (master_tile_000.fits): none are used",)


@pytest.mark.parametrize("listed", [["//server/share/a.fits"], [r"\\server\share\a.fits"], ["/"], ["a\0b"]])
def test_a_table_from_a_stranger_asks_no_other_machine(tmp_path, monkeypatch, listed):
    folder = made(tmp_path, "zemosaic_MT2_R0.fits", "zemosaic_MT2_R0_coverage.fits", listed=listed)
    asked, real = [], os.stat
    monkeypatch.setattr(os, "stat", lambda path, *a, **k: asked.append(str(path)) or real(path, *a, **k))
    assert OutputFolder.of(folder).tiles == ()
    assert not [path for path in asked if "server" in path]
    (folder / "tile_weights_final.csv").write_bytes(b"\xff\xfe\0,path\n")
    assert OutputFolder.of(folder).tiles == ()


@pytest.mark.parametrize(
    ("names", "words"), [((), "no .fits file"), (("a.fits", "b.fits"), "2 .fits files, none of a name that it gives")]
)
def test_other_folders_are_refused_in_a_line(tmp_path, names, words):
    with pytest.raises(TileError, match=f"not the output folder of a ZeMosaic run: {words}"):
        OutputFolder.of(made(tmp_path, *names))
    with pytest.raises(TileError, match="no such folder"):
        OutputFolder.of(tmp_path / "none")
