"""What lies across the worst edges of the last mosaic, and at the same places in those before it, as they are drawn."""

from __future__ import annotations

import numpy as np

from .style import INK, SMALL, TEXT, WIDTH, finish_ticks

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


def draw_profiles(figure, maps, profiles, worst, height):
    """Draw the profiles across the worst edges side by side, in one axes: making axes takes most of the time.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    maps : sequence of SeamMap
        The last one has the edges.
    profiles : sequence of Profile
    worst : dict of int to int
        Their numbers in the picture, by the index of the edge; at least one.
    height : float
        Height of the figure in inches.
    """
    left, count = 0.42, len(worst)
    width = (LEFT + PANEL - left) * count / max(count, _FEW)
    axes = figure.add_axes((left / WIDTH, 0.4 / height, width / WIDTH, PROFILE / height))
    reach, top = [_reach(maps[-1].edges[index]) for index in worst], 0.0
    for stage, seams in enumerate(maps):
        lines = [
            _in_slot(own, slot, reach[slot])
            for slot, index in enumerate(worst)
            for own in profiles
            if own.last == index and own.mosaic == seams.mosaic
        ]
        if lines:
            top = max(top, _draw_stage(axes, np.hstack(lines), _STAGES[stage % len(_STAGES)]))
    ticks = {2 * slot + at / far: at for slot, far in enumerate(reach) for at in (-_tick(far), 0, _tick(far))}
    for slot, (index, number) in enumerate(worst.items()):
        axes.axvline(2 * slot, color="#909090", linewidth=0.8)
        axes.axvline(2 * slot + 1, color=INK, linewidth=0.8)
        title = f"{number}: {_whose(maps[-1], index)}"
        axes.text((slot + 0.02) / count, 1.04, title, fontsize=SMALL, transform=axes.transAxes, **TEXT)
    axes.set(xlim=(-1, 2 * count - 1), ylim=(-1.15 * top, 1.15 * top) if top > 0 else None)
    axes.set_xticks(list(ticks), [f"{at:g}".replace("-", "\u2212") for at in ticks.values()])
    finish_ticks(axes)
    axes.set_ylabel("adu", fontsize=SMALL, labelpad=1, **TEXT)
    _name_stages(figure, maps, left, height)


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


def _draw_stage(axes, lines, colour):
    """Draw the profiles of one mosaic and say how high they rise, their errors included."""
    slot, value, error = lines
    axes.plot(slot, value, ".-", color=colour, markersize=3, linewidth=0.9)
    # Not `errorbar`, which takes several times as long.
    known = np.isfinite(value + error)
    low, high = (value[known] + sign * error[known] for sign in (-1, 1))
    axes.vlines(slot[known], low, high, color=colour, linewidth=0.9)
    return np.nanmax(np.abs(value) + np.nan_to_num(error), initial=0.0)


def _name_stages(figure, maps, left, height):
    """Say below the profiles what they show, and which colour is which mosaic."""
    figure.text(left / WIDTH, 0.02 / height, "pixels from the edge; left of it is inside", fontsize=SMALL, **TEXT)
    at = left + _LEGEND
    names = [name_of(seams) for seams in maps] if len(maps) > 1 else []
    letters = max(map(len, names), default=0)
    while sum(min(len(name), letters) * _LETTER + _SPACE for name in names) > WIDTH - at and letters > 1:
        letters -= 1
    for slot, name in enumerate(name[:letters] for name in names):
        own = TEXT | {"color": _STAGES[slot % len(_STAGES)]}
        figure.text(at / WIDTH, 0.02 / height, name, fontsize=SMALL, **own)
        at += _LETTER * len(name) + _SPACE


def _whose(seams, index):
    tile = seams.tile if index == seams.worst else seams.edges[index].tile
    return f"{'no tile' if tile is None else f'tile {tile}'}{', a line' if seams.edges[index].lined else ''}"
