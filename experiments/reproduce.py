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

import offload_jax as oj
from experiments.paper import figure5, figure6, random_chains, report_learned, table1
from experiments.paper.presets import PRESETS, Preset
from experiments.reporting import command_line, objective
from experiments.reporting.artifacts import write_text
from experiments.studies import decision_map, decisions_over_time, pareto, real_tasks, resize_study
from offload_jax import workloads

Stage = tuple[str, Callable[[], dict[str, Any]], Callable[[dict[str, Any]], str]]

# Seconds for each measurement of the delays.
_DELAY_DURATION = 0.3


def stages(workdir: Path, *, preset: Preset, seed: int, trace_dir: Path | None) -> list[Stage]:
    """Name, computation and report section of every experiment, in order."""
    goal = preset.objective
    every: list[Stage] = [
        (
            "random chains",
            lambda: random_chains.run(workdir, num=preset.num_test, seed=seed, objective=goal),
            random_chains.section,
        ),
        (
            "real tasks",
            lambda: real_tasks.run(workdir, trace_dir=trace_dir, objective=goal),
            real_tasks.section,
        ),
        (
            "decision maps",
            lambda: decision_map.run(workdir, objective=goal),
            decision_map.section,
        ),
        (
            "figure 5",
            lambda: figure5.run(preset, workdir, seed=seed),
            report_learned.figure5_section,
        ),
        (
            "figure 6",
            lambda: figure6.run(preset, workdir, seed=seed),
            report_learned.figure6_section,
        ),
        # From here on the trained policies take part.
        (
            "fronts",
            lambda: pareto.run(workdir, seed=seed),
            pareto.section,
        ),
        (
            "chains of other lengths",
            lambda: resize_study.run(workdir, seed=seed, objective=goal),
            resize_study.section,
        ),
        (
            "decisions over time",
            lambda: decisions_over_time.run(workdir, trace_dir=trace_dir, seed=seed),
            decisions_over_time.section,
        ),
        (
            "table 1",
            lambda: table1.run(workdir, duration=_DELAY_DURATION),
            table1.section,
        ),
    ]
    if goal != oj.LATENCY:
        # These two are about latency; see their documentation.
        every = [stage for stage in every if stage[0] not in ("decisions over time", "table 1")]
    return every


def run(
    workdir: Path, *, preset: Preset, seed: int = 0, trace_dir: Path | None = None
) -> dict[str, Any]:
    """Runs all stages and writes `report.md`.

    Args:
      workdir: gets `results/`, `figures/` and `report.md`.
      preset: sizes and recipes of what is trained, and the number of test requests.
      seed: of everything random.
      trace_dir: folder of recorded bandwidth traces, or None.

    Returns:
      The results of each stage by name.

    Raises:
      ValueError: the traces are malformed, before any work; or `workdir` holds foreign files.
    """
    if trace_dir is not None:
        workloads.read_trace_dir(trace_dir)
    results, sections = {}, []
    for name, compute, section in stages(workdir, preset=preset, seed=seed, trace_dir=trace_dir):
        start = time.monotonic()
        results[name] = compute()
        sections.append(section(results[name]))
        print(f"{name}: done in {time.monotonic() - start:.1f} s", file=sys.stderr)
        # After every stage, so that an interrupted run leaves a report of what it finished.
        write_text(workdir / "report.md", _header(seed, preset) + "\n".join(sections))
    return results


def _header(seed: int, preset: Preset) -> str:
    return (
        "# Reproduction report\n\n"
        f"Preset {preset.name}, objective {objective.quantity(preset.objective)}, seed {seed},"
        f" {preset.num_test} test requests, jax"
        f" {jax.__version__} on {jax.devices()[0].platform}, Python {platform.python_version()}."
        " Every figure below was computed by this run or by"
        " an earlier one with the same settings in this folder.\n\n"
    )


def main_table(results: dict[str, Any]) -> str:
    """What `make reproduce` prints at the end: cost over the optimum on wide requests."""
    columns = ("ratio_of_means", "mean", "median", "p99")
    learned = results["figure 5"] | {
        f"{name} (1K narrow)": row
        for name, row in results["figure 6"].items()
        if name in ("kd_dil", "kd_dil_paper", "baseline_dil", "drl_small")
    }
    rows = [
        [name.replace("_", " "), *(row[column] for column in columns)]
        for name, row in learned.items()
        if "ratio_of_means" in row
    ]
    rows.sort(key=lambda row: row[1])
    headers = ["latency / optimal", *(column.replace("_", " ") for column in columns)]
    return tabulate(rows, headers, "simple", floatfmt=".3f")


def main() -> None:
    workdir = Path(_WORKDIR.value)
    trace_dir = None if _TRACE_DIR.value is None else Path(_TRACE_DIR.value)
    preset = PRESETS[_PRESET.value].for_objective(objective.parse(_OBJECTIVE.value))
    results = run(workdir, preset=preset, seed=_SEED.value, trace_dir=trace_dir)
    print(main_table(results))
    print(f"\nreport: {workdir / 'report.md'}")


if __name__ == "__main__":
    _WORKDIR = flags.DEFINE_string("workdir", "runs/reproduce", "Where everything goes.")
    _SEED = flags.DEFINE_integer("seed", 0, "Seed of everything random.")
    _PRESET = flags.DEFINE_enum("preset", "quick", list(PRESETS), "Sizes and recipes.")
    _OBJECTIVE = objective.define()
    _TRACE_DIR = flags.DEFINE_string("trace_dir", None, "Folder of recorded bandwidth traces.")
    command_line.run(main)
