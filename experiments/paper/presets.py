"""What the learned experiments train: recipes, sizes, seeds."""

import dataclasses

import offload_jax as oj
from offload_jax.chains.augmentation import Variations
from offload_jax.chains.deep_q_learning import DqnTraining
from offload_jax.chains.imitation import ImitationTraining
from offload_jax.chains.imitation_network import ImitationConfig
from offload_jax.chains.q_network import QNetworkConfig
from offload_jax.chains.symmetry import is_symmetric

NUM_TEST = 10_000


@dataclasses.dataclass(frozen=True)
class Preset:
    """One way to run all learned experiments.

    Attributes:
      name: goes into configurations.
      num_wide: wide training requests (100 000 in section 5.1).
      num_narrow: narrow training requests (1 000 in section 5.2).
      num_test: wide test requests (10 000).
      num_seeds: repetitions of everything that trains on narrow requests.
      num_seeds_compared: repetitions of the students whose order is a claim of the paper.
      teacher_paper: recipe of the large network as the paper has it.
      teacher_shared: recipe of a single network with the paper's features and loss.
      teacher: recipe of the large network at its best.
      teacher_stream: the same on a stream of new requests, None to leave it out.
      student: recipe of students on fixed labels.
      student_variations: recipe of students on variations labelled by the teacher.
      temperatures: T of the sweep.
      dqn: deep Q-learning on wide requests.
      dqn_raw: the same with the paper's features, None to leave it out.
      dqn_small: deep Q-learning on narrow requests.
      objective: what all policies and labels minimise; set by `for_objective`.
    """

    name: str
    teacher_paper: ImitationTraining
    teacher_shared: ImitationTraining
    teacher: ImitationTraining
    teacher_stream: ImitationTraining | None
    student: ImitationTraining
    student_variations: ImitationTraining
    dqn: DqnTraining
    dqn_raw: DqnTraining | None
    dqn_small: DqnTraining
    num_seeds: int
    num_seeds_compared: int
    temperatures: tuple[float, ...] = (1.0, 2.0, 5.0, 10.0)
    num_wide: int = 100_000
    num_narrow: int = 1_000
    num_test: int = NUM_TEST
    teacher_paper_model: ImitationConfig = ImitationConfig()
    teacher_shared_model: ImitationConfig = ImitationConfig(sharing="shared")
    teacher_model: ImitationConfig = ImitationConfig(
        feature_set="times", sharing="shared", activation="gelu", residual=True, symmetric=True
    )
    student_model: ImitationConfig = ImitationConfig(feature_set="physical", hidden=(32, 32))
    q_model: QNetworkConfig = QNetworkConfig(feature_set="physical")
    variations: Variations = Variations(spread=3.0, rescale=2.0)
    objective: oj.Objective = oj.LATENCY

    def for_objective(self, objective: oj.Objective) -> "Preset":
        """The same sizes and recipes for another objective."""
        names = ("teacher_paper", "teacher_shared", "student", "q")
        changes = {
            f"{name}_model": dataclasses.replace(
                getattr(self, f"{name}_model"), objective=objective
            )
            for name in names
        }
        symmetric = self.teacher_model.symmetric and is_symmetric(objective)
        changes["teacher_model"] = dataclasses.replace(
            self.teacher_model, objective=objective, symmetric=symmetric
        )
        return dataclasses.replace(self, objective=objective, **changes)


_PAPER = ImitationTraining(
    num_epochs=40, batch_size=1000, learning_rate=3e-3, weight_decay=1.5, average_decay=0.99
)
_SHARED = ImitationTraining(num_epochs=20, batch_size=1000, weight_decay=1.0, average_decay=0.99)
_TEACHER = ImitationTraining(
    num_epochs=40,
    batch_size=1000,
    learning_rate=2e-3,
    average_decay=0.995,
    cross_entropy_weight=0.3,
    expected_cost_weight=10.0,
    recombined=1000,
)
_STUDENT = ImitationTraining(
    num_epochs=300, batch_size=100, learning_rate=3e-3, weight_decay=1.0, average_decay=0.99
)
_STUDENT_VARIATIONS = ImitationTraining(
    num_epochs=1000,
    batch_size=500,
    learning_rate=5e-3,
    average_decay=0.99,
    cross_entropy_weight=0.3,
    expected_cost_weight=10.0,
)

QUICK = Preset(
    name="quick",
    teacher_paper=_PAPER,
    teacher_shared=_SHARED,
    teacher=_TEACHER,
    teacher_stream=None,
    student=_STUDENT,
    student_variations=_STUDENT_VARIATIONS,
    dqn=DqnTraining(num_epochs=40),
    dqn_raw=None,
    dqn_small=DqnTraining(num_epochs=10),
    num_seeds=5,
    num_seeds_compared=8,
)
"""What `make reproduce` runs: the sizes of the paper."""

FULL = dataclasses.replace(
    QUICK,
    name="full",
    teacher=dataclasses.replace(_TEACHER, num_epochs=120),
    teacher_stream=dataclasses.replace(_TEACHER, num_epochs=120, recombined=0, batch_size=2000),
    student_variations=dataclasses.replace(_STUDENT_VARIATIONS, num_epochs=4000),
    dqn_raw=QUICK.dqn,
    num_seeds=8,
    num_seeds_compared=10,
)
"""Best quality, more seeds."""

PRESETS = {preset.name: preset for preset in (QUICK, FULL)}
