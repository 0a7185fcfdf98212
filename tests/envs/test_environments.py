"""Episodes pay what `evaluate` and `simulate` say; regret, masks and spaces keep their promises."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import offload_jax as oj
from offload_jax.envs import ChainEnv, Environment, GraphEnv, Params, StreamEnv
from tests import oracle

NUM_EPISODES = 64
# Tables of any number of places, some of which are impossible, and a chain that cannot run at all.
_RANDOM = np.random.default_rng(0)
_EXECUTION = _RANDOM.choice([0.0, 1.0, 2.5, np.inf], (5, 3, 2), p=[0.2, 0.3, 0.3, 0.2])
_EXECUTION[0] = np.inf
TABLES = oj.ChainCosts(_EXECUTION, _RANDOM.uniform(0, 2, (5, 4, 2, 2)))
GRAPHS = jax.tree.map(
    np.asarray, oj.graphs.scenarios.sample(jax.random.key(1), oj.graphs.scenarios.layered(5), 3)
)
GRAPH_ENV = GraphEnv(GRAPHS)
CHAIN_ENV, TABLE_ENV = ChainEnv(), ChainEnv(TABLES)
STREAM_ENV = StreamEnv(GRAPHS, rate=0.5, num_requests=4, num_users=2)


@functools.cache
def episodes(env: Environment, num: int = NUM_EPISODES) -> tuple[Any, Any, Any]:
    """First states, actions `[n, N]` and what `step` gave, of random episodes within the mask."""

    def episode(key: jax.Array) -> tuple[Any, Any, Any]:
        first, later = jax.random.split(key)
        obs, state = env.reset(first)

        def step(state: Any, key: jax.Array) -> tuple[Any, Any]:
            keys = jax.random.split(key)
            mask = env.action_mask(state)
            action = jax.random.categorical(keys[0], jnp.where(mask, 0.0, -jnp.inf))
            obs, state, *rest = env.step(keys[1], state, action)
            return state, (action, mask, obs, *rest)

        _, taken = jax.lax.scan(step, state, jax.random.split(later, env.length))
        return state, obs, taken

    keys = jax.random.split(jax.random.key(3), num)
    return jax.tree.map(np.asarray, jax.jit(jax.vmap(episode))(keys))


@pytest.mark.parametrize(
    "env",
    [CHAIN_ENV, ChainEnv(oj.scenarios.WIDE, objective=oj.ENERGY), TABLE_ENV],
    ids=["latency", "energy", "table"],
)
def test_chains_pay_their_cost_and_regret_what_is_over_the_optimum(
    env: ChainEnv, num: int = NUM_EPISODES
) -> None:
    state, _, (action, mask, _, reward, terminated, truncated, info) = episodes(env, num)
    costs = oj.ChainCosts(state.execution, state.transfer)
    cost = np.asarray(oj.evaluate(costs, action))
    least = np.asarray(oj.solve(costs).cost)
    np.testing.assert_allclose(-reward.sum(1), cost, rtol=1e-5)
    np.testing.assert_allclose(info["cost"][:, -1], cost, rtol=1e-5)
    np.testing.assert_allclose(state.to_go[:, 0, 0], least, rtol=1e-5)
    possible = np.isfinite(least)
    # The mask leaves no way to a cost of inf but where there is no other.
    assert (np.isfinite(cost) == possible).all()
    regret = info["regret"]
    np.testing.assert_allclose(
        regret[possible, -1],
        cost[possible] - least[possible],
        rtol=1e-3,
        atol=1e-4 * cost.max(where=possible, initial=0),
    )
    assert (regret[~possible] == 0).all() and (regret >= 0).all()
    # A mistake is never undone.
    assert (np.diff(regret[possible], axis=1) >= -1e-4 * cost[possible, None]).all()
    assert mask[possible].any(axis=-1).all() and not truncated.any()
    assert (terminated == (np.arange(env.length) == env.length - 1)).all()


def test_the_best_actions_have_no_regret() -> None:
    chain = oracle.Chain((8e8, 4e8, 6e8), (2e6, 4e6, 1e6, 1e5), 5e8, 3e9, 1.5e6, 2e6)
    problem = oj.ChainProblem(*chain)
    places, least = oracle.optimum(chain)
    env = ChainEnv(problem)
    _, state = env.reset(jax.random.key(0))
    total = 0.0
    for place in places:
        _, state, reward, terminated, _, info = env.step(jax.random.key(0), state, place)
        assert info["regret"] == pytest.approx(0.0, abs=1e-5)
        total += float(reward)
    assert terminated and -total == pytest.approx(least, rel=1e-5)


def test_graphs_pay_their_makespan(env: GraphEnv = GRAPH_ENV, num: int = NUM_EPISODES) -> None:
    state, _, (action, _, _, reward, terminated, _, info) = episodes(env, num)
    # Which of the graphs an episode was about, by the speeds of its tasks.
    costs = env.costs
    total = np.asarray(costs.seconds).sum((1, 2))
    row = np.abs(np.asarray(state.tasks.seconds).sum((1, 2)) - total).argmin(axis=-1)
    assert set(row) == set(range(len(total)))
    place = np.zeros_like(action)
    np.put_along_axis(place, state.order, action, axis=1)
    makespan = np.asarray(oj.graphs.simulate(costs[row], place, state.order).makespan)
    np.testing.assert_allclose(-reward.sum(1), makespan, rtol=1e-5)
    optimum = oj.graphs.solve(costs, method="cpsat").cost[row]
    assert (state.lower_bound <= optimum * (1 + 1e-6)).all()
    np.testing.assert_allclose(
        info["regret"][:, -1], makespan - state.lower_bound, rtol=1e-4, atol=1e-5 * makespan.max()
    )
    assert (np.diff(info["cost"], axis=1) >= 0).all() and terminated[:, -1].all()
    assert set(state.order[row == 0].ravel()) == set(range(env.length)) and (state.time == 0).all()


def test_streams_pay_their_sojourns(
    env: StreamEnv = STREAM_ENV, graphs: oj.graphs.GraphProblem = GRAPHS, num: int = 16
) -> None:
    """What is booked step by step is what `stream` books of the same requests and places."""
    keys = jax.random.split(jax.random.key(5), num)

    def episode(key: jax.Array) -> tuple[Any, Any, Any]:
        _, state = env.reset(key)

        def step(state: Any, key: jax.Array) -> tuple[Any, Any]:
            keys = jax.random.split(key)
            logits = jnp.where(env.action_mask(state), 0.0, -jnp.inf)
            action = jax.random.categorical(keys[0], logits)
            _, after, reward, terminated, _, info = env.step(keys[1], state, action)
            return after, (state, action, reward, terminated, info)

        return jax.lax.scan(step, state, jax.random.split(key, env.length))

    after, (state, action, reward, terminated, info) = jax.tree.map(
        np.asarray, jax.jit(jax.vmap(episode))(keys)
    )
    number = graphs.num_tasks
    total = np.asarray(oj.graphs.graph_costs(graphs).seconds).sum((1, 2))
    began = jax.tree.map(lambda leaf: leaf[:, ::number], state)
    row = np.abs(began.graph.tasks.seconds.sum((2, 3)) - total).argmin(axis=-1)
    assert set(row.ravel()) == set(range(len(total)))
    num_users = env.owners.num_users
    assert set(began.user.ravel()) == set(range(num_users))
    order = began.graph.order
    place = np.zeros_like(order)
    np.put_along_axis(place, order, action.reshape(order.shape), axis=-1)
    served = oj.graphs.stream(
        graphs[row],
        began.now,
        oj.graphs.Decision(place, order),
        user=began.user,
        num_users=num_users,
    )
    np.testing.assert_allclose(-reward.sum(1), np.sum(served.sojourn, -1), rtol=1e-4)
    over = np.sum(np.asarray(served.sojourn) - np.asarray(served.lower_bound), -1)
    np.testing.assert_allclose(info["regret"][:, -1], over, rtol=1e-3)
    np.testing.assert_allclose(info["cost"][:, -1], np.sum(served.sojourn, -1), rtol=1e-4)
    # Gaps of the rate, and after the last request an empty machine.
    gaps = np.diff(began.now, axis=1)
    assert gaps.mean() == pytest.approx(1 / env.rate, rel=0.4)
    assert (np.diff(info["regret"], axis=1) >= -1e-5).all() and terminated[:, -1].all()
    assert all((leaf == 0).all() for leaf in jax.tree.leaves(after.queues))
    assert (after.time == 0).all() and (after.cost == 0).all()


def test_dead_places_are_masked() -> None:
    link = jnp.zeros(3)
    dead = GRAPH_ENV.default_params._replace(
        requests=dataclasses.replace(
            GRAPH_ENV.source, seconds_per_byte=jnp.full((3, 4), jnp.inf) + link[:, None]
        )
    )
    obs, state = GRAPH_ENV.reset(jax.random.key(0), dead)
    for _ in range(GRAPH_ENV.length):
        assert np.isfinite(obs).all()
        mask = GRAPH_ENV.action_mask(state)
        obs, state, reward, terminated, *_ = GRAPH_ENV.step(
            jax.random.key(5), state, int(np.argmax(mask)), dead
        )
        assert mask[0] and np.isfinite(reward)
    assert terminated


@pytest.mark.parametrize(
    "env",
    [CHAIN_ENV, TABLE_ENV, GRAPH_ENV, STREAM_ENV],
    ids=["chain", "table", "graph", "stream"],
)
def test_spaces(env: Environment) -> None:
    _, first, (_, _, obs, *_, info) = episodes(env)
    space, actions = env.observation_space(), env.action_space()
    assert (space.shape, space.dtype) == (first.shape[1:], first.dtype)
    assert all(space.contains(x) for x in (first, obs, info["final_observation"]))
    assert not space.contains(np.full(space.shape, np.inf)) and not actions.contains(-1)
    assert space.contains(space.sample(jax.random.key(0)))
    drawn = jax.vmap(actions.sample)(jax.random.split(jax.random.key(0), 50))
    assert set(np.asarray(drawn).tolist()) == set(range(env.num_actions)) == set(range(actions.n))
    assert not actions.contains(actions.n)


def test_the_next_episode_begins_where_one_ends() -> None:
    env, key = CHAIN_ENV, jax.random.key(7)
    _, state = env.reset(key)
    state = state._replace(time=jnp.int32(env.length - 1))
    obs, after, _, terminated, _, info = env.step(key, state, 0)
    fresh, begun = env.reset(jax.random.split(key)[1])
    assert terminated and info["terminated"] and after.time == 0
    np.testing.assert_allclose(obs, fresh, rtol=1e-6)
    np.testing.assert_array_equal(info["action_mask"], env.action_mask(begun))
    assert not np.allclose(info["final_observation"], obs)
    # The end alone: `step_env` gives the state that has ended.
    _, ended, *_ = env.step_env(key, state, 0, env.default_params)
    assert env.is_terminated(ended) and not env.is_terminated(after)


def test_requests_may_be_given_with_every_call() -> None:
    env = CHAIN_ENV
    problem = oj.scenarios.sample(jax.random.key(2), oj.scenarios.WIDE, 3)
    given = Params(env.length, problem)
    keys = jax.random.split(jax.random.key(0), 40)
    _, states = jax.vmap(lambda key: env.reset(key, given))(keys)
    found = np.unique(np.asarray(states.to_go[:, 0, 0]))
    np.testing.assert_allclose(found, np.sort(oj.solve(problem).cost), rtol=1e-5)


def test_a_damaged_batch_is_refused() -> None:
    with pytest.raises(ValueError, match=r"rate = 0\.0"):
        StreamEnv(GRAPHS, rate=0.0)
    with pytest.raises(ValueError, match=r"device_speed = 0\.0: must be finite and greater than 0"):
        ChainEnv(oj.ChainProblem([1.0], [0.0, 0.0], 0.0, 1.0, 1.0, 1.0))
