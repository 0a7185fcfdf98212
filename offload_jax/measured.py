"""Tasks whose running times were measured, layer by layer and place by place, read from files.

CSV: a header, a row for the input and a row for each subtask, times in milliseconds.

    subtask,output_bytes,device,edge,cloud
    input,150528,,,
    conv1,802816,12.5,3.1,0.8
    classifier,4000,2.5,0.4,0.1

JSON: the same as an object.

    {"name": "tiny", "input_bytes": 150528, "subtasks": [
       {"name": "conv1", "output_bytes": 802816,
        "milliseconds": {"device": 12.5, "edge": 3.1, "cloud": 0.8}},
       {"name": "classifier", "output_bytes": 4000,
        "milliseconds": {"device": 2.5, "edge": 0.4, "cloud": 0.1}}]}

A time of `inf` (`Infinity` in JSON) says that the place cannot run the subtask.
"""

import csv
import dataclasses
import io
import math
import os
import pathlib
from typing import NamedTuple

import numpy as np

from offload_jax.files import json_entry, json_number, parse_json, parse_number, read_text
from offload_jax.validation import COST, as_float64, as_names, require

_FIRST_COLUMNS = ("subtask", "output_bytes")


@dataclasses.dataclass(frozen=True, eq=False)
class MeasuredTask:
    """A task with the running time of each subtask at each place.

    Attributes:
      name: the name of the task.
      subtask_names: the A names.
      place_names: the names of the K' places that were measured.
      seconds: float64 `[A, K']`, not negative; `inf` where a place cannot run a subtask.
      data: float64 `[A + 1]` bytes between subtasks: `data[0]` enters the task, `data[A]` is its
        result.
    """

    name: str
    subtask_names: tuple[str, ...]
    place_names: tuple[str, ...]
    seconds: np.ndarray
    data: np.ndarray

    def __post_init__(self) -> None:
        for field in ("subtask_names", "place_names"):
            object.__setattr__(self, field, as_names(field, getattr(self, field)))
        num_subtasks, num_places = len(self.subtask_names), len(self.place_names)
        if num_subtasks == 0 or num_places == 0:
            raise ValueError(f"{self.name}: needs at least one subtask and one place")
        if len(set(self.place_names)) < num_places:
            raise ValueError(f"{self.name}: places must differ, got {', '.join(self.place_names)}")
        shapes = {"seconds": (num_subtasks, num_places), "data": (num_subtasks + 1,)}
        for field, shape in shapes.items():
            values = as_float64(field, getattr(self, field))
            if values.shape != shape:
                raise ValueError(f"{field}: must have shape {shape}, got {values.shape}")
            good = (values >= 0) & ((values < math.inf) | (field == "seconds"))
            require(field, values, good, "must not be negative or NaN")
            object.__setattr__(self, field, values)

    @property
    def num_subtasks(self) -> int:
        """A, the number of subtasks."""
        return len(self.subtask_names)

    def seconds_at(self, place: str) -> np.ndarray:
        """`[A]` seconds at a place.

        Raises:
          ValueError: the place was not measured.
        """
        if place not in self.place_names:
            raise ValueError(
                f"{self.name}: unknown place {place!r}, measured are {', '.join(self.place_names)}"
            )
        return self.seconds[:, self.place_names.index(place)]


def read_measured_task(path: str | os.PathLike[str]) -> MeasuredTask:
    """Reads a task from a `.csv` or `.json` file in the formats above.

    Args:
      path: the file.

    Returns:
      The task, in seconds and bytes; a CSV file names it.

    Raises:
      ValueError: the file is malformed; names the file, the line of a CSV or the entry of a JSON,
        and the rule.
      OSError: the file cannot be read.
    """
    path = pathlib.Path(path)
    if path.suffix.lower() == ".csv":
        return _read_csv(path)
    if path.suffix.lower() == ".json":
        return _read_json(path, read_text(path))
    raise ValueError(f"{path}: the name must end in .csv or .json")


class MeasuredRow(NamedTuple):
    """A row of a CSV file.

    Attributes:
      where: file and line, for messages.
      name: of the input or the subtask.
      num_bytes: of its result.
      needs: the cell under `needs`, None without such a column.
      seconds: at each place; none of the input.
    """

    where: str
    name: str
    num_bytes: float
    needs: str | None
    seconds: tuple[float, ...]


def measured_rows(path: pathlib.Path) -> tuple[tuple[str, ...], list[MeasuredRow]]:
    """Places and rows of a CSV file, that of the input first.

    Raises:
      ValueError, OSError: as `read_measured_task`.
    """
    reader = csv.reader(io.StringIO(read_text(path)))
    header = [cell.strip() for cell in next(reader, [])]
    columns = (*_FIRST_COLUMNS, *header[2:3]) if header[2:3] == ["needs"] else _FIRST_COLUMNS
    num_columns = len(columns)
    places = tuple(header[num_columns:])
    first = f"{path}:1"
    if tuple(header[:2]) != _FIRST_COLUMNS or not places or not all(places):
        raise ValueError(
            f"{first}: the header must be subtask,output_bytes,<place>,..., got {header}"
        )
    if len(set(places)) != len(places):
        raise ValueError(f"{first}: places must differ, got {', '.join(places)}")
    rows: list[MeasuredRow] = []
    for cells in reader:
        where = f"{path}:{reader.line_num}"
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(header):
            raise ValueError(f"{where}: must have {len(header)} columns, got {len(cells)}")
        num_bytes = parse_number(cells[1], f"{where}: output_bytes")
        times = zip(places, cells[num_columns:], strict=True)
        if not rows and any(cell.strip() for cell in cells[2:]):
            raise ValueError(f"{where}: the first row is the input and has no times")
        seconds = [parse_number(c, f"{where}: {p}", COST) / 1e3 for p, c in times if rows]
        needs = cells[2].strip() if num_columns > 2 else None
        rows.append(MeasuredRow(where, cells[0].strip(), num_bytes, needs, tuple(seconds)))
    if len(rows) < 2:
        raise ValueError(f"{first}: needs a row for the input and one for each subtask")
    return places, rows


def _read_csv(path: pathlib.Path) -> MeasuredTask:
    places, rows = measured_rows(path)
    if rows[0].needs is not None:
        raise ValueError(f"{path}:1: has a column needs, which graphs.read_measured reads")
    names = tuple(row.name for row in rows[1:])
    seconds = np.array([row.seconds for row in rows[1:]])
    return MeasuredTask(path.stem, names, places, seconds, np.array([r.num_bytes for r in rows]))


def _read_json(path: pathlib.Path, text: str) -> MeasuredTask:
    try:
        content = parse_json(text)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    subtasks = json_entry(content, "subtasks", list, f"{path}")
    data = [
        parse_number(json_entry(content, "input_bytes", float, f"{path}"), f"{path}: input_bytes")
    ]
    if not subtasks:
        raise ValueError(f"{path}: subtasks: needs at least one")
    names, rows = [], []
    places: tuple[str, ...] = ()
    for number, subtask in enumerate(subtasks):
        where = f"{path}: subtasks[{number}]"
        times = json_entry(subtask, "milliseconds", dict, where)
        places = places or tuple(times)
        if set(times) != set(places) or not times:
            raise ValueError(
                f"{where}.milliseconds: must have the places {', '.join(places)},"
                f" got {', '.join(times)}"
            )
        names.append(json_entry(subtask, "name", str, where))
        data.append(json_number(subtask, "output_bytes", where))
        where = f"{where}.milliseconds"
        rows.append([json_number(times, place, where, COST) / 1e3 for place in places])
    name = str(content.get("name", path.stem))
    return MeasuredTask(name, tuple(names), places, np.asarray(rows), np.asarray(data))
