"""Options of the command line that several commands take, and what stands in them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click


class Quantity(click.ParamType):
    """A number with its unit, in SI units."""

    def __init__(self, name: str) -> None:
        self.name = name

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        from offload_jax import units

        assert param is not None
        return units.parse(param.opts[0], value, getattr(units, self.name.upper()))


class Pair(click.ParamType):
    """Two texts with = between them; the last = of several."""

    name = "pair"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        left, equals, right = value.rpartition("=")
        if not (left and equals and right):
            assert param is not None
            raise click.UsageError(f"{param.opts[0]} {value}: must be {param.metavar}")
        return left, right


class Memory(Pair):
    """A place and its bytes."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        from offload_jax import units

        place, size = super().convert(value, param, ctx)
        assert param is not None
        return place, units.parse(f"{param.opts[0]} {place}", size, units.SIZE)


_PICTURES = (".pdf", ".png", ".svg")


def picture(ctx: click.Context, param: click.Parameter, value: str | None) -> Path | None:
    """A file that a picture can be written to, before anything is computed."""
    if value is None:
        return None
    path = Path(value)
    if path.suffix.lower() not in _PICTURES:
        raise click.UsageError(f"{param.opts[0]} {value}: must end in {', '.join(_PICTURES)}")
    if not path.parent.is_dir():
        raise click.UsageError(f"{param.opts[0]} {value}: {path.parent} is no folder")
    return path


def options(*each: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Several decorators as one."""

    def decorate(function: Any) -> Any:
        for option in reversed(each):
            function = option(function)
        return function

    return decorate


SHAPE = click.option(
    "--shape",
    "shapes",
    metavar="NAME=LENGTH",
    type=Pair(),
    multiple=True,
    help="Length of a dimension that an ONNX file leaves open, as batch=1.",
)
REQUEST = options(
    click.argument("file", metavar="FILE"),
    click.option(
        "--network",
        metavar="NET",
        help="TOML file with places and links; a chain with speeds has its own.",
    ),
    SHAPE,
    click.option(
        "--profile",
        "profiles",
        metavar="PLACE=FILE",
        type=Pair(),
        multiple=True,
        help="Times of an ONNX model's nodes measured at a place, as `measure` writes them.",
    ),
    click.option(
        "--reference-speed",
        type=Quantity("speed"),
        default="1 GHz",
        show_default=True,
        metavar="SPEED",
        help="Machine on which the seconds of a task graph are meant.",
    ),
)


RULES = options(
    click.option(
        "--memory",
        metavar="PLACE=SIZE",
        type=Memory(),
        multiple=True,
        help='As "phone=512 MB"; the most of weights there, if the network says no less.',
    ),
    click.option(
        "--allow",
        "allowed",
        metavar="LAYER=PLACE,...",
        type=Pair(),
        multiple=True,
        help="Only places that a layer may have; * in its name stands for any text.",
    ),
    click.option(
        "--time-limit",
        metavar="TIME",
        type=Quantity("time"),
        help='As "10 s"; how long to search.',
    ),
)
