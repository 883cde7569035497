"""The whole instrumented second pass against the bare one, for 9, 36 and 100 RGB tiles of 400 × 600 pixels.

`--night`: of those numbers of tiles that are turned by any angle, as `night.TURNED` has them.

Run: python -m benchmarks.cost.whole_call [--rounds N] [--sides 3 6 10] [--night 30 100 197]
"""

from __future__ import annotations

import argparse
import tempfile
from functools import partial

from benchmarks.cost.night import TURNED, Night
from benchmarks.measure import in_turn, ratio, table
from zemosaic_instrument import TwoPassProbe


def watched(night, directory, **settings):
    with TwoPassProbe(night.worker, directory=directory, strict=True, **settings) as probe:
        night.second_pass(night.worker)
    assert len(probe.reports[0].tiles) == len(night.tiles)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sides", type=int, nargs="+", default=[3, 6, 10])
    parser.add_argument("--night", type=int, nargs="+", default=[], choices=TURNED)
    options = parser.parse_args()
    rows = []
    makers = [partial(Night.grid, side) for side in options.sides if not options.night]
    makers += [partial(Night.turned, count) for count in options.night]
    for make in makers:
        night = make()
        with tempfile.TemporaryDirectory() as directory:
            functions = {
                "bare": lambda night=night: night.second_pass(night.worker),
                "lines": lambda night=night, to=directory: watched(night, to, delta_map=False),
                "all": lambda night=night, to=directory: watched(night, to),
            }
            seconds = in_turn(functions, options.rounds)
        rows.append([len(night.tiles), *(f"{ratio(seconds, name, 'bare'):.3f}" for name in ("lines", "all"))])
        table("Instrumented second pass / bare", ["tiles", "tile lines", "everything on"], rows)


if __name__ == "__main__":
    main()
