"""Features and networks against counts, single networks and properties of the problem."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import offload_jax as oj
from offload_jax.chains import imitation_network
from offload_jax.chains.exhaustive import unravel
from offload_jax.chains.features import FEATURE_SETS, features, num_features
from offload_jax.chains.imitation_network import ImitationConfig
from offload_jax.chains.learned import LearnedPolicy
from offload_jax.chains.q_network import QNetworkConfig
from offload_jax.chains.symmetry import reverse
from offload_jax.learning import checkpoints, policies
from offload_jax.learning.networks import duelling, separate_networks
from offload_jax.learning.parameters import abstract_parameters, initialize, num_parameters

SMALL = ImitationConfig(hidden=(7, 5))

# Compiled as wholes: one by one their operations take longer to compile.
features = jax.jit(features, static_argnames=("feature_set", "scenario", "objective"))
logits = jax.jit(imitation_network.logits, static_argnums=0)


def wide(num: int, num_subtasks: int = 6) -> oj.ChainProblem:
    scenario = dataclasses.replace(oj.scenarios.WIDE, num_subtasks=num_subtasks)
    return oj.scenarios.sample(jax.random.key(3), scenario, num)


@pytest.mark.parametrize(
    ("config", "count"),
    [
        (ImitationConfig(), 1_611_282),
        (ImitationConfig(hidden=(32, 32)), 10_386),
        (ImitationConfig(hidden=(32, 32), feature_set="physical"), 10_386),
        (ImitationConfig(sharing="shared"), 272_402),
        # Trunk 17-256-256-256 and a last layer of 729 advantages and the value.
        (QNetworkConfig(), 18 * 256 + 2 * 257 * 256 + 257 * 730),
    ],
)
def test_parameter_counts_of_the_paper(config, count):
    assert num_parameters(config) == count
    if getattr(config, "sharing", None) == "separate":
        assert count % 6 == 0
        assert count // 6 in (268_547, 1_731)


def test_stacked_networks_are_separate_networks():
    params = initialize(SMALL, jax.random.key(0))
    inputs = jax.random.normal(jax.random.key(2), (9, 17))
    stacked = jax.jit(separate_networks)(params, inputs)
    layers = params["networks"]
    for t in range(6):
        hidden = np.asarray(inputs)
        for i in range(3):
            kernel, bias = (np.asarray(layers[f"layer_{i}"][n][t]) for n in ("kernel", "bias"))
            hidden = hidden @ kernel + bias[None]
            if i < 2:
                hidden = np.maximum(hidden, 0.0)
        np.testing.assert_allclose(stacked[:, t], hidden, rtol=1e-4, atol=1e-5)
    first = layers["layer_0"]["kernel"]
    assert not np.allclose(first[0], first[1])


def test_raw_features_are_min_max_scaled():
    low = oj.ChainProblem([0.0] * 6, [0.0] * 7, 100e6, 500e6, 0.0, 0.0)
    high = oj.ChainProblem([2000e6] * 6, [10e6] * 7, 1000e6, 5000e6, 2e6, 3e6)
    np.testing.assert_allclose(features(low, "raw"), -1.0, atol=1e-6)
    np.testing.assert_allclose(features(high, "raw"), 1.0, atol=1e-6)


@pytest.mark.parametrize("feature_set", ["physical", "times"])
def test_only_ratios_of_times_matter(feature_set):
    problem = wide(20)
    slower = dataclasses.replace(
        problem,
        cycles=problem.cycles * 3.0,
        data=problem.data * 6.0,
        device_edge_bandwidth=problem.device_edge_bandwidth * 2.0,
        edge_cloud_bandwidth=problem.edge_cloud_bandwidth * 2.0,
    )
    np.testing.assert_allclose(
        features(problem, feature_set), features(slower, feature_set), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("feature_set", FEATURE_SETS)
@pytest.mark.parametrize(
    "problem",
    [
        oj.ChainProblem([1e9, 0.0], [1e6, 0.0, 1e6], 1e9, 2e9, 0.0, 1e6),
        oj.ChainProblem([1e9, 0.0], [1e6, 0.0, 1e6], 1e9, 2e9, 0.0, 0.0),
        oj.ChainProblem([0.0, 0.0], [0.0, 0.0, 0.0], 1e9, 2e9, 0.0, 0.0),
        oj.ChainProblem([1e9, 1e9], [1e6, 1e6, 1e6], 1e9, 2e9, 1e-20, 1e6),
    ],
)
def test_dead_links_and_empty_data_give_finite_features(feature_set, problem):
    result = features(problem, feature_set)
    assert result.shape == (num_features(feature_set, 2),)
    assert np.isfinite(result).all()


@pytest.mark.parametrize(
    ("ratio", "seen"),
    [(1e9, 1e2), (10.0, 10.0), (1.0, 1.0), (3e-3, 3e-3), (1e-3, 1e-3), (1e-4, 1e-3), (0.0, 1e-3)],
)
def test_logarithms_are_cut_below_a_thousandth_and_above_a_hundred(ratio, seen):
    # 2 s on the device, and no other place can be reached in less: U = 2 s.
    problem = oj.ChainProblem([1.0, 1.0], [1e9, 2.0 * ratio, 1e9], 1.0, 1.0, 1.0, 1.0)
    # The middle transfer: after two executions and one transfer in "physical"; in "times" after ten
    # linear features, four executions and one transfer.
    values = features(problem, "physical")[3], features(problem, "times")[15]
    np.testing.assert_allclose(values, 0.5 * np.log(seen), rtol=1e-5, atol=1e-6)


def test_reversed_chain_has_the_reversed_optimum():
    problem = wide(200)
    forward, backward = oj.solve(problem), oj.solve(reverse(problem))
    np.testing.assert_allclose(forward.cost, backward.cost, rtol=1e-5)
    turned = jnp.flip(forward.decision, axis=-1)
    np.testing.assert_allclose(oj.latency(reverse(problem), turned), forward.cost, rtol=1e-5)


def test_symmetric_network_turns_its_answer_with_the_chain():
    config = dataclasses.replace(SMALL, symmetric=True, feature_set="times", sharing="shared")
    params = initialize(config, jax.random.key(0))
    problem = wide(5)
    forward = logits(config, params, problem)
    backward = logits(config, params, reverse(problem))
    np.testing.assert_allclose(forward, jnp.flip(backward, axis=-2), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("config", [SMALL, QNetworkConfig(hidden=(8,))])
def test_policies_take_any_batch_and_work_under_transformations(config):
    policy = LearnedPolicy(config, initialize(config, jax.random.key(1)))
    problem = wide(6)
    together = policy(problem)
    assert together.dtype == jnp.int8
    assert together.shape == (6, 6)
    assert policy(problem[0]).shape == (6,)
    shaped = jax.tree.map(lambda leaf: leaf.reshape(2, 3, *leaf.shape[1:]), problem)
    np.testing.assert_array_equal(policy(shaped).reshape(6, 6), together)
    np.testing.assert_array_equal(jax.vmap(policy)(problem), together)
    np.testing.assert_array_equal(jax.jit(policy)(problem), together)


def test_large_batches_are_decided_in_chunks_with_the_same_answers():
    policy = LearnedPolicy(SMALL, initialize(SMALL, jax.random.key(1)))
    problem = wide(2 * 8192 + 6)
    together = policy(problem)
    np.testing.assert_array_equal(together, SMALL.decide(policy.params, problem))
    shaped = jax.tree.map(lambda leaf: leaf.reshape(2, -1, *leaf.shape[1:]), problem)
    np.testing.assert_array_equal(policy(shaped).reshape(together.shape), together)
    shared = dataclasses.replace(problem, cycles=problem.cycles[0], edge_speed=2e9)
    one_by_one = dataclasses.replace(problem[-1], cycles=problem.cycles[0], edge_speed=2e9)
    np.testing.assert_array_equal(policy(shared)[-1], policy(one_by_one))


@pytest.mark.parametrize("config", [SMALL, QNetworkConfig(hidden=(8,))])
def test_wrong_number_of_subtasks_names_both_and_the_way_out(config):
    policy = LearnedPolicy(config, initialize(config, jax.random.key(1)))
    with pytest.raises(ValueError, match=r"A = 4.*A = 6.*oj\.resize"):
        policy(wide(2, num_subtasks=4))


def test_actions_are_decisions_in_lexicographic_order():
    decisions = np.asarray(unravel(jnp.arange(27), 3, 3))
    assert decisions.tolist() == sorted(decisions.tolist())
    assert decisions[5].tolist() == [0, 1, 2]


def test_advantages_are_centred():
    config = QNetworkConfig(num_subtasks=2, hidden=(8,))
    params = initialize(config, jax.random.key(0))
    inputs = jnp.ones((3, 9))
    values = jax.jit(duelling)(params, inputs)
    last = params["trunk"]["layer_1"]
    first = params["trunk"]["layer_0"]
    hidden = np.maximum(inputs @ first["kernel"] + first["bias"][None], 0.0)
    state_value = hidden @ last["kernel"][:, 0] + last["bias"][0]
    np.testing.assert_allclose(jnp.mean(values, axis=-1), state_value, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"feature_set": "logs"}, "unknown set 'logs'"),
        ({"sharing": "some"}, "sharing: unknown"),
        ({"activation": "tanh"}, "activation: unknown"),
    ],
)
def test_unknown_options_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        ImitationConfig(**arguments)


@pytest.mark.parametrize("feature_set", ["physical", "times"])
def test_energy_features_hold_costs_of_the_objective(feature_set):
    """Scaling every joule or every byte and cycle alike changes nothing a decision depends on."""
    problem = wide(20)
    seen = features(problem, feature_set, objective=oj.ENERGY)
    more = oj.PowerModel(2e-27, 2 * 1.258, 2 * 1.181)
    doubled = dataclasses.replace(oj.ENERGY, power=more)
    np.testing.assert_allclose(
        seen, features(problem, feature_set, objective=doubled), rtol=1e-4, atol=1e-5
    )
    local = np.sum(np.asarray(problem.cycles), -1) * np.asarray(problem.device_speed) ** 2 * 1e-27
    edge = oj.energy(problem, np.ones((20, 6), np.int8))
    scale = np.minimum(local, edge)
    if feature_set == "physical":
        expected = 0.5 * np.log(np.clip(local / scale, 1e-3, 1e2))
        np.testing.assert_allclose(seen[:, -2], expected, rtol=1e-3, atol=1e-3)
    assert np.isfinite(seen).all()


def test_a_symmetric_network_needs_an_objective_without_direction():
    with pytest.raises(ValueError, match="symmetric"):
        dataclasses.replace(SMALL, symmetric=True, objective=oj.ENERGY)
    equal = dataclasses.replace(oj.ENERGY, power=oj.PowerModel(receive_watts=1.258))
    assert dataclasses.replace(SMALL, symmetric=True, objective=equal).symmetric


CONFIGS = [
    SMALL,
    ImitationConfig(hidden=(4, 4), sharing="shared", feature_set="times", symmetric=True),
    ImitationConfig(hidden=(4,), activation="gelu", residual=True, scenario=oj.scenarios.NARROW),
    QNetworkConfig(num_subtasks=3, hidden=(4,)),
    ImitationConfig(
        hidden=(4,), objective=oj.Objective(1.0, 0.5, oj.PowerModel(transmit_watts=2.0))
    ),
]


def save(path, config):
    """A checkpoint with made-up weights, and the weights."""
    params = jax.tree.map(lambda leaf: jnp.full(leaf.shape, 0.5), abstract_parameters(config))
    with checkpoints.training_folder(path, {"model": policies.model_data(config)}) as folder:
        folder.save([jnp.zeros(1)], params=params, epoch=1)
    return params


@pytest.mark.parametrize("config", CONFIGS)
def test_policies_come_back_from_a_checkpoint(config, tmp_path):
    params = save(tmp_path / "run", config)
    policy = oj.policies.load(tmp_path / "run")
    assert policy.config == config
    jax.tree.map(np.testing.assert_array_equal, policy.params, params)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"network": "transformer"},
            r"epoch_00000001: unknown model .* \(network 'transformer', known here are ",
        ),
        ({"hidden": 7}, "hidden: must be tuple"),
        ({"colour": 1}, "no such field: colour"),
        ({"objective": {"latency_weight": -1.0}}, "latency_weight"),
        ({"hidden": [9, 9]}, "epoch_00000001: params"),
    ],
)
def test_checkpoints_of_other_networks_are_refused(change, message, tmp_path):
    save(tmp_path / "run", SMALL)
    (file,) = tmp_path.rglob("config/metadata")
    content = json.loads(file.read_text())
    content["config"]["model"].update(change)
    file.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=message):
        oj.policies.load(tmp_path / "run")


def test_the_student_of_the_package_is_read_as_it_was_written(tmp_path):
    config = ImitationConfig(hidden=(8, 8), sharing="shared", feature_set="times")
    params = initialize(config, jax.random.key(5))
    policies.write(tmp_path / "student.npz", LearnedPolicy(config, params))
    read, found = policies.read(tmp_path / "student.npz", ImitationConfig)
    assert read == config
    for written, stored in zip(jax.tree.leaves(params), jax.tree.leaves(found), strict=True):
        assert stored.dtype == jnp.float32
        np.testing.assert_allclose(stored, written, rtol=1e-3, atol=1e-6)
    energy = dataclasses.replace(config, objective=oj.ENERGY)
    with pytest.raises(ValueError, match=r"objective\.latency_weight: only 1.0 .*got 0.0"):
        policies.write(tmp_path / "energy.npz", LearnedPolicy(energy, params))
    assert {path.name for path in tmp_path.iterdir()} == {"student.npz"}


def test_the_student_of_the_package_is_the_small_network_and_near_the_optimum():
    student = oj.policies.student()
    assert abstract_parameters(student.config) == jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), student.params
    )
    assert num_parameters(student.config) == 10_386
    problem = wide(500)
    student, greedy = (
        oj.metrics.normalized_latency(problem, policy(problem)).median
        for policy in (student, oj.policies.greedy)
    )
    assert 1 <= student < greedy
