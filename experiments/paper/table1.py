"""Table 1: how long a decision takes, by the benchmark in a process of its own.

Delays are measured in a fresh process, so that nothing an earlier experiment left in memory weighs
on them. Writes what `python -m benchmarks.delay.inference_delay` writes.
"""

import subprocess
import sys
from pathlib import Path
from typing import Any

from experiments.paper import trained
from experiments.reporting import artifacts

PROTOCOLS = ("paper", "single_stream")


def run(workdir: Path, *, duration: float) -> dict[str, Any]:
    """Measures every policy, those in `workdir/checkpoints` included, unless that is done.

    Args:
      workdir: gets `results/table1.json`, `results/table1.md` and figures.
      duration: seconds for each measurement.

    Returns:
      `section`, the part of the report as Markdown.

    Raises:
      RuntimeError: the benchmark failed; it has said why.
    """

    def compute() -> dict[str, Any]:
        command = [
            sys.executable,
            "-m",
            "benchmarks.delay.inference_delay",
            f"--protocol={','.join(PROTOCOLS)}",
            f"--duration={duration}",
            f"--checkpoints={workdir / 'checkpoints'}",
            f"--output={workdir}",
        ]
        if subprocess.run(command).returncode:
            raise RuntimeError("the delay benchmark failed; see above")
        return {"section": (workdir / "results" / "table1.md").read_text()}

    config = {
        "protocols": list(PROTOCOLS),
        "duration": duration,
        "weights": trained.digests(trained.load_all(workdir)),
    }
    return artifacts.cached(workdir / "results" / "table1_section.json", config, compute)


def section(results: dict[str, Any]) -> str:
    """The part of the report about delays, as Markdown."""
    return results["section"]
