"""What a learned policy reads: all 59 columns by name, the same in JAX, in numba and in C."""

import ctypes
import subprocess
import typing
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numba
import numpy as np
import pytest

import offload_jax as oj
from offload_jax.graphs import training
from offload_jax.graphs._jax.platform import platform_of
from offload_jax.graphs._jax.task_features import task_features
from offload_jax.graphs._numba import observation as compiled_observation
from offload_jax.graphs._numba import simulator as compiled_simulator
from offload_jax.graphs._numba import task_features as compiled_features
from offload_jax.graphs.columns import LIMIT, NUM_PLACE, NUM_STEP, NUM_TASK, PLACE, STEP, TASK
from offload_jax.graphs.request import unpack_rows
from tests.export import compiled
from tests.export.test_c_graphs import FLAT, NUM_TASKS, inputs_of, requests
from tests.graphs import cases
from tests.graphs.test_learned import random_policy

NUM = 60


class Read(NamedTuple):
    """Columns of R requests: `[R, N, T]` by task, `[R, N, K, P]` and `[R, N, S]` by position."""

    task: np.ndarray
    place: np.ndarray
    step: np.ndarray


def in_jax(problem: oj.graphs.GraphProblem, decision: oj.graphs.Decision) -> Read:
    costs = training.examples_of(problem).costs
    platform = platform_of(oj.graphs.graph_costs(problem))

    @jax.jit
    def lesson(costs: oj.graphs.GraphCosts) -> training.Lesson:
        features = task_features(platform, NUM, costs)
        return training.lesson(platform, costs, features, *map(jnp.asarray, decision))

    found = lesson(costs)
    return Read(
        np.moveaxis(np.asarray(found.features.task), 0, -1).swapaxes(0, 1),
        np.asarray(found.observation.places).transpose(3, 2, 1, 0),
        np.asarray(found.observation.step).transpose(2, 1, 0),
    )


@numba.njit
@typing.no_type_check
def read(request, place, order):
    num_tasks, num_places = request.seconds.shape
    features = compiled_features.task_features(request, 0)
    state, before = compiled_simulator.new_state(request), compiled_simulator.new_state(request)
    observation = compiled_observation.new_observation(request)
    compiled_simulator.reset(state)
    compiled_observation.start(request, features, observation)
    places = np.empty((num_tasks, num_places, NUM_PLACE), np.float32)
    steps = np.empty((num_tasks, NUM_STEP), np.float32)
    for i in range(num_tasks):
        task = order[i]
        state.position[task] = i
        compiled_observation.observe(request, features, state, before, observation, task)
        places[i], steps[i] = observation.places, observation.step[0]
        compiled_observation.place_task(request, features, state, observation, task, place[task])
    return features.task, places, steps


def in_numba(problem: oj.graphs.GraphProblem, decision: oj.graphs.Decision) -> Read:
    rows = zip(unpack_rows(oj.graphs.graph_costs(problem, library=np)), *decision, strict=True)
    return Read(*(np.stack(part) for part in zip(*(read(*row) for row in rows), strict=True)))


def in_c(folder: Path, problem: oj.graphs.GraphProblem, decision: oj.graphs.Decision) -> Read:
    source, target = folder / "flat.c", folder / "columns.so"
    oj.export.c(random_policy(FLAT), source)
    defined = [f'-DSOURCE="{source.name}"', "-DMAX_TASKS=FLAT_MAX_TASKS", f"-I{folder}"]
    driver = str(compiled.DRIVERS / "columns_driver.c")
    options = [*compiled.STRICT, "-O1", "-shared", "-fPIC", *defined, driver, "-o", str(target)]
    done = subprocess.run([compiled.compiler(), *options], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows, depends = inputs_of(problem)
    read = Read(
        np.empty((NUM, NUM_TASKS, NUM_TASK), np.float32),
        np.empty((NUM, NUM_TASKS, 3, NUM_PLACE), np.float32),
        np.empty((NUM, NUM_TASKS, NUM_STEP), np.float32),
    )
    given = decision.place.astype(np.int8), decision.order.astype(np.int32)
    ctypes.CDLL(str(target)).columns(
        ctypes.c_size_t(NUM),
        ctypes.c_size_t(NUM_TASKS),
        *compiled.pointers(np.ascontiguousarray(rows), np.ascontiguousarray(depends)),
        problem.edge_servers,
        int(problem.send_once),
        *compiled.pointers(*given, *read),
    )
    return read


@pytest.mark.parametrize("static", [{}, {"send_once": True, "edge_servers": 2}], ids=["", "once"])
def test_columns_are_the_same_in_every_back_end(tmp_path: Path, static: dict) -> None:
    """Places at random, order by number; requests with releases, dead links and empty tasks."""
    problem = cases.as_problem(requests(NUM, **static))
    place = np.random.default_rng(0).integers(0, 3, (NUM, NUM_TASKS))
    decision = oj.graphs.Decision(place, np.tile(np.arange(NUM_TASKS), (NUM, 1)))
    expected = in_jax(problem, decision)
    for others in (in_numba(problem, decision), in_c(tmp_path, problem, decision)):
        for names, ours, theirs in zip((TASK, PLACE, STEP), expected, others, strict=True):
            assert ours.shape == theirs.shape and (np.abs(ours) <= LIMIT).all()
            for column, name in enumerate(names):
                np.testing.assert_allclose(
                    theirs[..., column], ours[..., column], atol=2e-5, rtol=2e-5, err_msg=name
                )
    # A column that never changes would be equal whatever it held.
    for names, values in zip((TASK, PLACE, STEP), expected, strict=True):
        assert [name for i, name in enumerate(names) if np.ptp(values[..., i]) == 0] == []
