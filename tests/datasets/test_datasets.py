"""Datasets hold exact labels, survive every interruption, and never hide damage."""

import contextlib
import dataclasses
import fcntl
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np
import pytest

import offload_jax as oj
from offload_jax.datasets import DatasetConfig, iterate, read, read_manifest, write
from tests import oracle

SMALL = DatasetConfig(1000, oj.scenarios.WIDE, seed=3, shard_size=300)
LAST = "shard-00003.parquet"


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(directory.iterdir())}


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An uninterrupted run of `SMALL`; tests that change a file work on a copy."""
    directory = tmp_path_factory.mktemp("pristine") / "dataset"
    write(directory, SMALL)
    return directory


@pytest.fixture
def dataset(pristine: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "dataset"
    copy.mkdir()
    for name, content in contents(pristine).items():
        (copy / name).write_bytes(content)
    return copy


def test_samples_come_back_as_drawn_with_their_labels(pristine: Path) -> None:
    problem, solution = read(pristine)
    key = jax.random.key(SMALL.seed)
    drawn = [
        oj.scenarios.sample(jax.random.fold_in(key, shard), SMALL.scenario, 300)
        for shard in range(4)
    ]
    expected = jax.tree.map(lambda *parts: np.concatenate(parts)[:1000], *drawn)
    jax.tree.map(np.testing.assert_array_equal, problem, expected)
    labels = oj.solve(problem)
    np.testing.assert_array_equal(solution.decision, labels.decision)
    np.testing.assert_allclose(solution.cost, labels.cost, rtol=1e-6)
    assert solution.optimal.all()
    assert solution.decision.dtype == np.int8
    assert solution.cost.dtype == problem.cycles.dtype == np.float32


def test_manifest_records_configuration_software_and_shards(pristine: Path) -> None:
    manifest = read_manifest(pristine)
    assert manifest.config == SMALL
    assert manifest.complete
    assert manifest.num_finished == 1000
    assert [shard.rows for shard in manifest.shards.values()] == [300, 300, 300, 100]
    assert manifest.versions["jax"] == jax.__version__
    stored = json.loads((pristine / "_manifest.json").read_text())
    assert stored["config"]["scenario"]["device_edge_bandwidth"] == [0.0, 2e6]
    assert stored["config"]["objective"]["power"]["transmit_watts"] == 1.258
    assert stored["config"]["format_version"] == 1


def test_pandas_opens_a_shard_and_the_directory(pristine: Path) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.read_parquet(pristine / LAST)
    assert len(frame) == 100
    assert list(frame.columns[:7]) == [*(f"cycles_{t}" for t in range(6)), "data_0"]
    assert list(frame.columns[-3:]) == ["decision_5", "cost", "optimal"]
    assert frame["decision_0"].dtype == np.int8
    assert len(pandas.read_parquet(pristine)) == 1000


def oracle_cost(problem: oj.ChainProblem, row: int, weights: tuple[float, float]) -> float:
    one = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64)[row], problem)
    chain = oracle.Chain(*(getattr(one, f.name) for f in dataclasses.fields(one)))
    if len(chain.cycles) <= 6:
        return oracle.optimum(chain, *weights)[1]
    places, steps = oracle.PLACES, range(len(chain.cycles))
    execution = [[oracle.execution_seconds(chain, t, k) for k in places] for t in steps]
    transfer = [
        [[oracle.transfer_seconds(chain, t, j, k) for k in places] for j in places]
        for t in range(len(chain.cycles) + 1)
    ]
    return oracle.shortest_path(execution, transfer)


@pytest.mark.parametrize(
    ("num_subtasks", "method", "weights"),
    [
        (1, "auto", (1.0, 0.0)),
        (20, "dp", (1.0, 0.0)),
        (4, "exhaustive", (0.5, 2.0)),
        (3, "cpsat", (0.0, 1.0)),
    ],
    ids=str,
)
def test_labels_are_optimal(
    num_subtasks: int, method: str, weights: tuple[float, float], tmp_path: Path
) -> None:
    if method == "cpsat":
        pytest.importorskip("ortools")
    scenario = dataclasses.replace(oj.scenarios.NARROW, num_subtasks=num_subtasks)
    config = DatasetConfig(15, scenario, 1, method, oj.Objective(*weights), shard_size=10)
    write(tmp_path / "dataset", config)
    problem, solution = read(tmp_path / "dataset")
    assert problem.num_subtasks == num_subtasks
    assert solution.optimal.all()
    expected = [oracle_cost(problem, row, weights) for row in range(15)]
    np.testing.assert_allclose(solution.cost, expected, rtol=1e-5)
    table = oj.chain_costs(problem, config.objective)
    np.testing.assert_allclose(oj.evaluate(table, solution.decision), expected, rtol=1e-5)


@pytest.mark.parametrize("batch_size", [1, 299, 300, 301, 1000, 5000])
def test_batches_run_across_shards(batch_size: int, pristine: Path) -> None:
    batches = list(iterate(pristine, batch_size=batch_size))
    assert {len(s.cost) for _, s in batches[:-1]} <= {batch_size}
    joined = jax.tree.map(lambda *parts: np.concatenate(parts), *batches)
    jax.tree.map(np.testing.assert_array_equal, joined, read(pristine))


def test_shards_can_be_chosen(pristine: Path) -> None:
    everything, _ = read(pristine)
    problem, _ = read(pristine, shards=[3, 0])
    np.testing.assert_array_equal(problem.cycles[:100], everything.cycles[900:])
    np.testing.assert_array_equal(problem.cycles[100:], everything.cycles[:300])
    with pytest.raises(ValueError, match=r"shards: 4 is not in 0 \.\. 3"):
        read(pristine, shards=[4])


def test_bytes_do_not_depend_on_precision_or_generator_of_the_process(
    pristine: Path, tmp_path: Path
) -> None:
    with jax.enable_x64(True), jax.default_prng_impl("rbg"):
        write(tmp_path / "dataset", SMALL)
    assert contents(tmp_path / "dataset") == contents(pristine)


def test_killed_at_any_moment_it_goes_on(tmp_path: Path) -> None:
    config = DatasetConfig(15_000, oj.scenarios.WIDE, shard_size=300)
    write(tmp_path / "whole", config)
    program = (
        "import sys, offload_jax as oj\n"
        "config = oj.datasets.DatasetConfig(15_000, oj.scenarios.WIDE, shard_size=300)\n"
        "oj.datasets.write(sys.argv[1], config)\n"
    )
    directory = tmp_path / "killed"
    process = subprocess.Popen([sys.executable, "-c", program, str(directory)])
    try:
        moment = int(np.random.default_rng().integers(1, 40))
        deadline = time.monotonic() + 600
        while len(list(directory.glob("*.parquet"))) < moment:
            assert process.poll() is None, "ended before it was killed"
            assert time.monotonic() < deadline
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
    finally:
        process.kill()
        process.wait()
    finished = len(read_manifest(directory).shards)
    assert moment - 2 <= finished < 50
    kept = []
    write(directory, config, progress=lambda num_finished, note: kept.append((num_finished, note)))
    assert kept[0] == (300 * finished, "")
    assert contents(directory) == contents(tmp_path / "whole")


def truncate(path: Path) -> None:
    os.truncate(path, 1000)


def alter(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "words"),
    [(truncate, "1000 bytes instead of"), (alter, "checksum differs"), (Path.unlink, "missing")],
    ids=["truncated", "altered", "missing"],
)
def test_a_damaged_shard_is_noticed_and_made_again(
    damage, words: str, dataset: Path, pristine: Path
) -> None:
    damage(dataset / LAST)
    for attempt in (lambda: read(dataset), lambda: list(iterate(dataset, batch_size=7))):
        with pytest.raises(ValueError, match=f"{LAST}: .*{words}"):
            attempt()
    read(dataset, shards=[0, 1, 2])  # the others stay usable
    notes = []
    write(dataset, SMALL, progress=lambda num_finished, note: notes.append((num_finished, note)))
    assert [num_finished for num_finished, _ in notes] == [900, 1000]
    assert LAST in notes[0][1]
    assert words in notes[0][1]
    assert contents(dataset) == contents(pristine)


@pytest.mark.parametrize("length", [0, 1000])
def test_truncation_is_noticed_without_checksums(length: int, dataset: Path) -> None:
    os.truncate(dataset / LAST, length)
    with pytest.raises(ValueError, match=LAST):
        read(dataset, verify=False)


def test_a_complete_dataset_is_left_as_it_is(dataset: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in dataset.iterdir()}
    assert write(dataset, SMALL).complete
    assert {path: path.stat().st_mtime_ns for path in dataset.iterdir()} == before


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seed": 4}, "seed is 3 there and 4 here"),
        ({"num": 999}, "num is 1000 there and 999 here"),
        ({"method": "dp"}, "method is auto there and dp here"),
        (
            {"scenario": dataclasses.replace(oj.scenarios.WIDE, data=(0.0, 1e6))},
            r"scenario\.data is \[0\.0, 10000000\.0\] there and \[0\.0, 1000000\.0\] here",
        ),
        (
            {"objective": oj.Objective(power=oj.PowerModel(idle_watts=1.0))},
            r"objective\.power\.idle_watts is 0\.0 there and 1\.0 here",
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_another_configuration_is_refused(change: dict, words: str, dataset: Path) -> None:
    truncate(dataset / LAST)
    before = contents(dataset)
    with pytest.raises(ValueError, match=words):
        write(dataset, dataclasses.replace(SMALL, **change))
    assert contents(dataset) == before


def test_other_software_may_not_finish_it(dataset: Path) -> None:
    path = dataset / "_manifest.json"
    path.write_text(path.read_text().replace(f'"jax": "{jax.__version__}"', '"jax": "0.1"'))
    write(dataset, SMALL)  # nothing left to do
    truncate(dataset / LAST)
    before = contents(dataset)
    with pytest.raises(ValueError, match=r"jax is 0\.1 there"):
        write(dataset, SMALL)
    assert contents(dataset) == before


def test_a_directory_of_something_else_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("dear to somebody")
    with pytest.raises(ValueError, match=r"thesis\.tex"):
        write(tmp_path, SMALL)
    assert contents(tmp_path) == {"thesis.tex": b"dear to somebody"}
    with pytest.raises(ValueError, match="is a file"):
        write(tmp_path / "thesis.tex", SMALL)
    with pytest.raises(ValueError, match="not a dataset"):
        read(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"config": {"format_version": 2}}'])
def test_a_bad_manifest_is_named_and_kept(text: str, dataset: Path) -> None:
    (dataset / "_manifest.json").write_text(text)
    for attempt in (lambda: read(dataset), lambda: write(dataset, SMALL)):
        with pytest.raises(ValueError, match=r"_manifest\.json"):
            attempt()
    assert (dataset / "_manifest.json").read_text() == text


def test_two_writers_do_not_meet(dataset: Path) -> None:
    truncate(dataset / LAST)
    with open(dataset / ".lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(BlockingIOError, match="another process is writing"):
            write(dataset, SMALL)
    assert write(dataset, SMALL).complete


@contextlib.contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Files cannot grow beyond `size`: like a full disk, it fails in the middle of a write."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    previous = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, previous)


def test_finished_shards_survive_a_failing_write(tmp_path: Path, pristine: Path) -> None:
    directory = tmp_path / "dataset"
    sizes = [shard.bytes for shard in read_manifest(pristine).shards.values()]
    with contextlib.ExitStack() as limited:

        def fill(num_finished: int, note: str) -> None:
            if num_finished == 600:
                limited.enter_context(largest_file(sizes[2] // 2))

        with pytest.raises(OSError, match=r"shard-00002\.parquet"):
            write(directory, SMALL, progress=fill)
    assert not list(directory.glob(".*.partial"))
    assert sorted(read_manifest(directory).shards) == [0, 1]
    problem, _ = read(directory, shards=[0, 1])
    assert problem.batch_shape == (600,)
    with pytest.raises(ValueError, match="2 of 4 shards are finished"):
        read(directory)
    with pytest.raises(ValueError, match="2 is not finished"):
        read(directory, shards=[2])
    write(directory, SMALL)
    assert contents(directory) == contents(pristine)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"num": 0}, "num = 0: must be at least 1"),
        ({"num": True}, "num = True: must be an integer"),
        ({"seed": -1}, r"seed = -1: must be in 0 \.\. 4294967295"),
        ({"seed": 2**32}, "seed = 4294967296"),
        ({"shard_size": -1}, "shard_size = -1"),
        ({"method": "greedy"}, "unknown method 'greedy'"),
        (
            {
                "method": "exhaustive",
                "scenario": dataclasses.replace(SMALL.scenario, num_subtasks=20),
            },
            "too many",
        ),
    ],
)
def test_bad_configurations(change: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        dataclasses.replace(SMALL, **change)


def test_chosen_shard_size_shrinks_with_longer_chains() -> None:
    def size(num_subtasks: int, method: str = "auto") -> int:
        scenario = dataclasses.replace(oj.scenarios.WIDE, num_subtasks=num_subtasks)
        return DatasetConfig(10**7, scenario, method=method).shard_size

    assert [size(1), size(6), size(20), size(10**7)] == [250_000, 250_000, 75_000, 1]
    assert size(6, "cpsat") == 1000


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"cycles": None}, r"^cycles: must be tuple\[float, float\]"),
        ({"cycles": [1]}, r"^cycles: .*\[1\]"),
        ({"cycles": [2, 1]}, "needs 0 <= low <= high"),
        ({"num_subtasks": 2.5}, r"^num_subtasks: must be int, got 2\.5"),
        ({"colour": 1}, "no such field: colour; known are name, num_subtasks"),
    ],
)
def test_bad_scenarios(change: dict, words: str) -> None:
    data = dataclasses.asdict(oj.scenarios.WIDE)
    assert oj.datasets.scenario_from_data(json.loads(json.dumps(data))) == oj.scenarios.WIDE
    with pytest.raises(ValueError, match=words):
        oj.datasets.scenario_from_data(data | change)
    with pytest.raises(ValueError, match="edge_speed: missing"):
        oj.datasets.scenario_from_data({k: v for k, v in data.items() if k != "edge_speed"})


def test_without_pyarrow_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r"pyarrow is not installed: .*\[data\]"):
        write(tmp_path / "dataset", SMALL)
    assert not (tmp_path / "dataset").exists()
