"""One run of everything at tiny size; the tests look at what it leaves."""

import copy
import dataclasses
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import offload_jax as oj
from experiments import reproduce
from experiments.graphs import compare, generalization, real_graphs, streams, test_sets
from experiments.graphs import presets as graph_presets
from experiments.graphs.training_sets import Ground
from experiments.paper import presets, table1
from experiments.paper.presets import DEFAULT, PAPER, Preset, Row
from experiments.reporting import plots
from experiments.reporting.stage import Settings
from experiments.studies import decision_map, decisions_over_time, real_tasks, split_run
from offload_jax.chains.imitation_network import ImitationConfig
from offload_jax.graphs._jax.network import GraphPolicyConfig
from offload_jax.graphs.training import GraphTraining


def _tiny_row(row: Row) -> Row:
    small: dict[str, Any] = {"num_epochs": 2, "batch_size": 50}
    if isinstance(row.model, ImitationConfig):
        small["recombined"] = 20 if row.training.recombined else 0
    else:
        small |= {"steps_per_epoch": 2, "replay_size": 600}
    hidden = (4, 4) if row.model.hidden[0] == 256 and hasattr(row.model, "residual") else (4,)
    return dataclasses.replace(
        row,
        model=dataclasses.replace(row.model, hidden=hidden),
        training=dataclasses.replace(row.training, **small),
        trainings=2 if row.requests == "narrow" else 1,
    )


TINY: Preset = dataclasses.replace(
    DEFAULT,
    rows={name: _tiny_row(row) for name, row in PAPER.rows.items()},
    trainings_of_variants=1,
    temperatures=(5.0,),
    merged_to=(4,),
    num_wide=100,
    num_narrow=100,
    num_test=100,
    num_chains=100,
    map_size=16,
    num_replayed=6,
)


_GRAPH_ROW = graph_presets.Row(
    GraphPolicyConfig(hidden=4, second=3, order_hidden=3, rounds=1, message=2),
    GraphTraining(num_epochs=2, batch_size=8, num_samples=4),
    labels="own",
    trainings=1,
    requests=8,
    grounds=(Ground((4, 6)),),
)
TINY_GRAPHS = graph_presets.Preset(
    {
        graph_presets.TEACHER: _GRAPH_ROW,
        graph_presets.FIRST: _GRAPH_ROW,
        graph_presets.STUDENT: dataclasses.replace(_GRAPH_ROW, start=graph_presets.FIRST),
        graph_presets.TAUGHT: dataclasses.replace(_GRAPH_ROW, labels="teacher", trainings=2),
        graph_presets.BASELINE: dataclasses.replace(_GRAPH_ROW, trainings=2),
    },
    ablations={},
    judged=5,
    samples=(2,),
    elsewhere=(5,),
)


@pytest.fixture(scope="session")
def tiny() -> Any:
    """The preset "tiny", and AlexNet in place of all networks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(presets.PRESETS, "tiny", TINY)
        patch.setitem(plots._STYLE, "savefig.dpi", 40)
        for study in (real_tasks, decision_map, decisions_over_time):
            patch.setattr(study, "NETWORKS", {"AlexNet": study.NETWORKS["AlexNet"]})
        patch.setattr(real_graphs, "NETWORKS", {"AlexNet": decision_map.NETWORKS["AlexNet"]})
        patch.setattr(test_sets, "SIZES", {12: 1000})
        few = compare.Preset(4, 4, {12: 1}, (2,), (2,), (100,), (5.0,))
        patch.setitem(compare.PRESETS, "tiny", few)
        patch.setitem(graph_presets.PRESETS, "tiny", TINY_GRAPHS)
        patch.setitem(generalization.NUM, "tiny", 4)
        patch.setitem(streams.SIZES, "tiny", (2, 6, 1))
        patch.setattr(streams, "LOADS", (0.5, 1.0))
        patch.setattr(generalization, "SCENARIOS", {"12": oj.graphs.scenarios.layered(12)})
        patch.setattr(generalization, "SAMPLES", 2)
        patch.setattr(generalization, "SIMULATIONS", 100)
        patch.setattr(split_run, "NETWORKS", ("squeezenet",))
        patch.setattr(split_run, "LINKS", {"50/20": split_run.LINKS["50/20"]})
        patch.setitem(split_run.REQUESTS, "tiny", 3)
        # The delays have tests of their own.
        stages = tuple(stage for stage in reproduce.STAGES if stage is not table1.STAGE)
        patch.setattr(reproduce, "STAGES", stages)
        yield


class Finished(NamedTuple):
    settings: Settings
    computed: dict[str, Any]
    report: str

    @property
    def results(self) -> dict[str, Any]:
        """What the run gave; a copy, so that no test takes something away from the others."""
        return copy.deepcopy(self.computed)

    def figures(self) -> set[str]:
        return {path.stem for path in (self.settings.workdir / "figures").iterdir()}


@pytest.fixture(scope="session")
def finished(tiny: None, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """`make reproduce` at tiny size, with one recorded trace."""
    folder = tmp_path_factory.mktemp("reproduce")
    (folder / "traces").mkdir()
    (folder / "traces" / "drive.log").write_text("0 1\n1 20\n2 0.2\n3 0\n4 5\n")
    settings = Settings(folder, "tiny", trace_dir=folder / "traces", progress=False)
    results = reproduce.run(settings, forget=True)
    return Finished(settings, results, Path(folder / "report.md").read_text())
