"""The code of README.md and of the pages of docs/ runs as it stands, and prints what they say."""

import contextlib
import io
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = {
    str(path.relative_to(ROOT)): path.read_text()
    for path in (ROOT / "README.md", ROOT / "BUILD.md", *sorted((ROOT / "docs").rglob("*.md")))
}
BLOCK = re.compile(r"```python\n(.*?)```(?:\n\n```text\n(.*?)```)?", re.DOTALL)
LINK = re.compile(r"\]\(([^)#\s]*)(#[^)\s]*)?\)")


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("page", [page for page, text in PAGES.items() if "```python" in text])
def test_page(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    scope: dict[str, object] = {}
    for code, output in BLOCK.findall(PAGES[page]):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(code, scope)
        assert output in ("", printed.getvalue())


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
