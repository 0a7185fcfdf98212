"""The parts that need jax, jaxtyping and NumPy alone, and the errors of the others."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from offload_jax.extras import needs

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "tests" / "release" / "without_extras.py"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = {
    "solve cpsat": "cpsat",
    "graphs cpsat": "cpsat",
    "graphs search": "single",
    "graphs heft": "single",
    "single exact": "single",
    "single table": "single",
    "single graph": "single",
    "single learned": "single",
    "load": "learn",
    "graphs load": "learn",
    "train": "learn",
    "train graphs": "learn",
    "network": "learn",
    "write": "data",
    "read": "data",
    "read onnx": "models",
    "split": "models",
    "check": "models-run",
    "measure": "models-run",
    "plot": "plot",
    "gymnasium": "gym",
}

# A Python in which importing them fails, as where they are not installed.
WITHOUT = """
import runpy, sys
sys.modules.update(dict.fromkeys({absent}))
runpy.run_path({script!r}, run_name="__main__")
"""
# What README shows of CP-SAT on graphs, where only its extra is installed.
PROOF = """
import sys
sys.modules["numba"] = None
import jax, offload_jax as oj
graphs = oj.graphs
problem = graphs.scenarios.sample(jax.random.key(0), graphs.scenarios.layered(8), 2)
proof, start = graphs.solve(problem, method="cpsat"), graphs.solve(problem)
assert proof.optimal.all() and (proof.cost <= start.cost).all()
assert (start.place == graphs.policies.greedy(problem).place).all()
"""


def check(result: dict[str, Any]) -> None:
    # From the equations of docs/model.md: all on the device 2.4 s, all on the edge
    # 2e6 / 1.5e6 + 1.2e9 / 3e9 + 1e5 / 1.5e6 = 1.8 s, everything else sends more.
    assert result["decision"] == [1, 1]
    assert result["optimal"]
    assert 1 <= result["student"] < 1.3
    assert 0 < result["graph_bound"] < 1
    assert result["graph_student"] < 1
    assert result["errors"].keys() == EXTRAS.keys()
    for part, extra in EXTRAS.items():
        error = result["errors"][part]
        assert f" is not installed: it comes with the extra {extra}, pip " in error, part
        package = error.split()[0].partition(".")[0]
        named = {Requirement(line).name for line in PROJECT["optional-dependencies"][extra]}
        assert any(name.startswith(package) for name in named), (part, package)


def run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_without_extras() -> None:
    named = [line for extra in PROJECT["optional-dependencies"].values() for line in extra]
    base = {Requirement(line).name for line in PROJECT["dependencies"]}
    absent = {Requirement(line).name.partition("-")[0] for line in named} - base
    # The package itself, and one that jax brings.
    absent -= {"offload", "scipy"}
    assert {"flax", "joblib", "numba", "orbax", "ortools", "pyarrow", "tqdm"} <= absent
    # absl-py is imported by another name.
    result = json.loads(run(WITHOUT.format(absent=absent | {"absl"}, script=str(SCRIPT))))
    assert Path(result["file"]) == ROOT / "offload_jax"
    check(result)


def test_cpsat_on_graphs_needs_no_numba() -> None:
    run(PROOF)


def test_the_error_names_package_and_extra() -> None:
    message = r"^no_such_module is not installed: .* pip install '\.\[single\]' in a clone"
    with pytest.raises(ImportError, match=message), needs("single"):
        import no_such_module  # noqa: F401
    # What is installed and broken says so itself.
    with pytest.raises(ImportError, match="cannot import name"), needs("single"):
        from jax import no_such_name  # noqa: F401


def test_versions_of_package_and_citation_agree() -> None:
    assert f"version: {PROJECT['version']}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"## {PROJECT['version']} (" in (ROOT / "CHANGELOG.md").read_text()
