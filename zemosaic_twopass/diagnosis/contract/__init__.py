"""What went into a second pass, into its coadd, and out of its caller, held against what it says it does: bit for bit.

In: a `SecondPass`, its gains and inputs, or what its caller returned. Out: findings. Door: the names below.
"""

from .checks import beyond_rounding, check_gains, check_inputs, check_planes, fingerprints
from .merge import Merge, merge_finding, merge_of, part_of

__all__ = ["Merge", "beyond_rounding", "check_gains", "check_inputs", "check_planes", "fingerprints"]
__all__ += ["merge_finding", "merge_of", "part_of"]
