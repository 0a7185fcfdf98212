"""Configurations as JSON types and back: what manifests and checkpoints store."""

import dataclasses
import functools
import json
from typing import Any, TypeVar

from offload_jax.extras import needs

Config = TypeVar("Config")


def as_data(value: Any) -> Any:
    """`value` in JSON types, dataclasses inside it as objects of their fields.

    Args:
      value: dataclasses, JSON types, NumPy and JAX numbers, nested in any way.
    """
    return json.loads(json.dumps(value, default=_simpler))


def _simpler(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    return value.item()


def from_data(data: Any, kind: type[Config]) -> Config:
    """The inverse of `as_data` for a dataclass.

    Args:
      data: JSON types.
      kind: the dataclass; its annotations say what the fields must be, nothing is converted but
        whole numbers to floats and lists to tuples.

    Raises:
      ValueError: a field is missing, unknown or of another type, or the dataclass refuses its
        values; names the first such field.
      ImportError: cattrs is not installed.
    """
    # Checkpoints meet the lack of Orbax first, so what lacks here is that of data sets.
    with needs("data"):
        import cattrs

    try:
        return _converter().structure(data, kind)
    except Exception as error:
        first = cattrs.transform_error(error, path="", format_exception=_reason)[0]
        reason, _, path = first.rpartition(" @ ")
        name = path.removeprefix(".")
        raise ValueError(f"{name}: {reason}" if name else reason) from None


def differences(stored: Any, asked: Any, name: str = "") -> list[tuple[str, Any, Any]]:
    """Where two configurations in JSON types differ: dotted names with both values, or None."""
    if isinstance(stored, dict) and isinstance(asked, dict):
        return [
            difference
            for key in stored | asked
            for difference in differences(
                stored.get(key), asked.get(key), f"{name}.{key}" if name else key
            )
        ]
    return [] if stored == asked else [(name, stored, asked)]


@functools.cache
def _converter() -> Any:
    import cattrs

    def exactly(*kinds: type) -> Any:
        def structure(value: Any, kind: Any) -> Any:
            if type(value) not in kinds:
                raise ValueError(f"must be {kind.__name__}, got {value!r}")
            return kind(value)

        return structure

    converter = cattrs.Converter(forbid_extra_keys=True)
    for kind, taken in ((bool, (bool,)), (int, (int,)), (float, (int, float)), (str, (str,))):
        converter.register_structure_hook(kind, exactly(*taken))
    return converter


def _reason(error: BaseException, kind: Any) -> str:
    import cattrs

    if isinstance(error, cattrs.ForbiddenExtraKeysError):
        known = ", ".join(field.name for field in dataclasses.fields(error.cl))
        return f"no such field: {', '.join(sorted(error.extra_fields))}; known are {known}"
    if isinstance(error, KeyError):
        return "missing"
    if isinstance(error, ValueError):
        return str(error)
    if kind is None:
        return "must be an object of fields"
    return f"must be {kind.__name__ if type(kind) is type else kind}"
