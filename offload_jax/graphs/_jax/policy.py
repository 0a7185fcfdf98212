"""A trained network as a policy for task graphs."""

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from offload_jax.graphs._flow.row import row_or_none
from offload_jax.graphs._flow.solve import cut as least_serial_places
from offload_jax.graphs._jax.few_shapes import by_loops, in_few_shapes
from offload_jax.graphs._jax.network import GraphPolicyConfig, embed_tasks, place_logits, priorities
from offload_jax.graphs._jax.noise import draw_sample, drawn
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
from offload_jax.graphs._jax.rules import greedy, place_filled, typed
from offload_jax.graphs._jax.simulate import simulate_costs
from offload_jax.graphs._jax.simulator import Candidates, Queues, State, chosen, run
from offload_jax.graphs._jax.task_features import TaskFeatures, task_features
from offload_jax.graphs.costs import GraphCosts, as_costs, check_source
from offload_jax.graphs.decision import Decision
from offload_jax.graphs.goals import is_makespan
from offload_jax.graphs.objectives import UserLatency
from offload_jax.graphs.problem import GraphProblem
from offload_jax.learning import policies
from offload_jax.objectives import LATENCY, Objective
from offload_jax.validation import ArrayLike, check_class, is_traced

STUDENT = Path(__file__).parents[1] / "student.npz"

# Bits of a word.
_WORD = 32
# Less urgent than anything a network says.
_LAST = -1e30
# Of tasks and samples together: what the loops need is drawn before them.
_MOST_DRAWN = 1 << 20


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


SampledPolicy = Callable[[GraphProblem | GraphCosts, Array], Decision]


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

    def best_of(self, num: int, *, objective: Objective | UserLatency = LATENCY) -> SampledPolicy:
        """A policy that simulates many schedules and returns the best.

        Args:
          num: sampled schedules. Looked at besides them are the most probable schedule, the
            decision of the rule `greedy`, every single place and, outside `jit` and where places
            are in a row, the cut. Sample i is drawn from `fold_in(key, i)` whatever `num` and the
            request are, so the result gets no worse with it; after the first 16, a sample changes
            the best one so far in a fifth of the tasks.
          objective: what is best: `oj.LATENCY`, the makespan, or of several users
            `oj.MEAN_LATENCY`, `oj.MAX_LATENCY` or an `oj.graphs.UserLatency`. For these rules are
            looked at user after user as well, on the host and with the extra `single` alone.

        Returns:
          A function of a problem, leading dimensions free, and a JAX random key.

        Raises:
          ValueError: `num` is negative, or another objective.
        """
        if num < 0:
            raise ValueError(f"num = {num}: must not be negative")
        if not _is_makespan(objective):
            return self.then_search(0, best_of=num, objective=objective)

        def decide(problem: GraphProblem | GraphCosts, key: Array) -> Decision:
            check_source(problem)
            costs = as_costs(problem)
            if costs.num_tasks * num <= _MOST_DRAWN and by_loops(costs, self.params, key):
                return self._by_loops(costs, key, num, 0)
            in_row = not is_traced(costs) and row_or_none(costs.routes) is not None
            return in_few_shapes(
                lambda costs, *cut: _best_of(
                    self.params, costs, key, num, *cut, platform=platform_of(costs)
                ),
                costs,
                *(least_serial_places(costs).decision if in_row else ()),
            )

        return decide

    def then_search(
        self,
        num_simulations: int,
        *,
        best_of: int | None = None,
        objective: Objective | UserLatency = LATENCY,
    ) -> SampledPolicy:
        """A policy that anneals from the best of many schedules; requests share the cores.

        Args:
          num_simulations: of annealing, for each request; 0 is `best_of` alone.
          best_of: sampled schedules, see `best_of`. The decision is never worse than that. None is
            one for every 500 simulations and at most 64, which take about a tenth of the time.
          objective: as in `best_of`.

        Returns:
          A function of a problem, leading dimensions free, and a JAX random key. On the host: it
          raises ValueError inside `jit` and `vmap`, and ImportError without the extra `single`.

        Raises:
          ValueError: a number is negative, or another objective.
        """
        makespan = _is_makespan(objective)
        for name, number in (("num_simulations", num_simulations), ("best_of", best_of or 0)):
            if number < 0:
                raise ValueError(f"{name} = {number}: must not be negative")

        def decide(problem: GraphProblem | GraphCosts, key: Array) -> Decision:
            check_source(problem)
            if is_traced(problem, key, self.params):
                raise ValueError("problem: search runs on the host, not inside jit or vmap")
            if makespan:
                return self._by_loops(as_costs(problem), key, best_of, num_simulations)
            costs = as_costs(problem, library=np)
            return self._for_users(costs, key, best_of, num_simulations, objective)

        return decide

    def _for_users(
        self, costs: GraphCosts, key: Array, num: int | None, num_simulations: int, objective: Any
    ) -> Decision:
        from offload_jax.graphs._numba import learned_rows, network

        weights = network.pack(self.config, self.params)
        effort = drawn(key, num, num_simulations, costs.num_tasks, costs.num_places)
        return learned_rows.best_for_users(weights, costs, effort, objective)

    def _by_loops(
        self, costs: GraphCosts, key: Array, num: int | None, num_simulations: int
    ) -> Decision:
        from offload_jax.graphs._numba import learned_rows, network

        weights = network.pack(self.config, self.params)
        effort = drawn(key, num, num_simulations, costs.num_tasks, costs.num_places)
        return learned_rows.best_of(weights, costs, effort)


def _is_makespan(objective: Any) -> bool:
    check_class("objective", objective, Objective, UserLatency)
    if not isinstance(objective, UserLatency) and not is_makespan(objective):
        raise ValueError(
            "objective: must be oj.LATENCY, oj.MEAN_LATENCY, oj.MAX_LATENCY or an"
            f" oj.graphs.UserLatency, got {objective}"
        )
    return not isinstance(objective, UserLatency)


@functools.partial(jax.jit, static_argnames="platform")
def _most_probable(params: Any, costs: GraphCosts, *, platform: Platform) -> Decision:
    return typed(_best_sample(params, costs, None, 0, platform), costs)


@functools.partial(jax.jit, static_argnames="platform")
def _best_of(
    params: Any, costs: GraphCosts, key: Array, num: ArrayLike, *cut: Array, platform: Platform
) -> Decision:
    """The best of `num` samples, the most probable schedule, `greedy`, single places and the cut.

    Args:
      cut: places and order, or nothing.
    """
    ruled = by_rules(costs, *cut[:1])
    least = jnp.argmin(ruled.makespan, axis=0)[None, ..., None]
    best = Decision(*(jnp.take_along_axis(part, least, axis=0)[0] for part in ruled[:2]))
    found = _best_sample(params, costs, key, num, platform)
    better = (found.makespan < ruled.makespan.min(0))[..., None]
    return jax.tree.map(lambda a, b: jnp.where(better, a, b), typed(found, costs), best)


def by_rules(costs: GraphCosts, *cut: Array) -> SampledSchedule:
    """What `greedy`, single places and places `cut` give, `[R, ..., N]`, all by upward rank."""
    rule = greedy(costs)
    single = (jnp.full_like(rule.place, k) for k in range(costs.num_places))
    filled = (place_filled(costs, place) for place in single)
    place = jnp.stack([rule.place, *filled, *(each.astype(rule.place.dtype) for each in cut)])
    order = jnp.broadcast_to(rule.order, place.shape)
    makespan = simulate_costs(costs, place, rule.order).makespan
    return SampledSchedule(place, order, jnp.asarray(makespan))


def _best_sample(
    params: Any, costs: GraphCosts, key: Array | None, num: ArrayLike, platform: Platform
) -> SampledSchedule:
    """The most probable schedule, or if one of `num` samples is better that."""

    def decide(rows: int, costs: GraphCosts) -> SampledSchedule:
        features = task_features(platform, rows, costs)
        embedding = embed_tasks(params, features)
        priority = priorities(params, embedding)
        best = sample_schedule(platform, rows, costs, params, features, embedding, priority)
        if key is None:
            return best

        def better(i: Array, carry: tuple[SampledSchedule, Array]) -> tuple[SampledSchedule, Array]:
            best, noise = carry
            fresh, changed = draw_sample(key, i, *noise.shape[:2])
            tried = jnp.where(changed[..., None], fresh[..., None], noise)
            found = sample_schedule(
                platform, rows, costs, params, features, embedding, priority, tried
            )
            wins = found.makespan < best.makespan
            return jax.tree.map(
                lambda a, b: jnp.where(wins.reshape(-1, *(1,) * (a.ndim - 1)), a, b), found, best
            ), jnp.where(wins, tried, noise)

        noise = jnp.zeros((costs.num_tasks, costs.num_places + 1, rows), priority.dtype)
        return jax.lax.fori_loop(0, num, better, (best, noise))[0]

    return over_rows(decide, costs)


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
    needed, data = features.needs
    lists = jnp.asarray(task)[:, None] if needed is None else needed
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
    queues: Queues | None = None,
) -> SampledSchedule:
    """One pass through the machine: the most probable schedule, or with noise a sampled one.

    Args:
      platform, rows, costs: as in `simulate_rows`.
      params: of the network.
      features: of the rows.
      embedding: `[F, N, rows]` what `embed_tasks` gave.
      priority: `[N, rows]`.
      noise: `[N, K + 1, rows]` added to the scores of places, by position, and, the last one, to
        priorities, by task.
      queues: that the tasks find; none if None.
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
        platform, rows, costs, features, order, choose, (by_position, place_noise), queues=queues
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
    queues: Queues | None = None,
    keep: bool = False,
) -> tuple[Array, Array, Any]:
    """Books all tasks in an order, placing each by what is seen of it.

    Args:
      platform, rows, costs, features: of the rows.
      order: int `[rows, N]`.
      choose: from what is observed and the row of `xs` to a place `[rows]`.
      xs: arrays `[N, ...]` by position.
      queues: that the tasks find; none if None.
      keep: whether to return what was observed.

    Returns:
      Places `[rows, N]` by task, makespans `[rows]`, and what was observed `[N, ...]` by position.
    """
    tasks = tasks_by_position(costs, order, rows, features.needs)
    steps = step_features(platform, features, tasks, order, rows)
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

    (makespan, _), state, stacked, _ = run(
        platform, tasks, place_one, memory, (steps, xs), queues=queues
    )
    return by_task(state.place, order), makespan, stacked


def load(path: Path) -> LearnedGraphPolicy:
    """The policy of the newest checkpoint in a folder; see `learning.policies.load`."""
    return LearnedGraphPolicy(*policies.load(path, GraphPolicyConfig))


def student() -> LearnedGraphPolicy:
    """The one that comes with the package."""
    return LearnedGraphPolicy(*policies.read(STUDENT, GraphPolicyConfig))
