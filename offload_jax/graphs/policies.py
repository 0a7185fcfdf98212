"""Policies for task graphs: callables from a `GraphProblem` to a `Decision`.

Rules, solvers and networks have this one signature, so experiments and benchmarks treat them alike.
`GraphCosts` are taken too. `local`, `edge`, `cloud`, `random`, `greedy`, `perturbed`, learned
policies and, nearly the same there, `cut` run inside `jit` and `vmap`, the others on the host.

Where `local`, `edge`, `cloud` or `random` name a place that may not run a task (`inf` seconds), the
task runs at the first place that may.
"""

import os
import pathlib
from collections.abc import Callable
from typing import TYPE_CHECKING

import jax
import numpy as np

from offload_jax.graphs._jax import rules
from offload_jax.graphs.costs import GraphCosts, as_costs, check_source
from offload_jax.graphs.decision import Decision
from offload_jax.graphs.objectives import SERIAL_LATENCY
from offload_jax.graphs.problem import GraphProblem
from offload_jax.graphs.solve import solve
from offload_jax.network import Place
from offload_jax.validation import is_traced

if TYPE_CHECKING:
    import offload_jax.graphs._jax.policy

Request = GraphProblem | GraphCosts
Policy = Callable[[GraphProblem], Decision]


def _at(problem: Request, place: Place) -> Decision:
    check_source(problem)
    costs = as_costs(problem)
    if place != Place.DEVICE and costs.num_places != len(Place):
        raise ValueError(
            f"problem: {place.name.lower()} needs the three places device, edge and cloud; got"
            f" {costs.num_places} places"
        )
    return rules.filled(costs, np.full(costs.num_tasks, place))


def local(problem: Request) -> Decision:
    """Everything on the device, by decreasing upward rank."""
    return _at(problem, Place.DEVICE)


def edge(problem: Request) -> Decision:
    """Everything on the edge, by decreasing upward rank.

    Raises:
      ValueError: costs of other places than device, edge and cloud.
    """
    return _at(problem, Place.EDGE)


def cloud(problem: Request) -> Decision:
    """Everything in the cloud, by decreasing upward rank; raises as `edge`."""
    return _at(problem, Place.CLOUD)


def random(problem: Request, *, key: jax.Array | None = None) -> Decision:
    """Every task at a place drawn uniformly, in a random order that its needs allow.

    Args:
      problem: only its graph is used, and which places it forbids.
      key: JAX random key, `jax.random.key(0)` if None: the same call decides the same.
    """
    check_source(problem)
    return rules.random(as_costs(problem), jax.random.key(0) if key is None else key)


def greedy(problem: Request) -> Decision:
    """By decreasing upward rank, each task to the place where it, or its output, is done first."""
    check_source(problem)
    return rules.greedy(problem)


def perturbed(problem: Request, key: jax.Array | None = None, *, num: int = 64) -> Decision:
    """The best of `greedy` and of `num - 1` greedy decisions about noisy copies of the request.

    Args:
      problem: leading dimensions free.
      key: JAX random key, `jax.random.key(0)` if None. Copy i depends on it and on i alone.
      num: how many are simulated, at least 1.
    """
    check_source(problem)
    key = jax.random.key(0) if key is None else key
    return rules.perturbed(problem, key, num)[0]


def load(path: str | os.PathLike[str]) -> "offload_jax.graphs._jax.policy.LearnedGraphPolicy":
    """Restores a trained policy.

    Args:
      path: a checkpoint folder, such as `runs/reproduce/checkpoints/graph_student`.

    Returns:
      A callable `GraphProblem` to `Decision` for graphs of any size, with the attributes `config`
      and `params` and the method `best_of`.

    Raises:
      ValueError: the folder is missing, or holds no checkpoint, a damaged one or one of something
        else; names it.
      ImportError: the extra `learn` is not installed.
    """
    from offload_jax.graphs._jax import policy

    return policy.load(pathlib.Path(path))


def student() -> "offload_jax.graphs._jax.policy.LearnedGraphPolicy":
    """The small network that comes with the package, trained on `scenarios.layered`."""
    from offload_jax.graphs._jax import policy

    return policy.student()


def cut(problem: Request) -> Decision:
    """The places of least serial latency, exactly, by decreasing upward rank; see `solve`.

    Inside `jit` and `vmap`, where no flow is found, nearly those: two rounds of tree-reweighted
    messages, exact on chains, for places in any layout; results that are sent once count for each
    of their readers.
    """
    if is_traced(problem):
        check_source(problem)
        return rules.nearly_cut(as_costs(problem))
    found = solve(problem, method="cut", objective=SERIAL_LATENCY)
    return Decision(found.place, found.order)


def heft(problem: Request) -> Decision:
    """Heterogeneous earliest finish time (Topcuoglu et al. 2002)."""
    return _solved(problem, "heft")


def cpop(problem: Request) -> Decision:
    """Critical path on a processor (Topcuoglu et al. 2002)."""
    return _solved(problem, "cpop")


def peft(problem: Request) -> Decision:
    """Predict earliest finish time (Arabnejad and Barbosa 2014)."""
    return _solved(problem, "peft")


def search(problem: Request, *, time_limit: float | None = None) -> Decision:
    """Annealing from the best of many first decisions; see `solve`."""
    return _solved(problem, "search", time_limit)


def _solved(problem: Request, method: str, time_limit: float | None = None) -> Decision:
    found = solve(problem, method=method, time_limit=time_limit)
    return Decision(found.place, found.order)
