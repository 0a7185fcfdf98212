"""Streams of task graphs as an environment: a task a step, request after request."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from offload_jax.envs.environment import Environment, Params
from offload_jax.envs.graphs import GraphEnv, GraphState
from offload_jax.graphs import scenarios
from offload_jax.graphs._jax.platform import platform_of
from offload_jax.graphs._jax.simulator import Queues, empty_queues
from offload_jax.graphs._jax.stream import found_by, later, left_by
from offload_jax.graphs.costs import GraphCosts
from offload_jax.graphs.problem import GraphProblem
from offload_jax.graphs.stream import of_users
from offload_jax.validation import check_integer, check_positive


class StreamState(NamedTuple):
    """A stream that has been served as far as a task of its present request.

    Attributes:
      time: int, tasks placed, of all requests.
      now: seconds at which the present request arrived.
      user: int, whose it is.
      cost: sojourns so far, that of the present request as far as it is placed.
      regret: that of the requests before.
      queues: seconds from `now` until links and servers of all users are free, without the
        present request.
      graph: the present request, booked behind them.
    """

    time: Array
    now: Array
    user: Array
    cost: Array
    regret: Array
    queues: Queues
    graph: GraphState


class StreamEnv(Environment[StreamState]):
    """Places the tasks of requests that arrive one after the other, as `oj.graphs.stream` does.

    The first request finds the machine empty; gaps between arrivals are exponential. A step costs
    what it adds to the sojourn of the present request, so rewards sum to minus the sojourns of all.
    `info["regret"]` is how much the sojourns so far are over `oj.graphs.lower_bound` of each
    request alone: more than any policy can regret.

    An observation is that of `GraphEnv`, which sees the queues in when a task would start and when
    links and servers are free, and the share of requests that are left.
    """

    def __init__(
        self,
        source: scenarios.Scenario | GraphProblem | GraphCosts = scenarios.LAYERED,
        *,
        rate: float,
        num_requests: int = 20,
        num_users: int = 1,
    ) -> None:
        """Makes the environment.

        Args:
          source: what requests are drawn from, as for `GraphEnv`.
          rate: arrivals a second, of all users together, above 0.
          num_requests: of an episode.
          num_users: of which each has a device and a radio, see `oj.graphs.stream`; that of a
            request is drawn.

        Raises:
          ValueError: the batch is invalid, or an argument out of range.
        """
        check_positive("rate", rate)
        check_integer("num_requests", num_requests)
        check_integer("num_users", num_users)
        self.graphs = GraphEnv(source)
        self.rate, self.num_requests = rate, num_requests
        self.owners = platform_of(of_users(source, self.graphs.costs, num_users))
        super().__init__(
            self.graphs.source,
            length=self.graphs.length * num_requests,
            num_places=self.graphs.num_places,
        )

    def reset_env(self, key: Array, params: Params) -> tuple[Array, StreamState]:
        user_key, key = jax.random.split(key)
        dtype = jnp.result_type(float)
        queues = empty_queues(self.owners, 1, dtype)
        user = self._draw_user(user_key)
        zero = jnp.zeros((), dtype)
        graph = self.graphs.begin(key, params, found_by(queues, user[None]))
        state = StreamState(jnp.zeros((), jnp.int32), zero, user, zero, zero, queues, graph)
        return self._observe(state), state

    def begin_again(
        self, key: Array, ended: StreamState, params: Params
    ) -> tuple[Array, StreamState]:
        del key, params
        # What came after the last request found the machine empty: it is the first one.
        zero = jnp.zeros_like(ended.cost)
        state = ended._replace(time=jnp.zeros_like(ended.time), now=zero, cost=zero, regret=zero)
        return self._observe(state), state

    def step_env(
        self, key: Array, state: StreamState, action: Array | int, params: Params
    ) -> tuple[Array, StreamState, Array, Array, dict[str, Any]]:
        gap_key, user_key, key = jax.random.split(key, 3)
        _, graph, reward, placed, info = self.graphs.step_env(key, state.graph, action, params)
        time = state.time + 1
        terminated = time >= self.length
        regret = state.regret + info["regret"]
        state = state._replace(time=time, cost=state.cost - reward)
        after = Queues(graph.machine.free, graph.machine.busy)
        possible = jnp.isfinite(graph.cost)[None]
        gap = jax.random.exponential(gap_key, dtype=state.now.dtype) / self.rate
        queues = left_by(state.queues, state.user[None], possible, after)
        queues = later(queues, jnp.where(terminated, jnp.inf, gap)[None])
        user = self._draw_user(user_key)
        following = state._replace(
            now=state.now + gap,
            user=user,
            regret=regret,
            queues=queues,
            graph=self.graphs.begin(key, params, found_by(queues, user[None])),
        )
        state = jax.tree.map(
            lambda new, old: jnp.where(placed, new, old), following, state._replace(graph=graph)
        )
        info = {"cost": state.cost, "regret": regret}
        return self._observe(state), state, reward, terminated, info

    def action_mask(self, state: StreamState, params: Params | None = None) -> Array:
        return self.graphs.action_mask(state.graph, params)

    def _draw_user(self, key: Array) -> Array:
        return jax.random.randint(key, (), 0, self.owners.num_users)

    def _observe(self, state: StreamState) -> Array:
        served = state.time // self.graphs.length
        left = jnp.reshape(1 - served / self.num_requests, 1)
        return jnp.concatenate([self.graphs.observe(state.graph), left.astype(jnp.float32)])
