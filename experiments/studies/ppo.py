"""Learning curve of proximal policy optimisation on chains, as docs/environments.md trains it.

Needs `pip install rejax`, as nothing else here does. Writes results/ppo.json and figures/ppo.png.
"""

import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import offload_jax as oj
from experiments.reporting import plots, tables
from experiments.reporting.results import cached
from experiments.reporting.stage import Settings, Stage, script

ITERATIONS, EVERY, SEEDS, TESTED = 100, 10, 5, 500
SCENARIO = oj.scenarios.WIDE.with_bandwidth_floor(0.25e6)
_RECIPE: dict[str, Any] = {
    "num_envs": 256,
    "num_steps": 12,
    "num_minibatches": 4,
    "num_epochs": 4,
    "gamma": 1.0,
    "gae_lambda": 1.0,
    "agent_kwargs": {"hidden_layer_sizes": (128, 128)},
}
_STEPS = _RECIPE["num_envs"] * _RECIPE["num_steps"]
_UPDATES = _RECIPE["num_minibatches"] * _RECIPE["num_epochs"]
_LEARNING_RATE, _LEAST_REWARD = 1e-3, -2.0


class _ForRejax:
    """What rejax asks of an environment: five results of a step, and gymnax's own spaces.

    Rewards are relative to the best single place and bounded, so that no request outweighs the
    others.
    """

    def __init__(self, env: oj.envs.ChainEnv) -> None:
        self.env, self.reset, self.default_params = env, env.reset, env.default_params

    def step(self, key: Any, state: Any, action: Any, params: Any) -> tuple[Any, ...]:
        obs, after, reward, over, cut_off, info = self.env.step(key, state, action, params)
        reward = jnp.maximum(reward / state.scale, _LEAST_REWARD)
        return obs, after, reward, over | cut_off, info

    def action_space(self, params: Any) -> Any:
        from gymnax.environments import spaces

        return spaces.Discrete(self.env.num_actions)

    def observation_space(self, params: Any) -> Any:
        from gymnax.environments import spaces

        return spaces.Box(-20.0, 20.0, self.env.observation_space().shape)


def compute(settings: Settings, *, iterations: int = ITERATIONS) -> dict[str, Any]:
    """Trains, and takes the most probable places of the same test chains again and again.

    Returns:
      `steps`, and mean ratios to the optimum: `ppo` `[seeds, steps]`, and of policies by name.
    """
    try:
        import optax
        import rejax
    except ModuleNotFoundError as error:
        raise ImportError(f"{error.name} is not installed: pip install rejax") from None

    def compute_all() -> dict[str, Any]:
        env = oj.envs.ChainEnv(SCENARIO)
        train_key, test_key = jax.random.split(jax.random.key(settings.seed))
        test = oj.scenarios.sample(test_key, SCENARIO, TESTED)
        best = oj.solve(test).cost

        def cost(act: Any, row: oj.ChainProblem) -> jax.Array:
            params = oj.envs.Params(env.length, row)
            obs, state = env.reset(jax.random.key(0), params)
            for _ in range(env.length):
                obs, state, *_, info = env.step(jax.random.key(0), state, act(obs), params)
            return info["cost"]

        def judge(ppo: Any, trained: Any, key: jax.Array) -> jax.Array:
            del key

            def act(obs: jax.Array) -> jax.Array:
                found = ppo.actor.apply(trained.actor_ts.params, obs[None], method="_action_dist")
                return found.logits[0].argmax()

            return (jax.vmap(functools.partial(cost, act))(test) / best).mean()

        ppo = rejax.PPO.create(
            env=_ForRejax(env),
            total_timesteps=iterations * _STEPS,
            eval_freq=EVERY * _STEPS,
            learning_rate=optax.linear_schedule(_LEARNING_RATE, 0.0, iterations * _UPDATES),
            **_RECIPE,
        ).replace(eval_callback=judge)
        curves = jax.jit(jax.vmap(ppo.train))(jax.random.split(train_key, SEEDS))[1]
        policies = {
            "greedy": oj.policies.greedy,
            "greedy with the way home": oj.policies.greedy_with_return,
        }
        rules = {
            name: (oj.latency(test, policy(test)) / best).mean()
            for name, policy in policies.items()
        }
        steps = EVERY * _STEPS * np.arange(curves.shape[1])
        return {"steps": steps, "ppo": curves, "rules": rules}

    config = {
        "iterations": iterations,
        "every": EVERY,
        "recipe": _RECIPE,
        "rewards": _LEAST_REWARD,
        "learning_rate": _LEARNING_RATE,
        "seed": settings.seed,
    }
    return cached(settings.result("ppo"), config, compute_all)


def _draw(results: Mapping[str, Any], settings: Settings) -> None:
    steps, curves = np.array(results["steps"]) / 1e3, np.array(results["ppo"])
    with plots.figure(settings.figure("ppo"), size=(7.0, 4.0)) as (_, axes):
        axes.fill_between(steps, curves.min(0), curves.max(0), color=plots.PALETTE[0], alpha=0.25)
        axes.plot(
            steps, curves.mean(0), color=plots.PALETTE[0], marker="o", ms=4,
            label=f"PPO, mean and range of {len(curves)} seeds",
        )  # fmt: skip
        for (name, ratio), colour in zip(results["rules"].items(), (1, 3), strict=True):
            axes.axhline(ratio, color=plots.PALETTE[colour], ls="--", label=name)
        axes.axhline(1.0, color=plots.PALETTE[8], ls=":", label="optimum, the minimum cut")
        axes.set(
            xlabel="steps of training (thousands)",
            ylabel="mean ratio to the optimum",
            ylim=(0.97, 1.6),
        )
        axes.legend()


def _section(results: Mapping[str, Any], settings: Settings) -> str:
    del settings
    rows = [
        [f"{step / 1e3:.0f}", *(f"{ratio:.3f}" for ratio in ratios)]
        for step, *ratios in zip(results["steps"], *results["ppo"], strict=True)
    ]
    rules = ", ".join(f"{name} {ratio:.3f}" for name, ratio in results["rules"].items())
    seeds = [f"seed {i}" for i, _ in enumerate(results["ppo"])]
    return (
        "## Proximal policy optimisation on chains\n\n"
        f"Mean ratio to the optimum on {TESTED} other chains, the most probable places; {rules}."
        "\n\n"
        + tables.markdown(["steps, thousands", *seeds], rows)
        + "\n\n![Learning curve of PPO](figures/ppo.png)\n"
    )


STAGE = Stage(
    "ppo",
    compute,
    _section,
    _draw,
    latency_only=True,
    flags=("seed",),
    options={"iterations": (int, "Of training, each of 3 072 steps.")},
)

if __name__ == "__main__":
    script(STAGE)
