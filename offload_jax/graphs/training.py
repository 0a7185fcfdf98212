"""Learning to decide about task graphs from schedules: given ones, a teacher's, or one's own.

The network learns by cross-entropy to go the way of a schedule, places and order. Where no schedule
is given it is the best of a sample, as the simulator says: of the network's own schedules
(self-labelling, Corsini et al. 2024; no optimum is needed), or of a teacher's, whose softened
answers at every step can be learnt too.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from offload_jax.batching import broadcast_batch
from offload_jax.graphs._jax.network import GraphPolicyConfig, embed_tasks, place_logits, priorities
from offload_jax.graphs._jax.noise import draw
from offload_jax.graphs._jax.observation import Observation
from offload_jax.graphs._jax.platform import Platform, platform_of
from offload_jax.graphs._jax.policy import (
    LearnedGraphPolicy,
    SampledSchedule,
    by_rules,
    rollout,
    sample_schedule,
)
from offload_jax.graphs._jax.rows import in_order
from offload_jax.graphs._jax.task_features import TaskFeatures, task_features
from offload_jax.graphs.columns import PLACE, STEP, TASK
from offload_jax.graphs.costs import GraphCosts, as_costs
from offload_jax.graphs.decision import Decision
from offload_jax.graphs.problem import GraphProblem
from offload_jax.learning import imitation
from offload_jax.learning.distillation import soften
from offload_jax.learning.loop import OnEpoch
from offload_jax.learning.policies import training_data

_NEVER = -1e9
# Tasks of graphs whose batches are whole.
_LARGE = 32


@dataclasses.dataclass(frozen=True, kw_only=True)
class GraphTraining(imitation.ImitationRecipe):
    """How a policy is trained.

    Attributes:
      batch_size: requests a step, of graphs of up to 32 tasks; fewer of larger ones, so that a step
        has as many tasks.
      num_samples: schedules that are sampled of each request where none is given; the first is the
        most probable one.
      contrast: how many of the best and of the worst samples are learnt, with their advantage over
        the mean as weight, so that the worse ones become less probable; 0 for the best one alone.
      shared_noise: how far all tasks of a sample are drawn to places together; see `draw`.
      temperature: of the teacher's answers.
      teacher_weight: share of the teacher's answers in what is learnt; the rest is the schedule.
      rules: whether the schedules of `greedy`, single places and nearly the cut are among those of
        which the best is learnt.
      unseen: names of `columns` that the network gets no weight on.
    """

    num_samples: int = 16
    contrast: int = 0
    shared_noise: float = 2.0
    rules: bool = False
    unseen: tuple[str, ...] = ()
    temperature: float = 1.0
    teacher_weight: float = 0.5


class Examples(NamedTuple):
    """Requests and, if they are given, schedules to learn.

    Attributes:
      costs: every field with the one batch axis `[n]`.
      decision: places and order `[n, N]`, or None.
    """

    costs: GraphCosts
    decision: Decision | None


class Lesson(NamedTuple):
    """A schedule of each of B requests, step by step.

    Attributes:
      features: what is known before.
      observation: `[F, K, N, B]` and so on, by position.
      order: int `[B, N]`.
      place: `[K, N, B]` probabilities of places to learn, by position.
      turn: `[N, N, B]` probabilities of tasks to be next, by position and task.
      ready: bool `[N, N, B]` tasks among which to choose.
      weight: `[B]` of the schedules; negative for those to avoid.
    """

    features: TaskFeatures
    observation: Observation
    order: Array
    place: Array
    turn: Array
    ready: Array
    weight: Array


def lesson(
    platform: Platform,
    costs: GraphCosts,
    features: TaskFeatures,
    place: Array,
    order: Array,
    weight: Array | None = None,
) -> Lesson:
    """The way to a decision `[B, N]` about each of B requests."""
    rows = len(order)
    told = in_order(place, order, rows)

    def obey(observation: Observation, place: Array) -> Array:
        del observation
        return place

    _, _, observation = rollout(platform, rows, costs, features, order, obey, told, keep=True)
    observation = Observation(
        jnp.moveaxis(observation.places, 0, 2),
        jnp.moveaxis(observation.step, 0, 1),
        jnp.moveaxis(observation.allowed, 0, 1),
    )
    position = jnp.argsort(order, axis=1).T
    before = features.needs.last(position)
    step = jnp.arange(order.shape[1])[:, None, None]
    ready = (before[None] < step) & (step <= position[None]) & ~features.empty[None]
    turn = (position[None] == step) & ready
    dtype = costs.seconds.dtype
    is_chosen = told[None] == jnp.arange(costs.num_places)[:, None, None]
    weight = jnp.ones(rows, dtype) if weight is None else weight
    return Lesson(
        features, observation, order, is_chosen.astype(dtype), turn.astype(dtype), ready, weight
    )


def answers(params: Any, lesson: Lesson) -> tuple[Array, Array]:
    """Scores of the places at every step `[K, N, B]`, and priorities `[N, B]` of the tasks."""
    embedding = embed_tasks(params, lesson.features)
    by_position = jnp.take_along_axis(embedding, lesson.order.T[None], axis=1)
    return place_logits(params, lesson.observation, by_position), priorities(params, embedding)


def lesson_loss(params: Any, lesson: Lesson) -> Float[Array, " B"]:
    """Cross-entropy summed over steps: which place, and which of the tasks that are ready.

    The order is a Plackett-Luce choice among ready tasks at each step.
    """
    score, priority = answers(params, lesson)
    filled = jnp.any(lesson.ready, axis=1)
    places = jnp.sum(lesson.place * jax.nn.log_softmax(score, axis=0), axis=0)
    total = jax.nn.logsumexp(jnp.where(lesson.ready, priority[None], _NEVER), axis=1)
    turns = jnp.sum(lesson.turn * priority[None], axis=1) - total
    return -jnp.sum(jnp.where(filled, places + turns, 0.0), axis=0)


def taught(lesson: Lesson, teacher: LearnedGraphPolicy, training: GraphTraining) -> Lesson:
    """The lesson with the teacher's softened answers mixed in."""
    score, priority = answers(teacher.params, lesson)
    log_place = jnp.moveaxis(jax.nn.log_softmax(score, axis=0), 0, -1)
    place = jnp.moveaxis(soften(log_place, training.temperature), -1, 0)
    masked = jnp.where(lesson.ready, priority[None], _NEVER)
    turn = jnp.moveaxis(soften(jnp.moveaxis(masked, 1, -1), training.temperature), -1, 1)
    turn = jnp.where(lesson.ready, turn, 0.0)
    share = training.teacher_weight
    return lesson._replace(
        place=(1 - share) * lesson.place + share * place,
        turn=(1 - share) * lesson.turn + share * turn,
    )


def repeated(tree: Any, num: int, axis: int) -> Any:
    """All arrays `num` times one after the other."""

    def repeat(leaf: Array) -> Array:
        times = [1] * leaf.ndim
        times[axis] = num
        return jnp.tile(leaf, times)

    return jax.tree.map(repeat, tree)


def sample(
    platform: Platform,
    costs: GraphCosts,
    features: TaskFeatures,
    params: Any,
    key: Array,
    num: int,
    *,
    shared_noise: float,
) -> SampledSchedule:
    """`num` schedules `[num * B]` of each of B rows, the first of them the most probable one.

    Args:
      platform, costs, features: of the rows.
      params: of the network.
      key: JAX random key.
      num: schedules of a row.
      shared_noise: as in `GraphTraining`.
    """
    rows = len(costs.seconds)
    embedding = embed_tasks(params, features)
    shape = (costs.num_tasks, costs.num_places + 1, num, rows)
    noise = draw(key, shape, shared=shared_noise, order=1.0)
    noise = noise.at[:, :, 0].set(0.0).reshape(*shape[:2], -1)
    read = features, embedding, priorities(params, embedding)
    features, embedding, priority = repeated(read, num, -1)
    costs, rows = repeated(costs, num, 0), num * rows
    return sample_schedule(platform, rows, costs, params, features, embedding, priority, noise)


def _beside(found: SampledSchedule, more: SampledSchedule) -> SampledSchedule:
    """Samples `[S * B, ...]` and others `[R, B, ...]`, one after the other."""
    flat = (part.reshape(-1, *part.shape[2:]) for part in more)
    pairs = zip(found, flat, strict=True)
    return SampledSchedule(*(jnp.concatenate([a, b.astype(a.dtype)]) for a, b in pairs))


def best_and_worst(makespan: Array, contrast: int) -> tuple[Array, Array]:
    """Which samples are learnt.

    Args:
      makespan: `[S, B]`.
      contrast: as in `GraphTraining`.

    Returns:
      Numbers of samples and weights `[M, B]`: the best one with weight 1, or the best and the worst
      `contrast` with their advantage in standard deviations.
    """
    rank = jnp.argsort(makespan, axis=0)
    if not contrast:
        return rank[:1], jnp.ones_like(makespan[:1])
    chosen = jnp.concatenate([rank[:contrast], rank[-contrast:]])
    mean, spread = jnp.mean(makespan, axis=0), jnp.std(makespan, axis=0)
    differ = jnp.isfinite(spread) & (spread > 1e-6 * mean)
    advantage = (mean - jnp.take_along_axis(makespan, chosen, axis=0)) / jnp.where(
        differ, spread, 1.0
    )
    return chosen, jnp.where(differ, advantage, 0.0)


@dataclasses.dataclass(frozen=True)
class GraphImitation:
    """What `learning.imitation` is told about task graphs.

    Attributes:
      platform: of all requests.
      training: the recipe.
      teacher: whose schedules and answers are learnt, or None.
    """

    platform: Platform
    training: GraphTraining
    teacher: LearnedGraphPolicy | None = None

    def batch(self, params: Any, examples: Examples, index: Array, key: jax.Array) -> Lesson:
        """The way to the given decisions, or to the best sampled ones."""
        params = without(params, self.training.unseen)
        costs, decision = jax.tree.map(lambda leaf: leaf[index], examples)
        training, rows, weight = self.training, len(index), None
        features = task_features(self.platform, rows, costs)
        if decision is None:
            source = params if self.teacher is None else self.teacher.params
            found = sample(
                self.platform,
                costs,
                features,
                source,
                key,
                training.num_samples,
                shared_noise=training.shared_noise,
            )
            if training.rules:
                found = _beside(found, by_rules(costs, features.agreed.place.T))
            makespan = found.makespan.reshape(-1, rows)
            chosen, weights = best_and_worst(makespan, training.contrast)
            mine = (chosen * rows + jnp.arange(rows)[None]).ravel()
            decision, weight = Decision(found.place[mine], found.order[mine]), weights.ravel()
            costs = repeated(costs, len(chosen), 0)
            features = repeated(features, len(chosen), -1)
        given = lesson(self.platform, costs, features, decision.place, decision.order, weight)
        return given if self.teacher is None else taught(given, self.teacher, training)

    def loss(self, params: Any, batch: Lesson) -> Float[Array, ""]:
        """The mean over tasks."""
        params = without(params, self.training.unseen)
        num_tasks = jnp.sum(jnp.any(batch.ready, axis=1))
        total = jnp.sum(batch.weight * lesson_loss(params, batch))
        return total / jnp.maximum(num_tasks, 1)


def without(params: Any, columns: Sequence[str]) -> Any:
    """The parameters with no weight on some of the numbers that `columns` names."""
    if not columns:
        return params
    of_place = np.isin(PLACE, columns)
    of_step, of_task = np.isin(STEP, columns), np.isin(TASK, columns)
    first = {
        "place_in": of_place,
        "place_skip": of_place,
        "task_in": np.concatenate([of_step, of_task]),
        "message_in": of_task,
        "order_in": of_task,
        "order_skip": of_task,
    }

    def blind(path: Any, leaf: Array) -> Array:
        name, *rest = (key.key for key in path)
        if name not in first or rest == ["bias"]:
            return leaf
        return leaf.at[np.flatnonzero(first[name])].set(0.0)

    return jax.tree_util.tree_map_with_path(blind, params)


def examples_of(problem: GraphProblem | GraphCosts, decision: Decision | None = None) -> Examples:
    """Requests of one batch axis `[n]`, every field in full, and decisions about them."""
    costs = jax.tree.map(jnp.asarray, broadcast_batch(as_costs(problem)))
    (_,) = costs.batch_shape
    if decision is not None:
        decision = Decision(*(jnp.asarray(part, jnp.int32) for part in decision))
    return Examples(costs, decision)


def share_of_batch(num: int, num_tasks: int) -> int:
    """How many graphs of N tasks stand for `num` of up to 32: as many tasks in all."""
    return max(1, min(num, num * _LARGE // num_tasks))


def train_graph_policy(
    problem: GraphProblem | GraphCosts | Sequence[GraphProblem | GraphCosts],
    *,
    model: GraphPolicyConfig,
    training: GraphTraining,
    decision: Decision | Sequence[Decision] | None = None,
    teacher: LearnedGraphPolicy | None = None,
    start: LearnedGraphPolicy | None = None,
    description: str = "",
    checkpoint: Path | None = None,
    checkpoint_every: int = 10,
    on_epoch: OnEpoch | None = None,
) -> LearnedGraphPolicy:
    """Trains a policy on requests.

    Args:
      problem: training requests, batch shape `[n]`; or several such groups, of other numbers of
        tasks, servers or users each, which take turns.
      model: the network.
      training: the recipe.
      decision: schedules to learn, `[n, N]`, say those of `solve`, of each group; None to learn
        from samples.
      teacher: a trained policy to learn from.
      start: of the same model, whose parameters are trained further; None for fresh ones.
      description: of the requests, the decisions and the teacher, stored with the weights.
      checkpoint: folder to write to and to resume from.
      checkpoint_every: epochs between checkpoints.
      on_epoch: receives metrics.

    Returns:
      The trained policy.

    Raises:
      ValueError: fewer requests than a batch.
      TrainingDiverged: the loss is not finite.
    """
    problems = [problem] if isinstance(problem, GraphProblem | GraphCosts) else [*problem]
    told = (
        [decision] * len(problems)
        if decision is None or isinstance(decision, Decision)
        else decision
    )
    # Another seed is the same program.
    unseeded = dataclasses.replace(training, seed=0)
    groups, sizes = [], []
    for each, known in zip(problems, told, strict=True):
        examples = examples_of(each, known)
        learner = GraphImitation(platform_of(as_costs(each)), unseeded, teacher)
        size = share_of_batch(training.batch_size, examples.costs.num_tasks)
        groups.append(imitation.Group(examples, learner, size))
        sizes.append(len(examples.costs.seconds))
    params = imitation.train(
        groups,
        model=model,
        recipe=training,
        config=training_data(model, training, description, examples=sum(sizes)),
        params=None if start is None else jax.tree.map(jnp.array, start.params),
        checkpoint=checkpoint,
        checkpoint_every=checkpoint_every,
        on_epoch=on_epoch,
    )
    return LearnedGraphPolicy(model, without(params, training.unseen))
