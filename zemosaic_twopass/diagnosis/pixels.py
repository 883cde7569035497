"""What is found in the pixels of a tile by themselves, before it is compared with any other."""

from __future__ import annotations

from .finding import Finding

# Share of a tile below which a border is not worth a word.
_FEWEST = 5e-4
_HOW = {
    "filled": "is filled with one value",
    "feathered": "fades out",
    "rim": "has a rim that is no sky",
}


def pixel_findings(looks):
    """What is found in the pixels of tiles.

    Parameters
    ----------
    looks : sequence of TileMeasurement

    Returns
    -------
    list of (float, Finding)
        With the size of each effect on what the tiles are compared by, which is none: a border is left out there.
    """
    return [
        (0.0, _border(index, look.border))
        for index, look in enumerate(looks)
        if look.border is not None and look.border.share >= _FEWEST
    ]


def _border(index, border):
    said = {"how": _HOW[border.how], "level": border.level, "sky": border.sky}
    return Finding.of("unmasked_border", index, border.share, float("inf"), said)
