"""What a training tells while it runs: progress bar, a line of metrics per epoch, TensorBoard."""

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from experiments.reporting import files
from experiments.reporting.stage import Settings


@contextlib.contextmanager
def logged(
    name: str, num_epochs: int, settings: Settings
) -> Iterator[Callable[[int, Mapping[str, float]], None]]:
    """A metrics callback for one training.

    Writes `metrics/<name>.jsonl`, one line an epoch. Lines of epochs that are trained again after
    an interruption are replaced, once, when the first of them arrives.
    """
    from tqdm import tqdm

    path = _path(name, settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        bar = stack.enter_context(
            tqdm(total=num_epochs, desc=name, unit="epoch", disable=not settings.progress)
        )
        file: Any = None
        board: Any = None

        def on_epoch(epoch: int, metrics: Mapping[str, float]) -> None:
            nonlocal file, board
            if file is None:
                _keep_before(path, epoch)
                file = stack.enter_context(path.open("a"))
                if settings.tensorboard:
                    import tensorboardX

                    board = tensorboardX.SummaryWriter(str(settings.workdir / "tensorboard" / name))
                    stack.callback(board.close)
            file.write(json.dumps({"epoch": epoch, **metrics}) + "\n")
            file.flush()
            if board is not None:
                for metric, value in metrics.items():
                    board.add_scalar(metric, value, epoch)
            bar.update(epoch - bar.n)
            bar.set_postfix(loss=f"{metrics['loss']:.4f}", refresh=False)

        yield on_epoch


def learning_curve(name: str, settings: Settings) -> dict[str, list[float]]:
    """The metrics that a training wrote, a list over its epochs each."""
    path = _path(name, settings)
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return {metric: [line[metric] for line in lines] for metric in (lines[0] if lines else ())}


def _path(name: str, settings: Settings) -> Path:
    return settings.workdir / "metrics" / f"{name}.jsonl"


def _keep_before(path: Path, epoch: int) -> None:
    """Leaves the lines of earlier epochs."""
    if not path.exists():
        return
    kept = []
    for line in path.read_text().splitlines():
        with contextlib.suppress(json.JSONDecodeError):  # a line cut off by a kill
            if json.loads(line)["epoch"] < epoch:
                kept.append(line + "\n")
    files.write_text(path, "".join(kept))
