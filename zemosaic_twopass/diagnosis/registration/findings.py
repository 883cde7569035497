"""What is found in the places of tiles, and what is nearly."""

from __future__ import annotations

import numpy as np

from ..finding import Finding, Nearly, of_a_pair
from ..kinds import KINDS
from .crops import take_out_crops, take_out_distortions
from .shifts import ALARMS, SHIFT_FLOOR

# A tenth of a pixel shows in the stars about as the noise of a pixel does in the sky.
_PER_PIXEL = 10.0


def shift_findings(shifts, axes, middles):
    """What is found in the places of tiles.

    Parameters
    ----------
    shifts : sequence of (Shift or None)
        From `register`.
    axes : sequence of ndarray, shape (2, 2)
        Axes of each tile, as `TileMeasurement` has them.
    middles : sequence of ndarray, shape (2,)
        Their middles, likewise.

    Returns
    -------
    list of (float, Finding)
        With the size of each effect in tenths of a pixel: what most tiles have in common in their own pixels, once,
        then what is left, tile by tile.
    """
    crops, left = take_out_crops(shifts, axes)
    told = [(_PER_PIXEL * float(crop.sizes.max()), _crop(crop)) for crop in crops]
    distortions, left = take_out_distortions(left, middles)
    told += [(_PER_PIXEL * float(one.sizes.max()), _distortion(one)) for one in distortions]
    for index, shift in enumerate(left):
        if shift is not None and (shift.matters or shift.stretch is not None):
            size = np.hypot(np.hypot(*shift.pixels), 0.0 if shift.stretch is None else shift.stretch.size)
            told.append((_PER_PIXEL * float(size), _finding(index, shift)))
    return told


def _distortion(found):
    many, low, high = len(found.sizes), found.sizes.min(), found.sizes.max()
    message = (
        f"The stars of {many} of {found.tested} tiles lie {low:.2g} to {high:.2g} px from where the others have them, "
        "the more the further out their tile is: the WCS of all lack the distortion of the lens, or have a scale that "
        "is not theirs; solve all anew with distortion, not single ones."
    )
    return Finding.of("astrometry", None, float(high), found.significance, message=message)


def _crop(crop):
    x, y = (float(value) for value in crop.pixels)
    many, low, high = len(crop.sizes), crop.sizes.min(), crop.sizes.max()
    message = (
        f"The stars of {many} of {crop.tested} tiles lie {low:.2g} to {high:.2g} px from where the others have them, "
        f"all by as much of their own pixels (x {x:+.3g}, y {y:+.3g}): a crop of the master tiles that moved their WCS "
        "twice leads there; see that crop, and do not solve the tiles anew."
    )
    error = float(np.sqrt(np.trace(crop.covariance) / 2))
    return Finding.of("astrometry", None, float(np.hypot(x, y)), crop.significance, message=message, error=error)


def stranger_findings(found):
    """What is said of tiles whose stars are nobody's.

    Parameters
    ----------
    found : sequence of Stranger
        From `find_strangers`.

    Returns
    -------
    list of (float, Finding)
        With an effect without bound: nothing of such a tile is where it belongs.
    """
    return [(np.inf, _stranger(one)) for one in found]


def _stranger(one):
    about = KINDS["astrometry"]
    if len(one.tiles) == 2:
        who, tile = f"Tiles {one.tiles[0]} and {one.tiles[1]} have no star in common", None
        what = "one of them has a wrong WCS, or is turned or mirrored, and no third tile says which: look at both"
    else:
        who, tile = f"The stars of tile {one.tiles[0]} are nobody's", one.tiles[0]
        what = f"its WCS is wrong, or its picture turned or mirrored; {about.advice}"
    message = f"{who}, {one.own} where the others have {one.others}: {what}."
    return Finding.of(about.name, tile, np.nan, np.inf, message=message, tiles=one.tiles if tile is None else ())


def _finding(index, shift):
    x, y = (float(value) for value in shift.pixels)
    size, sigma, error = float(np.hypot(x, y)), shift.significance, shift.error
    fields = {}
    if shift.stretch is not None:
        own = shift.stretch
        size, sigma, error = float(np.hypot(size, own.size)), own.significance, own.error
        fields["message"] = (
            f"The stars of tile {index} lie {size:.2g} px from where the others have them, each side another way "
            f"(turned by {own.turn:+.3g} deg, scaled by {own.scale:.5g}, x {x:+.3g}, y {y:+.3g} px): its WCS is wrong, "
            f"and no shift mends it; {KINDS['astrometry'].advice}."
        )
    finding = Finding.of("astrometry", index, size, sigma, {"x": x, "y": y}, error=error, **fields)
    return of_a_pair(finding, shift.group) if len(shift.group) == 2 else finding


def near_shift(shift, tile):
    """The shift of a tile (None where it has none) as what is nearly a finding; none or one `Nearly`."""
    if shift is not None:
        size = float(np.hypot(*shift.pixels))
        finding = Finding.of("astrometry", tile, size, shift.significance, message="", error=shift.error)
        # As a deviance, so that it can be held against those of the levels.
        sure = np.log(max(shift.chance * shift.tested, np.finfo(float).tiny)) / np.log(ALARMS)
        yield Nearly(finding, max(float(sure), 0.0), size / SHIFT_FLOOR)
