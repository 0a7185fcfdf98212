"""The code of docs/extensions.md runs as it stands."""

import re
from pathlib import Path

import pytest


@pytest.mark.filterwarnings("default")
def test_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = Path(__file__).parent.parent / "docs" / "extensions.md"
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(), flags=re.DOTALL)
    monkeypatch.chdir(tmp_path)
    scope: dict = {}
    for block in blocks:
        exec(block, scope)
    assert scope["regret"] >= 0
    assert scope["solution"].decision.shape == (2,)
    assert scope["late"].any()
