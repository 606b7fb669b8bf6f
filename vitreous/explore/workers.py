"""Where tasks run: in this process, in processes of this machine, or on a Dask cluster that exists.

A task is a function of picklable arguments, which may be other tasks. A cluster computes the task of a lost worker
again, and whatever it needs for that; a result is taken once, by the process that asked for it.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from vitreous.errors import RunError
from vitreous.spec.extras import absent, sentence

FIRST_WORKER_SECONDS = 30
LOST_TOO_OFTEN = 4
"""This many workers may die while one task runs before it is given up; distributed's own figure is 3."""


class Pending(Protocol):
    """A result that may not be there yet."""

    def result(self) -> Any:
        """Wait and take it; raises what the task raised."""


class Workers(Protocol):
    """count : tasks that run at once."""

    count: int

    def submit(self, function: Callable[..., Any], *arguments: Any, key: str) -> Pending:
        """Start ``function(*arguments)``; a Pending among the arguments is replaced by its result. key : its name;
        equal names mean equal tasks.
        """


class _Later:
    """A task that runs in this process when its result is first asked for."""

    def __init__(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        self._call: tuple[Callable[..., Any], tuple[Any, ...]] | None = (function, arguments)
        self._result: Any = None

    def result(self) -> Any:
        if self._call is not None:
            function, arguments = self._call
            given = [item.result() if isinstance(item, _Later) else item for item in arguments]
            self._result = function(*given)
            self._call = None
        return self._result


class Alone:
    """No other process."""

    count = 1

    def submit(self, function: Callable[..., Any], *arguments: Any, key: str) -> Pending:
        """See ``Workers``."""
        return _Later(function, arguments)


class _OnCluster:
    def __init__(self, future: Any, address: str) -> None:
        self.future, self._address = future, address

    def result(self) -> Any:
        from concurrent.futures import CancelledError

        from distributed import KilledWorker

        try:
            return self.future.result()
        except KilledWorker as error:
            raise RunError(f"{LOST_TOO_OFTEN} workers died while they computed {error.task}") from None
        except CancelledError:
            raise RunError(
                f"The scheduler {self._address} is gone; the same command resumes with another"
            ) from None


class Cluster:
    """Tasks on a Dask scheduler."""

    def __init__(self, client: Any, address: str) -> None:
        self._client, self._address = client, address
        self.count = sum(client.nthreads().values())

    def submit(self, function: Callable[..., Any], *arguments: Any, key: str) -> Pending:
        """See ``Workers``."""
        given = [item.future if isinstance(item, _OnCluster) else item for item in arguments]
        return _OnCluster(self._client.submit(function, *given, key=key, pure=True), self._address)


@contextmanager
def workers(count: int = 1, scheduler: str | None = None) -> Iterator[Workers]:
    """``count`` processes of this machine, or the cluster of ``scheduler`` (``tcp://host:port``).

    Raises RunError where distributed is missing, or the scheduler or its first worker does not answer.
    """
    if scheduler is not None:
        with _client(scheduler) as client:
            yield Cluster(client, scheduler)
    elif count == 1:
        yield Alone()
    else:
        with _local(count) as cluster, _client(cluster) as client:
            yield Cluster(client, "of this run")


@contextmanager
def _client(address: Any) -> Iterator[Any]:
    dask = _distributed()
    _configure()
    try:
        client = dask.Client(address, timeout=FIRST_WORKER_SECONDS, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise RunError(f"No Dask scheduler answers at {address}: {error}") from None
    try:
        try:
            client.wait_for_workers(1, timeout=FIRST_WORKER_SECONDS)
        except TimeoutError:
            raise RunError(
                f"The Dask scheduler at {address} has no worker; start one with `dask worker`"
            ) from None
        yield client
    finally:
        with contextlib.suppress(OSError, TimeoutError):
            client.close(timeout=5)


@contextmanager
def _local(count: int) -> Iterator[Any]:
    dask = _distributed()
    _configure()
    # Each worker computes on one thread; a sheer number of cores would make them slower, not faster.
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    kept = {name: os.environ.get(name) for name in threads}
    os.environ.update(threads)
    try:
        cluster = dask.LocalCluster(
            n_workers=count,
            threads_per_worker=1,
            processes=True,
            dashboard_address=None,
            memory_limit=0,
            silence_logs=logging.CRITICAL,
        )
    finally:
        for name, value in kept.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value
    with cluster:
        yield cluster


def _configure() -> None:
    import dask

    dask.config.set({"distributed.scheduler.allowed-failures": LOST_TOO_OFTEN - 1})
    # A graph of a larger model weighs more than what distributed warns of, and it is sent once.
    dask.config.set({"distributed.admin.large-graph-warning-threshold": "1GB"})
    for name in ("distributed", "distributed.client", "distributed.nanny", "distributed.scheduler"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def _distributed() -> Any:
    if "distributed" in absent("explore"):
        raise RunError(sentence("More than one worker", "the package distributed", "explore"))
    import distributed

    return distributed
