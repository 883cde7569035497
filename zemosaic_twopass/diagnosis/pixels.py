"""What is found in the pixels of a tile by themselves, before it is compared with any other."""

from __future__ import annotations

import math

from ..tiles.planes import channel_names, in_channel
from .finding import Finding, note_untested

# Share of a tile below which a border is not worth a word.
_LEAST_SHARE = 5e-4
_HOW = {
    "filled": "is filled with one value",
    "feathered": "fades out",
    "rim": "has a rim that is no sky",
}


def twins_of(looks):
    """Tiles that have the very pixels of one before them, and which: a dict of int to int."""
    first, twins = {}, {}
    for index, look in enumerate(looks):
        # Those without a signal are alike, but not the same picture.
        if look.digest and len(look.silent) < len(look.noise):
            before = first.setdefault(look.digest, index)
            if before != index:
                twins[index] = before
    return twins


def pixel_findings(looks, twins):
    """What is found in the pixels of tiles.

    Parameters
    ----------
    looks : sequence of TileMeasurement
    twins : dict of int to int
        From `twins_of`; of these tiles nothing else is said.

    Returns
    -------
    list of (float, Finding)
        With the size of each effect on the mosaic as far as it can be told by the noise of a pixel: without bound where
        there is no signal, 0 for a border.
    """
    found = [(0.0, Finding.of("duplicate_tile", *twin, 0.0, {"other": twin[1]})) for twin in twins.items()]
    for index, look in enumerate(looks):
        if index in twins:
            continue
        if look.silent:
            found.append((math.inf, _without_signal(index, look)))
        if look.border is not None and look.border.share >= _LEAST_SHARE:
            found.append((0.0, _border(index, look.border)))
    cut = [(index, one) for index, look in enumerate(looks) if index not in twins for one in look.cut]
    return [*found, (0.0, _cut(cut, looks))] if cut else found


def _cut(cut, looks):
    """One note on all tiles whose sky was cut off."""
    index, worst = max(cut, key=lambda one: one[1].share)
    many, where = len({tile for tile, _ in cut}), in_channel(worst.channel, len(looks[index].noise))
    others = "" if many == 1 else f", and of {many - 1} more tile{'s' if many > 2 else ''} fewer"
    reason = (
        f"Of tile {index}{where} {worst.share:.1%} of the pixels are at {worst.value:.4g} adu and none below{others}: "
        "the sky was cut off there, and its mean is not what it was. Leave a level when a background is taken off."
    )
    return note_untested(None, reason, "pixels")


def _without_signal(index, look):
    channels, values = zip(*look.silent, strict=True)
    every, one = len(channels) == len(look.noise), len(channels) == 1
    names = channel_names(len(look.noise))
    what = f"Channel{'' if one else 's'} {', '.join(names[channel] for channel in channels)}"
    held = sorted({"no number" if math.isnan(value) else f"{value:.4g} everywhere" for value in values})
    said = {
        "what": "All" if every else what,
        "has": "has" if one or every else "have",
        "holds": " or ".join(held),
    }
    channel = channels[0] if one and not every else None
    return Finding.of("no_signal", index, float(len(channels)), math.inf, said, channel=channel)


def _border(index, border):
    said = {"how": _HOW[border.how], "level": border.level, "sky": border.sky}
    return Finding.of("unmasked_border", index, border.share, math.inf, said)
