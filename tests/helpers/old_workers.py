"""Miniature workers, one for each signature that the second pass has had.

Written by hand after the facts that are known of each version: its parameters, how it finds its inner functions, how it
runs its channels, and whether the merging caller exists. The coadd is a sum, the gains are fixed.
"""

SIGNATURES = {
    "2025-10-31a": "logger=None",
    "2025-10-31b": "logger=None, use_gpu_two_pass=None",
    "2025-11-20": "logger=None, use_gpu_two_pass=None, tiles_coverage=None",
    "2025-11-21": "logger=None, use_gpu_two_pass=None, tiles_coverage=None, parallel_plan=None",
    "2025-11-22": "logger=None, use_gpu_two_pass=None, tiles_coverage=None, parallel_plan=None, telemetry_ctrl=None",
    "2025-12-14": "logger=None, use_gpu_two_pass=None, tiles_coverage=None, parallel_plan=None, telemetry_ctrl=None, "
    "debug_diag=None",
    "2025-12-23": "logger=None, use_gpu_two_pass=None, tiles_coverage=None, tile_weights=None, parallel_plan=None, "
    "telemetry_ctrl=None, debug_diag=None",
}
WITHOUT_CALLER = ("2025-10-31a",)

UTILITIES = '''
import numpy as np

def reproject_and_coadd_wrapper(data_list, wcs_list, shape_out, use_gpu=False, cpu_func=None, **kwargs):
    """Stands for both the reprojection on the graphics card and the one without it."""
    if use_gpu:
        raise RuntimeError("no graphics card")
    plane = np.full(shape_out, float(sum(np.nansum(data) for data in data_list)))
    return plane, np.ones(shape_out)
'''

WORKER = '''
import logging
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import zemosaic_utils

logger = logging.getLogger("ZeMosaicWorker")

def compute_per_tile_gains_from_coverage(tiles, tiles_wcs, final_wcs, coverage_p1, *, sigma_px, gain_clip, **more):
    return [1.0 + 0.125 * index for index, tile in enumerate(tiles)]

def run_second_pass_coverage_renorm(
    tiles, tiles_wcs, final_wcs_p1, coverage_p1, shape_out, *, sigma_px, gain_clip, {signature}
):
    """Old."""
    gpu = bool(locals().get("use_gpu_two_pass"))
    gains = compute_per_tile_gains_from_coverage(
        tiles, tiles_wcs, final_wcs_p1, coverage_p1, sigma_px=sigma_px, gain_clip=gain_clip
    )
    corrected = []
    for tile, gain in zip(tiles, gains):
        tile = np.asarray(tile, dtype=np.float32)
        if tile.ndim == 2:
            tile = tile[..., np.newaxis]
        corrected.append(tile * float(gain))

    def channel(index, use_gpu):
        data = [tile[..., index] for tile in corrected]
        return zemosaic_utils.reproject_and_coadd_wrapper(
            data_list=data, wcs_list=tiles_wcs, shape_out=shape_out, use_gpu=use_gpu, cpu_func=None
        )

    def channels(use_gpu):
        count = corrected[0].shape[-1]
        if {threaded} and not use_gpu:
            with ThreadPoolExecutor(max_workers=count) as pool:
                return list(pool.map(lambda index: channel(index, use_gpu), range(count)))
        return [channel(index, use_gpu) for index in range(count)]

    try:
        done = channels(gpu)
    except RuntimeError:
        done = channels(False)
    return np.stack([mosaic for mosaic, _ in done], axis=-1).astype(np.float32), done[0][1].astype(np.float32)
'''

CALLER = """
def _apply_two_pass_coverage_renorm_if_requested(
    final_mosaic_data, final_mosaic_coverage, *, two_pass_enabled, two_pass_sigma_px, gain_clip_tuple,
    final_output_wcs, final_output_shape_hw, use_gpu_two_pass=False, logger=None, collected_tiles=None,
    fallback_tile_loader=None,
):
    # The first pass uses the same coadd, with lists of its own.
    zemosaic_utils.reproject_and_coadd_wrapper(
        data_list=[entry[0][..., 0] * 0 for entry in collected_tiles],
        wcs_list=[entry[1] for entry in collected_tiles], shape_out=final_output_shape_hw,
    )
    return run_second_pass_coverage_renorm(
        [entry[0] for entry in collected_tiles], [entry[1] for entry in collected_tiles], final_output_wcs,
        final_mosaic_coverage, final_output_shape_hw, sigma_px=two_pass_sigma_px, gain_clip=gain_clip_tuple,
        logger=logger, {gpu}
    )
"""


def source(version, threaded=False):
    """Python source of the miniature worker of a version."""
    text = WORKER.replace("{signature}", SIGNATURES[version]).replace("{threaded}", str(threaded))
    if version not in WITHOUT_CALLER:
        text += CALLER.replace("{gpu}", "use_gpu_two_pass=use_gpu_two_pass")
    return text
