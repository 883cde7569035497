"""Which finding makes which seam, and the seams that none makes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.spatial import cKDTree

from .finding import Finding, WhatIf, in_digits
from .kinds import KINDS
from .seams import FAINT, SURE, VISIBLE
from .seen import in_mosaic, place_of, tell_picture
from .shares import MOST_OF_IT, Edges, Share, beside

# As far from each other two edges are the same in two mosaics.
_SAME, _OTHER_TILE_PX = 20.0, 1e3
# What takes no part in a picture, or of which nobody can say where it would show.
_NOWHERE = "second_pass_unused", "duplicate_tile"
_MADE_IN = {
    "first_pass": "the first pass",
    "second_pass": "the coadd of the second pass",
    "merged": "the merge of the two passes",
    "final": "the steps after the merge",
}


def explain(found, seams, asked=()):
    """An `Examination` with what its findings make in the picture, the seams that none of them makes, the worst edge.

    Parameters
    ----------
    found : Examination
    seams : Seams
        Seams of the mosaics that were seen; the last may be of any.
    asked : sequence of Finding
        One for each of `seams.made`.

    Returns
    -------
    found : Examination
        With `Finding.seam`, what each leaves in the mosaic, findings in the order of what is seen, and a sentence that
        begins with the picture.
    last : SeamMap
        Seams of the last mosaic. Where edges are read as one, the worst is that of the tile that makes it.
    """
    edges = Edges(seams.maps[-1], seams.left[-1], seams.beyond, seams.of_gains)
    if not edges.map.edges or edges.map.picture == "unknown":
        return found, edges.map
    with np.errstate(all="ignore"):
        made = {id(finding): own for finding, own in zip(asked, seams.made, strict=True)}
        shares = [_share(finding, made.get(id(finding)), edges) for finding in found.findings]
        findings = [_show(*pair, edges) for pair in zip(found.findings, shares, strict=True)]
        pairs = [*zip(findings, shares, strict=True), *_find_unexplained(seams, edges, shares)]
        order = _order(pairs, edges)
        findings, shares = zip(*order, strict=True) if order else ((), ())
        edges = replace(edges, map=_name_causes(edges, findings, shares))
        stage = _MADE_IN.get(_put_seen_first(seams, edges), "")
        found = replace(found, findings=findings)
        return replace(found, told=tell_picture(found, edges, shares, stage)), edges.map


def _name_causes(edges, findings, shares):
    """The map with the worst edge; of edges that are read as one, that of the tile whose finding makes it."""
    worst = edges.map.worst
    number = None if edges.map.edges[worst].lined else edges.cause(worst, shares)
    if number is None:
        return edges.map
    tile = findings[number].tile
    worst = _of_tile(edges, worst, tile)
    along = edges.along(worst, tile)
    return replace(edges.map, worst=worst, along=None if along == edges.map.edges[worst].tile else along)


def _put_seen_first(seams, edges):
    """Name of the first mosaic in which the worst edge is seen."""
    worst, name = edges.map.edges[edges.map.worst], edges.map.mosaic
    for one in seams.maps[-2::-1]:
        apart = [(np.hypot(e.x - worst.x, e.y - worst.y), n) for n, e in enumerate(one.edges) if e.tile == worst.tile]
        far, nearest = min(apart, default=(np.inf, None))
        if far > _SAME or not one.edges[nearest].seen:
            break
        name = one.mosaic
    return name


def _of_tile(edges, index, tile):
    """An edge, or that of a tile which looks the same and is read as one with it."""
    own, all_edges = edges.map.edges[index], edges.map.edges
    if tile in (None, own.tile):
        return index
    near = [n for n, edge in enumerate(all_edges) if edge.tile == tile and edge.step_look == own.step_look]
    near = [n for n in near if beside(all_edges[n], own)]
    return max(near, key=lambda n: all_edges[n].weight, default=index)


def _share(finding, made, edges):
    """The `Share` of a finding; None where it is not known."""
    if finding.about.group == "note" or finding.kind in _NOWHERE or edges.left is None and made is None:
        return None
    step = edges.of(edges.steps)
    made = edges.of_gains if finding.kind == "gain_seam" else made
    if made is not None:
        own = edges.of(made)
        return Share(own, edges.seen & edges.mostly(own))
    pipeline = finding.about.group == "pipeline"
    if finding.tile is None and not pipeline:
        return None
    # What it does to the mosaic is not known, but that it is not what was to be expected. Matching hands what the
    # coadd did to one tile on to all.
    beyond = edges.of(edges.left.step)
    own = np.where(edges.mark(None if pipeline else finding.tile), np.where(np.isfinite(beyond), beyond, step), 0.0)
    return Share(own, edges.seen & (np.abs(own) >= MOST_OF_IT * np.abs(step)), True, pipeline)


def _show(finding, share, edges):
    """A finding with its edge, and what is left there without it."""
    if share is None:
        return finding
    index = _edge_of(finding.tile, share, edges)
    if index is None or share.guessed and not share.accounts.any():
        return finding
    edge, step = edges.map.edges[index], edges.of(edges.steps)[index]
    what_if = finding.what_if or WhatIf(np.nan, np.nan, np.nan, "adu", float(np.mean(edge.noise)))
    left = np.nan if share.guessed else float(abs(step - share.made[index]))
    what_if = replace(what_if, mosaic=float(abs(step)), mosaic_taken_out=left)
    worst = share.worst(edges)
    worst = None if worst is None else _of_tile(edges, worst, finding.tile)
    return replace(finding, message=in_mosaic(finding, share, edges, worst), seam=edge, what_if=what_if)


def _edge_of(tile, share, edges):
    """Index of the edge that shows a finding: of its tile, or else the worst that it accounts for; None without one."""
    own = edges.own(tile) & np.isfinite(share.made) & np.isfinite(edges.of(edges.steps))
    chosen = own & share.accounts
    if not chosen.any():
        if share.accounts.any():
            # Beside its own, where the steps of both are read together.
            return share.worst(edges)
        chosen = own
    return int(np.argmax(np.where(chosen, np.abs(share.made), -1.0))) if chosen.any() else None


def _find_unexplained(seams, edges, shares):
    """Findings of the kind `seam` and their shares, one for each stage in which there is one first."""
    left = edges.left
    if left is None:
        return []
    sizes, errors = np.abs(left.step), left.error
    odd = edges.seen & (np.fmax.reduce(np.where(sizes > SURE * errors, left.contrast, 0.0), axis=1) >= FAINT)
    for share in shares:
        if share is not None and share.guessed and not share.spread:
            odd &= ~share.accounts
    stage = _first(seams, edges)
    # What is wrong with the coadd of one tile has a name already, and what comes after the coadd is another matter.
    if any(share is not None and share.spread for share in shares):
        odd &= ~np.isin(stage, ("first_pass", "second_pass"))
    groups = [(name, odd & (stage == name)) for name in dict.fromkeys(stage[odd].tolist())]
    step = edges.of(left.step)
    return [(_seam(name, edges, own), Share(np.where(own, step, 0.0), own)) for name, own in groups]


def _first(seams, edges):
    """The first mosaic in which each edge has most of what is not expected of it in the last, shape (n,)."""
    names = [one.mosaic for one in seams.maps]
    found, last = np.full(len(edges.map.edges), names[-1], dtype=object), _places(edges.map)
    channel = np.argmax(np.nan_to_num(np.abs(edges.left.step), nan=-1.0), axis=1)
    step = edges.left.step[np.arange(len(channel)), channel]
    for one, left in list(zip(seams.maps, seams.left, strict=True))[-2::-1]:
        if left is None or not one.edges:
            continue
        apart, near = cKDTree(_places(one)).query(last, distance_upper_bound=_SAME)
        there = np.isfinite(apart)
        there[there] = left.step[near[there], channel[there]] / step[there] >= MOST_OF_IT
        found[there] = one.mosaic
    return found


def _places(seams):
    """Where edges are, those of different tiles far apart, shape (n, 3)."""
    return np.array([(e.x, e.y, _OTHER_TILE_PX * (-1 if e.tile is None else e.tile)) for e in seams.edges])


def _seam(stage, edges, own):
    """The finding on the worst of some edges, own of all, that nothing accounts for."""
    left, count = edges.left, np.count_nonzero(own)
    # That of the tile that has most of them: of edges beside each other either may be named.
    contrast = np.where(own, np.fmax.reduce(left.contrast, axis=1), -1.0)
    tiles = np.array([-1 if edge.tile is None else edge.tile for edge in edges.map.edges])
    length = np.where(own, [edge.length for edge in edges.map.edges], 0.0)
    most = np.bincount(tiles + 1, length).argmax() - 1
    worst = int(np.argmax(np.where(tiles == most, contrast, -1.0)))
    channel = int(np.nanargmax(left.contrast[worst]))
    edge, value, error = edges.map.edges[worst], float(left.step[worst, channel]), float(left.error[worst, channel])
    contrast = float(left.contrast[worst, channel])
    said = {
        "look": "visible" if contrast >= VISIBLE else "faint",
        "effect": in_digits(contrast),
        "where": place_of(edge),
        "stage": _MADE_IN.get(stage, stage),
        "more": "" if count == 1 else f", {count - 1} more edge{'s' if count > 2 else ''} like it",
    }
    fields = {"error": error, "channel": channel if left.step.shape[1] > 1 else None, "seam": edge}
    return Finding.of("seam", edge.tile, value, abs(value) / error if error > 0 else np.inf, said, **fields)


def _order(pairs, edges):
    """Pairs of findings and shares: pipeline kinds by gravity, then residual ones by what is seen, then notes."""
    gravity, looks = list(KINDS), ["visible", "faint", "none"]

    def rank(pair):
        finding, share = pair
        match finding.about.group:
            case "pipeline":
                return 0, gravity.index(finding.kind)
            case "residual":
                # Those whose look is not known count as visible: somebody has to look.
                return 1, 0 if share is None else looks.index(share.look(edges))
        return 2, 0

    # They come by size, and those that rank alike stay so.
    return sorted(pairs, key=rank)
