"""What the scenarios of both families share: ranges of quantities, and drawing from them."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from offload_jax.validation import check_class, check_integer

Range = tuple[float, float]


def check_ranges(scenario: Any, names: Iterable[str]) -> None:
    """Refuses ranges that no quantity has.

    Raises:
      ValueError: names the first one and the rule.
    """
    for name in names:
        low, high = getattr(scenario, name)
        if not 0 <= low <= high < math.inf:
            raise ValueError(f"{name} = ({low}, {high}): needs 0 <= low <= high < inf")
        if name.endswith("speed") and low == 0:
            raise ValueError(f"{name} = ({low}, {high}): speeds must be greater than 0")


def check_request(key: Any, scenario: Any, kind: type, num: Any) -> None:
    """Refuses what `sample` cannot draw from, such as swapped arguments.

    Raises:
      ValueError: names the argument.
    """
    check_class("scenario", scenario, kind)
    check_integer("num", num, least=0)
    if not hasattr(key, "dtype"):
        raise ValueError(
            f"key: must be a JAX random key such as jax.random.key(0), got {type(key).__name__}"
        )


def draw(
    keys: Iterable[Array],
    scenario: Any,
    num: int,
    names: Iterable[str],
    axes: Mapping[str, tuple[int, ...]],
) -> dict[str, Any]:
    """Quantities uniform in their ranges, float32 `[num, *axes]`.

    Args:
      keys: a random key for each name.
      scenario: has a `Range` for each name.
      num: how many of each.
      names: of the quantities.
      axes: sizes of further axes, by name.
    """
    # uniform() rounds up to the upper end at times, and below the lower never: both are legal.
    return {
        name: jax.random.uniform(
            key, (num, *axes.get(name, ())), jnp.float32, *getattr(scenario, name)
        )
        for name, key in zip(names, keys, strict=True)
    }
