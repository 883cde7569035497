"""Words of the contract: kinds of findings, in their order of gravity, and verdicts."""

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
RESIDUAL = ("offset", "gain_residual", "gradient", "gain_seam")
NOTES = ("clip_saturated", "gain_guard", "undetermined")
VERDICTS = ("clean", "residual", "pipeline_bug", "undetermined")
