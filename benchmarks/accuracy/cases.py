"""Cases of tiles as given against one another: a scene of a sort, faults in it, and what comes of the comparison."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from reproject.mosaicking import find_optimal_celestial_wcs

from benchmarks.accuracy.scenes import NOISE as WHITE_NOISE
from benchmarks.accuracy.scenes import Scene
from zemosaic_twopass.diagnosis.comparison import residual_findings
from zemosaic_twopass.diagnosis.kinds import NOTES
from zemosaic_twopass.synthetic.dense import DenseScene
from zemosaic_twopass.synthetic.nights import NOISE as NIGHT_NOISE
from zemosaic_twopass.synthetic.nights import TileFault, faults_everywhere, night_tiles, with_fault
from zemosaic_twopass.synthetic.surveys import survey
from zemosaic_twopass.tiles.records import SecondPass, Tile, TileList

GRIDS = ((3, 3), (3, 4), (4, 4), (3, 3), (6, 6), (3, 4), (4, 5), (3, 3))
NOISE = {"white": WHITE_NOISE, "night": NIGHT_NOISE, "dense": 8.0}
BOWS = "flat field", "stray light"
TERMS = ("offset", "gain", "slope_x", "slope_y")


def layout(sort, number):
    """Geometry and noiseless sky of a scene; there are as many as have room in memory."""
    return _layout(sort, number % (len(GRIDS) if sort == "white" else 10))


@cache
def _layout(sort, number):
    if sort == "white":
        return Scene.make(*GRIDS[number], seed=900 + number)
    return DenseScene.make(700 + number, count=60)


def clean_tiles(sort, seed, faults=None):
    """Tiles of a sort; `faults` from the index of a tile to its TileFault."""
    faults = faults or {}
    if sort == "night":
        return night_tiles(seed, faults=faults).tiles
    scene, rng = layout(sort, seed), np.random.default_rng(seed)
    if sort == "dense":
        tiles = scene.tiles_with_noise(rng)
    else:
        noisy = [(tile + rng.normal(0, WHITE_NOISE, tile.shape)).astype(np.float32) for tile in scene.tiles]
        tiles = [Tile(*fields) for fields in zip(noisy, scene.wcs, scene.coverage, strict=True)]
    return [with_fault(tile, faults[index]) if index in faults else tile for index, tile in enumerate(tiles)]


def fault_of(kind, size, noise, angle):
    """A fault of a kind; `size` in units of the noise, as a factor, or in pixels."""
    along = np.cos(angle), np.sin(angle)
    if kind == "offset":
        return TileFault(offset=size * noise)
    if kind == "gain_residual":
        return TileFault(gain=size - 1)
    if kind == "gradient":
        return TileFault(slope=tuple(size * noise * part for part in along))
    return TileFault(shift=tuple(size * part for part in along))


def true_size(kind, size, noise):
    return {"gain_residual": size - 1, "astrometry": size}.get(kind, size * noise)


def compared(tiles):
    """The survey of tiles, and its findings, worst first, without notes."""
    wcs, shape = find_optimal_celestial_wcs([(tile.shape, tile.wcs) for tile in tiles])
    found = survey(SecondPass(TileList.of(tiles), wcs, shape))
    named = sorted((entry for entry in residual_findings(found) if entry[1].kind not in NOTES), key=lambda e: -e[0])
    return found, [finding for _, finding in named]


def moved_white(sort, seed, tile, fault):
    """White tiles one of which is seen beside its place: its sky is read there, so that the noise is not."""
    from scipy.ndimage import map_coordinates

    tiles, scene = clean_tiles(sort, seed), layout(sort, seed)
    sky = scene.tiles[tile] if sort == "white" else scene.tiles[tile].pixels
    rows, columns = np.indices(sky.shape, dtype=float)
    x, y = fault.shift
    moved = map_coordinates(
        np.nan_to_num(sky, nan=float(np.nanmedian(sky))), (rows - y, columns - x), order=3, mode="nearest"
    )
    noise = np.random.default_rng(seed + 1).normal(0, NOISE[sort], sky.shape)
    pixels = np.where(np.isfinite(tiles[tile].pixels), moved + noise, np.nan).astype(np.float32)
    return [replace(own, pixels=pixels) if index == tile else own for index, own in enumerate(tiles)]


@dataclass(frozen=True)
class Case:
    """One run: a sort, a seed, and faults by tile and kind."""

    what: str
    sort: str
    seed: int
    kind: str = ""
    size: float = 0.0
    others: str = ""


def run(case):
    """What came of a case: (case, z values or None, first finding or None, number of findings, truth)."""
    rng = np.random.default_rng(case.seed + 77)
    noise = NOISE[case.sort]
    if not case.kind:
        found, named = compared(clean_tiles(case.sort, case.seed))
        return case, z_of(found), named[:1], len(named), None
    count = 60 if case.sort == "dense" else 9 if case.sort == "night" else len(layout("white", case.seed).tiles)
    tile = int(rng.integers(count))
    fault = fault_of(case.kind, case.size, noise, rng.uniform(0, 2 * np.pi))
    faults = {}
    if case.others in BOWS:
        return _bowed(case, tile, fault, rng)
    if case.others == "everywhere":
        faults = faults_everywhere(case.seed, count, offset=2 * noise, slope=1.5 * noise)
        own = faults[tile]
        fault = replace(
            fault,
            offset=fault.offset + own.offset,
            gain=(1 + fault.gain) * (1 + own.gain) - 1,
            slope=tuple(np.add(fault.slope, own.slope)),
        )
    elif case.others:
        # Others, neighbours included, of half the size and of any kind.
        for other in rng.choice(np.delete(np.arange(count), tile), int(case.others), replace=False):
            kind = str(rng.choice(("offset", "gain_residual", "gradient")))
            faults[int(other)] = fault_of(kind, {"gain_residual": 1.01}.get(kind, 1.5), noise, rng.uniform(0, 6))
    faults[tile] = fault
    if any(fault.shift) and case.sort != "night":
        tiles = moved_white(case.sort, case.seed, tile, fault)
        tiles = [with_fault(t, replace(faults.get(i, TileFault()), shift=(0, 0))) for i, t in enumerate(tiles)]
    else:
        tiles = clean_tiles(case.sort, case.seed, faults)
    _, named = compared(tiles)
    return case, None, named[:1], len(named), (tile, true_size(case.kind, case.size, noise))


def bow(tile, height):
    """What rises from the middle of a tile to its corners by so much, shape (H, W) or (H, W, 1)."""
    rows, columns = (np.arange(n) - (n - 1) / 2 for n in tile.shape)
    square = rows[:, np.newaxis] ** 2 + columns**2
    rise = (height * square / square.max()).astype(np.float32)
    return rise if tile.pixels.ndim == 2 else rise[..., np.newaxis]


def _bowed(case, tile, fault, rng):
    """A fault in one tile, or none, and the same bow in all: a factor, or added, of 1 to 20 × noise in the corners."""
    size = float(rng.choice((-1, 1)) * np.exp(rng.uniform(0, np.log(20)))) * NOISE[case.sort]
    tiles = clean_tiles(case.sort, case.seed, {} if case.size == 0 else {tile: fault})
    if case.others == "flat field":
        level = np.median([np.nanmedian(own.pixels) for own in tiles])
        tiles = [replace(own, pixels=own.pixels * (1 + bow(own, size / level))) for own in tiles]
    else:
        tiles = [replace(own, pixels=own.pixels + bow(own, size)) for own in tiles]
    _, named = compared(tiles)
    common = [finding for finding in named if finding.tile is None]
    named = [finding for finding in named if finding.tile is not None]
    if case.size == 0:
        # Its corner is that of what the tile knows.
        return case, None, common, len(common) + len(named), (None, size)
    return (
        case,
        None,
        named[:1],
        len(named) + 1 - len(common),
        (tile, true_size(case.kind, case.size, NOISE[case.sort])),
    )


def z_of(found):
    """All z values of a survey, by term."""
    values = defaultdict(list)
    for fit in found.fits:
        if fit is None:
            continue
        for term in TERMS:
            z = getattr(fit, term) / getattr(fit, f"{term}_error")
            values[term] += [float(v) for v in z if np.isfinite(v) and v != 0]
        for term in ("shift_x", "shift_y"):
            if np.isfinite(fit.shift_error):
                values["shift"].append(getattr(fit, term) / fit.shift_error)
    return dict(values)


def judged(outcome):
    """(kind and tile right, size within 10 % or 3 errors) of the first finding."""
    case, _, first, _, (tile, size) = outcome
    if not first or (first[0].kind, first[0].tile) != (case.kind, tile):
        return False, False
    off = abs(first[0].value - size)
    return True, bool(off <= max(0.1 * abs(size), 3 * first[0].error))
