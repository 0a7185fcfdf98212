"""Measures contenders under the protocols; every result is a row of JSON types."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

import offload_jax as oj
from benchmarks import protocols
from benchmarks.contenders import Contender
from benchmarks.protocols import Clock

PROTOCOLS = ("paper", "single_stream", "offline", "server")
PAPER_DECISIONS = 100_000
# Inputs rotate over so many batches.
_ROTATION = 4
# What tells how long a large batch will take.
_PROBE = 256
_MAX_BATCH = 64


@dataclasses.dataclass(frozen=True)
class Settings:
    """How long and on what.

    Attributes:
      protocols: some of `PROTOCOLS`.
      batch_sizes: of the Offline protocol.
      duration: seconds for each measurement; a single call that needs more is too slow.
      decisions: batch of the paper's protocol.
      max_requests: most single requests of a measurement.
      p99_bound: seconds, of the Server protocol.
      seed: of requests and arrivals.
    """

    protocols: tuple[str, ...] = ("paper", "single_stream")
    batch_sizes: tuple[int, ...] = (1, 100, 10_000)
    duration: float = 2.0
    decisions: int = PAPER_DECISIONS
    max_requests: int = PAPER_DECISIONS
    p99_bound: float = 0.01
    seed: int = 0


class Requests:
    """A pool of wide requests, on the host, with their optimal decisions' cost at hand."""

    def __init__(self, num: int, *, seed: int) -> None:
        with jax.default_device(jax.devices("cpu")[0]):
            problem = oj.scenarios.sample(jax.random.key(seed), oj.scenarios.WIDE, num)
        self.problem = jax.tree.map(np.asarray, problem)
        fields = [np.asarray(leaf, np.float64) for leaf in jax.tree.leaves(self.problem)]
        # Single requests come as float64 arrays and plain floats, as a server has them.
        few = min(num, 10_000)
        self.singles = [
            (fields[0][i], fields[1][i], *(float(leaf[i]) for leaf in fields[2:]))
            for i in range(few)
        ]

    def rotation(self, size: int) -> list[oj.ChainProblem]:
        """Batches of one size; they differ unless the pool is too small for that."""
        num = len(self.problem.device_speed)
        starts = [(r * size) % max(num - size + 1, 1) for r in range(_ROTATION)]
        return [self.problem[start : start + size] for start in starts]


def quality(problem: oj.ChainProblem, decision: Any) -> dict[str, float]:
    """Normalised latency of the decisions that were made while timing."""
    with jax.default_device(jax.devices("cpu")[0]):
        result = oj.metrics.normalized_latency(problem, np.asarray(decision))
    return {name: float(value) for name, value in result._asdict().items()}


def rows(
    contender: Contender, requests: Requests, settings: Settings, *, clock: Clock
) -> Iterator[dict[str, Any]]:
    """All rows of one contender, each given as soon as it is measured.

    A protocol that fails gives a row that says so and the next one goes on.
    """
    jobs: list[tuple[str, int, Callable[[], dict[str, Any]]]] = []

    def batched(protocol: str, size: int) -> None:
        jobs.append((protocol, size, lambda: _batch(contender, requests, settings, size, clock)))

    for protocol in settings.protocols:
        if contender.batch is not None and protocol == "paper":
            batched("paper_batch", settings.decisions)
        if contender.batch is not None and protocol == "offline":
            for size in settings.batch_sizes:
                batched("offline", size)
        if contender.one is not None and protocol in ("paper", "single_stream"):
            name = "paper_loop" if protocol == "paper" else protocol
            jobs.append((name, 1, lambda: _singles(contender, requests, settings, clock)))
        if protocol == "server":
            size = 1 if contender.batch is None else _MAX_BATCH
            jobs.append((protocol, size, lambda: _server(contender, requests, settings, clock)))
    for protocol, size, job in jobs:
        row = {"policy": contender.name, "protocol": protocol, "batch_size": size}
        row["on_host"] = contender.on_host
        try:
            row |= {"status": "measured"} | job()
        except Exception as error:
            lines = str(error).strip().splitlines()
            reason = f"{type(error).__name__}: {lines[0] if lines else ''}"
            row |= {"status": "failed", "note": reason}
        yield row


def _batch(
    contender: Contender, requests: Requests, settings: Settings, size: int, clock: Clock
) -> dict[str, Any]:
    """Median delay of a decision in a batch, and its parts."""
    assert contender.batch is not None
    note: dict[str, Any] = {}
    probe = contender.place(requests.rotation(min(size, _PROBE))[0])
    # Twice: what the first call sets up is not part of it.
    for _ in range(2):
        start = clock.now()
        jax.block_until_ready(contender.batch(probe))
        expected = (clock.now() - start) * size / min(size, _PROBE)
    if expected > settings.duration and size > _PROBE and contender.on_host:
        message = f"about {expected:.0f} s for {size}; measured on {_PROBE}"
        note, size = {"status": "too slow", "note": message}, _PROBE
    problems = requests.rotation(size)
    placed = [contender.place(problem) for problem in problems]
    prepared = contender.prepare(placed[0])
    batch, kept = contender.batch, [None]

    def call(i: int) -> None:
        kept[0] = jax.block_until_ready(batch(placed[i % _ROTATION]))

    call(0)
    seconds = protocols.offline(call, clock=clock, duration=settings.duration)
    last = (len(seconds) - 1) % _ROTATION
    result = {
        "decisions": size,
        "seconds_per_decision": _scaled(protocols.spread(seconds), size),
        "normalized_latency": quality(problems[last], kept[0]),
        **prepared,
        **note,
    }
    if prepared.get("flops"):
        result["flops_per_second"] = prepared["flops"] / float(np.median(seconds))
    if not contender.on_host:
        result["host_to_device_seconds"] = _median(lambda: contender.place(problems[0]), clock)
        # A fresh array each time: a second conversion would only return what the first kept.
        outputs = [jax.block_until_ready(batch(placed[i])) for i in range(_ROTATION)]
        times = []
        for output in outputs:
            start = clock.now()
            np.asarray(output)
            times.append(clock.now() - start)
        result["device_to_host_seconds"] = float(np.median(times))
    return result


def _median(call: Callable[[], Any], clock: Clock, repeats: int = 5) -> float:
    times = []
    for _ in range(repeats):
        start = clock.now()
        call()
        times.append(clock.now() - start)
    return float(np.median(times))


def _scaled(values: dict[str, Any], size: int) -> dict[str, Any]:
    return {k: v if k == "repeats" else v / size for k, v in values.items()}


def _singles(
    contender: Contender, requests: Requests, settings: Settings, clock: Clock
) -> dict[str, Any]:
    """Percentiles of the delay of single decisions."""
    one, singles = contender.one, requests.singles
    assert one is not None
    start = clock.now()
    one(*singles[-1])
    first_call = clock.now() - start
    decisions: list[Any] = [None] * len(singles)

    def decide(i: int) -> None:
        i %= len(singles)
        decisions[i] = one(*singles[i])

    for i in range(min(20, len(singles))):
        start = clock.now()
        decide(i)
        if clock.now() - start > settings.duration / 20:
            break
    latencies = protocols.single_stream(
        decide, clock=clock, duration=settings.duration, max_requests=settings.max_requests
    )
    made = [i for i, decision in enumerate(decisions) if decision is not None]
    summary = latencies.summary()
    return {
        "decisions": len(latencies.seconds),
        "seconds_per_decision": protocols.spread(latencies.seconds.tolist()),
        "latency": summary,
        "normalized_latency": quality(
            requests.problem[np.array(made)], np.stack([decisions[i] for i in made])
        ),
        "first_call_seconds": first_call,
    }


def _server(
    contender: Contender, requests: Requests, settings: Settings, clock: Clock
) -> dict[str, Any]:
    """The highest Poisson rate that keeps p99 under the bound."""
    num = len(requests.singles)
    if contender.batch is None:
        one, size = contender.one, 1
        assert one is not None

        def decide(first: int, count: int) -> None:
            one(*requests.singles[first % num])

    else:
        batch, size = contender.batch, _MAX_BATCH
        host = requests.rotation(size)

        def decide(first: int, count: int) -> None:
            # Always of full size, so that nothing compiles under load; places included.
            np.asarray(batch(contender.place(host[first % _ROTATION])))

    for i in range(3):
        decide(i, size)
    call = _median(lambda: decide(0, size), clock)

    def run(rate: float) -> protocols.Latencies:
        count = int(min(max(rate * settings.duration / 4, 200), 20_000))
        arrivals = protocols.poisson_arrivals(rate, count, seed=settings.seed)
        return protocols.server(
            decide, arrivals, clock=clock, max_batch=size, give_up=10 * settings.p99_bound
        )

    rate, latencies = protocols.highest_rate(
        run, bound=settings.p99_bound, start=2 * size / max(call, 1e-9)
    )
    result = {"requests_per_second": rate, "p99_bound": settings.p99_bound}
    return result if latencies is None else {**result, "latency": latencies.summary()}


def dispatch_floor(device: Any, *, clock: Clock, duration: float) -> dict[str, float]:
    """Percentiles of an empty jitted call: what no policy called one at a time can undercut."""
    value = jax.device_put(np.float32(0.0), device)
    empty = jax.jit(lambda x: x)
    jax.block_until_ready(empty(value))
    latencies = protocols.single_stream(
        lambda i: jax.block_until_ready(empty(value)),
        clock=clock,
        duration=duration,
        max_requests=10_000,
    )
    return latencies.summary()


def matrix_product_rate(device: Any, *, clock: Clock, duration: float, size: int = 2048) -> float:
    """Floating-point operations per second of a plain large matrix product, float32."""
    matrix = jax.device_put(np.ones((size, size), np.float32), device)
    product = jax.jit(lambda x: x @ x)
    jax.block_until_ready(product(matrix))
    seconds = protocols.offline(
        lambda i: jax.block_until_ready(product(matrix)), clock=clock, duration=duration
    )
    return 2 * size**3 / float(np.median(seconds))
