"""The caller of the second pass while it is under way: it holds the first, and decides what becomes of the second."""

from __future__ import annotations

import contextvars

from ..guard import quietly
from ..parallel import apart

# The one that is under way in this thread, and the steps around it that go on with what it returns.
under_way = contextvars.ContextVar("zemosaic_caller", default=None)
finishing = contextvars.ContextVar("zemosaic_finish", default=None)


class Caller:
    """A call of the caller.

    Passes that have ended wait here until it returns: only then is it known what became of them. Both
    mosaics with their coverages are held until then, and nothing else of their arrays but means of blocks.

    Parameters
    ----------
    arguments : callable
        Gives the arguments of the call by name; asked inside the run, so that one guard takes whatever fails in a pass.
    """

    def __init__(self, arguments):
        self._arguments = arguments
        self._waiting = []
        self.asked = False

    def first_pass(self):
        """The mosaic of the first pass."""
        self.asked = True
        return self._arguments()["final_mosaic_data"]

    def hold(self, run, drafts, passes):
        """Keep the drafts of a pass that has ended.

        Parameters
        ----------
        run : Run
        drafts : list of Draft
        passes : ((mosaic, coverage), (mosaic, coverage))
            The first and the second.
        """
        self._waiting.append((run, drafts, passes))

    def close(self, result):
        """After the caller: publish what waits.

        Parameters
        ----------
        result : object
            What the caller returned; None where it raised.

        Returns
        -------
        Exception or None
            The first error of the diagnostics if a probe is strict.
        """
        returned = result[0] if isinstance(result, tuple) and result else None
        errors = []
        while self._waiting:
            run, drafts, passes = self._waiting.pop(0)
            merge = None
            with run.guard():
                merge = apart(_merge, *passes, returned, run.trouble)
            if returned is not None:
                with run.guard():
                    apart(_see_merged, drafts, passes, result, merge)
            if finish := finishing.get():
                finish.hold(run, drafts, merge)
            else:
                errors.append(quietly(run.publish, drafts, merge))
        return next(filter(None, errors), None)

    def drop(self):
        """After an interrupt: of a pass that was cancelled with its caller there is no verdict."""
        self._waiting.clear()


class Finish:
    """A call of the steps that come after the merge: passes whose caller has returned wait here until these have."""

    def __init__(self):
        self._waiting = []

    def hold(self, run, drafts, merge):
        """Keep the drafts of a pass, with what its caller made of it."""
        self._waiting.append((run, drafts, merge))

    def close(self, result):
        """After the steps: publish what waits; as `Caller.close`."""
        errors = []
        while self._waiting:
            run, drafts, merge = self._waiting.pop(0)
            if isinstance(result, tuple) and result and result[0] is not None:
                with run.guard():
                    apart(_see_final, drafts, result)
            errors.append(quietly(run.publish, drafts, merge))
        return next(filter(None, errors), None)

    def drop(self):
        """After an interrupt."""
        self._waiting.clear()


def _merge(*args):
    # Only now: it brings the numerics, of which a process whose second pass never runs needs nothing.
    from ..diagnosis.contract import merge_of

    return merge_of(*args)


def _see_merged(*args):
    from .seams import see_merged

    see_merged(*args)


def _see_final(*args):
    from .seams import see_final

    see_final(*args)
