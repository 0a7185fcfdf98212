"""A plan as text."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))
_MOST_TENSORS, _LONGEST = 3, 28


def seconds(value: float) -> str:
    """A time with its unit."""
    if value == math.inf:
        return "impossible"
    return f"{value:.4g} s" if value >= 1 or value == 0 else f"{value * 1e3:.4g} ms"


def of_plan(plan: Any) -> str:
    """Segments in their order, totals beside those of every single place, what would change it."""
    parts = [_title(plan)], _segments(plan), _totals(plan), _flips(plan)
    return "\n\n".join("\n".join(lines) for lines in parts if lines)


def _title(plan: Any) -> str:
    quality = "nothing is better" if plan.optimal else "nothing is known of better ones"
    if not plan.optimal and plan.lower_bound > 0:
        most = plan.cost / plan.lower_bound - 1
        quality = f"at most {100 * most:.2g} % above the least possible"
    cost = f"{plan.objective} {seconds(plan.cost)}"
    if plan.weights[1]:
        cost = f"{plan.objective} {plan.cost:.4g} J"
    if plan.objective == "weighted":
        second, joule, _ = plan.weights
        cost = f"{second:g} latency + {joule:g} energy = {plan.cost:.4g}"
    return f"{plan.name}: {cost}, {quality}"


def _segments(plan: Any) -> list[str]:
    rows: list[tuple[str, ...]] = [("place", "layers", "first", "last", "computes", "leaves")]
    if plan.inputs:
        rows.append((plan.network.place_names[0], "", "", "", "", _leaves(plan, plan.inputs)))
    for segment in plan.segments:
        ends = (_short(plan.names[layer]) for layer in (segment.layers[0], segment.layers[-1]))
        name = plan.network.place_names[segment.place]
        count, busy = str(len(segment.layers)), seconds(segment.seconds)
        rows.append((name, count, *ends, busy, _leaves(plan, segment.sent)))
    return columns(rows)


def _leaves(plan: Any, sent: Iterable[Any]) -> str:
    return "; ".join(_sent(plan, one) for one in sent)


def _sent(plan: Any, sent: Any) -> str:
    tensors = [_short(name) for name in sent.tensors[:_MOST_TENSORS]]
    more = len(sent.tensors) - len(tensors)
    listed = ", ".join([*tensors, *([f"{more} more"] if more else [])])
    to = f"{_scaled(sent.num_bytes, 'B')} to {plan.network.place_names[sent.place]}"
    return f"{to} ({listed})" if listed else to


def _totals(plan: Any) -> list[str]:
    own = plan.latency, plan.period, plan.energy
    rows: list[tuple[str, ...]] = [("", "latency", "period", "energy"), ("this plan", *_total(own))]
    rows += [(f"all on {name}", *_total(total)) for name, total in plan.totals.items()]
    if plan.energy is None:
        rows = [row[:-1] for row in rows]
    return columns(rows)


def _total(total: tuple[float, float, float | None]) -> tuple[str, str, str]:
    latency, period, energy = total
    joules = "impossible" if latency == math.inf else f"{energy or 0:.4g} J"
    return seconds(latency), seconds(period), joules


def _flips(plan: Any) -> list[str]:
    if plan.flips is None:
        return []
    lines = []
    for flip in plan.flips:
        link = plan.network.links[flip.link]
        if flip.below > 0 or flip.above < math.inf:
            limits = [f"below {_rate(flip.below)}"] if flip.below > 0 else []
            limits += [f"above {_rate(flip.above)}"] if flip.above < math.inf else []
            change = f"changes {' and '.join(limits)}"
        else:
            change = "stays at every bandwidth"
        now = _rate(float(link.bandwidth))  # type: ignore[arg-type]
        lines.append(f"{link.source} to {link.target}, now {now}: the plan {change}")
    return lines


def _rate(bandwidth: float) -> str:
    return _scaled(8 * bandwidth, "bit/s")


def _scaled(value: float, unit: str) -> str:
    size, prefix = next(((s, p) for s, p in _PREFIXES if value >= s), (1.0, ""))
    return f"{value / size:.4g} {prefix}{unit}"


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST else f"…{name[1 - _LONGEST :]}"


def columns(rows: Iterable[Sequence[str]]) -> list[str]:
    """Rows of cells as lines, each column as wide as its widest cell."""
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
