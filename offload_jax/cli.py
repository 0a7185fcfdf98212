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


@commands.command("plan")
@click.argument("file", metavar="FILE")
@click.option("--network", metavar="NET", help="A TOML file with places and links.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def plan_command(file: str, network: str | None, as_json: bool) -> None:
    """Decides which layers of FILE run where.

    \b
    Example:
      offload-jax plan model.onnx --network network.toml
    """
    found = _plan(file, network)
    click.echo(found.to_json() if as_json else found, nl=not as_json)


def _plan(file: str, network: str | None) -> Any:
    import offload_jax as oj
    from offload_jax.plans.reading import read_task

    task = read_task(file)
    if network is None:
        return oj.plan(task)
    return oj.plan(task, oj.read_network(network))
