"""What findings rest on, as numbers that can be drawn, and what would be without each of them.

In: an `Examination`. Out: `Evidence`, and findings with their `WhatIf`. Door: the names below.
"""

from .choice import gather
from .records import Chart, Evidence, Layer, Series
from .what_if import with_what_if

__all__ = ["Chart", "Evidence", "Layer", "Series", "gather", "with_what_if"]
