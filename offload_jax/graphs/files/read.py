"""Task graphs from files: daggen's .gv, DOT, WfFormat and the Standard Task Graph Set."""

import os
from pathlib import Path

from offload_jax.files import read_text
from offload_jax.graphs.files import dot, stg, wfformat
from offload_jax.graphs.task_graph import TaskGraph
from offload_jax.validation import check_positive

_FORMAT_OF_SUFFIX = {".gv": "dot", ".dot": "dot", ".json": "wfformat", ".stg": "stg"}


def read(
    path: str | os.PathLike[str],
    *,
    reference_speed: float = 1e9,
    cycles_per_byte: float | None = None,
) -> TaskGraph:
    """Reads a task graph.

    Files are text in UTF-8, with or without a byte-order mark. Of the four formats, suffixes .gv
    and .dot mean DOT, .json WfFormat and .stg STG; with any other suffix the content decides.

    - **daggen .gv** (DOT with `size` on nodes), as linkpark/metarl-offloading and
      linkpark/RLTaskOffloading hold it: `size` of a node is the bytes it works on, `size` of an
      edge the bytes that pass. A task without predecessors has its `size` as `input`, one without
      successors its `expect_size`, where it is given, as `output`. What a task hands on is one
      result (`send_once`) if all edges out of each task carry the same bytes, as daggen writes it.
      It also writes some edges twice; copies of one size are one edge.
    - **DOT** with `Weight` on nodes and edges: seconds and bytes.
    - **WfFormat** 1.5 and 1.6 of WfCommons: see `wfformat.parse`.
    - **STG**: seconds and no bytes. The dummy entry and exit, which take no time, are left out.

    Args:
      path: the file.
      reference_speed: cycles per second of the machine on which the seconds of a file are meant.
      cycles_per_byte: work of a node of a daggen .gv per byte of its `size`. None is
        `reference_speed` / 2²⁰: the device of those repositories works off 1 MiB a second and
        their edge server 10 MiB a second.

    Returns:
      The graph. Tasks have the names of the file and keep its order where dependencies allow.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: the file is damaged, of no known format, or its tasks form a cycle; names the file
        and the line or the task. Or a keyword is no finite number above 0.
    """
    check_positive("reference_speed", reference_speed)
    if cycles_per_byte is None:
        cycles_per_byte = reference_speed / 2**20
    check_positive("cycles_per_byte", cycles_per_byte)
    path = Path(path)
    text = read_text(path)
    try:
        kind = _FORMAT_OF_SUFFIX.get(path.suffix.lower()) or _sniff(text)
        if kind == "dot":
            return dot.parse(text, reference_speed, cycles_per_byte)
        if kind == "wfformat":
            return wfformat.parse(text, reference_speed)
        return stg.parse(text, reference_speed)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _sniff(text: str) -> str:
    start = text.lstrip().lower()
    if start.startswith("{"):
        return "wfformat"
    if start[:1].isdigit():
        return "stg"
    if start.startswith(("digraph", "strict", "graph", "//", "/*")):
        return "dot"
    raise ValueError("is neither DOT nor WfFormat nor STG")
