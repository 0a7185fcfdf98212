"""The Standard Task Graph Set (Tobita & Kasahara 2002): times and precedence, no bytes."""

from offload_jax.files import parse_number
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
            rows.append((line, words))
    if not rows or len(rows[0][1]) != 1:
        raise ValueError(f"line {rows[0][0] if rows else 1}: must be the number of tasks alone")
    header, (count,) = rows.pop(0)
    num_rows = _whole(count, header) + 2
    if len(rows) != num_rows:
        line = rows[min(num_rows, len(rows) - 1)][0] if rows else header
        raise ValueError(
            f"line {line}: line {header} announces {count} tasks and two dummies, found {len(rows)}"
        )

    seconds: dict[str, float] = {}
    edges = []
    for line, words in rows:
        if len(words) < 3 or len(words) != 3 + _whole(words[2], line):
            raise ValueError(f"line {line}: must be id, time, number of predecessors, their ids")
        name, time, _, *predecessors = words
        if name in seconds:
            raise ValueError(f"line {line}: task {name} is there twice")
        seconds[name] = parse_number(time, f"line {line}: time of task {name}")
        if len(set(predecessors)) < len(predecessors):
            raise ValueError(f"line {line}: a predecessor is there twice")
        edges += [(predecessor, name, line) for predecessor in predecessors]
    for predecessor, _, line in edges:
        if predecessor not in seconds:
            raise ValueError(f"line {line}: unknown task {predecessor}")

    ends = {rows[0][1][0], rows[-1][1][0]}
    dummies = {name for name in ends if seconds[name] == 0}
    names = [name for name in seconds if name not in dummies]
    return TaskGraph.from_edges(
        [seconds[name] * reference_speed for name in names],
        [(u, v) for u, v, _ in edges if not dummies.intersection((u, v))],
        names=names,
    )


def _whole(word: str, line: int) -> int:
    value = parse_number(word, f"line {line}: count")
    if value != int(value):
        raise ValueError(f"line {line}: count = {word}: must be a whole number")
    return int(value)
