"""Phase 5 of a ZeMosaic worker: a first-pass mosaic of master tiles and its Two-Pass Coverage Renorm.

The second pass looks at how often each piece of the sky was covered, gives every tile one gain that
evens out the steps in that coverage, and coadds the tiles anew::

    tiles, tiles_wcs, tiles_coverage = load_master_tiles(paths)
    mosaic, coverage, wcs, shape = assemble_first_pass(tiles, tiles_wcs, tiles_coverage)
    mosaic, coverage = _apply_two_pass_coverage_renorm_if_requested(
        mosaic, coverage, two_pass_enabled=True, two_pass_sigma_px=50, gain_clip_tuple=(0.85, 1.18),
        final_output_wcs=wcs, final_output_shape_hw=shape, logger=logger,
        collected_tiles=list(zip(tiles, tiles_wcs, tiles_coverage)))
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from reproject import reproject_interp

from zemosaic_instrument import two_pass_diagnostics
from zemosaic_twopass.phase5.coadd import SharedReprojection
from zemosaic_twopass.phase5.matching import CoaddInputs, reproject_and_coadd
from zemosaic_twopass.phase5.renorm import find_tile_gain, mask_finite, merge_passes, scale_coverage, weigh_inputs
from zemosaic_twopass.tiles.grid import copy_wcs
from zemosaic_twopass.tiles.images import TileError
from zemosaic_twopass.tiles.mosaic import find_smallest_grid
from zemosaic_twopass.tiles.reading import load_master_tiles as load_master_tiles
from zemosaic_twopass.tiles.records import check_tiles

_log = logging.getLogger("ZeMosaicWorker")


def assemble_first_pass(tiles, tiles_wcs, tiles_coverage=None, *, tile_weights=None, parallel_plan=None, logger=None):
    """Coadd the tiles, backgrounds matched, on the smallest celestial grid that holds them all.

    Parameters
    ----------
    tiles : sequence of ndarray, shape (H, W) or (H, W, C)
        In adu, NaN where there is nothing.
    tiles_wcs : list of astropy.wcs.WCS
    tiles_coverage : sequence of (ndarray, shape (H, W), or None), optional
        Positive where a tile is good.
    tile_weights : sequence of float, optional
    parallel_plan : mapping or object, optional
        Its `cpu_workers` is the number of channels coadded at a time, 1 by default: a run is
        repeatable to the bit only when they run one after the other.
    logger : logging.Logger, optional

    Returns
    -------
    mosaic : ndarray, shape (H, W, C), float32
        NaN where nothing covers it.
    coverage : ndarray, shape (H, W), float32
        Sum of the weights.
    wcs : astropy.wcs.WCS
    shape : tuple of int
        (H, W).

    Raises
    ------
    TileError
        If the tiles do not fit together, there are none, or they lie so far apart that the mosaic would be
        all but empty.
    """
    logger = logger or _log
    if not check_tiles(tiles, tiles_wcs, tiles_coverage):
        raise TileError("no tiles: 0 were given, at least 1 is needed")
    wcs, shape = find_smallest_grid([np.shape(tile)[:2] for tile in tiles], tiles_wcs)
    logger.info("[TwoPass] first_pass tiles=%d shape_out=%s", len(tiles), shape)
    shared = SharedReprojection(tiles, None, weigh_inputs(tiles, tiles_coverage, tile_weights))
    mosaic, coverage = _coadd_channels(shared, tiles_wcs, wcs, shape, parallel_plan, logger)
    return mosaic, coverage, wcs, shape


def compute_per_tile_gains_from_coverage(
    tiles, tiles_wcs, final_wcs, coverage_p1, *, sigma_px, gain_clip, logger=None, tiles_coverage=None
):
    """One gain a tile: the median over it of blurred coverage / coverage, clipped.

    Parameters
    ----------
    tiles : sequence of ndarray, shape (H, W) or (H, W, C)
    tiles_wcs : sequence of astropy.wcs.WCS
    final_wcs : astropy.wcs.WCS
        Places the mosaic on the sky.
    coverage_p1 : ndarray, shape (H, W)
        Coverage of the first pass; not finite counts as 0.
    sigma_px : float
        Sigma of the Gaussian blur in mosaic pixels.
    gain_clip : (float, float)
        Smallest and largest gain.
    logger : logging.Logger, optional
    tiles_coverage : sequence of (ndarray, shape (H, W), or None), optional

    Returns
    -------
    list of float
        Exactly 1.0 for a tile with too few pixels where the blurred coverage reaches 2, and for
        one whose mask cannot be reprojected.

    Raises
    ------
    ValueError
        If the lists differ in length or the coverage is not a two-dimensional map.
    """
    logger = logger or _log
    check_tiles(tiles, tiles_wcs, tiles_coverage)
    scale_map = scale_coverage(coverage_p1, sigma_px)
    gains = []
    for index, (tile, wcs) in enumerate(zip(tiles, tiles_wcs, strict=True)):
        mask = None if tiles_coverage is None else tiles_coverage[index]
        try:
            gains.append(find_tile_gain(np.shape(tile)[:2], mask, wcs, final_wcs, scale_map, gain_clip))
        except Exception as error:
            # Its text: a record that is kept would keep with the error all that its frames hold.
            logger.warning("[TwoPass] gain of tile=%d set to 1: %s", index, str(error))
            gains.append(1.0)
    return gains


def reproject_and_coadd_wrapper(
    data_list, wcs_list, shape_out, *, output_projection, input_weights=None, reproject_function=reproject_interp
):
    """Coadd one channel of all tiles on the mosaic's grid, backgrounds matched.

    Parameters
    ----------
    data_list : sequence of ndarray, shape (H, W)
        One plane a tile.
    wcs_list : sequence of astropy.wcs.WCS
    shape_out : tuple of int
        (H, W) of the mosaic.
    output_projection : astropy.wcs.WCS
    input_weights : sequence of ndarray, shape (H, W), optional
    reproject_function : callable, optional
        As for `reproject_and_coadd`.

    Returns
    -------
    mosaic, coverage : ndarray, shape `shape_out`, float64
        Weighted mean, 0 where nothing covers it, and sum of the weights.

    Raises
    ------
    ValueError
        If the lists differ in length.
    """
    return reproject_and_coadd(
        CoaddInputs(data_list, wcs_list),
        copy_wcs(output_projection),
        shape_out=tuple(shape_out),
        input_weights=input_weights,
        reproject_function=reproject_function,
        combine_function="mean",
        match_background=True,
    )


def _apply_two_pass_coverage_renorm_if_requested(
    final_mosaic_data,
    final_mosaic_coverage,
    *,
    two_pass_enabled,
    two_pass_sigma_px,
    gain_clip_tuple,
    final_output_wcs,
    final_output_shape_hw,
    logger,
    collected_tiles=None,
    parallel_plan=None,
):
    """Run the second pass if it is asked for and merge it into the first.

    Whatever goes wrong in the second pass, the first-pass mosaic stands.

    Parameters
    ----------
    final_mosaic_data, final_mosaic_coverage : ndarray, shape (H, W, C) and (H, W)
        The first pass.
    two_pass_enabled : bool
    two_pass_sigma_px, gain_clip_tuple, final_output_wcs, final_output_shape_hw, logger, parallel_plan
        Passed on to `run_second_pass_coverage_renorm`.
    collected_tiles : sequence of (tile, WCS, coverage or None[, weight])

    Returns
    -------
    mosaic : ndarray, shape (H, W, C)
    coverage : ndarray, shape (H, W)
    """
    logger = logger or _log
    first = final_mosaic_data, final_mosaic_coverage
    missing = [arg is None for arg in (*first, final_output_wcs, final_output_shape_hw)]
    if not two_pass_enabled or any(missing) or not collected_tiles:
        logger.info("[TwoPass] second pass not run: enabled=%s tiles=%d", two_pass_enabled, len(collected_tiles or ()))
        return first
    try:
        second = run_second_pass_coverage_renorm(
            [entry[0] for entry in collected_tiles],
            [entry[1] for entry in collected_tiles],
            final_output_wcs,
            final_mosaic_coverage,
            final_output_shape_hw,
            sigma_px=two_pass_sigma_px,
            gain_clip=gain_clip_tuple,
            logger=logger,
            tiles_coverage=[mask_finite(entry[0]) if entry[2] is None else entry[2] for entry in collected_tiles],
            tile_weights=[entry[3] if len(entry) > 3 else 1.0 for entry in collected_tiles],
            parallel_plan=parallel_plan,
        )
        if second is None:
            return first
        merged, fraction = merge_passes(first, second)
        if fraction:
            logger.info("[TwoPass] merged second_pass_fraction=%.4f", fraction)
        else:
            logger.warning("[TwoPass] no pixel of the second pass is usable, the first pass stands")
        return merged
    except Exception:
        logger.exception("[TwoPass] second pass failed, the first pass stands")
        return first


@two_pass_diagnostics
def run_second_pass_coverage_renorm(
    tiles,
    tiles_wcs,
    final_wcs_p1,
    coverage_p1,
    shape_out,
    *,
    sigma_px,
    gain_clip,
    logger=None,
    tiles_coverage=None,
    tile_weights=None,
    parallel_plan=None,
):
    """Multiply each tile by its coverage gain and coadd the tiles anew.

    Parameters
    ----------
    tiles : list of ndarray, shape (H, W) or (H, W, C)
        In adu, NaN where there is nothing; not written to.
    tiles_wcs : list of astropy.wcs.WCS
    final_wcs_p1 : astropy.wcs.WCS
        Places the first-pass mosaic on the sky.
    coverage_p1 : ndarray, shape (H, W)
        Coverage of the first pass.
    shape_out : tuple of int
        (H, W) of the mosaic.
    sigma_px, gain_clip
        As for `compute_per_tile_gains_from_coverage`.
    logger : logging.Logger, optional
    tiles_coverage : sequence of (ndarray, shape (H, W), or None), optional
        Pixels where it is not positive are left out.
    tile_weights : sequence of float, optional
    parallel_plan : mapping or object, optional
        As for `assemble_first_pass`.

    Returns
    -------
    (mosaic, coverage) or None
        ndarray (H, W, C) float32, NaN where nothing covers it, and ndarray (H, W) float32;
        None, with a warning, where the pass cannot be made.
    """
    logger = logger or _log
    try:
        if not check_tiles(tiles, tiles_wcs, tiles_coverage):
            raise TileError("no tiles: 0 were given, at least 1 is needed")
        logger.info("[TwoPass] start tiles=%d shape_out=%s sigma_px=%g", len(tiles), tuple(shape_out), sigma_px)
        gains = compute_per_tile_gains_from_coverage(
            tiles,
            tiles_wcs,
            final_wcs_p1,
            coverage_p1,
            sigma_px=sigma_px,
            gain_clip=gain_clip,
            logger=logger,
            tiles_coverage=tiles_coverage,
        )
        if len(gains) != len(tiles):
            raise TileError(f"gain list: {len(gains)} values != {len(tiles)} tiles")
        logger.info("[TwoPass] gains min=%.4f median=%.4f max=%.4f", min(gains), np.median(gains), max(gains))
        shared = SharedReprojection(tiles, gains, weigh_inputs(tiles, tiles_coverage, tile_weights))
        return _coadd_channels(shared, tiles_wcs, final_wcs_p1, shape_out, parallel_plan, logger)
    except Exception as error:
        logger.warning("[TwoPass] second pass not possible, the first pass stands: %s", str(error))
        return None


def _coadd_channels(shared, tiles_wcs, wcs, shape, parallel_plan, logger):
    """Coadd every channel of tiles that share their reprojection; NaN in the mosaic where nothing covers it."""
    is_mapping = isinstance(parallel_plan, Mapping)
    asked = parallel_plan.get("cpu_workers") if is_mapping else getattr(parallel_plan, "cpu_workers", None)
    workers = max(1, min(shared.channels, int(asked or 1)))
    mosaic = np.empty((*shape, shared.channels), dtype=np.float32)

    def coadd(channel):
        mosaic[..., channel], coverage = reproject_and_coadd_wrapper(
            data_list=shared.planes(channel),
            wcs_list=tiles_wcs,
            shape_out=shape,
            output_projection=wcs,
            input_weights=shared.weights,
            reproject_function=shared.reproject,
        )
        logger.info("[TwoPass] coadd channel=%d/%d tiles=%d", channel + 1, shared.channels, len(tiles_wcs))
        # In double precision a map is as large as two channels: only that of the first one stays, and not for long.
        return None if channel else np.nan_to_num(coverage, nan=0.0, posinf=0.0, neginf=0.0).astype(np.float32)

    with shared, ThreadPoolExecutor(workers) as pool:
        # One after the other in this thread, or each in one of the pool.
        coverage, *_ = (map if workers == 1 else pool.map)(coadd, range(shared.channels))
    for channel in range(shared.channels):
        plane = mosaic[..., channel]
        plane[~np.isfinite(plane) | (coverage <= 0)] = np.nan
    return mosaic, coverage
