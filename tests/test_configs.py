"""Configurations become JSON types and come back, and nothing else comes back."""

import dataclasses
import json

import numpy as np
import pytest

from offload_jax.configs import as_data, differences, from_data


@dataclasses.dataclass(frozen=True)
class Inner:
    span: tuple[float, float] = (0.0, 1.0)
    name: str = "inner"

    def __post_init__(self) -> None:
        if self.span[0] > self.span[1]:
            raise ValueError("span: upside down")


@dataclasses.dataclass(frozen=True)
class Outer:
    sizes: tuple[int, ...]
    inner: Inner = Inner()
    rate: float = 0.5
    fast: bool = False


OUTER = Outer((3, 4), Inner((1.0, 2.0), "x"), 1e-3, True)


def test_round_trip_through_text() -> None:
    data = as_data(OUTER)
    assert data == {
        "sizes": [3, 4],
        "inner": {"span": [1.0, 2.0], "name": "x"},
        "rate": 1e-3,
        "fast": True,
    }
    assert from_data(json.loads(json.dumps(data)), Outer) == OUTER
    assert from_data({"sizes": [], "rate": 2}, Outer) == Outer((), rate=2.0)


def test_numbers_of_numpy_are_numbers() -> None:
    data = as_data({"a": np.float32(0.5), "b": [np.int64(3)], "c": (Inner(),)})
    assert data == {"a": 0.5, "b": [3], "c": [{"span": [0.0, 1.0], "name": "inner"}]}
    assert type(data["b"][0]) is int


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sizes": [1, 2.0]}, r"^sizes\[1\]: must be int, got 2\.0$"),
        ({"sizes": 3}, r"^sizes: must be tuple\[int, \.\.\.\]$"),
        ({"fast": 1}, "^fast: must be bool, got 1$"),
        ({"rate": "1"}, "^rate: must be float, got '1'$"),
        ({"rate": True}, "^rate: must be float, got True$"),
        ({"inner": {"span": [1.0]}}, r"^inner\.span: .*\[1\.0\]"),
        ({"inner": {"span": [2.0, 1.0]}}, "^inner: span: upside down$"),
        ({"inner": {"shape": 1}}, "^inner: no such field: shape; known are span, name$"),
        ({"inner": []}, "^inner: must be Inner$"),
    ],
)
def test_what_does_not_fit_is_named(change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        from_data(as_data(OUTER) | change, Outer)


def test_what_is_missing_is_named() -> None:
    with pytest.raises(ValueError, match="^sizes: missing$"):
        from_data({}, Outer)
    with pytest.raises(ValueError, match="must be"):
        from_data([], Outer)


def test_differences_are_named_with_both_values() -> None:
    a, b = {"x": {"y": 1, "z": 2}, "w": [1]}, {"x": {"y": 1, "z": 3}, "w": [1], "v": 0}
    assert differences(a, b) == [("x.z", 2, 3), ("v", None, 0)]
    assert differences(a, a) == []
