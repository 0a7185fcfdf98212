"""Runs the parts of a split network: a process for each place, a TCP connection for each link."""

import contextlib
import json
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

import offload_jax as oj
from experiments.studies import split_place
from offload_jax.models.onnx_run import random_inputs


@contextlib.contextmanager
def _lines(network: oj.Network) -> Iterator[dict[str, list[dict[str, Any]]]]:
    """A TCP connection over the loopback for each link: of each place, its ends."""
    ends: dict[str, list[dict[str, Any]]] = {name: [] for name in network.place_names}
    with contextlib.ExitStack() as stack:
        for link in network.links:
            with socket.create_server(("127.0.0.1", 0)) as server:
                first = stack.enter_context(socket.create_connection(server.getsockname()))
                second = stack.enter_context(server.accept()[0])
            told = {"bandwidth": link.bandwidth, "round_trip_time": link.round_trip_time}
            ends[link.source].append({"to": link.target, "fd": first.fileno(), **told})
            ends[link.target].append({"to": link.source, "fd": second.fileno(), **told})
        yield ends


def run(
    folder: Path,
    network: oj.Network,
    slowdown: Mapping[str, float],
    *,
    one_by_one: int,
    stream: int = 0,
    window: int = 1,
    optimized: bool = False,
) -> dict[str, Any]:
    """Runs a folder of parts.

    Args:
      folder: of `oj.models.split`; gets the inputs, and the outputs of the first request.
      network: places in a row, as the plan names them, with links that are as fast both ways.
      slowdown: how many times slower than this machine each place is.
      one_by_one: requests that begin when the one before is done.
      stream: requests after these.
      window: how many of the stream are under way at a time.
      optimized: let ONNX Runtime optimise the graphs of parts.

    Returns:
      `seconds` of each request that was alone, `done`, when each of the stream was, from the
      beginning of the first, and `parts`: of each place the seconds of all runs of each part,
      without the slowdown.
    """
    plan = json.loads((folder / "parts.json").read_text(encoding="utf-8"))
    tensors, names = plan["tensors"], network.place_names
    inputs: Any = random_inputs({name: tensors[name] for name in plan["inputs"]})
    np.savez(folder / "inputs.npz", **inputs)
    common = {
        "to": {tensor: told["to"] for tensor, told in tensors.items()},
        "outputs": plan["outputs"],
        "results": str(folder / "outputs.npz"),
        "one_by_one": one_by_one,
        "stream": stream,
        "window": window,
        "optimized": optimized,
    }
    processes = {}
    with contextlib.ExitStack() as stack:
        lines = stack.enter_context(_lines(network))
        for place, name in enumerate(names):
            processes[name] = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, split_place.__file__],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    pass_fds=[line["fd"] for line in lines[name]],
                    text=True,
                )
            )
            stack.callback(processes[name].kill)
            next_to = {
                other: names[place + (1 if number > place else -1)]
                for number, other in enumerate(names)
                if number != place
            }
            parts = [
                {**part, "file": str(folder / part["file"])}
                for part in plan["parts"]
                if part["place"] == name
            ]
            own = {"name": name, "next": next_to, "parts": parts, "slowdown": slowdown[name]}
            own |= {"links": lines[name], "inputs": None if place else str(folder / "inputs.npz")}
            _tell(processes[name], {**common, **own})
        for process in processes.values():
            _hear(process)
        for process in processes.values():
            _tell(process, "go")
        results = {name: json.loads(_hear(process)) for name, process in processes.items()}
    return {**results[names[0]], "parts": {name: results[name]["parts"] for name in names}}


def _tell(process: subprocess.Popen[str], what: Any) -> None:
    assert process.stdin is not None
    process.stdin.write(json.dumps(what) + "\n")
    process.stdin.flush()


def _hear(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    if line := process.stdout.readline():
        return line
    raise RuntimeError(f"a place ended with status {process.wait()}; its error stands above")
