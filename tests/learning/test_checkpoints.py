"""Checkpoints come back as they were, and nothing else is taken for one."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import offload_jax as oj
from offload_jax.chains.imitation_network import ImitationConfig
from offload_jax.chains.learned import LearnedPolicy
from offload_jax.chains.q_network import QNetworkConfig
from offload_jax.learning import checkpoints
from offload_jax.learning.parameters import initialize

CONFIGS = [
    ImitationConfig(hidden=(4,)),
    ImitationConfig(hidden=(4, 4), sharing="shared", feature_set="times", symmetric=True),
    ImitationConfig(hidden=(4,), activation="gelu", residual=True, scenario=oj.scenarios.NARROW),
    QNetworkConfig(num_subtasks=3, hidden=(4,)),
    ImitationConfig(
        hidden=(4,), objective=oj.Objective(1.0, 0.5, oj.PowerModel(transmit_watts=2.0))
    ),
]
CONFIG = CONFIGS[0]


def write(path, config=CONFIG, epoch=1):
    params = initialize(config, jax.random.key(epoch))
    state = {"params": params, "count": jnp.int32(epoch)}
    checkpoints.save(path, state, params=params, config={"model": config, "rate": 0.5}, epoch=epoch)
    return params, state


def content_of(path):
    """Every file below `path` with its bytes."""
    return {p.relative_to(path): p.read_bytes() for p in path.rglob("*") if p.is_file()}


@pytest.mark.parametrize("config", CONFIGS)
def test_policy_round_trip(config, tmp_path):
    params, _ = write(tmp_path / "run", config)
    policy = oj.policies.load(tmp_path / "run")
    assert policy.config == config
    jax.tree.map(np.testing.assert_array_equal, policy.params, params)
    scenario = dataclasses.replace(oj.scenarios.WIDE, num_subtasks=config.num_subtasks)
    problem = oj.scenarios.sample(jax.random.key(0), scenario, 5)
    expected = LearnedPolicy(config, params)(problem)
    np.testing.assert_array_equal(policy(problem), expected)


def test_resume_gives_the_newest_state_and_old_ones_go(tmp_path):
    for epoch in (1, 2, 10):
        _, state = write(tmp_path / "run", epoch=epoch)
    found = checkpoints.resume(tmp_path / "run", state, config={"model": CONFIG, "rate": 0.5})
    assert found is not None
    assert found[1] == 10
    jax.tree.map(np.testing.assert_array_equal, found[0], state)
    assert len(list((tmp_path / "run").iterdir())) == 2


def test_no_checkpoint_yet_is_a_fresh_start(tmp_path):
    assert checkpoints.resume(tmp_path / "run", {}, config={"model": CONFIG}) is None


def test_another_configuration_is_refused_and_named(tmp_path):
    _, state = write(tmp_path / "run")
    before = content_of(tmp_path)
    with pytest.raises(ValueError, match=r"run: .*rate was 0\.5, now 0\.25"):
        checkpoints.resume(tmp_path / "run", state, config={"model": CONFIG, "rate": 0.25})
    other = ImitationConfig(hidden=(5,))
    with pytest.raises(ValueError, match=r"model\.hidden was \[4\], now \[5\]"):
        checkpoints.resume(tmp_path / "run", state, config={"model": other, "rate": 0.5})
    assert content_of(tmp_path) == before


def test_missing_folder_is_named(tmp_path):
    with pytest.raises(ValueError, match="nowhere: there is no such"):
        oj.policies.load(tmp_path / "nowhere")


@pytest.mark.parametrize("action", ["load", "resume", "save"])
def test_foreign_folder_is_named_and_left_alone(action, tmp_path):
    (tmp_path / "thesis.txt").write_text("three years")
    before = content_of(tmp_path)
    with pytest.raises(ValueError, match=str(tmp_path)):
        if action == "load":
            oj.policies.load(tmp_path)
        elif action == "resume":
            checkpoints.resume(tmp_path, {}, config={"model": CONFIG})
        else:
            write(tmp_path)
    assert content_of(tmp_path) == before


def test_partial_checkpoint_is_named(tmp_path):
    write(tmp_path / "run")
    (folder,) = (tmp_path / "run").iterdir()
    (folder / "config" / "metadata").unlink()
    with pytest.raises(ValueError, match="epoch_00000001: incomplete or damaged"):
        oj.policies.load(tmp_path / "run")


def test_unfinished_checkpoint_does_not_count(tmp_path):
    params, _ = write(tmp_path / "run")
    rest = tmp_path / "run" / "epoch_00000002.orbax-checkpoint-tmp-0"
    (rest / "params").mkdir(parents=True)
    policy = oj.policies.load(tmp_path / "run")
    jax.tree.map(np.testing.assert_array_equal, policy.params, params)


def test_damaged_weights_are_refused(tmp_path):
    write(tmp_path / "run")
    files = [p for p in (tmp_path / "run").rglob("*") if p.is_file() and "/params/" in str(p)]
    for path in files:
        data = bytearray(path.read_bytes())
        for i in range(len(data) // 3, len(data), 7):
            data[i] ^= 0x55
        path.write_bytes(bytes(data))
    with pytest.raises(ValueError, match=r"epoch_00000001: params .*damaged"):
        oj.policies.load(tmp_path / "run")


def test_weights_of_another_architecture_are_refused(tmp_path):
    write(tmp_path / "run")
    (config_file,) = (tmp_path / "run").rglob("config/metadata")
    content = json.loads(config_file.read_text())
    content["config"]["model"]["hidden"] = [9]
    config_file.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"epoch_00000001: params"):
        oj.policies.load(tmp_path / "run")
    content["config"]["model"]["network"] = "transformer"
    config_file.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="unknown network configuration"):
        oj.policies.load(tmp_path / "run")
