"""The code of the pages of docs/ runs as it stands."""

import re
from pathlib import Path
from typing import Any

import pytest


def run(page: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    text = (Path(__file__).parent.parent / "docs" / page).read_text()
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
