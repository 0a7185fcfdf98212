"""Table, section and figures from documents that hold everything, little or nothing."""

from pathlib import Path
from typing import Any

import pytest

from benchmarks.delay import contenders, curves, delay_figures, delay_report, delay_table

QUALITY = {"ratio_of_means": 1.25, "p99": 2.0}
PERCENTILES = {"p50": 1e-6, "p90": 2e-6, "p99": 3e-6, "p99.9": 4e-6}


def row(policy: str, protocol: str, seconds: float, **more: Any) -> dict[str, Any]:
    quality = {"ratio_of_means": 1.0, "p99": 1.0} if policy in contenders.EXACT else QUALITY
    return {
        "policy": policy,
        "protocol": protocol,
        "batch_size": 1,
        "num_subtasks": 6,
        "status": "measured",
        "seconds_per_decision": {"median": seconds},
        "normalized_latency": quality,
        **more,
    }


def document(*rows: dict[str, Any]) -> dict[str, Any]:
    return {
        "environment": {
            "device": "a device",
            "processor": "a processor",
            "cores": 2,
            "python": "3.11.0",
            "versions": {"jax": "1.2.3", "torch": None},
            "commit": "abc",
        },
        "settings": {"decisions": 1000, "duration": 0.5, "p99_bound": 0.01},
        "dispatch_floor": {"p50": 1.25e-5},
        "rows": list(rows),
    }


def everything() -> dict[str, Any]:
    network = {
        "flops_per_decision": 2000.0,
        "flops_per_second": 3e9,
        "matrix_product_flops_per_second": 6e9,
        "share_of_matrix_product": 0.5,
    }
    rows = [
        row("greedy", "paper_batch", 1e-8),
        row("greedy", "paper_loop", 2e-6),
        row("optimal_dp", "paper_batch", 2e-8),
        row("optimal_enumeration", "paper_batch", 7e-8),
        row("optimal_enumeration", "paper_loop", 9e-6),
        row("kd_dil", "paper_batch", 8e-7, **network),
        row("baseline_dil", "paper_batch", 1e-6, **network),
        row("large_dil_paper", "paper_batch", 1.6e-5, **network),
        row("single_exact", "paper_loop", 2e-6),
        row("single_student", "paper_loop", 5e-6),
        row("single_exact", "single_stream", 2e-6, latency=PERCENTILES),
        {
            "policy": "kd_dil",
            "protocol": "server",
            "batch_size": 1,
            "status": "measured",
            "requests_per_second": 4321.0,
            "normalized_latency": QUALITY,
        },
        {
            "policy": "cpsat",
            "protocol": "server",
            "batch_size": 1,
            "status": "measured",
            "requests_per_second": 0.0,
            "lowest_rate_tried": 20.0,
        },
        {
            "policy": "dynamax",
            "protocol": "all",
            "batch_size": 0,
            "status": "unavailable",
            "note": "pip install it",
        },
    ]
    for size in (1, 10, 100):
        for policy in ("optimal_dp", "kd_dil", "greedy"):
            rows.append(row(policy, curves.BATCH, 1e-6, batch_size=size))
    for length in (3, 4, 5):
        rows.append(
            row("optimal_enumeration", curves.SUBTASKS, 1e-6 * 2.5**length, num_subtasks=length)
        )
        rows.append(row("optimal_dp", curves.SUBTASKS, 1e-9 * length, num_subtasks=length))
    return document(*rows)


def section(**documents: Any) -> str:
    return delay_report.section(documents, contenders.NAMES)


def test_everything_measured_is_in_the_section() -> None:
    text = section(cpu=everything(), gpu=None)
    assert text.startswith("## Table 1") and text.count("\n## ") == 0
    for words in (
        "| 122.54",
        "| 0.51",
        "122.5 times as long",
        "3^6 / 6 = 121.5",
        "ratio is 7 as one batch and 4.5 one by one",
        "Their ratio here, 0.80 as one batch, shows",
        "is cheaper than every network: 20 ns a decision in a batch, and kd_dil, the fastest",
        "800 ns, 40 times as long",
        "takes 2 µs and the student 5 µs, 2.5 times as long",
        "over that of large_dil_paper: 0.05 as one batch (paper: 0.33)",
        "An empty jitted call takes 12.5 µs",
        "50 %",
        "| 4,321",
        "| < 20",
        "figures/delay_batch.png",
        "figures/delay_subtasks.png",
        "optimal_dp: time of a call ∝ N^1.00, N = 1 to 100 requests",
        "optimal_dp: delay of a decision ∝ A^1.00, A = 3 to 5 subtasks",
        "every further subtask multiplies the delay by 2.50",
        "- cpu, dynamax, all: unavailable: pip install it",
        "not measured",
    ):
        assert words in text, words
    assert "Claimed to be exact" not in text


def test_an_exact_solver_that_is_wrong_and_a_cheap_network_are_told() -> None:
    wrong = row("numpy_dp", "paper_batch", 1e-6) | {"normalized_latency": QUALITY}
    rows = [wrong, row("optimal_dp", "paper_batch", 3e-6), row("drl", "paper_batch", 1e-6)]
    text = section(cpu=document(*rows))
    assert "were not on these requests: numpy_dp" in text
    assert "not cheaper than drl, a network" in text


def test_load_is_a_column_only_if_it_was_measured() -> None:
    stream = row("single_exact", "single_stream", 2e-6, latency=PERCENTILES)
    assert "| 4 µs" in section(cpu=document(stream))
    assert "requests/s" not in section(cpu=document(stream))


def test_nothing_measured_makes_a_section() -> None:
    text = section(cpu=None, gpu=None)
    rows = len(delay_table.PAPER)
    assert text.count("not measured") == 4 * rows
    assert "###" not in text and "figures/" not in text
    empty = section(cpu=document())
    assert "a processor" in empty and "###" not in empty and "figures/" not in empty


def test_every_single_row_makes_a_section() -> None:
    for each in everything()["rows"]:
        assert section(cpu=document(each), gpu=document(each)).startswith("## Table 1")


def test_the_table_as_data() -> None:
    gpu = document(row("greedy", "paper_batch", 1e-9), row("drl", "paper_batch", 3e-9))
    table = delay_table.table1(
        {"cpu": everything(), "gpu": gpu, "tpu": None}, (*contenders.NAMES, "nobody")
    )
    rows = {each["policy"]: each for each in table["rows"]}
    assert "nobody" not in rows and "edge" not in rows
    assert table["platforms"]["tpu"] is None
    kd_dil = rows["kd_dil"]
    assert kd_dil["paper_over_greedy"] == 0.17 and kd_dil["latency_over_optimal"] == 1.25
    batch = kd_dil["platforms"]["cpu"]["batch"]
    assert batch["status"] == "measured" and batch["seconds"] == 8e-7
    assert batch["over_greedy"] == pytest.approx(80.0)
    assert kd_dil["platforms"]["cpu"]["one"] is None
    assert kd_dil["platforms"]["gpu"] == {"batch": None, "one": None}
    assert kd_dil["platforms"]["tpu"] is None
    unavailable = {"status": "unavailable", "seconds": None, "over_greedy": None}
    assert rows["dynamax"]["platforms"]["cpu"] == {"batch": unavailable, "one": unavailable}
    assert rows["drl"]["platforms"]["gpu"]["batch"]["over_greedy"] == pytest.approx(3.0)


def test_a_table_of_nothing_renders() -> None:
    table = delay_table.render({"cpu": None, "gpu": None}, ("greedy", "kd_dil"))
    assert table.count("not measured") == 8


def test_figures_are_drawn_for_what_there_is(tmp_path: Path) -> None:
    rows = everything()["rows"]
    delay_figures.write(rows, tmp_path / "both", platform="gpu")
    names = {path.name for path in (tmp_path / "both").iterdir()}
    assert names == {"delay_batch_gpu.png", "delay_subtasks_gpu.png"}
    for path in (tmp_path / "both").iterdir():
        assert path.read_bytes().startswith(b"\x89PNG")
    assert "figures/delay_batch_gpu.png" in section(cpu=None, gpu=document(*rows))
    delay_figures.write(rows[:3], tmp_path / "none", platform="cpu")
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("seconds", [2.0, 3.5e-3, 4e-6, 1.25e-8])
def test_durations_have_units(seconds: float) -> None:
    number, unit = delay_table.duration(seconds).split()
    size = {"s": 1, "ms": 1e-3, "µs": 1e-6, "ns": 1e-9}[unit]
    assert float(number) * size == pytest.approx(seconds, rel=1e-2)


@pytest.mark.parametrize(("value", "text"), [(None, ""), (0.0366, "0.0366"), (19400, "19,400")])
def test_ratios_have_no_exponent(value: float | None, text: str) -> None:
    assert delay_table.ratio(value) == text
