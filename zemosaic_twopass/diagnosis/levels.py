"""Levels and slopes of all tiles at once, from the planes of their pairwise differences.

Where every tile has a background of its own there is no clean neighbour to compare a tile with. As Montage
does (mFitplane, mBgModel), a plane is fitted to the difference of every pair, and one plane a tile is
sought that explains them all; here by least absolute deviation, which leaves the fault of one tile in that tile.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array, diags_array, eye_array
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import spsolve

from ..tiles.grid import common_part
from .residual import huber_terms

_MIN_BLOCKS = 60
_MAX_BLOCKS = 1500
_MIN_GROUP = 3
_ITERATIONS = 30
_RIDGE = 1e-9
_RESOLUTION = 0.01
_CORNERS = np.array([(-1, -1), (-1, 1), (1, -1), (1, 1)])


def joint_planes(maps, boxes, noise):
    """One plane a tile, for one channel.

    Parameters
    ----------
    maps : sequence of (ndarray, shape (h, w), or None)
        Block means of each tile in adu, NaN where not known; None for a tile that is not there.
    boxes : sequence of (tuple of slice, or None)
        Where each map lies in the coarse grid.
    noise : float
        Of one pixel in adu; differences far below it are not told from none.

    Returns
    -------
    ndarray, shape (N, 3)
        Level at the middle of the tile's box, and rise from end to end along columns and rows, in adu. Relative to the
        median tile of a connected group; 0 for a tile in a group of fewer than 3, where it
        cannot be said which of them is off.
    """
    count = len(maps)
    planes = np.zeros((count, 3))
    pairs = [
        (i, j, *found)
        for i in range(count)
        for j in range(i + 1, count)
        if (found := _pair_plane(maps[i], boxes[i], maps[j], boxes[j])) is not None
    ]
    if not pairs:
        return planes
    planes = _least_absolute(pairs, boxes, count, max(_RESOLUTION * noise, np.finfo(float).tiny))
    links = csr_array((np.ones(len(pairs)), ([p[0] for p in pairs], [p[1] for p in pairs])), shape=(count, count))
    _, groups = connected_components(links, directed=False)
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        if len(members) < _MIN_GROUP:
            planes[members] = 0.0
        else:
            _settle(planes, members, boxes)
    return planes


def _pair_plane(one, box, other, other_box):
    """Four points of the common part, and the difference of two tiles there from a robust plane; None for too few."""
    if one is None or other is None:
        return None
    parts = common_part(box, other_box)
    if parts is None:
        return None
    difference = one[parts[0]] - other[parts[1]]
    rows, columns = np.nonzero(np.isfinite(difference))
    if len(rows) < _MIN_BLOCKS:
        return None
    thin = slice(None, None, -(-len(rows) // _MAX_BLOCKS))
    rows, columns = rows[thin], columns[thin]
    values = difference[rows, columns]
    corner = [own.start + part.start for own, part in zip(box, parts[0], strict=True)]
    places = np.stack([columns + corner[1], rows + corner[0]])
    centre, spread = places.mean(axis=1), places.std(axis=1)
    design = np.stack([np.ones(len(values)), *(places - centre[:, np.newaxis])]).T
    terms, _ = huber_terms(design, values)
    corners = spread * _CORNERS
    return corners + centre, terms[0] + corners @ terms[1:]


def _own_coordinates(points, box):
    """1, u, v of points in a tile's box, u and v from −½ to ½."""
    u, v = (
        (points[:, axis] - (part.start + part.stop - 1) / 2) / max(part.stop - part.start - 1, 1)
        for axis, part in enumerate(box[::-1])
    )
    return np.stack([np.ones(len(points)), u, v], axis=1)


def _least_absolute(pairs, boxes, count, resolution):
    """Planes whose differences deviate least, in absolute value, from those of the pairs."""
    data, rows, columns, target = [], [], [], []
    for number, (i, j, points, values) in enumerate(pairs):
        for index, sign in ((i, 1.0), (j, -1.0)):
            data.append(sign * _own_coordinates(points, boxes[index]).ravel())
            rows.append(np.repeat(4 * number + np.arange(4), 3))
            columns.append(np.tile(3 * index + np.arange(3), 4))
        target.append(values)
    shape = 4 * len(pairs), 3 * count
    design = csr_array((np.concatenate(data), (np.concatenate(rows), np.concatenate(columns))), shape=shape)
    target = np.concatenate(target)
    weight = np.full(len(target), 1 / resolution)
    for _ in range(_ITERATIONS):
        weighted = diags_array(weight) @ design
        normal = design.T @ weighted + _RIDGE * weight.max() * eye_array(shape[1])
        solution = spsolve(normal.tocsc(), weighted.T @ target)
        weight = 1 / np.maximum(np.abs(target - design @ solution), resolution)
    return solution.reshape(count, 3)


def _settle(planes, members, boxes):
    """Take the plane that all tiles of a group could share out of them: the median slope, then the median level."""
    centres = np.array([[(part.start + part.stop - 1) / 2 for part in boxes[m][::-1]] for m in members])
    spans = np.array([[max(part.stop - part.start - 1, 1) for part in boxes[m][::-1]] for m in members])
    slopes = np.median(planes[members, 1:] / spans, axis=0)
    planes[members, 1:] -= slopes * spans
    planes[members, 0] -= (centres - centres.mean(axis=0)) @ slopes
    planes[members, 0] -= np.median(planes[members, 0])
