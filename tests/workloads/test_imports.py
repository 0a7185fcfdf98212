"""Links and traces need no neural network library."""

import subprocess
import sys
from pathlib import Path

import pytest

from offload_jax import workloads


def test_flax_is_imported_with_the_first_network() -> None:
    code = (
        "import sys\n"
        "import offload_jax as oj\n"
        "workloads = oj.workloads\n"
        "workloads.markov_trace(0)\n"
        "assert 'flax' not in sys.modules\n"
        "workloads.vgg16\n"
        "assert 'flax' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=True)


def test_every_public_name_is_there() -> None:
    assert all(hasattr(workloads, name) for name in workloads.__all__)
    assert dir(workloads) == sorted(workloads.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'lenet'"):
        workloads.lenet  # noqa: B018
