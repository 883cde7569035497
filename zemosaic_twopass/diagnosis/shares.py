"""The edges of the last mosaic, and what of them a finding makes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .seams import FAINT, Left, SeamMap

# So much of a step must be a finding's for it to be its.
MOST_OF_IT = 0.5
# So near beside each other two edges are read as one, in pixels; of their normals, so much is the same then.
_ONE, _PARALLEL = 20.0, 0.95


@dataclass(frozen=True, eq=False)
class Edges:
    """The edges of the last mosaic as arrays, n of them.

    Attributes
    ----------
    map : SeamMap
    left : Left or None
    beyond : dict of int to ndarray of bool, shape (n,)
        As `Seams.beyond`.
    of_gains : ndarray, shape (n, C), or None
        As `Seams.of_gains`.
    """

    map: SeamMap
    left: Left | None
    beyond: dict[int, np.ndarray]
    of_gains: np.ndarray | None

    @cached_property
    def steps(self):
        """Shape (n, C)."""
        return np.array([edge.step for edge in self.map.edges])

    @cached_property
    def scale(self):
        """Adu that have a contrast of 1, shape (n,), by the channel of the largest step."""
        contrast = np.array([edge.contrast for edge in self.map.edges])
        return np.fmax.reduce(np.abs(self.steps), axis=1) / np.where(contrast > 0, contrast, np.nan)

    @cached_property
    def channel(self):
        """That of the largest step of each edge."""
        return np.argmax(np.nan_to_num(np.abs(self.steps), nan=-1.0), axis=1)

    @cached_property
    def seen(self):
        """Whose step anybody sees."""
        return np.array([edge.step_look in ("faint", "visible") for edge in self.map.edges], dtype=bool)

    def mostly(self, made):
        """Which edges owe most of their step to what makes so much of each, shape (n,), in adu."""
        step = self.of(self.steps)
        return (made * step > 0) & (np.abs(made) >= MOST_OF_IT * np.abs(step))

    def of(self, values):
        """Values of shape (n, C) in the channel of the largest step of each edge."""
        return values[np.arange(len(values)), self.channel]

    def mark(self, tile):
        """Which are edges of a tile, or lie in it or in what the coadd may have used beyond it; all for None."""
        own = np.array([tile in (None, edge.tile, *edge.neighbours) for edge in self.map.edges], dtype=bool)
        return own | self.beyond.get(tile, False)

    def along(self, index, tile):
        """The tile, where an edge is its own or runs in one line with one of its own, so near that both look as one."""
        own = self.map.edges[index]
        near = tile is not None and any(edge.tile == tile and in_line(edge, own) for edge in self.map.edges)
        return tile if near else None

    def cause(self, index, shares):
        """Number of the finding, one a share, that makes most of an edge; None where none does."""
        made = [abs(share.made[index]) if share is not None and share.accounts[index] else 0.0 for share in shares]
        return int(np.argmax(made)) if max(made, default=0.0) > 0 else None

    def own(self, tile):
        """Which are edges of a tile; all for None."""
        return np.array([tile in (None, edge.tile) for edge in self.map.edges], dtype=bool)


@dataclass(frozen=True, eq=False)
class Share:
    """What a finding makes in the last mosaic.

    Attributes
    ----------
    made : ndarray, shape (n,)
        Its part of the largest step of each edge, in adu; NaN where that is not known.
    accounts : ndarray, shape (n,), bool
        Seams that are seen, and are its.
    guessed : bool
        Whether it is only known that it may be so: all that is not expected, where the finding is.
    spread : bool
        Whether that may be anywhere.
    """

    made: np.ndarray
    accounts: np.ndarray
    guessed: bool = False
    spread: bool = False

    def worst(self, edges):
        """Index of the worst of its seams; None where it has none."""
        weight = np.where(self.accounts, [edge.weight for edge in edges.map.edges], -1.0)
        return int(np.argmax(weight)) if self.accounts.any() else None

    def look(self, edges):
        """How the worst of it looks: "visible", "faint" or "none"."""
        worst = self.worst(edges)
        return "none" if worst is None else edges.map.edges[worst].step_look

    def largest(self, edges):
        """The most that it makes anywhere, in units of noise and structure."""
        return float(np.nanmax(np.abs(self.made) / edges.scale, initial=0.0))

    def may_show(self, edges):
        """Whether that is as much as somebody sees who looks for it."""
        return self.largest(edges) >= FAINT


def in_line(edge, other):
    """Whether two edges lie in one line, or nearly."""
    (right, down), across = edge.normal, (other.x - edge.x, other.y - edge.y)
    parallel = abs(right * other.normal[0] + down * other.normal[1])
    return parallel > _PARALLEL and abs(across[0] * right + across[1] * down) < _ONE


def beside(edge, other):
    """Whether two edges run alongside each other, so near that they are read as one."""
    (right, down), across = edge.normal, (other.x - edge.x, other.y - edge.y)
    ahead = abs(across[1] * right - across[0] * down)
    return in_line(edge, other) and ahead < (edge.length + other.length) / 2
