"""What lies across the worst edges of the last mosaic, and at the same places in those before it, as they are drawn."""

from __future__ import annotations

import numpy as np

from .style import INK, WIDTH

# In inches, as the panels above them are: their left side, how wide they are, and how high the profiles.
LEFT, PANEL, PROFILE = 0.12, 5.3, 1.05
_STAGES = "#0072B2", "#E69F00", "#009E73", "#CC79A7"
_NAMES = {"first_pass": "first pass", "second_pass": "second pass", "merged": "merged", "final": "final"}
# Half widths of profiles, in pixels: across an edge, and across a thin line.
_HALF_PROFILE, _NEAR = 68, 8
# So few profiles are not drawn wider; up to which part of its half width each has ticks.
_FEW, _TICKED = 3, 0.75
# Below the profiles, in inches: where the names of the stages begin, how wide a letter of them is, and a space.
_LEGEND, _LETTER, _SPACE = 2.45, 0.068, 0.12


def name_of(seams):
    """What a mosaic is called in the picture: its stage, or its file."""
    return _NAMES.get(seams.mosaic, seams.mosaic)


def draw_profiles(canvas, maps, profiles, worst):
    """Draw the profiles across the worst edges side by side.

    Parameters
    ----------
    canvas : Canvas
        They are at its lower end.
    maps : sequence of SeamMap
        The last one has the edges.
    profiles : sequence of Profile
    worst : dict of int to int
        Their numbers in the picture, by the index of the edge; at least one.
    """
    from matplotlib.transforms import Affine2D

    left, count = 0.42, len(worst)
    width = (LEFT + PANEL - left) / max(count, _FEW)
    reach = [_reach(maps[-1].edges[index]) for index in worst]
    stages = [_across(seams, profiles, worst, reach) for seams in maps]
    top = 1.15 * max(np.nanmax(np.abs(value) + np.nan_to_num(error), initial=0.0) for _, value, error in stages) or 1.0
    box = canvas.box(left, canvas.height - 0.4 - PROFILE, count * width, PROFILE)
    # Slots are 2 wide, the first from -1.
    shown = Affine2D().translate(1, top).scale(width / 2, PROFILE / (2 * top)).translate(*box.min)
    for lines, colour in zip(stages, _STAGES * len(stages), strict=False):
        _draw_stage(canvas, lines, colour, shown + canvas.inches)
    for slot, (index, number) in enumerate(worst.items()):
        slot_box = canvas.box(left + slot * width, canvas.height - 0.4 - PROFILE, width, PROFILE)
        canvas.text(slot_box.x0 + 0.02, canvas.up(box.y1) - 0.17, f"{number}: {_whose(maps[-1], index)}")
        _draw_slot(canvas, slot_box, reach[slot], named=not slot or reach[slot] != reach[slot - 1])
    canvas.ticks(box, (-top, top), 4, side=-1)
    canvas.text(0.0, canvas.up((box.y0 + box.y1) / 2), "adu", rotation=90, ha="center", va="center")
    _name_stages(canvas, maps, left)


def _across(seams, profiles, worst, reach):
    """The profiles of one mosaic in their slots, one behind the other, shape (3, n)."""
    lines = [
        _in_slot(own, slot, reach[slot])
        for slot, index in enumerate(worst)
        for own in profiles
        if own.last == index and own.mosaic == seams.mosaic
    ]
    return np.hstack([np.empty((3, 0)), *lines])


def _draw_slot(canvas, box, reach, named):
    """Draw the frame of a profile, its edge, and marks, `named` by how far from that in pixels they are."""
    from matplotlib.collections import LineCollection

    canvas.frame(box)
    middle, marks = (box.x0 + box.x1) / 2, []
    for at in (-_tick(reach), 0, _tick(reach)):
        x = middle + at / reach * box.width / 2
        marks.append([(x, box.y0), (x, box.y0 - 0.04)])
        # What the profile to its left says of these holds for it too.
        if named:
            canvas.text(x, canvas.up(box.y0) + 0.07, f"{at:g}".replace("-", "\N{MINUS SIGN}"), ha="center")
    marks.append([(middle, box.y0), (middle, box.y1)])
    colours = [INK] * 3 + ["#909090"]
    canvas.add(LineCollection, segments=marks, colors=colours, linewidths=0.8)


def _reach(edge):
    """Half width of the profile of an edge, in pixels."""
    return _NEAR if edge.thin else edge.line_px if edge.lined else _HALF_PROFILE


def _tick(reach):
    """The last tick within a reach, of whole fives and so far from its end that two profiles' do not meet."""
    return 5 * max(1, int(_TICKED * reach / 5))


def _in_slot(profile, slot, reach):
    """What is drawn of a profile: where, its values and their errors, shape (3, n), and NaN, where a line ends."""
    # What is not known breaks the line too.
    shown = ~(np.abs(profile.distance) > reach)
    parts = 2 * slot + profile.distance / reach, profile.value, profile.error
    return np.array([[*part[shown], np.nan] for part in parts])


def _draw_stage(canvas, lines, colour, shown):
    """Draw the profiles of one mosaic, with their errors."""
    from matplotlib.collections import LineCollection
    from matplotlib.lines import Line2D

    slot, value, error = lines
    style = {"color": colour, "linewidth": 0.9, "transform": shown}
    canvas.add(Line2D, xdata=slot, ydata=value, marker=".", markersize=3, **style)
    known = np.isfinite(value + error)
    bars = np.stack([[slot, value - error], [slot, value + error]])[..., known].transpose(2, 0, 1)
    canvas.add(LineCollection, segments=bars, **style)


def _name_stages(canvas, maps, left):
    """Say below the profiles what they show, and which colour is which mosaic."""
    low = {"va": "baseline"}
    canvas.text(left, canvas.height - 0.02, "pixels from the edge; left of it is inside", **low)
    at = left + _LEGEND
    names = [name_of(seams) for seams in maps] if len(maps) > 1 else []
    letters = max(map(len, names), default=0)
    while sum(min(len(name), letters) * _LETTER + _SPACE for name in names) > WIDTH - at and letters > 1:
        letters -= 1
    for slot, name in enumerate(name[:letters] for name in names):
        canvas.text(at, canvas.height - 0.02, name, color=_STAGES[slot % len(_STAGES)], **low)
        at += _LETTER * len(name) + _SPACE


def _whose(seams, index):
    tile = seams.tile if index == seams.worst else seams.edges[index].tile
    return f"{'no tile' if tile is None else f'tile {tile}'}{', a line' if seams.edges[index].lined else ''}"
