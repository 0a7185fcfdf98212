"""Chains as an environment: a subtask a step."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from offload_jax.chains import scenarios
from offload_jax.chains.costs import ChainCosts, chain_costs, validate_costs
from offload_jax.chains.problem import ChainProblem, validate
from offload_jax.envs.environment import (
    Environment,
    Params,
    bounded_log,
    one_of,
    positive_or_one,
    relative,
)
from offload_jax.network import Place
from offload_jax.objectives import LATENCY, Objective
from offload_jax.validation import check_class

HOME = 0


class ChainState(NamedTuple):
    """A chain that is placed as far as subtask `time`.

    Attributes:
      execution: `[A, K]` costs as in `ChainCosts`.
      transfer: `[A + 1, K, K]` likewise.
      to_go: `[A + 1, K]` the least cost of all that is left once subtask t - 1 ran at place j.
      scale: the cost of the best single place, by which observations are divided.
      time: int, subtasks placed.
      place: int, where the last of them is.
      cost: spent so far.
    """

    execution: Array
    transfer: Array
    to_go: Array
    scale: Array
    time: Array
    place: Array
    cost: Array


class ChainEnv(Environment[ChainState]):
    """Places a chain, subtask after subtask; a step costs the transfer and the execution.

    The last step also pays the way home. `info["regret"]` is what the places chosen so far cost
    beyond the optimum if the best ones follow: after the last step the cost over the optimum.

    An observation is, each as the logarithm of 1 + x over the cost of the best single place: what
    each action would cost now; execution `[A, K]` and transfer `[A + 1, K, K]` of the subtasks from
    the next one on, then zeros. After that the present place as K zeros and ones, the share of
    subtasks that are left, and the logarithm of that cost.
    """

    def __init__(
        self,
        source: scenarios.Scenario | ChainProblem | ChainCosts = scenarios.WIDE,
        *,
        objective: Objective = LATENCY,
    ) -> None:
        """Makes the environment.

        Args:
          source: what requests are drawn from: a scenario, or a batch whose rows are drawn.
          objective: what is minimised; a table has its own costs.

        Raises:
          ValueError: the batch is invalid.
        """
        check_class("source", source, scenarios.Scenario, ChainProblem, ChainCosts)
        check_class("objective", objective, Objective)
        if isinstance(source, ChainProblem):
            validate(source)
        elif isinstance(source, ChainCosts):
            validate_costs(source)
        num_places = source.num_places if isinstance(source, ChainCosts) else len(Place)
        super().__init__(source, length=source.num_subtasks, num_places=num_places)
        self.objective = objective

    def reset_env(self, key: Array, params: Params) -> tuple[Array, ChainState]:
        if params.requests is None:
            request = one_of(scenarios.sample(key, self.source, 1), key)
        else:
            request = one_of(params.requests, key)
        costs = request if isinstance(request, ChainCosts) else chain_costs(request, self.objective)
        execution, transfer = jnp.asarray(costs.execution), jnp.asarray(costs.transfer)
        end = transfer[-1, :, HOME]

        def backward(value: Array, stage: tuple[Array, Array]) -> tuple[Array, Array]:
            execution, transfer = stage
            value = jnp.min(transfer + (execution + value)[None], axis=1)
            return value, value

        _, to_go = jax.lax.scan(backward, end, (execution, transfer[:-1]), reverse=True)
        stay = jnp.diagonal(transfer[1:-1], axis1=1, axis2=2).sum(0)
        single = transfer[0, HOME] + execution.sum(0) + stay + end
        zero = jnp.zeros((), jnp.int32)
        state = ChainState(
            execution,
            transfer,
            jnp.concatenate([to_go, end[None]]),
            positive_or_one(jnp.min(single)),
            zero,
            zero + HOME,
            jnp.zeros((), execution.dtype),
        )
        return self._observe(state), state

    def step_env(
        self, key: Array, state: ChainState, action: Array | int, params: Params
    ) -> tuple[Array, ChainState, Array, Array, dict[str, Any]]:
        del key, params
        place = jnp.asarray(action, jnp.int32)
        terminated = state.time + 1 >= self.length
        spent = self._next(state)[place]
        to_go = state.to_go[state.time + 1, place]
        least = state.to_go[0, HOME]
        regret = jnp.maximum(state.cost + spent + to_go - least, 0.0)
        spent = spent + jnp.where(terminated, to_go, 0.0)
        state = state._replace(time=state.time + 1, place=place, cost=state.cost + spent)
        # Where nothing is possible nothing is regretted.
        info = {"cost": state.cost, "regret": jnp.where(jnp.isfinite(least), regret, 0.0)}
        return self._observe(state), state, -spent, terminated, info

    def action_mask(self, state: ChainState, params: Params | None = None) -> Array:
        del params
        time = jnp.minimum(state.time, self.length - 1)
        possible = jnp.isfinite(self._next(state) + state.to_go[time + 1])
        return possible | ~possible.any()

    def _next(self, state: ChainState) -> Array:
        """`[K]` what the next subtask costs at each place."""
        time = jnp.minimum(state.time, self.length - 1)
        return state.transfer[time, state.place] + state.execution[time]

    def _observe(self, state: ChainState) -> Array:
        def from_now_on(table: Array) -> Array:
            padded = jnp.concatenate([table, jnp.zeros_like(table)])
            window = jax.lax.dynamic_slice_in_dim(padded, state.time, len(table))
            return relative(window.ravel(), state.scale)

        return jnp.concatenate(
            [
                relative(self._next(state), state.scale),
                from_now_on(state.execution),
                from_now_on(state.transfer),
                jax.nn.one_hot(state.place, self.num_places),
                jnp.stack([1 - state.time / self.length, bounded_log(state.scale)]),
            ]
        ).astype(jnp.float32)
