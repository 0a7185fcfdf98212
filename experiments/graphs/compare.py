"""Rules, search, CP-SAT, teacher and student on random task graphs: quality against time.

Writes results/graph_rules.json and figures/graph_quality.png.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

import offload_jax as oj
from experiments.graphs import contenders, test_sets, training
from experiments.graphs import presets as training_presets
from experiments.graphs.presets import PACKAGED, STUDENT, TEACHER
from experiments.reporting import own_policies, statistics, tables
from experiments.reporting.plots import figure, plain_numbers
from experiments.reporting.results import cached
from experiments.reporting.stage import TRAINING, Settings, Stage, script
from offload_jax.graphs._jax.policy import LearnedGraphPolicy
from offload_jax.learning import checkpoints


@dataclasses.dataclass(frozen=True)
class Preset:
    """How many test graphs each kind of contender decides about.

    Attributes:
      rules: by rules and learned policies, and by perturbed rules of few copies.
      search: by search and by the best of sampled schedules.
      cpsat: by CP-SAT, for each size; 0 leaves it out.
      perturbed: numbers of copies.
      sampled: numbers of schedules that the student samples.
      simulations: of search.
      limits: seconds of CP-SAT.
    """

    rules: int
    search: int
    cpsat: Mapping[int, int]
    perturbed: tuple[int, ...]
    sampled: tuple[int, ...]
    simulations: tuple[int, ...]
    limits: tuple[float, ...]


PRESETS = {
    "default": Preset(
        1000, 200, {12: 50, 20: 20, 50: 0, 100: 0}, (64,), (64,), (1000, 20_000), (5.0,)
    ),
    "paper": Preset(
        1000,
        1000,
        {12: 100, 20: 50, 50: 10, 100: 0},
        (4, 16, 64, 256, 1024),
        (4, 16, 64, 256),
        (300, 1000, 5000, 20_000, 100_000),
        (1.0, 10.0, 60.0),
    ),
}
BEST_PLACE = "best single place"
# Of several decisions the best, in the time of all of them.
_BEST_OF = {BEST_PLACE: contenders.PLACES, "better of cut and greedy": ("cut", "greedy")}
LEARNED = {TEACHER: "teacher", STUDENT: "student"}
"""What is compared, by the name of its checkpoint."""
# Device to edge, bytes per second.
LINKS = {
    "below 1 MB/s": (0.0, 1e6),
    "1 to 2.5 MB/s": (1e6, 2.5e6),
    "above 2.5 MB/s": (2.5e6, np.inf),
}
BUDGETS = {"10 µs": 1e-5, "100 µs": 1e-4, "1 ms": 1e-3, "10 ms": 1e-2, "1 s": 1.0, "10 s": 10.0}
# Fewer graphs than this say nothing about a kind of links.
_LEAST_GRAPHS = 10


def compute(settings: Settings) -> dict[str, Any]:
    """Every contender on the first graphs of every test set.

    Returns:
      By number of tasks and contender: `ratio`, the mean of makespan over the best known one, its
      `interval`, `seconds` a decision, the number of `graphs`, the share `proven`, and `by_link`
      the ratio for each kind of link, None where there are too few.
    """
    preset, mine = PRESETS[settings.preset], contenders.own_policies(settings)
    trained = {
        name: training.trained(name, settings)["digest"]
        for name in training_presets.PRESETS[settings.preset].rows
        if name in LEARNED
    }
    packaged = oj.graphs.policies.student()
    config = {
        "preset": dataclasses.asdict(preset),
        "digests": _digests(),
        "learned": trained,
        "packaged": checkpoints.digest(packaged.params),
        "own": {name: own_policies.digest(name) for name in mine},
    }

    def compute_all() -> dict[str, Any]:
        learned = {
            LEARNED[name]: oj.graphs.policies.load(training.checkpoint(name, settings))
            for name in trained
        }
        return _compute_all(preset, learned | {PACKAGED: packaged}, mine)

    return cached(settings.result("graph_rules"), config, compute_all)


def _digests() -> dict[str, str]:
    return {str(size): test_sets.digest(test_sets.problems(size)) for size in test_sets.SIZES}


def _compute_all(
    preset: Preset,
    learned: Mapping[str, LearnedGraphPolicy],
    mine: Mapping[str, Callable[[oj.graphs.GraphProblem], oj.graphs.Decision]],
) -> dict[str, Any]:
    results: dict[str, Any] = {}
    for size in test_sets.SIZES:
        entries: dict[str, tuple[contenders.Contender, int]] = {
            name: (contender, preset.rules) for name, contender in contenders.rules().items()
        }
        for name, own in mine.items():
            entries[name] = contenders.as_it_is(own), preset.rules
        for name, policy in learned.items():
            entries[name] = contenders.learned(policy), preset.rules
            for num in preset.sampled if name != LEARNED[TEACHER] else ():
                entries[f"{name}, best of {num}"] = contenders.sampled(policy, num), preset.search
            for num in preset.simulations if name == PACKAGED else ():
                searched = contenders.sampled(policy, simulations=num)
                entries[f"{name}, then {num} simulations"] = searched, preset.search
        for num in preset.perturbed:
            graphs = max(20, min(preset.search, 16 * preset.rules // num))
            entries[f"perturbed, best of {num}"] = contenders.perturbed(num), graphs
        for num in preset.simulations:
            entries[f"search, {num} simulations"] = contenders.search(num), preset.search
        if preset.cpsat[size]:
            for limit in preset.limits:
                entries[f"CP-SAT, {limit:g} s"] = contenders.cpsat(limit), preset.cpsat[size]
        rows, makespans = {}, {}
        for name, (contender, num) in entries.items():
            outcome = contender(test_sets.problems(size, num))
            makespans[name] = outcome.makespan
            rows[name] = _row(outcome, size)
        for best_of, names in _BEST_OF.items():
            best = np.min([makespans[name] for name in names], axis=0)
            seconds = sum(rows[name]["seconds"] for name in names)
            rows[best_of] = _row(contenders.Outcome(best, seconds), size)
        results[str(size)] = rows
    return results


def _row(outcome: contenders.Outcome, size: int) -> dict[str, Any]:
    num = len(outcome.makespan)
    ratio = outcome.makespan / test_sets.best_known(size, num).makespan
    mean, interval = statistics.mean_and_interval(ratio)
    bandwidth = np.asarray(test_sets.problems(size, num).device_edge_bandwidth)
    by_link = []
    for low, high in LINKS.values():
        chosen = ratio[(low <= bandwidth) & (bandwidth < high)]
        by_link.append(float(chosen.mean()) if len(chosen) >= _LEAST_GRAPHS else None)
    return {
        "ratio": float(mean),
        "interval": None if interval is None else float(interval),
        "seconds": outcome.seconds,
        "graphs": num,
        "proven": outcome.proven,
        "by_link": by_link,
    }


def what_to_use(results: Mapping[str, Any]) -> str:
    """A Markdown table: per size, link and time for a decision, what comes closest to the best."""
    lines = []
    for size in map(str, test_sets.SIZES):
        for number, link in enumerate(LINKS):
            cells = [size, link]
            for budget in BUDGETS.values():
                fitting = [
                    (row["by_link"][number], name)
                    for name, row in results[size].items()
                    if row["seconds"] <= budget and row["by_link"][number] is not None
                ]
                cells.append("{1} ({0:.3f})".format(*min(fitting)) if fitting else "")
            lines.append(cells)
    return tables.markdown(["tasks", "device–edge link", *BUDGETS], lines)


def duration(seconds: float) -> str:
    """`12 µs`, `3.4 ms`, `5.0 s`."""
    for unit, factor in (("µs", 1e-6), ("ms", 1e-3), ("s", 1.0)):
        if seconds < 1000 * factor or unit == "s":
            return f"{seconds / factor:.3g} {unit}"
    raise AssertionError("unreachable")


def _section(results: dict[str, Any], settings: Settings) -> str:
    del settings
    sizes = [str(size) for size in test_sets.SIZES]
    names = list(dict.fromkeys(name for size in sizes for name in results[size]))
    rows = []

    def worst(name: str) -> float:
        return max(results[size][name]["ratio"] for size in sizes if name in results[size])

    for name in sorted(names, key=worst, reverse=True):
        cells = [name]
        for size in sizes:
            row = results[size].get(name)
            if row is None:
                cells += ["", ""]
                continue
            proven = "" if row["proven"] is None else f", {100 * row['proven']:.0f} % proven"
            ratio = statistics.plus_minus(row["ratio"], row["interval"], digits=3)
            cells += [ratio + proven, duration(row["seconds"])]
        rows.append(cells)
    headers = ["decides"]
    for size in sizes:
        graphs = {row["graphs"] for row in results[size].values()}
        span = f"{min(graphs)} to {max(graphs)}" if len(graphs) > 1 else f"{max(graphs)}"
        headers += [f"N = {size} ({span} graphs)", "a decision"]
    return (
        "## Task graphs: rules, search, CP-SAT and learned policies\n\n"
        "Mean of makespan over the best one known, with its 95 % interval over graphs, and the time"
        " of one decision. Rules, perturbed rules and single schedules of learned policies in a"
        " batch, HEFT, CPOP, PEFT, sampled schedules, search and CP-SAT one after the other.\n\n"
        + tables.markdown(headers, rows)
        + "\n\n![Quality against time per decision](figures/graph_quality.png)\n\n"
        "What to use: for each size, link and time that one decision may take, what comes closest"
        " to the best known makespans, and its mean ratio to them.\n\n"
        + what_to_use(results)
        + "\n"
    )


def _draw(results: dict[str, Any], settings: Settings) -> None:
    draw_quality(settings.figure("graph_quality"), results)


def family(name: str) -> str:
    """What is one line of the figure: a contender with more and more time."""
    return name.split(",")[0]


def draw_quality(path: Any, results: Mapping[str, Any]) -> None:
    """Quality against time per decision, a panel for each size."""
    left_out = ("random", *contenders.PLACES)
    sizes = [str(size) for size in test_sets.SIZES]
    lines = list(dict.fromkeys(family(n) for s in sizes for n in results[s] if n not in left_out))
    with figure(path, size=(11, 4.6), ncols=len(sizes), sharey=True) as (fig, axes):
        axes = np.atleast_1d(axes)
        for panel, size in zip(axes, sizes, strict=True):
            series = {
                line: [
                    (row["seconds"], row["ratio"], row["interval"] or 0.0)
                    for name, row in results[size].items()
                    if family(name) == line
                ]
                for line in lines
            }
            oj.plot.quality_against_time(series, ylabel="", ax=panel)
            panel.get_legend().remove()
            panel.set_title(f"{size} tasks")
        top = max(r["ratio"] for s in sizes for n, r in results[s].items() if n not in left_out)
        axes[0].set_yscale("log")
        axes[0].set_ylim(0.95, min(top, 2.5) * 1.05)
        plain_numbers(axes[0].yaxis, ticks=[1, 1.05, 1.1, 1.2, 1.4, 1.7, 2, 2.5])
        axes[0].set_ylabel("makespan / best known")
        handles = axes[0].get_legend_handles_labels()
        fig.legend(*handles, loc="outside lower center", ncols=6)


STAGE = Stage(
    "task graphs", compute, _section, _draw, latency_only=True, flags=(*TRAINING, "graph_policy")
)

if __name__ == "__main__":
    script(STAGE)
