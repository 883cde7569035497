"""What stands around one second pass, and tells every probe that listens."""

from __future__ import annotations

from ..guard import quietly
from .caller import under_way
from .run import Run


class Tap:
    """The wrapper of one second pass, with the signature of a wrapt wrapper.

    Attributes
    ----------
    probes : tuple of Probe
        Who listens.
    """

    def __init__(self):
        self.probes = ()

    def __call__(self, wrapped, instance, args, kwargs):
        run = quietly(Run.begin, self.probes, wrapped, args, kwargs, under_way.get()) if self.probes else None
        if run is None:
            return wrapped(*args, **kwargs)
        try:
            result = wrapped(*run.args, **run.kwargs)
        except Exception as error:
            quietly(run.close, None, error)
            raise
        except BaseException:
            quietly(run.drop)
            raise
        if error := quietly(run.close, result):
            raise error
        return result
