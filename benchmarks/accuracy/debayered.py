"""Mosaics of few sharp, debayered frames: undersampled stars, hot pixels taken out, colours beside one another.

Unlike `nights.py`: a tile is one to five frames of stars of 1.6 to 2.4 px, debayered to all pixels or binned to one
pixel of three colours out of each four, whose peaks the search for hot pixels cuts; put together with the nearest pixel
or bilinearly on the grid of the first; any tile may be upside down, as after a meridian flip, and colours with it.

Run: python -m benchmarks.accuracy.debayered [sound shifts] [--runs N] [--seed S]
Sound mosaics of six tiles, every camera drawn anew: how many have a tile accused whose stars lie within 0.05 px
of the others', and by how many of its errors a shift is beside the truth. The same with one tile 0.3, 1 and 3 px off.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from reproject.mosaicking import find_optimal_celestial_wcs
from scipy.ndimage import map_coordinates, median_filter, uniform_filter
from scipy.spatial import cKDTree
from scipy.special import ndtr

from benchmarks.measure import machine
from zemosaic_twopass.diagnosis.registration import RADIUS, register
from zemosaic_twopass.measure.coarse import project_blocks
from zemosaic_twopass.measure.stars import Stars, find_stars
from zemosaic_twopass.synthetic.camera import debayer
from zemosaic_twopass.synthetic.night_sky import BAYER
from zemosaic_twopass.synthetic.sky import tangent_wcs
from zemosaic_twopass.tiles.grid import pixels_between
from zemosaic_twopass.tiles.place import Place
from zemosaic_twopass.tiles.records import Tile

_CENTRE = (315.0, 42.0)
_SKY = np.array([820.0, 900.0, 760.0])
_NOISE_PER_SIGNAL, _READ_VARIANCE = 0.6, 16.0
_STAMP = np.arange(-8, 9)
_TURN_DEG, _DITHER_PX, _TILT_DEG = 0.3, 6.0, 3.0
_TILES = 6
_SOUND_PX = 0.05


@dataclass(frozen=True)
class Camera:
    """How the frames of a mosaic are taken and put together.

    Attributes
    ----------
    frames : int
        Number of frames of a tile.
    seeing : float
        Full width at half maximum in pixels of the camera.
    binned : bool
        Four pixels of the camera become one of three colours; red and blue lie a quarter of it aside, each its way.
    cleaned : bool
        Pixels that stand out of their surroundings are replaced by the median there.
    nearest : bool
        Frames are put on the grid of the first by the nearest pixel, else bilinearly.
    flipped : tuple of int
        Tiles that are turned by 180 degrees.
    """

    frames: int = 3
    seeing: float = 2.0
    binned: bool = False
    cleaned: bool = True
    nearest: bool = False
    flipped: tuple[int, ...] = ()


def drawn_camera(seed, count):
    """A camera for a mosaic of `count` tiles, all of it drawn; in half of the cases some tiles are upside down."""
    rng = np.random.default_rng([seed, 1])
    frames, seeing = int(rng.integers(1, 6)), float(rng.uniform(1.6, 2.4))
    binned, cleaned, nearest, flips = rng.random(4) < (0.5, 0.85, 0.4, 0.5)
    flipped = tuple(np.flatnonzero(rng.random(count) < rng.uniform(0.1, 0.6)).tolist()) if flips else ()
    return Camera(frames, seeing, bool(binned), bool(cleaned), bool(nearest), flipped)


def debayered_tiles(seed, camera, *, grid=(2, 3), shape=(220, 280), overlap=0.4, beside=None):
    """Take a mosaic.

    Parameters
    ----------
    seed : int
        Seed of private generators.
    camera : Camera
    grid : tuple of int
        Rows and columns.
    shape : tuple of int
        (H, W) of a tile.
    overlap : float
        Share of a side that neighbours have in common.
    beside : dict, optional
        From the index of a tile to (x, y): how many of its own pixels what it shows lies beside its place.

    Returns
    -------
    tiles : list of Tile
        RGB, NaN where no frame reaches.
    places : list of ndarray, shape (n, 2)
        (x, y) in pixels of each tile: where it shows the stars, beside their place by the rounding of the nearest
        pixel and by what was asked for; also those that lie outside.
    """
    layout, noise = (np.random.default_rng(child) for child in np.random.SeedSequence([seed, 2]).spawn(2))
    step = np.array(shape) * (1 - overlap)
    extent = np.ceil(step * (np.array(grid) - 1) + 1.1 * np.array(shape) + 60).astype(int)
    plane = tangent_wcs(_CENTRE, 0.0, extent)
    stars = _stars(layout, extent, camera)
    tiles, places = [], []
    for index, place in enumerate(np.ndindex(grid)):
        y, x = (extent - 1) / 2 + step * (place - (np.array(grid) - 1) / 2) + layout.uniform(-6, 6, 2)
        angle = np.deg2rad(layout.uniform(-_TILT_DEG, _TILT_DEG) + 180 * (index in camera.flipped))
        wcs = tangent_wcs(plane.pixel_to_world_values(x, y), angle, shape)
        moved = np.array((beside or {}).get(index, (0.0, 0.0)))
        seen = np.stack(wcs.world_to_pixel_values(*plane.pixel_to_world_values(*stars[0].T)), axis=1) + moved
        pixels, shown = _stack((seen, stars[1]), shape, camera, (layout, noise))
        tiles.append(Tile(pixels, wcs, None, name=f"tile_{index:02d}.fits"))
        places.append(shown)
    return tiles, places


def _stars(rng, extent, camera):
    """Places on the plane, and fluxes in three colours, redder than the sky on the whole."""
    count = int(np.prod(extent) / (700 if camera.binned else 900))
    places = rng.uniform(0, 1, (count, 2)) * extent[::-1]
    flux = np.minimum(600 * (rng.pareto(1.2, count) + 1), 60_000) * (3 if camera.binned else 1)
    warmth = rng.normal(0.15, 0.25, count)
    return places, flux[:, np.newaxis] * np.exp(np.stack([warmth, 0 * warmth, -warmth], axis=1))


def _stack(stars, shape, camera, rng):
    """(pixels, places): frames on the grid of the first, averaged, and where the stars are then."""
    total, count, rounded = np.zeros((*shape, 3)), np.zeros(shape), np.zeros_like(stars[0])
    around = np.rint(stars[0])[:, np.newaxis] + np.indices((3, 3)).reshape(2, -1).T - 1
    rows, columns = np.indices(shape, dtype=float)
    middle = (np.array(shape[::-1]) - 1) / 2
    for number in range(camera.frames):
        angle = np.deg2rad(rng[0].uniform(-_TURN_DEG, _TURN_DEG)) * (number > 0)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        dither = rng[0].uniform(-_DITHER_PX, _DITHER_PX, 2) * (number > 0)
        planes = _frame((stars[0] - middle) @ turn.T + middle + dither, stars[1], shape, camera, rng[1])
        there = (np.stack([columns, rows], axis=-1) - middle) @ turn.T + middle + dither
        known = np.all((there >= 0) & (there <= np.array(shape[::-1]) - 1), axis=-1)
        if camera.nearest:
            # What the frame has at round(there) is shown where `there` is.
            core = (around - middle) @ turn.T + middle + dither
            rounded += (core - np.rint(core)).mean(axis=1) @ turn
            there = np.rint(there)
        for channel in range(3):
            sampled = map_coordinates(planes[channel], there.transpose(2, 0, 1)[::-1], order=1, mode="nearest")
            total[..., channel] += np.where(known, sampled, 0)
        count += known
    with np.errstate(invalid="ignore"):
        return (total / count[..., np.newaxis]).astype(np.float32), stars[0] + rounded / camera.frames


def _frame(places, flux, shape, camera, rng):
    """One frame, debayered and cleaned, shape (3, H, W)."""
    binning = 2 if camera.binned else 1
    raw_shape = tuple(n * binning for n in shape)
    rows, columns = np.indices(raw_shape)
    colour = BAYER[rows % 2, columns % 2]
    raw = _SKY[colour] + _star_light(places * binning + (binning - 1) / 2, flux, raw_shape, camera.seeing)
    raw += np.sqrt(_NOISE_PER_SIGNAL * raw + _READ_VARIANCE) * rng.normal(size=raw_shape)
    hot = rng.random(raw_shape) < 2e-4
    raw[hot] += rng.uniform(300, 5000, np.count_nonzero(hot))
    raw = np.minimum(raw, 60_000.0)
    if camera.binned:
        planes = np.stack([raw[0::2, 0::2], (raw[0::2, 1::2] + raw[1::2, 0::2]) / 2, raw[1::2, 1::2]])
    else:
        planes = debayer(raw.astype(np.float32)).astype(float)
    return np.stack([_cleaned(plane) for plane in planes]) if camera.cleaned else planes


def _star_light(places, flux, shape, seeing):
    """Light of stars on the pixels of a camera, each integrated over the pixels of its colour."""
    inside = np.all((places > -6) & (places < np.array(shape[::-1]) + 6), axis=1)
    places, flux = places[inside], flux[inside]
    image = np.zeros([n + 2 * len(_STAMP) for n in shape])
    sigma, first = seeing / 2.3548, np.rint(places).astype(int)
    at = first[:, np.newaxis] + _STAMP[:, np.newaxis]
    share = ndtr((at + 0.5 - places[:, np.newaxis]) / sigma) - ndtr((at - 0.5 - places[:, np.newaxis]) / sigma)
    columns, rows = at[:, np.newaxis, :, 0], at[:, :, np.newaxis, 1]
    colour = BAYER[rows % 2, columns % 2]
    light = share[:, :, np.newaxis, 1] * share[:, np.newaxis, :, 0]
    light *= flux[np.arange(len(flux))[:, np.newaxis, np.newaxis], colour]
    margin = len(_STAMP)
    np.add.at(image, (rows + margin, columns + margin), light)
    return image[margin:-margin, margin:-margin]


def _cleaned(plane):
    """A plane with its pixels that are three local deviations over the median around them replaced by it."""
    middle = median_filter(plane, 3)
    mean = uniform_filter(plane, 5)
    deviation = np.sqrt(np.maximum(uniform_filter(plane**2, 5) - mean**2, 0))
    return np.where(plane > middle + 3 * deviation, middle, plane)


def shifts_of(seed, camera, beside=None):
    """Shifts as they are found, and those of the places where the same stars are, in pixels of the mosaic.

    Returns
    -------
    (list of (Shift or None), ndarray of shape (N, 2))
        The latter NaN where there is no shift, and both but for one of all tiles.
    """
    tiles, places = debayered_tiles(seed, camera, beside=beside)
    wcs, shape = find_optimal_celestial_wcs([(tile.shape, tile.wcs) for tile in tiles])
    blocks = [project_blocks(tile, Place.of(tile.shape, tile.wcs, shape, wcs)) for tile in tiles]
    stars = [find_stars(tile, wcs) for tile in tiles]
    shown = []
    for tile, place, own in zip(tiles, places, stars, strict=True):
        there = np.stack(pixels_between(tile.wcs, wcs, *place.T), axis=1)
        distance, nearest = cKDTree(there).query(own.places, distance_upper_bound=RADIUS)
        known = np.isfinite(distance)
        shown.append(Stars(there[nearest[known]], own.errors[known]))
    true = [np.full(2, np.nan) if shift is None else shift.pixels for shift in register(shown, blocks)]
    return register(stars, blocks), np.array(true)


def report_sound(runs, seed):
    accused, z = [], defaultdict(list)
    for number in range(seed, seed + runs):
        camera = drawn_camera(number, _TILES)
        shifts, true = shifts_of(number, camera)
        known = [index for index, shift in enumerate(shifts) if shift is not None and np.isfinite(true[index]).all()]
        if not known:
            continue
        true -= np.nanmedian(true, axis=0)
        off = np.array([shifts[index].pixels for index in known]) - true[known]
        error = np.array([np.sqrt(np.diag(shifts[index].covariance)) for index in known])
        # Whatever two tiles of a pair are measured from has no error of its own.
        if np.all(error > 0):
            z[camera.binned, bool(camera.flipped)] += ((off - np.median(off, axis=0)) / error).ravel().tolist()
        wrong = [index for index in known if shifts[index].matters and np.hypot(*true[index]) < _SOUND_PX]
        if wrong:
            accused.append(number)
            print(f"- seed {number}: {[(i, np.hypot(*shifts[i].pixels).round(3)) for i in wrong]}, {camera}")
    print(f"{len(accused)} of {runs} sound mosaics with a tile accused")
    for (binned, flipped), own in sorted(z.items()):
        text = f"z {np.std(own):.2f}, largest {np.max(np.abs(own)):.1f}, {len(own)} values"
        print(f"| {'binned' if binned else 'debayered'} | {'some flipped' if flipped else 'upright'} | {text} |")


def report_shifts(runs, seed):
    for size in (0.3, 1.0, 3.0):
        right = sized = 0
        for number in range(seed, seed + runs):
            rng = np.random.default_rng([number, 3])
            tile, angle = int(rng.integers(_TILES)), rng.uniform(0, 2 * np.pi)
            put = {tile: (size * np.cos(angle), size * np.sin(angle))}
            shifts, true = shifts_of(number, drawn_camera(number, _TILES), put)
            named = [index for index, shift in enumerate(shifts) if shift is not None and shift.matters]
            if named and max(named, key=lambda index: np.hypot(*shifts[index].pixels)) == tile:
                right += 1
                off = shifts[tile].pixels - true[tile] + np.nanmedian(np.delete(true, tile, axis=0), axis=0)
                sized += np.hypot(*off) < 3 * shifts[tile].error
        print(f"| {size:g} px | {runs} | right tile first {right} | size within three errors {sized} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", default=("sound", "shifts"), help="sound, shifts (default: both)")
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1000)
    options = parser.parse_args()
    if "sound" in options.what:
        report_sound(options.runs, options.seed)
    if "shifts" in options.what:
        report_shifts(max(1, options.runs // 5), options.seed)
    print(f"\n{machine()}")


if __name__ == "__main__":
    main()
