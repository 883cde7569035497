"""A hand-written miniature worker: the shape of an older ZeMosaic, nothing but the hooks."""

import types

import numpy as np

UTILITIES = """
def reproject_and_coadd_wrapper(data_list, wcs_list, shape_out, **kwargs):
    return sum(float(d.sum()) for d in data_list), len(wcs_list)
"""

WORKER = """
import numpy as np
import zemosaic_utils

calls = []

def compute_per_tile_gains_from_coverage(tiles, tiles_wcs, final_wcs, coverage_p1, *, sigma_px, gain_clip):
    return [1.0 + 0.125 * index for index in range(len(tiles))]

def _apply_two_pass_coverage_renorm_if_requested(final_mosaic_data, final_mosaic_coverage, *, call):
    return call()

def run_second_pass_coverage_renorm(
    tiles, tiles_wcs, final_wcs_p1, coverage_p1, shape_out, *, sigma_px=1, gain_clip=(0.5, 2), logger=None, hook=None
):
    calls.append((tiles, tiles_wcs))
    gains = compute_per_tile_gains_from_coverage(
        tiles, tiles_wcs, final_wcs_p1, coverage_p1, sigma_px=sigma_px, gain_clip=gain_clip
    )
    if hook is not None:
        hook("gains")
    corrected = [np.asarray(tile, dtype=np.float32) * float(gain) for tile, gain in zip(tiles, gains)]
    corrected = [tile[..., None] if tile.ndim == 2 else tile for tile in corrected]
    result = []
    for channel in range(corrected[0].shape[2]):
        result.append(zemosaic_utils.reproject_and_coadd_wrapper(
            data_list=[tile[..., channel] for tile in corrected], wcs_list=tiles_wcs, shape_out=shape_out))
    if hook is not None:
        hook("coadd")
    return np.array(result), None
"""


def make(monkeypatch, source=WORKER, name="zemosaic_mini"):
    """A miniature worker and its utilities, as modules that are registered for one test."""
    import sys

    utilities = types.ModuleType("zemosaic_utils")
    exec(UTILITIES, vars(utilities))
    module = types.ModuleType(name)
    for entry in (utilities, module):
        monkeypatch.setitem(sys.modules, entry.__name__, entry)
    exec(source, vars(module))
    return module


def call(module, tiles, tiles_wcs=None, **kwargs):
    """A second pass of a miniature worker."""
    tiles_wcs = [None] * len(tiles) if tiles_wcs is None else tiles_wcs
    return module.run_second_pass_coverage_renorm(tiles, tiles_wcs, None, np.ones((4, 4)), (4, 4), **kwargs)
