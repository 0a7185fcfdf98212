"""Results that are computed once and reused while nothing they depend on has changed."""

import ast
import functools
import hashlib
import importlib.metadata
import inspect
import json
import resource
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax

import offload_jax as oj
from experiments.reporting.files import as_json, write_json

_PACKAGES = ("offload_jax", "jax", "jaxlib", "numpy", "flax", "optax")


def cached(
    path: Path, config: Mapping[str, Any], compute: Callable[[], Mapping[str, Any]]
) -> dict[str, Any]:
    """Results under `path` if they were made from the same, else computes and stores them.

    The same means: this config, these versions of packages, this back end, and the code of
    `offload_jax`, of the file that `compute` stands in and of what that imports, byte for byte.

    Args:
      path: a JSON file.
      config: everything else that the results depend on; JSON types, arrays, no more.
      compute: gives the results, JSON types and NumPy or JAX scalars and arrays. What it
        draws or prints would be missing the next time.

    Returns:
      The results as JSON gives them back, with `cpu_seconds`, what computing them took.

    Raises:
      ValueError: the file exists and is not a result file; it is left alone.
    """
    key = {"config": as_json(dict(config)), "versions": versions(compute)}
    if path.exists():
        try:
            stored = json.loads(path.read_text())
            if all(stored[name] == value for name, value in key.items()):
                return stored["results"]
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise ValueError(
                f"{path}: not a result file of this project ({error}); move it away"
            ) from None
    start = cpu_seconds()
    results = as_json(dict(compute()))
    results["cpu_seconds"] = round(cpu_seconds() - start, 2)
    write_json(path, {**key, "results": results})
    return results


def cpu_seconds() -> float:
    """User and system time of this process and of those it waited for."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def total_cpu_seconds(results: Any) -> float:
    """What all cached results inside `results` took to compute, whenever that was."""
    if not isinstance(results, Mapping):
        return 0.0
    return sum(
        value if name == "cpu_seconds" else total_cpu_seconds(value)
        for name, value in results.items()
    )


def versions(compute: Callable[..., Any]) -> dict[str, str]:
    """What makes the results of `compute`, besides its arguments."""
    found = {name: importlib.metadata.version(name) for name in _PACKAGES}
    source = Path(inspect.getsourcefile(inspect.unwrap(compute)) or "")
    return found | {"backend": jax.default_backend(), "code": code_digest(source)}


def code_digest(source: Path) -> str:
    """Of a file, of what it imports, and of `offload_jax`, which loads some modules by name."""
    digest = hashlib.sha256(_library_digest())
    for content in sorted(path.read_bytes() for path in imported_files(source)):
        digest.update(hashlib.sha256(content).digest())
    return digest.hexdigest()


def imported_files(source: Path) -> set[Path]:
    """A file and what it imports from beside it or from this project, and what that imports.

    Imports are followed wherever they stand in a file; into `offload_jax` they are not.
    """
    roots = source.resolve().parent, Path(__file__).resolve().parents[2]
    found, todo = set(), [source.resolve()]
    while todo:
        path = todo.pop()
        if path not in found:
            found.add(path)
            code = path.read_bytes() if path.suffix == ".py" else b""
            todo += [f for root in roots for name in _imports(code) for f in _files(root, name)]
    return found


@functools.cache
def _imports(code: bytes) -> set[str]:
    """Dotted names of modules, and of what is taken from them, in import statements."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in names if name.split(".")[0] != oj.__name__}


def _files(root: Path, name: str) -> list[Path]:
    """Those of a module under `root` and of the packages around it."""
    parts = name.split(".")
    modules = [root.joinpath(*parts[: n + 1]) for n in range(len(parts))]
    files = [file for m in modules for file in (m.with_suffix(".py"), m / "__init__.py")]
    return [file for file in files if file.is_file()]


@functools.cache
def _library_digest() -> bytes:
    folder = Path(oj.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(str(path.relative_to(folder)).encode() + path.read_bytes())
    return digest.digest()
