"""The text of a package page; everything else stands in pyproject.toml."""

import re
from pathlib import Path

from setuptools import setup

# Files beside the README are not there: pictures go with their captions, links become their text.
readme = (Path(__file__).parent / "README.md").read_text(encoding="utf-8")
beside = r"\[([^\]]*)\]\((?!https:)[^)]*\)"
readme = re.sub(rf"^!{beside}\n\n(\*[^*]+\*\n\n)?", "", readme, flags=re.MULTILINE)
readme = re.sub(beside, r"\1", readme)

setup(long_description=readme, long_description_content_type="text/markdown")
