"""Writes what the page docs/explorer.md needs beside it: the exact program and the stages.

    python -m experiments.explorer

The program is what `oj.export.c` writes, compiled to WebAssembly. It goes into a script, in base64,
so that the page works from the file system, where a page may not read files.
"""

import base64
import functools
import json
import os
import shlex
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import flags

import offload_jax as oj
from experiments.reporting import command_line
from experiments.reporting.files import check_writable
from offload_jax import workloads

NETWORKS = {
    "MobileNetV2": workloads.mobilenet_v2,
    "AlexNet": workloads.alexnet,
    "VGG16": workloads.vgg16,
    "ResNet-18": workloads.resnet18,
    "ResNet-50": workloads.resnet50,
}
_NAME = "explorer"
_OPTIONS = (
    *("-std=c99", "-O3", "-nostdlib", "-Wl,--no-entry", "-Wl,--strip-all"),
    f"-Wl,--export={_NAME}_table",
)


def compile_program(compiler: Sequence[str]) -> bytes:
    """The exact program as a WebAssembly module without imports.

    Args:
      compiler: the command of a clang for wasm32 that has its linker.

    Returns:
      The module; it exports `memory` and `explorer_table`.

    Raises:
      RuntimeError: the compiler fails (with what it says).
      OSError: there is no such compiler.
    """
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / f"{_NAME}.c"
        module = source.with_suffix(".wasm")
        oj.export.c(oj.policies.optimal, source)
        done = subprocess.run(
            [*compiler, *_OPTIONS, str(source), "-o", str(module)],
            # Zig, which comes with a clang, keeps what it has compiled.
            env={**os.environ, "ZIG_GLOBAL_CACHE_DIR": folder, "ZIG_LOCAL_CACHE_DIR": folder},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{shlex.join(compiler)} failed: {done.stderr}")
        return module.read_bytes()


def tasks() -> list[dict[str, Any]]:
    """The networks' stages, in cycles and bytes, as the page reads them."""
    made = []
    for name, build in NETWORKS.items():
        profile = workloads.profile_network(build)
        made.append(
            {
                "name": name,
                "stages": profile.stage_names,
                "cycles": (profile.flops / workloads.FLOPS_PER_CYCLE).tolist(),
                "data": profile.data.tolist(),
            }
        )
    return made


def main(values: flags.FlagValues) -> None:
    """Writes the script.

    Raises:
      RuntimeError, OSError: as `compile_program`; the folder of the output is not there.
    """
    check_writable(Path(values.output).parent, "output")
    module = compile_program(shlex.split(values.compiler))
    content = {
        "module": base64.b64encode(module).decode(),
        "tasks": tasks(),
        "flopsPerCycle": workloads.FLOPS_PER_CYCLE,
    }
    script = f"window.EXPLORER = {json.dumps(content)};\n"
    Path(values.output).write_text(script)
    print(f"{values.output}: {len(module)} bytes of WebAssembly, {len(NETWORKS)} networks")


def define(values: flags.FlagValues) -> None:
    """The command line."""
    text = functools.partial(flags.DEFINE_string, flag_values=values)
    text("compiler", "clang --target=wasm32", "A clang with the linker for WebAssembly.")
    text("output", "runs/site/explorer/module.js", "Where the script goes.")


if __name__ == "__main__":
    command_line.run(main, define)
