"""Runs every experiment that is not done yet, prints the main table and writes the report."""

import platform
import sys
from typing import Any

import jax
from absl import flags

import offload_jax as oj
from experiments.graphs import (
    ablations,
    compare,
    contenders,
    distill_student,
    gantt,
    generalization,
    real_graphs,
    streams,
)
from experiments.paper import evaluation, figure5, figure6, random_chains, table1
from experiments.reporting import command_line, comparison, tables
from experiments.reporting.files import write_text
from experiments.reporting.memory import drop_programs
from experiments.reporting.results import cpu_seconds, total_cpu_seconds
from experiments.reporting.stage import SETTINGS, Settings
from experiments.studies import (
    decision_map,
    decisions_over_time,
    pareto,
    real_tasks,
    resize_study,
    split_run,
)
from offload_jax import workloads

STAGES = (
    # Exact, and done within the first minute.
    random_chains.STAGE,
    real_tasks.STAGE,
    decision_map.STAGE,
    # These train, and the trained policies take part in what follows.
    figure5.STAGE,
    figure6.STAGE,
    pareto.STAGE,
    resize_study.STAGE,
    decisions_over_time.STAGE,
    table1.STAGE,
    # Task graphs.
    gantt.STAGE,
    real_graphs.STAGE,
    streams.STAGE,
    distill_student.STAGE,
    ablations.STAGE,
    compare.STAGE,
    generalization.STAGE,
    # Sleeps most of the time.
    split_run.STAGE,
)


def run(settings: Settings, *, forget: bool = False) -> dict[str, Any]:
    """Runs all stages; writes `report.md` when the last one is done.

    Until then the report of what is done stands in `report.partial.md`, and the `report.md` of an
    earlier run stays as it is.

    Args:
      settings: what was asked for.
      forget: drop compiled programs after each stage. All of them together take more memory maps
        than Linux gives a process.

    Returns:
      The results of each stage by name.

    Raises:
      ValueError: traces, task graphs or policies of the user are bad, before any work; or the
        folder holds foreign files.
    """
    if settings.trace_dir is not None:
        workloads.read_trace_dir(settings.trace_dir)
    real_graphs.read_graphs(settings.graph_dir)
    evaluation.own_policies(settings)
    contenders.own_policies(settings)
    partial = settings.workdir / "report.partial.md"
    results, sections = {}, []
    for stage in STAGES:
        if stage.latency_only and settings.objective != oj.LATENCY:
            continue
        start = cpu_seconds()
        results[stage.name], section = stage.run(settings)
        sections.append(section)
        if forget:
            drop_programs()
        print(f"{stage.name}: done, {cpu_seconds() - start:.1f} s of CPU", file=sys.stderr)
        write_text(partial, _header(settings) + "\n".join([*sections, _times(results)]))
    partial.replace(settings.workdir / "report.md")
    return results


def _header(settings: Settings) -> str:
    return (
        "# Reproduction report\n\n"
        f"Preset {settings.preset}, objective {settings.quantity}, seed {settings.seed}, jax"
        f" {jax.__version__} on {jax.devices()[0].platform}, Python {platform.python_version()}."
        " Everything here was computed by this run or, with the same settings and code, by an"
        " earlier one in this folder.\n\n"
    )


def _times(results: dict[str, Any]) -> str:
    seconds = {name: total_cpu_seconds(each) for name, each in results.items()}
    rows = [[name, each] for name, each in seconds.items()]
    rows.append(["total", sum(seconds.values())])
    return (
        "## Time\n\nSeconds of CPU (user and system) that computing the results took; figures"
        " and the start of the process come on top.\n\n"
        + tables.markdown(["stage", "CPU s"], rows, digits=1)
        + "\n"
    )


def main_table(results: dict[str, Any], settings: Settings) -> str:
    """What `make reproduce` prints at the end: cost over the optimum on wide requests."""
    columns = ("ratio_of_means", "mean", "median", "p99")
    rows = figure5.rows_of(results[figure5.STAGE.name], figure5.LITERAL)
    rows |= figure6.rows_of(results[figure6.STAGE.name])
    cells = [
        [comparison.title(name), *(rows[name][column] for column in columns)]
        for name in sorted(rows, key=lambda name: rows[name]["ratio_of_means"])
        if not name.startswith(("kd_student_one", "kd_matched"))
    ]
    headers = [
        f"{settings.quantity} / optimal",
        *(column.replace("_", " ") for column in columns),
    ]
    return tables.plain(headers, cells)


def main(values: flags.FlagValues) -> None:
    settings = Settings.from_flags(values)
    results = run(settings, forget=True)
    print(main_table(results, settings))
    print(f"\nreport: {settings.workdir / 'report.md'}, {cpu_seconds():.0f} s of CPU")


def define(values: flags.FlagValues) -> None:
    command_line.define(values, *SETTINGS)


if __name__ == "__main__":
    command_line.run(main, define)
