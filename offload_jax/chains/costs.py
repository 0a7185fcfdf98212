"""Additive chain costs: the one table every solver works on, and what fills it."""

import dataclasses
import functools
import itertools
import math
from types import ModuleType
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import DTypeLike

from offload_jax.batching import Batched, lift
from offload_jax.chains.problem import ChainProblem, validate_shapes
from offload_jax.network import Place
from offload_jax.objectives import LATENCY, Objective, Period, is_zero
from offload_jax.validation import (
    COST,
    Array,
    ArrayLike,
    Number,
    as_float_array,
    broadcast_shapes,
    check_class,
    check_kind,
    check_values,
)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, init=False, repr=False)
class ChainCosts(Batched):
    """Additive costs of a chain over K places; what a solver minimises.

    The cost of a decision I is the sum of `execution[t, I[t]]` over the A subtasks and of
    `transfer[t, I[t-1], I[t]]` over the A + 1 moves, where the chain starts and ends at place 0.
    Costs are not negative; `inf` marks what is impossible.

    Attributes:
      execution: `[..., A, K]` cost of running subtask t at place k.
      transfer: `[..., A + 1, K, K]` cost of moving the data before subtask t from place j to
        place k; `transfer[A]` moves the result, of which only column 0 is used.
    """

    execution: Array
    transfer: Array

    own_axes: ClassVar[dict[str, int]] = {"execution": 2, "transfer": 3}
    taken_by: ClassVar[str] = (
        "oj.solve, oj.evaluate, oj.pareto_front_of_costs, oj.policies.optimal, greedy, local and"
        " random, and oj.single.table"
    )

    def __init__(self, execution: ArrayLike, transfer: ArrayLike) -> None:
        for name, value in (("execution", execution), ("transfer", transfer)):
            # A number may be an axis for `vmap`.
            if isinstance(value, (list, tuple)) or hasattr(value, "__array__"):
                value = as_float_array(name, value)
            object.__setattr__(self, name, value)

    @property
    def num_subtasks(self) -> int:
        """A, the number of subtasks."""
        return self.execution.shape[-2]

    @property
    def num_places(self) -> int:
        """K, the number of places."""
        return self.execution.shape[-1]

    def subtask(self, t: int) -> "ChainCosts":
        """The chain cut down to subtask t and the transfers before and after it."""
        return ChainCosts(self.execution[..., t : t + 1, :], self.transfer[..., t : t + 2, :, :])

    def part(self, first: Any, length: int) -> "ChainCosts":
        """The chain cut down to so many subtasks from `first` on, which may be traced."""
        cut = jax.lax.dynamic_slice_in_dim
        return ChainCosts(
            cut(jnp.asarray(self.execution), first, length, axis=-2),
            cut(jnp.asarray(self.transfer), first, length + 1, axis=-3),
        )


class CostTerms(NamedTuple):
    """The table of `ChainCosts` entry by entry, chain axis first and batch last.

    Solvers read costs in this form: every entry is a separate array, so XLA fuses the
    computation of the entries into the solver's loop, and the table itself is never written to
    memory (it is five times larger than the problem).

    Attributes:
      execution: K arrays that broadcast to `[A, *batch]`.
      transfer: K rows of K arrays that broadcast to `[A + 1, *batch]`; `transfer[j][k]` moves
        from place j to place k.
    """

    execution: tuple[Any, ...]
    transfer: tuple[tuple[Any, ...], ...]

    @property
    def num_subtasks(self) -> int:
        return self.execution[0].shape[0]

    @property
    def num_places(self) -> int:
        return len(self.execution)

    @property
    def batch_shape(self) -> tuple[int, ...]:
        shapes = {str(i): entry.shape[1:] for i, entry in enumerate(jax.tree.leaves(self))}
        return broadcast_shapes(shapes)

    def rows(self, index: int | slice) -> "CostTerms":
        """The entries of some chains, of entries that have one batch axis in full."""
        return jax.tree.map(lambda entry: entry[:, index], self)

    def zeros(self, dtype: DTypeLike) -> jax.Array:
        """Zeros `[*batch]` for a scan to carry.

        Always zero; reading every entry gives the carry the mesh axes that `shard_map` wants, which
        must be the same before and after a step of the scan.
        """
        never = [(entry[0] < 0) & (entry[0] > 0) for entry in jax.tree.leaves(self)]
        return functools.reduce(jnp.logical_or, never).astype(dtype)


def problem_terms(
    problem: ChainProblem, objective: Objective, *, library: ModuleType = jnp
) -> CostTerms:
    """Cost entries of a problem (section 3.2; energy by `PowerModel`).

    Args:
      problem: the problem, leading dimensions free.
      objective: what to minimise.
      library: `jax.numpy`, or `numpy` for float64 on the host.
    """
    rank = len(problem.batch_shape)

    def scalar(value: Array) -> Any:
        return lift(library.asarray(value, dtype=_float_dtype(value, library)), rank + 1)

    def chain_first(value: Array) -> Any:
        return library.moveaxis(scalar(value), -1, 0)

    cycles, data = chain_first(problem.cycles), chain_first(problem.data)
    device_speed, edge_speed = scalar(problem.device_speed), scalar(problem.edge_speed)
    hop1, hop2 = scalar(problem.device_edge_bandwidth), scalar(problem.edge_cloud_bandwidth)

    power = objective.power
    waiting = _cost_per_second(objective, power.idle_watts)
    device_rate = objective.latency_weight / device_speed
    if not is_zero(objective.energy_weight):
        joules_per_cycle = (power.switched_capacitance * device_speed) * device_speed
        device_rate = device_rate + objective.energy_weight * joules_per_cycle
    sending = _cost_per_second(objective, power.transmit_watts)
    receiving = _cost_per_second(objective, power.receive_watts)
    up = _transfer_cost(data, hop1, sending, library)
    down = _transfer_cost(data, hop1, receiving, library)
    wan = _transfer_cost(data, hop2, waiting, library)
    stay = library.zeros_like(data)
    return CostTerms(
        execution=(
            cycles * device_rate,
            cycles * (waiting / edge_speed),
            library.zeros_like(cycles),
        ),
        transfer=((stay, up, up + wan), (down, stay, wan), (wan + down, wan, stay)),
    )


def _float_dtype(value: Array, library: ModuleType) -> Any:
    if library is np:
        return np.float64
    return None if jnp.issubdtype(jnp.result_type(value), jnp.floating) else jnp.float32


def _cost_per_second(objective: Objective, watts: Number) -> Number:
    """Cost of a second during which the device draws `watts`."""
    if is_zero(objective.energy_weight):
        return objective.latency_weight
    return objective.latency_weight + objective.energy_weight * watts


def _transfer_cost(
    data: Array, bandwidth: Array, cost_per_second: Number, library: ModuleType
) -> Any:
    """data / bandwidth * cost_per_second; no data costs 0, a dead link `inf` whatever the rate.

    The price is put on the bandwidth, not on the result, so that it is computed once a chain. The
    inner `where` keeps gradients finite on dead links.
    """
    alive = bandwidth > 0
    cost_per_byte = cost_per_second / library.where(alive, bandwidth, 1.0)
    return library.where(data > 0, library.where(alive, data * cost_per_byte, math.inf), 0.0)


def costs_terms(costs: ChainCosts, *, library: ModuleType = jnp) -> CostTerms:
    """Cost entries of a table: views, batch last."""
    rank = len(costs.batch_shape)

    def leading(value: Array, tail: int) -> Any:
        value = lift(library.asarray(value, dtype=_float_dtype(value, library)), rank + tail)
        return library.moveaxis(value, range(rank, rank + tail), range(tail))

    execution, transfer = leading(costs.execution, 2), leading(costs.transfer, 3)
    places = range(costs.num_places)
    return CostTerms(
        execution=tuple(execution[:, k] for k in places),
        transfer=tuple(tuple(transfer[:, j, k] for k in places) for j in places),
    )


def terms_of(
    source: ChainProblem | ChainCosts, objective: Objective, *, library: ModuleType = jnp
) -> CostTerms:
    """Cost entries of a problem under an objective, or of a table as it is."""
    if isinstance(source, ChainCosts):
        return costs_terms(source, library=library)
    return problem_terms(source, objective, library=library)


# Links of a `ChainProblem`, by the hop that they are, and the moves that cross each.
_CROSSED_BY = {
    (Place.DEVICE, Place.EDGE): ((0, 1), (0, 2)),
    (Place.EDGE, Place.DEVICE): ((1, 0), (2, 0)),
    (Place.EDGE, Place.CLOUD): ((0, 2), (1, 2)),
    (Place.CLOUD, Place.EDGE): ((2, 0), (2, 1)),
}


def terms_under_maximum(
    source: ChainProblem | ChainCosts, objective: Objective | Period, *, library: ModuleType = jnp
) -> list[CostTerms]:
    """Additive costs of which a decision costs the largest: for the period, one for each resource.

    In a problem those are the processors of device and edge and both directions of two links. Of a
    table every place is a processor, and every pair of places a link.
    """
    if isinstance(objective, Objective):
        return [terms_of(source, objective, library=library)]
    terms = terms_of(source, LATENCY, library=library)
    places = range(terms.num_places)
    processors, links = list(places), {(j, k): ((j, k),) for j in places for k in places}
    if isinstance(source, ChainProblem):
        processors, links = [Place.DEVICE, Place.EDGE], _CROSSED_BY  # type: ignore[assignment]
    still = library.zeros_like(terms.transfer[0][0])
    unmoved = ((still,) * len(places),) * len(places)
    idle = library.zeros_like(terms.execution[0])
    loads = [
        CostTerms(tuple(terms.execution[k] if k == at else idle for k in places), unmoved)
        for at in processors
    ]
    for (near, far), moves in links.items():
        crossing = terms.transfer[near][far]
        rows = tuple(tuple(crossing if (j, k) in moves else still for k in places) for j in places)
        loads.append(CostTerms((idle,) * len(places), rows))
    return loads


def chain_costs(problem: ChainProblem, objective: Objective = LATENCY) -> ChainCosts:
    """Writes a problem as a table of additive costs over DEVICE, EDGE, CLOUD.

    Args:
      problem: the problem, leading dimensions free.
      objective: what to minimise.

    Returns:
      `execution` `[..., A, 3]` and `transfer` `[..., A + 1, 3, 3]`, in seconds for latency, in
      joules for energy, in their weighted sum otherwise (sections 3.1 and 3.2).

    Raises:
      ValueError: the shapes do not fit; names the field.
    """
    validate_shapes(problem)
    check_class("objective", objective, Objective)
    return _chain_costs(problem, objective, weightless=objective.weightless)


@functools.partial(jax.jit, static_argnames="weightless")
def _chain_costs(
    problem: ChainProblem, objective: Objective, *, weightless: tuple[bool, bool]
) -> ChainCosts:
    terms = problem_terms(problem, objective.without(weightless))
    return stack_terms(terms, problem.batch_shape)


def stack_terms(
    terms: CostTerms, batch: tuple[int, ...], *, library: ModuleType = jnp
) -> ChainCosts:
    """Writes entries out as one table with leading batch dimensions."""
    num_subtasks = terms.num_subtasks

    def entry(value: Array, length: int) -> Any:
        return library.moveaxis(library.broadcast_to(value, (length, *batch)), 0, -1)

    execution = library.stack([entry(v, num_subtasks) for v in terms.execution], axis=-1)
    rows = [
        library.stack([entry(v, num_subtasks + 1) for v in row], axis=-1) for row in terms.transfer
    ]
    return ChainCosts(execution, library.stack(rows, axis=-2))


def host_terms(
    source: ChainProblem | ChainCosts, objective: Objective, batch: tuple[int, ...]
) -> CostTerms:
    """Cost entries for solvers on the host: float64, chains in one row.

    Args:
      source: concrete problem or table.
      objective: what to minimise; ignored for a table.
      batch: the batch shape wanted, of n chains; that of the source broadcasts to it.

    Returns:
      NumPy entries `[A, n]` and `[A + 1, n]`.
    """
    (terms,) = host_terms_under_maximum(source, objective, batch)
    return terms


def host_terms_under_maximum(
    source: ChainProblem | ChainCosts, objective: Objective | Period, batch: tuple[int, ...]
) -> list[CostTerms]:
    """The same for costs of which a decision costs the largest."""

    def flatten(entry: np.ndarray) -> np.ndarray:
        entry = lift_batch(entry, len(batch))
        return np.broadcast_to(entry, (len(entry), *batch)).reshape(len(entry), -1)

    return jax.tree.map(flatten, terms_under_maximum(source, objective, library=np))


def path_cost(terms: CostTerms, decision: np.ndarray) -> float:
    """What a decision `[A]` costs on NumPy entries of one chain."""
    place = decision.tolist()
    path = [0, *place, 0]
    executed = sum(float(terms.execution[k][t]) for t, k in enumerate(place))
    moves = enumerate(itertools.pairwise(path))
    return executed + sum(float(terms.transfer[j][k][t]) for t, (j, k) in moves)


def lift_batch(value: Any, rank: int) -> Any:
    """`lift` for arrays whose first axis is the chain."""
    return value.reshape(value.shape[:1] + (1,) * (rank + 1 - value.ndim) + value.shape[1:])


def validate_source(source: ChainProblem | ChainCosts) -> None:
    """Checks the shapes of a problem, or shapes and, on concrete arrays, values of a table.

    Raises:
      ValueError: it is neither, or names the field, the rule and the first bad index.
    """
    check_class("problem", source, ChainProblem, ChainCosts)
    if isinstance(source, ChainProblem):
        validate_shapes(source)
    else:
        validate_costs(source)


def validate_costs(costs: ChainCosts, name: str = "costs") -> None:
    """Checks the shapes and, on concrete arrays, the values of a table.

    Args:
      costs: the table.
      name: the argument, for the error that it is none.

    Raises:
      ValueError: names the field, the rule and the first bad index.
    """
    check_class(name, costs, ChainCosts)
    for name, value in vars(costs).items():
        check_kind(name, value)
    execution, transfer = costs.execution.shape, costs.transfer.shape
    if len(execution) < 2 or 0 in execution[-2:]:
        raise ValueError(f"execution: needs shape [..., A, K], A, K >= 1, got {execution}")
    num_subtasks, num_places = execution[-2:]
    needed = (num_subtasks + 1, num_places, num_places)
    if len(transfer) < 3 or transfer[-3:] != needed:
        raise ValueError(
            f"transfer: needs shape [..., A + 1, K, K] = [..., {', '.join(map(str, needed))}]"
            f" to go with execution {execution}, got {transfer}"
        )
    broadcast_shapes(costs.batch_shapes)
    check_values(vars(costs), dict.fromkeys(costs.own_axes, COST))
