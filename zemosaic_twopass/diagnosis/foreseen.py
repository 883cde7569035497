"""The picture that tiles will make: the edges in a mean of them, backgrounds matched, before there is one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .causes import makings_of
from .seams import Layout, Picture, seams_with_tiles


def foresee(looks, corrected_tiles, stays, shape):
    """The seams of a coadd with matching, of tiles as they are and once what was found is taken out.

    Parameters
    ----------
    looks : sequence of TileMeasurement
        One a tile, as given.
    corrected_tiles : CorrectedTiles
        The same tiles, corrected.
    stays : container of int
        Tiles that nothing is taken out of.
    shape : tuple of int
        (H, W) of the mosaic.

    Returns
    -------
    (SeamMap, SeamMap)
        In equal weights.
    """
    count = len(looks)
    makings = makings_of(looks, corrected_tiles, np.ones(count), shape)
    makings = replace(makings, gains=np.ones(count))
    right = corrected_tiles.in_boxes_of(looks)
    after = [
        given if own is None or index in stays else own
        for index, (given, own) in enumerate(zip(makings.given, right, strict=True))
    ]
    with np.errstate(all="ignore"):
        noise = makings.noise([look.noise for look in looks])
        pictures = [
            Picture(name, replace(makings, given=tuple(given)).coadd_matched(), noise)
            for name, given in (("as given", makings.given), ("repaired", after))
        ]
    return seams_with_tiles(pictures, Layout(makings.footprints), right).maps


def say_foreseen(before, after):
    """What taking the faults out of the tiles is for.

    Parameters
    ----------
    before, after : SeamMap
        As `foreseen` gives them.

    Returns
    -------
    str
    """
    if before.picture == "no_seam":
        return "A coadd that matches backgrounds shows no seam of these tiles: for it there is nothing to repair."
    if before.picture == "unknown":
        return "Whether a coadd of these tiles shows a seam is not known: they end within each other in too few places."
    left = {"no_seam": "none", "unknown": "what is not known"}.get(after.picture, f"a {after.picture} one")
    return (
        f"A coadd of these tiles that matches backgrounds shows a {before.picture} seam, about "
        f"{before.edges[before.worst].contrast:.2g} times the noise; of the copies it will show {left}."
    )
