"""Where a command does its work on each tile: here or on a Dask cluster."""

from __future__ import annotations

import contextlib

from ..tiles.images import TileError


def choose_runner(options):
    """Lend a `map` over tiles.

    Parameters
    ----------
    options : argparse.Namespace
        With ``--scheduler`` and ``--dask-workers`` as `options.read_options` has them.

    Returns
    -------
    context manager
        Gives a callable that works as `map`.

    Raises
    ------
    TileError
        If Dask is asked for and not installed; on entering, as `offline.cluster.cluster_map`.
    """
    if options.scheduler is None and options.dask_workers is None:
        return contextlib.nullcontext(map)
    try:
        from ..offline.cluster import cluster_map
    except ModuleNotFoundError as error:
        raise TileError(
            f"no module {error.name}: install the extra dask of zemosaic-instrument (see its README)"
        ) from None
    return cluster_map(options.scheduler, options.dask_workers)
