"""ONNX models against the policies that they were written from."""

import json
import sys
from pathlib import Path

import jax
import numpy as np
import onnx
import onnxruntime
import pytest

import offload_jax as oj
from offload_jax.chains.imitation_network import logits
from offload_jax.chains.learned import LearnedPolicy
from offload_jax.chains.q_network import QNetworkConfig, action_values
from offload_jax.learning import checkpoints
from offload_jax.learning.parameters import initialize
from tests.export import compiled
from tests.test_single import WEIGHTED, requests, student

NUM = min(compiled.NUM_REQUESTS, 10_000)


def run(path: Path, problem: oj.ChainProblem) -> np.ndarray:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (decision,) = session.run(["decision"], {n: np.asarray(v) for n, v in vars(problem).items()})
    return decision


LARGE = {"feature_set": "times", "activation": "gelu", "residual": True, "symmetric": True}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"feature_set": "raw", "sharing": "shared", "num_subtasks": 4},
        {**LARGE, "sharing": "shared", "hidden": (52, 52), "num_subtasks": 6},
        {"objective": WEIGHTED, "hidden": (8,), "num_subtasks": 1},
    ],
)
def test_decides_as_the_policy(tmp_path: Path, options: dict) -> None:
    policy = student(**options)
    path = tmp_path / "policy.onnx"
    oj.export.onnx(policy, path)
    num = policy.config.num_subtasks
    ask = jax.jit(lambda problem: logits(policy.config, policy.params, problem))
    for hostile in (False, True):
        problem = requests(3, NUM, num, hostile=hostile)
        decision, values = run(path, problem), np.asarray(ask(problem))
        assert decision.dtype == np.int8 and decision.shape == (NUM, num)
        chosen = np.take_along_axis(values, decision[..., None].astype(int), -1)[..., 0]
        scale = np.abs(values).max(axis=(-2, -1))[:, None]
        assert (values.max(-1) - chosen <= 1e-4 * scale + 1e-6).all()
        if not hostile:
            assert (decision != values.argmax(-1)).mean() < 1e-3
            assert len(np.unique(decision)) > 1


def test_q_networks(tmp_path: Path) -> None:
    config = QNetworkConfig(num_subtasks=3, feature_set="physical", hidden=(16, 16))
    params = jax.tree.map(lambda leaf: 3 * leaf + 0.01, initialize(config, jax.random.key(0)))
    policy = LearnedPolicy(config, params)
    oj.export.onnx(policy, tmp_path / "q.onnx")
    problem = requests(3, NUM, 3, hostile=False)
    decision = run(tmp_path / "q.onnx", problem)
    values = np.asarray(action_values(config, params, problem))
    chosen = values[np.arange(NUM), decision @ np.array([9, 3, 1])]
    np.testing.assert_allclose(chosen, values.max(-1), rtol=1e-4, atol=1e-5)
    assert (decision == policy(problem)).all(-1).mean() > 0.99


def test_any_batch_and_nothing_but_the_length_it_was_made_for(tmp_path: Path) -> None:
    path = tmp_path / "policy.onnx"
    oj.export.onnx(student(hidden=(4,)), path)
    for size in (0, 1, 3):
        assert run(path, requests(0, size, 6, hostile=False)).shape == (size, 6)
    with pytest.raises(Exception, match="Got: 6 Expected: 7"):
        run(path, requests(0, 2, 5, hostile=False))


def test_the_model_says_where_it_comes_from(tmp_path: Path) -> None:
    policy = student(hidden=(4,))
    oj.export.onnx(policy, tmp_path / "policy.onnx")
    model = onnx.load(tmp_path / "policy.onnx")
    facts = {entry.key: entry.value for entry in model.metadata_props}
    assert facts["sha256"] == checkpoints.digest(policy.params)
    assert json.loads(facts["network"])["hidden"] == [4]
    assert [entry.name for entry in model.graph.input] == list(oj.ChainProblem.own_axes)


@pytest.mark.parametrize("policy", [oj.policies.optimal, oj.graphs.policies.student()])
def test_what_cannot_be_exported(tmp_path: Path, policy) -> None:
    with pytest.raises(ValueError, match="only learned policies for chains"):
        oj.export.onnx(policy, tmp_path / "policy.onnx")
    assert not list(tmp_path.iterdir())


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r"^onnx is not installed: .*\[export\]"):
        oj.export.onnx(student(hidden=(4,)), tmp_path / "policy.onnx")
