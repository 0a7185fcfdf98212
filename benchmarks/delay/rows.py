"""All measurements of one contender, in order."""

from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.delay import curves, measure
from benchmarks.delay.contenders import Contender
from benchmarks.delay.measure import Settings
from benchmarks.delay.pool import Requests
from benchmarks.delay.protocols import Clock

Job = Callable[[], dict[str, Any]]

WHOLE_BATCHES = ("paper_batch", "offline")


def rows(
    contender: Contender,
    requests: Requests,
    settings: Settings,
    *,
    clock: Clock,
    matrix_rate: Callable[[], float] | None = None,
) -> Iterator[dict[str, Any]]:
    """All rows of one contender, each given as soon as it is measured.

    A protocol that fails gives a row that says so and the next one goes on. One that hangs ends
    the contender: its other protocols get rows that say so.

    Args:
      contender: the policy.
      requests: what it decides on; at least as many as the largest batch.
      settings: protocols, sizes, durations.
      clock: see `protocols.Clock`.
      matrix_rate: operations per second of a plain matrix product now; measured before and after
        every batch of a network.
    """
    hung = ""
    for protocol, size, job in _jobs(contender, requests, settings, clock):
        head = {
            "policy": contender.name,
            "protocol": protocol,
            "batch_size": size,
            "num_subtasks": requests.problem.num_subtasks,
            "on_host": contender.on_host,
        }
        if hung:
            yield {**head, "status": "timed out", "note": f"left out, it hung in {hung}"}
            continue
        rate = matrix_rate if contender.flops and protocol in WHOLE_BATCHES else None
        before = rate() if rate else 0.0
        row = measure.attempt(head, job, limit=settings.time_limit)
        if rate and "flops_per_second" in row:
            row["matrix_product_flops_per_second"] = (before + rate()) / 2
            row["share_of_matrix_product"] = (
                row["flops_per_second"] / row["matrix_product_flops_per_second"]
            )
        yield row
        if row["status"] == "timed out":
            hung = protocol
    if "curves" in settings.protocols and not hung:
        yield from curves.rows(contender, requests, settings, clock=clock)


def _jobs(
    contender: Contender, requests: Requests, settings: Settings, clock: Clock
) -> Iterator[tuple[str, int, Job]]:
    """Protocol, batch size and measurement."""

    def batch(size: int) -> Job:
        def job() -> dict[str, Any]:
            row = measure.batch_that_fits(contender, requests, settings, size, clock=clock)
            if contender.on_host:
                return row
            return row | measure.transfers(contender, requests, row["decisions"], clock=clock)

        return job

    def one() -> dict[str, Any]:
        return measure.singles(contender, requests, settings, clock=clock)

    for protocol in settings.protocols:
        if protocol == "paper" and contender.batch is not None:
            yield "paper_batch", settings.decisions, batch(settings.decisions)
        if protocol == "paper" and contender.one is not None:
            yield "paper_loop", 1, one
        if protocol == "single_stream" and contender.one is not None:
            yield "single_stream", 1, one
        if protocol == "offline" and contender.batch is not None:
            for size in settings.batch_sizes:
                yield "offline", size, batch(size)
        if protocol == "server":
            yield (
                protocol,
                measure.server_batch(contender),
                lambda: measure.server(contender, requests, settings, clock=clock),
            )
