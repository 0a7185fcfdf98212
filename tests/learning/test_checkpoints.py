"""Checkpoints come back as they were, and nothing else is taken for one."""

import dataclasses
import json
import logging
import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from offload_jax.learning import checkpoints


@dataclasses.dataclass(frozen=True)
class Model:
    """What no checkpoint has heard of."""

    hidden: tuple[int, ...] = (4,)


CONFIG = {"model": Model(), "rate": 0.5}


def parameters(epoch: int, size: int = 3):
    return {"kernel": jnp.full((size, 5), float(epoch)), "bias": jnp.arange(5.0)}


def state_of(epoch: int):
    return {"params": parameters(epoch), "count": jnp.int32(epoch)}


def write(path, epochs=(1,), config=CONFIG) -> None:
    with checkpoints.training_folder(path, config) as folder:
        for epoch in epochs:
            folder.save(state_of(epoch), params=parameters(epoch), epoch=epoch)


def resume(path, config=CONFIG):
    with checkpoints.training_folder(path, config) as folder:
        return folder.resume(state_of(0))


def load(path):
    return checkpoints.load(path, lambda config: parameters(0, config["model"]["hidden"][0] - 1))


def content_of(path):
    """Every file below `path` with its bytes."""
    return {p.relative_to(path): p.read_bytes() for p in path.rglob("*") if p.is_file()}


def test_configuration_and_parameters_come_back(tmp_path) -> None:
    write(tmp_path / "run")
    config, params = load(tmp_path / "run")
    assert config == {"model": {"hidden": [4]}, "rate": 0.5}
    jax.tree.map(np.testing.assert_array_equal, params, parameters(1))


def test_resume_gives_the_newest_state_and_old_ones_go(tmp_path) -> None:
    write(tmp_path / "run", (1, 2, 10))
    state, epoch = resume(tmp_path / "run")
    assert epoch == 10
    jax.tree.map(np.testing.assert_array_equal, state, state_of(10))
    names = sorted(path.name for path in (tmp_path / "run").glob("epoch*"))
    assert names == ["epoch_00000002", "epoch_00000010"]


def test_no_checkpoint_yet_is_a_fresh_start(tmp_path) -> None:
    _, epoch = resume(tmp_path / "run")
    assert epoch == 0


def test_without_a_folder_nothing_is_kept(tmp_path) -> None:
    write(None)
    assert resume(None)[1] == 0
    assert not list(tmp_path.iterdir())


def test_another_configuration_is_refused_and_named(tmp_path) -> None:
    write(tmp_path / "run")
    before = content_of(tmp_path)
    with pytest.raises(ValueError, match=r"run: .*rate was 0\.5, now 0\.25"):
        resume(tmp_path / "run", {**CONFIG, "rate": 0.25})
    with pytest.raises(ValueError, match=r"model\.hidden was \[4\], now \[5\]"):
        resume(tmp_path / "run", {**CONFIG, "model": Model((5,))})
    assert content_of(tmp_path) == before


def test_missing_folder_is_named(tmp_path) -> None:
    with pytest.raises(ValueError, match="nowhere: there is no such"):
        load(tmp_path / "nowhere")


@pytest.mark.parametrize("action", [load, resume, write])
def test_foreign_folder_is_named_and_left_alone(action, tmp_path) -> None:
    (tmp_path / "thesis.txt").write_text("three years")
    before = content_of(tmp_path)
    with pytest.raises(ValueError, match=str(tmp_path)):
        action(tmp_path)
    assert content_of(tmp_path) == before
    with pytest.raises(ValueError, match=r"thesis\.txt: "):
        action(tmp_path / "thesis.txt")


def test_partial_checkpoint_is_named(tmp_path) -> None:
    write(tmp_path / "run")
    (tmp_path / "run" / "epoch_00000001" / "config" / "metadata").unlink()
    for action in (load, resume):
        with pytest.raises(ValueError, match="epoch_00000001: incomplete or damaged"):
            action(tmp_path / "run")


def test_unfinished_checkpoint_does_not_count_and_goes(tmp_path) -> None:
    write(tmp_path / "run")
    rest = tmp_path / "run" / "epoch_00000002.orbax-checkpoint-tmp-0"
    (rest / "params").mkdir(parents=True)
    jax.tree.map(np.testing.assert_array_equal, load(tmp_path / "run")[1], parameters(1))
    assert resume(tmp_path / "run")[1] == 1
    assert not rest.exists()


def test_damaged_weights_are_refused(tmp_path) -> None:
    write(tmp_path / "run")
    files = [p for p in (tmp_path / "run").rglob("*") if p.is_file() and "/params/" in str(p)]
    for path in files:
        data = bytearray(path.read_bytes())
        for i in range(len(data) // 3, len(data), 7):
            data[i] ^= 0x55
        path.write_bytes(bytes(data))
    with pytest.raises(ValueError, match=r"epoch_00000001: params .*damaged"):
        load(tmp_path / "run")


def change_config(path, change) -> None:
    (file,) = path.rglob("config/metadata")
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def test_other_weights_than_the_digest_says_are_refused(tmp_path) -> None:
    write(tmp_path / "run")
    change_config(tmp_path, lambda content: content.update(params_digest="0" * 64))
    with pytest.raises(ValueError, match="params is damaged, its digest does not match"):
        load(tmp_path / "run")


def test_weights_of_another_architecture_are_refused(tmp_path) -> None:
    write(tmp_path / "run")
    change_config(tmp_path, lambda content: content["config"]["model"].update(hidden=[9]))
    with pytest.raises(ValueError, match=r"epoch_00000001: params"):
        load(tmp_path / "run")


def test_other_peoples_json_is_refused(tmp_path) -> None:
    write(tmp_path / "run")
    change_config(tmp_path, lambda content: content.update(format="something else"))
    with pytest.raises(ValueError, match="not a checkpoint of this project"):
        load(tmp_path / "run")


def test_a_checkpoint_that_goes_while_it_is_read_is_not_called_damaged(
    tmp_path, monkeypatch
) -> None:
    restore = checkpoints._restore
    with checkpoints.training_folder(tmp_path / "run", CONFIG) as folder:
        folder.save(state_of(1), params=parameters(1), epoch=1)

        def overtaken(*arguments):
            if not (tmp_path / "run" / "epoch_00000003").exists():
                for epoch in (2, 3):
                    folder.save(state_of(epoch), params=parameters(epoch), epoch=epoch)
            return restore(*arguments)

        monkeypatch.setattr(checkpoints, "_restore", overtaken)
        _, params = load(tmp_path / "run")
    jax.tree.map(np.testing.assert_array_equal, params, parameters(3))


def test_reading_goes_on_while_a_training_writes(tmp_path) -> None:
    write(tmp_path / "run")
    writer = threading.Thread(target=write, args=(tmp_path / "run", range(2, 12)))
    writer.start()
    seen = []
    while writer.is_alive():
        seen.append(float(load(tmp_path / "run")[1]["kernel"][0, 0]))
    writer.join()
    assert seen == sorted(seen)
    assert len(set(seen)) > 1


def test_loggers_of_the_host_are_left_alone(tmp_path) -> None:
    watched = [logging.getLogger(), *map(logging.getLogger, ("absl", "orbax", "jax"))]

    def settings():
        return [(log.level, log.filters[:], log.handlers[:], log.disabled) for log in watched]

    assert all(not filters for _, filters, _, _ in settings())
    before = settings()
    write(tmp_path / "run")
    load(tmp_path / "run")
    assert settings() == before
