"""Policies that need no training on random chains: wide and narrow, literal and floored bandwidth.

Settles which of the paper's claims about Local, Edge and Cloud hold under which aggregate. Writes
results/random_chains.json and figures/random_chains.png.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from tqdm.auto import tqdm

import offload_jax as oj
from experiments.paper import evaluation, presets
from experiments.paper.evaluation import AGGREGATES, FLOORED, LITERAL
from experiments.reporting import plots, tables
from experiments.reporting.comparison import label
from experiments.reporting.results import cached
from experiments.reporting.stage import Settings, Stage, script


def compute(settings: Settings, *, num: int | None = None) -> dict[str, Any]:
    """Evaluates every untrained policy in the four settings.

    Args:
      settings: of the run; the seed is that of the random policy.
      num: requests a setting, in place of the preset's.

    Returns:
      `scenarios`: setting -> policy -> metrics; `requests`: how many of each.
    """
    num = num or presets.of(settings).num_test
    own = evaluation.own_policies(settings)
    policies = oj.policies.untrained(settings.seed, settings.objective) | own

    def evaluate(scenario: str) -> dict[str, Any]:
        problem = evaluation.sample_requests(scenario, num)
        floored = scenario.endswith(FLOORED.removeprefix(LITERAL))
        return {
            name: evaluation.evaluate(
                policy,
                problem,
                settings.objective,
                parts=evaluation.PARTS if floored or name not in evaluation.NO_MEAN else 1,
            )
            for name, policy in policies.items()
        }

    def compute_all() -> dict[str, Any]:
        names = tqdm(evaluation.scenarios(), desc="random chains", disable=not settings.progress)
        return {"requests": num, "scenarios": {name: evaluate(name) for name in names}}

    config = {
        "requests": num,
        "seed": settings.seed,
        "objective": dataclasses.asdict(settings.objective),
        "scenarios": [dataclasses.asdict(each) for each in evaluation.scenarios().values()],
        "own": evaluation.digests(own),
    }
    return cached(settings.result("random_chains"), config, compute_all)


def draw(results: Mapping[str, Any], settings: Settings) -> None:
    """Bars of every policy in the wide setting, literal and floored, two aggregates."""
    bars = [
        (f"{text}, {aggregate.replace('_', ' ')}", scenario, aggregate)
        for scenario, text in ((LITERAL, "literal"), (FLOORED, "bandwidth ≥ 0.5 MB/s"))
        for aggregate in ("ratio_of_means", "median")
    ]
    names = list(results["scenarios"][LITERAL])
    width = 0.8 / len(bars)
    with plots.figure(settings.figure("random_chains"), size=(8.5, 4.2)) as (_, axes):
        for i, (text, scenario, aggregate) in enumerate(bars):
            heights = [results["scenarios"][scenario][name][aggregate] for name in names]
            offset = (i - (len(bars) - 1) / 2) * width
            axes.bar(np.arange(len(names)) + offset, heights, width, label=text)
        axes.set_yscale("log")
        axes.set_ylim(bottom=0.9)
        plots.plain_numbers(axes.yaxis, ticks=[1, 2, 5, 10, 20])
        axes.set_xticks(range(len(names)), [label(name) for name in names])
        axes.set_ylabel(f"{settings.quantity} / optimal {settings.quantity}")
        axes.legend()


def section(results: Mapping[str, Any], settings: Settings) -> str:
    """The part of the report about random chains, as Markdown."""
    aggregates = [name.replace("_", " ") for name in AGGREGATES]
    parts = [
        "## Random chains\n",
        f"{settings.quantity.capitalize()} over that of the exact optimum on"
        f" {results['requests']:,} requests, without any training. All aggregates are stated"
        " because they disagree: with bandwidths that reach 0 the mean of"
        f" {', '.join(evaluation.NO_MEAN)} does not exist, so their ratio of means never"
        " settles.\n",
        "![Policies on random chains](figures/random_chains.png)\n",
    ]
    for scenario, rows in results["scenarios"].items():
        table = [
            [name, row["mean_cost"], *(row[aggregate] for aggregate in AGGREGATES)]
            for name, row in rows.items()
        ]
        headers = ["policy", f"mean {settings.quantity}", *aggregates]
        parts += [f"### {scenario}\n", tables.markdown(headers, table), ""]
    claims = [
        [scenario, f"{less} < {more}", *_verdicts(rows[less], rows[more])]
        for scenario, rows in results["scenarios"].items()
        for less, more in (("edge", "local"), ("edge", "cloud"))
    ]
    parts += [
        "### The paper's claims about fixed places\n",
        tables.markdown(["setting", "claim", *aggregates], claims),
        "",
    ]
    return "\n".join(parts)


def _verdicts(less: Mapping[str, float], more: Mapping[str, float]) -> list[str]:
    return ["holds" if less[name] < more[name] else "fails" for name in AGGREGATES]


STAGE = Stage(
    "random chains",
    compute,
    section,
    draw,
    options={"num": (int, "Requests a setting.")},
    flags=("preset", "seed", "objective", "progress", "policy"),
)

if __name__ == "__main__":
    script(STAGE)
