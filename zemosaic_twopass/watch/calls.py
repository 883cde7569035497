"""The arguments of a call, by name: never by position, for versions of a worker differ."""

from __future__ import annotations

import inspect


def arguments_of(function, args, kwargs):
    """The arguments of a call by name; `TypeError` where they do not fit the function."""
    signature = inspect.signature(function)
    found = signature.bind(*args, **kwargs).arguments
    for name, parameter in signature.parameters.items():
        if parameter.kind is parameter.VAR_KEYWORD:
            found |= found.pop(name, {})
    return found
