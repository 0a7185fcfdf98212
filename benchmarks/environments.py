"""Steps a second of random episodes of `oj.envs`, beside Jumanji's JobShop if that is installed.

Episodes run side by side under `vmap`, in one compiled scan; each environment begins the next
episode itself. A step of JobShop gives every machine its next job, 10 of them by default; one of
`oj.envs` places one task. Calls are taken in turns.
"""

import functools
import importlib.util
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from absl import flags

import offload_jax as oj
from benchmarks.timing import in_turns
from experiments.reporting import command_line, tables

_RATE = 0.1
_SIZES = {
    "episodes": (256, "Side by side."),
    "steps": (60, "Of each."),
    "tasks": (12, "Of each graph."),
    "rounds": (3, "Best of how many."),
}


def random_steps(env: oj.envs.Environment, episodes: int, steps: int) -> Callable[[], Any]:
    """A call that takes steps of random actions within the mask."""

    def step(state: Any, key: jax.Array) -> tuple[Any, Any]:
        keys = jax.random.split(key)
        logits = jnp.where(env.action_mask(state), 0.0, -jnp.inf)
        _, state, reward, *_ = env.step(keys[1], state, jax.random.categorical(keys[0], logits))
        return state, reward

    return _batched(lambda key: env.reset(key)[1], step, episodes, steps)


def jumanji_steps(episodes: int, steps: int) -> Callable[[], Any]:
    """The same of Jumanji's JobShop at its default size."""
    import jumanji
    from jumanji.wrappers import AutoResetWrapper

    env: Any = AutoResetWrapper(jumanji.make("JobShop-v0"))

    def step(carry: Any, key: jax.Array) -> tuple[Any, Any]:
        state, last = carry
        logits = jnp.where(last.observation.action_mask, 0.0, -jnp.inf)
        state, last = env.step(state, jax.random.categorical(key, logits))
        return (state, last), last.reward

    return _batched(env.reset, step, episodes, steps)


def _batched(
    reset: Callable[[jax.Array], Any], step: Callable[..., Any], episodes: int, steps: int
) -> Callable[[], Any]:
    def episode(key: jax.Array) -> jax.Array:
        first, later = jax.random.split(key)
        return jax.lax.scan(step, reset(first), jax.random.split(later, steps))[1].sum()

    keys = jax.random.split(jax.random.key(0), episodes)
    return functools.partial(jax.jit(jax.vmap(episode)), keys)


def main(values: flags.FlagValues) -> None:
    sizes: dict[str, Any] = {name: values[name].value for name in _SIZES}
    episodes, steps = sizes["episodes"], sizes["steps"]
    graphs = oj.graphs.scenarios.layered(sizes["tasks"])
    envs: dict[str, oj.envs.Environment] = {
        f"ChainEnv, {oj.scenarios.WIDE.num_subtasks} subtasks": oj.envs.ChainEnv(),
        f"GraphEnv, {graphs.num_tasks} tasks": oj.envs.GraphEnv(graphs),
        f"StreamEnv, {graphs.num_tasks} tasks": oj.envs.StreamEnv(graphs, rate=_RATE),
    }
    calls = {name: random_steps(env, episodes, steps) for name, env in envs.items()}
    if importlib.util.find_spec("jumanji") is None:
        print("Jumanji is not installed: no row of JobShop.")
    else:
        calls["Jumanji's JobShop"] = jumanji_steps(episodes, steps)
    took = in_turns(calls, rounds=sizes["rounds"])
    rows = [
        [name, episodes * steps / seconds.wall, episodes * steps / seconds.cpu]
        for name, seconds in took.items()
    ]
    print(tables.markdown(["environment", "steps/s", "steps/CPU s"], rows, digits=0))


def define(values: flags.FlagValues) -> None:
    for name, (default, text) in _SIZES.items():
        flags.DEFINE_integer(name, default, text, flag_values=values)


if __name__ == "__main__":
    command_line.run(main, define)
