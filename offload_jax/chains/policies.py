"""Policies: callables from a `ChainProblem` to a decision `[..., A]`.

Everything that decides has this one signature, so experiments and benchmarks treat solvers,
heuristics and networks alike. All run inside `jit` and `vmap`. `load` and `student` return trained
networks, the others need no training; of these `optimal`, `greedy`, `local` and `random` also take
a table of costs.
"""

import functools
import os
import pathlib
from collections.abc import Callable
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int8

from offload_jax.chains import greedy as rules
from offload_jax.chains.costs import ChainCosts, validate_source
from offload_jax.chains.problem import ChainProblem, validate_shapes
from offload_jax.chains.solve import solve
from offload_jax.network import Place
from offload_jax.objectives import LATENCY, Objective
from offload_jax.validation import check_class

if TYPE_CHECKING:
    import offload_jax.chains.learned

Source = ChainProblem | ChainCosts
Policy = Callable[[ChainProblem], Int8[Array, "*batch A"]]


def optimal(problem: Source, *, objective: Objective = LATENCY) -> Int8[Array, "*batch A"]:
    """The exact optimum, by dynamic program."""
    return jnp.asarray(solve(problem, objective=objective).decision)


def optimal_by_enumeration(
    problem: Source, *, objective: Objective = LATENCY
) -> Int8[Array, "*batch A"]:
    """The exact optimum, by looking at all 3^A decisions (the paper's "Optimal")."""
    return jnp.asarray(solve(problem, method="exhaustive", objective=objective).decision)


def greedy(problem: Source, objective: Objective = LATENCY) -> Int8[Array, "*batch A"]:
    """Least transfer-in plus execution, subtask by subtask; the return leg is not looked at."""
    return _greedy(problem, objective, count_return=False)


def greedy_with_return(problem: Source, objective: Objective = LATENCY) -> Int8[Array, "*batch A"]:
    """Greedy that counts moving the result home when it places the last subtask."""
    return _greedy(problem, objective, count_return=True)


def _greedy(problem: Source, objective: Objective, *, count_return: bool) -> Array:
    validate_source(problem)
    check_class("objective", objective, Objective)
    return _jitted_greedy(problem, objective, count_return=count_return)


_jitted_greedy = jax.jit(rules.greedy, static_argnames="count_return")


def _constant(problem: Source, place: Place) -> Int8[Array, "*batch A"]:
    return _filled((*problem.batch_shape, problem.num_subtasks), place)


@functools.partial(jax.jit, static_argnames=("shape", "place"))
def _filled(shape: tuple[int, ...], place: Place) -> Array:
    # Outside of `jit` a fill takes seven times as long.
    return jnp.full(shape, place, jnp.int8)


def local(problem: Source) -> Int8[Array, "*batch A"]:
    """Everything on the device."""
    validate_source(problem)
    return _constant(problem, Place.DEVICE)


def edge(problem: ChainProblem) -> Int8[Array, "*batch A"]:
    """Everything on the edge server."""
    validate_shapes(problem)
    return _constant(problem, Place.EDGE)


def cloud(problem: ChainProblem) -> Int8[Array, "*batch A"]:
    """Everything in the cloud."""
    validate_shapes(problem)
    return _constant(problem, Place.CLOUD)


def random(problem: Source, *, key: jax.Array | None = None) -> Int8[Array, "*batch A"]:
    """Every subtask at a place drawn uniformly.

    Args:
      problem: only its shape is used.
      key: JAX random key, `jax.random.key(0)` if None: the same call decides the same.
    """
    validate_source(problem)
    key = jax.random.key(0) if key is None else key
    shape = (*problem.batch_shape, problem.num_subtasks)
    return jax.random.randint(key, shape, 0, problem.num_places, jnp.int8)


def untrained(seed: int = 0, objective: Objective = LATENCY) -> dict[str, Policy]:
    """The policies that need no training, by the name under which every table shows them.

    Args:
      seed: of the random policy.
      objective: what optimal and greedy minimise.
    """
    return {
        "optimal": functools.partial(optimal, objective=objective),
        "greedy": functools.partial(greedy, objective=objective),
        "greedy_with_return": functools.partial(greedy_with_return, objective=objective),
        "local": local,
        "edge": edge,
        "cloud": cloud,
        "random": functools.partial(random, key=jax.random.key(seed)),
    }


def load(path: str | os.PathLike[str]) -> "offload_jax.chains.learned.LearnedPolicy":
    """Restores a trained policy.

    Args:
      path: a checkpoint folder, such as `runs/reproduce/checkpoints/kd_dil`.

    Returns:
      A callable `ChainProblem` to decision with the attributes `config` and `params`.

    Raises:
      ValueError: the folder is missing, or holds no checkpoint, a damaged one or another
        project's; names it.
      ImportError: the extra `learn` is not installed.
    """
    from offload_jax.chains import learned

    return learned.load(pathlib.Path(path))


def student() -> "offload_jax.chains.learned.LearnedPolicy":
    """The distilled network that comes with the package, for chains of six subtasks.

    10 386 parameters, trained on 1000 requests of `scenarios.NARROW` and a teacher's answers about
    variations of them. `oj.resize` fits other chains to it.
    """
    from offload_jax.chains import learned

    return learned.student()
