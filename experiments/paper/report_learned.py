"""The parts of the report about learned policies: figures 5 and 6 as tables."""

from collections.abc import Mapping
from typing import Any

from tabulate import tabulate

from experiments.reporting import charts

_HEADERS = [
    "policy",
    "ratio of means",
    "95 % interval",
    "mean",
    "median",
    "geometric mean",
    "p99",
    "subtasks right",
    "decisions right",
]


def _row(name: str, metrics: Mapping[str, Any]) -> list[str]:
    interval = metrics.get("ratio_of_means_interval")
    return [
        charts.label(name).replace("\n", " "),
        f"{metrics['ratio_of_means']:.4f}",
        "" if interval is None else f"± {interval:.4f}",
        *(f"{metrics[key]:.3f}" for key in ("mean", "median", "geometric_mean", "p99")),
        *(f"{100 * metrics[key]:.1f} %" for key in ("accuracy", "accuracy_whole_decision")),
    ]


def _table(rows: Mapping[str, Mapping[str, Any]]) -> str:
    ordered = sorted(rows, key=lambda name: rows[name]["ratio_of_means"])
    return tabulate([_row(name, rows[name]) for name in ordered], _HEADERS, "pipe")


def figure5_section(results: Mapping[str, Any]) -> str:
    """Large networks, deep Q-learning and everything untrained, as Markdown."""
    rows = {name: metrics for name, metrics in results.items() if name != "floor"}
    per_subtask = [
        [
            charts.label(name).replace("\n", " "),
            *(f"{100 * x:.1f} %" for x in metrics["accuracy_per_subtask"]),
        ]
        for name, metrics in rows.items()
    ]
    num_subtasks = len(per_subtask[0]) - 1
    return "\n".join(
        [
            "## Figure 5: policies trained on 100 000 wide requests\n",
            "The paper's figure for the large network is 1.095. Intervals are over ten parts of"
            " the test set.\n",
            "![Figure 5](figures/figure5.png)\n",
            "### Literal bandwidths\n",
            _table(rows),
            "\n### Bandwidths from 0.5 MB/s\n",
            _table(results["floor"]),
            "\n### Agreement with the optimum, subtask by subtask\n",
            tabulate(per_subtask, ["policy", *map(str, range(num_subtasks))], "pipe"),
            "\nLoss and reward while the networks train:\n",
            "![Learning curves of the large networks](figures/teacher_curve.png)\n",
            "![Learning curve of deep Q-learning](figures/dqn_curve.png)\n",
        ]
    )


def figure6_section(results: Mapping[str, Any]) -> str:
    """Students, as Markdown."""
    rows = {name: metrics for name, metrics in results.items() if name != "orderings"}
    orderings = [
        [
            f"{charts.label(student)} < {charts.label(other)}".replace("\n", " "),
            "holds" if verdict["better"] else "fails",
            "yes" if verdict["intervals_apart"] else "no",
            *(f"[{low:.3f}, {high:.3f}]" for low, high in verdict["intervals"]),
            f"{verdict['difference']:.4f} ± {verdict['difference_interval']:.4f}"
            if "difference" in verdict
            else "",
        ]
        for student, others in results["orderings"].items()
        for other, verdict in others.items()
    ]
    return "\n".join(
        [
            "## Figure 6: policies trained on 1 000 narrow requests, tested on wide ones\n",
            "Means over seeds; intervals are over seeds too. A seed draws the same requests for"
            " every student, so the difference seed by seed is the sharper comparison.\n",
            "![Figure 6](figures/figure6.png)\n",
            _table(rows),
            "\n### Orderings\n",
            tabulate(
                orderings,
                ["claim", "mean", "intervals apart", "interval", "interval", "seed by seed"],
                "pipe",
            ),
            "\n### Temperature of the labels\n",
            "The student learns at temperature 1, or at that of the labels with the factor T².\n",
            "![Temperature of the labels](figures/temperatures.png)\n",
            "![Learning curves of the students](figures/student_curve.png)\n",
        ]
    )
