"""C sources as a library of this process, for what is measured beside the solvers."""

import ctypes
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path


def load(sources: Sequence[Path], *options: str) -> ctypes.CDLL:
    """Compiles with -O3 for this machine.

    Args:
      sources: C files.
      *options: further ones of the compiler.

    Raises:
      RuntimeError: there is no C compiler, or it fails.
    """
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise RuntimeError("the compiled reference needs a C compiler (cc, gcc or clang)")
    with tempfile.TemporaryDirectory() as folder:
        library = f"{folder}/compiled.so"
        command = [compiler, "-O3", "-march=native", "-shared", "-fPIC", *options]
        command += [*map(str, sources), "-o", library]
        built = subprocess.run(command, capture_output=True, text=True)
        if built.returncode:
            raise RuntimeError(f"{compiler} failed: {built.stderr.strip()}")
        return ctypes.CDLL(library)
