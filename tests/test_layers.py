"""Imports point one way, and importing the library has no side effects."""

import ast
import functools
import graphlib
import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

import offload_jax as oj

ROOT = Path(__file__).parent.parent
LIBRARY, EXPERIMENTS, BENCHMARKS = "offload_jax", "experiments", "benchmarks"
CHAINS, GRAPHS = f"{LIBRARY}.chains", f"{LIBRARY}.graphs"
LEARNING, DATASETS, EXPORT, MODELS, PLANS, PLOT = (
    f"{LIBRARY}.{name}" for name in ("learning", "datasets", "export", "models", "plans", "plot")
)
# Nobody in the library builds on what people see of it.
FACES = (PLANS, PLOT, f"{LIBRARY}.cli")


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {
    module_name(path): path
    for folder in (LIBRARY, EXPERIMENTS, BENCHMARKS)
    for path in sorted((ROOT / folder).rglob("*.py"))
}


def imported(module: str, nodes: Iterable[ast.AST]) -> set[str]:
    """Modules, and names that may be modules, that import statements among `nodes` mention."""
    names = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: relative import in line {node.lineno}"
            for name in (f"{node.module}.{alias.name}" for alias in node.names):
                names |= {name} if name in FILES else {name, node.module}
    return names


@functools.cache
def imports_anywhere(module: str) -> set[str]:
    """Whatever a module imports, also inside functions."""
    return imported(module, ast.walk(ast.parse(FILES[module].read_text())))


def imports_at_once(module: str) -> set[str]:
    """What a module imports as soon as it is imported itself."""
    return imported(module, ast.parse(FILES[module].read_text()).body)


def inside(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def importers(*packages: str) -> set[str]:
    return {
        module
        for module in FILES
        if any(inside(name, *packages) for name in imports_anywhere(module))
    }


def members(*packages: str) -> set[str]:
    return {module for module in FILES if inside(module, *packages)}


def test_all_folders_were_found() -> None:
    for package in (LIBRARY, EXPERIMENTS, BENCHMARKS, CHAINS, f"{LIBRARY}.learning"):
        assert len(members(package)) > 2


# What both families and everything else may build on.
SHARED = [
    module
    for module, path in FILES.items()
    if path.parent == ROOT / LIBRARY
    and module not in (LIBRARY, *(f"{LIBRARY}.{face}" for face in ("single", "cli", "__main__")))
]


@pytest.mark.parametrize(
    ("lower", "upper"),
    [
        ((LIBRARY,), (EXPERIMENTS, BENCHMARKS)),
        (
            (*SHARED,),
            (CHAINS, GRAPHS, LEARNING, DATASETS, EXPORT, MODELS, f"{LIBRARY}.workloads", *FACES),
        ),
        ((CHAINS,), (GRAPHS, DATASETS, EXPORT, MODELS, *FACES)),
        ((GRAPHS,), (CHAINS, DATASETS, EXPORT, MODELS, *FACES)),
        (
            (LEARNING,),
            (CHAINS, GRAPHS, DATASETS, EXPORT, MODELS, f"{LIBRARY}.workloads", *FACES),
        ),
        ((f"{CHAINS}.problem", f"{CHAINS}.costs"), (f"{CHAINS}.solve", f"{CHAINS}.policies")),
        (
            (f"{EXPERIMENTS}.reporting",),
            (f"{EXPERIMENTS}.paper", f"{EXPERIMENTS}.studies", BENCHMARKS),
        ),
    ],
    ids=lambda packages: "+".join(package.rpartition(".")[2] for package in packages),
)
def test_lower_layers_know_nothing_of_upper_ones(
    lower: tuple[str, ...], upper: tuple[str, ...]
) -> None:
    assert members(*lower)
    assert not members(*lower) & importers(*upper)


def test_only_the_accelerators_benchmark_runs_experiments() -> None:
    upper = [f"{EXPERIMENTS}.{part}" for part in ("paper", "studies", "graphs")]
    others = members(BENCHMARKS) - members(f"{BENCHMARKS}.accelerator")
    assert others
    assert not others & importers(*upper)


def test_only_table_1_runs_a_benchmark() -> None:
    assert members(EXPERIMENTS) & importers(BENCHMARKS) <= {f"{EXPERIMENTS}.paper.table1"}


def test_learning_is_loaded_for_what_is_trained_only() -> None:
    reached, todo = set(), {LIBRARY}
    while todo:
        module = todo.pop()
        reached.add(module)
        todo |= imports_at_once(module) & FILES.keys() - reached
    assert members(CHAINS, GRAPHS) & reached
    assert not members(LEARNING) & reached


def test_no_module_of_the_library_imports_the_whole_library() -> None:
    assert not {module for module in members(LIBRARY) if LIBRARY in imports_at_once(module)}


def test_imports_form_no_circle() -> None:
    graph = {module: imports_anywhere(module) & FILES.keys() - {module} for module in FILES}
    order = list(graphlib.TopologicalSorter(graph).static_order())
    assert set(order) == FILES.keys()


def test_flags_are_for_scripts() -> None:
    assert not members(LIBRARY) & importers("absl.flags", "absl.app", "absl.logging")


# Who may know of a back end besides the concepts of its own family.
_FACADES = tuple(f"{LIBRARY}.{name}" for name in ("single", "export", "datasets", "envs"))


@pytest.mark.parametrize("family", [CHAINS, GRAPHS])
def test_back_ends_are_known_inside_their_family(family: str) -> None:
    folders = {
        path.name
        for path in (ROOT / family.replace(".", "/")).iterdir()
        if path.is_dir() and path.name.startswith("_") and path.name != "__pycache__"
    }
    assert "_numba" in folders
    found = members(LIBRARY) & importers(*(f"{family}.{folder}" for folder in folders))
    assert found and found <= members(family, *_FACADES)


@pytest.mark.parametrize(
    ("package", "modules"),
    [
        (
            "ortools",
            {
                f"{LIBRARY}.cpsat",
                f"{GRAPHS}._cpsat.goals",
                f"{CHAINS}.cpsat",
                f"{GRAPHS}._cpsat.model",
                f"{GRAPHS}._cpsat.resources",
                f"{GRAPHS}._flow.maximum_flow",
            },
        ),
        ("orbax", {f"{LEARNING}.checkpoints"}),
        ("onnx", {module for module in FILES if inside(module, EXPORT, MODELS)}),
        ("numba", {f"{LIBRARY}.compiled"}),
        ("matplotlib", {module for module in FILES if inside(module, PLOT)}),
        ("gymnasium", {f"{LIBRARY}.envs", f"{LIBRARY}.envs.wrapper"}),
    ],
)
def test_heavy_packages_have_their_files(package: str, modules: set[str]) -> None:
    found = members(LIBRARY) & importers(package)
    assert found and found <= modules


def test_every_public_name_exists() -> None:
    for name in oj.__all__:
        assert hasattr(oj, name)


def test_importing_the_library_changes_nothing_and_loads_little() -> None:
    code = """
import json, sys
import jax
before = dict(jax.config.values)
import offload_jax
changed = [name for name, value in jax.config.values.items() if before.get(name) != value]
print(json.dumps([changed, sorted(sys.modules)]))
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    changed, loaded = json.loads(done.stdout)
    assert changed == []
    optional = {"absl.flags", "flax", "matplotlib", "numba", "optax", "orbax", "ortools"}
    optional |= {"click", "gymnasium", "onnx", "pandas", "pyarrow"}
    assert not optional & set(loaded)
