"""What went into a second pass and into its coadd, held against what it says it does: bit for bit.

In: a `SecondPass`, or its gains and inputs. Out: findings. Door: the names below.
"""

from .checks import beyond_rounding, check_gains, check_inputs, check_planes, fingerprints

__all__ = ["beyond_rounding", "check_gains", "check_inputs", "check_planes", "fingerprints"]
