"""Decisions about the task graphs of MRLCO and RLTaskOffloading, in the setting of those papers.

The graphs are files `.gv` of daggen as linkpark/metarl-offloading and linkpark/RLTaskOffloading
hold them, in whatever folders below `--graph_dir`. A device works off 1 MiB of a task's `size` a
second and one server 10 MiB; the link carries 7 Mbit/s (of 2^20 bits) each way.

Each graph is a line of `graphs.jsonl` in `--workdir` as soon as it is done, so a run that was
stopped goes on where it was. `table.md` and `table.json` compare every decision with CP-SAT's
optimum, and with what the evaluator of those repositories says of it (see
`benchmarks.mrlco.evaluator`): percent above the optimum of that evaluator, and percent that are
added where the uploads of entries queue as all others do.
"""

import dataclasses
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags

import offload_jax as oj
from benchmarks.delay.report import duration
from benchmarks.mrlco import evaluator
from experiments.reporting import command_line, files, tables

# A MiB of `size` takes the device a second.
DEVICE, SERVER = 1e9, 10e9
CYCLES_PER_BYTE = DEVICE / 2**20
BANDWIDTH = 7 * 2**20 / 8
# Seconds of search.
BUDGETS = (1e-3, 1e-2, 1e-1)
OPTIMUM, THEIR_GREEDY = "CP-SAT", "their greedy"
THEIR_OPTIMUM = "their evaluator's optimum"
PLACES = ("all on the device", "all on the server")

Decide = Callable[[oj.graphs.GraphProblem], Any]
Row = Mapping[str, Any]


def setting(graph: oj.graphs.TaskGraph) -> oj.graphs.GraphProblem:
    """A graph on the device and the server; no cloud can be reached."""
    return graph.to_problem(DEVICE, SERVER, BANDWIDTH, 0.0)


def contenders() -> dict[str, Decide]:
    """What decides, by name."""
    policies, student = oj.graphs.policies, oj.graphs.policies.student()

    def alone(decide: oj.single.DecideGraph) -> Decide:
        return lambda problem: decide(
            *(getattr(problem, field.name) for field in dataclasses.fields(problem))
        )

    def searching(seconds: float) -> Decide:
        return lambda problem: oj.graphs.solve(problem, method="search", time_limit=seconds)

    return {
        PLACES[0]: policies.local,
        PLACES[1]: policies.edge,
        **{
            name if name == "greedy" else name.upper(): alone(oj.single.graph(method=name))
            for name in ("greedy", "heft", "cpop", "peft")
        },
        "cut": policies.cut,
        "student": alone(oj.single.learned(student)),
        "student, best of 64": alone(oj.single.learned(student, best_of=64)),
        **{f"search, {duration(seconds)}": searching(seconds) for seconds in BUDGETS},
    }


def compared(
    graph: oj.graphs.TaskGraph, decide: Mapping[str, Decide], limit: float, their_limit: float
) -> Row:
    """What becomes of a graph.

    Args:
      graph: of daggen.
      decide: `contenders`.
      limit: seconds of CP-SAT.
      their_limit: seconds for each of the two optima of their evaluator.

    Returns:
      `tasks`; `optimum`, `bound`, `proven` and `their_optimum`, `their_bound`, `their_proven`, the
      latter two of the evaluator as it is and with the uploads of entries queued; and `decisions`:
      by contender `makespan`, `seconds` of one call, and `theirs`, its two latencies there.
    """
    problem, tasks = setting(graph), evaluator.tasks_of(graph, CYCLES_PER_BYTE)
    decisions = {}

    def judge(name: str, decision: Any, seconds: float | None, makespan: Any = None) -> None:
        if makespan is None:
            makespan = oj.graphs.simulate(problem, decision.place, decision.order).makespan
        place, order = (np.asarray(part).tolist() for part in (decision.place, decision.order))
        decisions[name] = {
            "makespan": float(makespan),
            "seconds": seconds,
            "theirs": [evaluator.latency(tasks, place, order, queue=q) for q in (False, True)],
        }

    for name, method in decide.items():
        method(problem)  # compiles
        begin = time.perf_counter()
        decision = method(problem)
        judge(name, decision, time.perf_counter() - begin)
    begin = time.perf_counter()
    best = oj.graphs.solve(problem, method="cpsat", time_limit=limit)
    judge(OPTIMUM, best, time.perf_counter() - begin, best.cost)
    judge(THEIR_GREEDY, evaluator.greedy(tasks), None)
    theirs = [evaluator.optimum(tasks, queue=q, time_limit=their_limit) for q in (False, True)]
    judge(THEIR_OPTIMUM, theirs[0].decision, None)
    return {
        "tasks": graph.num_tasks,
        "optimum": float(best.cost),
        "bound": float(best.lower_bound),
        "proven": bool(best.optimal),
        "their_optimum": [found.latency for found in theirs],
        "their_bound": [found.lower_bound for found in theirs],
        "their_proven": [found.proven for found in theirs],
        "decisions": decisions,
    }


def table(rows: Sequence[Row]) -> str:
    """The comparison as Markdown: what decides, gap by number of tasks, time, their evaluator."""
    sizes = sorted({row["tasks"] for row in rows})

    def percent(values: Any) -> str:
        return f"{100 * float(np.mean(values)):.1f}"

    def over(row: Row, name: str) -> float:
        return max(0.0, row["decisions"][name]["makespan"] / row["optimum"] - 1)

    def line(name: str, pick: Callable[[Row], str]) -> list[str]:
        gaps = [[over(row, pick(row)) for row in rows if row["tasks"] == size] for size in sizes]
        made = [row["decisions"][pick(row)] for row in rows]
        seconds = [decision["seconds"] for decision in made]
        theirs = np.array([decision["theirs"] for decision in made])
        least = np.array([row["their_optimum"][0] for row in rows])
        return [
            name,
            *map(percent, gaps),
            f"{100 * max(map(max, gaps)):.0f}",
            "" if None in seconds else duration(float(np.median(seconds))),
            percent(theirs[:, 0] / least - 1),
            percent(theirs[:, 1] / theirs[:, 0] - 1),
        ]

    def named(name: str) -> list[str]:
        return line(name, lambda row: name)

    single = line("best single place", lambda row: min(PLACES, key=lambda name: over(row, name)))
    lines = [named(name) for name in rows[0]["decisions"]]
    headers = ["decides", *(f"{size} tasks" for size in sizes), "worst", "a decision"]
    lines.insert(len(PLACES), [*single[: len(sizes) + 2], "", *single[-2:]])
    return tables.markdown([*headers, "their evaluator", "entries queued"], lines)


def summary(rows: Sequence[Row]) -> str:
    """What is proven, and what it is worth that the uploads of entries overlap."""

    def proven(name: str, rule: int | None = None) -> int:
        return sum(row[name] if rule is None else row[name][rule] for row in rows)

    both = [row["their_optimum"] for row in rows if all(row["their_proven"])]
    worth = [1 - free / queued for free, queued in both]
    text = (
        f"{proven('proven')} of {len(rows)} optima are proven; by their evaluator"
        f" {proven('their_proven', 0)}, with entries queued {proven('their_proven', 1)}."
    )
    if worth:
        text += (
            f" Where both are, overlapping uploads of entries take {100 * np.mean(worth):.1f} % off"
            f" the optimum on average and {100 * max(worth):.1f} % at most."
        )
    return text


def read_rows(path: Path) -> dict[str, Row]:
    """What an earlier run has left, by graph; a line that was cut off is left out.

    Raises:
      ValueError: another line is damaged.
    """
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    rows = {}
    for number, line in enumerate(lines, 1):
        try:
            name, row = json.loads(line)
        except (TypeError, ValueError):
            if number == len(lines) and not line.endswith("\n"):
                break
            raise ValueError(f"{path}, line {number}: is not of this benchmark") from None
        rows[name] = row
    return rows


def main(values: flags.FlagValues) -> None:
    folder, workdir = Path(values.graph_dir), Path(values.workdir)
    found = sorted(folder.rglob("*.gv"))[: values.num_graphs]
    if not found:
        raise ValueError(f"--graph_dir={folder}: holds no file .gv, at any depth")
    files.check_writable(workdir, "workdir")
    store = workdir / "graphs.jsonl"
    done = read_rows(store)
    files.write_text(store, "".join(json.dumps(pair) + "\n" for pair in done.items()))
    decide, limits = contenders(), (values.time_limit, values.their_time_limit)
    with store.open("a") as lines:
        for path in found:
            name = path.relative_to(folder).as_posix()
            if name not in done:
                done[name] = compared(oj.graphs.read(path), decide, *limits)
                lines.write(json.dumps([name, done[name]]) + "\n")
                lines.flush()
                print(f"{name}: {done[name]['optimum']:.2f} s, proven: {done[name]['proven']}")
    rows = [done[path.relative_to(folder).as_posix()] for path in found]
    text = f"{table(rows)}\n\n{summary(rows)}\n"
    files.write_text(workdir / "table.md", text)
    files.write_json(workdir / "table.json", rows)
    print(f"\n{text}")


def define(values: flags.FlagValues) -> None:
    command_line.define(values, "workdir", workdir="runs/mrlco")
    flags.DEFINE_string(
        "graph_dir", None, "Folder of .gv files, at any depth.", required=True, flag_values=values
    )
    flags.DEFINE_integer(
        "num_graphs", None, "First graphs only.", lower_bound=1, flag_values=values
    )
    flags.DEFINE_float(
        "time_limit", 60.0, "Seconds of CP-SAT for a graph.", lower_bound=0.0, flag_values=values
    )
    flags.DEFINE_float(
        "their_time_limit",
        10.0,
        "Seconds for each of two optima of their evaluator.",
        lower_bound=0.0,
        flag_values=values,
    )


if __name__ == "__main__":
    command_line.run(main, define)
