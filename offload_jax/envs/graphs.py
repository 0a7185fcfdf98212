"""Task graphs as an environment: a task a step."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from offload_jax.batching import broadcast_batch
from offload_jax.envs.environment import Environment, Params, bounded_log, one_of
from offload_jax.graphs import scenarios
from offload_jax.graphs._jax import simulator
from offload_jax.graphs._jax.lower_bound import bound_of_rows
from offload_jax.graphs._jax.observation import (
    StepFeatures,
    by_reader,
    deliver,
    nowhere,
    observe,
    step_features,
)
from offload_jax.graphs._jax.platform import platform_of
from offload_jax.graphs._jax.ranks import by_decreasing, mean_costs, upward_ranks
from offload_jax.graphs._jax.rows import tasks_by_position
from offload_jax.graphs._jax.task_features import TaskFeatures, task_features
from offload_jax.graphs.costs import GraphCosts, as_costs, check_source
from offload_jax.graphs.problem import GraphProblem
from offload_jax.validation import check_class


class GraphState(NamedTuple):
    """A graph that is placed as far as position `time` of its order; one row everywhere.

    Attributes:
      time: int, tasks placed.
      order: int `[N]` tasks by decreasing upward rank, in which they are placed.
      place: int `[N]` of each task, 0 where it is not placed yet.
      cost: the makespan so far.
      lower_bound: no schedule of the graph is shorter.
      machine: what is booked, tasks by position.
      resident: bytes for each task that lie at each place.
      candidates, crossed: what would become of the next task at each place.
      tasks, features, steps: what is known of the graph.
    """

    time: Array
    order: Array
    place: Array
    cost: Array
    lower_bound: Array
    machine: simulator.State
    resident: tuple[Array, ...]
    candidates: simulator.Candidates
    crossed: list[simulator.Crossed]
    tasks: simulator.Tasks
    features: TaskFeatures
    steps: StepFeatures


class GraphEnv(Environment[GraphState]):
    """Places the tasks of a graph by decreasing upward rank, as `simulate` books them.

    A step costs what it adds to the makespan so far, transfers home included. `info["regret"]` is
    the makespan so far over `oj.graphs`' bound of longest paths, 0 as long as it is below: after
    the last step, no less than the regret against the optimum.

    An observation is what the network of `policies.student` sees of a task at its booking position
    (`offload_jax/graphs/columns.py` names all): `PLACE` for each place, `STEP` and `TASK`; then the
    share of tasks that are left and the logarithm of the makespan at the best single place.
    """

    def __init__(
        self, source: scenarios.Scenario | GraphProblem | GraphCosts = scenarios.LAYERED
    ) -> None:
        """Makes the environment.

        Args:
          source: what graphs are drawn from: a scenario, or a batch whose rows are drawn.

        Raises:
          ValueError: the batch is invalid.
        """
        check_class("source", source, scenarios.Scenario, GraphProblem, GraphCosts)
        if isinstance(source, scenarios.Scenario):
            draw = functools.partial(scenarios.sample, scenario=source, num=1)
            shape = jax.eval_shape(draw, jax.random.key(0))
            example = jax.tree.map(lambda leaf: np.ones(leaf.shape, leaf.dtype), shape)
            costs = as_costs(example, library=np)
        else:
            check_source(source)
            source = costs = as_costs(source)
        self.costs, self.platform = costs, platform_of(costs)
        super().__init__(source, length=costs.num_tasks, num_places=costs.num_places)

    def reset_env(self, key: Array, params: Params) -> tuple[Array, GraphState]:
        state = self.begin(key, params)
        return self.observe(state), state

    def begin(
        self, key: Array, params: Params, queues: simulator.Queues | None = None
    ) -> GraphState:
        """A graph of which nothing is placed, behind queues if there are any."""
        if params.requests is None:
            costs = as_costs(scenarios.sample(key, self.source, 1))
        else:
            costs = jax.tree.map(lambda leaf: leaf[None], one_of(params.requests, key))
        costs = jax.tree.map(jnp.asarray, broadcast_batch(costs))
        features = task_features(self.platform, 1, costs)
        means = mean_costs(costs, self.platform)
        order = by_decreasing(upward_ranks(means))
        tasks = tasks_by_position(costs, order, 1)
        machine = simulator.first_state(self.platform, tasks)
        if queues is not None:
            machine = machine._replace(free=queues.free, busy=queues.busy)
        state = GraphState(
            time=jnp.zeros((), jnp.int32),
            order=order[0],
            place=jnp.zeros(self.length, jnp.int32),
            cost=jnp.zeros((), tasks.seconds.dtype),
            lower_bound=bound_of_rows(self.platform, 1, costs)[0],
            machine=machine,
            resident=nowhere(tasks),
            candidates=None,  # type: ignore[arg-type]
            crossed=[],
            tasks=tasks,
            features=features,
            steps=step_features(self.platform, features, tasks, order, 1),
        )
        return self._try(state)

    def step_env(
        self, key: Array, state: GraphState, action: Array | int, params: Params
    ) -> tuple[Array, GraphState, Array, Array, dict[str, Any]]:
        del key, params
        now, task = self._at(state.steps, state.time), state.order[state.time]
        place = jnp.where(now.empty, 0, jnp.asarray(action, jnp.int32))
        candidates = state.candidates
        done = jnp.maximum(
            simulator.chosen(place, candidates.back), simulator.chosen(place, candidates.finish)
        )[0]
        machine = simulator.commit(
            state.machine,
            candidates,
            state.crossed,
            state.time,
            self._at(simulator.by_position(state.tasks), state.time),
            place,
        )
        cost = jnp.maximum(state.cost, done)
        reward = state.cost - cost
        state = state._replace(
            time=state.time + 1,
            place=state.place.at[task].set(place[0]),
            cost=cost,
            machine=machine,
            resident=deliver(state.resident, by_reader(state.tasks, now.position), place),
        )
        state = self._try(state)
        regret = jnp.maximum(cost - state.lower_bound, 0.0)
        # Where nothing is possible nothing is regretted.
        info = {"cost": cost, "regret": jnp.where(jnp.isfinite(state.lower_bound), regret, 0.0)}
        return self.observe(state), state, reward, state.time >= self.length, info

    def action_mask(self, state: GraphState, params: Params | None = None) -> Array:
        del params
        possible = self._at(state.steps, state.time).live[:, 0]
        return possible | ~possible.any()

    def _at(self, rows: Any, time: Array) -> Any:
        """The row of a position; after the last one again that."""
        return jax.tree.map(lambda leaf: leaf[jnp.minimum(time, self.length - 1)], rows)

    def _try(self, state: GraphState) -> GraphState:
        """The state with what would become of its next task."""
        candidates, crossed, _ = simulator.try_task(
            self.platform,
            state.tasks,
            state.machine,
            self._at(simulator.by_position(state.tasks), state.time),
            simulator.everywhere(self.platform),
            False,
        )
        return state._replace(candidates=candidates, crossed=crossed)

    def observe(self, state: GraphState) -> Array:
        """What the environment says of a state."""
        now = self._at(state.steps, state.time)
        seen = observe(
            self.platform,
            state.features,
            state.resident,
            by_reader(state.tasks, now.position),
            state.machine,
            state.candidates,
            now,
        )
        task = state.features.task[:, state.order[now.position], 0]
        left = jnp.stack([1 - state.time / self.length, bounded_log(state.features.scale[0])])
        parts = [seen.places[..., 0].ravel(), seen.step[..., 0], task, left]
        return jnp.concatenate(parts).astype(jnp.float32)
