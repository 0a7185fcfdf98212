"""CP-SAT on the Standard Task Graph Set: identical processors without communication.

For every graph and number of processors of `optimum.csv` (columns file, processors, makespan) it
prints the makespan found, the listed one and the seconds taken, then the share that reach the
listed makespan. A makespan below a listed one is said, too: one of the two must be wrong.
"""

import csv
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from absl import flags

import offload_jax as oj
from experiments.reporting import command_line
from offload_jax.graphs.predecessors import edge_lists


class Listed(NamedTuple):
    """A row of `optimum.csv`."""

    file: str
    processors: int
    makespan: float


def read_listed(folder: Path) -> list[Listed]:
    """The listed makespans.

    Raises:
      ValueError: names the line that is damaged.
    """
    path = folder / "optimum.csv"
    listed = []
    with path.open(newline="") as file:
        for line, row in enumerate(csv.DictReader(file), start=2):
            try:
                one = Listed(row["file"], int(row["processors"]), float(row["makespan"]))
            except (KeyError, TypeError, ValueError):
                raise ValueError(
                    f"{path}, line {line}: must be file, processors, makespan, got {row}"
                ) from None
            listed.append(one)
    return listed


def processor_costs(graph: oj.graphs.TaskGraph, num_processors: int) -> oj.graphs.GraphCosts:
    """One place with identical processors; tasks take their `cycles` as seconds."""
    number = graph.num_tasks
    predecessors, _ = edge_lists(graph.edges, graph.data, number)
    return oj.graphs.GraphCosts(
        seconds=graph.cycles[:, None],
        predecessors=predecessors,
        data=np.zeros(predecessors.shape),
        input=np.zeros(number),
        output=np.zeros(number),
        release=np.zeros(number),
        seconds_per_byte=np.zeros(0),
        startup=np.zeros(0),
        routes=(((),),),
        servers=(num_processors,),
        serial=(),
    )


def main(values: flags.FlagValues) -> None:
    folder, limit = Path(values.stg_dir), values.time_limit
    listed = read_listed(folder)[: values.num_instances]
    reached = proven = below = 0
    for row in listed:
        graph = oj.graphs.read(folder / row.file, reference_speed=1.0)
        costs = processor_costs(graph, row.processors)
        begin, cpu = time.perf_counter(), time.process_time()
        solution = oj.graphs.solve(costs, method="cpsat", time_limit=limit)
        seconds, cpu = time.perf_counter() - begin, time.process_time() - cpu
        cost = float(solution.cost)
        reached += cost <= row.makespan
        below += cost < row.makespan
        proven += bool(solution.optimal)
        print(
            f"{row.file} on {row.processors}: {cost:g}, listed {row.makespan:g},"
            f" bound {float(solution.lower_bound):g}, {seconds:.2f} s, CPU {cpu:.2f} s",
            flush=True,
        )
    total = len(listed)
    print(
        f"\n{reached} of {total} reach the listed makespan ({reached / total:.1%}),"
        f" {proven} are proven, {below} are below it; at most {limit:g} s each"
    )


def define(values: flags.FlagValues) -> None:
    flags.DEFINE_string(
        "stg_dir", None, "Folder of .stg files and optimum.csv.", required=True, flag_values=values
    )
    flags.DEFINE_integer(
        "num_instances", None, "First rows only.", lower_bound=1, flag_values=values
    )
    flags.DEFINE_float(
        "time_limit", 60.0, "Seconds for each instance.", lower_bound=0.01, flag_values=values
    )


if __name__ == "__main__":
    command_line.run(main, define)
