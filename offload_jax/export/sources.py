"""C source: which programs there are, and how their parts become two files."""

import functools
import re
import string
import textwrap
from importlib import resources
from pathlib import Path
from typing import Any

from offload_jax.chains import policies
from offload_jax.export.parts import Program
from offload_jax.files import replace_file
from offload_jax.objectives import LATENCY

_WIDTH = 104


def write(policy: Any, path: Path) -> None:
    """Writes a program and its header; see `export.c`."""
    if path.suffix != ".c" or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", path.stem, re.ASCII):
        raise ValueError(
            f"path: {path.name!r} must be the name of a C file, and begin with a letter and hold"
            " only letters, digits and underscores before .c: it names the functions"
        )
    program = program_of(policy)
    facts = comment([*program.facts, f"Beside it: {path.stem}.c and {path.stem}.h."])
    values = {**program.values, "name": path.stem, "NAME": path.stem.upper(), "facts": facts}

    def fill(text: str) -> str:
        return string.Template(text).substitute(values)

    values["more"] = "".join(fill(_read(name)) for name in program.header[1:])
    header = fill(_read(program.header[0]))
    parts = [part if "\n" in part else _read(part) for part in program.source]
    source = f'/*\n{facts}\n */\n#include "{path.stem}.h"\n\n{fill("".join(parts))}'
    # The header first: a source without it would not compile.
    replace_file(path.with_suffix(".h"), header.encode())
    replace_file(path, source.encode())


def program_of(policy: Any) -> Program:
    """The program of a policy.

    Raises:
      ValueError: there is none.
    """
    bound: dict[str, Any] = {}
    if isinstance(policy, functools.partial) and not policy.args:
        policy, bound = policy.func, policy.keywords
    if policy is policies.optimal and bound.keys() <= {"objective"}:
        from offload_jax.export import chains

        return chains.exact(bound.get("objective", LATENCY))
    if hasattr(policy, "params") and not bound:
        from offload_jax.graphs._jax.policy import LearnedGraphPolicy

        if isinstance(policy, LearnedGraphPolicy):
            from offload_jax.export import graphs

            return graphs.learned(policy)
        from offload_jax.export import chains

        return chains.learned(policy)
    raise ValueError(
        f"policy: {policy!r} cannot be exported, only oj.policies.optimal and learned policies can"
    )


def _read(name: str) -> str:
    return (resources.files("offload_jax.export") / "c" / name).read_text()


def comment(paragraphs: list[str]) -> str:
    """Paragraphs as the inside of a C comment."""
    text = " *\n".join(
        textwrap.fill(part, _WIDTH - 3, initial_indent=" * ", subsequent_indent=" * ") + "\n"
        for part in paragraphs
    )
    # What stands in a configuration must not end the comment.
    return text.removesuffix("\n").replace("*/", "* /").replace("/*", "/ *")
