"""What is wrong with a second pass, in which tile, by how much, and how sure that is."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from astropy.wcs import WCS

from ..measure.measurement import measure_tile
from ..tiles.images import TileError
from ..tiles.records import TileList
from ..tiles.tile_set import TileSet, results
from .closure import close, seam_findings
from .comparison import CorrectedTiles, compare, residual_findings
from .contract import check_gains, check_inputs, check_planes, fingerprints
from .evidence import with_what_if
from .examination import NO_MOSAIC, Examination, put_in_order
from .finding import note_untested
from .gains import Gains
from .registration import compare_passes


class _Form(NamedTuple):
    """What is looked at of a tile before its pixels are."""

    shape: tuple[int, ...]
    dtype: np.dtype


def examine(measurements, tiles, second_pass=None):
    """Find what is wrong with tiles as given and, where there was one, with a second pass.

    Parameters
    ----------
    measurements : sequence of TileMeasurement
        One a tile; none where `unfit` says that nothing can be tested.
    tiles : TileSet
    second_pass : SecondPass, optional
        Without it what tells the tiles from one another is found.

    Returns
    -------
    Examination

    Raises
    ------
    ValueError
        If they are not one a tile.
    """
    # Odd pixels are the pipeline's affair; what they do to sums here is dealt with where it matters.
    with np.errstate(all="ignore"):
        if second_pass is not None:
            return _of_pass(measurements, tiles, second_pass)
        surveyed = compare(measurements, tiles)
        gains = np.array([one.gain for one in measurements], dtype=float)
        gains = Gains(gains, gains, np.zeros(len(gains)))
        return replace(_examination(_without_coadd(residual_findings(surveyed)), surveyed, gains, None), of_pass=False)


def _without_coadd(found):
    """What is found where no coadd was seen: whether one took edges for sky is not known then."""
    edges = [one for one in found if one[1].kind == "unmasked_border"]
    if not edges:
        return found
    who = f"Tile {edges[0][1].tile} has" if len(edges) == 1 else f"{len(edges)} tiles have"
    reason = f"{who} edges that are filled, faded or else no sky: they were left out. A coadd may take them for sky."
    return [*(one for one in found if one not in edges), (0.0, note_untested(None, reason, "contract"))]


def examine_pass(second_pass):
    """Measure the tiles of a second pass, and `examine` it; see `zemosaic_twopass.diagnose`."""
    tiles = TileSet.of_pass(second_pass)
    return examine(() if unfit(second_pass) else results(tiles.each(measure_tile)), tiles, second_pass)


def _of_pass(measurements, tiles, second_pass):
    codes = [one.fingerprint for one in measurements]
    codes = None if not codes or None in codes else codes
    found = [] if second_pass.before is None else check_inputs(second_pass.before, fingerprints(second_pass, codes))
    found += check_gains(second_pass.gains, len(tiles), second_pass.gain_clip)
    if not measurements and (reason := unfit(second_pass)):
        return Examination(
            put_in_order([(0.0, finding) for finding in [*found, note_untested(None, reason, "residual")]])
        )
    closure, closed, shift = None, [], None
    surveyed = compare(measurements, tiles)
    if reason := _no_mosaic(second_pass, len(measurements[0].noise)):
        found.append(note_untested(None, reason, "mosaic"))
    contract = check_planes(second_pass, {index for index, one in enumerate(measurements) if one.exact})
    if not reason:
        shift, own = compare_passes(second_pass)
        found += own
        noise = float(np.nanmedian([look.noise for look in surveyed.looks]))
        closure, closed = close(second_pass, noise, surveyed.twins)
    exact = [*found, *_merge(contract, closed)]
    ranked = [*((0.0, finding) for finding in exact), *residual_findings(surveyed)]
    ranked += seam_findings(surveyed.curved, closure)
    return replace(_examination(ranked, surveyed, _gains(second_pass, closure, exact), closure), shift=shift)


def _examination(ranked, surveyed, gains, closure):
    corrected_tiles = CorrectedTiles.of(surveyed, gains)
    return Examination(with_what_if(put_in_order(ranked), corrected_tiles), surveyed.fits, corrected_tiles, closure)


def _gains(second_pass, closure, findings):
    """Gains as recorded, and as the mosaic or what went into the coadd shows them."""
    count = len(second_pass.tiles)
    recorded = np.array([second_pass.gain(index) for index in range(count)])
    applied, error = recorded.copy(), np.zeros(count)
    for finding in findings:
        if finding.tile is not None and finding.unit == "gain":
            applied[finding.tile] = finding.value
    for index in range(0 if closure is None else count):
        channel = closure.furthest(index, recorded[index])
        if channel is not None:
            applied[index], error[index] = closure.gains[index, channel], closure.errors[index, channel]
    return Gains(recorded, applied, error)


def unfit(second_pass):
    """Why nothing of a second pass can be tested; empty where it can."""
    tiles = second_pass.tiles
    if not len(tiles):
        return "There are no tiles."
    strange = [type(wcs).__name__ for wcs in (second_pass.wcs, *tiles.wcs) if not isinstance(wcs, WCS)]
    if strange or second_pass.shape is None:
        return f"Where the tiles lie in the mosaic is not known: {strange[0] if strange else 'no shape'} for its WCS."
    axes = next((wcs.naxis for wcs in (second_pass.wcs, *tiles.wcs) if wcs.naxis != 2), 2)
    if axes != 2:
        return f"Where the tiles lie in the mosaic is not known: {axes} axes of a WCS != 2."
    forms = [_Form(np.shape(pixels), np.asarray(pixels).dtype) for pixels in tiles.pixels]
    try:
        TileList(forms, tiles.wcs, tiles.coverages, tiles.weights, tiles.names).check()
    except TileError as error:
        return f"The tiles do not fit together: {error}."
    try:
        # A pass that raised may have been called with anything.
        size = tuple(int(n) for n in second_pass.shape)
        np.asarray(() if tiles.weights is None else tiles.weights, dtype=float)
    except (TypeError, ValueError) as error:
        return f"The call cannot be read: {error}."
    if len(size) != 2 or min(size) < 1:
        return f"The shape of the mosaic is {size}: two numbers above 0 are needed."
    odd = next((str(form.dtype) for form in forms if form.dtype.kind not in "buif"), "")
    return f"The tiles hold {odd}: real numbers are needed." if odd else ""


def _no_mosaic(second_pass, channels):
    """Why there is no mosaic of the second pass that could be looked into; empty where there is one."""
    mosaic, coverage = second_pass.mosaic, second_pass.coverage
    if mosaic is None:
        return NO_MOSAIC
    shape_out, shape = tuple(int(n) for n in second_pass.shape), np.shape(mosaic)
    own = shape[2] if len(shape) == 3 else 1
    reason = ""
    if shape[:2] != shape_out or len(shape) not in (2, 3):
        reason = f"The mosaic has shape {shape}, its WCS is for {shape_out}."
    elif np.shape(coverage) != shape_out:
        reason = f"The coverage has shape {np.shape(coverage)} != {shape_out}."
    elif own != channels:
        reason = f"The mosaic has {own} channels != {channels} of the tiles."
    elif not np.any(np.asarray(coverage) > 0):
        reason = "The coverage is 0 everywhere: no tile is in the mosaic."
    return reason


def _merge(contract, closed):
    """Both tests' findings, each fault once: the exact one, unless it could not name what the closure can."""
    named = {finding.tile for finding in closed if finding.about.group == "pipeline"}
    kept = [finding for finding in contract if not (finding.kind == "not_closed" and finding.tile in named)]
    seen = {finding.tile for finding in kept}
    return kept + [finding for finding in closed if finding.tile is None or finding.tile not in seen]
