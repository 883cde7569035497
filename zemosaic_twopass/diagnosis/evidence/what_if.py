"""The experiment on paper: what becomes of a tile's steps to its neighbours when what was found is taken out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.spatial import cKDTree

from ...tiles.grid import common_part
from ..closure import MIN_BLOCKS
from ..finding import WhatIf, in_digits
from ..registration import RADIUS


def with_what_if(findings, corrected_tiles):
    """Findings with what would be if each were taken out; in the sentence too, for what tiles have as given.

    Parameters
    ----------
    findings : sequence of Finding
    corrected_tiles : CorrectedTiles

    Returns
    -------
    tuple of Finding
    """
    return tuple(_choose_blocks(finding, corrected_tiles) for finding in findings)


def _choose_blocks(finding, corrected_tiles):
    found, sort = None, finding.about.evidence
    if finding.tile is not None and sort in ("level", "gains"):
        found = _step(finding, corrected_tiles)
    elif finding.tile is not None and sort == "stars" and corrected_tiles.surveyed.shifts[finding.tile] is not None:
        found = _distance(finding, corrected_tiles.surveyed)
    if found is None:
        return finding
    if sort == "gains" or not np.isfinite([found.given, found.taken_out]).all():
        return replace(finding, what_if=found)
    if not found.taken_out < found.given:
        # The ends of a slope may cancel in the step to a neighbour: then that says nothing of it.
        return finding
    text = f"; {in_digits(found.taken_out)} {found.unit} with that taken out"
    if found.unit == "adu":
        text = found.between_tiles()
    # What to do stays last.
    what, _, advice = finding.message.rpartition(": ")
    return replace(finding, what_if=found, message=f"{what}{text}: {advice}")


def _step(finding, corrected_tiles):
    """The largest steps of one tile, less what all have in common; None where it shares too little with any other."""
    surveyed, tile = corrected_tiles.surveyed, finding.tile
    channels = range(len(surveyed.looks[tile].noise)) if finding.channel is None else [finding.channel]
    own, gain = surveyed.looks[tile].blocks, corrected_tiles.gains.recorded[tile]
    best = None
    for channel in channels:
        steps = []
        for other in surveyed.solution.neighbours[tile]:
            parts = common_part(own.box, surveyed.looks[other].blocks.box)
            given, neighbour = own.value[channel][parts[0]], corrected_tiles.blocks[other][channel][parts[1]]
            known = np.isfinite(given) & np.isfinite(neighbour)
            if np.count_nonzero(known) < MIN_BLOCKS:
                continue
            given, neighbour = given[known], neighbour[known]
            after = corrected_tiles.gains.recorded[other] * neighbour
            right = gain * given - after
            if finding.about.evidence == "level":
                right = corrected_tiles.blocks[tile][channel][parts[0]][known] - neighbour
            steps.append(
                np.median([given - neighbour, corrected_tiles.gains.applied[tile] * given - after, right], axis=1)
            )
        if steps:
            largest = np.max(np.abs(steps), axis=0)
            if best is None or largest[0] > best.given:
                best = WhatIf(*map(float, largest), "adu", float(surveyed.looks[tile].noise[channel]))
    return best


def _distance(finding, surveyed):
    """How far the stars of a tile lie from those of the others, and lie once its shift is taken out: medians."""
    look, shift = surveyed.looks[finding.tile], surveyed.shifts[finding.tile].pixels
    others = [own.stars.places for index, own in enumerate(surveyed.looks) if index != finding.tile]
    places = np.concatenate(others)
    distance, nearest = cKDTree(places).query(look.stars.places, distance_upper_bound=RADIUS)
    same = np.isfinite(distance)
    if not same.any():
        return None
    apart = look.stars.places[same] + shift - places[nearest[same]]
    sizes = np.median(np.hypot(*apart.T)), np.median(distance[same])
    return WhatIf(float(sizes[0]), np.nan, float(sizes[1]), "px", float(np.median(look.noise)))
