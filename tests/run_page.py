"""Runs the Python of a page, block after block; what it prints is what the page says.

python tests/run_page.py < PAGE.md, by any Python that has what the page says to install.
"""

import contextlib
import io
import re
import sys
from typing import Any

BLOCK = re.compile(r"```python\n(.*?)```(?:\n\n```text\n(.*?)```)?", re.DOTALL)


def run(text: str) -> dict[str, Any]:
    """Runs the blocks of a page in one namespace, which is returned."""
    scope: dict[str, Any] = {}
    for code, expected in BLOCK.findall(text):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(code, scope)
        assert expected in ("", printed.getvalue()), f"{code}\nprinted\n{printed.getvalue()}"
    return scope


if __name__ == "__main__":
    run(sys.stdin.read())
