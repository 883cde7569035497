"""The folder into which a ZeMosaic run writes: which of its files is the mosaic, and what else of it helps.

A run writes `NAME.fits`, or `NAME_science.fits` where it also writes one to look at, and `NAME_coverage.fits`; master
tiles stay in a folder in it where the run does not clean up. `tile_weights_final.csv` names the tiles in the order in
which they went in.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from ..files import read_text_within_bounds
from ..report.next_steps import MASTER_TILES
from ..tiles.images import TileError

# This follows the name of the mosaic that is measured, where there is one beside it to be looked at.
SCIENCE = "_science"
_COVERAGE = "_coverage"
# Copies of it to be looked at: stretched, filled or cut to whole numbers.
_LOOKED_AT = "_aesthetic", "_display", "_viewer"
_SUFFIX = ".fits"
_TILES_TABLE = "tile_weights_final.csv"
_KEEP = (
    "switch off 'Delete temporary processing files after run' (cleanup_temp_artifacts in zemosaic_config.json) before "
    "the run, and they are kept"
)
# Rows that are read of a list from a stranger.
_MOST_TILES = 10_000


@dataclass(frozen=True)
class OutputFolder:
    """What of a run's output is used.

    Attributes
    ----------
    folder : pathlib.Path
    mosaic : pathlib.Path
    coverage : pathlib.Path or None
    tiles : tuple of pathlib.Path
        In the order in which they went in; empty where one of them is gone.
    remarks : tuple of str
        What to say of it, a line each.
    """

    folder: Path
    mosaic: Path
    coverage: Path | None
    tiles: tuple[Path, ...]
    remarks: tuple[str, ...] = ()

    @classmethod
    def of(cls, folder, science=SCIENCE):
        """Find what is in a folder.

        Parameters
        ----------
        folder : path-like
        science : str, optional
            What follows the base name of the mosaic that is measured, where the run was set to another.

        Returns
        -------
        OutputFolder

        Raises
        ------
        TileError
            If the folder is not there, or has no mosaic that can be told from the others; says what is there.
        """
        folder = Path(folder)
        if not folder.is_dir():
            raise TileError(f"{folder}: no such folder")
        try:
            images = {path.name: path for path in folder.iterdir() if path.suffix == _SUFFIX and path.is_file()}
        except OSError as error:
            raise TileError(f"{folder}: cannot be read: {error.strerror}") from None
        mosaic, remarks = _mosaic_of(folder, images, science)
        coverage = images.get(_base_of(mosaic.stem, science) + _COVERAGE + _SUFFIX)
        tiles, why = _tiles_of(folder)
        return cls(folder, mosaic, coverage, tiles, (*remarks, *why))


def _base_of(stem, science):
    return stem.removesuffix(science)


def _mosaic_of(folder, images, science):
    """The mosaic, and remarks."""
    names = [Path(name).stem for name in images]
    bases = [name.removesuffix(_COVERAGE) for name in names if name.endswith(_COVERAGE)]
    if not bases:
        # Without a coverage image: the only one that is no copy to be looked at.
        ours = {_base_of(name, science) for name in names if name.startswith("zemosaic_")}
        bases = sorted(ours - set(_find_shown(names)))
    if not bases:
        there = f"{len(images)} .fits files, none of a name that it gives" if images else "no .fits file"
        raise TileError(f"{folder}: not the output folder of a ZeMosaic run: {there}")
    choices = {}
    for base in bases:
        for suffix in (science, ""):
            choices.setdefault(base, images.get(base + suffix + _SUFFIX))
            if choices[base] is None:
                del choices[base]
    if not choices:
        others = sorted(n for n in images if n.startswith(bases[0]) and not n.startswith(bases[0] + _COVERAGE))
        there = ", ".join(others[:4]) or "nothing else of that name"
        raise TileError(
            f"{folder}: neither {bases[0]}{science}{_SUFFIX} nor {bases[0]}{_SUFFIX} is beside its coverage but "
            f"{there}; if the run was set to another suffix: --science-suffix"
        )
    # Runs into one folder leave a mosaic each.
    newest = max(choices.values(), key=lambda path: (path.stat().st_mtime_ns, path.name))
    more = len(choices) - 1
    return newest, (f"{more} older mosaics lie beside {newest.name}: the newest is taken",) if more else ()


def _find_shown(names):
    return [name for name in names if name.endswith(_LOOKED_AT)]


def _tiles_of(folder):
    """The tiles that went into the mosaic, and why there are none."""
    listed = _read_list(folder / _TILES_TABLE)
    if not listed:
        kept = folder / MASTER_TILES
        found = sorted(kept.glob(f"master_tile_*{_SUFFIX}")) if kept.is_dir() else []
        return tuple(found), () if found else (f"its master tiles were not kept: {_KEEP}",)
    choices = [(folder / MASTER_TILES / name, folder / name, path) for name, path in listed]
    found = [next((path for path in choice if path is not None and path.is_file()), None) for choice in choices]
    gone = [name for (name, _), path in zip(listed, found, strict=True) if path is None]
    if not gone:
        return tuple(found), ()
    if len(gone) == len(found):
        return (), (f"its {len(found)} master tiles were not kept: {_KEEP}",)
    return (), (f"{len(gone)} of its {len(found)} master tiles are gone ({gone[0]}): none are used",)


def _read_list(path):
    """(name, path or None) of the tiles that a run lists; empty where it lists none."""
    try:
        rows = list(csv.DictReader(read_text_within_bounds(path).splitlines()))[:_MOST_TILES]
    except (OSError, ValueError, csv.Error):
        return []
    texts = [row.get("path") for row in rows]
    if not all(isinstance(text, str) and text for text in texts):
        return []
    # The list may come from another machine; of its paths only those on a disk of this one are asked for, no share.
    names = [PureWindowsPath(text).name if "\\" in text else PurePosixPath(text).name for text in texts]
    if not all(names):
        return []
    return [
        (name, None if text.startswith(("\\\\", "//")) or "\0" in text else Path(text))
        for name, text in zip(names, texts, strict=True)
    ]
