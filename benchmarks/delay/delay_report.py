"""The section about delays, as Markdown; every number but the paper's comes from the run."""

from collections.abc import Mapping, Sequence
from typing import Any

from tabulate import tabulate

from benchmarks.delay import contenders, curves, delay_figures, delay_table
from benchmarks.delay.delay_table import PAPER, Documents, duration, median

# The optimum up to the rounding of float32.
_TOLERANCE = 1e-4


class _Run:
    """The rows of one platform."""

    def __init__(self, platform: str, document: Mapping[str, Any]) -> None:
        self.platform, self.document = platform, document
        self.rows: Sequence[Mapping[str, Any]] = document["rows"]
        self._by = {(row["policy"], row["protocol"]): row for row in self.rows}

    def row(self, policy: str, protocol: str) -> Mapping[str, Any]:
        return self._by.get((policy, protocol), {})

    def seconds(self, policy: str, protocol: str = "paper_batch") -> float | None:
        return median(self.row(policy, protocol))

    def ratio(self, policy: str, other: str, protocol: str = "paper_batch") -> float | None:
        """Delay of a policy over another's, None unless both were measured."""
        seconds, reference = self.seconds(policy, protocol), self.seconds(other, protocol)
        return None if seconds is None or reference is None else seconds / reference


def section(documents: Documents, order: Sequence[str]) -> str:
    """A Markdown section of heading level 2, whatever part of it was measured.

    Args:
      documents: see `delay_table.Documents`.
      order: policies, in the order of the rows.
    """
    parts = [
        "## Table 1: delay of one decision",
        "“Batch” is all requests in one call, “one by one” the median of single calls; “/ greedy”"
        " is the delay over that of greedy in the same column.",
        delay_table.render(documents, order),
    ]
    for platform, document in documents.items():
        if document is not None:
            parts += _platform(_Run(platform, document))
    notes = delay_table.notes(documents)
    if notes:
        parts += ["### Not measured as asked", "\n".join(f"- {note}" for note in notes)]
    return "\n\n".join(parts) + "\n"


def _platform(run: _Run) -> list[str]:
    blocks = [
        _machine(run),
        *_titled("### Why this is not the paper's column", _comparison(run)),
        *_titled("### Networks against a plain matrix product", _networks(run)),
        *_titled("### Request by request", _load(run)),
        *_titled("### Growth of the delay", _growth(run)),
    ]
    return [block for block in blocks if block]


def _titled(title: str, blocks: Sequence[str]) -> list[str]:
    return [title, *blocks] if blocks else []


def _machine(run: _Run) -> str:
    environment, settings = run.document["environment"], run.document["settings"]
    versions = ", ".join(f"{k} {v}" for k, v in environment["versions"].items() if v is not None)
    floor = run.document["dispatch_floor"]["p50"]
    return (
        f"Measured on {run.platform}: {environment['device']}, {environment['processor']},"
        f" {environment['cores']} cores, Python {environment['python']}, {versions}, commit"
        f" {environment['commit']}; batch of {settings['decisions']} requests,"
        f" {settings['duration']:g} s a measurement. An empty jitted call takes {duration(floor)}:"
        " no policy called through jax one by one can be faster."
    )


def _comparison(run: _Run) -> list[str]:
    lines = []
    batch = run.ratio("optimal_enumeration", "greedy")
    one = run.ratio("optimal_enumeration", "greedy", "paper_loop")
    ours = _listed([(batch, "{:.3g} as one batch"), (one, "{:.3g} one by one")])
    if ours:
        lines.append(
            f"- The paper's Optimal takes {PAPER['optimal_enumeration']:.1f} times as long as"
            f" Greedy. It looks at 3^6 candidate decisions where Greedy looks at six subtasks, and"
            f" 3^6 / 6 = {3**6 / 6:.1f}: a Python loop was timed, candidate by candidate."
            f" Vectorised, with shared prefixes, the ratio is {ours} here."
        )
    same = _listed(
        [
            (run.ratio("kd_dil", "baseline_dil"), "{:.2f} as one batch"),
            (run.ratio("kd_dil", "baseline_dil", "paper_loop"), "{:.2f} one by one"),
        ]
    )
    sizes = {
        run.row(policy, "paper_batch").get("flops_per_decision")
        for policy in ("kd_dil", "baseline_dil")
    }
    if same and len(sizes) == 1:
        lines.append(
            "- The distilled student and the baseline are the same network with other weights, so"
            f" the paper gives both {PAPER['kd_dil']:.2f}. Their ratio here, {same}, shows how well"
            " this run can tell delays apart."
        )
    lines += [line for line in (_exact(run), _single(run)) if line]
    wrong = [
        row["policy"]
        for row in run.rows
        if row["policy"] in contenders.EXACT
        and row.get("normalized_latency", {}).get("p99", 1.0) > 1 + _TOLERANCE
    ]
    if wrong:
        names = ", ".join(dict.fromkeys(wrong))
        lines.append(f"- Claimed to be exact, but were not on these requests: {names}.")
    return ["\n".join(lines)] if lines else []


def _exact(run: _Run) -> str:
    exact = run.seconds("optimal_dp")
    networks = {name: run.seconds(name) for name in contenders.LEARNED}
    measured = {name: seconds for name, seconds in networks.items() if seconds is not None}
    if exact is None or not measured:
        return ""
    fastest = min(measured, key=measured.__getitem__)
    times = measured[fastest] / exact
    verdict = (
        "cheaper than every network" if times > 1 else f"not cheaper than {fastest}, a network"
    )
    return (
        f"- On a chain the exact dynamic program is {verdict}: {duration(exact)} a decision in a"
        f" batch, and {fastest}, the fastest network, takes {duration(measured[fastest])},"
        f" {times:.3g} times as long."
    )


def _single(run: _Run) -> str:
    exact = run.seconds("single_exact", "paper_loop")
    student = run.seconds("single_student", "paper_loop")
    if exact is None or student is None:
        return ""
    return (
        f"- Compiled for one request at a time, the exact dynamic program takes {duration(exact)}"
        f" and the student {duration(student)}, {student / exact:.3g} times as long."
    )


def _networks(run: _Run) -> list[str]:
    rows = []
    for policy in contenders.LEARNED:
        row = run.row(policy, "paper_batch")
        if "flops_per_second" not in row:
            continue
        share = row.get("share_of_matrix_product")
        matrix = row.get("matrix_product_flops_per_second")
        rows.append(
            [
                policy,
                f"{row['flops_per_decision'] / 1e3:.1f}",
                f"{row['flops_per_second'] / 1e9:.3g}",
                "" if matrix is None else f"{matrix / 1e9:.3g}",
                "" if share is None else f"{100 * share:.0f} %",
            ]
        )
    if not rows:
        return []
    headers = ["network", "kFLOP a decision", "GFLOP/s", "matrix product beside it", "share"]
    blocks = [
        "Operations of the matrix products alone, as one batch. The plain product is measured"
        " right before and after each network, since a shared machine's speed varies.",
        tabulate(rows, headers, "pipe", disable_numparse=True),
    ]
    lines = []
    for teacher in contenders.TEACHERS:
        fractions = _listed(
            [
                (run.ratio(contenders.STUDENT, teacher), "{:.3g} as one batch"),
                (run.ratio(contenders.STUDENT, teacher, "paper_loop"), "{:.3g} one by one"),
            ]
        )
        if fractions:
            paper = PAPER[contenders.STUDENT] / PAPER["large_dil_paper"]
            lines.append(f"- The student's delay over that of {teacher}: {fractions}")
            lines[-1] += f" (paper: {paper:.2f})." if teacher in PAPER else "."
    return [*blocks, *(["\n".join(lines)] if lines else [])]


def _load(run: _Run) -> list[str]:
    """Percentiles of single requests, and what the policies bear under load."""
    names = ("p50", "p90", "p99", "p99.9")
    under_load = any(row["protocol"] == "server" for row in run.rows)
    rows = []
    for policy in dict.fromkeys(row["policy"] for row in run.rows):
        stream, served = run.row(policy, "single_stream"), run.row(policy, "server")
        if "latency" not in stream and "requests_per_second" not in served:
            continue
        found = stream.get("latency", {})
        cells = [policy, *(duration(found[name]) if name in found else "–" for name in names)]
        if under_load:
            quality = served.get("normalized_latency")
            cells += [_rate(served), "" if quality is None else f"{quality['ratio_of_means']:.4f}"]
        rows.append(cells)
    if not rows:
        return []
    text, headers = "Percentiles of single requests, one after the other", ["policy", *names]
    if under_load:
        bound = duration(run.document["settings"]["p99_bound"])
        text += (
            "; and the highest rate of random (Poisson) arrivals at which 99 % are answered"
            f" within {bound}. The last column is about the decisions made under that load"
        )
        headers += ["requests/s", "latency / optimal"]
    return [f"{text}.", tabulate(rows, headers, "pipe", disable_numparse=True)]


def _rate(served: Mapping[str, Any]) -> str:
    if "lowest_rate_tried" in served:
        return f"< {served['lowest_rate_tried']:,.0f}"
    return f"{served['requests_per_second']:,.0f}" if "requests_per_second" in served else "–"


def _growth(run: _Run) -> list[str]:
    blocks = [
        f"![{title}](figures/{delay_figures.file_name(protocol, run.platform)})"
        for protocol, title in (
            (curves.BATCH, "Delay against batch size"),
            (curves.SUBTASKS, "Delay against number of subtasks"),
        )
        if curves.series(run.rows, protocol)
    ]
    lines = [_sentence(fit) for fit in curves.fits(run.rows)]
    if lines:
        blocks += [
            "Fitted by least squares on logarithms to the larger half of the sizes; an exponent"
            " of 1 is proportional, of 0 independent:",
            "\n".join(lines),
        ]
    return blocks


def _sentence(fit: curves.Fit) -> str:
    low, high = fit.sizes
    if fit.protocol == curves.BATCH:
        return f"- {fit.policy}: time of a call ∝ N^{fit.value:.2f}, N = {low} to {high} requests"
    if fit.exponential:
        return (
            f"- {fit.policy}: every further subtask multiplies the delay by {fit.value:.2f}"
            f" (A = {low} to {high}; the number of decisions grows by 3)"
        )
    return f"- {fit.policy}: delay of a decision ∝ A^{fit.value:.2f}, A = {low} to {high} subtasks"


def _listed(values: Sequence[tuple[float | None, str]]) -> str:
    """The measured ones among values, in words."""
    return " and ".join(form.format(value) for value, form in values if value is not None)
