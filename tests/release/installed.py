"""The built wheel in environments that hold what a page says to install, and nothing else.

One environment for each install line; the pages that have it run there. In that of the base install
the parts that need more say so. Minutes: python -m pytest tests/release/installed.py
"""

import json
import os
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.test_extras import PROJECT, SCRIPT, check
from tests.test_pages import INSTALLS, ROOT

BASE = (".",)
RUN = ROOT / "tests" / "run_page.py"


@contextmanager
def environment(requirements: tuple[str, ...]) -> Iterator[Path]:
    """The Python of a new environment; `.` among the requirements is the built wheel."""
    (wheel,) = (ROOT / "dist").glob(f"offload_jax-{PROJECT['version']}-*.whl")
    named = [name.replace(".", str(wheel), 1) if name[0] == "." else name for name in requirements]
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder)
        python = Path(folder) / "bin" / "python"
        pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
        subprocess.run([*pip, *named], check=True)
        yield python


def run(
    python: Path, script: Path, folder: Path, text: str = ""
) -> subprocess.CompletedProcess[str]:
    """Runs a script where nothing of this folder is found but the script."""
    return subprocess.run(
        [str(python), "-I", str(script)],
        cwd=folder,
        env={name: os.environ[name] for name in ("HOME", "PATH") if name in os.environ},
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    "requirements", sorted({BASE, *(named for _, named in INSTALLS)}), ids=" ".join
)
def test_pages_run_where_only_what_they_name_is_installed(
    requirements: tuple[str, ...], tmp_path: Path
) -> None:
    with environment(requirements) as python:
        if requirements == BASE:
            check_base_install(python, tmp_path)
        pages = {page: text for (page, named), text in INSTALLS.items() if named == requirements}
        done = {}
        for page, text in pages.items():
            folder = tmp_path / page.replace("/", "-")
            folder.mkdir()  # what one page writes is not in the way of the next
            done[page] = run(python, RUN, folder, text)
    failed = {page: result.stderr for page, result in done.items() if result.returncode}
    assert not failed, "\n".join(f"{page}\n{error}" for page, error in failed.items())


def check_base_install(python: Path, folder: Path) -> None:
    done = run(python, SCRIPT, folder)
    assert (done.returncode, done.stderr) == (0, "")
    result = json.loads(done.stdout)
    assert Path(result["file"]).is_relative_to(python.parents[1])
    check(result)
