"""Chain policies in C against those that they were written from; hostile requests among others."""

import ctypes
import functools
import itertools
import json
import math
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
import pytest

import offload_jax as oj
from offload_jax.chains.imitation_network import ImitationConfig, logits
from offload_jax.chains.learned import LearnedPolicy
from offload_jax.learning import checkpoints
from tests import cases, oracle
from tests.export import compiled
from tests.test_single import WEIGHTED, cost64, requests, student

DRIVER = "chain_driver.c"


class Answers(NamedTuple):
    """What C says: decisions `[n, A]`, error codes and costs `[n]`."""

    decision: np.ndarray
    error: np.ndarray
    cost: np.ndarray


def rows_of(problem: oj.ChainProblem) -> np.ndarray:
    leaves = [np.asarray(leaf, np.float64) for leaf in jax.tree.leaves(problem)]
    return np.concatenate([*leaves[:2], np.stack(leaves[2:], -1)], -1)


def ask(library: ctypes.CDLL, rows: np.ndarray) -> Answers:
    num, width = rows.shape
    num_subtasks = (width - 5) // 2
    answers = Answers(
        np.full((num, num_subtasks), -1, np.int8), np.full(num, -1, np.int32), np.zeros(num)
    )
    sizes = ctypes.c_size_t(num), ctypes.c_size_t(num_subtasks)
    library.batch(*sizes, *compiled.pointers(np.ascontiguousarray(rows), *answers))
    return answers


def ask_table(library: ctypes.CDLL, execution: np.ndarray, transfer: np.ndarray) -> Answers:
    num, num_subtasks = execution.shape[:2]
    answers = Answers(
        np.full((num, num_subtasks), -1, np.int8), np.full(num, -1, np.int32), np.zeros(num)
    )
    sizes = [ctypes.c_size_t(size) for size in execution.shape]
    inputs = [np.ascontiguousarray(part, np.float64) for part in (execution, transfer)]
    library.tables(*sizes, *compiled.pointers(*inputs, *answers))
    return answers


OBJECTIVES = {"latency": oj.LATENCY, "energy": oj.ENERGY, "weighted": WEIGHTED}


@pytest.fixture(scope="module")
def exact(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ctypes.CDLL]:
    folder = tmp_path_factory.mktemp("exact")
    libraries = {}
    for name, objective in OBJECTIVES.items():
        policy = functools.partial(oj.policies.optimal, objective=objective)
        oj.export.c(oj.policies.optimal if name == "latency" else policy, folder / f"{name}.c")
        libraries[name] = compiled.library(folder / f"{name}.c", DRIVER)
    return libraries


@pytest.mark.parametrize("hostile", [False, True])
@pytest.mark.parametrize(
    ("num_subtasks", "name"), [(6, "latency"), (6, "energy"), (20, "weighted"), (1, "latency")]
)
def test_exact_decides_as_solve(exact, num_subtasks: int, name: str, hostile: bool) -> None:
    problem = requests(num_subtasks, compiled.NUM_REQUESTS, num_subtasks, hostile=hostile)
    objective = OBJECTIVES[name]
    found = ask(exact[name], rows_of(problem))
    assert not found.error.any()
    solution = oj.solve(problem, objective=objective)
    ours, theirs = (cost64(problem, objective, np.asarray(d)) for d in (found[0], solution[0]))
    differ = (found.decision != solution.decision).any(axis=-1)
    # Float64 is never worse, and where float32 decides otherwise it is a tie for it.
    assert (ours <= theirs * (1 + 1e-12)).all()
    assert (theirs[differ] <= ours[differ] * (1 + 1e-5)).all()
    if not hostile and name != "energy":
        assert differ.mean() < 0.01
    np.testing.assert_allclose(found.cost, ours, rtol=1e-12)


@pytest.mark.parametrize("num_subtasks", range(1, 6))
def test_exact_finds_the_smallest_of_equal_optima(exact, num_subtasks: int) -> None:
    rng = np.random.default_rng(num_subtasks)
    rows, expected = [], []
    for _ in range(20):
        # Small powers of two: sums are exact and ties frequent.
        cycles = rng.choice([0.0, 1.0, 2.0, 4.0], num_subtasks)
        data = rng.choice([0.0, 1.0, 2.0], num_subtasks + 1)
        rates = 1.0, 2.0, rng.choice([0.0, 1.0, 4.0]), rng.choice([0.0, 1.0, 8.0])
        expected.append(oracle.optimum(oracle.Chain(tuple(cycles), tuple(data), *rates)))
        rows.append(np.concatenate([cycles, data, rates]))
    found = ask(exact["latency"], np.stack(rows))
    assert [tuple(d) for d in found.decision] == [tuple(d) for d, _ in expected]
    assert found.cost.tolist() == [cost for _, cost in expected]


def test_costs_of_all_decisions(exact) -> None:
    library = exact["weighted"]
    for chain in cases.chains(3):
        fields = [np.asarray(v, float) for v in chain]
        arrays = [np.ascontiguousarray(v) for v in fields[:2]]
        rates = [ctypes.c_double(float(v)) for v in fields[2:]]
        for decision in itertools.product(range(3), repeat=3):
            cost, places = np.zeros(1), np.array(decision, np.int8)
            *first, last = compiled.pointers(*arrays, places)
            arguments = (ctypes.c_size_t(3), *first, *rates, last, *compiled.pointers(cost))
            assert library.weighted_cost(*arguments) == 0
            expected = cost64(cases.as_problem([chain]), WEIGHTED, places[None])[0]
            assert cost[0] == pytest.approx(expected, rel=1e-12)
        places[1] = 3
        assert library.weighted_cost(*arguments) == 8


def test_a_chain_of_many_subtasks(exact) -> None:
    problem = requests(0, 2, 1000, hostile=False)
    found = ask(exact["latency"], rows_of(problem))
    assert (found.cost <= np.asarray(oj.solve(problem).cost) * (1 + 1e-5)).all()


@pytest.mark.parametrize("num_places", [1, 2, 3, 5, 8])
def test_tables_of_any_number_of_places(exact, num_places: int) -> None:
    """Random, tied, and partly and wholly impossible ones, against enumeration."""
    for costs in cases.tables_of_every_kind(num_places):
        expected, least = oracle.table_optimum(costs.execution, costs.transfer)
        found = ask_table(exact["latency"], costs.execution[None], costs.transfer[None])
        assert found.error == [0]
        assert tuple(found.decision[0]) == tuple(expected)
        assert found.cost[0] == pytest.approx(least, rel=1e-12)


def test_bad_tables(exact) -> None:
    good = np.ones((1, 2, 3)), np.ones((1, 3, 3, 3))
    for part, code in ((0, 10), (1, 11)):
        for bad in (-1.0, math.nan):
            tables = [table.copy() for table in good]
            tables[part].flat[-1] = bad
            assert ask_table(exact["latency"], *tables).error == [code]
    assert ask_table(exact["latency"], np.ones((1, 2, 128)), np.ones((1, 3, 128, 128))).error == [9]
    assert ask_table(exact["latency"], np.ones((1, 0, 3)), np.ones((1, 1, 3, 3))).error == [1]
    assert ask_table(exact["latency"], np.ones((1, 2, 0)), np.ones((1, 3, 0, 0))).error == [9]


STUDENTS = {
    "physical": {},
    "raw": {"feature_set": "raw"},
    "shared": {"sharing": "shared", "hidden": (24, 16, 8), "num_subtasks": 11},
    "linear": {"hidden": (), "num_subtasks": 1},
}


@pytest.fixture(scope="module")
def students(tmp_path_factory: pytest.TempPathFactory) -> dict:
    folder = tmp_path_factory.mktemp("students")
    found = {}
    for name, options in STUDENTS.items():
        policy = student(**{"hidden": (32, 32), **options})
        oj.export.c(policy, folder / f"{name}.c")
        found[name] = policy, compiled.library(folder / f"{name}.c", DRIVER)
    return found


@pytest.mark.parametrize("hostile", [False, True])
@pytest.mark.parametrize("name", STUDENTS)
def test_learned_decides_as_the_policy(students, name: str, hostile: bool) -> None:
    policy, library = students[name]
    num = policy.config.num_subtasks
    problem = requests(1, compiled.NUM_REQUESTS, num, hostile=hostile)
    found = ask(library, rows_of(problem))
    assert not found.error.any()
    values = np.asarray(jax.jit(lambda p: logits(policy.config, policy.params, p))(problem))
    batched = values.argmax(-1)
    chosen = np.take_along_axis(values, found.decision[..., None].astype(int), -1)[..., 0]
    scale = np.abs(values).max(axis=(-2, -1))[:, None]
    assert (values.max(-1) - chosen <= 1e-4 * scale + 1e-6).all()
    if not hostile:
        assert (found.decision != batched).mean() < 1e-3
        assert len(np.unique(batched)) > 1
    expected = cost64(problem, oj.LATENCY, found.decision)
    np.testing.assert_allclose(found.cost, expected, rtol=1e-12)


GOOD = np.array([*[1e9] * 6, *[1e6] * 7, 5e8, 3e9, 1e6, 1e6])
BAD = [
    (2, 1, [-1.0, math.nan, math.inf]),
    (8, 2, [-1.0, math.nan, math.inf]),
    (12, 2, [-1.0]),
    (13, 3, [0.0, -1.0, math.nan, math.inf]),
    (14, 4, [0.0, -1.0, math.nan, math.inf]),
    (15, 5, [-1e-3, math.nan, math.inf]),
    (16, 6, [-1e-3, math.nan, math.inf]),
]
FIELDS = list(oj.ChainProblem.own_axes)


@pytest.mark.parametrize("kind", ["exact", "student"])
def test_error_codes_say_what_validate_says(exact, students, kind: str) -> None:
    library = exact["latency"] if kind == "exact" else students["physical"][1]
    assert ask(library, GOOD[None]).error == [0]
    for column, field, values in BAD:
        for value in [*values, *([1e39] if kind == "student" else [])]:
            row = GOOD.copy()
            row[column] = value
            answer = ask(library, row[None])
            # Length is 1, and fields follow in their order.
            assert answer.error == [field + 1]
            assert (answer.decision == 0x55).all()  # nothing has been written
            problem = oj.ChainProblem(row[:6], row[6:13], *row[13:])
            with pytest.raises(ValueError, match=FIELDS[field - 1]):
                oj.validate(problem)


def test_bad_lengths(exact, students) -> None:
    assert ask(exact["latency"], np.ones((1, 5))).error == [1]
    assert ask(students["physical"][1], np.ones((1, 9))).error == [1]


def test_the_header_is_for_c_plus_plus_too(tmp_path: Path) -> None:
    """And for any number of files, several exported policies among them."""
    oj.export.c(oj.policies.optimal, tmp_path / "optimal.c")
    oj.export.c(student(), tmp_path / "student.c")
    includes = '#include "optimal.h"\n#include "student.h"\n#include "optimal.h"\n'
    calls = (
        "int main(void) { return optimal_decide(0, 0, 0, 1, 1, 1, 1, 0) != OPTIMAL_BAD_NUM_SUBTASKS"
    )
    calls += " || student_decide(0, 0, 0, 1, 1, 1, 1, 0) != STUDENT_BAD_NUM_SUBTASKS; }\n"
    objects = []
    for name in ("optimal", "student"):
        compiled.stands_alone(tmp_path / f"{name}.c")
        objects.append(f"{name}.o")
        options = [*compiled.STRICT, "-c", f"{name}.c", "-o", objects[-1]]
        subprocess.run([compiled.compiler(), *options], cwd=tmp_path, check=True)
    languages = {"c": (compiled.compiler(), "-std=c99")}
    if plus_plus := shutil.which("c++") or shutil.which("g++"):
        languages["cc"] = (plus_plus, "-std=c++98")
    for suffix, (compiler, standard) in languages.items():
        (tmp_path / f"main.{suffix}").write_text(includes + calls)
        options = [standard, "-Wall", "-Wextra", "-Werror", "-pedantic"]
        command = [compiler, *options, f"main.{suffix}", *objects, "-o", f"main_{suffix}"]
        subprocess.run(command, cwd=tmp_path, check=True)
        subprocess.run([tmp_path / f"main_{suffix}"], check=True)


def test_the_files_say_where_they_come_from(tmp_path: Path) -> None:
    scenario = oj.scenarios.Scenario("*/ /*", 6, *[(1.0, 2.0)] * 6)
    config = ImitationConfig(hidden=(4,), scenario=scenario)
    policy = LearnedPolicy(config, student(hidden=(4,), feature_set="raw").params)
    oj.export.c(policy, tmp_path / "raw.c")
    oj.export.c(functools.partial(oj.policies.optimal, objective=WEIGHTED), tmp_path / "weighted.c")
    for suffix in (".c", ".h"):
        text = (tmp_path / f"raw{suffix}").read_text()
        assert checkpoints.digest(policy.params) in text
        assert json.dumps(["relu"])[1:-1] in text
        assert text.index("*/") > text.index("SHA-256")
        assert "0.5 a joule" in (tmp_path / f"weighted{suffix}").read_text()
    compiled.library(tmp_path / "raw.c", DRIVER)


@pytest.mark.parametrize("name", ["1st.c", "my-policy.c", "policy.cc", "policy", "größe.c"])
def test_paths_must_name_c_files(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="path"):
        oj.export.c(oj.policies.optimal, tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        (oj.policies.greedy, "cannot be exported"),
        (functools.partial(oj.policies.optimal, 3), "cannot be exported"),
        (LearnedPolicy(ImitationConfig(activation="gelu"), {}), "'gelu' not supported in C"),
        (student(feature_set="times"), "'times' not supported in C"),
        (
            functools.partial(
                oj.policies.optimal,
                objective=oj.Objective(np.ones(3)),  # type: ignore[arg-type]
            ),
            "plain numbers",
        ),
    ],
)
def test_what_cannot_be_exported(tmp_path: Path, policy, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        oj.export.c(policy, tmp_path / "policy.c")
    assert not list(tmp_path.iterdir())


def test_parameters_must_be_finite(tmp_path: Path) -> None:
    policy = student()
    policy.params["networks"]["layer_0"]["bias"] += math.nan
    with pytest.raises(ValueError, match="must be finite"):
        oj.export.c(policy, tmp_path / "policy.c")
    assert not list(tmp_path.iterdir())


def test_folders_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as error:
        oj.export.c(oj.policies.optimal, tmp_path / "nowhere" / "policy.c")
    assert error.value.filename == str(tmp_path / "nowhere" / "policy.h")
