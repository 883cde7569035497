"""``python -m zemosaic_twopass`` is ``zemosaic-twopass``."""

import sys

from .cli import main

sys.exit(main())
