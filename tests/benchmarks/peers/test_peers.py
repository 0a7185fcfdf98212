"""The dynamic programs of other people's style are exact."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest

from benchmarks.peers import peers
from tests import oracle
from tests.benchmarks.peers.hostile import chain_of, problems


@pytest.mark.parametrize("peer", [peers.numpy_dp, peers.numba_dp])
@pytest.mark.parametrize("num_subtasks", [1, 4])
def test_peers_find_the_optimum(peer: Callable[..., Any], num_subtasks: int) -> None:
    problem = problems(num_subtasks)
    for i, decision in enumerate(peer(*jax.tree.leaves(problem))):
        chain = chain_of(problem, i)
        found = oracle.latency(chain, tuple(map(int, decision)))
        assert found == pytest.approx(oracle.optimum(chain)[1], rel=1e-5)


@pytest.mark.parametrize(("num_subtasks", "num"), [(32, 40), (3, 10_000)])
def test_both_agree_on_long_chains_and_in_several_threads(
    num_subtasks: int, num: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers.os, "cpu_count", lambda: 3)
    fields = jax.tree.leaves(problems(num_subtasks, num)[18:])
    np.testing.assert_array_equal(peers.numpy_dp(*fields), peers.numba_dp(*fields))


def test_packed_decisions_have_a_longest_chain() -> None:
    with pytest.raises(ValueError, match="at most 32 subtasks, got 33"):
        peers.numba_dp(*jax.tree.leaves(problems(33)))


def test_shares_of_threads_are_everything_once() -> None:
    done: list[tuple[int, int]] = []
    peers.in_threads(lambda first, last: done.append((first, last)), 10, 3)()
    assert sorted(done) == [(0, 3), (3, 6), (6, 10)]
