"""Measures a model on this machine with ONNX Runtime."""

import dataclasses
import statistics
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from offload_jax.models import onnx_run, profile
from offload_jax.models.onnx_file import load
from offload_jax.models.onnx_graph import Reader


def measure(
    path: Path,
    shapes: Mapping[str, int],
    num_runs: int,
    threads: int,
    pause: float,
    optimized: bool,
) -> profile.Profile:
    """Times of nodes and whole; see `models.measure`."""
    try:
        reader = Reader(load(path), shapes)
        inputs = onnx_run.random_inputs({name: reader.described(name) for name in reader.inputs})
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    warm_up = num_runs // 10 + 1
    with tempfile.TemporaryDirectory() as folder, onnx_run.refusals(path):
        prefix = Path(folder) / "profile"
        nodes = onnx_run.session(path, optimized=False, threads=threads, profile=prefix)
        for _ in range(warm_up + num_runs):
            time.sleep(pause)
            nodes.run(None, inputs)
        found = profile.read(Path(nodes.end_profiling()), None)
        whole = onnx_run.session(path, optimized=optimized, threads=threads)
        seconds = []
        for _ in range(warm_up + num_runs):
            time.sleep(pause)
            begin = time.perf_counter()
            whole.run(None, inputs)
            seconds.append(time.perf_counter() - begin)
    return dataclasses.replace(found, name=path.stem, whole=statistics.median(seconds[warm_up:]))
