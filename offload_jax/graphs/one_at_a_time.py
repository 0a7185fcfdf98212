"""From the arguments of a call to one of the compiled loops of `one`, and back."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from offload_jax.graphs import compiled_network, one
from offload_jax.graphs.decision import Decision
from offload_jax.graphs.problem import GraphProblem, as_bool_array, validate
from offload_jax.network import Place
from offload_jax.validation import ArrayLike

if TYPE_CHECKING:
    from offload_jax.graphs.learned import LearnedGraphPolicy


def by_rule(method: str) -> Callable[..., Decision]:
    """What `oj.single.graph` returns."""
    if method not in one.METHODS:
        raise ValueError(f"method: unknown method {method!r}, known are {', '.join(one.METHODS)}")
    number = one.METHODS[method]
    return _decider(lambda *fields: one.decide(number, *fields))


def by_network(
    policy: "LearnedGraphPolicy", best_of: int | None, seed: int
) -> Callable[..., Decision]:
    """What `oj.single.learned` returns for a policy for task graphs."""
    for name, value in (("best_of", best_of or 0), ("seed", seed)):
        if value < 0:
            raise ValueError(f"{name} = {value}: must not be negative")
    network = compiled_network.pack(policy)
    samples, columns = best_of or 0, len(Place) + 1
    silence = np.empty((0, 0, columns))

    def kernel(cycles: np.ndarray, *fields: Any) -> tuple[np.ndarray, np.ndarray]:
        noise = silence
        if samples:
            noise = np.random.default_rng(seed).gumbel(size=(samples, cycles.size, columns))
        return one.learned(*network, noise, best_of is not None, cycles, *fields)

    return _decider(kernel)


def _decider(kernel: Callable[..., tuple[np.ndarray, np.ndarray]]) -> Callable[..., Decision]:
    """A callable with the fields of a `GraphProblem` as arguments, compiled when it returns."""

    def decide(
        cycles: ArrayLike,
        data: ArrayLike,
        depends: ArrayLike,
        input: ArrayLike,
        output: ArrayLike,
        device_speed: ArrayLike,
        edge_speed: ArrayLike,
        device_edge_bandwidth: ArrayLike,
        edge_cloud_bandwidth: ArrayLike,
        edge_servers: int = 1,
        release: ArrayLike = 0.0,
        send_once: bool = False,
    ) -> Decision:
        rates = device_speed, edge_speed, device_edge_bandwidth, edge_cloud_bandwidth
        fields = cycles, data, depends, input, output, *rates, edge_servers, release, send_once
        try:
            if not (isinstance(edge_servers, int | np.integer) and edge_servers >= 1):
                raise ValueError("edge_servers")
            # Copies: of whatever layout the arguments are, the compiled loop sees one.
            amounts = [np.array(v, np.float64, order="C") for v in (cycles, data, input, output)]
            needs = np.array(depends, order="C")
            if needs.dtype != bool:
                needs = as_bool_array("depends", needs)
            times = np.array(release, np.float64, order="C")
            if times.size == 1:
                times = np.full(amounts[0].shape, times)
            arrays = [*amounts[:2], needs, *amounts[2:], np.array(rates, np.float64), times]
            if [array.ndim for array in arrays] != [1, 2, 2, 1, 1, 1, 1]:
                raise ValueError("batch dimensions")
            place, order = kernel(*arrays[:-1], int(edge_servers), times, bool(send_once))
        except (TypeError, ValueError):
            place = np.empty(0, np.int8)
        if not len(place):
            validate(GraphProblem(*fields))
            raise ValueError("one request at a time: the fields must have no batch dimensions")
        return Decision(place, order)

    # The first call compiles.
    decide([0.0], [[0.0]], [[False]], [0.0], [0.0], 1.0, 1.0, 1.0, 1.0)
    return decide
