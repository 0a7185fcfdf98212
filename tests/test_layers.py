"""Imports point one way, and importing the library has no side effects."""

import ast
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
CHAINS = f"{LIBRARY}.chains"


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


@pytest.mark.parametrize(
    ("lower", "upper"),
    [
        (LIBRARY, (EXPERIMENTS, BENCHMARKS)),
        (BENCHMARKS, (f"{EXPERIMENTS}.paper", f"{EXPERIMENTS}.studies")),
        (f"{EXPERIMENTS}.reporting", (f"{EXPERIMENTS}.paper", f"{EXPERIMENTS}.studies")),
        (CHAINS, (f"{LIBRARY}.graphs",)),
        (f"{LIBRARY}.graphs", (CHAINS,)),
        (f"{LIBRARY}.learning", (f"{CHAINS}.solve", f"{LIBRARY}.datasets")),
    ],
)
def test_lower_layers_know_nothing_of_upper_ones(lower: str, upper: tuple[str, ...]) -> None:
    assert not members(lower) & importers(*upper)


def test_no_module_of_the_library_imports_the_whole_library() -> None:
    assert not {module for module in members(LIBRARY) if LIBRARY in imports_at_once(module)}


def test_imports_form_no_circle() -> None:
    graph = {module: imports_at_once(module) & FILES.keys() - {module} for module in FILES}
    order = list(graphlib.TopologicalSorter(graph).static_order())
    assert set(order) == FILES.keys()


def test_flags_and_plots_are_for_scripts() -> None:
    assert not members(LIBRARY) & importers("absl.flags", "absl.app", "absl.logging", "matplotlib")


@pytest.mark.parametrize(
    ("package", "module"),
    [("ortools", "offload_jax.chains.cpsat"), ("orbax", "offload_jax.learning.checkpoints")],
)
def test_one_file_for_each_heavy_package(package: str, module: str) -> None:
    assert importers(package) == {module}


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
    optional |= {"pandas", "pyarrow"}
    assert not optional & set(loaded)
