"""Which software made a report."""

from __future__ import annotations

import platform
from functools import cache
from importlib import metadata

from . import __version__

_PACKAGES = ("numpy", "scipy", "astropy", "reproject", "wrapt", "matplotlib", "jinja2")


def package_versions():
    """Versions of this package, Python and what they rest on, {name: version}; None: not installed."""
    return {
        "zemosaic-instrument": __version__,
        "python": platform.python_version(),
        **{name: _version(name) for name in _PACKAGES},
    }


@cache
def _version(name):
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
