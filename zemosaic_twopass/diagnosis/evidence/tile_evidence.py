"""Evidence for what a tile has as given, and for steps that gains made: the tile against the others, block by block."""

from __future__ import annotations

import numpy as np

from ...measure.coarse import FACTOR
from ...tiles.grid import common_part
from .records import Chart, Evidence, Layer, Series, bin_values, crop_layer

_ENDS = np.array([0.0, 1.0])
# Percentiles of the brightness of the sky between which lie the blocks without a bright star.
_USUAL_SKY = 1.0, 98.0


def level_evidence(finding, corrected_tiles, correction):
    """A tile against the others, as given but for what all have in common, and with what was found taken out.

    Parameters
    ----------
    finding : Finding
        Kind `offset`, `gain_residual` or `gradient`.
    corrected_tiles : CorrectedTiles
    correction : Correction
        What is to be taken out of the tile.

    Returns
    -------
    Evidence
        Layers: the tile minus the mean of the others, those with what was found in them taken out, NaN where there is
        none, in blocks of the mosaic. The chart holds the same with the tile's other faults taken out: over the
        brightness of the sky for a gain (an offset left in), along the slope for a gradient, along the columns for an
        offset.
    """
    tile, channel = _tile_of(finding), finding.channel
    blocks = corrected_tiles.surveyed.looks[tile].blocks
    sky = _mean_of_others(corrected_tiles, tile, channel)
    given = blocks.value[channel] - sky
    left = correction.of_blocks(blocks)[channel] - sky
    known = np.isfinite(left)
    rows, columns = np.nonzero(known)
    x, y = blocks.centres()
    u, v = correction.uv(x[columns], y[rows])
    x, term, label = _kind_of_term(finding, correction, (sky[known], u, v))
    use = slice(None) if finding.kind != "gain_residual" else _usual(x)
    line = np.array([x[use].min(), x[use].max()]) if len(x) else _ENDS
    value = left[known][use]
    series = (
        Series("fitted", line, term(line)),
        bin_values("as given", x[use], value + term(x[use])),
        bin_values("taken out", x[use], value),
    )
    chart = Chart(label, "tile − others (adu)", series)
    before, after = crop_layer(given, left)
    layers = Layer("tile as given − others", before), Layer("fault taken out", after)
    arrow = None
    if finding.kind == "gradient":
        along = correction.slope[channel] / np.hypot(*correction.slope[channel])
        arrow = tuple(along.tolist())
    return Evidence(finding, layers=layers, chart=chart, arrow=arrow)


def curvature_evidence(finding, corrected_tiles):
    """All tiles against one another, laid over each other by their middles, with the curvature and without.

    Parameters
    ----------
    finding : Finding
        Kind `vignetting`.
    corrected_tiles : CorrectedTiles

    Returns
    -------
    Evidence
        Layers: the mean over all tiles of the tile minus the mean of the others, in blocks of the mosaic. The chart
        holds the same over the distance from the middle.
    """
    curvature, channel = corrected_tiles.surveyed.curvature, finding.channel
    side = 2 * int(np.ceil(curvature.reach / FACTOR)) + 1
    totals, count, points = np.zeros((2, side, side)), np.zeros((side, side)), []
    for tile, look in enumerate(corrected_tiles.surveyed.curved):
        if corrected_tiles.blocks[tile] is None:
            continue
        left = corrected_tiles.blocks[tile][channel] - _mean_of_others(corrected_tiles, tile, channel)
        # What the bow is where it is, be it added or a factor.
        given = left + look.blocks.value[channel] - corrected_tiles.surveyed.looks[tile].blocks.value[channel]
        known = np.isfinite(left)
        x, y = (np.broadcast_to(axis, left.shape)[known] for axis in np.meshgrid(*look.blocks.centres()))
        away = np.stack([y - look.middle[1], x - look.middle[0]])
        bins = np.clip(np.rint(away / FACTOR).astype(int) + side // 2, 0, side - 1)
        np.add.at(count, tuple(bins), 1)
        for total, values in zip(totals, (given, left), strict=True):
            np.add.at(total, tuple(bins), values[known])
        points.append((np.hypot(*away) / curvature.reach, given[known], left[known]))
    before, after = crop_layer(*np.divide(totals, count, out=np.full(totals.shape, np.nan), where=count > 0))
    distance, given, left = map(np.concatenate, zip(*points, strict=True))
    line = np.linspace(0, 1, 25)
    series = (
        Series("fitted", line, curvature.height[channel] * line**2),
        bin_values("as given", distance, given),
        bin_values("taken out", distance, left),
    )
    layers = Layer("mean of tile − others", before), Layer("curvature taken out", after)
    chart = Chart("distance from the middle, as part of that of a corner", "tile − others (adu)", series)
    return Evidence(finding, layers=layers, chart=chart)


def _tile_of(finding):
    return finding.tiles[0] if finding.tile is None else finding.tile


def _mean_of_others(corrected_tiles, tile, channel):
    """Mean of the other tiles over the blocks of one, what was found in them taken out; NaN where there is none."""
    box = corrected_tiles.surveyed.looks[tile].blocks.box
    total = np.zeros([part.stop - part.start for part in box])
    count = np.zeros(total.shape)
    for other in corrected_tiles.surveyed.solution.neighbours[tile]:
        parts = common_part(box, corrected_tiles.surveyed.looks[other].blocks.box)
        values = corrected_tiles.blocks[other][channel][parts[1]]
        known = np.isfinite(values)
        np.add(total[parts[0]], values, out=total[parts[0]], where=known)
        count[parts[0]] += known
    return np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)


def _kind_of_term(finding, correction, places):
    """What a chart runs along, what the fault is there as a function of it, and its label."""
    channel, (sky, u, v) = finding.channel, places
    if finding.kind == "gain_residual":
        factor, offset = correction.factor[channel], correction.offset[channel]
        return sky, lambda at: (factor - 1) * at + offset, "brightness of the sky (adu)"
    if finding.kind == "gradient":
        slope = correction.slope[channel]
        size = float(np.hypot(*slope))
        return (u * slope[0] + v * slope[1]) / size, lambda at: size * at, "along the slope, as part of the tile"
    # A finding on two tiles that only meet each other has the size alone.
    size = correction.offset[channel] if finding.tile is None else finding.value
    return u, lambda at: np.full(np.shape(at), size), "along columns, as part of the tile"


def _usual(sky):
    low, high = np.percentile(sky, _USUAL_SKY) if len(sky) else _ENDS
    return (sky >= low) & (sky <= high)


def seam_evidence(finding, corrected_tiles, offsets):
    """The step that the second pass made: two tiles where they overlap, before and after the gains.

    Parameters
    ----------
    finding : Finding
        Kind `gain_seam`.
    corrected_tiles : CorrectedTiles
    offsets : ndarray, shape (N, C)
        What background matching took from each tile in adu.

    Returns
    -------
    Evidence
        Layers: first minus second tile, NaN where they do not meet, in blocks of the mosaic. The chart runs along the
        longer side of where they meet.
    """
    first, second = finding.tiles
    channel, gains = finding.channel, corrected_tiles.gains.applied
    pair = [corrected_tiles.surveyed.curved[tile].blocks for tile in (first, second)]
    parts = common_part(pair[0].box, pair[1].box)
    one, other = (blocks.value[channel][part] for blocks, part in zip(pair, parts, strict=True))
    taken = offsets[first, channel] - offsets[second, channel]
    given, after = one - other, gains[first] * one - gains[second] * other - taken
    known = np.isfinite(given)
    numbers = np.nonzero(known)
    along = int(np.ptp(numbers[1]) >= np.ptp(numbers[0])) if known.any() else 0
    x = FACTOR * (numbers[along] - numbers[along].min(initial=0) + 0.5)
    usual = float(np.median(gains[np.isfinite(gains)]))
    curves = (("as given", given), ("after the gains", after), ("equal gains", usual * given))
    chart = Chart(
        f"along {'columns' if along else 'rows'} where they meet (px)",
        f"tile {first} − tile {second} (adu)",
        tuple(bin_values(name, x, values[known]) for name, values in curves),
    )
    before, later = crop_layer(given, after)
    layers = Layer(f"tile {first} − {second}, as given", before), Layer("after the gains", later)
    return Evidence(finding, layers=layers, chart=chart)
