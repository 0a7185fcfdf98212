"""What other packages are given has the optimum as its best path; the packages are not needed."""

import itertools
import sys
import types
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import offload_jax as oj
from benchmarks.peers import packages, peers
from tests import oracle
from tests.benchmarks.peers.hostile import chain_of, problems

PLACES = range(3)


def check_optimal(problem: oj.ChainProblem, decisions: Any) -> None:
    for i, decision in enumerate(np.asarray(decisions)):
        chain = chain_of(problem, i)
        assert oracle.latency(chain, tuple(map(int, decision))) == pytest.approx(
            oracle.optimum(chain)[1], rel=1e-5
        )


def most_probable_path(initial: Any, transition: Any, log_likelihood: Any) -> jax.Array:
    """Looks at every path; for one model, as the package's function."""
    paths = jnp.array(list(itertools.product(PLACES, repeat=log_likelihood.shape[0])))
    steps = jnp.arange(log_likelihood.shape[0])
    score = jnp.log(initial)[paths[:, 0]] + log_likelihood[steps, paths].sum(axis=1)
    score += jnp.log(transition)[steps[:-1], paths[:, :-1], paths[:, 1:]].sum(axis=1)
    return paths[jnp.argmax(score)]


class Tensor(np.ndarray):
    """As much of a torch tensor as is used."""

    def to(self, dtype: Any) -> "Tensor":
        return self.astype(dtype).view(Tensor)

    def numpy(self) -> np.ndarray:
        return np.asarray(self)


class LinearChain:
    """Best paths as indicators of edges, by looking at every path."""

    def __init__(self, semiring: Any) -> None:
        assert semiring == "max"

    def marginals(self, potentials: np.ndarray) -> np.ndarray:
        num, num_edges = potentials.shape[:2]
        paths = np.array(list(itertools.product(PLACES, repeat=num_edges + 1)))
        edges = np.arange(num_edges)
        score = potentials[:, edges, paths[:, 1:], paths[:, :-1]].sum(axis=2)
        best = paths[score.argmax(axis=1)]
        taken = np.zeros_like(potentials)
        taken[np.arange(num)[:, None], edges, best[:, 1:], best[:, :-1]] = 1
        return taken


@pytest.fixture
def fake_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    def add(name: str, **content: Any) -> None:
        module = types.ModuleType(name)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)

    add("dynamax")
    add("dynamax.hidden_markov_model")
    add("dynamax.hidden_markov_model.inference", hmm_posterior_mode=most_probable_path)
    add(
        "torch",
        from_numpy=lambda array: array.view(Tensor),
        set_num_threads=lambda num: None,
        int8=np.int8,
    )
    add("torch_struct", LinearChain=LinearChain, MaxSemiring="max")


@pytest.mark.usefixtures("fake_packages")
@pytest.mark.parametrize("num_subtasks", [2, 5])
def test_the_most_probable_path_is_optimal(num_subtasks: int) -> None:
    problem = problems(num_subtasks)
    decision = jax.jit(packages.dynamax_policy())(problem)
    assert decision.dtype == np.int8
    check_optimal(problem, decision)


@pytest.mark.usefixtures("fake_packages")
def test_a_single_request_needs_no_batch_axis() -> None:
    problem = problems(2)
    policy = jax.jit(packages.dynamax_policy())
    check_optimal(problem[20:21], policy(problem[20])[None])


@pytest.mark.usefixtures("fake_packages")
@pytest.mark.parametrize("num_subtasks", [1, 2, 5])
def test_the_heaviest_path_is_optimal(num_subtasks: int) -> None:
    problem = problems(num_subtasks)
    decision = packages.torch_struct_policy()(*jax.tree.leaves(problem))
    assert decision.dtype == np.int8
    check_optimal(problem, decision)


def test_long_chains_do_not_underflow() -> None:
    problem = problems(300)[20:]
    _, transition, log_likelihood = map(np.asarray, jax.jit(packages.hidden_markov_model)(problem))
    decision = peers.numpy_dp(*jax.tree.leaves(problem))
    rows = np.arange(len(decision))[:, None]
    likelihood = log_likelihood[rows, np.arange(300), decision]
    taken = transition[rows, np.arange(299), decision[:, :-1], decision[:, 1:]]
    assert np.isfinite(likelihood).all() and (taken > np.finfo(np.float32).tiny).all()


def test_a_chain_without_transition_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 2 subtasks"):
        packages.hidden_markov_model(problems(1))
