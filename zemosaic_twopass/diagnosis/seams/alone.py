"""The edges of a mosaic measured on the picture by itself: its noise and its sky stay in what is measured."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from ...measure.median import median_of_known
from ...measure.robust import MEDIAN_SQUARE
from .deep import DeepStrips, likeness
from .edges import Measured, map_edges, noise_beside, structure_along
from .fit import Filters, along, profiles
from .lines import LineReader
from .measured import together
from .stretches import LONGEST, stretches_of

# By so many places beside an edge is what is found there taken for what is usual.
_PRIOR, _FEW_PLACES = 4, 2
# In one line: this far off it, in pixels, and of the directions so much the same. No edge counts for more errors.
_OFF, _PARALLEL, _MOST_ERRORS = 4.0, 0.995, 3.0


def seams_alone(pictures, regions):
    """The steps at all edges in mosaics, each by itself.

    What is the same beside the edges, where none are, says how the cells across an edge are weighed against each
    other, and how far a step is off for the sky's sake.

    Parameters
    ----------
    pictures : iterable of (Picture, array_like of shape (H, W, C))
        Mosaics on one grid, each with the pixels that it was made of; taken one at a time.
    regions : Regions
        By footprints or by a coverage map.

    Returns
    -------
    Seams
        Steps in the mosaics' own adu.
    """
    stretches, found = stretches_of(regions), []
    reader = LineReader(stretches, regions)
    with np.errstate(all="ignore"):
        for picture, pixels in pictures:
            if not len(stretches):
                found.append(Measured.without_edges(picture))
                continue
            strips = DeepStrips.of(stretches, regions, pixels)
            step, error = _steps(strips)
            shown, lines = strips.at_edge(), reader.read(pixels)
            looks = noise_beside(strips.whole, picture.noise), structure_along(shown), lines
            steps = step, error, None, of_their_line(stretches, step, error)
            found.append(map_edges(picture.name, stretches, steps, looks, (strips.near, *profiles(shown))))
    return together(found)


def _steps(strips):
    """Steps and their errors, shape (n, C) each."""
    edge, places = strips.at_edge(), strips.beside()
    steps, errors = [], []
    for channel in range(edge.shape[1]):
        own = slice(channel, channel + 1)
        flat = np.concatenate([profiles(values[:, own])[0][:, 0] for values in places])
        scatter = likeness(flat)
        step, error = _read(edge[:, own], scatter, strips.near.distance)
        nothing = np.stack([_read(values[:, own], scatter, strips.near.distance)[0] for values in places])
        count, square = np.isfinite(nothing).sum(axis=0), np.nansum(nothing**2, axis=0)
        usual = np.nan_to_num(median_of_known(np.ravel(nothing**2)) / MEDIAN_SQUARE)
        steps.append(step)
        # Less than is usual at so few places is chance.
        beside = np.maximum((square + _PRIOR * usual) / (count + _PRIOR), usual)
        # An error that is known by few of them has to be larger for as many of it to be as rare.
        errors.append(np.sqrt(np.maximum(error**2, beside)) * (1 + _FEW_PLACES / (count + _PRIOR)))
    return np.stack(steps, axis=1), np.stack(errors, axis=1)


def _read(values, scatter, distance):
    """Steps of strips of one channel, shape (n, 1, columns, m), and their errors by the columns, shape (n,) each."""
    filters = Filters.by_scatter(distance, np.isfinite(values[:, 0]), scatter)
    step, error = along(filters.read(values), filters.gain)
    return step[:, 0], error[:, 0]


def of_their_line(stretches, step, error):
    """Errors in the steps of all edges in one line with each, together, where its own goes the same way: shape (n,).

    An eye that follows a side of a tile sees what no part of it shows for sure.
    """
    middles = np.column_stack([stretches.x, stretches.y])
    one, other = cKDTree(middles).query_pairs(2 * LONGEST, output_type="ndarray").T
    apart, normal = middles[other] - middles[one], stretches.normal
    same = np.sum(normal[one] * normal[other], axis=1) > _PARALLEL
    for end in (one, other):
        same &= np.abs(np.sum(apart * normal[end], axis=1)) < _OFF
    n = len(middles)
    links = csr_array((np.ones(same.sum()), (one[same], other[same])), shape=(n, n))
    group = connected_components(links, directed=False)[1]
    found = np.zeros(n)
    for z in np.clip(np.nan_to_num(step / error), -_MOST_ERRORS, _MOST_ERRORS).T:
        count = np.bincount(group, z != 0)
        sure = (np.bincount(group, z) / np.sqrt(np.maximum(count, 1)))[group]
        found = np.maximum(found, np.where(sure * z > 0, np.abs(sure), 0.0))
    return found
