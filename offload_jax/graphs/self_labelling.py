"""Self-labelling (Corsini et al. 2024): sample schedules, learn the best one, repeat.

No optimum is needed: the simulator says which of the sampled schedules is best, and the network
learns by cross-entropy to choose as that one did, places and order.
"""

import dataclasses
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from offload_jax.graphs import learned
from offload_jax.graphs.booking import in_order
from offload_jax.graphs.costs import AXES, GraphCosts, as_costs
from offload_jax.graphs.features import Prepared, Seen, prepare
from offload_jax.graphs.graph_network import GraphPolicyConfig, priorities, scores
from offload_jax.graphs.learned import LearnedGraphPolicy, attempt, walk
from offload_jax.graphs.machine import Hardware, hardware
from offload_jax.graphs.problem import GraphProblem
from offload_jax.learning import imitation
from offload_jax.learning.loop import OnEpoch


@dataclasses.dataclass(frozen=True, kw_only=True)
class SelfLabellingTraining(imitation.ImitationRecipe):
    """How a policy is trained on its own best schedules.

    Attributes:
      num_samples: schedules of each request; the first is the most probable one.
      order_weight: of the cross-entropy of the order beside that of the places.
    """

    num_samples: int = 16
    order_weight: float = 0.3


class Trajectory(NamedTuple):
    """A schedule of each of B requests, step by step.

    Attributes:
      seen: `[N, F, K, B]` and so on, by position.
      place: int `[N, B]` what to choose, by position.
      order: int `[B, N]`.
      prepared: what was known before.
    """

    seen: Seen
    place: Array
    order: Array
    prepared: Prepared


def replay(
    static: Hardware, costs: GraphCosts, prepared: Prepared, place: Array, order: Array
) -> Trajectory:
    """What is seen on the way to a decision `[B, N]` about each of B requests."""
    rows = len(order)
    told = in_order(place, order, rows)

    def obey(seen: Seen, place: Array) -> Array:
        del seen
        return place

    _, _, seen = walk(static, rows, costs, prepared, order, obey, told, keep=True)
    return Trajectory(seen, told, order, prepared)


def trajectory_loss(
    params: Any, trajectory: Trajectory, *, order_weight: float
) -> Float[Array, " B"]:
    """Cross-entropy of places, and of the order as choices among the tasks that are ready."""
    empty = trajectory.prepared.empty
    seen = trajectory.seen
    by_step = Seen(
        jnp.moveaxis(seen.places, 0, 2),
        jnp.moveaxis(seen.task, 0, 1),
        jnp.moveaxis(seen.allowed, 0, 1),
    )
    score = jax.nn.log_softmax(scores(params, by_step), axis=0)
    taken = jnp.take_along_axis(score, trajectory.place[None], axis=0)[0]
    position = jnp.argsort(trajectory.order, axis=1).T
    filled = jnp.take_along_axis(~empty, trajectory.order.T, axis=0)
    places = -jnp.sum(jnp.where(filled, taken, 0.0), axis=0)
    priority = priorities(params, trajectory.prepared.task, trajectory.prepared.summary)
    return places + order_weight * order_loss(
        priority, position, filled, trajectory.prepared.depends, empty
    )


def order_loss(
    priority: Array, position: Array, filled: Array, depends: Array, empty: Array
) -> Float[Array, " B"]:
    """Minus the log-probability of an order, a Plackett-Luce choice among ready tasks a step.

    Args:
      priority: `[N, B]`.
      position: int `[N, B]` where each task stands.
      filled: bool `[N, B]` by position, False for empty tasks.
      depends: bool `[N, N, B]`.
      empty: bool `[N, B]` by task.
    """
    before = jnp.max(jnp.where(depends, position[:, None], -1), axis=0)
    step = jnp.arange(len(priority))[:, None, None]
    ready = (before[None] < step) & (step <= position[None]) & ~empty[None]
    total = jax.nn.logsumexp(jnp.where(ready, priority[None], -1e9), axis=1)
    own = jnp.sum(jnp.where(empty, 0.0, priority), axis=0)
    return jnp.sum(jnp.where(filled, total, 0.0), axis=0) - own


@dataclasses.dataclass(frozen=True)
class SelfLabelling:
    """What `learning.imitation` is told.

    Attributes:
      static: of all requests.
      training: the recipe.
    """

    static: Hardware
    training: SelfLabellingTraining

    def batch(self, params: Any, examples: GraphCosts, index: Array, key: jax.Array) -> Trajectory:
        """The best of the sampled schedules of each request."""
        costs = jax.tree.map(lambda leaf: leaf[index], examples)
        rows, num = len(index), self.training.num_samples
        prepared = prepare(self.static, rows, costs)
        priority = priorities(params, prepared.task, prepared.summary)

        def repeat(leaf: Array) -> Array:
            return jnp.tile(leaf, (num, *(1,) * (leaf.ndim - 1)))

        def repeat_last(leaf: Array) -> Array:
            return jnp.tile(leaf, (*(1,) * (leaf.ndim - 1), num))

        shape = (costs.num_tasks, costs.num_places + 1, num, rows)
        noise = jax.random.gumbel(key, shape).at[:, :, 0].set(0.0).reshape(*shape[:2], -1)
        found = attempt(
            self.static,
            num * rows,
            jax.tree.map(repeat, costs),
            params,
            jax.tree.map(repeat_last, prepared),
            repeat_last(priority),
            noise,
        )
        best = jnp.argmin(found.makespan.reshape(num, rows), axis=0)
        mine = best * rows + jnp.arange(rows)
        return replay(self.static, costs, prepared, found.place[mine], found.order[mine])

    def loss(self, params: Any, batch: Trajectory) -> Float[Array, ""]:
        """The mean over requests."""
        return jnp.mean(trajectory_loss(params, batch, order_weight=self.training.order_weight))


def rows_of(problem: GraphProblem | GraphCosts) -> GraphCosts:
    """Costs whose every field has the one batch axis."""
    costs = as_costs(problem)
    (num,) = costs.batch_shape
    fields = {}
    for name, axes in AXES.items():
        value = jnp.asarray(getattr(costs, name))
        fields[name] = jnp.broadcast_to(value, (num, *value.shape[value.ndim - len(axes) :]))
    return dataclasses.replace(costs, **fields)


def train_by_self_labelling(
    problem: GraphProblem | GraphCosts,
    *,
    model: GraphPolicyConfig,
    training: SelfLabellingTraining,
    description: str = "",
    checkpoint: Path | None = None,
    checkpoint_every: int = 10,
    on_epoch: OnEpoch | None = None,
) -> LearnedGraphPolicy:
    """Trains a policy on requests alone.

    Args:
      problem: training requests, batch shape `[n]`.
      model: the network.
      training: the recipe.
      description: of the requests, stored with the weights.
      checkpoint: folder to write to and to resume from.
      checkpoint_every: epochs between checkpoints.
      on_epoch: receives metrics.

    Raises:
      TrainingDiverged: the loss is not finite.
    """
    static = hardware(as_costs(problem))
    examples = rows_of(problem)
    params = imitation.train(
        examples,
        SelfLabelling(static, dataclasses.replace(training, seed=0)),
        model=model,
        recipe=training,
        config={
            "model": learned.model_data(model),
            "training": training,
            "data": {"description": description, "requests": len(examples.seconds)},
        },
        checkpoint=checkpoint,
        checkpoint_every=checkpoint_every,
        on_epoch=on_epoch,
    )
    return LearnedGraphPolicy(model, params)
