"""What stays in memory after a call: ten second passes in one process, everything on, the collector frozen.

Run: python -m benchmarks.cost.ten_calls [--side N] [--off]
"""

from __future__ import annotations

import argparse
import gc
import tempfile
from pathlib import Path

from benchmarks.cost.night import Night
from benchmarks.measure import table
from zemosaic_instrument import TwoPassProbe

_MB = 2**20
_CALLS = 10


def resident():
    """Resident size of this process in MB, where the system tells (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / _MB


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=6, help="tiles along a side of the mosaic (default: 6)")
    parser.add_argument("--off", action="store_true", help="switch the collector off too")
    options = parser.parse_args()
    night = Night.grid(options.side)
    gc.collect()
    gc.freeze()
    if options.off:
        gc.disable()
    sizes = []
    with tempfile.TemporaryDirectory() as directory, TwoPassProbe(night.worker, strict=True, directory=directory):
        for _ in range(_CALLS):
            night.second_pass(night.worker)
            sizes.append(resident())
    tiles = sum(tile.pixels.nbytes for tile in night.tiles) / _MB
    table(
        f"Resident MB after each of {_CALLS} calls, {len(night.tiles)} tiles of {tiles:.0f} MB in all",
        ["call", "MB", "more than after the second"],
        [[str(number), f"{size:.0f}", f"{size - sizes[1]:+.1f}"] for number, size in enumerate(sizes, start=1)],
    )


if __name__ == "__main__":
    main()
