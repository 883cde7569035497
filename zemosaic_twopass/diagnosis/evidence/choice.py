"""The evidence for the worst findings or, where there is none, for what comes closest to one."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from ...measure.sampling import sample_tile
from ..comparison import closest
from .pass_evidence import find_implied_by, gain_evidence, gather_point_evidence, plane_evidence
from .records import Evidence
from .star_evidence import coadd_evidence, star_evidence
from .tile_evidence import curvature_evidence, level_evidence, seam_evidence

_MOST_FINDINGS = 6


def gather(examination, tiles, second_pass=None):
    """Evidence for the worst six findings; in a clean run for what comes closest to a finding.

    Parameters
    ----------
    examination : Examination
    tiles : TileSet
    second_pass : SecondPass, optional
        None where there was none; then no finding is about one.

    Returns
    -------
    tuple of Evidence
        In the order of the findings, notes left out; empty where nothing could be compared and nothing was found.
    """
    found = [finding for finding in examination.findings if finding.about.group != "note"]
    sample = partial(_samples, tiles)
    with np.errstate(all="ignore"):
        if found:
            return tuple(_evidence(finding, examination, sample, second_pass) for finding in found[:_MOST_FINDINGS])
        if examination.corrected_tiles is None:
            return ()
        one = closest(examination.corrected_tiles.surveyed)
        return () if one is None else (_nearly(one, examination.corrected_tiles, sample),)


def _samples(tiles, indices, places):
    return list(tiles.each(_sample, places, indices=indices))


def _sample(placed, places):
    return sample_tile(placed.tile, placed.place, places)


def _evidence(finding, examination, sample, second_pass):
    corrected_tiles, closure = examination.corrected_tiles, examination.closure
    tile = finding.tiles[0] if finding.tiles else finding.tile
    sort = finding.about.evidence
    if corrected_tiles is None or (tile is None and sort != "bow"):
        return Evidence(finding)
    match sort:
        case "level" if any(one.tile == tile for one in corrected_tiles.surveyed.uneven):
            # Nothing is taken out of it, and it is in nobody's mean: there is no before and after to draw.
            return Evidence(finding)
        case "level":
            return level_evidence(finding, corrected_tiles, corrected_tiles.corrections[tile])
        case "bow":
            return curvature_evidence(finding, corrected_tiles)
        # Stars that are nobody's have nothing to be drawn against.
        case "stars" if corrected_tiles.surveyed.shifts[tile] is not None:
            return star_evidence(finding, corrected_tiles, sample)
        case "step":
            return seam_evidence(finding, corrected_tiles, closure.offsets)
        case "gains":
            return gain_evidence(finding, corrected_tiles.gains)
        case "coadd stars":
            implied = find_implied_by(second_pass, closure, finding, sample)
            return coadd_evidence(finding, corrected_tiles, closure.faulty_tile.shift, implied)
        case "pixels" if finding.test == "contract":
            seen, gain = second_pass.find_observed(tile), second_pass.gain(tile)
            return plane_evidence(finding, second_pass.tiles[tile].pixels, seen, gain)
        case "pixels":
            return gather_point_evidence(finding, closure.faulty_tile)
    return Evidence(finding)


def _nearly(one, corrected_tiles, sample):
    """Evidence for what is not enough for a finding."""
    finding = one.finding
    reason = f"sure, but of {one.large:.0%} of the size that matters"
    if one.sure < 1:
        reason = f"not sure: {one.sure:.0%} of the significance that a finding takes"
    finding = replace(finding, message=reason)
    if one.terms is None:
        return replace(star_evidence(finding, corrected_tiles, sample), found=False)
    correction = replace(corrected_tiles.corrections[finding.tile], value=one.terms.value)
    return replace(level_evidence(finding, corrected_tiles, correction), found=False)
