"""How time and memory grow with the number of tiles, at constant tile size: exponents.

Run: python -m benchmarks.cost.growth [--rounds N] [--sides 3 5 7 10]
"""

from __future__ import annotations

import argparse
import tempfile

import numpy as np

from benchmarks.cost.memory import traced, watched
from benchmarks.cost.night import Night
from benchmarks.measure import exponent, in_turn, table
from zemosaic_twopass.diagnosis import diagnose
from zemosaic_twopass.tiles.records import SecondPass, TileList
from zemosaic_twopass.watch.build import delta_maps, measure_pass, tile_records
from zemosaic_twopass.watch.capture import RunCapture


def capture_of(night, gains):
    """What a probe would hold at the end of a second pass whose mosaic is the first one."""
    mosaic, coverage, wcs, shape = night.first
    capture = RunCapture(
        {
            "tiles": [tile.pixels for tile in night.tiles],
            "tiles_wcs": [tile.wcs for tile in night.tiles],
            "tiles_coverage": [tile.coverage for tile in night.tiles],
            "final_wcs_p1": wcs,
            "shape_out": shape,
        },
        mosaic,
    )
    capture.observe_gains(gains)
    return capture


def records_of(capture):
    capture.describe(whole=False)
    return tile_records(capture)


def maps_of(capture):
    return delta_maps(capture.second_pass, measure_pass(capture, 8), 8)


def diagnosis_of(night, gains):
    mosaic, coverage, wcs, shape = night.first
    known = {"gains": gains, "combine": "mean", "mosaic": mosaic, "coverage": coverage}
    return diagnose(SecondPass(TileList.of(night.tiles), wcs, shape, **known))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sides", type=int, nargs="+", default=[3, 5, 7, 10])
    options = parser.parse_args()
    functions, peaks = {}, []
    with tempfile.TemporaryDirectory() as directory:
        for side in options.sides:
            night = Night.grid(side, shape=(260, 340))
            gains = [1.0] * len(night.tiles)
            capture = capture_of(night, gains)
            functions["tile lines", side] = lambda capture=capture: records_of(capture)
            functions["delta maps", side] = lambda capture=capture: maps_of(capture)
            functions["diagnosis", side] = lambda night=night, gains=gains: diagnosis_of(night, gains)
            functions["second pass", side] = lambda night=night: night.second_pass(night.worker)
            functions["the same, everything on", side] = lambda night=night: watched(night, directory)
            peaks.append([traced(functions[what, side]) for what in ("second pass", "the same, everything on")])
        seconds = in_turn(functions, options.rounds)
    counts = [side**2 for side in options.sides]
    rows = []
    for what in dict.fromkeys(what for what, _ in functions):
        rows.append([what, *growth(counts, [float(np.median(seconds[what, side])) for side in options.sides])])
    for what, own in zip(("second pass", "everything on"), np.transpose(peaks), strict=True):
        rows.append([f"peak memory above its start, {what}", *growth(counts, own)])
    header = ["time, or memory, / that of the fewest tiles", *(f"N = {count}" for count in counts), "exponent"]
    table("Growth with the number of tiles", header, rows)


def growth(counts, values):
    """Values in units of the first one, and their exponent."""
    return [*(f"{value / values[0]:.2f}" for value in values), f"{exponent(counts, values):.2f}"]


if __name__ == "__main__":
    main()
