"""Runs the Python and the `offload-jax` of a page, block after block; what they print is what the
page says.

python tests/run_page.py < PAGE.md, by any Python that has what the page says to install.
"""

import contextlib
import io
import re
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

BLOCK = re.compile(r"```python\n(.*?)```(?:\n\n```text\n(.*?)```)?", re.DOTALL)
_ANY_BLOCK = re.compile(r"```(python|sh)\n(.*?)```(?:\n\n```text\n(.*?)```)?", re.DOTALL)
# A file that a page shows under its name.
_FILE = re.compile(r"```toml\n# (\S+)\n(.*?)```", re.DOTALL)
COMMAND = "offload-jax "
# A model that everybody has heard of; onnx brings it without its weights.
_ZOO = "squeezenet.onnx"


def run(text: str) -> dict[str, Any]:
    """Runs the blocks of a page in one namespace, which is returned."""
    scope: dict[str, Any] = {}
    for name, content in _FILE.findall(text):
        Path(name).write_text(content)
    for language, code, expected in _ANY_BLOCK.findall(text):
        if language == "sh" and not code.startswith(COMMAND):
            continue
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            if language == "python":
                exec(code, scope)
            else:
                _run_commands(code)
        assert expected in ("", printed.getvalue()), f"{code}\nprinted\n{printed.getvalue()}"
    return scope


def _run_commands(lines: str) -> None:
    from offload_jax.cli import main

    if _ZOO in lines:
        import onnx

        light = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
        shutil.copy(light / f"light_{_ZOO}", _ZOO)
    for line in lines.replace("\\\n", " ").splitlines():
        if line.startswith(COMMAND):
            arguments = shlex.split(line, comments=True)[1:]
            assert main(arguments) == 0, line


if __name__ == "__main__":
    run(sys.stdin.read())
