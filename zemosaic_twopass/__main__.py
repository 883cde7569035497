"""``python -m zemosaic_twopass`` is ``zemosaic-twopass``."""

import sys

from .command.cli import main

sys.exit(main())
