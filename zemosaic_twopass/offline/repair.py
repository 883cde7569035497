"""A residual finding proved by experiment: what was found is taken out of copies, and these are compared again.

One tile after the other, as in `replay`: what stays of each is small.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from ..console import silent
from ..diagnosis.acceptance import accept
from ..diagnosis.closure import median_steps
from ..diagnosis.examination import Examination
from ..diagnosis.examine import examine
from ..diagnosis.foreseen import foresee, say_foreseen
from ..diagnosis.photometry import Correction, StarScales
from ..diagnosis.registration import move_wcs
from ..files import by_reason, reason_of, whole_file
from ..measure.measurement import measure_tile
from ..tiles.copies import name_unpacked, write_copy
from ..tiles.headers import celestial_wcs
from ..tiles.images import TileError, open_image
from ..tiles.mosaic import MosaicGrid
from ..tiles.place import Place
from ..tiles.reading import require_usable, require_usable_heads, try_head, warn_about
from ..tiles.records import Tile
from ..tiles.tile_set import TileSet, tell_each
from .corrections import TABLE_NAME, history_of, write_corrections


@dataclass(frozen=True, eq=False)
class Repair:
    """What was found in a set of tiles, taken out of copies of them, and what is found in these.

    Attributes
    ----------
    names : tuple of str
        What the tiles are called, without their folders.
    corrections : tuple of (Correction or None)
        None for a tile that could not be compared.
    refused : dict of int to str
        Why tiles in which something was found stay as they are: what was found would do harm, or cannot be seen to
        help. Their corrections are of nothing.
    stars : StarScales
        How bright the tiles' stars are.
    files : tuple of (pathlib.Path or None)
        Copies; None for one that could not be written.
    failed : dict of str to str
        Why files could not be written, by their names.
    before, after : Examination
        What is found in the tiles as given, and in the copies; a copy that could not be written is not compared.
    steps : (float, float)
        Root mean square in adu of the median steps of neighbours that share at least 20 blocks, all channels, before
        and after; of pairs of which both have a copy. NaN where there is none.
    noise : float
        Standard deviation of one pixel in adu, median over tiles and channels.
    lowest : tuple of float
        The lowest pixel of each copy that is below 0 where its tile is not, in adu; 0 where there is none.
    """

    names: tuple[str, ...]
    corrections: tuple[Correction | None, ...]
    refused: dict[int, str]
    stars: StarScales
    files: tuple[Path | None, ...]
    failed: dict[str, str]
    before: Examination
    after: Examination
    steps: tuple[float, float]
    noise: float
    lowest: tuple[float, ...]


def repair(paths, out, *, run=map, stage=silent, foretell=lambda picture, after, sentence: None):
    """Write corrected copies of tiles, and compare the copies; what would harm a tile is not done.

    Parameters
    ----------
    paths : sequence of path-like
        Master tiles, as for `tiles.read_master_tile`; never written to.
    out : path-like
        Folder of the copies and of their table. A tile in which nothing is found, or nothing that can be taken out
        without harm, is copied byte for byte.
    run : callable, optional
        As `map`: where the work on each tile is done, results in the tiles' order.
    stage : callable, optional
        As `console.stage`: is told what is being done.
    foretell : callable, optional
        Called before anything is written with what a coadd of the tiles looks like and one of the copies will, as
        `SeamMap.picture`, and a sentence on it.

    Returns
    -------
    Repair

    Raises
    ------
    TileError
        If `out` holds a tile, two copies would have one name, tiles cannot be read, they do not go together or meet
        nowhere, or no copy could be written. The message names the files.
    """
    paths, out = [Path(path) for path in paths], Path(os.path.abspath(out))
    _refuse(paths, out)
    grid = _grid(paths, run)
    tiles = TileSet.on_disk(paths, grid, run)
    with stage("tiles", len(paths)) as step:
        looks = require_usable(paths, tell_each(tiles.each(measure_tile), step))
    with stage("tiles against one another"):
        before = examine(looks, tiles)
    if not any(before.fits):
        raise TileError(f"none of {len(paths)} tiles meets another in enough places to be compared with it")
    with stage("what is to be taken out"):
        accepted = accept(before.corrected_tiles.surveyed, grid.shape)
    found = accepted.corrections
    noise = float(np.nanmedian([look.noise for look in looks]))
    seams = foresee(looks, before.corrected_tiles, accepted.refused, grid.shape)
    foretell(*(one.picture for one in seams), say_foreseen(*seams))
    # The looks at the tiles as given go one by one: those at the copies are as large.
    before, steps = replace(before, corrected_tiles=None), median_steps([look.blocks for look in looks])
    files = [out / (path.name if _sound(own) else name_unpacked(path)) for path, own in zip(paths, found, strict=True)]
    with stage("copies", len(paths)) as step:
        copied = run(partial(try_repaired, grid=grid), paths, files, found)
        outcomes, lowest = zip(*tell_each(copied, step), strict=True)
        changed, failed = _take_over(outcomes, looks, files)
    if not any(files):
        raise TileError(f"{out}: no copy could be written: {next(iter(failed.values()))}")
    after = before
    if changed:
        with stage("copies against one another"):
            after = _of_copies(examine(looks, TileSet.on_disk(files, grid, run)), files)
    steps = _rms_of_steps(steps, median_steps([look.blocks for look in looks]))
    names = tuple(path.name for path in paths)
    told_of = names, found, accepted.refused, accepted.stars, tuple(files), failed
    done = Repair(*told_of, before, after, steps, noise, lowest)
    return _with_table(done, out)


def try_repaired(path, copy, correction, grid):
    """Write the copy of a tile and look at it.

    Parameters
    ----------
    path : path-like
    copy : pathlib.Path
    correction : Correction or None
        Without one, or with one of nothing, the copy is the tile byte for byte.
    grid : MosaicGrid

    Returns
    -------
    look : TileMeasurement, None or TileError
        None for a copy that is the tile byte for byte; the reason where there is no copy.
    lowest : float
        As in `Repair`.
    """
    path, outcome, lowest = Path(path), None, 0.0
    try:
        if _sound(correction):
            with whole_file(copy) as temporary:
                shutil.copyfile(path, temporary)
        else:
            lowest = _write_corrected(path, copy, correction, grid)
            (outcome,) = TileSet.on_disk([copy], grid, map).each(measure_tile)
    except Exception as error:  # astropy raises much on odd headers
        outcome = TileError(reason_of(error))
    # What an earlier call left would be a tile that does not go with the others, or one twice.
    for name in {path.name, name_unpacked(path)} - {None if isinstance(outcome, TileError) else copy.name}:
        with contextlib.suppress(OSError):
            copy.with_name(name).unlink(missing_ok=True)
    return outcome, lowest


def _write_corrected(path, copy, correction, grid):
    """Write the copy of a tile with its correction taken out: the lowest pixel, as in `Repair`."""
    wcs, lowest = grid.wcs(), 0.0
    with open_image(path) as (data, header, coverage):
        own = celestial_wcs(header, data.shape[:2])
        right = move_wcs(Tile(data, own), wcs, correction.shift) if correction.shift.any() else own
        # What fills the rest is no sky, and may mean something to whoever wrote it.
        good = None if coverage is None else coverage > 0
        height, width = data.shape[:2]
        positions = None
        if correction.slope.any() or correction.bends or correction.curvature is not None:
            # Where the tile's pixels lie in the mosaic: the place of the mosaic on the tile's grid.
            place = Place.of(grid.shape, wcs, (height, width), right)
            positions = place.positions(np.arange(height), np.arange(width))

    def edit(values, top):
        nonlocal lowest
        rows = slice(top, top + values.shape[1])
        y, x = (0.0, 0.0) if positions is None else positions(rows)
        flat = values
        if correction.curvature is not None:
            flat = correction.curvature.take_out(values, correction.middle, x, y)
        new = correction.take_out(flat, x, y)
        if good is not None:
            new = np.where(good[rows], new, values)
        lowest = float(np.min(new, initial=lowest, where=(values >= 0) & (new < 0)))
        return new

    write_copy(path, copy, edit, right.wcs.crpix - own.wcs.crpix, history_of(correction))
    return lowest


def _sound(correction):
    """Whether the copy of a tile is to be the tile."""
    return correction is None or correction.empty


def _refuse(paths, out):
    """Raise where a copy would take a tile's place, or another copy's."""
    if len(paths) < 2:
        raise TileError(f"{', '.join(map(str, paths)) or 'no tiles'}: {len(paths)} given, at least 2 are needed")
    gone = by_reason((path, "no such file") for path in paths if not path.is_file())
    if gone:
        raise TileError(*gone)
    names, tiles = {}, {}
    for path in paths:
        # Windows and macOS tell no capitals apart.
        name = name_unpacked(path).casefold()
        if name in names:
            raise TileError(f"{names[name]} and {path}: the copies of both would be called {name_unpacked(path)}")
        names[name] = path
        tiles[_identity(path)] = path
        # By its own name, and where a link leads to.
        if out.exists() and any(os.path.samefile(out, folder) for folder in (path.parent, path.resolve().parent)):
            raise TileError(f"{out}: holds {path}: another folder is needed for the copies")
    for name in {TABLE_NAME, *(name for path in paths for name in (path.name, name_unpacked(path)))}:
        if (out / name).exists() and _identity(out / name) in tiles:
            tile = tiles[_identity(out / name)]
            raise TileError(f"{out / name}: is {tile} itself: another folder is needed for the copies")


def _identity(path):
    found = os.stat(path)
    return found.st_dev, found.st_ino


def _grid(paths, run):
    heads = require_usable_heads(paths, run(try_head, paths))
    warn_about((path, remark) for path, head in zip(paths, heads, strict=True) for remark in head.remarks())
    return MosaicGrid.make([head.shape for head in heads], [head.wcs() for head in heads])


def _take_over(outcomes, looks, files):
    """Put the looks at the copies in place of those at the tiles, and None in place of files that are not there.

    Returns
    -------
    changed : bool
        Whether any look is another now.
    failed : dict of str to str
        Why files are not there, by their names.
    """
    changed, failed = False, {}
    for index, outcome in enumerate(outcomes):
        changed |= outcome is not None
        if isinstance(outcome, TileError):
            failed[files[index].name], files[index] = str(outcome), None
            looks[index] = looks[index].without_pixels()
        elif outcome is not None:
            looks[index] = outcome
    return changed, failed


def _with_table(done, out):
    try:
        write_corrections(done, out / TABLE_NAME)
    except OSError as error:
        return replace(done, failed={**done.failed, TABLE_NAME: reason_of(error)})
    return done


def _of_copies(found, files):
    """What was found in the copies that are there; of the others nothing is said."""
    return replace(found, findings=tuple(one for one in found.findings if one.tile is None or files[one.tile]))


def _rms_of_steps(before, after):
    # Both are taken over the same pairs: where a tile was moved a pair may have gained or lost its last blocks.
    pairs = before.keys() & after.keys()
    if not pairs:
        return np.nan, np.nan
    return tuple(float(np.sqrt(np.mean(np.square([each[pair] for pair in sorted(pairs)])))) for each in (before, after))
