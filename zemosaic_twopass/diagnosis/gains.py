"""Gains as they were recorded and as they were applied, and what it means where these differ."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .finding import Finding

GAIN_TOLERANCE = 1e-5


@dataclass(frozen=True, eq=False)
class Gains:
    """Gains of a pass; NaN where one is not known.

    Attributes
    ----------
    recorded, applied, error : ndarray, shape (N,)
        The error is that of the applied gain, 0 where it was seen and not solved for.
    """

    recorded: np.ndarray
    applied: np.ndarray
    error: np.ndarray


def gain_finding(index, applied, gains, test, sigma, error):
    """What it means that another gain was applied than was recorded.

    Parameters
    ----------
    index : int
    applied : float or None
        None where no one gain explains what was seen.
    gains : sequence of float
        Recorded.
    test : str
        What found it.
    sigma, error : float
        Significance, and standard error of the applied gain.

    Returns
    -------
    Finding
    """
    recorded = gains[index]
    tolerance = max(GAIN_TOLERANCE, 6 * error) if np.isfinite(error) else GAIN_TOLERANCE
    if applied is None:
        message = f"Tile {index} went into the coadd changed by more than a gain (recorded {recorded:.6g})."
        return Finding.of("not_closed", index, np.nan, sigma, message=message, unit="", error=error, test=test)
    others = [other for other in range(len(gains)) if abs(gains[other] - applied) <= tolerance * abs(applied)]
    said = {"recorded": recorded}
    if abs(applied - 1) <= tolerance:
        kind = "gain_not_applied"
    elif others:
        kind, said["other"] = "gain_swapped", others[0]
    else:
        kind, said["ratio"] = "gain_mismatch", applied / recorded
    return Finding.of(kind, index, float(applied), sigma, said, error=error, test=test)
