"""What runs where, in a form that can be printed, stored and carried out."""

import dataclasses
import json
import math
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from offload_jax import models
from offload_jax.files import parse_json, read_text, replace_file
from offload_jax.network import Link, Network, Processor
from offload_jax.plans import table

if TYPE_CHECKING:
    from offload_jax.models.onnx_run import Check

_FORMAT = "offload-jax plan 1"


class Sent(NamedTuple):
    """What leaves one place for another.

    Attributes:
      place: the number of the place that it goes to; outputs go to the device, 0.
      num_bytes: how much; what several need there counts once if it is sent once.
      tensors: names of what it is, where they are known.
    """

    place: int
    num_bytes: float
    tensors: tuple[str, ...]


class Segment(NamedTuple):
    """Layers that one place runs one after the other.

    Attributes:
      place: its number.
      layers: their numbers.
      seconds: of computing.
      start, finish: seconds from the beginning of the request.
      sent: what leaves it.
    """

    place: int
    layers: tuple[int, ...]
    seconds: float
    start: float
    finish: float
    sent: tuple[Sent, ...]


class Total(NamedTuple):
    """What one request takes.

    Attributes:
      latency: seconds; `inf` if it is impossible.
      period: seconds from one request to the next in a stream, the largest load of any resource.
      energy: joules that places draw while they compute, of those whose watts are known; None if
        there is none, or the request is impossible.
    """

    latency: float
    period: float
    energy: float | None


Weights = tuple[float, float, float]
"""Of a second of the latency, a joule, and a second of the period."""

UNITS = {"latency": "s", "energy": "J", "period": "s"}


def weighed(total: Any, weights: Weights) -> float:
    """The weighted sum of latency, energy and period, of a `Total` or a plan."""
    each = zip(UNITS, weights, strict=True)
    return float(sum(weight * getattr(total, name) for name, weight in each if weight))


class Flip(NamedTuple):
    """Between which bandwidths of a link the plan stays as it is.

    Attributes:
      link: its number in the network.
      below: bytes per second from its source to its target under which other places are better;
        0 if that is never so.
      above: the same over which they are; `inf` if that is never so.
    """

    link: int
    below: float
    above: float


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Plan:
    """Where each of N layers runs, when, and what that takes; `print` shows it as a table.

    Attributes:
      name: of the task.
      file: the model file that was planned, None for anything else.
      shapes: the lengths that were given for open dimensions of that file.
      names: the N names of its layers.
      network: places and links.
      objective: what was minimised: "latency", "period", "energy" or "weighted".
      weights: of a second of the latency, a joule, and a second of the period in `cost`.
      place: int8 `[N]` number of the place of each layer.
      order: int32 `[N]` the order in which layers take processors and links.
      start, finish: float64 `[N]` seconds of each layer.
      latency, period, energy: of one request, as in `Total`.
      lower_bound: of what was minimised; nothing is below it.
      optimal: whether nothing better exists, up to 1e-6 of it.
      inputs: what leaves the device before anything has run.
      segments: in the order in which they start.
      totals: by name of a place, what it takes to run everything there.
      flips: for each link at which bandwidths the plan changes; None where that is not known.
      source: what was planned; None of a plan that was loaded.
    """

    name: str
    file: str | None
    shapes: dict[str, int]
    names: tuple[str, ...]
    network: Network
    objective: str
    weights: Weights
    place: np.ndarray
    order: np.ndarray
    start: np.ndarray
    finish: np.ndarray
    latency: float
    period: float
    energy: float | None
    lower_bound: float
    optimal: bool
    inputs: tuple[Sent, ...]
    segments: tuple[Segment, ...]
    totals: dict[str, Total]
    flips: tuple[Flip, ...] | None
    source: Any = None

    @property
    def cost(self) -> float:
        """What was minimised, in its unit."""
        return weighed(self, self.weights)

    def __repr__(self) -> str:
        return (
            f"Plan({self.name!r}, {len(self.names)} layers, {len(self.segments)} segments,"
            f" {table.seconds(self.latency)})"
        )

    def __str__(self) -> str:
        return table.of_plan(self)

    def to_json(self) -> str:
        """All of it but `source`, as JSON in SI units."""
        content = {
            "format": _FORMAT,
            **{
                field.name: _plain(getattr(self, field.name))
                for field in dataclasses.fields(self)
                if field.name != "source"
            },
        }
        return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes `to_json` to a file, whole or not at all.

        Raises:
          OSError: the file cannot be written.
        """
        replace_file(Path(path), self.to_json().encode())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Plan":
        """Reads what `save` wrote.

        Raises:
          OSError: the file cannot be read.
          ValueError: naming the file; it is no such plan.
        """
        path = Path(path)
        try:
            content = parse_json(read_text(path))
            if not isinstance(content, dict) or content.pop("format", None) != _FORMAT:
                raise ValueError("is no plan that this version wrote")
            return cls(**_restored(content))
        except (KeyError, TypeError, AttributeError):
            raise ValueError(f"{path}: is a damaged plan") from None
        except ValueError as error:
            prefix = "" if str(error).startswith(str(path)) else f"{path}: "
            raise ValueError(f"{prefix}{error}") from None

    def split(self, folder: str | os.PathLike[str]) -> tuple[models.Part, ...]:
        """Writes one ONNX file for each segment, and `parts.json`; see `models.split`.

        Raises:
          ImportError: the package `onnx` is not installed.
          OSError: the model cannot be read, or the folder not written; it must not be there or be
            empty.
          ValueError: no model file was planned, it has changed, or `models.split` says why not.
        """
        model = self._model()
        return models.split(model, self.place, self.network.place_names, folder, order=self.order)

    def check(self, inputs: Mapping[str, Any] | None = None) -> "Check":
        """Runs the model and its parts on this machine and compares; see `models.check`.

        Args:
          inputs: by name; None draws them.

        Raises:
          ImportError: the packages `onnx` and `onnxruntime` are not installed.
          ValueError, OSError, RuntimeError: as `split` and `models.check`.
        """
        with tempfile.TemporaryDirectory() as folder:
            self.split(folder)
            return models.check(folder, inputs)

    def _model(self) -> models.Model:
        if isinstance(self.source, models.Model):
            return self.source
        if self.file is None:
            raise ValueError(f"{self.name} is no model from a file, so there is nothing to split")
        model = models.read_onnx(self.file, shapes=self.shapes)
        if model.graph.names != self.names:
            raise ValueError(f"{self.file}: has other layers than when it was planned")
        return model


def _plain(value: Any) -> Any:
    """As JSON has it: what is infinite as null, records as objects."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if dataclasses.is_dataclass(value):
        value = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    if hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(entry) for entry in value]
    if hasattr(value, "tolist"):
        value = value.tolist()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _infinite(value: float | None) -> float:
    return math.inf if value is None else value


def _whole(values: Sequence[float]) -> tuple[int, ...]:
    return tuple(int(value) for value in values)


def _sent(entries: Sequence[dict[str, Any]]) -> tuple[Sent, ...]:
    return tuple(Sent(int(e["place"]), e["num_bytes"], tuple(e["tensors"])) for e in entries)


def _restored(content: dict[str, Any]) -> dict[str, Any]:
    """Fields of a plan from those of its JSON."""
    network = content["network"]
    places = [
        Processor(
            **{
                **place,
                "speed": _infinite(place["speed"]),
                "servers": place["servers"] and int(place["servers"]),
            }
        )
        for place in network["places"]
    ]
    links = [
        Link(**{**link, "bandwidth": _infinite(link["bandwidth"])}) for link in network["links"]
    ]
    segments = tuple(
        Segment(
            int(one["place"]),
            _whole(one["layers"]),
            one["seconds"],
            one["start"],
            one["finish"],
            _sent(one["sent"]),
        )
        for one in content["segments"]
    )
    flips = content["flips"]
    return {
        **content,
        "shapes": {name: int(length) for name, length in content["shapes"].items()},
        "names": tuple(content["names"]),
        "weights": tuple(content["weights"]),
        "network": Network(places, links),
        "place": np.array(content["place"], np.int8),
        "order": np.array(content["order"], np.int32),
        "start": np.array(content["start"], np.float64),
        "finish": np.array(content["finish"], np.float64),
        "inputs": _sent(content["inputs"]),
        "segments": segments,
        "totals": {
            name: Total(_infinite(one["latency"]), _infinite(one["period"]), one["energy"])
            for name, one in content["totals"].items()
        },
        "flips": flips
        and tuple(Flip(int(f["link"]), f["below"], _infinite(f["above"])) for f in flips),
    }
