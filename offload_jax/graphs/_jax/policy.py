"""A trained network as a policy for task graphs."""

import dataclasses
import functools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from offload_jax.graphs._jax.few_shapes import by_loops, in_few_shapes, power_of_two
from offload_jax.graphs._jax.network import GraphPolicyConfig, embed_tasks, place_logits, priorities
from offload_jax.graphs._jax.observation import (
    Observation,
    by_reader,
    deliver,
    nowhere,
    observe,
    step_features,
)
from offload_jax.graphs._jax.platform import Platform, platform_of
from offload_jax.graphs._jax.rows import by_task, in_order, over_rows, tasks_by_position
from offload_jax.graphs._jax.rules import greedy, typed
from offload_jax.graphs._jax.simulate import simulate_costs
from offload_jax.graphs._jax.simulator import Candidates, State, chosen, run
from offload_jax.graphs._jax.task_features import TaskFeatures, task_features
from offload_jax.graphs.costs import GraphCosts, as_costs, check_source
from offload_jax.graphs.decision import Decision
from offload_jax.graphs.problem import GraphProblem
from offload_jax.learning import policies
from offload_jax.validation import ArrayLike

STUDENT = Path(__file__).parents[1] / "student.npz"

# Bits of a word.
_WORD = 32
# Less urgent than anything a network says.
_LAST = -1e30
# Of rows, tasks and samples together: what the loops need is drawn before them.
_MOST_DRAWN = 1 << 20
# Tasks: fewer are drawn as so many, since draws of some do not depend on how many there are.
_LEAST_DRAWN = 64
# So many samples are independent of each other; later ones are changes of the best one so far, each
# task's place and urgency with this probability.
_INDEPENDENT, _CHANGED = 16, 0.2


class SampledSchedule(NamedTuple):
    """One schedule for each row.

    Attributes:
      place: int `[rows, N]`.
      order: int `[rows, N]`.
      makespan: `[rows]`.
    """

    place: Array
    order: Array
    makespan: Array


@dataclasses.dataclass(frozen=True, eq=False)
class LearnedGraphPolicy:
    """A callable from a `GraphProblem` to a `Decision`, from a network and its parameters.

    Attributes:
      config: the network.
      params: nested dictionary of arrays, `learning.parameters.initialize` gives its form.
    """

    config: GraphPolicyConfig
    params: Any = dataclasses.field(repr=False)

    def __call__(self, problem: GraphProblem | GraphCosts) -> Decision:
        """The most probable schedule; works inside `jit` and `vmap`.

        Args:
          problem: problem or costs of any size, leading dimensions free.
        """
        check_source(problem)
        costs = as_costs(problem)
        if by_loops(costs, self.params):
            from offload_jax.graphs._numba import learned_rows, network

            return learned_rows.most_probable(network.pack(self.config, self.params), costs)
        return in_few_shapes(
            lambda costs: _most_probable(self.params, costs, platform=platform_of(costs)), costs
        )

    def best_of(self, num: int) -> Callable[[GraphProblem | GraphCosts, Array], Decision]:
        """A policy that simulates many schedules and returns the best.

        Args:
          num: sampled schedules; the decision of the rule `greedy` and the most probable schedule
            are looked at besides them. Sample i is drawn from `fold_in(key, i)` whatever `num` is,
            so the result gets no worse with it; after the first 16, a sample changes the best one
            so far in a fifth of the tasks.

        Returns:
          A function of a problem and a JAX random key.

        Raises:
          ValueError: `num` is negative.
        """
        if num < 0:
            raise ValueError(f"num = {num}: must not be negative")

        def decide(problem: GraphProblem | GraphCosts, key: Array) -> Decision:
            check_source(problem)
            costs = as_costs(problem)
            size = math.prod(costs.batch_shape) * costs.num_tasks * num
            if size <= _MOST_DRAWN and by_loops(costs, self.params, key):
                from offload_jax.graphs._numba import learned_rows, network

                weights = network.pack(self.config, self.params)
                return learned_rows.best_of(weights, costs, *draws(key, num, costs))
            return in_few_shapes(
                lambda costs: _best_of(self.params, costs, key, num, platform=platform_of(costs)),
                costs,
            )

        return decide


@functools.partial(jax.jit, static_argnames="platform")
def _most_probable(params: Any, costs: GraphCosts, *, platform: Platform) -> Decision:
    return typed(_best_sample(params, costs, None, 0, platform), costs)


@functools.partial(jax.jit, static_argnames="platform")
def _best_of(
    params: Any, costs: GraphCosts, key: Array, num: ArrayLike, *, platform: Platform
) -> Decision:
    """The best of the rule `greedy`, the most probable schedule and `num` samples."""
    rule = greedy(costs)
    makespan = simulate_costs(costs, *rule).makespan
    found = _best_sample(params, costs, key, num, platform)
    better = (found.makespan < makespan)[..., None]
    return jax.tree.map(lambda a, b: jnp.where(better, a, b), typed(found, costs), rule)


def _best_sample(
    params: Any, costs: GraphCosts, key: Array | None, num: ArrayLike, platform: Platform
) -> SampledSchedule:
    """The most probable schedule, or if one of `num` samples is better that."""
    batch = costs.batch_shape
    numbers = jnp.arange(math.prod(batch), dtype=jnp.int32).reshape(*batch, 1)

    def decide(rows: int, costs: GraphCosts, row: Array) -> SampledSchedule:
        features = task_features(platform, rows, costs)
        embedding = embed_tasks(params, features)
        priority = priorities(params, embedding)
        best = sample_schedule(platform, rows, costs, params, features, embedding, priority)
        if key is None:
            return best

        def better(i: Array, carry: tuple[SampledSchedule, Array]) -> tuple[SampledSchedule, Array]:
            best, noise = carry
            fresh, changed = _draw_sample(key, i, row[:, 0], *noise.shape[:2])
            tried = jnp.where(jnp.moveaxis(changed, 0, -1), jnp.moveaxis(fresh, 0, -1), noise)
            found = sample_schedule(
                platform, rows, costs, params, features, embedding, priority, tried
            )
            wins = found.makespan < best.makespan
            return jax.tree.map(
                lambda a, b: jnp.where(wins.reshape(-1, *(1,) * (a.ndim - 1)), a, b), found, best
            ), jnp.where(wins, tried, noise)

        noise = jnp.zeros((costs.num_tasks, costs.num_places + 1, rows), priority.dtype)
        return jax.lax.fori_loop(0, num, better, (best, noise))[0]

    return over_rows(decide, costs, numbers)


def draw(key: Array, shape: tuple[int, ...], *, shared: float, order: float) -> Array:
    """Noise `[N, K + 1, ...]` for the places of each task and, the last one, its urgency.

    Gumbel noise makes a choice by score a sample of the choice's probabilities. What all tasks of a
    schedule share makes them go to a place together, which pays where one alone does not.

    Args:
      key: JAX random key.
      shape: of the result.
      shared: at most so many times the noise of one task is added for all tasks.
      order: factor of the noise of urgency.
    """
    own, common, amount = jax.random.split(key, 3)
    noise = jax.random.gumbel(own, shape)
    _, columns, *rest = shape
    shift = jax.random.gumbel(common, (columns - 1, *rest))
    shift = shared * jax.random.uniform(amount, (1, *rest)) * shift
    return jnp.concatenate([noise[:, :-1] + shift[None], order * noise[:, -1:]], axis=1)


def _draw_sample(
    key: Array, number: Array, rows: Array, num_tasks: int, columns: int
) -> tuple[Array, Array]:
    """Noise `[B, N, K + 1]` of a sample about each of B rows, and where it takes it."""

    def draw_row(row: Array) -> tuple[Array, Array]:
        own = jax.random.fold_in(jax.random.fold_in(key, number), row)
        fresh, changed = _redraw(own, num_tasks, columns)
        return fresh, changed | (number < _INDEPENDENT)

    return jax.vmap(draw_row)(rows)


def draws(key: Array, num: int, costs: GraphCosts) -> tuple[np.ndarray, np.ndarray]:
    """The same of samples 0 to n - 1, `[B, n, N, K + 1]`, drawn for one of a few sizes."""
    rows, num_tasks = math.prod(costs.batch_shape), costs.num_tasks
    size = power_of_two(rows), power_of_two(max(_LEAST_DRAWN, num_tasks)), costs.num_places + 1
    noise, changed = _draw_samples(key, power_of_two(max(1, num)), *size)
    cut = slice(rows), slice(num), slice(num_tasks)
    return np.asarray(noise).swapaxes(0, 1)[cut], np.asarray(changed).swapaxes(0, 1)[cut]


@functools.partial(jax.jit, static_argnums=(1, 2, 3, 4))
def _draw_samples(
    key: Array, num: int, rows: int, num_tasks: int, columns: int
) -> tuple[Array, Array]:
    row = jnp.arange(rows)
    draw_one = functools.partial(_draw_sample, key, rows=row, num_tasks=num_tasks, columns=columns)
    return jax.vmap(draw_one)(jnp.arange(num))


def _redraw(key: Array, num_tasks: int, columns: int) -> tuple[Array, Array]:
    """Noise `[N, K + 1]`, and where a change of a schedule takes it."""
    first, second = jax.random.split(key)
    noise = draw(first, (num_tasks, columns), shared=4.0, order=2.0)
    place, urgency = jnp.split(jax.random.bernoulli(second, _CHANGED, (num_tasks, 2)), 2, axis=1)
    changed = jnp.concatenate([jnp.repeat(place, columns - 1, axis=1), urgency], axis=1)
    return noise, changed


def dependency_order(priority: Array, features: TaskFeatures) -> Array:
    """int `[rows, N]`: the order in which the most urgent of the tasks that are ready goes next.

    Ties go to the lowest number; empty tasks come last.

    Args:
      priority: `[N, rows]`.
      features: of the rows.
    """
    num_tasks = len(priority)
    words = -(-num_tasks // _WORD)
    task = np.arange(num_tasks)
    # Sets of tasks as bits of words: bit u is set in the row of what task u is in.
    bits = np.where(task[:, None] // _WORD == np.arange(words), 1 << (task[:, None] % _WORD), 0)
    member = jnp.asarray(bits, jnp.uint32)
    lists, data = features.needs
    lists = task[:, None] if lists is None else lists
    bit = jnp.left_shift(jnp.uint32(1), (lists % _WORD).astype(jnp.uint32))
    bit = jnp.where(data >= 0, bit, 0)
    needs = jnp.stack(
        [
            jnp.sum(jnp.where(lists // _WORD == w, bit, 0), axis=1, dtype=jnp.uint32)
            for w in range(words)
        ]
    )
    number = jnp.arange(num_tasks)[:, None]

    def step(i: Array, carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        urgency, booked, order = carry
        waits = jnp.any((needs & ~booked[:, None]) != 0, axis=0)
        urgent = jnp.where(waits, -jnp.inf, urgency)
        # `argmax` takes twenty times as long on a CPU.
        first = urgent == jnp.max(urgent, axis=0, keepdims=True)
        chosen = jnp.min(jnp.where(first, number, num_tasks - 1), axis=0)
        urgency = jnp.where(number == chosen[None], -jnp.inf, urgency)
        return urgency, booked | member[chosen].T, order.at[i].set(chosen)

    urgency = jnp.where(features.empty, _LAST, priority)
    booked = jnp.zeros((words, priority.shape[1]), jnp.uint32)
    order = jnp.zeros(priority.shape, jnp.int32)
    return jax.lax.fori_loop(0, num_tasks, step, (urgency, booked, order))[2].T


def sample_schedule(
    platform: Platform,
    rows: int,
    costs: GraphCosts,
    params: Any,
    features: TaskFeatures,
    embedding: Array,
    priority: Array,
    noise: Array | None = None,
) -> SampledSchedule:
    """One pass through the machine: the most probable schedule, or with noise a sampled one.

    Args:
      platform, rows, costs: as in `simulate_rows`.
      params: of the network.
      features: of the rows.
      embedding: `[F, N, rows]` what `embed_tasks` gave.
      priority: `[N, rows]`.
      noise: `[N, K + 1, rows]` added to the scores of places and, the last one, to priorities.
    """
    if noise is not None:
        priority = priority + noise[:, -1]
    order = dependency_order(priority, features)
    place_noise = None if noise is None else noise[:, :-1]
    by_position = in_order(jnp.moveaxis(embedding, -1, 0).swapaxes(1, 2), order, rows)

    def choose(observation: Observation, x: tuple[Array, Array | None]) -> Array:
        embedding, extra = x
        score = place_logits(params, observation, embedding)
        return jnp.argmax(score if extra is None else score + extra, axis=0)

    place, makespan, _ = rollout(
        platform, rows, costs, features, order, choose, (by_position, place_noise)
    )
    return SampledSchedule(place, order, makespan)


def rollout(
    platform: Platform,
    rows: int,
    costs: GraphCosts,
    features: TaskFeatures,
    order: Array,
    choose: Callable[[Observation, Any], Array],
    xs: Any,
    *,
    keep: bool = False,
) -> tuple[Array, Array, Any]:
    """Books all tasks in an order, placing each by what is seen of it.

    Args:
      platform, rows, costs, features: of the rows.
      order: int `[rows, N]`.
      choose: from what is observed and the row of `xs` to a place `[rows]`.
      xs: arrays `[N, ...]` by position.
      keep: whether to return what was observed.

    Returns:
      Places `[rows, N]` by task, makespans `[rows]`, and what was observed `[N, ...]` by position.
    """
    tasks = tasks_by_position(costs, order, rows, features.needs)
    steps = step_features(features, tasks, order, rows)
    memory = jnp.zeros(rows, tasks.seconds.dtype), nowhere(tasks)

    def place_one(memory: tuple, state: State, candidates: Candidates, x: tuple) -> tuple:
        last, resident = memory
        now, extra = x
        reads = by_reader(tasks, now.position)
        observation = observe(platform, features, resident, reads, state, candidates, now)
        place = jnp.where(now.empty, 0, choose(observation, extra)).astype(jnp.int32)
        done = jnp.maximum(chosen(place, candidates.back), chosen(place, candidates.finish))
        resident = deliver(resident, reads, place)
        return (jnp.maximum(last, done), resident), place, observation if keep else None

    (makespan, _), state, stacked, _ = run(platform, tasks, place_one, memory, (steps, xs))
    return by_task(state.place, order), makespan, stacked


def load(path: Path) -> LearnedGraphPolicy:
    """The policy of the newest checkpoint in a folder; see `learning.policies.load`."""
    return LearnedGraphPolicy(*policies.load(path, GraphPolicyConfig))


def student() -> LearnedGraphPolicy:
    """The one that comes with the package."""
    return LearnedGraphPolicy(*policies.read(STUDENT, GraphPolicyConfig))
