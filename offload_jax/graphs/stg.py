"""The Standard Task Graph Set (Tobita & Kasahara 2002): times and precedence, no bytes."""

import math

from offload_jax.graphs.task_graph import TaskGraph


def parse(text: str, reference_speed: float) -> TaskGraph:
    """Makes a graph of the text of an STG file.

    Line 1 is the number of tasks; `id time #predecessors predecessors...` follows for as many and
    two more, a dummy entry and a dummy exit. Dummies of time 0 are left out: without bytes they
    change no makespan. `#` starts a comment.

    Args:
      text: the file.
      reference_speed: cycles per second of a time.

    Returns:
      The graph, without bytes.

    Raises:
      ValueError: names the line, or the tasks of a cycle.
    """
    rows = []
    for line, content in enumerate(text.splitlines(), start=1):
        words = content.split("#", 1)[0].split()
        if words:
            rows.append((line, [_number(word, line) for word in words]))
    if not rows:
        raise ValueError("line 1: must be the number of tasks, the file is empty")
    line, header = rows.pop(0)
    if len(header) != 1 or header[0] != int(header[0]):
        raise ValueError(f"line {line}: must be the number of tasks, got {len(header)} numbers")
    num_rows = int(header[0]) + 2
    if len(rows) != num_rows:
        line = rows[min(num_rows, len(rows) - 1)][0] if rows else line
        raise ValueError(
            f"line {line}: {int(header[0])} tasks and two dummies were announced, found {len(rows)}"
        )
    index: dict[float, int] = {}
    for position, (line, row) in enumerate(rows):
        if len(row) < 3 or len(row) != 3 + row[2]:
            raise ValueError(
                f"line {line}: must be id, time, number of predecessors and as many ids"
            )
        if index.setdefault(row[0], position) != position:
            raise ValueError(f"line {line}: task {row[0]:g} is there twice")
    dummies = {position for position in (0, num_rows - 1) if rows[position][1][1] == 0}
    tasks = [position for position in range(num_rows) if position not in dummies]
    number = {position: new for new, position in enumerate(tasks)}
    edges = []
    for position, (line, row) in enumerate(rows):
        if len(set(row[3:])) < len(row[3:]):
            raise ValueError(f"line {line}: a predecessor is there twice")
        for predecessor in row[3:]:
            if predecessor not in index:
                raise ValueError(f"line {line}: unknown task {predecessor:g}")
            ends = (index[predecessor], position)
            if not dummies.intersection(ends):
                edges.append((number[ends[0]], number[position]))
    return TaskGraph.from_edges(
        [rows[position][1][1] * reference_speed for position in tasks],
        edges,
        names=[f"{rows[position][1][0]:g}" for position in tasks],
    )


def _number(word: str, line: int) -> float:
    try:
        value = float(word)
    except ValueError:
        raise ValueError(f"line {line}: {word!r} is not a number") from None
    if not 0 <= value < math.inf:
        raise ValueError(f"line {line}: {word} must be finite and not negative")
    return value
