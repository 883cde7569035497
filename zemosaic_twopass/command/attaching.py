"""Inside a program that ``exec`` runs: a worker is there, attach to it."""

from __future__ import annotations

import os

from zemosaic_instrument import attach_on_import

from ..watch.hooks import SECOND_PASS
from ..watch.journal import tell


def attach_to(module):
    """Attach to a worker that has just been imported, or that is the program itself, and tell ``exec`` of it.

    Parameters
    ----------
    module : module
    """
    # The program itself goes by the name of its file.
    name = module.__name__ if module.__name__ != "__main__" else os.path.basename(module.__file__)
    tell("imported", worker=name, second_pass=hasattr(module, SECOND_PASS))
    attach_on_import(module)
