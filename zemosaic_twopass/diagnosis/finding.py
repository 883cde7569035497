"""One thing that was found, and the words of the contract: kinds in their order of gravity, and verdicts."""

from __future__ import annotations

import math
from dataclasses import dataclass

PIPELINE = (
    "input_mutated",
    "gain_invalid",
    "gain_not_applied",
    "gain_swapped",
    "gain_mismatch",
    "mask_bug",
    "misregistration",
    "not_closed",
)
RESIDUAL = ("offset", "gain_residual", "gradient", "astrometry", "gain_seam")
NOTES = ("clip_saturated", "gain_guard", "undetermined")
VERDICTS = ("clean", "residual", "pipeline_bug", "undetermined")


@dataclass(frozen=True)
class Finding:
    """One thing that was found; docs/findings.md has the kinds.

    Attributes
    ----------
    kind : str
    tile : int or None
        None where it is about the run, or where two tiles differ and no third says which is wrong.
    value : float
        Size of the effect; NaN where it has none.
    sigma : float
        How many standard errors it is from none, all channels together; infinite for what was compared exactly.
    message : str
        One sentence: what it means and what to look at.
    unit : str
        Unit of `value`.
    error : float
        Standard error of `value`, in the same unit.
    channel : int or None
        Channel in which it is largest; None where it is not about one.
    runner_up : str
        The next best explanation and how many standard errors speak for it; empty where there is none.
    test : {"contract", "gains", "closure", "residual", "seam", "map"}
        What it was found by, or, of a note, what could not be tested.
    """

    kind: str
    tile: int | None
    value: float
    sigma: float
    message: str
    unit: str = "adu"
    error: float = math.nan
    channel: int | None = None
    runner_up: str = ""
    test: str = "contract"
