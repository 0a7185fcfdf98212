"""The built wheel in an empty environment, as a new user has it: minutes, so it is run by name.

python -m pytest tests/release/wheel_alone.py
"""

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

from tests.test_extras import PROJECT, SCRIPT, check

ROOT = Path(__file__).parents[2]


def test_wheel_alone(tmp_path: Path) -> None:
    (wheel,) = (ROOT / "dist").glob(f"offload_jax-{PROJECT['version']}-*.whl")
    environment = tmp_path / "environment"
    venv.create(environment, with_pip=True)
    python = str(environment / "bin" / "python")
    subprocess.run([python, "-m", "pip", "install", "--quiet", str(wheel)], check=True)
    listed = subprocess.run(
        [python, "-m", "pip", "list", "--format=json"], capture_output=True, text=True, check=True
    )
    installed = {package["name"].lower() for package in json.loads(listed.stdout)}
    assert not installed & {"absl-py", "cattrs", "flax", "joblib", "numba", "ortools", "tqdm"}
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    done = subprocess.run(
        [python, "-I", str(SCRIPT)],
        cwd=folder,
        env={name: os.environ[name] for name in ("HOME", "PATH") if name in os.environ},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    result = json.loads(done.stdout)
    assert Path(result["file"]).is_relative_to(environment)
    check(result)
    assert sys.version_info[:2] == tuple(
        int(part) for part in Path(result["file"]).parts[-3].removeprefix("python").split(".")
    )
