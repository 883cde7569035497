"""Evidence for shifts: the median of a tile's stars minus the same stars where they should be."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from ...tiles.images import TileError
from ..registration import RADIUS
from .records import Chart, Evidence, Layer, Series, median_and_error

# Half a stamp in pixels of the mosaic, and how many stars: enough for a quiet mean, quick to sample.
_HALF_STAMP = 8
_SIDE = 2 * _HALF_STAMP + 1
_MOST_STARS = 25
# A pixel of a profile may lie so far from its line.
_BESIDE = 1.5


def star_evidence(finding, corrected_tiles, sample):
    """The stars of a tile against those of the others, as its WCS places them and with its shift taken out.

    Parameters
    ----------
    finding : Finding
        Kind `astrometry`.
    corrected_tiles : CorrectedTiles
    sample : callable
        From a list of tiles' indices and one of places, (rows, columns) of the mosaic each, to what these tiles hold
        there, as `TileSamples`; a `TileError` for a tile that cannot be read any more.

    Returns
    -------
    Evidence
        Layers: the median over stars of tile minus mean of the others, in units of the height of each star, 17 × 17
        pixels of the mosaic. The chart is a cut through them along the shift. Without both where no star can be
        sampled.
    """
    surveyed = corrected_tiles.surveyed
    tile = finding.tiles[0] if finding.tile is None else finding.tile
    neighbours = list(surveyed.solution.neighbours[tile])
    places = _stamps(_find_shared(surveyed.looks[tile].stars, [surveyed.looks[other].stars for other in neighbours]))
    shifts = [surveyed.shifts[index] for index in (tile, *neighbours)]
    moves = [shift.pixels if shift is not None and shift.matters else np.zeros(2) for shift in shifts[1:]]
    own = shifts[0].pixels
    asked = [tile, tile, *neighbours], [_move(places, move) for move in (np.zeros(2), own, *moves)]
    given, right, *others = (_values(found, places) for found in sample(*asked))
    others = np.array(others).reshape(len(neighbours), *given.shape)
    known = np.isfinite(others)
    count = np.count_nonzero(known, axis=0)
    sky = np.divide(np.sum(others, axis=0, where=known), count, out=np.full(given.shape, np.nan), where=count > 0)
    titles = "as its WCS says", "shift taken out"
    return _evidence(finding, dict(zip(titles, (given - sky, right - sky), strict=True)), sky, own)


def coadd_evidence(finding, corrected_tiles, shift, implied):
    """The stars of a tile as the coadd used them against where its WCS has them, and with the shift taken out.

    Parameters
    ----------
    finding : Finding
        Kind `misregistration`.
    corrected_tiles : CorrectedTiles
    shift : (float, float)
        Shift of the tile in the coadd, along columns and rows of the mosaic in pixels.
    implied : callable
        From places, (rows, columns) of the mosaic, and moves of them in pixels to what the mosaic says that the tile
        holds there, and to what it holds by its WCS there, moved by each: arrays of shape (n,), NaN where not known.

    Returns
    -------
    Evidence
        As `star_evidence`, but for the layers: as used in the coadd minus as it is.
    """
    shift, stars = np.array(shift), corrected_tiles.surveyed.looks[finding.tile].stars
    places = _stamps(stars.places[:_MOST_STARS])
    seen, *held = (values.reshape(-1, _SIDE, _SIDE) for values in implied(places, [np.zeros(2), -shift]))
    titles = "as the coadd has them", "shift taken out"
    return _evidence(finding, {title: seen - own for title, own in zip(titles, held, strict=True)}, held[0], shift)


def _evidence(finding, stamps, reference, shift):
    """Medians over the stars of stamps, {title: (n, 17, 17)}, in units of what the reference says is their height."""
    if not len(reference):
        return Evidence(finding)
    centre = reference[:, _HALF_STAMP - 1 : _HALF_STAMP + 2, _HALF_STAMP - 1 : _HALF_STAMP + 2]
    # NaN where any pixel is not known: such a star is not used.
    height = centre.max(axis=(1, 2)) - np.median(reference, axis=(1, 2))
    whole = [np.isfinite(stamp).all(axis=(1, 2)) for stamp in stamps.values()]
    usable = np.all(whole, axis=0) & (height > 0)
    if not usable.any():
        return Evidence(finding)
    layers, series = [], []
    for title, stamp in stamps.items():
        stamp = stamp[usable] - np.median(stamp[usable], axis=(1, 2), keepdims=True)
        stamp = stamp / height[usable, np.newaxis, np.newaxis]
        middle, error = median_and_error(stamp)
        layers.append(Layer(title, middle.astype(np.float32)))
        series.append(_cut_stamp(title, middle, error, shift))
    chart = Chart("along the shift (px)", "difference (star = 1)", tuple(series))
    return Evidence(
        finding,
        layers=tuple(layers),
        unit="star = 1",
        chart=chart,
        arrow=tuple((shift / np.hypot(*shift)).tolist()),
    )


def _cut_stamp(title, image, error, shift):
    """Means of an image along a direction through its middle, of the pixels that lie no further beside it."""
    along = shift / max(np.hypot(*shift), np.finfo(float).tiny)
    steps = np.arange(-_HALF_STAMP, _HALF_STAMP + 1)
    x, y = np.meshgrid(steps, steps)
    at, beside = x * along[0] + y * along[1], x * along[1] - y * along[0]
    number = np.round(at).astype(int) + _HALF_STAMP
    near = (np.abs(beside) <= _BESIDE) & (number >= 0) & (number < _SIDE)
    count, total, variance = (
        np.bincount(number[near], layer[near], minlength=_SIDE) for layer in (np.ones(x.shape), image, error**2)
    )
    full = count > 0
    return Series(title, steps[full].astype(float), total[full] / count[full], np.sqrt(variance[full]) / count[full])


def _find_shared(stars, others):
    """Places of the surest stars that one of the other tiles has too."""
    if not len(stars) or not any(len(own) for own in others):
        return np.empty((0, 2))
    distance, _ = cKDTree(np.concatenate([own.places for own in others])).query(stars.places)
    return stars.places[distance < RADIUS][:_MOST_STARS]


def _stamps(centres):
    """(rows, columns) of the pixels of the mosaic around places, star after star."""
    steps = np.arange(-_HALF_STAMP, _HALF_STAMP + 1)
    columns, rows = np.round(centres).astype(int).T.reshape(2, -1, 1, 1)
    rows, columns = np.broadcast_arrays(rows + steps[:, np.newaxis], columns + steps)
    return rows.ravel(), columns.ravel()


def _move(places, move):
    return places[0] + move[1], places[1] + move[0]


def _values(found, places):
    """Mean of the channels at the pixels of each star, shape (n, 17, 17); NaN where a tile holds nothing."""
    values = np.full(len(places[0]), np.nan)
    if not isinstance(found, TileError):
        values[found.points] = found.values.mean(axis=1)
    return values.reshape(-1, _SIDE, _SIDE)
