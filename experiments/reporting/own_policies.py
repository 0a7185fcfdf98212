"""Policies of the user's own, given as `module:function`: loaded, tried, and hashed for caches."""

import importlib
import inspect
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from experiments.reporting.results import code_digest


def load(
    names: Iterable[str], flag: str, problem: Any, judge: Callable[[Any, Any], Any]
) -> dict[str, Callable[[Any], Any]]:
    """Policies by the names that they were given under.

    Args:
      names: `module:function` each; the module is found as by `python -m`, in this folder too.
      flag: that they come from.
      problem: a batch that each of them decides about once.
      judge: of that batch and the decision; refuses what is no decision.

    Raises:
      ValueError: one cannot be imported, is no function, or does not decide (names the reason).
    """
    found = {}
    for name in names:
        try:
            module, _, function = name.partition(":")
            found[name] = getattr(importlib.import_module(module), function or "")
            judge(problem, found[name](problem))
        except Exception as error:  # whatever a stranger's code raises
            raise ValueError(
                f"--{flag}={name}: must be module:function and decide about"
                f" {type(problem).__name__}; {type(error).__name__}: {error}"
            ) from None
    return found


def digest(name: str) -> str:
    """Of the code of one that `load` has loaded, and of what it imports from beside it."""
    module = sys.modules[name.partition(":")[0]]
    return code_digest(Path(inspect.getfile(module)))
