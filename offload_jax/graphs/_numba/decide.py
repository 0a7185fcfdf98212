"""One task graph at a time, from its fields to its decision in one compiled call, in float64."""

import functools
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from offload_jax.graphs._flow.row import PAPER
from offload_jax.graphs._flow.solve import least_serial
from offload_jax.graphs._numba import network
from offload_jax.graphs._numba.best_of import Effort
from offload_jax.graphs._numba.best_of import decide as decide_learned
from offload_jax.graphs._numba.list_scheduling import CPOP, HEFT, PEFT, plan
from offload_jax.graphs._numba.ranks import empty_last
from offload_jax.graphs._numba.rollout import best_schedule, until_all_are_served
from offload_jax.graphs._numba.rules import greedy, rank_order
from offload_jax.graphs._numba.simulator import compiled, inner
from offload_jax.graphs.decision import Decision
from offload_jax.graphs.problem import GraphProblem, as_bool_array, check_booleans, validate
from offload_jax.graphs.request import Request
from offload_jax.network import Place
from offload_jax.validation import ArrayLike, as_float64, check_known

if TYPE_CHECKING:
    from offload_jax.graphs._jax.policy import LearnedGraphPolicy


GREEDY = 3
# Numbers of tasks whose samples are kept.
_SIZES_KEPT = 4


METHODS = {"greedy": GREEDY, "heft": HEFT, "cpop": CPOP, "peft": PEFT, "cut": None}


@inner
def is_valid(cycles, data, depends, input, output, rates, release):
    """The rules of `validate` but for those on what is static; NaN fails every comparison."""
    num_tasks = cycles.size
    if num_tasks == 0 or data.shape != (num_tasks, num_tasks) or data.shape != depends.shape:
        return False
    if not (input.size == num_tasks and output.size == num_tasks and release.size == num_tasks):
        return False
    valid = rates[0] > 0 and rates[1] > 0
    for rate in rates:
        valid &= 0 <= rate < math.inf
    for u in range(num_tasks):
        valid &= 0 <= cycles[u] < math.inf and 0 <= release[u] < math.inf
        valid &= 0 <= input[u] < math.inf and 0 <= output[u] < math.inf
        for v in range(num_tasks):
            if depends[u, v]:
                valid &= u < v and 0 <= data[u, v] < math.inf
    return valid


@inner
def request_of(cycles, data, depends, input, output, rates, edge_servers, release, send_once):
    """A `Request` from the fields of a `GraphProblem`; see `costs.graph_costs`."""
    num_tasks = cycles.size
    seconds = np.zeros((num_tasks, 3))
    first_edge = np.zeros(num_tasks + 1, np.int64)
    num_edges = 0
    for v in range(num_tasks):
        seconds[v, 0], seconds[v, 1] = cycles[v] / rates[0], cycles[v] / rates[1]
        for u in range(v):
            num_edges += depends[u, v]
        first_edge[v + 1] = num_edges
    source, size = np.empty(num_edges, np.int64), np.empty(num_edges)
    edge = 0
    for v in range(num_tasks):
        for u in range(v):
            if depends[u, v]:
                source[edge], size[edge] = u, data[u, v]
                edge += 1
    per_byte = np.empty(4)
    for link in range(4):
        bandwidth = rates[2 + link // 2]
        per_byte[link] = 1.0 / bandwidth if bandwidth > 0 else math.inf
    return Request(
        seconds,
        first_edge,
        source,
        size,
        input,
        output,
        release,
        np.zeros(num_tasks, np.int64),
        per_byte,
        np.zeros(4),
        # Links 0 to 3: device to edge and back, edge to cloud and back.
        np.array([0, 0, 1, 3, 4, 4, 5, 7, 8, 8]),
        np.array([0, 0, 2, 1, 2, 3, 1, 3]),
        np.ones(4, np.bool_),
        send_once,
        np.arange(4),
        np.zeros(4, np.int64),
        np.array([1, edge_servers, 0]),
        np.array([0, 1, 1 + edge_servers, 1 + edge_servers]),
        np.zeros(3, np.int64),
        np.zeros(3, np.int64),
        1,
    )


@compiled
def decide(method, cycles, data, depends, input, output, rates, edge_servers, release, send_once):
    """int8 places and int32 order `[N]` of a rule; empty where the request is invalid."""
    if not is_valid(cycles, data, depends, input, output, rates, release):
        return np.empty(0, np.int8), np.empty(0, np.int32)
    request = request_of(
        cycles, data, depends, input, output, rates, edge_servers, release, send_once
    )
    if method == GREEDY:
        place, order = greedy(request)
    else:
        place, order, _ = plan(request, method)
    return place.astype(np.int8), order.astype(np.int32)


@compiled
def most_probable(
    weights, first, widths, silence, cycles, data, depends, input, output, rates, edge_servers,
    release, send_once,
):  # fmt: skip
    """int8 places and int32 order `[N]` by a network; empty where the request is invalid.

    Args:
      weights, first, widths: as `network.pack` gives them.
      silence: `[0, 0, 0]`.
    """
    if not is_valid(cycles, data, depends, input, output, rates, release):
        return np.empty(0, np.int8), np.empty(0, np.int32)
    request = request_of(
        cycles, data, depends, input, output, rates, edge_servers, release, send_once
    )
    place, order, _ = best_schedule(
        request, weights, first, widths, silence, silence > 0, *until_all_are_served(request)
    )
    return place.astype(np.int8), order.astype(np.int32)


def by_rule(method: str) -> Callable[..., Decision]:
    """What `oj.single.graph` returns."""
    check_known("method", method, METHODS, "method ")
    number = METHODS[method]
    return _decider(_by_cut if number is None else lambda *fields: decide(number, *fields))


@compiled
def _ranked(cycles, data, depends, input, output, rates, edge_servers, release, send_once):
    """The request and int `[N]` its upward-rank order, which is empty if the request is invalid."""
    if not is_valid(cycles, data, depends, input, output, rates, release):
        cycles, data, depends = cycles[:0], data[:0, :0], depends[:0, :0]
    request = request_of(
        cycles, data, depends, input, output, rates, edge_servers, release, send_once
    )
    return request, rank_order(request) if cycles.size else np.empty(0, np.int64)


@compiled
def _filled(request, place, order):
    """int8 places and int32 order; empty tasks are last and at place 0."""
    empty_last(request, place, order)
    return place.astype(np.int8), order.astype(np.int32)


def _by_cut(*fields: Any) -> tuple[np.ndarray, np.ndarray]:
    """Places of least serial latency by upward rank; empty if the request is invalid."""
    request, order = _ranked(*fields)
    request = Request(*request)
    place = least_serial(request, PAPER).place if len(order) else order
    return _filled(request, place.astype(np.int64), order)


def by_network(
    policy: "LearnedGraphPolicy", best_of: int | None, simulations: int, seed: int
) -> Callable[..., Decision]:
    """What `oj.single.learned` returns for a policy for task graphs."""
    from offload_jax.graphs._jax.noise import drawn

    given = ("best_of", best_of or 0), ("simulations", simulations), ("seed", seed)
    for name, value in given:
        if value < 0:
            raise ValueError(f"{name} = {value}: must not be negative")
    weights = network.pack(policy.config, policy.params)
    if best_of is None and not simulations:
        silence = np.empty((0, 0, 0))
        return _decider(lambda *fields: most_probable(*weights, silence, *fields))
    key = jax.random.key(seed)

    @functools.lru_cache(maxsize=_SIZES_KEPT)
    def effort(num_tasks: int) -> Effort:
        return drawn(key, best_of, simulations, num_tasks, len(Place))

    def kernel(*fields: Any) -> tuple[np.ndarray, np.ndarray]:
        request, order = _ranked(*fields)
        if not len(order):
            return order, order
        place, order = decide_learned(Request(*request), PAPER, weights, effort(len(order)))
        return place.astype(np.int8), order.astype(np.int32)

    return _decider(kernel)


def _decider(kernel: Callable[..., tuple[np.ndarray, np.ndarray]]) -> Callable[..., Decision]:
    """A callable with the fields of a `GraphProblem` as arguments, compiled when it returns."""

    def decide(
        cycles: ArrayLike,
        data: ArrayLike | None = None,
        depends: ArrayLike | None = None,
        input: ArrayLike | None = None,
        output: ArrayLike | None = None,
        device_speed: ArrayLike | None = None,
        edge_speed: ArrayLike | None = None,
        device_edge_bandwidth: ArrayLike | None = None,
        edge_cloud_bandwidth: ArrayLike | None = None,
        edge_servers: int = 1,
        release: ArrayLike = 0.0,
        send_once: bool = False,
        user: ArrayLike = 0,
        num_users: int = 1,
        shared_radio: bool = False,
    ) -> Decision:
        del user, shared_radio
        if num_users != 1:
            raise ValueError(f"num_users = {num_users}: one request at a time is of one user")
        rates = device_speed, edge_speed, device_edge_bandwidth, edge_cloud_bandwidth
        fields: Any = cycles, data, depends, input, output, *rates, edge_servers, release, send_once
        try:
            if not (isinstance(edge_servers, int | np.integer) and edge_servers >= 1):
                raise ValueError("edge_servers")
            # Copies: of whatever layout the arguments are, the compiled loop sees one.
            amounts = [as_float64("amounts", value) for value in (cycles, data, input, output)]
            needs: Any = depends
            if type(needs) is not np.ndarray or needs.dtype != bool:
                needs = as_bool_array("depends", needs)
                check_booleans("depends", needs)
            needs, times = np.array(needs, order="C"), as_float64("release", release)
            if times.size == 1:
                times = np.full(amounts[0].shape, times)
            speeds = [v if type(v) is float else as_float64("rates", v) for v in rates]
            arrays = [*amounts[:2], needs, *amounts[2:], np.array(speeds, np.float64), times]
            if [array.ndim for array in arrays] != [1, 2, 2, 1, 1, 1, 1]:
                raise ValueError("batch dimensions")
            place, order = kernel(*arrays[:-1], int(edge_servers), times, bool(send_once))
        except (TypeError, ValueError):
            place = np.empty(0, np.int8)
        if not len(place):
            if isinstance(cycles, GraphProblem):
                raise ValueError(
                    "cycles: takes the fields of a GraphProblem, got the problem itself"
                )
            validate(GraphProblem(*fields))
            raise ValueError("one request at a time: the fields must have no batch dimensions")
        return Decision(place, order)

    # The first call compiles.
    decide([0.0], [[0.0]], [[False]], [0.0], [0.0], 1.0, 1.0, 1.0, 1.0)
    return decide
