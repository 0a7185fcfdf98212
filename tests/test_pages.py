"""The code of the first pages runs as it stands and prints what they say; links of all pages lead
somewhere, and numbers agree.
"""

import functools
import importlib.util
import json
import pkgutil
import re
import shlex
import socket
import socketserver
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import offload_jax as oj
from tests.export import compiled
from tests.run_page import BLOCK, run
from tests.test_extras import PROJECT

ROOT = Path(__file__).parent.parent
PAGES = {
    str(path.relative_to(ROOT)): path.read_text()
    for path in (*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md")))
}
# Has a test of its own.
EXPORT = "docs/export.md"
LINK = re.compile(r"\]\(([^)#\s]*)(#[^)\s]*)?\)")
FILE = re.compile(r"\b(?:offload_jax|experiments|benchmarks|tests)/[\w/.]*\w")
COMMAND = re.compile(r"python -m ((?:experiments|benchmarks)[\w.]*\w)")
INSTALL = re.compile(r"^pip install (.*)$", re.MULTILINE)
# What everybody reads; `tests/release/installed.py` runs all pages, each with what it names alone.
FIRST = ("README.md", "docs/index.md", "docs/guides/library.md", "docs/models.md")


def installs(text: str) -> dict[tuple[str, ...], str]:
    """What a page says to install, and its text down to where it says something else."""
    found = list(INSTALL.finditer(text))
    ends = [*(match.start() for match in found[1:]), None]
    return {
        tuple(shlex.split(match[1], comments=True)): text[:end]
        for match, end in zip(found, ends, strict=False)
    }


INSTALLS = {
    (page, named): text
    for page, whole in PAGES.items()
    if "```python" in whole
    for named, text in installs(whole).items()
}


def test_pages_say_what_to_install_before_they_use_it() -> None:
    assert len({named for _, named in INSTALLS}) > 4
    for page, text in PAGES.items():
        if "```python" in text:
            before = text.partition("```python")[0]
            assert INSTALL.search(before), page
    extras = set(PROJECT["optional-dependencies"])
    for page, (own, *_) in INSTALLS:
        assert set(re.findall(r"[\w-]+", own)) <= extras, page


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("page", FIRST)
def test_page(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run(PAGES[page])


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


@pytest.mark.parametrize("page", PAGES)
def test_what_pages_name_is_there(page: str) -> None:
    text = PAGES[page]
    assert not [name for name in FILE.findall(text) if not (ROOT / name).exists()]
    for name in re.findall("^::: (.*)$", text, flags=re.MULTILINE):
        pkgutil.resolve_name(name)
    for command in COMMAND.findall(text):
        assert importlib.util.find_spec(command), command


def test_every_page_is_in_the_site() -> None:
    config = (ROOT / "mkdocs.yml").read_text()
    listed = {f"docs/{page}" for page in re.findall(r": (\S+\.md)$", config, flags=re.MULTILINE)}
    assert listed == {page for page in PAGES if page.startswith("docs/")}


@pytest.mark.parametrize(
    ("head", "page", "least"),
    [("policy", "docs/results.md", 20), ("mean makespan", "docs/graphs.md", 8)],
)
def test_readme_repeats_the_results(head: str, page: str, least: int) -> None:
    table = re.search(rf"\| {head} .*?\n\n", PAGES["README.md"], flags=re.DOTALL)
    assert table
    plain = table.group().replace("*", "")
    figures = re.findall(r"\d[\d ]*\.?\d*(?: ± [\d.]+)?(?: [nµm]?s\b)?", plain)
    assert len(figures) > least
    assert not [f for f in figures if f.strip() not in PAGES[page]]


def test_extras_are_on_the_first_page() -> None:
    assert all(f"`{extra}`" in PAGES["docs/index.md"] for extra in PROJECT["optional-dependencies"])


@pytest.mark.filterwarnings("default")
def test_export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    scope = run(PAGES[EXPORT])
    assert (scope["decision"].shape, scope["cost"].shape) == ((100, 6), (100,))
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


@pytest.fixture
def services(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the services of the guide define, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    scope: dict[str, Any] = {"oj": oj, "decide": oj.single.exact()}
    for code, _ in BLOCK.findall(PAGES["docs/guides/edge.md"]):
        if "class Answer" in code or "class Service" in code:
            exec(code.partition("\nnames = ")[0], scope)
    return scope


@contextmanager
def serving(service: socketserver.BaseServer) -> Iterator[Any]:
    with service:
        threading.Thread(target=service.serve_forever, daemon=True).start()
        yield service.server_address
        service.shutdown()


def test_the_service_says_what_is_wrong(services: dict[str, Any]) -> None:
    with (
        serving(services["Service"]("offload.sock", services["Handler"])) as address,
        socket.socket(socket.AF_UNIX) as connection,
    ):
        connection.connect(address)
        rows = np.ones((3, 17))
        rows[1, 13] = 0.0
        with pytest.raises(ValueError, match=r"device_speed\[1\] = 0"):
            services["ask"](connection, rows)
        # The connection is as good as before.
        assert services["ask"](connection, rows[:1]).shape == (1, 6)
        with pytest.raises(ValueError, match="1 to 100000 requests"):
            services["ask"](connection, np.ones((0, 17)))


def test_the_service_starts_again_after_a_crash(services: dict[str, Any]) -> None:
    start = functools.partial(services["Service"], "offload.sock", services["Handler"])
    with socket.socket(socket.AF_UNIX) as crashed:
        crashed.bind("offload.sock")
    assert Path("offload.sock").exists()
    with serving(start()) as address, socket.socket(socket.AF_UNIX) as connection:
        # It is not pushed aside by a second one.
        with pytest.raises(OSError, match="Address already in use"):
            start()
        connection.connect(address)
        assert services["ask"](connection, np.ones((1, 17))).shape == (1, 6)
    assert not Path("offload.sock").exists()


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"device_speed": 0.0}, r"device_speed = 0\.0: must be finite and greater than 0"),
        ({"speed": 1.0}, "unexpected keyword argument 'speed'"),
        (None, "must be a mapping"),
    ],
)
def test_the_http_service_says_what_is_wrong(
    services: dict[str, Any], body: dict[str, float] | None, expected: str
) -> None:
    services["Answer"].log_message = lambda *_: None
    good = oj.ChainProblem([1e9], [1e6, 1e6], 1e9, 1e9, 1e6, 1e6)
    fields = (
        body and {name: np.asarray(value).tolist() for name, value in vars(good).items()} | body
    )
    with serving(ThreadingHTTPServer(("127.0.0.1", 0), services["Answer"])) as address:
        client = HTTPConnection(*address)
        client.request("POST", "/", json.dumps(fields))
        answer = client.getresponse()
        assert answer.status == 400
        assert re.search(expected, json.loads(answer.read())["error"])
