"""How long a decision takes, policy by policy: table 1 of the paper and more.

Leaves in the output folder

* `results/delay_<platform>.json`: every measurement, and in the folder of that name what each
  policy has, so that an interrupted run goes on with the next policy,
* `results/table1.md`: the section of a report, over all platforms measured in the folder,
* `figures/`: delay against batch size.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
from absl import flags

from benchmarks.delay import report, run
from benchmarks.delay.chains import FAMILY
from benchmarks.delay.family import Family
from benchmarks.delay.measure import PROTOCOLS, Settings
from experiments.reporting import command_line
from experiments.reporting.files import check_writable

_FLAGS = {
    "protocols": f"Some of {', '.join(PROTOCOLS)}.",
    "batch_sizes": "Batches of the offline protocol.",
    "decisions": "Batch of the paper's protocol, and most single requests.",
    "duration": "Seconds for each measurement.",
    "p99_bound": "Seconds, of the server protocol.",
    "time_limit": "Seconds after which a measurement is ended, with its process.",
    "seed": "Seed of requests and arrivals.",
}
"""Fields of `Settings`."""


def choose(names: Sequence[str], family: Family, checkpoints: Path) -> tuple[str, ...]:
    """Policies by name; `all` is every one, whatever it lacks.

    Raises:
      ValueError: a name is unknown, or one asked for by name lacks its checkpoint or package.
    """
    if list(names) == ["all"]:
        return tuple(family.policies)
    for name in names:
        if name not in family.policies:
            known = ", ".join(family.policies)
            raise ValueError(f"policy {name!r}: unknown, there are {known} and all")
        if lack := family.policies[name].missing(checkpoints):
            raise ValueError(f"policy {name!r}: {lack}")
    return tuple(names)


def line(row: dict[str, Any]) -> str:
    """A row in short, for the terminal."""
    if "requests_per_second" in row:
        figure = f"{row['requests_per_second']:,.0f} requests/s"
    elif "delay" in row:
        figure = f"{report.duration(row['delay']['p50'])} a decision"
    else:
        figure = f"{row['status']}: {row['note']}"
    return f"{row['policy']:20s} {row['kind']:8s} {row.get('batch_size', ''):>8}  {figure}"


def define(values: flags.FlagValues) -> None:
    """Defines the flags; a field of `Settings` each, and where things are."""
    kinds: dict[type, Any] = {
        float: flags.DEFINE_float,
        int: flags.DEFINE_integer,
        tuple: lambda name, default, *rest, **more: flags.DEFINE_list(
            name, [str(each) for each in default], *rest, **more
        ),
    }
    for name, text in _FLAGS.items():
        default = getattr(Settings, name)
        kinds[type(default)](name, default, text, flag_values=values)
    flags.DEFINE_list("policies", ["all"], "Policies, or all.", flag_values=values)
    for name, path, text in (
        ("platform", "cpu", f"One of {', '.join(report.PLATFORMS)}."),
        ("output", "runs/inference_delay", "Folder of results and figures."),
        ("checkpoints", "runs/reproduce/checkpoints", "Folder of the trained policies."),
    ):
        flags.DEFINE_string(name, path, text, flag_values=values)


def main(values: flags.FlagValues) -> None:
    """Measures what the flags ask for, and writes the report about all that was measured."""
    # An accelerator is for the processes that are measured.
    jax.config.update("jax_platforms", "cpu")
    output, checkpoints = Path(values.output), Path(values.checkpoints)
    chosen: dict[str, Any] = {name: values[name].value for name in _FLAGS}
    chosen |= {"protocols": tuple(values.protocols), "batch_sizes": _sizes(values.batch_sizes)}
    settings = Settings(**chosen)
    names = choose(values.policies, FAMILY, checkpoints)
    check_writable(output, "output")
    report.read(output, FAMILY)  # a foreign file is named before anything is measured
    try:
        run.measure_all(
            names,
            settings,
            family=FAMILY,
            platform=values.platform,
            checkpoints=checkpoints,
            output=output,
            report=lambda row: print(line(row), flush=True),
        )
    finally:
        print("\n" + report.write(output, FAMILY))
    print(f"\nreport: {output / 'results' / 'table1.md'}")


def _sizes(texts: Sequence[str]) -> tuple[int, ...]:
    try:
        return tuple(int(float(text)) for text in texts)
    except (ValueError, OverflowError):
        raise ValueError(f"batch_sizes: {','.join(texts)!r} are not numbers") from None


if __name__ == "__main__":
    command_line.run(main, define)
