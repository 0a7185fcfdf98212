"""Everything that is worth knowing about a card, in one run that may be cut off at any time.

    python -m benchmarks.accelerator --output=runs/card --minutes=8
    python -m benchmarks.accelerator --compare=runs/cpu,runs/card

Needs jax, jaxtyping, NumPy, absl-py, flax, optax and orbax-checkpoint alone. Takes the first device
that JAX finds, so that the same command on a CPU gives what to compare with. What is worth most
comes first; every row is in `accelerator.json` and `accelerator.md` of the output folder as soon as
it is measured, and what there was no time for is named there. Calls are warm, of each row the
median counts, and compiling is told apart.
"""

import time
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from benchmarks.accelerator import agreement, chains, graphs, report, table1, training
from benchmarks.accelerator.jobs import Job, Row, run
from benchmarks.accelerator.sizes import SIZES, Sizes
from experiments.reporting import command_line
from experiments.reporting.files import check_writable

PARTS = (chains.PART, table1.PART, graphs.PART, training.PART, agreement.PART)


def jobs(sizes: Sizes) -> list[Job]:
    """Everything, what is worth most first."""
    first_chains, more_chains = chains.jobs(sizes)
    first_graphs, more_graphs = graphs.jobs(sizes)
    same_chains, same_graphs = agreement.jobs(sizes)
    first_training, more_training = training.jobs(sizes)
    return [
        *first_chains,
        *first_graphs,
        *same_chains,
        *first_training,
        *table1.jobs(sizes),
        *more_chains,
        *same_graphs,
        *more_graphs,
        *more_training,
    ]


def measure(todo: Sequence[Job], output: Path, seconds: float) -> list[Row]:
    """Measures jobs and writes after each row.

    Args:
      todo: the jobs.
      output: the folder.
      seconds: after which no further job begins.

    Returns:
      All rows.
    """
    about = report.describe()
    rows: list[Row] = []
    print(f"{report.heading(about)}\n", flush=True)
    names = [f"{job.part}: {job.name}" for job in todo]
    report.write(output, about, rows, names)
    for row in run(todo, seconds):
        rows.append(row)
        done = {f"{each.part}: {each.name}" for each in rows}
        report.write(output, about, rows, [name for name in names if name not in done])
        figure = row.note if row.value is None else f"{report.number(row.value)} {row.unit}"
        print(f"{row.part}: {row.name}, {row.size} at a time: {figure}", flush=True)
    return rows


def define(values: flags.FlagValues) -> None:
    """Defines the flags."""
    flags.DEFINE_string("output", "runs/accelerator", "Folder of the results.", flag_values=values)
    flags.DEFINE_float(
        "minutes",
        8.0,
        "After which nothing further is begun.",
        lower_bound=0.0,
        flag_values=values,
    )
    flags.DEFINE_enum(
        "sizes", "full", list(SIZES), "small tries everything in a minute.", flag_values=values
    )
    flags.DEFINE_list("parts", list(PARTS), f"Some of {', '.join(PARTS)}.", flag_values=values)
    flags.DEFINE_list(
        "compare", [], "Two folders of results to show side by side.", flag_values=values
    )


def main(values: flags.FlagValues) -> None:
    """Measures, or compares what was measured."""
    if values.compare:
        if len(values.compare) != 2:
            raise ValueError(f"compare: needs two folders, got {len(values.compare)}")
        print(report.compare(*(report.read(Path(folder)) for folder in values.compare)))
        return
    start = time.perf_counter()
    if unknown := [part for part in values.parts if part not in PARTS]:
        raise ValueError(f"parts: {unknown[0]!r} unknown, there are {', '.join(PARTS)}")
    output = Path(values.output)
    check_writable(output, "output")
    if report.path_of(output).exists():
        raise ValueError(f"--output={output}: holds a result already, which is kept")
    todo = [job for job in jobs(SIZES[values.sizes]) if job.part in values.parts]
    measure(todo, output, 60 * values.minutes - (time.perf_counter() - start))
    print(f"\nreport: {output / 'accelerator.md'}")


def resume(values: flags.FlagValues) -> str:
    """What is left after Ctrl-C."""
    return f"what was measured is in {values.output}"


if __name__ == "__main__":
    command_line.run(main, define, resume=resume)
