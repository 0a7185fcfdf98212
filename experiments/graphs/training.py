"""Trains the policies of a preset on task graphs and measures them on the test graphs.

Every training leaves trainings/<row>_<seed> and its metrics in metrics/, a row its result in
results/trained/<row>.json, and a row that is kept, as checkpoints/<row>, the training that is best
on graphs of sizes which none was trained on.
"""

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import jax
import numpy as np

import offload_jax as oj
from experiments.graphs import contenders, test_sets, training_sets
from experiments.graphs.presets import PRESETS, TEACHER, Preset, Row
from experiments.reporting import statistics, tables
from experiments.reporting.results import cached
from experiments.reporting.stage import Settings
from experiments.reporting.training_log import learning_curve, logged
from offload_jax.graphs._jax.policy import LearnedGraphPolicy
from offload_jax.graphs.training import train_graph_policy
from offload_jax.learning import checkpoints
from offload_jax.learning.parameters import num_parameters

_KEY = 13


def checkpoint(name: str, settings: Settings) -> Path:
    """Where the policy of a row lies."""
    return settings.workdir / "checkpoints" / name


def _training(name: str, seed: int, settings: Settings) -> Path:
    return settings.workdir / "trainings" / f"{name}_{seed}"


def trained(name: str, settings: Settings) -> dict[str, Any]:
    """Trains what is missing of a row and measures it.

    Returns:
      `trainings`, `parameters`, `elsewhere` (what each is judged by), `chosen` (which one is best
      at that), `digest` of its weights, `curve` (metrics of the first training), and by size of the
      test graphs `one`, the mean ratio of makespan to the best known, `with_rules`, the same where
      rules are better at times, and `best_of_<n>`, with intervals over trainings and `per_seed`,
      those of `one`.
    """
    preset = PRESETS[settings.preset]
    row = {**preset.rows, **preset.ablations}[name]
    path = settings.result(f"trained/{name}")
    kept = name in preset.rows
    if kept and not checkpoint(name, settings).exists():
        # The result alone is of no use to those who need the policy.
        path.unlink(missing_ok=True)
    teacher = trained(TEACHER, settings)["digest"] if row.labels == "teacher" else None
    start = trained(row.start, settings)["digest"] if row.start else None
    config = {
        "row": dataclasses.asdict(row),
        "preset": {**dataclasses.asdict(preset), "rows": None, "ablations": None},
        "seed": settings.seed,
        "teacher": teacher,
        "start": start,
    }

    def compute() -> dict[str, Any]:
        seeds = range(settings.seed, settings.seed + row.trainings)
        # One object: it is a part of the program, which is compiled once for all seeds.
        told = row.labels == "teacher"
        policy = oj.graphs.policies.load(checkpoint(TEACHER, settings)) if told else None
        policies = [_train(name, row, preset, settings, seed, policy) for seed in seeds]
        elsewhere = [_elsewhere(policy, preset) for policy in policies]
        chosen = int(np.argmin(elsewhere))
        if kept:
            source = _training(name, seeds[chosen], settings)
            shutil.copytree(source, checkpoint(name, settings), dirs_exist_ok=True)
        results: dict[str, Any] = {
            "trainings": row.trainings,
            "parameters": num_parameters(row.model),
            "elsewhere": elsewhere,
            "chosen": chosen,
            "digest": checkpoints.digest(policies[chosen].params),
            "curve": learning_curve(f"{name}_{settings.seed}", settings),
        }
        for size in test_sets.SIZES:
            metrics = [_judge(policy, size, preset) for policy in policies]
            per_seed = [each["one"] for each in metrics]
            results[str(size)] = {**statistics.summarize(metrics), "per_seed": per_seed}
        return results

    return cached(path, config, compute)


def packaged(settings: Settings) -> dict[str, Any]:
    """The same of the student in the package, but for what is known of its training."""
    preset, policy = PRESETS[settings.preset], oj.graphs.policies.student()
    config = {
        "digest": checkpoints.digest(policy.params),
        "judged": preset.judged,
        "samples": preset.samples,
    }

    def compute() -> dict[str, Any]:
        results = {str(size): _judge(policy, size, preset) for size in test_sets.SIZES}
        return {"trainings": "", "parameters": num_parameters(policy.config), **config, **results}

    return cached(settings.result("graph_packaged"), config, compute)


def _elsewhere(policy: LearnedGraphPolicy, preset: Preset) -> float:
    """Mean ratio of the makespan to that of the best single place, on sizes not trained on."""
    ratios, decide = [], oj.single.learned(policy)
    for size in preset.elsewhere:
        scenario = oj.graphs.scenarios.layered(size)
        problem = oj.graphs.scenarios.sample(jax.random.key(_KEY), scenario, preset.judged // 5)
        found = contenders.one_at_a_time(decide)(problem).makespan
        policies = oj.graphs.policies
        places = (policies.local(problem), policies.edge(problem), policies.cloud(problem))
        costs = oj.graphs.graph_costs(problem, library=np)
        single = np.min([test_sets.makespans(costs, *each) for each in places], axis=0)
        ratios.append(np.mean(found / single))
    return float(np.mean(ratios))


def _train(
    name: str,
    row: Row,
    preset: Preset,
    settings: Settings,
    seed: int,
    teacher: LearnedGraphPolicy | None,
) -> LearnedGraphPolicy:
    requests = training_sets.training_requests(row.grounds, row.requests, seed)
    decision = None
    if row.labels == "search":
        decision = [searched(group, preset.simulations) for group in requests]
    start = oj.graphs.policies.load(checkpoint(row.start, settings)) if row.start else None
    training = dataclasses.replace(row.training, seed=seed)
    with logged(f"{name}_{seed}", training.num_epochs, settings) as on_epoch:
        return train_graph_policy(
            requests,
            model=row.model,
            training=training,
            decision=decision,
            teacher=teacher,
            start=start,
            description=f"{row.grounds}, labels {row.labels}, seed {seed}",
            checkpoint=_training(name, seed, settings),
            checkpoint_every=max(1, training.num_epochs // 5),
            on_epoch=on_epoch,
        )


def searched(problem: oj.graphs.GraphProblem, simulations: int) -> oj.graphs.Decision:
    """What search finds for every graph."""
    from offload_jax.graphs._numba.search import search

    costs = oj.graphs.graph_costs(problem, library=np)
    return search(costs, num_simulations=simulations).decision


def _judge(policy: LearnedGraphPolicy, size: int, preset: Preset) -> dict[str, float]:
    """Mean ratios to the best known makespans of the test graphs."""
    problem = test_sets.problems(size, preset.judged)
    best = test_sets.best_known(size, preset.judged).makespan
    ways = {"one": None, "with_rules": 0} | {f"best_of_{num}": num for num in preset.samples}
    found = {}
    for way, num in ways.items():
        decide = contenders.one_at_a_time(oj.single.learned(policy, best_of=num))
        found[way] = float(np.mean(decide(problem).makespan / best))
    return found


def table(rows: dict[str, dict[str, Any]]) -> str:
    """A Markdown table of rows that `trained` gave."""
    ways = [w for w in next(iter(rows.values()))[str(next(iter(test_sets.SIZES)))] if _is_way(w)]
    headers = ["policy", "parameters", "trainings"]
    headers += [f"N = {size}, {way.replace('_', ' ')}" for size in test_sets.SIZES for way in ways]
    lines = []
    for name, row in rows.items():
        cells = [name, row["parameters"], row["trainings"]]
        for size in test_sets.SIZES:
            each = row[str(size)]
            cells += [
                statistics.plus_minus(each[way], each.get(f"{way}_interval"), digits=3)
                for way in ways
            ]
        lines.append(cells)
    return tables.markdown(headers, lines)


def _is_way(name: str) -> bool:
    return name in ("one", "with_rules") or (
        name.startswith("best_of_") and not name.endswith("_interval")
    )
