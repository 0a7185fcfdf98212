"""The compiled path for one request against the batched one, on ordinary and hostile requests."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import offload_jax as oj
from offload_jax.chains.imitation_network import ImitationConfig
from offload_jax.chains.learned import LearnedPolicy
from offload_jax.chains.q_network import QNetworkConfig
from offload_jax.compiled import njit
from offload_jax.learning.parameters import initialize
from tests import cases, oracle

WEIGHTED = oj.Objective(1.0, 0.5, oj.PowerModel(idle_watts=0.2))


def requests(seed: int, num: int, num_subtasks: int, *, hostile: bool) -> oj.ChainProblem:
    """Requests in float32; hostile ones have dead links, empty parts and extreme sizes."""
    rng = np.random.default_rng(seed)

    def draw(low: float, high: float, *tail: int) -> np.ndarray:
        return rng.uniform(low, high, (num, *tail))

    fields = {
        "cycles": draw(0, 2e9, num_subtasks),
        "data": draw(0, 1e7, num_subtasks + 1),
        "device_speed": draw(1e8, 1e9),
        "edge_speed": draw(5e8, 5e9),
        "device_edge_bandwidth": draw(0, 2e6),
        "edge_cloud_bandwidth": draw(0, 3e6),
    }
    if hostile:
        for name, value in fields.items():
            value *= 10.0 ** rng.integers(-8, 9, (num,) + (1,) * (value.ndim - 1))
            if not name.endswith("speed"):
                value[rng.random(value.shape) < 0.3] = 0.0
            if value.ndim == 2:
                value[rng.random(num) < 0.1] = 0.0
    return oj.ChainProblem(**{name: np.float32(value) for name, value in fields.items()})


def one_by_one(decide: oj.single.Decide, problem: oj.ChainProblem) -> np.ndarray:
    arrays = [np.asarray(leaf, np.float64) for leaf in jax.tree.leaves(problem)]
    return np.stack([decide(*one) for one in zip(*arrays, strict=True)])


def cost64(problem: oj.ChainProblem, objective: oj.Objective, decision: np.ndarray) -> np.ndarray:
    from offload_jax.chains.costs import problem_terms

    terms = problem_terms(problem, objective, library=np)
    places, home = np.moveaxis(decision, -1, 0), np.zeros(len(decision), np.int8)
    path = [home, *places, home]
    total = np.zeros(len(decision))
    rows = np.arange(len(decision))
    for t in range(len(places) + 1):
        moves = np.stack([np.stack([entry[t] for entry in row]) for row in terms.transfer])
        total += moves[path[t], path[t + 1], rows]
        if t < len(places):
            total += np.stack([entry[t] for entry in terms.execution])[path[t + 1], rows]
    return total


@pytest.mark.parametrize("hostile", [False, True])
@pytest.mark.parametrize(
    ("num_subtasks", "objective"),
    [
        (1, oj.LATENCY),
        (2, WEIGHTED),
        (6, oj.LATENCY),
        (6, oj.ENERGY),
        (6, WEIGHTED),
        (13, oj.ENERGY),
        (20, WEIGHTED),
    ],
    ids=lambda value: str(value) if isinstance(value, int) else None,
)
def test_exact_decides_as_the_batched_solver(num_subtasks, hostile, objective) -> None:
    problem = requests(num_subtasks, 500, num_subtasks, hostile=hostile)
    decision = one_by_one(oj.single.exact(objective=objective), problem)
    batched = np.asarray(oj.solve(problem, objective=objective).decision)
    assert decision.dtype == np.int8 and decision.shape == batched.shape
    ours, theirs = (cost64(problem, objective, d) for d in (decision, batched))
    differ = (decision != batched).any(axis=-1)
    # Float64 is never worse, and where float32 decides otherwise it is a tie for it.
    assert (ours <= theirs * (1 + 1e-12)).all()
    assert (theirs[differ] <= ours[differ] * (1 + 1e-5)).all()
    if not hostile and objective is not oj.ENERGY:
        assert differ.mean() < 0.01


@pytest.mark.parametrize("num_subtasks", range(1, 8))
def test_exact_finds_the_smallest_of_equal_optima(num_subtasks: int) -> None:
    decide = oj.single.exact()
    rng = np.random.default_rng(num_subtasks)
    for _ in range(20):
        # Small powers of two: sums are exact and ties frequent.
        cycles = rng.choice([0.0, 1.0, 2.0, 4.0], num_subtasks)
        data = rng.choice([0.0, 1.0, 2.0], num_subtasks + 1)
        p1, p2, b1, b2 = 1.0, 2.0, rng.choice([0.0, 1.0, 4.0]), rng.choice([0.0, 1.0, 8.0])
        chain = oracle.Chain(tuple(cycles), tuple(data), p1, p2, float(b1), float(b2))
        expected, _ = oracle.optimum(chain)
        assert tuple(decide(cycles, data, p1, p2, b1, b2)) == tuple(expected)


def test_exact_takes_chains_of_any_length_lists_and_views() -> None:
    decide = oj.single.exact()
    problem = requests(0, 1, 1000, hostile=False)[0]
    expected = np.asarray(oj.solve(problem).decision)
    fields = [np.asarray(leaf) for leaf in jax.tree.leaves(problem)]
    assert cost64(problem_of(fields), oj.LATENCY, decide(*fields)[None]) <= cost64(
        problem_of(fields), oj.LATENCY, expected[None]
    )
    plain = [leaf.tolist() for leaf in fields]
    strided = [np.repeat(leaf, 2)[::2] for leaf in fields[:2]]
    np.testing.assert_array_equal(decide(*plain), decide(*fields))
    np.testing.assert_array_equal(decide(*strided, *fields[2:]), decide(*fields))


@pytest.mark.parametrize("num_places", [1, 2, 3, 5, 8])
def test_tables_of_any_number_of_places(num_places: int) -> None:
    """Random, tied, and partly and wholly impossible ones, against enumeration."""
    decide = oj.single.table()
    for costs in cases.tables_of_every_kind(num_places):
        expected, _ = oracle.table_optimum(costs.execution, costs.transfer)
        assert tuple(decide(costs.execution, costs.transfer)) == tuple(expected)


def test_long_tables_and_lists() -> None:
    costs = cases.random_table(np.random.default_rng(0), 300, 4)
    decision = oj.single.table()(costs.execution.tolist(), costs.transfer.tolist())
    least = oracle.shortest_path(costs.execution, costs.transfer)
    assert oracle.table_cost(costs.execution, costs.transfer, decision) == pytest.approx(least)


@pytest.mark.parametrize(
    ("execution", "transfer", "message"),
    [
        ([[1.0, -1.0]], np.zeros((2, 2, 2)), r"execution\[0, 1\] = -1.0"),
        ([[1.0, 1.0]], np.full((2, 2, 2), np.nan), r"transfer\[0, 0, 0\] = nan"),
        ([[1.0, 1.0]], np.zeros((3, 2, 2)), "transfer: needs shape"),
        (np.zeros((0, 2)), np.zeros((1, 2, 2)), "execution: needs shape"),
        (np.zeros((4, 1, 2)), np.zeros((4, 2, 2, 2)), "no batch dimensions"),
        *((values[:1], np.zeros((2, 1, 1)), "^execution") for values in cases.NO_NUMBERS),
        ([["a"]], np.zeros((2, 1, 1)), "execution: cannot be converted|must hold real numbers"),
    ],
)
def test_bad_tables(execution, transfer, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        oj.single.table()(execution, transfer)


@pytest.mark.parametrize("num_subtasks", [1, 3, 6])
def test_limits_against_enumeration(num_subtasks: int) -> None:
    """Dead links, ties, and limits from those that all meet to those that none does."""
    rng = np.random.default_rng(num_subtasks)
    fastest, frugal = oj.single.within(), oj.single.within(objective=oj.ENERGY)
    for _ in range(15):
        cycles = rng.choice([0.0, 1.0, 2.0, 4.0], num_subtasks)
        data = rng.choice([0.0, 1.0, 2.0], num_subtasks + 1)
        p1, p2, b1, b2 = 1.0, 2.0, rng.choice([0.0, 1.0, 4.0]), rng.choice([0.0, 1.0, 8.0])
        chain = oracle.Chain(tuple(cycles), tuple(data), p1, p2, float(b1), float(b2))
        fields = cycles, data, p1, p2, b1, b2
        seconds = {d: oracle.latency(chain, d) for d in oracle.all_decisions(num_subtasks)}
        joules = {d: oracle.energy(chain, d) for d in seconds}
        for decide, cost, limited, name in (
            (fastest, seconds, joules, "max_energy"),
            (frugal, joules, seconds, "max_latency"),
        ):
            finite = sorted({value for value in limited.values() if value < np.inf})
            for limit in (finite[0], finite[len(finite) // 2], finite[-1], 0.5 * finite[0]):
                fitting = {d: c for d, c in cost.items() if limited[d] <= limit * (1 + 1e-6)}
                found = decide(*fields, **{name: limit})
                least = min(fitting.values(), default=np.inf)
                if least == np.inf:
                    assert found is None
                    continue
                assert found.dtype == np.int8
                assert fitting[tuple(found)] == pytest.approx(least, rel=1e-12)
                if cost is seconds:  # sums of small powers of two: exact
                    assert tuple(found) == min(d for d, c in fitting.items() if c == least)
    assert tuple(fastest(*fields)) == tuple(oj.single.exact()(*fields))


def test_limits_that_are_none_and_chains_too_long_for_them() -> None:
    decide = oj.single.within()
    for name in ("max_latency", "max_energy"):
        with pytest.raises(ValueError, match=f"{name} = -1"):
            decide(**GOOD, **{name: -1.0})
    with pytest.raises(ValueError, match="at most A = 13 subtasks"):
        decide(**{**GOOD, "cycles": [1e9] * 14, "data": [1e6] * 15})


def problem_of(fields: list) -> oj.ChainProblem:
    return oj.ChainProblem(*(np.asarray(leaf)[None] for leaf in fields))


def student(seed: int = 0, **options) -> LearnedPolicy:
    config = ImitationConfig(**{"feature_set": "physical", "hidden": (32, 32), **options})
    params = initialize(config, jax.random.key(seed))
    # Fresh networks decide nearly uniformly; larger weights and biases tell places apart.
    params = jax.tree.map(lambda leaf: 3.0 * leaf + 0.01, params)
    return LearnedPolicy(config, params)


@pytest.mark.parametrize("hostile", [False, True])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"num_subtasks": 1},
        {"num_subtasks": 11, "hidden": (48,)},
        {"sharing": "shared", "hidden": (64, 32, 16)},
        {"feature_set": "raw"},
        {"hidden": ()},
    ],
)
def test_learned_decides_as_the_batched_policy(options: dict, hostile: bool) -> None:
    from offload_jax.chains.imitation_network import logits

    policy = student(**options)
    problem = requests(1, 1000, policy.config.num_subtasks, hostile=hostile)
    decision = one_by_one(oj.single.learned(policy), problem)
    batched, values = jax.tree.map(
        np.asarray,
        jax.jit(lambda p: (policy(p), logits(policy.config, policy.params, p)))(problem),
    )
    assert decision.dtype == np.int8 and decision.shape == batched.shape
    chosen = np.take_along_axis(values, decision[..., None].astype(int), -1)[..., 0]
    best = values.max(axis=-1)
    scale = np.abs(values).max(axis=(-2, -1), keepdims=False)[:, None]
    assert (best - chosen <= 1e-4 * scale + 1e-6).all()
    if not hostile:
        assert (decision != batched).mean() < 1e-3
        assert len(np.unique(batched)) > 1


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"feature_set": "times"}, "feature_set 'times'"),
        ({"activation": "gelu"}, "activation 'gelu'"),
        ({"residual": True}, "residual"),
        ({"symmetric": True}, "symmetric"),
        ({"feature_set": "physical", "objective": oj.ENERGY}, "objective"),
    ],
)
def test_unsupported_networks_are_named(options: dict, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        oj.single.learned(LearnedPolicy(ImitationConfig(**options), {}))


def test_q_networks_are_not_supported() -> None:
    with pytest.raises(ValueError, match="QNetworkConfig is not supported"):
        oj.single.learned(LearnedPolicy(QNetworkConfig(), {}))


GOOD = {
    "cycles": [1e9] * 6,
    "data": [1e6] * 7,
    "device_speed": 5e8,
    "edge_speed": 3e9,
    "device_edge_bandwidth": 1e6,
    "edge_cloud_bandwidth": 1e6,
}


@pytest.mark.parametrize(
    "make", [oj.single.exact, oj.single.within, lambda: oj.single.learned(student())]
)
@pytest.mark.parametrize(
    "bad",
    [
        {"cycles": [1e9, -1.0, *[1e9] * 4]},
        {"cycles": [1e9, float("nan"), *[1e9] * 4]},
        {"data": [1e6] * 6 + [float("inf")]},
        {"data": [1e6] * 6},
        {"cycles": [], "data": [1e6]},
        {"cycles": 1e9},
        {"cycles": ["a"] * 6},
        {"device_speed": 0.0},
        {"device_speed": float("nan")},
        {"edge_speed": -1.0},
        {"edge_speed": float("inf")},
        {"device_edge_bandwidth": -1e-3},
        {"edge_cloud_bandwidth": float("nan")},
        {"edge_cloud_bandwidth": None},
        *({"cycles": amounts} for amounts in cases.NO_NUMBERS),
        *({"edge_speed": amounts[0]} for amounts in cases.NO_NUMBERS),
    ],
)
def test_bad_requests_raise_what_validate_raises(make, bad: dict) -> None:
    with pytest.raises(ValueError) as expected:
        oj.validate(oj.ChainProblem(**{**GOOD, **bad}))
    with pytest.raises(ValueError) as error:
        make()(**{**GOOD, **bad})
    assert str(error.value) == str(expected.value)


@pytest.mark.parametrize(
    "make", [oj.single.exact, oj.single.within, lambda: oj.single.learned(student())]
)
def test_batches_are_refused(make) -> None:
    decide = make()
    with pytest.raises(ValueError, match="no batch dimensions"):
        decide(**{**GOOD, "cycles": [[1e9] * 6] * 6})
    with pytest.raises(ValueError, match="edge_speed: one request"):
        decide(**{**GOOD, "edge_speed": [1e9, 2e9]})


@pytest.mark.parametrize(
    "make", [oj.single.exact, oj.single.within, lambda: oj.single.learned(student())]
)
def test_numbers_of_any_class_are_taken_and_problems_are_not(make) -> None:
    decide = make()
    expected = decide(**GOOD)
    for kind in (int, np.float32, np.float64, np.longdouble, np.int64, np.ma.array, jnp.float32):
        fields = {
            name: kind(value) if np.isscalar(value) else [kind(v) for v in value]
            for name, value in GOOD.items()
        }
        np.testing.assert_array_equal(decide(**fields), expected)
        np.testing.assert_array_equal(
            decide(**{**GOOD, "edge_speed": fields["edge_speed"]}), expected
        )
    with pytest.raises(ValueError, match="^cycles: takes the six fields of a ChainProblem"):
        decide(oj.ChainProblem(**GOOD))
    with pytest.raises(ValueError, match="^data: must be an array of numbers, got None"):
        decide(GOOD["cycles"])


def test_learned_names_both_lengths() -> None:
    with pytest.raises(ValueError, match=r"A = 2 subtasks.*A = 6"):
        oj.single.learned(student())([1e9] * 2, [1e6] * 3, 5e8, 3e9, 1e6, 1e6)


def test_objectives_must_be_numbers() -> None:
    with pytest.raises(ValueError, match="plain numbers"):
        oj.single.exact(objective=dataclasses.replace(oj.LATENCY, latency_weight=np.ones(3)))


def test_compiles_where_nothing_can_be_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("numba.core.caching.CompileResultCacheImpl._locator_classes", [])

    def successor(number: int) -> int:
        return number + 1

    assert njit("int64(int64)", cache=True)(successor)(1) == 2
