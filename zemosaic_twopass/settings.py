"""The switches: environment variables and their defaults."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

LOGGER_NAME = "ZeMosaicWorker"
PREFIX = "ZEMOSAIC_TWO_PASS_DEBUG"
_ON = frozenset(("1", "true", "yes", "on"))
_OFF = frozenset(("", "0", "false", "no", "off"))
_complained = set()


@dataclass(frozen=True)
class Settings:
    """What the environment asks for, once `is_switched_on`.

    Attributes
    ----------
    delta_map : bool
        ``ZEMOSAIC_TWO_PASS_DEBUG_DELTA_MAP``.
    downsample : int
        ``ZEMOSAIC_TWO_PASS_DEBUG_DOWNSAMPLE``, at least 1.
    directory : pathlib.Path
        ``ZEMOSAIC_TWO_PASS_DEBUG_DIR``.
    keep : int
        ``ZEMOSAIC_TWO_PASS_DEBUG_KEEP``, how many folders under ``runs`` are kept, 0 for all.
    """

    delta_map: bool
    downsample: int
    directory: Path
    keep: int

    @classmethod
    def from_environment(cls):
        """Read the environment; a value that cannot be read is named in one warning a process."""
        # As slow to import as all of this module's imports together, and not needed with the switch off.
        import tempfile
        from pathlib import Path

        return cls(
            _read("_DELTA_MAP", _flag, False),
            _read("_DOWNSAMPLE", _factor, 8),
            _read("_DIR", Path, Path(tempfile.gettempdir()) / "zemosaic_runtime"),
            _read("_KEEP", _number, 50),
        )

    def for_probe(self):
        """The keyword arguments of `TwoPassProbe` that these settings stand for."""
        return {"delta_map": self.delta_map, "downsample": self.downsample}


def in_ascii(text):
    """A text as it may stand in a log: a handler whose encoding lacks a character would lose the whole line.

    Parameters
    ----------
    text : str
        May hold names and paths of any form, also such as are no Unicode.

    Returns
    -------
    str
        What is not ASCII as escapes of Python; ASCII, line ends too, as it was.
    """
    return text.encode("ascii", "backslashreplace").decode("ascii")


def is_switched_on():
    """Whether ``ZEMOSAIC_TWO_PASS_DEBUG`` is on."""
    return _read("", _flag, False)


def worker_count():
    """How many threads the diagnostics may use at a time.

    Returns
    -------
    int
        ``ZEMOSAIC_TWO_PASS_DEBUG_WORKERS``, 4 by default, but no more than the cores this process may use.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(_read("_WORKERS", _factor, 4), cores)


def _flag(text):
    text = text.lower()
    if text in _ON or text in _OFF:
        return text in _ON
    raise ValueError("1/true/yes/on or 0/false/no/off is needed")


def _factor(text):
    factor = int(text)
    if factor < 1:
        raise ValueError("an integer of at least 1 is needed")
    return factor


def _number(text):
    number = int(text)
    if number < 0:
        raise ValueError("an integer of at least 0 is needed")
    return number


def _read(suffix, parse, default):
    name = PREFIX + suffix
    text = os.environ.get(name, "").strip()
    if not text:
        return default
    try:
        return parse(text)
    except ValueError as error:
        if (name, text) not in _complained:
            _complained.add((name, text))
            logger = logging.getLogger(LOGGER_NAME)
            reason = in_ascii(f"{name}={text} cannot be read, {default} is used: {error}")
            logger.warning("[TwoPassProbe] %s", reason)
        return default
