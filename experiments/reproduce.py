"""Runs every experiment that is not done yet, prints the main table and writes the report."""

import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
from absl import flags
from tabulate import tabulate

from experiments import command_line, random_chains, real_tasks
from experiments.artifacts import write_text

Stage = tuple[str, Callable[[], dict[str, Any]], Callable[[dict[str, Any]], str]]


def stages(workdir: Path, *, seed: int, num: int, trace_dir: Path | None) -> list[Stage]:
    """Name, computation and report section of every experiment, in order."""
    return [
        (
            "random chains",
            lambda: random_chains.run(workdir, num=num, seed=seed),
            random_chains.section,
        ),
        (
            "real tasks",
            lambda: real_tasks.run(workdir, trace_dir=trace_dir),
            real_tasks.section,
        ),
    ]


def run(
    workdir: Path, *, seed: int = 0, num: int = 10_000, trace_dir: Path | None = None
) -> dict[str, Any]:
    """Runs all stages and writes `report.md`.

    Args:
      workdir: gets `results/`, `figures/` and `report.md`.
      seed: of everything random.
      num: test samples.
      trace_dir: folder of recorded bandwidth traces, or None.

    Returns:
      The results of each stage by name.
    """
    results, sections = {}, []
    for name, compute, section in stages(workdir, seed=seed, num=num, trace_dir=trace_dir):
        start = time.monotonic()
        results[name] = compute()
        sections.append(section(results[name]))
        print(f"{name}: done in {time.monotonic() - start:.1f} s", file=sys.stderr)
        # After every stage, so that an interrupted run leaves a report of what it finished.
        write_text(workdir / "report.md", _header(seed, num) + "\n".join(sections))
    return results


def _header(seed: int, num: int) -> str:
    return (
        "# Reproduction report\n\n"
        f"Seed {seed}, {num} test samples, jax {jax.__version__} on {jax.devices()[0].platform},"
        f" Python {platform.python_version()}. Every figure below was computed by this run or by"
        " an earlier one with the same settings in this folder.\n\n"
    )


def main_table(results: dict[str, Any]) -> str:
    """What `make reproduce` prints at the end."""
    chains = results["random chains"]
    rows = []
    for policy in chains["wide"]:
        row: list[Any] = [policy]
        for setting in chains:
            row += [chains[setting][policy]["ratio_of_means"], chains[setting][policy]["median"]]
        rows.append(row)
    headers = ["latency / optimal"]
    for setting in chains:
        headers += [f"{setting}\nratio of means", "\nmedian"]
    return tabulate(rows, headers, "simple", floatfmt=".3f")


def main() -> None:
    workdir = Path(_WORKDIR.value)
    trace_dir = None if _TRACE_DIR.value is None else Path(_TRACE_DIR.value)
    results = run(workdir, seed=_SEED.value, num=_NUM.value, trace_dir=trace_dir)
    print(main_table(results))
    print(f"\nreport: {workdir / 'report.md'}")


if __name__ == "__main__":
    _WORKDIR = flags.DEFINE_string("workdir", "runs/reproduce", "Where everything goes.")
    _SEED = flags.DEFINE_integer("seed", 0, "Seed of everything random.")
    _NUM = flags.DEFINE_integer("num", 10_000, "Test samples.", lower_bound=1)
    _TRACE_DIR = flags.DEFINE_string("trace_dir", None, "Folder of recorded bandwidth traces.")
    command_line.run(main)
