"""Exported C, compiled by the compiler of this machine: as a library, or as a checked program."""

import ctypes
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np

STRICT = ("-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-Wshadow", "-Wconversion")
SANITIZED = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
DRIVERS = Path(__file__).parent

NUM_REQUESTS = int(os.environ.get("EXPORT_REQUESTS", "400"))
"""Requests of each kind; `make release-check` asks for more."""


def compiler() -> str:
    """The C compiler, which the benchmarks need, too."""
    found = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    assert found, "no C compiler (cc, gcc or clang): the tests of oj.export need one"
    return found


def build(source: Path, driver: str, target: Path, *options: str) -> None:
    """Compiles an exported file and a driver for it, in C99 and without a warning."""
    name = source.stem
    names = {
        "HEADER": f'"{name}.h"',
        "DECIDE": f"{name}_decide",
        "COST": f"{name}_cost",
        "REQUEST": f"{name}_request",
        "WORKSPACE": f"{name}_workspace",
    }
    if f"int {name}_table(" in source.with_suffix(".h").read_text():
        names["TABLE"] = f"{name}_table"
    defined = [f"-D{key}={value}" for key, value in names.items()]
    files = [str(source), str(DRIVERS / driver)]
    include = f"-I{source.parent}"
    command = [compiler(), *STRICT, *options, *defined, include, *files, "-o", str(target)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def library(source: Path, driver: str, *options: str) -> ctypes.CDLL:
    """A shared library of an exported file and a driver."""
    target = source.with_suffix(".so")
    build(source, driver, target, "-O2", "-shared", "-fPIC", *options)
    return ctypes.CDLL(str(target))


def program(source: Path, driver: str, *options: str) -> Path:
    """A program that ends at once where addresses or behaviour are not defined."""
    target = source.with_suffix(".checked")
    build(source, driver, target, *SANITIZED, *options)
    return target


def stands_alone(source: Path) -> None:
    """Links an exported file with nothing at all, as for WebAssembly or a microcontroller."""
    options = ["-O3", "-ffreestanding", "-nostdlib", "-shared", "-fPIC", "-Wl,-z,defs"]
    target = source.with_suffix(".alone")
    command = [compiler(), *STRICT, *options, str(source), "-o", str(target)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def run(checked: Path, *inputs: Any) -> bytes:
    """What a checked program writes, given arrays."""
    request = b"".join(np.ascontiguousarray(part).tobytes() for part in inputs)
    done = subprocess.run([checked], input=request, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()[:2000]
    return done.stdout


def pointers(*arrays: np.ndarray) -> list[ctypes.c_void_p]:
    """Arrays as C takes them."""
    assert all(array.flags.c_contiguous for array in arrays)
    return [ctypes.c_void_p(array.ctypes.data) for array in arrays]
