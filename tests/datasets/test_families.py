"""Another family of problems is written, read and streamed by the same code."""

import json
import math
from pathlib import Path

import jax
import numpy as np
import pytest

import offload_jax as oj
from offload_jax.datasets import graphs, iterate, manifest, read, read_manifest, write
from tests.datasets import toy

CONFIG = toy.DatasetConfig(10, 3)


@pytest.fixture
def dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setitem(manifest.FAMILIES, "toy", "tests.datasets.toy")
    write(tmp_path / "dataset", CONFIG)
    return tmp_path / "dataset"


def test_a_family_with_matrices_comes_back(dataset: Path) -> None:
    matrix, solution = read(dataset)
    keys = [jax.random.fold_in(jax.random.key(0), shard) for shard in range(3)]
    drawn = np.concatenate([jax.random.normal(key, (4, 3, 3)) for key in keys])[:10]
    np.testing.assert_array_equal(matrix, drawn)
    expected = [sum(float(m[i, i]) for i in range(3)) for m in drawn]
    np.testing.assert_allclose(solution.value, expected, rtol=1e-5)
    np.testing.assert_array_equal(solution.large, np.array(expected) > 0)
    parts = [part for part, _ in iterate(dataset, batch_size=7)]
    assert [len(part) for part in parts] == [7, 3]
    np.testing.assert_array_equal(np.concatenate(parts), drawn)


def test_its_manifest_names_family_and_software(dataset: Path) -> None:
    assert read_manifest(dataset).config == CONFIG
    assert "scipy" in read_manifest(dataset).versions
    stored = json.loads((dataset / "_manifest.json").read_text())
    assert stored["config"]["family"] == "toy"
    stored["config"]["family"] = "trees"
    (dataset / "_manifest.json").write_text(json.dumps(stored))
    with pytest.raises(ValueError, match=r"_manifest\.json: .*trees"):
        read(dataset)


def test_a_limit_on_labels_of_graphs_is_finite() -> None:
    scenario = oj.graphs.scenarios.layered(8)
    with pytest.raises(ValueError, match="^time_limit = inf: must be finite and above 0"):
        graphs.DatasetConfig(1, scenario, method="cpsat", time_limit=math.inf)
