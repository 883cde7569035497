"""What lies across the worst edges of mosaics."""

from __future__ import annotations

import numpy as np

from .records import Profile

_PROFILES = 5
# Edges that lie nearer beside each other are one that is seen, as those of a sliver are; and the same in two mosaics.
_SEVERAL, _NEAR = 56.0, 20.0


def profile_worst(found):
    """Profiles across the worst edges of the last of some `Measured`, and at the same places in the others."""
    last, profiles = found[-1].map, []
    for edge, index in _worst(last):
        channel = int((found[-1].line_channel if edge.lined else found[-1].channel)[index])
        for one in found:
            own = _same(one.map.edges, edge)
            if own is not None:
                profiles.append(Profile(one.map.mosaic, own, index, channel, *one.profile(own, channel, edge)))
    return tuple(profiles)


def _worst(seams):
    """(Edge, index) of the worst five that do not lie beside each other, as two edges of one sliver do."""
    found = []
    for index in seams.worst_first():
        edge = seams.edges[index]
        if all(np.hypot(edge.x - other.x, edge.y - other.y) > _SEVERAL for other, _ in found):
            found.append((edge, index))
        if len(found) == _PROFILES:
            break
    return found


def _same(edges, edge):
    """Index of the edge of the same tile at the same place; None where there is none."""
    if not edges:
        return None
    apart = [np.hypot(own.x - edge.x, own.y - edge.y) if own.tile == edge.tile else np.inf for own in edges]
    nearest = int(np.argmin(apart))
    return nearest if apart[nearest] < _NEAR else None
