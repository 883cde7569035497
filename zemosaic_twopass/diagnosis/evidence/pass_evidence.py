"""Evidence for what a pass did to a tile: its gains, and which of its pixels went into the coadd and how."""

from __future__ import annotations

import numpy as np

from ...tiles.blocks import block_sum
from ...tiles.planes import channels_last
from ..contract import beyond_rounding
from .records import Chart, Evidence, Layer, Series, bin_values

# Blocks of a tile along its longer side.
_BLOCKS = 64
# Cells for points of the mosaic, along the longer side of what they fill.
_CELLS = 28
_DIFFERENCES = "as coadded − gain × tile", "best gain taken out"


def gain_evidence(finding, gains):
    """The applied gain of each tile over the recorded one.

    Parameters
    ----------
    finding : Finding
    gains : Gains

    Returns
    -------
    Evidence
        Without layers; the chart has all tiles, the line where both are equal, and the tile of the finding.
    """
    known = np.isfinite(gains.recorded) & np.isfinite(gains.applied)
    own = np.arange(len(known)) == finding.tile
    low, high = (
        (edge(gains.recorded[known]), edge(gains.applied[known])) if known.any() else (1.0, 1.0)
        for edge in (np.min, np.max)
    )
    line = np.array([min(low), max(high)]) if known.any() else np.ones(2)
    parts = (("other tiles", known & ~own), (f"tile {finding.tile}", known & own))
    points = [Series(label, gains.recorded[p], gains.applied[p], gains.error[p]) for label, p in parts]
    chart = Chart("recorded gain", "applied gain", (Series("equal", line, line), *points))
    return Evidence(finding, unit="gain", chart=chart)


def plane_evidence(finding, given, seen, gain):
    """A tile that was seen on its way into the coadd against gain × tile.

    Parameters
    ----------
    finding : Finding
        Kind `mask_bug` or `not_closed`.
    given, seen : array_like, shape (H, W) or (H, W, C)
        The tile, and what the coadd was given.
    gain : float

    Returns
    -------
    Evidence
        Layers in blocks of the tile: which share of its pixels is good, and which was used; or what was used minus gain
        × tile in adu, and that with the median ratio taken out. Without layers where the shapes differ.
    """
    given, seen = (channels_last(array).astype(np.float32, copy=False) for array in (given, seen))
    if given.shape != seen.shape:
        return Evidence(finding)
    expected = given * np.float32(gain)
    if finding.kind == "not_closed":
        ratio = seen[::4, ::4] / expected[::4, ::4]
        ratio = np.median(ratio[np.isfinite(ratio)]) if np.isfinite(ratio).any() else 1.0
        with np.errstate(invalid="ignore"):
            left = [(seen - factor * expected).mean(axis=2, dtype=np.float64) for factor in (1.0, float(ratio))]
        return _of_differences(finding, dict(zip(_DIFFERENCES, map(_blocks, left), strict=True)))
    own, used = (np.isfinite(array).all(axis=2) for array in (expected, seen))
    if np.array_equal(own, used):
        own &= ~beyond_rounding(seen, expected).any(axis=2)
    return _of_masks(finding, *(_blocks(mask.astype(float)) for mask in (own, used)))


def gather_point_evidence(finding, faulty_tile):
    """What the mosaic says of a tile at points of it.

    Parameters
    ----------
    finding : Finding
        Kind `mask_bug` or `not_closed`.
    faulty_tile : FaultyTile

    Returns
    -------
    Evidence
        As `plane_evidence`, in cells of the mosaic; without layers where there are no points.
    """
    if not len(faulty_tile.places):
        return Evidence(finding)
    if finding.kind == "not_closed":
        return _of_differences(
            finding, {"best gain and offset taken out": _cells(faulty_tile.places, faulty_tile.left)}
        )
    return _of_masks(finding, *(_cells(faulty_tile.places, (faulty_tile.left != state) * 1.0) for state in (1, -1)))


def _of_masks(finding, own, used):
    # NumPy's functions for NaN warn of a row without any number; masked arrays do not.
    share = np.ma.masked_invalid([own, used])
    along = _along(np.abs(share[1] - share[0]))
    share = share.mean(axis=2 - along).filled(np.nan)
    x = (np.arange(share.shape[1]) + 0.5) / share.shape[1]
    known = np.isfinite(share).all(axis=0)
    titles = "good in the tile", "used in the coadd"
    series = tuple(Series(title, x[known], line[known]) for title, line in zip(titles, share, strict=True))
    label = f"along {'columns' if along else 'rows'}, as part of the tile"
    layers = tuple(Layer(title, layer.astype(np.float32)) for title, layer in zip(titles, (own, used), strict=True))
    return Evidence(finding, layers=layers, unit="share", chart=Chart(label, "share of the pixels", series))


def _of_differences(finding, layers):
    title, left = next(iter(layers.items()))
    known = np.isfinite(left)
    along = _along(np.ma.masked_invalid(left))
    places = np.nonzero(known)[along] / max(left.shape[along] - 1, 1)
    layers = tuple(Layer(name, layer.astype(np.float32)) for name, layer in layers.items())
    label = f"along {'columns' if along else 'rows'}, as part of the tile"
    series = Series("none", np.array([0.0, 1.0]), np.zeros(2)), bin_values("as coadded", places, left[known])
    return Evidence(finding, layers=layers, chart=Chart(label, "adu", series))


def _along(image):
    """The axis along which a masked image changes most: 1 for columns, 0 for rows."""
    columns, rows = (float(np.ma.filled(image.mean(axis=axis).std(), 0.0)) for axis in (0, 1))
    return int(columns >= rows)


def _blocks(image):
    """Block means of an image with at most 64 blocks a side, of the finite pixels; NaN for a block without any."""
    factor = max(1, -(-max(image.shape) // _BLOCKS))
    rows, columns = (n // factor * factor for n in image.shape)
    image = image[:rows, :columns] if rows and columns else image
    factor = factor if rows and columns else 1
    known = np.isfinite(image)
    count = block_sum(known, factor)
    total = block_sum(np.where(known, image, 0.0), factor)
    return np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0)


def _cells(places, values):
    """Means of values at places, (columns, rows), in cells that fill the box of the places; NaN for an empty cell."""
    low = places.min(axis=0)
    side = max(1.0, float(np.ptp(places, axis=0).max() + 1) / _CELLS)
    column, row = ((places - low) // side).astype(int).T
    shape = row.max() + 1, column.max() + 1
    number = row * shape[1] + column
    count = np.bincount(number, minlength=shape[0] * shape[1])
    total = np.bincount(number, values, minlength=count.size)
    return np.divide(total, count, out=np.full(count.size, np.nan), where=count > 0).reshape(shape)


def find_implied_by(second_pass, closure, finding, sample):
    """What the mosaic says that a tile holds, for `starlight.coadd_evidence`.

    Parameters
    ----------
    second_pass : SecondPass
    closure : Closure
        Closure of the mosaic without the tile.
    finding : Finding
        Kind `misregistration`.
    sample : callable
        As for `star_evidence`.

    Returns
    -------
    callable
        As `coadd_evidence` takes it; what the tile holds comes multiplied by its recorded gain.
    """
    tiles, own = second_pass.tiles, finding.tile
    weights = np.array([tiles[index].weight for index in range(len(tiles))])
    mosaic = channels_last(second_pass.mosaic)
    gain = second_pass.sound_gains[own] if second_pass.sound_gains else 1.0

    def implied(places, moves):
        rows, columns = (np.clip(axis, 0, n - 1) for axis, n in zip(places, mosaic.shape[:2], strict=True))
        others = [index for index in range(len(tiles)) if index != own]
        moved = [(places[0] + y, places[1] + x) for x, y in moves]
        found = sample([*others, *[own] * len(moves)], [*[places] * len(others), *moved])
        total, weight = np.zeros((len(rows), mosaic.shape[2])), np.zeros(len(rows))
        doubtful = np.zeros(len(rows), dtype=bool)
        for index, one in zip(others, found, strict=False):
            total[one.points] += weights[index] * (one.values * closure.gains[index] - closure.offsets[index])
            weight[one.points] += weights[index]
            doubtful[one.doubtful] = True
        seen = (mosaic[rows, columns] * (weight + weights[own])[:, np.newaxis] - total) / weights[own]
        seen = np.where(doubtful, np.nan, seen.mean(axis=1))
        held = []
        for one in found[len(others) :]:
            values = np.full(len(rows), np.nan)
            values[one.points] = gain * one.values.mean(axis=1)
            held.append(values)
        return seen, *held

    return implied
