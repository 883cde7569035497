"""The scale of one tile by the stars that it shares, against its truth and against aperture photometry of photutils.

Run: python -m benchmarks.accuracy.star_scales [white night real] [--runs N] [--seed S] [--real FOLDER]

White: six RGB tiles of 300 × 400 pixels, noise 8 adu, the sky with structure or flat; night: six of 280 × 380 pixels,
stacks of four debayered frames. Stars of a seeing of 2.2 to 3.4 px that is each tile's own, from none to a hundred in a
tile. One tile is multiplied by a factor, in half of the runs moonlight is added. Real: FOLDER has m94_*, n7023_* and
m17_*.fits.gz. Needs the extra `public`.
"""

from __future__ import annotations

import argparse
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS

from benchmarks.accuracy.aperture import by_photutils
from benchmarks.accuracy.cases import compared
from benchmarks.measure import machine
from zemosaic_twopass.synthetic.nights import night_tiles
from zemosaic_twopass.synthetic.sky import SyntheticSky, tangent_wcs
from zemosaic_twopass.tiles.records import Tile

FACTORS = 0.5, 0.97, 1.0, 1.03, 1.2, 2.0, 3.0
SHAPE, NOISE = (300, 400), 8.0
GRID = (2, 3)
SEEING = 2.2, 3.4
REACH = 24
# By how many stars the tile shares as they were measured.
CLASSES = {"none": (0, 0), "1 or 2": (1, 2), "3 to 8": (3, 8), "9 to 30": (9, 30), "more": (31, 10**6)}


@dataclass(frozen=True)
class Outcome:
    """What came of one scene.

    Attributes
    ----------
    factor, moon : float
        Put into the tile; `moon` in adu.
    flat : bool
        Whether the sky has no structure.
    shared : int
        Stars that it shares as we measured them.
    stars, errors, theirs, their_errors : ndarray, shape (C,)
        Scale of the tile by our stars and by photutils; NaN where there is none.
    gain, gain_errors : ndarray, shape (C,)
        Scale of the tile by the fit that stars and sky make.
    kinds : tuple of str
        Named at the tile, first things first.
    others : tuple of str
        Named elsewhere.
    said : str
        All messages about it.
    """

    factor: float
    moon: float
    flat: bool
    shared: int
    stars: np.ndarray
    errors: np.ndarray
    theirs: np.ndarray
    their_errors: np.ndarray
    gain: np.ndarray
    gain_errors: np.ndarray
    kinds: tuple[str, ...]
    others: tuple[str, ...]
    said: str


def white_tiles(rng, stars, flat):
    """Six tiles with so many stars in each on average."""
    step = np.array(SHAPE) * (1 - rng.uniform(0.3, 0.5, 2))
    extent = 1.2 * (step * np.array(GRID) + SHAPE)
    sky = SyntheticSky(rng, max(extent) / 2, 0)
    if flat:
        sky.blob_height *= 0
    count = rng.poisson(stars * np.prod(extent) / np.prod(SHAPE))
    places = rng.uniform(-0.5, 0.5, (count, 2)) * extent[::-1]
    flux = 10 ** rng.uniform(3, 5, count)[:, np.newaxis] * np.exp(rng.normal(0, 0.2, (count, 1)) * [1, 0, -1])
    tiles = []
    for place in np.ndindex(GRID):
        y, x = step * (place - (np.array(GRID) - 1) / 2) + rng.uniform(-8, 8, 2)
        wcs = tangent_wcs(sky.plane.pixel_to_world_values(x, y), np.deg2rad(rng.uniform(-4, 4)), SHAPE)
        image = sky.image(wcs, SHAPE)
        seen = np.stack(wcs.world_to_pixel_values(*sky.plane.pixel_to_world_values(*places.T)), axis=1)
        add_stars(image, seen, flux, rng.uniform(*SEEING))
        tiles.append(Tile((image + rng.normal(0, NOISE, image.shape)).astype(np.float32), wcs))
    return tiles


def add_stars(image, places, flux, seeing):
    """Stars of a Moffat profile of β = 3 and of so many adu in each channel."""
    width = seeing / (2 * np.sqrt(2 ** (1 / 3) - 1))
    for (x, y), own in zip(places, flux, strict=True):
        top, left = max(int(y) - REACH, 0), max(int(x) - REACH, 0)
        part = image[top : max(int(y) + REACH, 0), left : max(int(x) + REACH, 0)]
        rows, columns = np.indices(part.shape[:2])
        profile = (1 + ((rows + top - y) ** 2 + (columns + left - x) ** 2) / width**2) ** -3.0
        part += own * (2 / np.pi / width**2 * profile)[..., np.newaxis]


def scene(sort, seed):
    """(tiles, index of the odd one, factor, moonlight, whether the sky is flat)."""
    rng = np.random.default_rng([seed, sort == "night"])
    stars = 0.0 if rng.random() < 0.15 else np.exp(rng.uniform(*np.log([1, 100])))
    flat, odd = bool(rng.random() < 0.5), int(rng.integers(6))
    factor, moon = float(rng.choice(FACTORS)), float(rng.choice([0.0, 1.0]) * rng.uniform(50, 400))
    if sort == "white":
        tiles = white_tiles(rng, stars, flat)
    else:
        area = np.prod(SHAPE) / max(10 * stars, 1e-9)
        tiles, flat = night_tiles(seed, grid=GRID, shape=(280, 380), frames=4, star_area=area).tiles, False
    tiles[odd] = replace(tiles[odd], pixels=(tiles[odd].pixels * factor + moon).astype(np.float32))
    return tiles, odd, factor, moon, flat


def outcome(tiles, odd, factor, moon, flat, others=()):
    """What we say of a tile, and photutils, against all others or some."""
    found, named = compared(tiles)
    others = others or tuple(range(len(tiles)))
    left, error = by_our_stars(found.solution.stars, odd, others)
    own = [one for one in named if one.tile == odd]
    fit = found.fits[odd]
    unknown = np.full(left.shape, np.nan)
    return Outcome(
        factor,
        moon,
        flat,
        int(found.solution.stars.counts[odd].max()),
        np.exp(left),
        np.exp(left) * error,
        *by_photutils(tiles, odd, others),
        *((unknown, unknown) if fit is None else (1 + fit.gain, fit.gain_error)),
        tuple(one.kind for one in own),
        tuple(f"{one.kind} {one.tile}" for one in named if one.tile != odd),
        " ".join(one.message for one in own),
    )


def by_our_stars(stars, odd, others):
    """Logarithm of the scale of a tile by its stars, less the median of others, and its error, shape (C,) each."""
    known = np.isfinite(stars.logarithm) & (stars.groups == stars.groups[odd])
    known &= np.isin(np.arange(len(known)), others)[:, np.newaxis] & (np.arange(len(known)) != odd)[:, np.newaxis]
    found = np.full((2, known.shape[1]), np.nan)
    for channel in np.flatnonzero(known.any(axis=0) & np.isfinite(stars.logarithm[odd])):
        own = known[:, channel]
        contrast = own / -np.count_nonzero(own)
        contrast[odd] = 1.0
        left = stars.logarithm[odd, channel] - np.median(stars.logarithm[own, channel])
        found[:, channel] = left, np.sqrt(contrast @ stars.covariance[channel] @ contrast)
    return found


def seeded(sort, seed):
    """The outcome of one seed; for a pool."""
    return outcome(*scene(sort, seed))


def of_class(found, name):
    low, high = CLASSES[name]
    return [one for one in found if low <= one.shared <= high]


def ratios(found, values, errors):
    """Bias in %, its error and spread of z of scales over their truth."""
    value, error = (np.array([getattr(one, name) for one in found]) for name in (values, errors))
    truth = np.array([one.factor for one in found])[:, np.newaxis]
    known = np.isfinite(value) & np.isfinite(error) & (error > 0) & (value > 0)
    if np.count_nonzero(known) < 2:
        return "-", "-", "-"
    off, relative = np.log(np.where(known, value / truth, 1.0)), error / np.where(known, value, 1.0)
    # Channels of a tile share their seeing.
    bias, spread = 100 * np.median(off[known]), np.std(off[known] / relative[known])
    return f"{bias:+.2f}", f"{100 * np.median(relative[known]):.2f}", f"{spread:.2f}"


def expected(one):
    """Kinds that are in the tile."""
    return {*(["gain_residual"] if one.factor != 1 else []), *(["offset"] if one.moon else [])}


def report(sort, found):
    print(f"\n## {sort}, {len(found)} scenes\n")
    print("| shared stars | runs | ours: bias, error in %, z | photutils | sky and stars |")
    print("|---|---|---|---|---|")
    for name in CLASSES:
        own = of_class(found, name)
        columns = ("stars", "errors"), ("theirs", "their_errors"), ("gain", "gain_errors")
        cells = (", ".join(ratios(own, *pair)) for pair in columns)
        print(f"| {name} | {len(own)} | {' | '.join(cells)} |")
    print("\n| shared stars | sky | in the tile | runs | kinds right | other tiles named | kinds named else |")
    print("|---|---|---|---|---|---|---|")
    rows = defaultdict(list)
    for name in CLASSES:
        for one in of_class(found, name):
            rows[name, "flat" if one.flat else "structure", " + ".join(sorted(expected(one))) or "nothing"].append(one)
    for key, own in sorted(rows.items(), key=lambda item: (list(CLASSES).index(item[0][0]), item[0][1:])):
        wrong = Counter(" + ".join(one.kinds) or "nothing" for one in own if set(one.kinds) != expected(one))
        beside = sum(bool(one.others) for one in own)
        print(f"| {' | '.join(key)} | {len(own)} | {len(own) - sum(wrong.values())} | {beside} | {dict(wrong) or ''} |")
    few = [one for one in found if one.shared < 3 and one.kinds]
    silent = [one for one in few if "too few stars" not in one.said]
    print(f"\nOf {len(few)} named by fewer than three stars {len(few) - len(silent)} say so.")
    for one in [*silent[:4], *(one for one in found if one.others)][:12]:
        print(f"- x {one.factor:g} + {one.moon:.0f}, {one.shared} stars: {one.kinds} {one.others} {one.said}")


def real_tiles(folder, stem, change=lambda pixels, index: pixels):
    """Tiles of a real set, each changed; a sky that is NaN stays so."""
    tiles = []
    for index, path in enumerate(sorted(Path(folder).glob(f"{stem}_*.fits.gz"))):
        with fits.open(path) as hdus:
            pixels, header = hdus[0].data.astype(float), hdus[0].header
        pixels = np.moveaxis(pixels, 0, -1) if pixels.ndim == 3 else pixels
        tiles.append(Tile(change(pixels, index).astype(np.float32), WCS(header).celestial))
    return tiles


def report_real(folder):
    print("\n## real sets\n")
    print("| set | tile | channel | put in | shared stars | by our stars | sky and stars | photutils | kinds |")
    print("|---|---|---|---|---|---|---|---|---|")
    level = np.median([np.median(tile.pixels) for tile in real_tiles(folder, "m94")])
    for factor in (1.0, 1.2, 1.5, 2.0, 4.0):
        tiles = real_tiles(folder, "m94", lambda p, i, f=factor: (p - level) * (f if i == 3 else 1.0))
        row_of("m94, level taken off", tiles, 3, factor)
    for stem, others in (("n7023", (0, 1, 2, 3)), ("m17", ())):
        tiles = real_tiles(folder, stem)
        for odd in range(len(tiles)):
            row_of(stem, tiles, odd, 1.0, others)


def row_of(name, tiles, odd, factor, others=()):
    one = outcome(tiles, odd, factor, 0.0, False, others)
    for channel in range(len(one.stars)):
        pairs = (one.stars, one.errors), (one.gain, one.gain_errors), (one.theirs, one.their_errors)
        cells = (f"{value[channel]:.3f} +/- {error[channel]:.3f}" for value, error in pairs)
        told = ", ".join(one.kinds) if channel == 0 else ""
        print(
            f"| {name} | {odd} | {channel} | x {factor:g} | {one.shared} | {' | '.join(cells)} | {told} |", flush=True
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "what", nargs="*", default=["white", "night"], help="white, night, real (default: the first two)"
    )
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--real", type=Path, default=Path("."), help="folder of the real sets")
    options = parser.parse_args()
    for sort in ("white", "night"):
        if sort in options.what:
            report(sort, [seeded(sort, options.seed + number) for number in range(options.runs)])
    if "real" in options.what:
        report_real(options.real)
    print(f"\n{machine()}")


if __name__ == "__main__":
    main()
