"""The code of the pages of docs/ runs as it stands."""

import re
import socket
import subprocess
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import offload_jax as oj
from tests.export import compiled

DOCS = Path(__file__).parent.parent / "docs"


def run(page: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    text = (DOCS / page).read_text()
    blocks = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    assert blocks
    monkeypatch.chdir(folder)
    scope: dict[str, Any] = {}
    for block in blocks:
        exec(block, scope)
    return scope


@pytest.mark.filterwarnings("default")
def test_extensions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scope = run("extensions.md", tmp_path, monkeypatch)
    assert scope["regret"] >= 0
    assert scope["solution"].decision.shape == (2,)
    assert scope["late"].any()


@pytest.mark.filterwarnings("default")
def test_graphs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scope = run("graphs.md", tmp_path, monkeypatch)
    assert scope["solution"].optimal
    # Going back into gaps may beat the same places and order without.
    assert scope["solution"].cost <= scope["schedule"].makespan * (1 + 1e-6)


@pytest.mark.filterwarnings("default")
def test_export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scope = run("export.md", tmp_path, monkeypatch)
    requests = scope["requests"]
    assert (scope["decision"].shape, scope["cost"].shape) == ((100, 6), (100,))
    np.testing.assert_array_equal(scope["decisions"], oj.solve(requests).decision)
    assert not list(tmp_path.glob("*.sock"))
    # The program on the page, with what the page has written.
    (main,) = re.findall(r"```c\n(.*?)```", (DOCS / "export.md").read_text(), flags=re.DOTALL)
    (tmp_path / "main.c").write_text(main)
    strict = compiled.STRICT
    command = [compiled.compiler(), *strict, "main.c", "optimal.c", "-o", "main"]
    subprocess.run(command, cwd=tmp_path, check=True)
    output = subprocess.run([tmp_path / "main"], capture_output=True, text=True, check=True).stdout
    chain = oj.ChainProblem([8e8, 4e8, 6e8], [2e6, 4e6, 1e6, 1e5], 5e8, 3e9, 1.5e6, 2e6)
    solution = oj.solve(chain)
    *places, seconds = output.split()
    assert [int(place) for place in places] == solution.decision.tolist()
    assert float(seconds) == pytest.approx(float(solution.cost), abs=1e-3)


def test_the_service_says_what_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (DOCS / "export.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    scope: dict[str, Any] = {"oj": oj, "np": np}
    definitions, _ = blocks[-1].split("\nservice = ")
    exec(definitions, scope)
    monkeypatch.chdir(tmp_path)
    with scope["Service"]("offload.sock", scope["Handler"]) as service:
        threading.Thread(target=service.serve_forever, daemon=True).start()
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect("offload.sock")
            rows = np.ones((3, 17))
            rows[1, 13] = 0.0
            with pytest.raises(ValueError, match=r"device_speed\[1\] = 0"):
                scope["ask"](connection, rows)
            # The connection is as good as before.
            assert scope["ask"](connection, rows[:1]).shape == (1, 6)
            with pytest.raises(ValueError, match="1 to 100000 requests"):
                scope["ask"](connection, np.ones((0, 17)))
        service.shutdown()
