"""What a finding rests on, as numbers that can be drawn: before and after the fault is taken out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from astropy.stats import mad_std

from ...measure.robust import MEDIAN_COST
from ..finding import Finding


@dataclass(frozen=True, eq=False)
class Layer:
    """A small image of a tile, or of a part of it.

    Attributes
    ----------
    title : str
    values : ndarray, shape (h, w), float32
        NaN where nothing is known; the first row is the lowest.
    """

    title: str
    values: np.ndarray


@dataclass(frozen=True, eq=False)
class Series:
    """Points of a chart, or a line.

    Attributes
    ----------
    label : str
    x, y : ndarray, shape (n,)
    error : ndarray, shape (n,), or None
        Standard error of `y`; None for a line, which is to be drawn through its points.
    """

    label: str
    x: np.ndarray
    y: np.ndarray
    error: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Chart:
    """Series over one another.

    Attributes
    ----------
    x_label, y_label : str
    series : tuple of Series
    """

    x_label: str
    y_label: str
    series: tuple[Series, ...]


@dataclass(frozen=True, eq=False)
class Evidence:
    """What one finding rests on.

    Attributes
    ----------
    finding : Finding
    found : bool
        False for what is not enough for a finding, but closest to one.
    layers : tuple of Layer
        As it is and as it would be, of the same shape; empty where a picture tells nothing.
    unit : str
        Unit of the layers.
    chart : Chart or None
    arrow : (float, float) or None
        Unit vector along columns and rows of the layers, where the finding has a direction.
    """

    finding: Finding
    found: bool = True
    layers: tuple[Layer, ...] = ()
    unit: str = "adu"
    chart: Chart | None = None
    arrow: tuple[float, float] | None = None


def bin_values(label, x, y, bins=12):
    """Medians of y over bins of x that hold equally many values each.

    Parameters
    ----------
    label : str
    x, y : ndarray, shape (n,)
        Finite.
    bins : int, optional

    Returns
    -------
    Series
        Errors from the median absolute deviation in each bin, as if the values were independent. Empty for no values.
    """
    parts = [part for part in np.array_split(np.argsort(x, kind="stable"), bins) if len(part)]
    middle = np.array([np.median(x[part]) for part in parts])
    value, error = np.reshape([median_and_error(y[part]) for part in parts], (-1, 2)).T
    return Series(label, middle, value, error)


def median_and_error(values):
    """Median along the first axis and its standard error, from the median absolute deviation; at least one value."""
    middle = np.median(values, axis=0)
    scatter = mad_std(values, axis=0)
    return middle, MEDIAN_COST * scatter / np.sqrt(len(values))


def crop_layer(*layers):
    """Images of one shape, as float32, without the rows and columns that are NaN in all of them."""
    known = np.any([np.isfinite(layer) for layer in layers], axis=0)
    rows, columns = (np.flatnonzero(known.any(axis=axis)) for axis in (1, 0))
    if not rows.size:
        return [np.asarray(layer, dtype=np.float32) for layer in layers]
    part = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    # Copies: views would keep the whole images.
    return [np.array(layer[part], dtype=np.float32) for layer in layers]
