"""Table 1: how long a decision takes, every policy in a process of its own.

So nothing that an earlier experiment left in memory weighs on the delays. Keeps what
`python -m benchmarks.delay` writes.
"""

from collections.abc import Mapping
from typing import Any

from benchmarks.delay import measure, report, run
from benchmarks.delay.chains import FAMILY
from experiments.paper import presets
from experiments.reporting.stage import Settings, Stage, script

PROTOCOLS = ("paper", "single_stream")


def compute(settings: Settings) -> dict[str, Any]:
    """Measures every policy, those in `checkpoints/` included, as far as that is not done.

    Returns:
      `section`, the part of the report as Markdown, and `cpu_seconds` of all measurements.

    Raises:
      ValueError: a result file is something else.
    """
    duration = presets.of(settings).delay_duration
    document = run.measure_all(
        tuple(FAMILY.policies),
        measure.Settings(protocols=PROTOCOLS, duration=duration),
        family=FAMILY,
        platform="cpu",
        checkpoints=settings.workdir / "checkpoints",
        output=settings.workdir,
    )
    seconds = sum(row.get("cpu_seconds", 0.0) for row in document["rows"])
    return {"section": report.write(settings.workdir, FAMILY), "cpu_seconds": seconds}


def section(results: Mapping[str, Any], settings: Settings) -> str:
    """The part of the report about delays, as Markdown."""
    return results["section"]


STAGE = Stage("table 1", compute, section, latency_only=True, flags=("preset",))

if __name__ == "__main__":
    script(STAGE)
