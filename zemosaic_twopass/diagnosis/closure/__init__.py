"""The gains that made a mosaic, read off it, whom its coadd treated otherwise, and the steps that the gains made.

In: a `SecondPass`. Out: a `Closure` and findings. Door: the names below.
"""

from .findings import close
from .solve import Closure
from .steps import MIN_BLOCKS, median_steps, seam_findings

__all__ = ["MIN_BLOCKS", "Closure", "close", "median_steps", "seam_findings"]
