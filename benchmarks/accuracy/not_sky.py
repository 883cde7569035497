"""What of a tile is no sky, and tiles whose stars are nobody's: how often it is seen, and what of sound tiles is lost.

Run: python -m benchmarks.accuracy.not_sky [borders strangers mosaics] [--runs N] [--seed S]

Borders: a tile of 300 × 400 pixels, three channels, of the synthetic sky, turned by up to 4 degrees, with white noise
or noise correlated over two pixels of 3 to 15 adu; in adu, in 0 to 1 and less its level; with one border or none.
Strangers: mosaics of 2 to 9 tiles of 300 × 400, one channel, noise 8 adu, of fields with many stars and with few; one
tile wrong or none.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from dataclasses import replace

import numpy as np
from scipy.ndimage import distance_transform_edt, gaussian_filter, rotate

from benchmarks.measure import machine
from zemosaic_twopass.diagnosis.comparison import residual_findings
from zemosaic_twopass.measure.coarse import pixel_noise
from zemosaic_twopass.measure.not_sky import not_sky
from zemosaic_twopass.synthetic.nights import night_tiles
from zemosaic_twopass.synthetic.sky import SyntheticSky, tangent_wcs
from zemosaic_twopass.synthetic.surveys import make_pass, survey
from zemosaic_twopass.tiles.records import Tile

SHAPE = (300, 400)
ROWS, COLUMNS = np.indices(SHAPE)
SIDES = COLUMNS, SHAPE[1] - 1 - COLUMNS, ROWS, SHAPE[0] - 1 - ROWS
WIDTHS = {"strip": (2, 3, 5, 13, 40), "feather": (10, 20, 30, 60), "rim": (1, 2, 4, 7)}
DEGREES = (1, 2, 5, 20, 45)


def turned(degrees, short):
    angle, y, x = np.deg2rad(degrees), ROWS - SHAPE[0] / 2, COLUMNS - SHAPE[1] / 2
    right, up = np.abs(x * np.cos(angle) + y * np.sin(angle)), np.abs(y * np.cos(angle) - x * np.sin(angle))
    return (right < SHAPE[1] / 2 - short) & (up < SHAPE[0] / 2 - short)


def sky_tile(rng):
    sky = SyntheticSky(rng, 400, int(rng.choice([50, 200, 800])))
    image = sky.image(tangent_wcs((83.82, -5.39), np.deg2rad(rng.uniform(-4, 4)), SHAPE), SHAPE)
    noise = rng.normal(0, 1, image.shape)
    if rng.random() < 0.5:
        noise = gaussian_filter(noise, (0.8, 0.8, 0))
    return image + noise / noise.std() * rng.uniform(3, 15)


def sound(rng, image):
    """Whatever else is in a tile that has no border."""
    middle = ((COLUMNS / SHAPE[1] - 0.5) ** 2 + (ROWS / SHAPE[0] - 0.5) ** 2)[..., np.newaxis]
    yield "as it is", image
    yield "whole numbers, noise below 1", np.rint(image / 20).astype(np.uint16)
    yield "8 bits", np.rint(image / 20).clip(0, 255).astype(np.uint8)
    yield "a tenth of it cut off at 0", np.maximum(image - np.quantile(image, 0.1, axis=(0, 1)), 0)
    yield "glow of 300 adu along a side", image + 300 * np.exp(-SIDES[rng.integers(4)] / 60)[..., np.newaxis]
    yield "half of the light at the corners", image * (1 - middle)
    yield "turned, NaN", np.where(turned(rng.uniform(1, 20), 0)[..., np.newaxis], image, np.nan)


def borders(rng, image):
    """(name, tile, where it is no sky)."""
    for width in WIDTHS["strip"]:
        bad = SIDES[rng.integers(4)] < width
        yield "filled strip, 2 to 40 px", np.where(bad[..., np.newaxis], 0, image), bad
    for degrees in DEGREES:
        bad = ~turned(degrees, 0)
        yield "turned by 1 to 45 degrees, filled", np.where(bad[..., np.newaxis], 0, image), bad
        dither = rng.uniform(-0.1, 0.1, image.shape)
        yield "the same, dithered by packing", np.where(bad[..., np.newaxis], dither, image), bad
        known = rotate(np.ones(SHAPE), degrees, reshape=False, order=1)
        yield "the same, interpolated", rotate(image, degrees, reshape=False, order=1), known < 0.99
    for width in WIDTHS["feather"]:
        inside = turned(rng.uniform(1, 11), 8)
        for name, distance in (
            ("feather of 10 to 60 px on a fill", distance_transform_edt(inside)),
            ("feather of 10 to 60 px along a side", SIDES[rng.integers(4)] + 1.0),
        ):
            weight = np.clip(distance / width, 0, 1)
            yield name, image * weight[..., np.newaxis], weight < 1
    for width in WIDTHS["rim"]:
        bad = SIDES[rng.integers(4)] < width
        yield "rim of 1 to 7 px, +-250 adu", image + bad[..., np.newaxis] * rng.choice([-250.0, 250.0]), bad


def measure_borders(runs, seed):
    lost, found = defaultdict(list), defaultdict(list)
    for number in range(runs):
        rng = np.random.default_rng(seed + number)
        image = sky_tile(rng)
        level = np.median(image, axis=(0, 1))
        for name, pixels in sound(rng, image):
            lost[name].append(_mask(pixels).mean())
        for name, pixels, bad in borders(rng, image):
            for unit in ("adu", "0..1") if "same" in name or "rim" in name else ("adu", "0..1", "level 0"):
                # What is filled stays 0, and of what fades out the level was taken before.
                own = {"adu": pixels, "0..1": pixels / 65535, "level 0": pixels * (1 - level / image)}[unit]
                mask = _mask(own)
                found[name, unit].append((mask.any(), (bad & ~mask).sum() / bad.sum(), (mask & ~bad).mean()))
    for name, shares in lost.items():
        print(f"sound, {name}: {np.count_nonzero(shares)} of {len(shares)} tiles lose anything")
    for (name, unit), rows in found.items():
        seen, missed, eaten = np.transpose(rows)
        print(
            f"{name}, {unit}: seen {int(seen.sum())} of {len(rows)}; left in, at most {missed.max():.1%} of it; "
            f"lost beside it, at most {eaten.max():.1%} of the tile, median {np.median(eaten):.1%}"
        )


def _mask(pixels):
    tile = Tile(pixels.astype(np.float32) if pixels.dtype.kind == "f" else pixels, None)
    mask = not_sky(tile, pixel_noise(tile.pixels)).mask
    return np.zeros(SHAPE, dtype=bool) if mask is None else mask


def field_of(rng, rows, columns, stars):
    """Tiles of a field with so many stars in each."""
    across = 300 * max(rows, columns) + 400
    sky = SyntheticSky(rng, across / 2, round(stars * across**2 / (SHAPE[0] * SHAPE[1])))
    tiles = []
    for row in range(rows):
        for column in range(columns):
            x, y = 260 * (column - (columns - 1) / 2), 195 * (row - (rows - 1) / 2)
            wcs = tangent_wcs(sky.plane.pixel_to_world_values(x, y), np.deg2rad(rng.uniform(-3, 3)), SHAPE)
            image = sky.image(wcs, SHAPE)[..., 0] + rng.normal(0, 8, SHAPE)
            tiles.append(Tile(image.astype(np.float32), wcs))
    return tiles


def wrong(rng, tile, how):
    wcs = tile.wcs.deepcopy()
    if how in ("upside down", "mirrored"):
        return replace(tile, pixels=tile.pixels[::-1, ::-1] if how == "upside down" else tile.pixels[:, ::-1])
    if how == "off by 3 to 20 arcmin":
        angle = rng.uniform(0, 2 * np.pi)
        wcs.wcs.crval = wcs.wcs.crval + rng.uniform(3, 20) / 60 * np.array([np.cos(angle), np.sin(angle)])
    else:
        angle = np.deg2rad(rng.choice([-45, 10, 30, 90]))
        wcs.wcs.cd = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) @ wcs.wcs.cd
    wcs.wcs.set()
    return replace(tile, wcs=wcs)


def nobodys(tiles):
    """Tiles that are said to be nobody's, and all else that was found."""
    with np.errstate(all="ignore"):
        found = residual_findings(survey(make_pass(tiles)))
    named = [one.tile for _, one in found if one.kind == "astrometry" and np.isnan(one.value)]
    return named, [one for _, one in found if one.kind != "undetermined" and not np.isnan(one.value)]


def measure_strangers(runs, seed):
    for stars in (3, 10, 30, 100):
        accused = 0
        for number in range(runs):
            rng = np.random.default_rng(seed + number)
            rows, columns = ((1, 2), (2, 2), (2, 3), (3, 3))[number % 4]
            accused += bool(nobodys(field_of(rng, rows, columns, stars))[0])
        print(f"sound, {stars} stars drawn in a tile: {accused} of {runs} with a tile accused")
    for how in ("upside down", "mirrored", "off by 3 to 20 arcmin", "matrix of another solution"):
        for stars in (30, 100):
            right = alone = 0
            for number in range(max(runs // 4, 1)):
                rng = np.random.default_rng(seed + 5000 + number)
                tiles, index = field_of(rng, 3, 3, stars), int(rng.integers(9))
                tiles[index] = wrong(rng, tiles[index], how)
                named, others = nobodys(tiles)
                right, alone = right + (named == [index]), alone + (named == [index] and not others)
            print(f"{how}, {stars} stars: {right} of {max(runs // 4, 1)} named, {alone} with nothing beside it")


def drawn_mosaic(rng):
    """(sort, stars in a tile, tiles)."""
    sort, stars = str(rng.choice(["white", "night"])), int(rng.choice([0, 8, 100]))
    grid = tuple(int(n) for n in rng.choice([(2, 2), (2, 3), (3, 3)]))
    if sort == "night":
        area = 240 * 320 / max(10 * stars, 1e-9)
        return (
            sort,
            stars,
            night_tiles(int(rng.integers(1 << 30)), grid=grid, shape=(240, 320), frames=3, star_area=area).tiles,
        )
    shape, step = tuple(int(n) for n in rng.choice([(200, 240), (260, 340), (300, 400)])), 1 - rng.uniform(0.3, 0.5, 2)
    across = 1.5 * max(grid) * max(shape)
    sky = SyntheticSky(rng, across / 2, round(stars * across**2 / np.prod(shape)))
    noise, tiles = rng.uniform(3, 12), []
    for place in np.ndindex(grid):
        y, x = step * shape * (place - (np.array(grid) - 1) / 2) + rng.uniform(-8, 8, 2)
        wcs = tangent_wcs(sky.plane.pixel_to_world_values(x, y), np.deg2rad(rng.uniform(-4, 4)), shape)
        image = sky.image(wcs, shape)
        tiles.append(Tile((image + rng.normal(0, noise, image.shape)).astype(np.float32), wcs))
    return sort, stars, tiles


def edged(rng, tile, how):
    """A tile with a border that nothing masks."""
    pixels = np.where(np.isfinite(tile.pixels), tile.pixels, 0).astype(float)
    known = np.isfinite(tile.pixels).all(axis=2)
    sides = np.stack([own[: known.shape[0], : known.shape[1]] for own in np.indices(known.shape)])
    sides = np.stack([*sides, *(np.array(known.shape)[:, np.newaxis, np.newaxis] - 1 - sides)])
    if how == "rim":
        side = sides[rng.integers(4)] < rng.integers(1, 8)
        # Where a night has no frames there is no edge of pixels to stand out.
        return replace(tile, pixels=(tile.pixels + 250 * side[..., np.newaxis]).astype(np.float32))
    inside = known & (sides.min(axis=0) >= rng.integers(3, 20))
    if how == "feathered":
        weight = np.clip(distance_transform_edt(np.pad(inside, 1))[1:-1, 1:-1] / rng.uniform(10, 40), 0, 1)
        pixels *= weight[..., np.newaxis]
    else:
        pixels[~inside] = 0
    if how == "dithered":
        pixels[~inside] = rng.uniform(-0.2, 0.2, (np.count_nonzero(~inside), pixels.shape[2]))
    return replace(tile, pixels=pixels.astype(np.float32), coverage=None)


def odd_one(rng, tiles, what):
    """(tiles, expected): one thing put in, and (kind, tile) of what is to be named."""
    index = int(rng.integers(len(tiles)))
    tile, put = tiles[index], list(tiles)
    if what in ("filled", "dithered", "feathered", "rim"):
        every = range(len(tiles)) if rng.random() < 0.3 else [index]
        for own in every:
            put[own] = edged(rng, tiles[own], what)
        return put, {("unmasked_border", own) for own in every}
    if what == "twice":
        return [*tiles, tile], set()
    if what in ("channel dead", "black"):
        pixels = tile.pixels.copy()
        dead = slice(None) if what == "black" else int(rng.integers(3))
        pixels[..., dead] = rng.choice([0.0, np.nan])
        put[index] = replace(tile, pixels=pixels)
        return put, {("no_signal", index)}
    if what == "0..1":
        put[index] = replace(tile, pixels=tile.pixels / np.float32(65535))
        return put, {("gain_residual", index)}
    put[index] = wrong(rng, tile, what)
    if what in ("upside down", "mirrored") and tile.coverage is not None:
        put[index] = replace(put[index], coverage=np.isfinite(put[index].pixels).all(axis=2).astype(np.float32))
    return put, {("astrometry", index)}


KINDS_OF_ODD = (
    *("nothing", "filled", "dithered", "feathered", "rim", "twice", "channel dead", "black", "0..1"),
    *("upside down", "off by 3 to 20 arcmin", "matrix of another solution"),
)


def measure_mosaics(runs, seed):
    print("\n| in the mosaic | runs | right, and nothing else | a sound tile named | else |\n|---|---|---|---|---|")
    for number, what in enumerate(KINDS_OF_ODD):
        right, accused, other = 0, 0, defaultdict(int)
        for run in range(runs):
            rng = np.random.default_rng([seed, number, run])
            sort, stars, tiles = drawn_mosaic(rng)
            tiles, expected = (tiles, set()) if what == "nothing" else odd_one(rng, tiles, what)
            with np.errstate(all="ignore"):
                found = residual_findings(survey(make_pass(tiles)))
            named = {(one.kind, one.tile) for _, one in found if one.about.group == "residual"}
            twin = what != "twice" or any(one.kind == "duplicate_tile" for _, one in found)
            right += named == expected and twin
            accused += bool({tile for _, tile in named} - {tile for _, tile in expected})
            if named != expected:
                other[f"{sort}, {stars} stars: {sorted(named - expected, key=str)} for {sorted(expected - named)}"] += 1
        print(f"| {what} | {runs} | {right} | {accused} | {dict(other) or ''} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", default=["borders", "strangers"])
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    print(machine())
    if "borders" in options.what:
        measure_borders(options.runs, options.seed)
    if "strangers" in options.what:
        measure_strangers(options.runs, options.seed)
    if "mosaics" in options.what:
        measure_mosaics(options.runs, options.seed)


if __name__ == "__main__":
    main()
