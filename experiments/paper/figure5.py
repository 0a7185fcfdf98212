"""Figure 5: normalized latency of the large networks and everything they are compared with.

Writes figures/figure5.png, teacher_curve.png, dqn_curve.png; trains what is missing.
"""

from collections.abc import Mapping
from typing import Any

from experiments.paper import evaluation, presets, random_chains
from experiments.paper.evaluation import FLOORED, LITERAL
from experiments.paper.training import trained
from experiments.reporting import comparison, tables
from experiments.reporting.stage import TRAINING, Settings, Stage, script

CLAIMS = (
    ("large_dil_paper", "greedy"),
    ("large_dil_paper", "drl"),
    ("large_dil_paper", "drl_raw"),
    ("large_dil_paper_shared", "large_dil_paper"),
    ("large_dil", "drl"),
)
"""Who the paper, or this project, says is better than whom."""


def compute(settings: Settings) -> dict[str, Any]:
    """Policies without training, and the rows of the preset that are trained on wide requests.

    Returns:
      `untrained`: scenario -> policy -> metrics; `test_requests`; `trained`: name -> what
      `training.trained` gives.
    """
    rows, untrained = presets.of(settings).rows, random_chains.compute(settings)
    return {
        "untrained": untrained["scenarios"],
        "test_requests": untrained["requests"],
        "trained": {
            name: trained(name, row, settings)
            for name, row in rows.items()
            if row.requests == "wide"
        },
    }


def rows_of(results: Mapping[str, Any], scenario: str) -> dict[str, Any]:
    """Metrics of every policy in one scenario."""
    learned = {name: entry[scenario] for name, entry in results["trained"].items()}
    return results["untrained"][scenario] | learned


def draw(results: Mapping[str, Any], settings: Settings) -> None:
    """The bars, and how the networks learnt."""
    learned = results["trained"]
    comparison.bars(
        settings.figure("figure5"),
        {
            "literal bandwidths": rows_of(results, LITERAL),
            "bandwidths from 0.5 MB/s": rows_of(results, FLOORED),
        },
        quantity=settings.quantity,
        heading=f"All policies, {_num_requests(results)} training requests",
    )
    for file, metric, quantity in (
        ("teacher_curve", "loss", "training loss (each network its own)"),
        ("dqn_curve", "reward", "mean reward of the actions tried"),
    ):
        lines = {
            name: entry["curve"].get(metric, ())
            for name, entry in learned.items()
            if ("reward" in entry["curve"]) == (metric == "reward")
        }
        comparison.curves(settings.figure(file), lines, quantity=quantity)


def _num_requests(results: Mapping[str, Any]) -> str:
    return f"{next(iter(results['trained'].values()))['requests']:,}"


def section(results: Mapping[str, Any], settings: Settings) -> str:
    """The part of the report about figure 5, as Markdown."""
    literal = rows_of(results, LITERAL)
    claims = [pair for pair in CLAIMS if literal.keys() >= set(pair)]
    per_subtask = [
        [comparison.title(name), *(f"{100 * x:.1f} %" for x in row["accuracy_per_subtask"])]
        for name, row in literal.items()
    ]
    return "\n".join(
        [
            f"## Figure 5: policies trained on {_num_requests(results)} wide requests\n",
            "The paper's figure for the large network is 1.095. Intervals of trained policies are"
            f" over their trainings, those of others over {evaluation.PARTS} parts of the"
            f" {results['test_requests']:,} test requests."
            f" {', '.join(evaluation.NO_MEAN).capitalize()} have none at the literal bandwidths:"
            " their mean does not exist there (docs/model.md).\n",
            "![Figure 5](figures/figure5.png)\n",
            "### Literal bandwidths\n",
            comparison.table(literal),
            "\n### Bandwidths from 0.5 MB/s\n",
            comparison.table(rows_of(results, FLOORED)),
            "\n### Orders\n",
            comparison.claims(literal, claims),
            "\n### Agreement with the optimum, subtask by subtask\n",
            tables.markdown(["policy", *map(str, range(evaluation.NUM_SUBTASKS))], per_subtask),
            "\nLoss and reward of the first training:\n",
            "![Learning curves of the large networks](figures/teacher_curve.png)\n",
            "![Learning curve of deep Q-learning](figures/dqn_curve.png)\n",
        ]
    )


STAGE = Stage("figure 5", compute, section, draw, flags=(*TRAINING, "objective", "policy"))

if __name__ == "__main__":
    script(STAGE)
