"""Nine networks over four pairs of links, placed for latency and for a stream, split and compared.

With random weights where they fit into memory several times over, so that tensors of one shape
differ. Prints a row for each split. Run by name: python -m pytest -s tests/models/split_campaign.py
"""

from pathlib import Path

import numpy as np
import pytest

import offload_jax as oj
from benchmarks.onnx_networks import LINKS, costs_of
from experiments.studies.split_run import PLACES, decide, with_random_weights
from tests.models.onnx_cases import LIGHT

NETWORKS = sorted(path.stem for path in LIGHT.glob("light_*.onnx"))
MOST_BYTES = 2e8


@pytest.mark.parametrize("name", NETWORKS)
def test_parts_compute_what_the_whole_computes(name: str, tmp_path: Path) -> None:
    found = oj.models.read_onnx(LIGHT / f"{name}.onnx")
    if found.memory.sum() < MOST_BYTES:
        with_random_weights(LIGHT / f"{name}.onnx", tmp_path / f"{name}.onnx")
        found = oj.models.read_onnx(tmp_path / f"{name}.onnx")
    rng = np.random.default_rng(0)
    num_tasks = found.graph.num_tasks
    cases = {}
    for link, rates in LINKS.items():
        for objective in ("latency", "period"):
            cases[link, objective] = decide(costs_of(found, rates), objective)
    for number in range(2):
        cuts = np.sort(rng.integers(0, num_tasks, 2))
        cases["any", f"cut {number}"] = np.searchsorted(cuts, np.arange(num_tasks), "right"), None
    checked: dict[bytes, oj.models.Check] = {}
    for number, ((link, objective), (place, order)) in enumerate(cases.items()):
        key = np.asarray(place, np.int8).tobytes()
        if key not in checked:
            folder = tmp_path / str(number)
            oj.models.split(found, place, PLACES, folder, order=order)
            checked[key] = oj.models.check(folder)
        count = np.bincount(place, minlength=3).tolist()
        print(f"{name} {link} {objective}: tasks {count}, {checked[key]}")
        assert checked[key].equal
