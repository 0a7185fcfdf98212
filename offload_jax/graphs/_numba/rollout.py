"""How a learned policy decides about one request: compiled loops."""

import math
from typing import Any, NamedTuple

import numpy as np

from offload_jax.graphs._numba.network import (
    Work,
    embed_tasks,
    new_work,
    place_logits,
    priorities,
    task_layer,
)
from offload_jax.graphs._numba.observation import (
    Observation,
    new_observation,
    observe,
    place_task,
    start,
)
from offload_jax.graphs._numba.ranks import empty_last, ready_order
from offload_jax.graphs._numba.simulator import State, inner, new_state, plain, reset, waited
from offload_jax.graphs._numba.task_features import task_features


class Player(NamedTuple):
    """What a network says of a request before anything is booked, and what rollouts write on.

    Attributes:
      weights, first: as `network.pack` gives them.
      features: of `task_features`.
      urgency: `[N]` of `priorities`.
      of_task: of `task_layer`.
      completion: `[U]` when each user is served, written.
      state, before, observation, work: written.
    """

    weights: np.ndarray
    first: np.ndarray
    features: Any
    urgency: np.ndarray
    of_task: np.ndarray
    completion: np.ndarray
    state: State
    before: State
    observation: Observation
    work: Work


@inner
def new_player(request, weights, first, widths):
    features = task_features(request, widths[4])
    embed_tasks(request, weights, first, widths, features.task)
    return Player(
        weights,
        first,
        features,
        priorities(weights, first, widths, features.task),
        task_layer(weights, first, widths, features.task),
        np.zeros(request.num_users),
        new_state(request),
        new_state(request),
        new_observation(request),
        new_work(request.seconds.shape[1], widths),
    )


@plain
def _rollout(request, player, noise, order, place):
    """Writes into `place` where the network puts each task, in the given order.

    Args:
      noise: `[N, K + 1]` added to the scores of places, by position.

    Returns:
      The makespan.
    """
    features, state, observation = player.features, player.state, player.observation
    num_places = request.seconds.shape[1]
    start(request, features, observation)
    completion = player.completion
    completion[:] = 0.0
    makespan = 0.0
    for i in range(order.size):
        task = order[i]
        state.position[task] = i
        chosen = 0
        if not features.empty[task]:
            observe(request, features, state, player.before, observation, task)
            place_logits(
                player.weights, player.first, player.work, player.of_task, task,
                observation.step, observation.places,
            )  # fmt: skip
            best = -math.inf
            for k in range(num_places):
                total = player.work.logits[k, 0] + noise[i, k]
                if features.live[task, k] and total > best:
                    best, chosen = total, k
        done = place_task(request, features, state, observation, task, chosen)
        user = request.user[task]
        completion[user] = max(completion[user], done)
        makespan = max(makespan, done)
        place[task] = chosen
    return makespan


@inner
def play(request, player, noise):
    """Places and order int `[N]` of the most probable schedule under noise, and its makespan.

    Args:
      noise: `[N, K + 1]` added to the scores of places, by position, and, the last one, to the
        urgency of tasks.
    """
    reset(player.state)
    return play_from(request, player, noise)


@inner
def play_from(request, player, noise):
    """The same from where the machine stands in `player.state`."""
    noisy = player.urgency.copy()
    for v in range(noisy.size):
        noisy[v] += noise[v, noise.shape[1] - 1]
    order, place = ready_order(request, noisy), np.zeros(noisy.size, np.int64)
    empty_last(request, place, order)
    return place, order, _rollout(request, player, noise, order, place)


@inner
def until_all_are_served(request):
    """Of `best_schedule`: the makespan."""
    return np.ones(request.num_users), np.zeros(request.num_users), True


@inner
def best_schedule(request, weights, first, widths, noise, changed, share, since, largest):
    """The best of the most probable schedule and of n samples: places, order, and its latency.

    Args:
      weights, first, widths: as `network.pack` gives them.
      noise: `[n, N, K + 1]` of samples.
      changed: bool `[n, N, K + 1]`: where a sample takes it, and not that of the best one so far.
      share, since, largest: what the latency of users is, as `Goal` has them.
    """
    player = new_player(request, weights, first, widths)
    num_tasks, num_places = request.seconds.shape
    best_noise = np.zeros((num_tasks, num_places + 1))
    tried = best_noise.copy()
    best_place, best_order, _ = play(request, player, tried)
    least = waited(player.completion, share, since, largest)
    for i in range(noise.shape[0]):
        for v in range(num_tasks):
            for k in range(num_places + 1):
                tried[v, k] = noise[i, v, k] if changed[i, v, k] else best_noise[v, k]
        place, order, _ = play(request, player, tried)
        latency = waited(player.completion, share, since, largest)
        if latency < least:
            best_place, best_order, least = place, order, latency
            best_noise, tried = tried, best_noise
    return best_place, best_order, least
