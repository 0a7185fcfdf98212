"""Single measurements of a contender; every result is part of a row, of JSON types."""

import dataclasses
import functools
import math
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from benchmarks.delay import protocols
from benchmarks.delay.family import Contender, Requests
from benchmarks.delay.protocols import Clock

PROTOCOLS = ("paper", "single_stream", "offline", "server")
SERVER_BATCH = 64
# Inputs rotate over so many batches.
ROTATION = 4
# Fewest random arrivals that say something about the slowest percent, and how many times the
# duration of a measurement they may take.
_MIN_ARRIVALS, _ARRIVAL_DURATIONS = 200, 5.0


@dataclasses.dataclass(frozen=True)
class Settings:
    """How long and on what.

    Attributes:
      protocols: some of `PROTOCOLS`.
      batch_sizes: of the offline protocol; several make a curve.
      decisions: batch of the paper's protocol, and most single requests.
      duration: seconds for each measurement; at least three calls are made.
      p99_bound: seconds, of the server protocol.
      time_limit: seconds after which a measurement is ended, by ending its process.
      seed: of requests and arrivals.

    Raises:
      ValueError: an unknown protocol, no time, an empty or no batch.
    """

    protocols: tuple[str, ...] = PROTOCOLS
    batch_sizes: tuple[int, ...] = (1, 10, 100, 1000, 10_000, 100_000, 1_000_000)
    decisions: int = 100_000
    duration: float = 2.0
    p99_bound: float = 0.01
    time_limit: float = 120.0
    seed: int = 0

    def __post_init__(self) -> None:
        for protocol in self.protocols:
            if protocol not in PROTOCOLS:
                known = ", ".join(PROTOCOLS)
                raise ValueError(f"protocols: {protocol!r} unknown, there are {known}")
        for name in ("duration", "time_limit", "p99_bound"):
            if not 0 < (value := getattr(self, name)) < math.inf:
                raise ValueError(f"{name} = {value:g}: must be more than 0 seconds")
        for name, sizes in (("batch_sizes", self.batch_sizes), ("decisions", (self.decisions,))):
            if min(sizes, default=0) < 1:
                raise ValueError(f"{name} = {sizes}: must be at least one size, each at least 1")

    @property
    def all_batch_sizes(self) -> list[int]:
        """Of the paper's protocol and of offline, smallest first."""
        offline = self.batch_sizes if "offline" in self.protocols else ()
        paper = (self.decisions,) if "paper" in self.protocols else ()
        return sorted({*offline, *paper})


def batch(
    contender: Contender, requests: Requests, size: int, settings: Settings, *, clock: Clock
) -> dict[str, Any]:
    """Delay of a decision in a batch, and its parts; inputs rotate."""
    parts = rotation(len(jax.tree.leaves(requests.batch)[0]), size)
    placed = [
        _timed(functools.partial(_placed, contender, requests, part), clock) for part in parts
    ]
    decide, facts = _compiled(contender, placed[0][1])
    kept = [jax.block_until_ready(decide(placed[0][1]))]

    def call(i: int) -> None:
        kept[0] = jax.block_until_ready(decide(placed[i % ROTATION][1]))

    seconds = protocols.repeated(call, clock=clock, duration=settings.duration, repeats=(3, 50))
    fetching, decisions = _timed(lambda: jax.tree.map(np.asarray, kept[0]), clock)
    if not contender.on_host:
        facts["host_to_device_seconds"] = float(np.median([each for each, _ in placed]))
        facts["device_to_host_seconds"] = fetching
    return {
        "decisions": size * len(seconds),
        "delay": protocols.summary(seconds / size),
        "quality": requests.quality(parts[(len(seconds) - 1) % ROTATION], decisions),
        **facts,
    }


def single(
    contender: Contender, requests: Requests, settings: Settings, *, clock: Clock
) -> dict[str, Any]:
    """Percentiles of the delay of single decisions, and of an empty jitted call beside them."""
    one, pool, duration = contender.one, requests.singles, settings.duration
    first_call, _ = _timed(lambda: one(*pool[-1]), clock)
    decisions: dict[int, Any] = {}

    def decide(i: int) -> None:
        i %= len(pool)
        decisions[i] = one(*pool[i])

    protocols.repeated(decide, clock=clock, duration=duration / 20, repeats=(1, 20))  # warm up
    seconds = protocols.repeated(
        decide, clock=clock, duration=duration, repeats=(1, settings.decisions)
    )
    facts = {} if contender.on_host else {"dispatch_floor": _dispatch_floor(duration / 4, clock)}
    return {
        "decisions": len(seconds),
        "delay": protocols.summary(seconds),
        "starting_seconds": first_call,
        "quality": requests.quality(
            np.array(list(decisions)), _joined(np.stack, list(decisions.values()))
        ),
        **facts,
    }


def server(
    contender: Contender, requests: Requests, settings: Settings, *, clock: Clock
) -> dict[str, Any]:
    """The highest Poisson rate that keeps p99 under the bound, and how good the decisions were."""
    pool, size = len(requests.singles), SERVER_BATCH if contender.batch else 1
    made: list[tuple[np.ndarray, Any]] = []

    def decide(first: int, count: int) -> None:
        first %= max(pool - size, 1)
        if contender.batch is None:
            answer = jax.tree.map(lambda leaf: leaf[None], contender.one(*requests.singles[first]))
        else:
            # What compiles gets batches of one size, so that it never compiles under load. The
            # way to the device and back is included.
            end = first + (count if contender.on_host else size)
            answer = contender.batch(_placed(contender, requests, slice(first, end)))
            answer = jax.tree.map(lambda leaf: np.asarray(leaf)[:count], answer)
        made.append((np.arange(first, first + count), answer))

    warm = [_timed(lambda: decide(0, size), clock)[0] for _ in range(7)]
    call = max(float(np.median(warm[3:])), 1e-9)
    made.clear()

    def run(rate: float) -> np.ndarray | None:
        # Long enough for a queue that grows to show.
        lasting = max(settings.duration / 4, 10 * settings.p99_bound)
        count = int(min(max(rate * lasting, _MIN_ARRIVALS), 100_000))
        arrivals = protocols.poisson_arrivals(rate, count, seed=settings.seed)
        give_up = 10 * settings.p99_bound
        return protocols.server(decide, arrivals, clock=clock, max_batch=size, give_up=give_up)

    lowest = _MIN_ARRIVALS / (_ARRIVAL_DURATIONS * settings.duration)
    rate, seconds = protocols.highest_rate(
        run, bound=settings.p99_bound, between=(lowest, max(2 * size / call, 2 * lowest))
    )
    which = np.concatenate([each for each, _ in made])
    quality = requests.quality(which, _joined(np.concatenate, [answer for _, answer in made]))
    found = {"requests_per_second": rate, "decisions": len(which), "quality": quality}
    if seconds is None:
        return found | {"note": f"{lowest:g} requests/s were too many"}
    return found | {"delay": protocols.summary(seconds)}


def rotation(length: int, size: int) -> list[slice]:
    """Batches of one size; they differ unless there are too few requests for that."""
    starts = [(i * size) % max(length - size + 1, 1) for i in range(ROTATION)]
    return [slice(start, start + size) for start in starts]


def _dispatch_floor(duration: float, clock: Clock) -> dict[str, Any]:
    """An empty jitted call: what no policy called one at a time through JAX can undercut."""
    value, empty = jax.device_put(np.float32(0.0)), jax.jit(lambda x: x)

    def call(i: int) -> None:
        jax.block_until_ready(empty(value))

    call(0)
    return protocols.summary(
        protocols.repeated(call, clock=clock, duration=duration, repeats=(1, 10_000))
    )


def _timed(call: Callable[[], Any], clock: Clock) -> tuple[float, Any]:
    start = clock.now()
    result = call()
    return clock.now() - start, result


def _placed(contender: Contender, requests: Requests, part: slice) -> Any:
    """A part of the requests where the contender reads it."""
    problem = jax.tree.map(lambda leaf: leaf[part], requests.batch)
    return problem if contender.on_host else jax.block_until_ready(jax.device_put(problem))


def _compiled(contender: Contender, problem: Any) -> tuple[Callable[[Any], Any], dict[str, Any]]:
    """`batch` for inputs of this shape, compiled once; seconds that took and bytes of a call."""
    if contender.on_host:
        return contender.batch, {}
    start = time.perf_counter()
    compiled = contender.batch.lower(problem).compile()
    seconds = time.perf_counter() - start
    memory = getattr(compiled.memory_analysis(), "temp_size_in_bytes", 0) or 0
    return compiled, {"starting_seconds": seconds, "temporary_bytes": memory}


def _joined(join: Callable[[Any], Any], decisions: list[Any]) -> Any:
    return jax.tree.map(lambda *leaves: join(leaves), *decisions)
