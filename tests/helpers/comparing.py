"""A pass run bare, bare and watched, and what may not differ."""

import logging
import warnings

import numpy as np

from helpers.logs import ListHandler
from helpers.passes import digest
from zemosaic_instrument import TwoPassProbe

FAILED = "[TwoPassProbe] diagnostics failed"


def outcome(call, worker, trap=False):
    """What the pipeline and its user see of a call, and what the probe says has failed.

    The first: digest of the result or the error, the worker's own lines, Python's warnings, the random state and
    numpy's error handling.
    """
    logger = logging.Logger("odd", logging.DEBUG)
    logger.addHandler(ListHandler())
    with warnings.catch_warnings(record=True) as said, np.errstate(all="raise" if trap else "warn"):
        warnings.simplefilter("always")
        try:
            result = call(worker, logger)
            found = None if result is None else digest(*map(np.asarray, result))
        except Exception as error:
            found = type(error), str(error)
        handling = np.geterr()
    lines = logger.handlers[0].messages
    own = [entry for entry in lines if entry[1].startswith("[TwoPass] ")]
    said = [(warning.category, str(warning.message)) for warning in said]
    failed = [text for level, text in lines if FAILED in text and level == "WARNING"]
    return (found, own, said, np.random.get_state()[1].tobytes(), handling), failed


def compared(call, worker, given, trap=False, **probe_settings):
    """Run bare, bare and watched; hold the three to the same outcome and the inputs to what they were."""
    before = given()
    first, second = (outcome(call, worker, trap)[0] for _ in range(2))
    assert first == second, "two bare runs differ: the comparison would prove nothing"
    with TwoPassProbe(worker, **probe_settings) as probe:
        watched, failed = outcome(call, worker, trap)
    assert watched == first
    assert given() == before
    assert len(failed) <= 1
    assert len(failed) == len(probe.failures)
    return failed, probe
