"""Two reports on disk side by side: what another version of the worker, or another setting, changed."""

from __future__ import annotations

import numpy as np
from astropy.table import join

from .artefacts import MAP_NAME, TABLE_NAME
from .show import read_report, read_table

# Bound of a map from a stranger.
_MAX_MAP_BYTES = 1 << 30


def compare_tables(first, second):
    """Join two tile tables by tile, with the change of each number that both have.

    Parameters
    ----------
    first, second : astropy.table.Table
        As `tile_table` gives them.

    Returns
    -------
    astropy.table.Table
        One row for each tile that is in either: `idx`, then for the gain, each median after the gain and the
        delta after the gain three columns: name_a, name_b and name_change (b − a). A tile that only one has
        is masked in the other's columns.
    """
    names = [name for name in first.colnames if name in second.colnames and _is_compared(name)]
    columns = ["idx", *names]
    both = join(first[columns], second[columns], keys="idx", join_type="outer", table_names=["a", "b"])
    for slot, name in enumerate(names):
        both.add_column(both[f"{name}_b"] - both[f"{name}_a"], name=f"{name}_change", index=3 * slot + 3)
        both.columns[f"{name}_b"].format = both.columns[f"{name}_a"].format = ".5g"
        both.columns[f"{name}_change"].format = "+.3g"
    order = [f"{name}_{suffix}" for name in names for suffix in ("a", "b", "change")]
    return both[["idx", *order]]


def compare(first, second):
    """Compare two reports on disk.

    Parameters
    ----------
    first, second : path-like
        Directories of the reports.

    Returns
    -------
    dict
        `verdicts` of both; `tiles`, the table of `compare_tables`, or None where either has no tile table; `largest`,
        the tile whose gain changed most and its two gains, or None; `maps`, the median of both delta maps and the
        largest difference between them in adu, or None where they are not on one grid.

    Raises
    ------
    OSError, ValueError
        If a report is not there or is not one; the message names it.
    """
    reports = [read_report(directory) for directory in (first, second)]
    tables = [_read_numbers(directory) for directory in (first, second)]
    tiles = None if any(table is None for table in tables) else compare_tables(*tables)
    return {
        "verdicts": [report["verdict"] for report in reports],
        "tiles": tiles,
        "largest": _largest(tiles),
        "maps": _compare_maps(*(_read_map(directory) for directory in (first, second))),
    }


def comparison_lines(found):
    """A comparison as lines for a terminal, the table first and what it comes to last."""
    tiles = found["tiles"]
    if tiles is not None:
        yield from tiles.pformat(max_lines=-1, max_width=-1, show_unit=True)
    if found["maps"] is not None:
        medians, largest = found["maps"]["medians"], found["maps"]["largest_change"]
        yield f"[TwoPassCompare] delta_map median_a={medians[0]:.6g} median_b={medians[1]:.6g} max_change={largest:.6g}"
    if found["largest"] is not None:
        tile, before, after = (found["largest"][key] for key in ("tile", "gain_a", "gain_b"))
        changed = np.count_nonzero(np.ma.filled(tiles["gain_change"], 1.0))
        yield (
            f"[TwoPassCompare] gains changed={changed} of={len(tiles)} largest_idx={tile} "
            f"gain_a={before:.6g} gain_b={after:.6g}"
        )
    yield f"[TwoPassCompare] verdict_a={found['verdicts'][0]} verdict_b={found['verdicts'][1]}"


def _read_numbers(directory):
    """The table of a report; `ValueError` if a column that is to be compared holds no numbers."""
    table = read_table(directory)
    for name in () if table is None else filter(_is_compared, table.colnames):
        if table[name].dtype.kind != "f":
            raise ValueError(f"{directory / TABLE_NAME}: column {name!r:.60} is of {table[name].dtype}, not float")
    return table


def _is_compared(name):
    return name in ("gain", "delta_post") or name.startswith("post_median_")


def _largest(tiles):
    if tiles is None or "gain_change" not in tiles.colnames:
        return None
    change = np.abs(np.ma.filled(tiles["gain_change"], np.nan))
    if not np.isfinite(change).any():
        return None
    row = tiles[int(np.nanargmax(change))]
    return {"tile": int(row["idx"]), "gain_a": float(row["gain_a"]), "gain_b": float(row["gain_b"])}


def _read_map(directory):
    path = directory / MAP_NAME
    if not path.exists():
        return None
    if not path.is_file():
        raise ValueError(f"{path}: is not a regular file")
    if path.stat().st_size > _MAX_MAP_BYTES:
        raise ValueError(f"{path}: {path.stat().st_size} bytes > {_MAX_MAP_BYTES}, no delta map is so large")
    try:
        # Mapped, not read: the size that the head claims is then held against the size of the file.
        found = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # numpy raises much on a damaged file
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ValueError(f"{path}: not a delta map: {reason}") from None
    if not isinstance(found, np.ndarray):
        raise ValueError(f"{path}: not a delta map: an archive of several arrays")
    if found.ndim != 2 or found.dtype.kind != "f":
        raise ValueError(f"{path}: not a delta map: {found.dtype} {found.shape}")
    return found


def _compare_maps(first, second):
    if first is None or second is None or first.shape != second.shape or not first.size:
        return None
    return {
        "medians": [float(np.median(first)), float(np.median(second))],
        "largest_change": float(np.abs(second - first).max()),
    }
