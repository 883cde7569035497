"""Pictures that a command writes beside a table: one that cannot be drawn here is left out, and one line says so."""

from __future__ import annotations

import logging

from ..report.style import PictureError
from ..settings import LOGGER_NAME


def draw_to(path, write, *shown):
    """Write a picture.

    Parameters
    ----------
    path : pathlib.Path
    write : callable
        Is called with what is shown, and with the path.
    *shown

    Returns
    -------
    list of pathlib.Path
        Holds the path of the picture, or nothing.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    logger = logging.getLogger(LOGGER_NAME)
    try:
        write(*shown, path)
    except PictureError as error:
        logger.warning("[TwoPassReport] left out: %s cannot be drawn: %s", path.name, error)
    except ModuleNotFoundError as error:
        if error.name != "matplotlib":
            raise
        logger.warning(
            "[TwoPassReport] left out: %s; to have it, install the extra plot of zemosaic-instrument (see its README)",
            path.name,
        )
    else:
        return [path]
    return []
