"""What the closure finds: gains other than recorded, and the tile that keeps the mosaic from closing."""

from __future__ import annotations

import numpy as np

from ..finding import Finding, note_untested
from ..gains import GAIN_TOLERANCE, gain_finding
from .solve import close_mosaic


def close(second_pass, noise, twins=None):
    """The closure, None where none was made, and what it finds; parameters as of `close_mosaic`."""
    count, combine = len(second_pass.tiles), second_pass.combine
    if combine not in ("mean", None) or count < 2:
        why = f"the coadd combines by {combine} != mean" if count > 1 else f"there is but {count} tile"
        return None, [note_untested(None, f"The applied gains were not read off the mosaic: {why}.", "closure")]
    closure = close_mosaic(second_pass, noise, twins)
    if combine is None and closure.faulty_tile is not None:
        closure.reason = "the coadd was not seen, and what it made is no mean of the tiles"
    return closure, _findings(closure, second_pass.sound_gains)


def _findings(closure, gains):
    if closure.reason:
        return [note_untested(None, f"The applied gains were not read off the mosaic: {closure.reason}.", "closure")]
    findings = [] if closure.faulty_tile is None else [_blame_tile(closure.faulty_tile)]
    if gains is None:
        return findings
    for index, recorded in enumerate(gains):
        # The channel that is furthest off: a fault may be in one plane only.
        channel = closure.furthest(index, recorded)
        if channel is None:
            continue
        applied, error = closure.gains[index, channel], closure.errors[index, channel]
        off = abs(applied - recorded)
        if off > max(GAIN_TOLERANCE * recorded, 6 * error):
            sigma = off / max(error, np.finfo(float).tiny)
            findings.append(gain_finding(index, float(applied), gains, "closure", sigma, error))
    return findings


def _blame_tile(faulty_tile):
    sigma = faulty_tile.value / faulty_tile.error if faulty_tile.error > 0 else np.inf
    fields = {"error": faulty_tile.error}
    if faulty_tile.tile is None:
        fields["message"] = (
            f"After the gains the mosaic is no weighted mean of the tiles: {faulty_tile.value:.3g} adu is left; "
            "see the arguments and the result of the coadd."
        )
    return Finding.of(
        faulty_tile.kind, faulty_tile.tile, faulty_tile.value, sigma, {"shift": faulty_tile.shift}, **fields
    )
