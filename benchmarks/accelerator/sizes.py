"""How much is measured: all that a card holds, or little, to see whether everything runs."""

import dataclasses
from typing import Any

from experiments.graphs import presets as graph_presets
from experiments.paper import presets

_TEACHER = graph_presets.PRESETS["paper"].rows[graph_presets.TEACHER]


@dataclasses.dataclass(frozen=True)
class Sizes:
    """Sizes of all jobs.

    Attributes:
      copied: float32 that tell the bandwidth of memory.
      duration: seconds for the timed calls of a row.
      lengths: subtasks of the chains that are solved.
      batches: problems at a time.
      enumerated: batches of the enumeration, by number of subtasks.
      labelled: chains of six, and graphs, that are labelled.
      single: requests one at a time, of table 1.
      offline: batches of table 1.
      num_tasks: of graphs.
      simulated: batches of schedules and of the rule.
      decided: batches of the student.
      samples: of the best of many.
      compared_chains: how many by number of subtasks.
      compared_graphs: how many by number of tasks.
      large, paper: trainings of chains, with the requests that they learn from.
      teacher: training of graphs, with the requests of each size.
      train: most seconds of a training on chains, and of one on graphs.
      judged: test requests of a policy in training.
    """

    copied: int = 1 << 26
    duration: float = 0.3
    lengths: tuple[int, ...] = (6, 16, 50, 17, 32, 100, 1000)
    batches: tuple[int, ...] = (10**3, 10**4, 10**5, 10**6, 10**7, 10**8)
    enumerated: tuple[tuple[int, tuple[int, ...]], ...] = (
        (6, (10**3, 10**5, 10**7)),
        (10, (10**2, 10**4, 10**6)),
    )
    labelled: tuple[int, int] = (2_000_000, 20_000)
    single: int = 10_000
    offline: tuple[int, ...] = (1, 1000, 100_000, 1_000_000)
    num_tasks: tuple[int, ...] = (20, 50, 12, 200)
    simulated: tuple[int, ...] = (10**3, 2 * 10**4, 4 * 10**5)
    decided: tuple[int, ...] = (10**2, 2 * 10**3, 4 * 10**4)
    samples: int = 64
    compared_chains: tuple[tuple[int, int], ...] = (
        (6, 400_000),
        (16, 300_000),
        (17, 150_000),
        (32, 100_000),
        (50, 40_000),
        (100, 9_000),
        (1000, 1_000),
    )
    compared_graphs: tuple[tuple[int, int], ...] = ((12, 4_000), (20, 4_000), (50, 2_000))
    large: tuple[presets.Row, int] = (presets.PAPER.rows["large_dil"], 100_000)
    paper: tuple[presets.Row, int] = (presets.PAPER.rows["large_dil_paper"], 100_000)
    teacher: tuple[graph_presets.Row, int] = (_TEACHER, 2048)
    train: tuple[float, float] = (60.0, 180.0)
    judged: int = 1000


def _short(row: Any, hidden: Any) -> tuple[Any, int]:
    """A training of a moment: a small network, two epochs."""
    model = dataclasses.replace(row.model, hidden=hidden)
    smaller = {"num_epochs": 2, "batch_size": 20, "recombined": 20, "num_samples": 2}
    changes = {name: value for name, value in smaller.items() if getattr(row.training, name, 0)}
    training = dataclasses.replace(row.training, **changes)
    grounds = {"grounds": row.grounds[:1]} if hasattr(row, "grounds") else {}
    return dataclasses.replace(row, model=model, training=training, **grounds), 20


SIZES = {
    "full": Sizes(),
    "small": Sizes(
        copied=1 << 12,
        duration=0.002,
        lengths=(6, 17),
        batches=(64,),
        enumerated=((3, (10,)),),
        labelled=(64, 16),
        single=3,
        offline=(4,),
        num_tasks=(5,),
        simulated=(16,),
        decided=(16,),
        samples=2,
        compared_chains=((6, 64),),
        compared_graphs=((5, 16),),
        large=_short(presets.PAPER.rows["large_dil"], (8,)),
        paper=_short(presets.PAPER.rows["large_dil_paper"], (8,)),
        teacher=_short(_TEACHER, 8),
        judged=20,
    ),
}
