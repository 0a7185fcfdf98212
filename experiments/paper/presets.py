"""What the experiments train and how large they are."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from experiments.reporting.stage import Settings
from offload_jax.chains.augmentation import Variations
from offload_jax.chains.deep_q_learning import DqnTraining
from offload_jax.chains.imitation import ImitationTraining
from offload_jax.chains.imitation_network import ImitationConfig
from offload_jax.chains.q_network import QNetworkConfig
from offload_jax.chains.symmetry import is_symmetric

PAPER_TEMPERATURE = 5.0


@dataclasses.dataclass(frozen=True)
class Row:
    """One way to train a policy: a row of a table.

    Attributes:
      model: the network.
      training: the recipe, an `ImitationTraining` or a `DqnTraining`.
      trainings: repetitions, each with requests and weights of its own seed.
      requests: "wide" (section 5.1) or "narrow" (section 5.2).
      labels: "exact"; "fresh", exact ones of new requests all the time; "teacher", those of the
        large network; "variations", the same of variations of the requests.
      temperature: of the teacher's labels.
    """

    model: ImitationConfig | QNetworkConfig
    training: Any
    trainings: int
    requests: str = "wide"
    labels: str = "exact"
    temperature: float = 1.0


@dataclasses.dataclass(frozen=True)
class Preset:
    """One way to run all experiments on chains.

    Attributes:
      rows: what is trained and kept as a checkpoint, by name.
      trainings_of_variants: repetitions of the variants of `student_rows`.
      temperatures: T of the sweep over the teacher's labels.
      variations: how narrow requests are varied.
      num_wide: wide training requests (100 000 in section 5.1).
      num_narrow: narrow training requests (1 000 in section 5.2).
      num_test: test requests of each scenario (10 000).
      num_chains: chains that the studies beyond the paper look at.
      merged_to: subtasks that longer chains are merged to.
      map_size: points along an axis of the decision maps.
      num_replayed: requests replayed on each bandwidth trace.
      delay_duration: seconds for each measurement of the delays.
    """

    rows: Mapping[str, Row]
    trainings_of_variants: int
    temperatures: tuple[float, ...] = (1.0, 2.0, 5.0, 10.0)
    variations: Variations = Variations(spread=3.0, rescale=2.0)
    num_wide: int = 100_000
    num_narrow: int = 1_000
    num_test: int = 10_000
    num_chains: int = 10_000
    merged_to: tuple[int, ...] = (2, 3, 4, 6, 8)
    map_size: int = 1000
    num_replayed: int = 200
    delay_duration: float = 0.3


def student_rows(preset: Preset) -> dict[str, Row]:
    """The rows of figure 6: those of the preset on narrow requests, and variants of them.

    `..._raw` sees the paper's features. `kd_student_one_T` learns at temperature 1, `kd_matched_T`
    at that of the labels with the factor T² (Hinton et al. 2015); the paper does not say which it
    means. Variants leave no checkpoint.
    """
    rows = {name: row for name, row in preset.rows.items() if row.requests == "narrow"}
    for name in ("baseline_dil", "kd_dil_paper"):
        raw = dataclasses.replace(rows[name].model, feature_set="raw")
        rows[f"{name}_raw"] = dataclasses.replace(
            rows[name], model=raw, trainings=preset.trainings_of_variants
        )
    paper = dataclasses.replace(rows["kd_dil_paper"], trainings=preset.trainings_of_variants)
    for temperature in preset.temperatures:
        row = dataclasses.replace(paper, temperature=temperature)
        if temperature != PAPER_TEMPERATURE:
            rows[f"kd_student_one_{temperature:g}"] = row
        if temperature != 1.0:
            matched = dataclasses.replace(paper.training, temperature=temperature)
            rows[f"kd_matched_{temperature:g}"] = dataclasses.replace(row, training=matched)
    return rows


def of(settings: Settings) -> Preset:
    """The preset that was asked for, with networks for the objective that was asked for."""
    preset, rows = PRESETS[settings.preset], {}
    for name, row in preset.rows.items():
        changes: dict[str, Any] = {"objective": settings.objective}
        if isinstance(row.model, ImitationConfig) and not is_symmetric(settings.objective):
            changes["symmetric"] = False
        rows[name] = dataclasses.replace(row, model=dataclasses.replace(row.model, **changes))
    return dataclasses.replace(preset, rows=rows)


_LARGE = ImitationConfig(
    feature_set="times", sharing="shared", activation="gelu", residual=True, symmetric=True
)
_STUDENT = ImitationConfig(feature_set="physical", hidden=(32, 32))
_Q = QNetworkConfig(feature_set="physical")
_Q_RAW = dataclasses.replace(_Q, feature_set="raw")

_PAPER = ImitationTraining(
    num_epochs=40, batch_size=1000, learning_rate=3e-3, weight_decay=1.5, average_decay=0.99
)
_SHARED = ImitationTraining(num_epochs=20, batch_size=1000, weight_decay=1.0, average_decay=0.99)
_BEST = ImitationTraining(
    num_epochs=120,
    batch_size=1000,
    learning_rate=2e-3,
    average_decay=0.995,
    cross_entropy_weight=0.3,
    expected_cost_weight=10.0,
    recombined=1000,
)
_FRESH = dataclasses.replace(_BEST, recombined=0, batch_size=2000)
_FIXED = ImitationTraining(
    num_epochs=300, batch_size=100, learning_rate=3e-3, weight_decay=1.0, average_decay=0.99
)
_VARIED = ImitationTraining(
    num_epochs=4000,
    batch_size=500,
    learning_rate=5e-3,
    average_decay=0.99,
    cross_entropy_weight=0.3,
    expected_cost_weight=10.0,
)

PAPER = Preset(
    {
        "large_dil_paper": Row(ImitationConfig(), _PAPER, 3),
        "large_dil_paper_shared": Row(ImitationConfig(sharing="shared"), _SHARED, 3),
        "large_dil": Row(_LARGE, _BEST, 3),
        "large_dil_stream": Row(_LARGE, _FRESH, 3, labels="fresh"),
        "drl": Row(_Q, DqnTraining(num_epochs=40), 3),
        "drl_raw": Row(_Q_RAW, DqnTraining(num_epochs=40), 3),
        "baseline_dil": Row(_STUDENT, _FIXED, 10, "narrow"),
        "kd_dil_paper": Row(_STUDENT, _FIXED, 10, "narrow", "teacher", PAPER_TEMPERATURE),
        "kd_dil": Row(_STUDENT, _VARIED, 10, "narrow", "variations"),
        "drl_small": Row(_Q, DqnTraining(num_epochs=10), 10, "narrow"),
    },
    trainings_of_variants=8,
)
"""The sizes of the paper, every recipe until it no longer improves; about an hour."""

# Epochs, trainings, and examples a step.
_SMALLER = {
    "large_dil_paper": (4, 1, 500),
    "large_dil_paper_shared": (5, 1, 1000),
    "large_dil": (4, 1, 500),
    "drl": (6, 1, 512),
    "baseline_dil": (300, 3, 100),
    "kd_dil_paper": (300, 3, 100),
    "kd_dil": (250, 3, 500),
    "drl_small": (2, 3, 512),
}


def _smaller(row: Row, num_epochs: int, trainings: int, batch_size: int) -> Row:
    changes = {"num_epochs": num_epochs, "batch_size": batch_size}
    if isinstance(row.training, ImitationTraining) and row.training.recombined:
        changes["recombined"] = batch_size
    training = dataclasses.replace(row.training, **changes)
    return dataclasses.replace(row, training=training, trainings=trainings)


DEFAULT = dataclasses.replace(
    PAPER,
    rows={name: _smaller(PAPER.rows[name], *sizes) for name, sizes in _SMALLER.items()},
    trainings_of_variants=3,
    temperatures=(1.0, 5.0, 10.0),
    merged_to=(2, 4, 6),
    delay_duration=0.1,
)
"""Every figure in a few minutes: fewer epochs and trainings, fewer networks beyond the paper's."""

PRESETS = {"default": DEFAULT, "paper": PAPER}
