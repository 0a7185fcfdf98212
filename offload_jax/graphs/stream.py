"""Requests that arrive over time at one machine, and the policies that decide about each."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int, Int8

from offload_jax.batching import lift
from offload_jax.graphs._jax import stream as in_jax
from offload_jax.graphs._jax.few_shapes import by_loops
from offload_jax.graphs._jax.lower_bound import lower_bound
from offload_jax.graphs.costs import GraphCosts, as_costs, check_source, copies
from offload_jax.graphs.decision import Decision, check_decision, decision_of
from offload_jax.graphs.problem import GraphProblem, as_integer_array, check_users
from offload_jax.objectives import PowerModel
from offload_jax.summary import summarize
from offload_jax.validation import (
    FINITE,
    Array,
    ArrayLike,
    as_float64,
    as_float_array,
    broadcast_shapes,
    check_class,
    check_integer,
    check_kind,
    check_known,
    check_positive,
    is_traced,
    require,
)

if TYPE_CHECKING:
    from offload_jax.workloads import BandwidthTrace

GREEDY, SEARCH = "greedy", "search"
StreamPolicy = str | Decision | Callable[[Any], Decision]
"""What decides about each request: see `stream`."""


class Interval(NamedTuple):
    """A mean over streams and its confidence interval (Student's t); NaN of a single stream."""

    mean: float
    low: float
    high: float


class Sojourns(NamedTuple):
    """What streams of requests took: mean, median and 99th percentile of each, over streams."""

    mean: Interval
    p50: Interval
    p99: Interval


class Stream(NamedTuple):
    """What became of R requests of each stream.

    Attributes:
      sojourn: `[..., R]` seconds from arrival until the request is done and home; `inf` of one that
        would never be, which the machine then does not take.
      lower_bound: `[..., R]` seconds that no policy is below, whatever it knows: those of the
        request alone on an empty machine, by `oj.graphs.lower_bound`.
      place: int8 `[..., R, N]` what was decided.
      order: int32 `[..., R, N]`.
      place_utilisation: `[..., K]` share of the time from the first arrival until all are home in
        which servers of each place work, the mean over its servers, and over users where each has
        one; where any number of tasks may run, how many do in the mean.
      link_utilisation: `[..., L]` likewise.
      energy: `[..., R]` joules of the device without idle power; None for `GraphCosts`.
    """

    sojourn: Float[Array, "*batch R"]
    lower_bound: Float[Array, "*batch R"]
    place: Int8[Array, "*batch R N"]
    order: Int[Array, "*batch R N"]
    place_utilisation: Float[Array, "*batch K"]
    link_utilisation: Float[Array, "*batch L"]
    energy: Float[Array, "*batch R"] | None

    def __repr__(self) -> str:
        return summarize(self)

    def statistics(self, *, skip: int = 0, confidence: float = 0.95) -> Sojourns:
        """Mean, median and 99th percentile of the sojourns of each stream, over streams.

        Args:
          skip: how many requests of each stream are left out, the first ones, which find the
            machine emptier than later ones do.
          confidence: of the intervals, between 0 and 1.

        Raises:
          ValueError: an argument is out of range.
        """
        check_integer("skip", skip, least=0)
        if not 0 < confidence < 1:
            raise ValueError(f"confidence = {confidence}: must be between 0 and 1")
        if skip >= self.sojourn.shape[-1]:
            raise ValueError(f"skip = {skip}: leaves none of {self.sojourn.shape[-1]} requests")
        kept = np.asarray(self.sojourn, np.float64)[..., skip:]
        kept = kept.reshape(-1, kept.shape[-1])
        median, p99 = np.quantile(kept, (0.5, 0.99), axis=1, method="higher")
        return Sojourns(*(_interval(each, confidence) for each in (kept.mean(1), median, p99)))


def _interval(values: np.ndarray, confidence: float) -> Interval:
    from scipy import special

    mean, width = float(values.mean()), math.nan
    if len(values) > 1 and math.isfinite(mean):
        # Of Student's distribution.
        quantile = special.stdtrit(len(values) - 1, (1 + confidence) / 2)
        width = float(quantile * values.std(ddof=1) / math.sqrt(len(values)))
    return Interval(mean, mean - width, mean + width)


def poisson_arrivals(key: jax.Array, rate: float, shape: int | Sequence[int]) -> Array:
    """Times of a Poisson process, `[..., R]` seconds.

    Args:
      key: JAX random key.
      rate: arrivals a second, of all users together, above 0.
      shape: R, or that of a batch of independent streams, whose last axis is R.

    Raises:
      ValueError: the rate is not above 0 or not finite.
    """
    if not is_traced(rate):
        check_positive("rate", rate)
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    gaps = jax.random.exponential(key, shape)
    if is_traced(gaps, rate):
        return jnp.cumsum(gaps, -1) / rate
    return np.cumsum(np.asarray(gaps, np.float64), -1) / rate


def stream(
    requests: GraphProblem | GraphCosts,
    arrivals: ArrayLike,
    policy: StreamPolicy = GREEDY,
    *,
    user: ArrayLike = 0,
    num_users: int = 1,
    trace: "BandwidthTrace | None" = None,
    trace_start: ArrayLike = 0.0,
    num_simulations: int | None = None,
    time_limit: float | None = None,
    seed: int = 0,
    power: PowerModel | None = None,
) -> Stream:
    """Serves requests that arrive over time and share processors and links.

    When a request arrives, the policy decides about it, and all its tasks and transfers are booked
    at once, as `simulate` books them, behind what was booked for earlier ones. Nothing is decided
    again later. Bandwidths are those at the arrival, for all transfers of the request.

    What each policy sees:

    - "greedy" and a learned policy: the request and when links and servers will be free;
    - "search": the same; it anneals from the best of greedy, the minimum cut and single places, for
      as long as `time_limit` or `num_simulations` say. On the host.
    - any other callable, such as `policies.heft`: the requests alone, all in one call, as if each
      found the machine empty. A `Decision` about them, `[..., R, N]`, is taken as it is.

    Works inside `jit` and `vmap`, as one scan over requests, but for search and a trace.

    Args:
      requests: of one user each; leading dimensions `[..., R]`, broadcast with those below.
      arrivals: `[..., R]` seconds, never decreasing.
      policy: see above.
      user: int `[..., R]` whose each request is.
      num_users: U; every user has a device, and unless requests say `shared_radio` a radio. Of
        `GraphCosts` `own_places` and `own_links` say what every user has.
      trace: bandwidth between device and edge over time, in place of the requests' own. It starts
        again at its end.
      trace_start: `[..., R]` seconds into the trace at which time 0 is, such as `[B, 1]` for each
        stream.
      num_simulations: of search for each request; 1 000 if there is no time limit either.
      time_limit: seconds of search for each request.
      seed: of search.
      power: of the devices; the default one if None.

    Returns:
      Sojourns, decisions, utilisation and energy.

    Raises:
      ValueError: the requests are invalid or of several users each, arrivals decrease, or an
        argument is out of range or of no use with the policy; names it.
    """
    check_source(requests)
    _check(requests, policy, num_users, num_simulations, time_limit, power)
    times, whose = _times(arrivals), as_integer_array("user", user)
    check_users(whose, num_users)
    if trace is not None:
        requests = _on_trace(requests, times, trace, trace_start)
    shapes = {"requests": requests.batch_shape, "arrivals": times.shape, "user": np.shape(whose)}
    batch = broadcast_shapes(shapes)
    costs = as_costs(requests)
    options: dict[str, Any] = {}
    if _is_learned(policy):
        options["policy"] = policy
    elif isinstance(policy, str):
        if policy == SEARCH:
            options["search"] = num_simulations, time_limit, seed
    else:
        decided = decision_of("policy", policy if isinstance(policy, tuple) else policy(requests))
        options["decision"] = check_decision(costs.predecessors, costs.num_places, *decided)
    owned = of_users(requests, costs, num_users)
    flat = math.prod(batch[:-1]), batch[-1]
    times, whose = (_broadcast(value, batch).reshape(flat) for value in (times, whose))
    served: Any
    if by_loops(costs, times, whose, options.get("decision"), getattr(policy, "params", None)):
        from offload_jax.graphs._numba import stream as in_loops

        served = in_loops.serve(costs, owned, batch, times, whose, **options)
    elif policy == SEARCH:
        raise ValueError('policy: "search" is for the host, outside of jit, and needs numba')
    else:
        served = in_jax.serve(costs, owned, batch, times, whose, **options)
    return _result(requests, costs, owned, batch, times, served, power or PowerModel())


def _is_learned(policy: Any) -> bool:
    if isinstance(policy, str | tuple):
        return False
    from offload_jax.graphs._jax.policy import LearnedGraphPolicy

    return isinstance(policy, LearnedGraphPolicy)


def of_users(requests: Any, costs: GraphCosts, num_users: int) -> GraphCosts:
    """Costs of requests of one user, with what is static of a machine of several.

    Args:
      requests: that they are of: a problem, costs, or a scenario of problems.
    """
    radio = costs.own_links
    if not isinstance(requests, GraphCosts):
        own = not getattr(requests, "shared_radio", False)
        radio = own, own, False, False
    return dataclasses.replace(costs, num_users=num_users, own_links=radio)


def _broadcast(value: Any, shape: tuple[int, ...]) -> Any:
    return (jnp if isinstance(value, jax.Array) else np).broadcast_to(value, shape)


def _check(
    requests: GraphProblem | GraphCosts,
    policy: Any,
    num_users: int,
    num_simulations: int | None,
    time_limit: float | None,
    power: PowerModel | None,
) -> None:
    """Refuses what `stream` cannot take, as far as that is no array."""
    if requests.num_users != 1:
        raise ValueError(
            f"requests: have {requests.num_users} users each; a stream takes requests of one user"
            " each, and `user` says whose they are"
        )
    check_integer("num_users", num_users)
    if isinstance(policy, str):
        check_known("policy", policy, (GREEDY, SEARCH))
    elif not (isinstance(policy, tuple) or callable(policy)):
        raise ValueError(
            f'policy: must be "{GREEDY}", "{SEARCH}", a policy or decisions, got'
            f" {type(policy).__name__}"
        )
    for name, value in (("num_simulations", num_simulations), ("time_limit", time_limit)):
        if value is not None and not (isinstance(policy, str) and policy == SEARCH):
            raise ValueError(f'{name}: is for the policy "{SEARCH}" only')
    if num_simulations is not None:
        check_integer("num_simulations", num_simulations)
    if time_limit is not None:
        check_positive("time_limit", time_limit)
    if power is not None:
        check_class("power", power, PowerModel)
        if power.idle_watts:
            raise ValueError(
                f"power: a stream counts no idle power, got idle_watts = {power.idle_watts}"
            )


def _times(value: ArrayLike) -> Any:
    """Arrivals as an array, checked."""
    times = as_float_array("arrivals", value)
    check_kind("arrivals", times)
    if not times.ndim or not times.shape[-1]:
        raise ValueError(f"arrivals: needs times [..., R] of requests, got shape {times.shape}")
    if not is_traced(times):
        host = np.asarray(times)
        require("arrivals", host, FINITE.holds(host), FINITE.wording)
        later = np.diff(host, axis=-1, prepend=0.0) >= 0
        require("arrivals", host, later, "must not be before the one that precedes it")
    return times


def _on_trace(requests: Any, times: Any, trace: Any, trace_start: ArrayLike) -> GraphProblem:
    """The requests at the bandwidths of their arrivals."""
    from offload_jax.workloads.links.replay import LinkClock

    if not isinstance(requests, GraphProblem):
        raise ValueError("trace: is for requests that are a GraphProblem; costs have rates already")
    if is_traced(times):
        raise ValueError("trace: needs arrivals that are known, outside of jit")
    start = as_float64("trace_start", trace_start)
    require("trace_start", start, FINITE.holds(start), FINITE.wording)
    shapes = {"arrivals": times.shape, "trace_start": start.shape}
    broadcast_shapes(shapes)
    sample = LinkClock(trace).sample(np.asarray(times, np.float64) + start)
    bandwidth = trace.bandwidth[sample % len(trace.bandwidth)]
    return dataclasses.replace(requests, device_edge_bandwidth=bandwidth)


def _result(
    requests: GraphProblem | GraphCosts,
    costs: GraphCosts,
    owned: GraphCosts,
    batch: tuple[int, ...],
    times: Any,
    served: Any,
    power: PowerModel,
) -> Stream:
    """What was written about `[B R]` requests, for those who asked."""
    traced = is_traced(served)
    library = jnp if traced else np
    num_tasks, streams, flat = costs.num_tasks, batch[:-1], times.shape
    sojourn = served.sojourn.reshape(flat)
    done = library.isfinite(sojourn)
    home = library.where(done, times + sojourn, times)
    span = (home.max(-1) - times[:, 0])[:, None]
    span = library.where(span > 0, span, 1.0)

    def share(seconds: Any, at_a_time: Any) -> Any:
        """Of the time of each stream, of the servers of each place or the entries of each link."""
        total = seconds.reshape(*flat, -1).sum(1) / np.array([at_a_time], np.float32)
        return (total / span).reshape(*streams, -1)

    pairs = zip(costs.servers, copies(owned.own_places, owned.num_users), strict=True)
    at_places = [(number or 1) * users for number, users in pairs]
    energy = None
    if isinstance(requests, GraphProblem):
        seconds = served.place_seconds.reshape(*batch, -1)[..., 0]
        radio = served.link_seconds.reshape(*batch, -1)
        speed = lift(library.asarray(requests.device_speed), len(batch))
        energy = power.switched_capacitance * speed**3 * seconds
        energy = energy + power.transmit_watts * radio[..., 0]
        energy = energy + power.receive_watts * radio[..., 1]
        energy = library.where(done.reshape(batch), energy, math.inf)
    dtype = jnp.result_type(costs.seconds, jnp.float32)

    def given(value: Any, kind: Any = dtype) -> Any:
        return value.astype(kind) if traced else jax.device_put(np.asarray(value, kind))

    bound = _broadcast(lower_bound(costs), batch)
    return Stream(
        given(sojourn.reshape(batch)),
        given(bound),
        given(served.place.reshape(*batch, num_tasks), np.int8),
        given(served.order.reshape(*batch, num_tasks), np.int32),
        given(share(served.place_seconds, at_places)),
        given(share(served.link_seconds, copies(owned.own_links, owned.num_users))),
        energy if energy is None else given(energy),
    )
