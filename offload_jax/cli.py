"""The command line: `offload-jax`, or `python -m offload_jax`."""

import sys
import warnings
from collections.abc import Sequence
from typing import Any

import click


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="offload-jax", message="%(version)s")
def commands() -> None:
    """Decides where the layers of a network, or the tasks of a graph, run."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; an error is one sentence on stderr.

    Args:
      arguments: those after the name of the program; None takes them from `sys.argv`.

    Returns:
      The exit status: 0, 2 after an error, 130 if interrupted.
    """
    with warnings.catch_warnings():
        warnings.showwarning = _warn
        warnings.simplefilter("default", UserWarning)
        try:
            status = commands.main(arguments, prog_name="offload-jax", standalone_mode=False)
        except click.ClickException as error:
            return _say(error.format_message())
        except OSError as error:
            where = f"{error.filename}: " if error.filename is not None else ""
            return _say(f"{where}{error.strerror or error}")
        except (ValueError, ImportError) as error:
            return _say(str(error))
        except (click.Abort, KeyboardInterrupt):
            return 130
    return status if isinstance(status, int) else 0


def _warn(message: Warning | str, *_: Any, **__: Any) -> None:
    _say(f"warning: {message}")


def _say(sentence: str) -> int:
    print(f"offload-jax: {' '.join(sentence.split())}", file=sys.stderr)
    return 2


_FILE = click.argument("file", metavar="FILE")
_NETWORK = click.option(
    "--network",
    metavar="NET",
    help="A TOML file with places and links (needed but for a chain that has speeds).",
)
_SHAPE = click.option(
    "--shape",
    "shapes",
    metavar="NAME=LENGTH",
    multiple=True,
    help="Length of a dimension that an ONNX file leaves open, as batch=1.",
)


@commands.command("plan")
@_FILE
@_NETWORK
@_SHAPE
@click.option(
    "--objective",
    type=click.Choice(["latency", "period", "energy"]),
    default="latency",
    show_default=True,
    help="What to minimise.",
)
@click.option("--max-latency", metavar="TIME", help='Most a request may take, as "200 ms".')
@click.option(
    "--allow",
    "allowed",
    metavar="LAYER=PLACE,...",
    multiple=True,
    help="Places that a layer may have; * in its name stands for any text.",
)
@click.option("--time-limit", metavar="TIME", help='How long to search, as "10 s".')
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def plan_command(
    file: str, network: str | None, shapes: Sequence[str], as_json: bool, **options: Any
) -> None:
    """Decides which layers of FILE run where.

    FILE is an ONNX model; a task graph (.gv and .dot, .stg, .json of WfFormat); measured times (.csv,
    .json); or a chain (.json with cycles and data).

    \b
    Example:
      offload-jax plan model.onnx --network network.toml
    """
    found = _plan(file, network, shapes, **options)
    click.echo(found.to_json() if as_json else str(found), nl=not as_json)


def _plan(
    file: str,
    network: str | None,
    shapes: Sequence[str],
    *,
    objective: str,
    max_latency: str | None,
    allowed: Sequence[str],
    time_limit: str | None,
) -> Any:
    import offload_jax as oj
    from offload_jax import units

    if objective != "latency":
        raise ValueError("--objective: plans minimise latency")
    times = {"max_latency": max_latency, "time_limit": time_limit}
    return oj.plan(
        *_request(file, network, shapes),
        allowed={key: names.split(",") for key, names in _pairs("--allow", allowed).items()},
        **{
            key: units.parse(f"--{key.replace('_', '-')}", text, units.TIME)
            for key, text in times.items()
            if text is not None
        },
    )


def _request(file: str, network: str | None, shapes: Sequence[str]) -> tuple[Any, Any]:
    """What to plan and where."""
    import offload_jax as oj
    from offload_jax.plans.reading import read_task

    lengths = {}
    for name, length in _pairs("--shape", shapes).items():
        if not length.isdecimal():
            raise ValueError(f"--shape {name}={length}: must be a whole number")
        lengths[name] = int(length)
    places = None if network is None else oj.read_network(network)
    task = read_task(file, shapes=lengths)
    has_network = isinstance(task, oj.ChainProblem)
    if places is None and not has_network:
        raise ValueError(f"--network: needed, {file} says nothing of places and links")
    if places is not None and has_network:
        raise ValueError(f"--network: {file} has speeds and bandwidths of its own")
    return task, places


def _pairs(option: str, given: Sequence[str]) -> dict[str, str]:
    pairs = {}
    for text in given:
        name, equals, value = text.rpartition("=")
        if not (name and equals and value):
            raise ValueError(f"{option} {text}: must be two texts with = between them")
        pairs[name] = value
    return pairs
