"""The delay command: files, errors, interruption; nothing is timed."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

import offload_jax as oj
from benchmarks.delay import contenders, inference_delay, measure
from benchmarks.delay.contenders import Contender
from benchmarks.delay.pool import Requests
from benchmarks.peers import peers
from offload_jax.chains.features import num_features
from offload_jax.chains.imitation_network import ImitationConfig
from offload_jax.chains.learned import LearnedPolicy, model_data
from offload_jax.learning import checkpoints
from offload_jax.learning.parameters import initialize

TINY = measure.Settings(
    protocols=("paper", "server", "curves"),
    duration=0.01,
    decisions=3,
    max_requests=5,
    curve_batch_sizes=(1, 3),
)


def run(names: list[str], settings: measure.Settings, output: Path, **options: Any) -> Any:
    arguments: dict[str, Any] = {"platform": "cpu", "checkpoints": output / "none"}
    arguments |= {"output": output, "report": lambda line: None, **options}
    return inference_delay.run(names, settings, **arguments)


def test_a_crash_is_a_row_and_the_others_still_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.delay.curves.LENGTHS", {"numba_loop": (3, 40)})

    def build(name: str, **options: Any) -> Contender:
        if name == "edge":
            raise RuntimeError("no luck\nat all")
        contender = contenders.build(name, **options)
        if name == "cloud":

            def crash(problem: Any) -> Any:
                raise MemoryError("out of memory")

            return Contender(name, True, crash, None, contender.place, contender.prepare)
        return contender

    names = ["edge", "cloud", "greedy", "optimal_dp", "numpy_dp", "numba_loop"]
    document = run(names, TINY, tmp_path, build=build)
    results = tmp_path / "results"
    assert json.loads((results / "delay_cpu.json").read_text()) == json.loads(json.dumps(document))
    check_schema(document)
    status = {(row["policy"], row["protocol"]): row["status"] for row in document["rows"]}
    assert status["edge", "all"] == status["cloud", "paper_batch"] == "failed"
    assert status["numba_loop", "curve_subtasks"] == "failed"
    for row in document["rows"]:
        if row["policy"] in contenders.EXACT and row["status"] == "measured":
            assert row["normalized_latency"]["ratio_of_means"] == pytest.approx(1.0, abs=1e-5)

    text = inference_delay.write_report(tmp_path)
    assert "not measured" in text and "MemoryError: out of memory" in text
    assert "122.54" in text and "119.72" in text
    section = (results / "table1.md").read_text()
    assert section.startswith("## ") and "at most 32 subtasks, got 40" in section
    assert "figures/delay_batch.png" in section
    assert (tmp_path / "figures" / "delay_batch.png").exists()
    table = json.loads((results / "table1.json").read_text())
    assert {row["policy"] for row in table["rows"]} >= set(names)
    assert sorted(path.name for path in results.iterdir()) == [
        "delay_cpu.json",
        "table1.json",
        "table1.md",
    ]


def check_schema(document: dict[str, Any]) -> None:
    keys = {"format", "environment", "settings", "dispatch_floor", "rows"}
    assert set(document) == {*keys, "matrix_product_flops_per_second"}
    assert {"machine", "device", "platform", "versions", "commit"} <= set(document["environment"])
    for row in document["rows"]:
        assert {"policy", "protocol", "batch_size", "status", "peak_memory_bytes"} <= set(row)
        if row["status"] != "measured":
            assert row["note"]
            continue
        assert set(oj.metrics.NormalizedLatency._fields) == set(row["normalized_latency"])
        assert row["decisions"] > 0
        if row["protocol"] == "server":
            assert row["requests_per_second"] >= 0
        else:
            assert {"median", "quartile1", "quartile3", "repeats"} == set(
                row["seconds_per_decision"]
            )


def test_a_network_is_compared_with_the_machine(tmp_path: Path) -> None:
    config = ImitationConfig(feature_set="physical", hidden=(32, 32))
    params = initialize(config, jax.random.key(0))
    with checkpoints.training_folder(tmp_path / "kd_dil", {"model": model_data(config)}) as folder:
        folder.save([np.zeros(1)], params=params, epoch=1)
    settings = measure.Settings(protocols=("paper",), duration=0.01, decisions=8, max_requests=5)
    document = run(["kd_dil", "single_student"], settings, tmp_path, checkpoints=tmp_path)
    batch, loop, single = document["rows"]
    kernels = 17 * 32 + 32 * 32 + 32 * 3
    width = num_features("physical", 6)
    assert batch["flops_per_decision"] == 2 * 6 * (kernels + (width - 17) * 32)
    assert batch["share_of_matrix_product"] > 0
    assert loop["status"] == single["status"] == "measured"
    assert "Networks against" in (inference_delay.write_report(tmp_path) and section_of(tmp_path))


def section_of(output: Path) -> str:
    return (output / "results" / "table1.md").read_text()


def test_a_reversed_pass_counts_twice() -> None:
    once, twice = (
        contenders.network_flops(LearnedPolicy(config, initialize(config, jax.random.key(0))))
        for config in (ImitationConfig(), ImitationConfig(symmetric=True))
    )
    # The paper's 1.6M parameters, less the biases.
    assert once == 2 * 6 * (17 * 256 + 4 * 256**2 + 256 * 3)
    assert twice == 2 * once


def test_an_interrupted_run_keeps_what_it_measured(tmp_path: Path) -> None:
    lines: list[str] = []

    def report(line: str) -> None:
        lines.append(line)
        if len(lines) == 2:
            raise KeyboardInterrupt

    settings = measure.Settings(protocols=("paper",), duration=0.01, decisions=8, max_requests=5)
    with pytest.raises(KeyboardInterrupt):
        run(["local", "greedy"], settings, tmp_path, report=report)
    document = inference_delay.stored(tmp_path)["cpu"]
    assert [row["protocol"] for row in document["rows"]] == ["paper_batch", "paper_loop"]
    assert "local" in inference_delay.write_report(tmp_path)


@pytest.mark.parametrize("num", [1, 300, 5000])
def test_peers_find_the_optimum(num: int) -> None:
    requests = Requests(num, seed=1)
    for peer in (peers.numpy_dp, peers.numba_dp):
        decision = peer(*jax.tree.leaves(requests.problem))
        assert requests.quality(slice(None), decision)["p99"] < 1 + 1e-5


def test_packed_decisions_have_a_longest_chain() -> None:
    requests = Requests(20, seed=0, num_subtasks=32)
    decision = peers.numba_dp(*jax.tree.leaves(requests.problem))
    assert requests.quality(slice(None), decision)["p99"] < 1 + 1e-5
    longer = Requests(1, seed=0, num_subtasks=33).problem
    with pytest.raises(ValueError, match="at most 32 subtasks, got 33"):
        peers.numba_dp(*jax.tree.leaves(longer))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"names": ["optimal"]}, "unknown, there are optimal_dp, optimal_enumeration"),
        ({"names": ["drl"]}, "no checkpoint .*drl; in that folder: none"),
        ({"platform": "quantum"}, "not present, there is cpu"),
        ({"settings": measure.Settings(duration=0.0)}, "must be more than 0 seconds"),
        ({"settings": measure.Settings(time_limit=-1.0)}, "time_limit = -1: must be more"),
        ({"settings": measure.Settings(protocols=("mlperf",))}, "there are paper, single_stream"),
        ({"settings": measure.Settings(batch_sizes=(0,))}, "must be at least one size"),
        ({"settings": measure.Settings(curve_batch_sizes=())}, "must be at least one size"),
        ({"settings": measure.Settings(decisions=0)}, "decisions = 0: must be at least 1"),
    ],
)
def test_bad_input_says_what_exists(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    arguments: dict[str, Any] = {"names": ["local"], "settings": TINY, **options}
    names, settings = arguments.pop("names"), arguments.pop("settings")
    with pytest.raises(inference_delay.InputError, match=message):
        run(names, settings, tmp_path / "out", **arguments)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("text", ["{", "[]", '{"format": "something else"}'])
def test_a_foreign_file_is_named_before_anything_is_measured(text: str, tmp_path: Path) -> None:
    path = tmp_path / "results" / "delay_gpu.json"
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(inference_delay.InputError, match=r"delay_gpu\.json: no results"):
        run(["local"], TINY, tmp_path)
    assert path.read_text() == text


def test_the_command_exits_with_one_line() -> None:
    command = [sys.executable, "-m", "benchmarks.delay.inference_delay", "--policies=nobody"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 1
    assert len(result.stderr.strip().splitlines()) == 1 and "nobody" in result.stderr
