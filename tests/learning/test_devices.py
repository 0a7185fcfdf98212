"""With one device nothing is spread; batches that several cannot share are refused."""

import jax
import jax.numpy as jnp
import pytest

from offload_jax.learning import devices
from tests.learning import killable


def test_one_device_computes_what_it_did() -> None:
    tree = {"a": jnp.ones((4, 2))}
    mesh = devices.training_mesh()
    assert mesh is None
    with devices.active(mesh):
        for same in (devices.spread, devices.replicated, devices.from_writer):
            assert same(tree) is tree
        for same in (devices.everywhere, devices.here, devices.on_host):
            assert same(mesh, tree) is tree


def test_a_batch_must_be_shared_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jax, "devices", lambda: [None] * 3)
    with pytest.raises(ValueError, match="batch_size = 10: must be a multiple of the 3 devices"):
        killable.train(None)
