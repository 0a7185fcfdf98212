"""The command line: `offload-jax`, or `python -m offload_jax`."""

import math
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from offload_jax.cli_options import REQUEST, RULES, SHAPE, Quantity, picture

# What takes long to import is imported by the command that needs it.


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="offload-jax", message="%(version)s")
def commands() -> None:
    """Decides where the layers of a network, or the tasks of a graph, run."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; an error is one sentence on stderr.

    Args:
      arguments: those after the name of the program; None takes them from `sys.argv`.

    Returns:
      The exit status: 0; 1 if `check` found a difference; 2 after an error; 130 if interrupted.
    """
    with warnings.catch_warnings():
        warnings.showwarning = _warn
        warnings.simplefilter("always", UserWarning)
        try:
            status = commands.main(arguments, prog_name="offload-jax", standalone_mode=False)
        except click.ClickException as error:
            return _say(error.format_message())
        except OSError as error:
            where = f"{error.filename}: " if error.filename is not None else ""
            return _say(f"{where}{error.strerror or error}")
        except (click.Abort, KeyboardInterrupt):  # the first is a RuntimeError
            return 130
        except (ValueError, ImportError, RuntimeError) as error:
            return _say(str(error))
    return status if isinstance(status, int) else 0


def _warn(message: Warning | str, *_: Any, **__: Any) -> None:
    _say(f"warning: {message}")


def _say(sentence: str) -> int:
    print(f"offload-jax: {' '.join(sentence.split())}", file=sys.stderr)
    return 2


@commands.command("plan")
@REQUEST
@click.option(
    "--objective",
    type=click.Choice(["latency", "period", "energy"]),
    default="latency",
    show_default=True,
    help="What to minimise.",
)
@click.option(
    "--energy-weight",
    metavar="SECONDS",
    type=click.FloatRange(0),
    help="What a joule counts on top of the latency.",
)
@click.option(
    "--max-latency", metavar="TIME", type=Quantity("time"), help='As "200 ms"; most it may take.'
)
@click.option(
    "--max-energy", metavar="ENERGY", type=Quantity("energy"), help='As "50 mJ", likewise.'
)
@click.option("--max-period", metavar="TIME", type=Quantity("time"), help='As "40 ms", likewise.')
@RULES
@click.option("--save", metavar="JSON", help="Write the plan there, for oj.Plan.load.")
@click.option("--split", metavar="DIR", help="Write an ONNX file for each segment to a new folder.")
@click.option("--plot", metavar="PNG", callback=picture, help="Draw layers and their places.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def plan_command(
    *,
    objective: str,
    energy_weight: float | None,
    max_latency: float | None,
    max_energy: float | None,
    max_period: float | None,
    memory: Sequence[tuple[str, float]],
    allowed: Sequence[tuple[str, str]],
    time_limit: float | None,
    save: str | None,
    split: str | None,
    plot: Path | None,
    as_json: bool,
    **request: Any,
) -> None:
    """Decides which layers of FILE run where.

    FILE is an ONNX model; a task graph (.gv and .dot, .stg, .json of WfFormat); measured times
    (.csv, .json); or a chain (.json with cycles and data).

    \b
    Example:
      offload-jax plan model.onnx --network network.toml --split parts
    """
    import offload_jax as oj

    minimised = getattr(oj, objective.upper())
    if energy_weight is not None:
        if objective != "latency":
            raise ValueError("--energy-weight: goes with --objective latency alone")
        minimised = oj.Objective(1.0, energy_weight)
    task, network = _read(**request)
    found = oj.plan(
        task,
        network,
        objective=minimised,
        max_latency=max_latency,
        max_energy=max_energy,
        max_period=max_period,
        max_memory=dict(memory),
        allowed=_places(allowed),
        time_limit=time_limit,
    )
    if split is not None:
        found.split(split)
    if save is not None:
        found.save(save)
    if plot is not None:
        from offload_jax.plot import placement

        _draw(placement(task, found.place, places=found.network.place_names), plot)
    click.echo(found.to_json() if as_json else str(found), nl=not as_json)


@commands.command("front")
@REQUEST
@click.option(
    "--against",
    type=click.Choice(["energy", "period"]),
    default="energy",
    show_default=True,
    help="What is traded for latency.",
)
@RULES
@click.option("--output", metavar="PNG", default="front.png", show_default=True, callback=picture)
def front_command(
    *,
    against: str,
    memory: Sequence[tuple[str, float]],
    allowed: Sequence[tuple[str, str]],
    time_limit: float | None,
    output: Path,
    **request: Any,
) -> None:
    """Draws and lists what FILE can trade: latency against energy, or against the period.

    \b
    Example:
      offload-jax front model.onnx --network network.toml --against period --output front.png
    """
    from offload_jax import plot
    from offload_jax.plans.front import front

    task, network = _read(**request)
    found = front(
        task,
        network,
        against=against,
        max_memory=dict(memory),
        allowed=_places(allowed),
        time_limit=time_limit,
    )
    singles = {
        f"all on {name}": (total.latency, getattr(total, against))
        for name, total in found.singles.items()
        if total.latency < math.inf
    }
    unit = {"energy": "J", "period": "s"}[against]
    axes = plot.front(found.points, others=singles, ylabel=f"{against} ({unit})")
    _draw(axes, output)
    click.echo(found)


def _places(allowed: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    return {layer: places.split(",") for layer, places in allowed}


@commands.command("map")
@REQUEST
@click.option("--output", metavar="PNG", default="map.png", show_default=True, callback=picture)
def map_command(*, output: Path, **request: Any) -> None:
    """Draws where FILE is cut best at every pair of bandwidths of two links.

    \b
    Example:
      offload-jax map model.onnx --network network.toml --output map.png
    """
    from offload_jax import plot
    from offload_jax.plans.plane import plane

    task, network = _read(**request)
    found = plane(task, network)
    names = None if network is None else network.place_names
    xlabel, ylabel = found.labels
    axes = plot.decision_map(
        found.place, found.x, found.y, xlabel=xlabel, ylabel=ylabel, places=names
    )
    middle = len(found.x) // 2
    axes.plot(found.x[middle], found.y[middle], "k+", ms=9)
    _draw(axes, output)
    click.echo(output)


@commands.command("measure")
@click.argument("model", metavar="MODEL")
@SHAPE
@click.option("--runs", type=click.IntRange(1), default=20, show_default=True)
@click.option("--threads", type=click.IntRange(0), default=0, help="0 is one for each core.")
@click.option("--output", metavar="FILE", default="profile.csv", show_default=True)
def measure_command(
    model: str, shapes: Sequence[tuple[str, str]], runs: int, threads: int, output: str
) -> None:
    """Measures the nodes of an ONNX model on this machine.

    \b
    Example:
      offload-jax measure model.onnx --output phone.csv
    """
    import offload_jax as oj

    profile = oj.models.measure(model, shapes=_lengths(shapes), num_runs=runs, threads=threads)
    profile.save(output)
    click.echo(profile)


@commands.command("check")
@click.argument("folder", metavar="DIR")
def check_command(folder: str) -> int:
    """Runs a model and its parts in DIR, of `plan --split`, and compares the outputs.

    \b
    Example:
      offload-jax check parts
    """
    import offload_jax as oj

    found = oj.models.check(folder)
    click.echo(found)
    return 0 if found.equal else 1


def _read(
    *,
    file: str,
    network: str | None,
    shapes: Sequence[tuple[str, str]],
    profiles: Sequence[tuple[str, str]],
    reference_speed: float,
) -> tuple[Any, Any]:
    """What to plan and where."""
    import offload_jax as oj
    from offload_jax.plans.reading import read_task

    missing = f"--network: needed, {file} says nothing of places and links"
    if network is None and Path(file).suffix.lower() != ".json":
        raise ValueError(missing)
    places = None if network is None else oj.read_network(network)
    task = read_task(file, shapes=_lengths(shapes), reference_speed=reference_speed)
    has_network = isinstance(task, oj.ChainProblem)
    if places is None and not has_network:
        raise ValueError(missing)
    if places is not None and has_network:
        raise ValueError(f"--network: {file} has speeds and bandwidths of its own")
    if profiles:
        if not isinstance(task, oj.models.Model):
            raise ValueError(f"--profile: for ONNX models, {file} is none")
        task = task.measured({place: oj.models.read_profile(path) for place, path in profiles})
    return task, places


def _lengths(shapes: Sequence[tuple[str, str]]) -> dict[str, int]:
    for name, length in shapes:
        if not length.isdecimal():
            raise ValueError(f"--shape {name}={length}: the length must be a whole number")
    return {name: int(length) for name, length in shapes}


def _draw(axes: Any, path: Path) -> None:
    import io

    from offload_jax.files import replace_file

    content = io.BytesIO()
    axes.figure.savefig(content, format=path.suffix[1:].lower(), bbox_inches="tight")
    replace_file(path, content.getbuffer())
