"""Statistics of 1550 × 1080 × 3 float32 tiles, before and after their gain, against NumPy and Bottleneck.

Eight tiles unless told otherwise, because a second pass has many, and each thread takes the next one. What stands for
NumPy is what the public worker does for its own lines: channel by channel, over the finite values.

Run: python -m benchmarks.cost.tile_statistics [--rounds N] [--tiles N]
"""

from __future__ import annotations

import argparse
import math
import warnings

import numpy as np

from benchmarks.measure import in_turn, ratio, table
from zemosaic_twopass.measure.stats import scan_as_given, statistics_after_gain, tile_statistics
from zemosaic_twopass.parallel import threads
from zemosaic_twopass.settings import worker_count

SHAPE = (1550, 1080, 3)
GAIN = 0.9


def ragged_border(rng):
    """True in a border of up to a dozen pixels, shape (H, W, 1)."""
    rows, columns = np.indices(SHAPE[:2])
    left, right, top = rng.integers(1, 12, SHAPE[0]), rng.integers(1, 12, SHAPE[0]), rng.integers(1, 12, SHAPE[1])
    border = (columns < left[:, np.newaxis]) | (columns >= SHAPE[1] - right[:, np.newaxis]) | (rows < top)
    return border[..., np.newaxis]


def tiles():
    """Name to (before, after)."""
    rng = np.random.default_rng(1)
    sky = rng.normal(1000, 30, SHAPE)
    ragged = sky.copy()
    ragged[:9], ragged[:, :7], ragged[:, -12:] = np.nan, np.nan, np.nan
    kinds = {
        "sky of 1000 adu": sky,
        "the same, NaN borders": ragged,
        "the same, a border of another width in each line": np.where(ragged_border(rng), np.nan, sky),
        "sky at zero": sky - 1000,
        "numbers in [0, 1)": rng.random(SHAPE),
        "sorted": np.sort(sky.reshape(-1, 3), axis=0).reshape(SHAPE),
        "constant": np.full(SHAPE, 7.0),
        "two values": np.where(rng.random(SHAPE) < 0.5, -1.0, 1.0),
        "all magnitudes": np.exp(rng.uniform(-80, 80, SHAPE)),
        # What every sample of a regular grid misses.
        "deceiving": np.where(np.indices(SHAPE[:2]).sum(axis=0)[..., np.newaxis] % 2, sky, -sky),
        "the sky with 30 % holes": np.where(rng.random(SHAPE) < 0.3, np.nan, sky),
    }
    return {name: (tile.astype("f4"), tile.astype("f4") * np.float32(GAIN)) for name, tile in kinds.items()}


def plain(tile):
    """As anybody would write it: channel by channel."""
    found = []
    for channel in range(3):
        plane = tile[..., channel]
        values = plane[np.isfinite(plane)]
        found.append((values.min(), values.mean(dtype=np.float64), np.median(values)))
    return found


def bottlenecked(tile):
    """The same with Bottleneck's functions that pass over NaN."""
    return [
        (bn.nanmin(plane), bn.nanmean(plane.astype(np.float64)), bn.nanmedian(plane))
        for plane in (tile[..., channel] for channel in range(3))
    ]


def check(tile):
    """Minimum and median equal to NumPy's on the same values in float64, the mean to `math.fsum` within its bound."""
    found = tile_statistics(tile)
    assert found.valid_fraction == np.isfinite(tile).all(axis=2).mean()
    for channel in range(3):
        values = tile[..., channel][np.isfinite(tile[..., channel])].astype(np.float64)
        assert found.minimum[channel] == values.min()
        error = abs(found.mean[channel] - math.fsum(values.tolist()) / values.size)
        assert error < 1e-12 * math.fsum(np.abs(values).tolist()) / values.size
        assert found.median[channel] == np.median(values)


def ours(before, after):
    """As a report is made."""
    given = scan_as_given(before)
    return given.stats, statistics_after_gain(after, given, GAIN)


def in_threads(pairs):
    """The same, a tile a thread."""
    with threads(worker_count()) as run:
        return list(run(ours, *zip(*pairs, strict=True)))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--tiles", type=int, default=8)
    options = parser.parse_args()
    rows = []
    for name, pair in tiles().items():
        for tile in pair:
            check(tile)
        assert ours(*pair) == tuple(map(tile_statistics, pair))
        pairs = [tuple(tile.copy() for tile in pair) for _ in range(options.tiles)]
        several = [tile for pair in pairs for tile in pair]
        functions = {
            "numpy": lambda several=several: [plain(tile) for tile in several],
            "one thread": lambda pairs=pairs: [ours(*pair) for pair in pairs],
            "threads": lambda pairs=pairs: in_threads(pairs),
        }
        if bn is not None:
            functions["bottleneck"] = lambda several=several: [bottlenecked(tile) for tile in several]
        seconds = in_turn(functions, options.rounds)
        others = [f"{ratio(seconds, 'bottleneck', 'threads'):.1f} ×" if bn else "-"]
        rows.append([name, *(f"{ratio(seconds, 'numpy', own):.1f} ×" for own in ("one thread", "threads")), *others])
    header = ["tiles", "faster than NumPy, 1 thread", f"{worker_count()} threads", "than Bottleneck"]
    table("Statistics of tiles before and after their gain", header, rows)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    try:
        import bottleneck as bn
    except ModuleNotFoundError:
        bn = None
    main()
