"""Training on two devices: of one process, and of two by jax.distributed as on two machines."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np

from tests.learning import spread

ROOT = Path(__file__).parents[2]


def run_two(out: Path, *options: str) -> list[dict[str, np.ndarray]]:
    """Runs the training in two processes of one device each."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    environment = os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=1"}
    command = [sys.executable, "-m", "tests.learning.spread"]
    paths = [out.with_name(f"{out.name}_{process}.npz") for process in range(2)]
    running = [
        subprocess.Popen(
            [*command, str(path), f"--port={port}", f"--process={process}", *options],
            cwd=ROOT,
            env=environment,
        )
        for process, path in enumerate(paths)
    ]
    try:
        assert [process.wait(timeout=300) for process in running] == [0, 0]
    finally:
        for process in running:
            process.kill()
    return [dict(np.load(path)) for path in paths if path.exists()]


def test_two_devices_learn_what_one_does(tmp_path: Path) -> None:
    out = tmp_path / "two.npz"
    environment = os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    command = [sys.executable, "-m", "tests.learning.spread", str(out)]
    subprocess.run(command, cwd=ROOT, env=environment, check=True)
    one, two = spread.train(None, 0), np.load(out)
    assert set(two) == one.keys()
    for name, value in one.items():
        np.testing.assert_allclose(two[name], value, rtol=1e-3, atol=1e-5, err_msg=name)


def test_two_processes_learn_what_one_does(tmp_path: Path) -> None:
    first, second = run_two(tmp_path / "whole")
    one = spread.train(None, 0)
    assert first.keys() == one.keys()
    for name, value in one.items():
        np.testing.assert_array_equal(first[name], second[name])
        np.testing.assert_allclose(first[name], value, rtol=1e-3, atol=1e-5, err_msg=name)

    # Stopped after two epochs and started again: the same weights, bit for bit.
    folder = f"--folder={tmp_path / 'checkpoint'}"
    assert not run_two(tmp_path / "stopped", folder, "--stop=2")
    assert (tmp_path / "checkpoint" / "epoch_00000002").is_dir()
    resumed = run_two(tmp_path / "resumed", folder)
    for process in resumed:
        assert len(process["losses"]) == spread.NUM_EPOCHS - 2
        for name in first.keys() - {"losses"}:
            np.testing.assert_array_equal(process[name], first[name])
    assert len(resumed) == 2
