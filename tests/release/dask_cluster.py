"""Proofs on a cluster: two Dask workers on this machine, one killed in the middle.

Prints what the kill cost. Needs the group `cluster`.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import joblib
import numpy as np
import pytest
from distributed import Client, LocalCluster

import offload_jax as oj

KEY = jax.random.key(0)
CHAINS = oj.scenarios.sample(KEY, oj.scenarios.WIDE, 400)
GRAPHS = oj.graphs.scenarios.sample(KEY, oj.graphs.scenarios.layered(8), 60)

pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """Two workers, processes of one thread; as on a cluster, one that dies is started again."""
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        yield client


def logged(folder: Path, solve: Callable[..., Any]) -> Callable[..., Any]:
    """`solve`, which leaves "(" before and ")" after each call in a file of its process."""

    def call(*arguments: Any, **options: Any) -> Any:
        with open(f"{folder}/{os.getpid()}", "a") as log:
            print("(", end="", file=log, flush=True)
            answer = solve(*arguments, **options)
            print(")", end="", file=log)
        return answer

    return call


def read_logs(folder: Path) -> dict[int, str]:
    return {int(path.name): path.read_text() for path in folder.iterdir()}


def kill_one(folder: Path, after: int, killed: list[int]) -> None:
    """Kills a worker in a solve when `after` answers are there."""
    while True:
        logs = read_logs(folder)
        busy = [pid for pid, log in logs.items() if log.endswith("(") and ")" in log]
        if busy and sum(log.count(")") for log in logs.values()) >= after:
            os.kill(busy[0], signal.SIGKILL)
            killed.append(busy[0])
            return
        time.sleep(0.001)


@pytest.mark.parametrize("family", ["chains", "graphs"])
def test_a_killed_worker_loses_nothing(
    family: str,
    client: Client,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def solve() -> Any:
        if family == "chains":
            return oj.solve(CHAINS, method="cpsat")
        return oj.graphs.solve(GRAPHS, method="cpsat")

    expected = solve()
    num = len(expected.cost)
    client.wait_for_workers(2)
    delayed = joblib.delayed
    monkeypatch.setattr(joblib, "delayed", lambda function: delayed(logged(tmp_path, function)))
    killed: list[int] = []
    thread = threading.Thread(target=kill_one, args=(tmp_path, num // 4, killed), daemon=True)
    thread.start()
    began = time.monotonic()
    with joblib.parallel_config(backend="dask"):
        solution = solve()
    seconds = time.monotonic() - began
    # One answer for each request, in its place, with its proof: none lost, none twice.
    np.testing.assert_array_equal(solution.cost, expected.cost)
    np.testing.assert_array_equal(solution.optimal, expected.optimal)
    assert solution.optimal.mean() > 0.9
    assert killed
    logs = read_logs(tmp_path)
    begun = sum(log.count("(") for log in logs.values())
    ended = sum(log.count(")") for log in logs.values())
    assert begun > ended >= num  # cut off in a solve
    assert len(logs) >= 2
    assert os.getpid() not in logs
    with capsys.disabled():
        print(
            f"\n{family}: {num} requests in {seconds:.1f} s; the killed worker had answered"
            f" {logs[killed[0]].count(')')}, solves begun {begun}, so {begun - num} were repeated"
        )
