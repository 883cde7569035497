"""Run by `test_outlive.py` in a fresh interpreter: `outlive_child.py WAY`: what is alive after each of three calls.

Nothing of the diagnostics or of matplotlib is imported before the first call but what the way of watching asks for.
"""

import gc
import json
import logging
import os
import sys
import types
import weakref

gc.disable()

import numpy as np  # noqa: E402
from astropy.wcs import WCS  # noqa: E402

from helpers import old_workers  # noqa: E402

WAY = sys.argv[1]
SHAPE = (96, 120)


def worker_of(way):
    """A miniature worker under its real name, watched that way, and what to do at the end."""
    os.environ.update(ZEMOSAIC_TWO_PASS_DEBUG="1", ZEMOSAIC_TWO_PASS_DEBUG_DELTA_MAP="1")
    os.environ["ZEMOSAIC_TWO_PASS_DEBUG_DIR"] = "found"
    utilities, worker = types.ModuleType("zemosaic_utils"), types.ModuleType("zemosaic_worker")
    source = old_workers.source("2025-12-23")
    if way == "decorator":
        head, body = source.split("def run_second_pass_coverage_renorm", 1)
        decorated = "@two_pass_diagnostics\ndef run_second_pass_coverage_renorm"
        source = "from zemosaic_instrument import two_pass_diagnostics\n" + head + decorated + body
    sys.modules.update(zemosaic_utils=utilities, zemosaic_worker=worker)
    exec(old_workers.UTILITIES, vars(utilities))
    exec(source, vars(worker))
    if way == "import hook":
        import zemosaic_instrument

        zemosaic_instrument.attach_on_import(worker)
    return worker


def tangent(ra, dec, x):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = "RA---TAN", "DEC--TAN"
    wcs.wcs.crval, wcs.wcs.crpix, wcs.wcs.cd = (ra, dec), (60 - x, 48), [[-0.001, 0], [0, 0.001]]
    return wcs


def call(worker, logger, place):
    """A second pass somewhere else on the sky; weak references to all that it was given and made."""
    rng = np.random.default_rng(1)
    tiles = [rng.normal(100, 3, (*SHAPE, 3)).astype(np.float32) for _ in range(3)]
    wcs = [tangent(*place, 20 * index) for index in range(3)]
    mosaic, coverage = np.full((96, 160, 3), 100, np.float32), np.ones((96, 160), np.float32)
    result = worker._apply_two_pass_coverage_renorm_if_requested(
        mosaic,
        coverage,
        two_pass_enabled=True,
        two_pass_sigma_px=5,
        gain_clip_tuple=(0.5, 2.0),
        final_output_wcs=tangent(*place, 0),
        final_output_shape_hw=(96, 160),
        logger=logger,
        collected_tiles=list(zip(tiles, wcs, strict=True)),
    )
    return [weakref.ref(item) for item in (*tiles, mosaic, coverage, *result)]


class Kept(logging.Handler):
    """Names and beginnings of all lines that reach the root logger."""

    lines = []

    def emit(self, record):
        self.lines.append(f"{record.name} {record.getMessage()[:40]}")


def main():
    logging.getLogger().setLevel(logging.DEBUG)
    logging.getLogger().addHandler(Kept())
    logger = logging.getLogger("ZeMosaicWorker")
    worker, found = worker_of(WAY), {"alive": [], "holders": []}
    for place in ((10.0, 40.0), (83.8, -5.4), (271.2, 66.1)):
        references = call(worker, logger, place)
        kept = [reference() for reference in references if reference() is not None]
        found["alive"].append(len(kept))
        # The list itself holds them too.
        found["holders"] += [type(item).__name__ for array in kept for item in gc.get_referrers(array)][:5]
        del kept
    found["pictures"] = sum(len([name for name in files if name.endswith(".png")]) for *_, files in os.walk("found"))
    found["fonts"] = [line for line in Kept.lines if "font" in line]
    found["failures"] = [line for line in Kept.lines if "failed" in line]
    print(json.dumps(found))


main()
