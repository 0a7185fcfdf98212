"""Single measurements of a contender; every result is a row of JSON types."""

import ctypes
import dataclasses
import threading
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

import offload_jax as oj
from benchmarks.delay import protocols
from benchmarks.delay.contenders import Contender
from benchmarks.delay.pool import ROTATION, Requests
from benchmarks.delay.protocols import Clock

PROTOCOLS = ("paper", "single_stream", "offline", "server", "curves")
PAPER_DECISIONS = 100_000
# What tells how long a large batch will take.
_PROBE = 256
_MAX_BATCH = 64
# Fewest random arrivals that say something about the slowest percent.
_MIN_ARRIVALS = 200
# Waiting for them may take so many times the duration of a measurement.
_ARRIVAL_DURATIONS = 5.0
_THREAD = "measurement"
# Seconds that an interrupted job has to end.
_GRACE = 1.0
# A call that takes longer than so many measurements is not made.
CALL_DURATIONS = 10.0


@dataclasses.dataclass(frozen=True)
class Settings:
    """How long and on what.

    Attributes:
      protocols: some of `PROTOCOLS`.
      batch_sizes: of the Offline protocol.
      duration: seconds for each measurement. A single call that needs ten times as long is too
        slow, and a smaller one is made.
      decisions: batch of the paper's protocol.
      max_requests: most single requests of a measurement.
      p99_bound: seconds, of the Server protocol.
      curve_batch_sizes: of the curves over the batch size.
      time_limit: seconds after which a policy that does not come back is given up.
      seed: of requests and arrivals.
    """

    protocols: tuple[str, ...] = ("paper", "single_stream", "server", "curves")
    batch_sizes: tuple[int, ...] = (1, 100, 10_000)
    duration: float = 2.0
    decisions: int = PAPER_DECISIONS
    max_requests: int = PAPER_DECISIONS
    p99_bound: float = 0.01
    curve_batch_sizes: tuple[int, ...] = (1, 10, 100, 1000, 10_000, 100_000, 1_000_000)
    time_limit: float = 120.0
    seed: int = 0

    @property
    def longest_call(self) -> float:
        """Seconds that one call may take."""
        return CALL_DURATIONS * self.duration


class HungError(Exception):
    """A policy did not come back in time."""


def within(limit: float, job: Callable[[], Any]) -> Any:
    """The result of a job, in a thread of its own.

    A job that hangs is interrupted as soon as it is back in Python. A call that never returns
    cannot be: its thread is left behind.

    Raises:
      HungError: the job did not end in `limit` seconds.
    """
    results: list[Any] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            results.append(job())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=work, name=_THREAD, daemon=True)
    thread.start()
    try:
        thread.join(limit)
    finally:
        if thread.is_alive():
            _interrupt(thread)
    if results:
        return results[0]
    if thread.is_alive():
        raise HungError(f"no answer within {limit:g} s; it still runs and slows down what follows")
    if errors and not isinstance(errors[0], HungError):
        raise errors[0]
    raise HungError(f"no answer within {limit:g} s")


def _interrupt(thread: threading.Thread) -> None:
    """Raises HungError inside a thread and waits for it to end."""
    ident = ctypes.c_ulong(thread.ident or 0)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ident, ctypes.py_object(HungError))
    thread.join(_GRACE)


def left_behind() -> bool:
    """Whether a job that could not be interrupted still runs."""
    return any(thread.name == _THREAD for thread in threading.enumerate())


def attempt(
    head: dict[str, Any], job: Callable[[], dict[str, Any]], *, limit: float
) -> dict[str, Any]:
    """A row: the head, a status and what the job measured or why it did not."""
    try:
        return {**head, "status": "measured", **within(limit, job)}
    except HungError as error:
        return {**head, "status": "timed out", "note": str(error)}
    except Exception as error:
        lines = str(error).strip().splitlines()
        reason = f"{type(error).__name__}: {lines[0] if lines else ''}"
        return {**head, "status": "failed", "note": reason}


def batch_that_fits(
    contender: Contender, requests: Requests, settings: Settings, size: int, *, clock: Clock
) -> dict[str, Any]:
    """`batch` on `size` requests, or on fewer with a note that says so if a call is too long."""
    assert contender.batch is not None
    longest_probe = settings.duration / 10
    num = 1 if contender.on_host else min(size, _PROBE)
    while True:
        probe = contender.place(requests.problem[:num])
        # Twice: what the first call sets up is not part of it.
        for _ in range(2):
            start = clock.now()
            jax.block_until_ready(contender.batch(probe))
            seconds = clock.now() - start
        if not contender.on_host or num == size or seconds > longest_probe:
            break
        num = min(8 * num, size)
    expected = seconds * size / num
    if expected <= settings.longest_call:
        return batch(contender, requests, size, duration=settings.duration, clock=clock)
    fits = min(max(num, int(settings.duration / 2 / (seconds / num))), size)
    note = {
        "status": "too slow",
        "note": f"about {expected:.2g} s for {size}; measured on {fits}",
    }
    return batch(contender, requests, fits, duration=settings.duration, clock=clock) | note


def batch(
    contender: Contender,
    requests: Requests,
    size: int,
    *,
    duration: float,
    clock: Clock,
    repeats: tuple[int, int] = (3, 50),
) -> dict[str, Any]:
    """Median delay of a decision in a batch, and its parts."""
    assert contender.batch is not None
    slices = requests.rotation(size)
    placed = [contender.place(requests.problem[each]) for each in slices]
    prepared = contender.prepare(placed[0])
    decide, kept = contender.batch, [None]

    def call(i: int) -> None:
        kept[0] = jax.block_until_ready(decide(placed[i % ROTATION]))

    call(0)
    seconds = protocols.offline(call, clock=clock, duration=duration, repeats=repeats)
    last = (len(seconds) - 1) % ROTATION
    result = {
        "decisions": size,
        "seconds_per_decision": _scaled(protocols.spread(seconds), size),
        "normalized_latency": requests.quality(slices[last], kept[0]),
        **prepared,
    }
    if contender.flops:
        result["flops_per_decision"] = contender.flops
        result["flops_per_second"] = contender.flops * size / float(np.median(seconds))
    return result


def transfers(
    contender: Contender, requests: Requests, size: int, *, clock: Clock
) -> dict[str, float]:
    """Seconds to bring a batch to the device and its decisions back."""
    assert contender.batch is not None
    problem = requests.problem[:size]
    decision = contender.batch(contender.place(problem))
    # A fresh array each time: a second conversion would only return what the first kept.
    outputs = [jax.block_until_ready(decision.copy()) for _ in range(ROTATION)]
    return {
        "host_to_device_seconds": _median(lambda i: contender.place(problem), clock),
        "device_to_host_seconds": _median(lambda i: np.asarray(outputs[i]), clock),
    }


def _median(call: Callable[[int], Any], clock: Clock) -> float:
    times = []
    for i in range(ROTATION):
        start = clock.now()
        call(i)
        times.append(clock.now() - start)
    return float(np.median(times))


def _scaled(values: dict[str, Any], size: int) -> dict[str, Any]:
    return {k: v if k == "repeats" else v / size for k, v in values.items()}


def singles(
    contender: Contender, requests: Requests, settings: Settings, *, clock: Clock
) -> dict[str, Any]:
    """Percentiles of the delay of single decisions."""
    one, pool = contender.one, requests.singles
    assert one is not None
    start = clock.now()
    one(*pool[-1])
    first_call = clock.now() - start
    decisions: dict[int, Any] = {}

    def decide(i: int) -> None:
        i %= len(pool)
        decisions[i] = one(*pool[i])

    for i in range(min(20, len(pool))):
        start = clock.now()
        decide(i)
        if clock.now() - start > settings.duration / 20:
            break
    latencies = protocols.single_stream(
        decide, clock=clock, duration=settings.duration, max_requests=settings.max_requests
    )
    made = np.array(sorted(decisions))
    return {
        "decisions": len(latencies.seconds),
        "seconds_per_decision": protocols.spread(latencies.seconds.tolist()),
        "latency": latencies.summary(),
        "normalized_latency": requests.quality(made, np.stack([decisions[i] for i in made])),
        "first_call_seconds": first_call,
    }


def server(
    contender: Contender, requests: Requests, settings: Settings, *, clock: Clock
) -> dict[str, Any]:
    """The highest Poisson rate that keeps p99 under the bound, and how good the decisions were."""
    pool, size = len(requests.singles), server_batch(contender)
    fields = jax.tree.leaves(requests.problem)
    decisions = np.zeros((pool, requests.problem.num_subtasks), np.int8)
    made = np.zeros(pool, bool)

    def decide(first: int, count: int) -> None:
        if size == 1:
            assert contender.one is not None
            first %= pool
            decisions[first] = contender.one(*requests.singles[first])
        else:
            assert contender.batch is not None
            first %= max(pool - size, 1)
            # What compiles gets batches of one size, so that it never compiles under load. The
            # way to the device and back is included.
            end = first + (count if contender.on_host else size)
            sent = oj.ChainProblem(*(field[first:end] for field in fields))
            answer = np.asarray(contender.batch(contender.place(sent)))
            decisions[first : first + count] = answer[:count]
        made[first : first + count] = True

    for i in range(3):
        decide(i, size)
    call = _median(lambda i: decide(i, size), clock)
    made[:] = False

    def run(rate: float) -> protocols.Latencies:
        count = int(min(max(rate * settings.duration / 4, _MIN_ARRIVALS), 20_000))
        arrivals = protocols.poisson_arrivals(rate, count, seed=settings.seed)
        return protocols.server(
            decide, arrivals, clock=clock, max_batch=size, give_up=10 * settings.p99_bound
        )

    lowest = _MIN_ARRIVALS / (_ARRIVAL_DURATIONS * settings.duration)
    rate, latencies = protocols.highest_rate(
        run,
        bound=settings.p99_bound,
        between=(lowest, max(2 * size / max(call, 1e-9), 2 * lowest)),
    )
    which = np.flatnonzero(made)
    result = {
        "requests_per_second": rate,
        "p99_bound": settings.p99_bound,
        "decisions": len(which),
        "normalized_latency": requests.quality(which, decisions[which]),
    }
    if latencies is None:
        return {**result, "lowest_rate_tried": lowest}
    return {**result, "latency": latencies.summary()}


def server_batch(contender: Contender) -> int:
    """Most requests that a contender decides together under load."""
    return 1 if contender.batch is None else _MAX_BATCH
