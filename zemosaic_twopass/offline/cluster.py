"""The work on each tile on Dask distributed: tiles go there as paths, and what comes back is small.

The one module that knows Dask.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os

from distributed import Client, LocalCluster, rpc
from distributed.scheduler import KilledWorker

from ..tiles.images import TileError

# A scheduler that is there answers at once, and the command must have given up within ten seconds.
_PATIENCE_S = 4
# A worker that died is started anew within seconds; without any for so long a cluster will do nothing more.
_LONELY_S = 60


@contextlib.contextmanager
def cluster_map(address=None, processes=None):
    """Lend a `map` over tiles whose work is done on a Dask cluster.

    Parameters
    ----------
    address : str, optional
        Leads to a running scheduler, whose workers see the tiles under the same absolute paths.
    processes : int, optional
        Without an address: how many workers to start on this machine for as long as the block lasts.

    Yields
    ------
    callable
        As `map` for a function of a path and more, results in the order of the paths. What a lost worker had to
        do is done by another; for a tile that has cost more workers than Dask allows the result is a TileError.

    Raises
    ------
    TileError
        If no scheduler answers within 4 s, or it has no worker; where a result is taken, if the cluster is lost, has
        had no worker for a minute, or cannot do the work.
    """
    with contextlib.ExitStack() as stack:
        if address is None:
            address = stack.enter_context(_local_cluster(processes)).scheduler_address
        try:
            # Asked first, for a client waits longer than it is told to for one that listens and says nothing.
            asyncio.run(asyncio.wait_for(_identity(address), _PATIENCE_S))
            client = stack.enter_context(Client(address, timeout=_PATIENCE_S, set_as_default=False))
            client.wait_for_workers(1, timeout=_PATIENCE_S)
        except Exception as error:  # whatever listens there may answer anything
            reason = " ".join(str(error).split()) or "no answer"
            raise TileError(f"{address}: no Dask cluster with a worker within {_PATIENCE_S} s: {reason}") from error
        yield lambda function, paths, *more: _results(client, function, paths, *more)


def _local_cluster(processes):
    return LocalCluster(
        n_workers=processes,
        threads_per_worker=1,
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
        silence_logs=logging.CRITICAL,
    )


async def _identity(address):
    async with rpc(address) as scheduler:
        return await scheduler.identity()


def _results(client, function, paths, *more):
    arguments = list(zip(map(os.path.abspath, paths), *more, strict=True))
    # Not pure: a file may have changed since another run asked for the same.
    futures = [client.submit(function, *own, pure=False) for own in arguments]
    for index, (own, future) in enumerate(zip(arguments, futures, strict=True)):
        try:
            result = _result(client, future)
        except KilledWorker:
            # Dask blames whatever a worker had before it when it died; alone, a tile is to blame itself.
            for other in futures[index + 1 :]:
                with contextlib.suppress(Exception):
                    _result(client, other)
            result = _try_alone(client, function, own)
        except TileError as error:
            raise TileError(f"{own[0]}: {error}") from None
        except Exception as error:  # a cluster that is lost, workers without this package, …
            raise TileError(f"{own[0]}: the Dask cluster failed: {type(error).__name__}: {error}") from error
        yield result
        # What was fetched need not stay in the cluster.
        future.release()


def _result(client, future):
    """The result of a future, waited for as long as there are workers."""
    lonely = 0
    while future.status == "pending":
        with contextlib.suppress(TimeoutError, asyncio.TimeoutError):
            future.exception(timeout=_PATIENCE_S)
        lonely = 0 if client.scheduler_info()["workers"] else lonely + _PATIENCE_S
        if lonely > _LONELY_S and future.status == "pending":
            raise TileError(f"the Dask cluster has had no worker for {_LONELY_S} s")
    return future.result()


def _try_alone(client, function, own):
    try:
        return _result(client, client.submit(function, *own, pure=False))
    except KilledWorker:
        return TileError(f"{own[0]}: every worker that took it was lost")
