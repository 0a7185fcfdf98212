"""Initial parameters of the network of a learned policy for task graphs."""

import jax.numpy as jnp

from offload_jax.extras import needs
from offload_jax.graphs.columns import PLACE, STEP, TASK

with needs("learn"):
    from flax import nnx

# Where learning starts: tasks by upward rank, each where all that follows it may end first.
_RANK_WEIGHT, _BESIDE_LEAST_WEIGHT = 10.0, -15.0


class GraphModule(nnx.Module):
    """Holds the parameters; what is done with them stands in `graph_network`."""

    def __init__(
        self,
        rngs: nnx.Rngs,
        *,
        hidden: int,
        second: int,
        order_hidden: int,
        rounds: int,
        message: int,
    ) -> None:
        def linear(inner: int, outer: int, *, bias: bool = False, gain: float = 2.0) -> nnx.Linear:
            initializer = nnx.initializers.variance_scaling(gain, "fan_in", "normal")
            return nnx.Linear(inner, outer, use_bias=bias, kernel_init=initializer, rngs=rngs)

        known = len(TASK) + (message if rounds else 0)
        if rounds:
            self.message_in = linear(len(TASK), message, bias=True)
        for i in range(rounds):
            layer = linear(3 * message, message, bias=True, gain=1.0)
            setattr(self, f"message_{i}", layer)
        self.place_in = linear(len(PLACE), hidden, gain=1.0)
        self.task_in = linear(len(STEP) + known, hidden, bias=True, gain=1.0)
        self.place_middle = linear(hidden, second)
        self.mean_middle = linear(hidden, second, bias=True, gain=1.0)
        self.place_out = linear(second, 1, gain=0.05)
        skip = jnp.zeros((len(PLACE), 1)).at[PLACE.index("beside_least")].set(_BESIDE_LEAST_WEIGHT)
        self.place_skip = nnx.Param(skip)
        self.order_in = linear(known, order_hidden, bias=True)
        self.order_middle = linear(order_hidden, order_hidden, bias=True)
        self.order_out = linear(order_hidden, 1, gain=0.05)
        self.order_skip = nnx.Param(
            jnp.zeros((known, 1)).at[TASK.index("rank_share")].set(_RANK_WEIGHT)
        )
