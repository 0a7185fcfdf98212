"""Many users who share an edge as one problem, and their decisions one by one again."""

import math
from collections.abc import Iterable, Sequence
from types import ModuleType
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from offload_jax.batching import Batched
from offload_jax.graphs._jax.simulate import simulate
from offload_jax.graphs.costs import GraphCosts, as_costs, check_source
from offload_jax.graphs.decision import Decided, Decision, GraphSolution, Schedule, decision_of
from offload_jax.graphs.problem import GraphProblem
from offload_jax.validation import (
    ArrayLike,
    as_float_array,
    check_class,
    is_for_host,
    is_traced,
)

_SHARED = ("edge_speed", "edge_cloud_bandwidth")
_STATIC = ("edge_servers", "send_once")


def merge(
    requests: Any,
    *,
    release: ArrayLike | None = None,
    shared_radio: bool = False,
) -> GraphProblem:
    """Requests of several users as one problem: their devices differ, edge and cloud are shared.

    Tasks keep their order, user after user.

    Args:
      requests: U of them, each a `GraphProblem` or an `oj.ChainProblem`; a list, or the first axis
        of a batch. Each may have further leading dimensions. A chain of A subtasks is a graph of A
        tasks.
      release: `[..., U]` seconds at which each request is there, on top of what its tasks wait for.
      shared_radio: whether all devices send over one link to the edge and receive over one; they
        must then be equally fast.

    Returns:
      A problem of U users; of one the request itself.

    Raises:
      ValueError: there are none, one has several users already, or they do not agree on what they
        share: the edge, the link to the cloud, `send_once`, the radio.
    """
    if isinstance(requests, Batched):
        if not requests.batch_shape:
            requests = [requests]
    else:
        check_class("requests", requests, Iterable)
    users = [_graph_of(i, one) for i, one in enumerate(requests)]
    if not users:
        raise ValueError("requests: there must be at least one")
    library = np if is_for_host(*users, release) else jnp
    shared = _agreed(users, (*_SHARED, "device_edge_bandwidth") if shared_radio else _SHARED)
    static = _agreed(users, _STATIC)
    number = np.repeat(np.arange(len(users), dtype=np.int32), [one.num_tasks for one in users])
    waits = [one.release for one in users]
    if release is not None:
        arrival = as_float_array("release", release)
        if np.shape(arrival)[-1:] != (len(users),):
            raise ValueError(
                f"release: needs one time for each of {len(users)} requests, got shape"
                f" {np.shape(arrival)}"
            )
        waits = [wait + arrival[..., i, None] for i, wait in enumerate(waits)]
    fields: dict[str, Any] = {
        name: _side_by_side(library, [getattr(one, name) for one in users])
        for name in ("cycles", "input", "output")
    }
    for name in ("data", "depends"):
        fields[name] = _block_diagonal(library, [getattr(one, name) for one in users])
    own = ("device_speed",) if shared_radio else ("device_speed", "device_edge_bandwidth")
    if len(users) > 1:
        for name in own:
            each = [library.asarray(getattr(one, name)) for one in users]
            fields[name] = library.stack(library.broadcast_arrays(*each), -1)
    else:
        fields |= {name: getattr(users[0], name) for name in own}
    return GraphProblem(
        **fields,
        **shared,
        **static,
        release=_side_by_side(library, waits),
        user=number,
        num_users=len(users),
        shared_radio=shared_radio,
    )


def split(problem: GraphProblem, decision: Decided) -> list[Decision]:
    """The decision about several users as a decision for each.

    Args:
      problem: made by `merge`, or any of which all rows have the same users.
      decision: place and order `[..., N]`.

    Returns:
      A decision `[..., N_i]` for each user i, its tasks numbered from 0 in their order.

    Raises:
      ValueError: tasks and decision do not fit, or rows have different users.
    """
    check_class("problem", problem, GraphProblem)
    if is_traced(problem, decision):
        raise ValueError("split: works on the host and cannot be traced")
    place, order = (np.asarray(part) for part in decision_of("decision", decision))
    user = np.asarray(problem.user)
    first = user.reshape(-1, user.shape[-1])[0]
    if (user != first).any():
        raise ValueError("problem: rows have different users; split each apart")
    if place.shape[-1] != len(first):
        raise ValueError(
            f"decision: must have {len(first)} tasks as the problem, got {place.shape[-1]}"
        )
    found = []
    for i in range(problem.num_users):
        mine = np.flatnonzero(first == i)
        number = np.full(len(first), -1)
        number[mine] = np.arange(len(mine))
        turns = number[order]
        turns = turns[turns >= 0].reshape(*order.shape[:-1], len(mine))
        found.append(Decision(place[..., mine], turns.astype(np.int32)))
    return found


def arrivals(costs: GraphCosts) -> Any:
    """`[..., U]` the earliest release of each user's tasks; 0 of one without any.

    Tasks that only fill a request up, without seconds, bytes or release, do not count.
    """
    library = np if is_for_host(costs) else jnp
    fields = {n: library.asarray(getattr(costs, n)) for n in ("input", "output", "release")}
    counts = sum(field > 0 for field in fields.values()) > 0
    counts = counts | (library.asarray(costs.seconds) > 0).any(-1)
    counts = counts | (library.asarray(costs.predecessors) >= 0).any(-1)
    user = library.asarray(costs.user)[..., None, :]
    mine = counts[..., None, :] & (user == library.arange(costs.num_users)[:, None])
    earliest = library.where(mine, fields["release"][..., None, :], math.inf).min(-1)
    return library.where(earliest < math.inf, earliest, 0.0)


def user_latency(problem: GraphProblem | GraphCosts, decision: Decided) -> Float[Any, "*batch U"]:
    """Seconds from the earliest release of each user's tasks until all is done and home.

    Their mean and the largest of them are `oj.MEAN_LATENCY` and `oj.MAX_LATENCY` of `solve`.

    Args:
      problem: problem or costs, leading dimensions free.
      decision: a schedule or solution, or a decision, which is simulated.

    Returns:
      `[..., U]` seconds, `inf` where something of a user never happens; 0 of one without tasks.

    Raises:
      ValueError: the problem is invalid, or the decision none of it.
    """
    check_source(problem)
    costs = as_costs(problem)
    if isinstance(decision, GraphSolution) and decision.schedule is not None:
        decision = decision.schedule
    if not isinstance(decision, Schedule):
        decision = simulate(costs, *decision_of("decision", decision))
    return decision.completion - arrivals(costs)


def _graph_of(index: int, request: Any) -> GraphProblem:
    if isinstance(request, Batched) and hasattr(request, "num_subtasks"):
        request = chain_as_graph(request)
    if not isinstance(request, GraphProblem):
        kind = type(request).__name__
        raise ValueError(f"requests[{index}]: must be a GraphProblem or ChainProblem, got {kind}")
    if request.num_users != 1:
        raise ValueError(f"requests[{index}]: has {request.num_users} users already")
    return request


def chain_as_graph(chain: Any) -> GraphProblem:
    """An `oj.ChainProblem` of A subtasks as a graph of A tasks, on the same machines."""
    cycles, data = chain.cycles, chain.data
    library = np if is_for_host(chain) else jnp
    number = chain.num_subtasks
    ahead = np.eye(number, k=1, dtype=bool)
    ends = np.eye(number)
    return GraphProblem(
        cycles=cycles,
        data=library.where(ahead, data[..., 1:, None], 0.0),
        depends=ahead,
        input=data[..., :1] * ends[0],
        output=data[..., -1:] * ends[-1],
        device_speed=chain.device_speed,
        edge_speed=chain.edge_speed,
        device_edge_bandwidth=chain.device_edge_bandwidth,
        edge_cloud_bandwidth=chain.edge_cloud_bandwidth,
    )


def _agreed(users: Sequence[GraphProblem], names: Sequence[str]) -> dict[str, Any]:
    """What all users must have alike, by name; values that are traced are not compared."""
    fields = {}
    for name in names:
        values = [getattr(one, name) for one in users]
        for i, value in enumerate(values):
            if not is_traced(value, values[0]) and not np.array_equal(value, values[0]):
                raise ValueError(
                    f"requests[{i}]: {name} = {value} differs from {values[0]} of requests[0],"
                    " but all users share it"
                )
        fields[name] = values[0]
    return fields


def _side_by_side(library: ModuleType, values: Sequence[Any]) -> Any:
    """`[..., N_i]` as `[..., sum of N_i]`."""
    batch = np.broadcast_shapes(*(np.shape(value)[:-1] for value in values))
    wide = [library.broadcast_to(value, (*batch, np.shape(value)[-1])) for value in values]
    return library.concatenate(wide, -1)


def _block_diagonal(library: ModuleType, values: Sequence[Any]) -> Any:
    """`[..., N_i, N_i]` as blocks of `[..., N, N]`, 0 or False elsewhere."""
    total, before, rows = sum(np.shape(value)[-1] for value in values), 0, []
    for value in values:
        size = np.shape(value)[-1]
        sides = [(0, 0)] * (np.ndim(value) - 1) + [(before, total - before - size)]
        rows.append(library.swapaxes(library.pad(value, sides), -1, -2))
        before += size
    return library.swapaxes(_side_by_side(library, rows), -1, -2)
