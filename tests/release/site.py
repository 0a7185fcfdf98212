"""The pages as `make site` and Material build them: all there, nothing loaded from elsewhere.

python -m pytest tests/release/site.py
"""

import re
from pathlib import Path

import pytest

RUNS = Path(__file__).parents[2] / "runs"
DOCS = Path(__file__).parents[2] / "docs"
LOADED = re.compile(
    r"""<(?:script|img|iframe|source)[^>]*\ssrc="?'?(?:https?:)?//"""
    r"""|<link[^>]*rel="?'?(?:stylesheet|preload|preconnect|icon)[^>]*href="?'?(?:https?:)?//"""
    r"""|@import\s[^;]*//|url\(["']?(?:https?:)?//"""
)


@pytest.mark.parametrize("site", ["site", "site-material"])
def test_site(site: str) -> None:
    assert LOADED.search('<script src="https://elsewhere/a.js">')
    assert LOADED.search('<link rel="stylesheet" href="https://elsewhere/a.css">')
    pages = {path.relative_to(DOCS).with_suffix(".html") for path in DOCS.rglob("*.md")}
    built = {path.relative_to(RUNS / site) for path in (RUNS / site).rglob("*.html")}
    assert pages <= built
    for path in (RUNS / site).rglob("*"):
        if path.suffix in (".html", ".css"):
            found = LOADED.search(path.read_text())
            assert not found, (path, found)
    # The reference is made of the docstrings.
    for page, name in {"chains": "max_latency", "graphs": "time_limit", "single": "method"}.items():
        assert f"<code>{name}</code>" in (RUNS / site / "api" / f"{page}.html").read_text()
