"""Seconds of a request as whole units, for solvers that know integers only."""

import math
from collections.abc import Iterable, Sequence

import numpy as np

from offload_jax.graphs.operations import DenseRequest, operations

RESOLUTION = 40
"""A unit is at most the makespan of a known schedule / 2^39."""


def in_units(request: DenseRequest, bound: float) -> tuple[DenseRequest, float]:
    """The request in whole units and the seconds of a unit; `inf` as bound asks for a safe one."""
    if bound == math.inf:
        bound = longest(request)
    unit = math.ldexp(1.0, math.frexp(bound)[1] - RESOLUTION)
    scaled = request.in_units(unit)
    times = [scaled.seconds, scaled.release, scaled.startup]
    times += [scaled.input, scaled.data, scaled.output]
    whole = np.concatenate([t.ravel() for t in times])
    common = np.gcd.reduce(whole[whole < 2.0 ** (RESOLUTION + 1)].astype(np.int64))
    if common > 1:
        unit *= int(common)
        scaled = request.in_units(unit)
    return scaled, unit


def longest(request: DenseRequest) -> float:
    """At least the makespan of every schedule without needless waiting."""

    def most(seconds: np.ndarray) -> float:
        return float(np.where(np.isfinite(seconds), seconds, 0.0).max(-1, initial=0.0).sum())

    delays = 0.0
    for hops, sends in (
        (request.input, request.sends_input),
        (request.data, request.sends_data),
        (request.output, request.sends_output),
    ):
        seconds = np.where(sends[..., None], hops + request.startup, 0.0)
        delays += float(np.where(np.isfinite(seconds), seconds, 0.0).sum())
    return float(request.release.max()) + most(request.seconds) + delays


def rounding(
    request: DenseRequest,
    scaled: DenseRequest,
    unit: float,
    place: Sequence[int],
    order: Iterable[int],
) -> float:
    """Seconds that rounding down took from a schedule, at most."""
    error = float((request.release - scaled.release * unit).max())
    startup = float((request.startup - scaled.startup * unit).max(initial=0.0))
    pairs = zip(operations(request, place, order), operations(scaled, place, order), strict=True)
    for exact, whole in pairs:
        error += exact.seconds - whole.seconds * unit
        error += 0.0 if exact.key[0] == "task" else startup
    return error
