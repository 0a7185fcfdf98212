"""How a learned policy decides about one request: compiled loops."""

import math

import numpy as np

from offload_jax.graphs._numba.network import (
    embed_tasks,
    new_work,
    place_logits,
    priorities,
    task_layer,
)
from offload_jax.graphs._numba.observation import new_observation, observe, place_task, start
from offload_jax.graphs._numba.ranks import empty_last, ready_order
from offload_jax.graphs._numba.rules import greedy
from offload_jax.graphs._numba.simulator import inner, new_state, plain, reset, simulate
from offload_jax.graphs._numba.task_features import task_features


@plain
def _rollout(
    request, features, net, state, before, observation, work, of_task, noise, order, place
):
    """Writes into `place` where the network puts each task, in the given order.

    Args:
      net: weights and where parts of them begin.
      state, before, observation, work: written.
      of_task: of `task_layer`.
      noise: `[N, K + 1]` added to the scores of places, by position.

    Returns:
      The makespan.
    """
    weights, first = net
    num_places = request.seconds.shape[1]
    reset(state)
    start(request, features, observation)
    makespan = 0.0
    for i in range(order.size):
        task = order[i]
        state.position[task] = i
        chosen = 0
        if not features.empty[task]:
            observe(request, features, state, before, observation, task)
            place_logits(weights, first, work, of_task, task, observation.step, observation.places)
            best = -math.inf
            for k in range(num_places):
                total = work.logits[k, 0] + noise[i, k]
                if features.live[task, k] and total > best:
                    best, chosen = total, k
        done = place_task(request, features, state, observation, task, chosen)
        makespan = max(makespan, done)
        place[task] = chosen
    return makespan


@inner
def best_schedule(request, weights, first, widths, noise, changed, with_rule):
    """Places and order int `[N]`: the best of the most probable schedule and of n samples.

    Args:
      weights, first, widths: as `network.pack` gives them.
      noise: `[n, N, K + 1]` of samples, for places by position and for priorities by task.
      changed: bool `[n, N, K + 1]`: where a sample takes it, and not that of the best one so far.
      with_rule: whether the rule `greedy` decides where no sample is better.
    """
    num_tasks, num_places = request.seconds.shape
    features = task_features(request, widths[4])
    embed_tasks(request, weights, first, widths, features.task)
    urgency = priorities(weights, first, widths, features.task)
    of_task = task_layer(weights, first, widths, features.task)
    state, before, observation = new_state(request), new_state(request), new_observation(request)
    work = new_work(num_places, widths)
    best_noise = np.zeros((num_tasks, num_places + 1))
    tried, noisy = best_noise.copy(), urgency.copy()
    best_place, best_order, least = np.zeros(num_tasks, np.int64), np.arange(num_tasks), math.inf
    for i in range(noise.shape[0] + 1):
        for v in range(num_tasks):
            for k in range(num_places + 1):
                tried[v, k] = best_noise[v, k]
                if i > 0 and changed[i - 1, v, k]:
                    tried[v, k] = noise[i - 1, v, k]
            noisy[v] = urgency[v] + tried[v, num_places]
        order, place = ready_order(request, noisy), np.zeros(num_tasks, np.int64)
        empty_last(request, place, order)
        makespan = _rollout(
            request, features, (weights, first), state, before, observation, work, of_task, tried,
            order, place,
        )  # fmt: skip
        if makespan < least or i == 0:
            best_place, best_order, least = place, order, makespan
            for v in range(num_tasks):
                for k in range(num_places + 1):
                    best_noise[v, k] = tried[v, k]
    if with_rule:
        place, order = greedy(request)
        if simulate(request, state, place, order) <= least:
            return place, order
    return best_place, best_order
