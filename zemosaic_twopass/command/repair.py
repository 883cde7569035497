"""The command ``repair``: corrected copies of tiles, and the proof that the steps are gone."""

from __future__ import annotations

import json
import logging

from ..console import say, stage
from ..files import by_reason
from ..offline.corrections import repair_lines, to_dict
from ..offline.repair import repair
from ..settings import LOGGER_NAME
from .runner import choose_runner


def repair_command(options):
    """Write corrected copies of tiles and their table, say what was found before and after.

    1 if a file could not be written, else 0; where no copy could be written it raises too.
    """
    with choose_runner(options) as run:
        done = repair(options.tiles, options.out, run=run, stage=stage, foretell=_foretell)
    if done.failed:
        text = "; ".join(by_reason(done.failed.items()))
        logging.getLogger(LOGGER_NAME).warning("[TwoPassRepair] not written: %s", text)
    if options.json:
        print(json.dumps(to_dict(done), allow_nan=False))
    else:
        for line in repair_lines(done):
            say(line)
    return int(bool(done.failed))


def _foretell(picture, after, sentence):
    """Beforehand, whatever the copies are for."""
    logging.getLogger(LOGGER_NAME).info("[TwoPassRepair] picture=%s repaired=%s %s", picture, after, sentence)
