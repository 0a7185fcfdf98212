"""Times of the nodes of a model on one machine, from ONNX Runtime's profiles and from CSV.

CSV: a header and a row for each node, in milliseconds; the row `*` is a run of the whole model.

    node,milliseconds
    conv1,12.5
    relu1,0.4
    *,11.8
"""

import csv
import dataclasses
import io
import itertools
import math
import os
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from offload_jax.files import (
    json_entry,
    json_number,
    parse_json,
    parse_number,
    read_text,
    replace_file,
)
from offload_jax.validation import FINITE, POSITIVE

_HEADER = ["node", "milliseconds"]
_WHOLE = "*"
_SUFFIX = "_kernel_time"


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Profile:
    """How long the nodes of a model take on one machine.

    Attributes:
      name: of the file it was read from, or of the model.
      seconds: of each node, by its name, for one run of the model.
      whole: seconds of a run of the whole model as it is used, with the optimisations of the
        graph that merge nodes; None if only the nodes were measured.
    """

    name: str
    seconds: Mapping[str, float]
    whole: float | None = None

    def __repr__(self) -> str:
        whole = "" if self.whole is None else f", whole {self.whole:.4g} s"
        total = sum(self.seconds.values())
        return f"Profile({self.name!r}, {len(self.seconds)} nodes, {total:.4g} s{whole})"

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the two-column CSV that `read_profile` reads."""
        text = io.StringIO()
        rows = self.seconds if self.whole is None else {**self.seconds, _WHOLE: self.whole}
        table = csv.writer(text, lineterminator="\n")
        table.writerows([_HEADER, *((name, 1e3 * seconds) for name, seconds in rows.items())])
        replace_file(Path(path), text.getvalue().encode())

    def of_tasks(self, tasks: Sequence[Sequence[str]]) -> np.ndarray:
        """`[N]` seconds of tasks, of each the names of its nodes; those that share one count alike.

        Raises:
          ValueError: says how many nodes have no time, and which is the first.
        """
        count = Counter(itertools.chain.from_iterable(tasks))
        if absent := [name for name in count if name not in self.seconds]:
            others = [name for name in self.seconds if name not in count]
            more = f"; {len(others)} names in it are not the model's, the first {others[0]!r}"
            raise ValueError(
                f"{self.name}: {len(absent)} of {len(count)} nodes have no time, the first"
                f" {absent[0]!r}{more if others else ''}; is it a profile of this model, made"
                " without optimising the graph?"
            )
        return np.array(
            [math.fsum(self.seconds[name] / count[name] for name in names) for names in tasks]
        )


def read(path: Path, whole: float | Path | None) -> Profile:
    """Reads a profile; see `models.read_profile`."""
    try:
        if path.suffix.lower() == ".csv":
            profile = _read_csv(path.stem, read_text(path))
        elif path.suffix.lower() == ".json":
            seconds, _ = _read_events(parse_json(read_text(path)))
            profile = Profile(path.stem, seconds)
        else:
            raise ValueError("the name must end in .csv or .json")
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    if isinstance(whole, Path):
        try:
            _, whole = _read_events(parse_json(read_text(whole)))
        except ValueError as error:
            raise ValueError(f"{whole}: {error}") from None
    return profile if whole is None else dataclasses.replace(profile, whole=whole)


def _read_csv(name: str, text: str) -> Profile:
    reader = csv.reader(io.StringIO(text))
    header = [cell.strip() for cell in next(reader, [])]
    if header != _HEADER:
        raise ValueError(f"line 1: the header must be {','.join(_HEADER)}, got {header}")
    seconds: dict[str, float] = {}
    for cells in reader:
        where = f"line {reader.line_num}"
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != 2:
            raise ValueError(f"{where}: must have 2 columns, got {len(cells)}")
        node = cells[0].strip()
        if node in seconds:
            raise ValueError(f"{where}: node {node!r} is there twice")
        rule = POSITIVE if node == _WHOLE else FINITE
        seconds[node] = parse_number(cells[1], f"{where}: milliseconds", rule) / 1e3
    whole = seconds.pop(_WHOLE, None)
    if not seconds:
        raise ValueError("has no row for a node")
    return Profile(name, seconds, whole)


def _read_events(events: Any) -> tuple[dict[str, float], float]:
    """Medians over the runs: seconds of each node, and of a run."""
    if not isinstance(events, list):
        raise ValueError("is no profile of ONNX Runtime, which is a JSON array")
    runs: list[tuple[float, float]] = []
    nodes: list[tuple[float, float, str, Any]] = []
    for number, event in enumerate(events):
        where = f"event {number}"
        name = json_entry(event, "name", str, where)
        if name == "model_run" or name.endswith(_SUFFIX):
            begin, length = (json_number(event, key, where) for key in ("ts", "dur"))
            if name == "model_run":
                runs.append((begin, length))
            else:
                nodes.append((begin, length, name.removesuffix(_SUFFIX), event.get("tid")))
    if not (runs and nodes):
        raise ValueError(
            "has no whole run with times of its nodes (events model_run, *_kernel_time)"
        )
    starts = np.sort([begin for begin, _ in runs])
    totals: dict[str, np.ndarray] = defaultdict(lambda: np.zeros(len(runs)))
    ends: dict[Any, float] = {}
    for begin, length, name, thread in sorted(nodes, key=lambda node: node[:2]):
        # What begins before another one has ended is in a subgraph of it.
        if begin >= ends.get(thread, -math.inf):
            ends[thread] = begin + length
            totals[name][np.searchsorted(starts, begin, side="right") - 1] += length
    seconds = {name: float(np.median(total)) / 1e6 for name, total in totals.items()}
    return seconds, float(np.median([length for _, length in runs])) / 1e6
