"""Table 1: how long a decision takes, by the benchmark in a process of its own.

Delays are measured in a fresh process, so that nothing an earlier experiment left in memory weighs
on them. Keeps what `python -m benchmarks.delay.inference_delay` writes.
"""

import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from experiments.paper import evaluation, presets
from experiments.reporting.results import cached
from experiments.reporting.stage import Settings, Stage, script

PROTOCOLS = ("paper", "single_stream")


def compute(settings: Settings) -> dict[str, Any]:
    """Measures every policy, those in `checkpoints/` included.

    Returns:
      `section`, the part of the report as Markdown.

    Raises:
      RuntimeError: the benchmark failed; it has said why.
    """
    duration = presets.of(settings).delay_duration

    def measure() -> dict[str, Any]:
        command = [
            sys.executable,
            "-m",
            "benchmarks.delay.inference_delay",
            f"--protocol={','.join(PROTOCOLS)}",
            f"--duration={duration}",
            f"--checkpoints={settings.workdir / 'checkpoints'}",
            f"--output={settings.workdir}",
        ]
        if subprocess.run(command).returncode:
            raise RuntimeError("the delay benchmark failed; see above")
        return {"section": (settings.workdir / "results" / "table1.md").read_text()}

    config = {
        "protocols": list(PROTOCOLS),
        "duration": duration,
        "weights": evaluation.digests(evaluation.load_trained(settings)),
    }
    return cached(settings.result("table1_section"), config, measure)


def section(results: Mapping[str, Any], settings: Settings) -> str:
    """The part of the report about delays, as Markdown."""
    return results["section"]


STAGE = Stage("table 1", compute, section, latency_only=True)

if __name__ == "__main__":
    script(STAGE)
