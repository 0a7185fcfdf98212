"""The code of the first pages runs as it stands and prints what they say; links of all pages lead
somewhere, and numbers agree.
"""

import contextlib
import io
import re
import socket
import subprocess
import threading
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import offload_jax as oj
from tests.export import compiled

ROOT = Path(__file__).parent.parent
PAGES = {
    str(path.relative_to(ROOT)): path.read_text()
    for path in (ROOT / "README.md", ROOT / "BUILD.md", *sorted((ROOT / "docs").rglob("*.md")))
}
# Has a test of its own.
EXPORT = "docs/export.md"
BLOCK = re.compile(r"```python\n(.*?)```(?:\n\n```text\n(.*?)```)?", re.DOTALL)
LINK = re.compile(r"\]\(([^)#\s]*)(#[^)\s]*)?\)")


# What everybody reads; `tests/release/pages.py` runs the others.
FIRST = ("README.md", "docs/index.md", "docs/guides/library.md")
OTHERS = [
    page for page, text in PAGES.items() if "```python" in text and page not in (*FIRST, EXPORT)
]


def run_page(page: str) -> None:
    scope: dict[str, object] = {}
    for code, output in BLOCK.findall(PAGES[page]):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(code, scope)
        assert output in ("", printed.getvalue())


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("page", FIRST)
def test_page(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run_page(page)


def anchors(page: Path) -> set[str]:
    """As the table of contents makes them of headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), flags=re.MULTILINE)
    kept = (re.sub(r"[^\w\s-]", "", heading).strip().lower() for heading in headings)
    return {re.sub(r"[-\s]+", "-", heading) for heading in kept}


@pytest.mark.parametrize("page", PAGES)
def test_links(page: str) -> None:
    text = re.sub(r"^ {4}.*$", "", PAGES[page], flags=re.MULTILINE)  # formulas
    for target, anchor in LINK.findall(text):
        if target.startswith("https://"):
            continue
        path = (ROOT / page).parent / target if target else ROOT / page
        assert path.is_file(), target
        assert not anchor or anchor[1:] in anchors(path), (target, anchor)


def test_every_page_is_in_the_site() -> None:
    config = (ROOT / "mkdocs.yml").read_text()
    listed = {f"docs/{page}" for page in re.findall(r": (\S+\.md)$", config, flags=re.MULTILINE)}
    assert listed == PAGES.keys() - {"README.md", "BUILD.md"}


def test_readme_repeats_the_results() -> None:
    table = re.search(r"\| policy .*?\n\n", PAGES["README.md"], flags=re.DOTALL)
    assert table
    figures = re.findall(r"\d[\d ]*\.?\d*(?: ± \S+)?(?: [nµm]s)?", table.group())
    assert len(figures) > 20
    assert not [f for f in figures if f.strip() not in PAGES["docs/results.md"]]


def test_extras_are_on_the_first_page() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert all(f"`{extra}`" in PAGES["docs/index.md"] for extra in project["optional-dependencies"])


@pytest.mark.filterwarnings("default")
def test_export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    scope: dict[str, Any] = {}
    for code, _ in BLOCK.findall(PAGES[EXPORT]):
        exec(code, scope)
    requests = scope["requests"]
    assert (scope["decision"].shape, scope["cost"].shape) == ((100, 6), (100,))
    np.testing.assert_array_equal(scope["decisions"], oj.solve(requests).decision)
    assert not list(tmp_path.glob("*.sock"))
    # The program on the page, with what the page has written.
    (main,) = re.findall(r"```c\n(.*?)```", PAGES[EXPORT], flags=re.DOTALL)
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
    page = PAGES[EXPORT]
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
