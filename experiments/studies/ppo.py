"""Learning curve of proximal policy optimisation on chains, as docs/environments.md trains it.

Needs `pip install rejax`, as nothing else here does. Writes results/ppo.json and figures/ppo.png.
"""

import functools
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

import offload_jax as oj
from experiments.reporting import plots, tables
from experiments.reporting.results import cached
from experiments.reporting.stage import Settings, Stage, script

STEPS, EVERY, SEEDS, TESTED = 600_000, 50_000, 3, 500
SCENARIO = oj.scenarios.WIDE.with_bandwidth_floor(0.25e6)
_RECIPE: dict[str, Any] = {
    "num_envs": 256,
    "num_steps": 12,
    "num_minibatches": 4,
    "num_epochs": 4,
    "learning_rate": 1e-3,
    "gamma": 1.0,
    "gae_lambda": 1.0,
    "ent_coef": 0.003,
    "normalize_rewards": True,
    "max_grad_norm": 1.0,
    "agent_kwargs": {"hidden_layer_sizes": (128, 128)},
}


class _ForRejax:
    """What rejax asks of an environment: five results of a step, and gymnax's own spaces."""

    def __init__(self, env: oj.envs.ChainEnv) -> None:
        self.env, self.reset, self.default_params = env, env.reset, env.default_params

    def step(self, *given: Any) -> tuple[Any, ...]:
        obs, state, reward, over, cut_off, info = self.env.step(*given)
        return obs, state, reward, over | cut_off, info

    def action_space(self, params: Any) -> Any:
        from gymnax.environments import spaces

        return spaces.Discrete(self.env.num_actions)

    def observation_space(self, params: Any) -> Any:
        from gymnax.environments import spaces

        return spaces.Box(-20.0, 20.0, self.env.observation_space().shape)


def compute(settings: Settings, *, steps: int = STEPS) -> dict[str, Any]:
    """Trains, and takes the most probable places of the same test chains again and again.

    Returns:
      `steps`, and mean ratios to the optimum: `ppo` `[seeds, steps]`, and of policies by name.
    """
    try:
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
            env=_ForRejax(env), total_timesteps=steps, eval_freq=EVERY, **_RECIPE
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
        every = steps * np.arange(curves.shape[1]) / (curves.shape[1] - 1)
        return {"steps": every, "ppo": curves, "rules": rules}

    config = {"steps": steps, "every": EVERY, "recipe": _RECIPE, "seed": settings.seed}
    return cached(settings.result("ppo"), config, compute_all)


def _draw(results: Mapping[str, Any], settings: Settings) -> None:
    steps = np.array(results["steps"]) / 1e3
    with plots.figure(settings.figure("ppo"), size=(7.0, 4.0)) as (_, axes):
        for seed, curve in enumerate(results["ppo"]):
            axes.plot(
                steps, curve, color=plots.PALETTE[0], marker=plots.MARKERS[seed], ms=4,
                label="PPO, each seed" if seed == 0 else None,
            )  # fmt: skip
        for (name, ratio), colour in zip(results["rules"].items(), (1, 3), strict=True):
            axes.axhline(ratio, color=plots.PALETTE[colour], ls="--", label=name)
        axes.axhline(1.0, color=plots.PALETTE[8], ls=":", label="optimum, the minimum cut")
        axes.set(
            xlabel="steps of training (thousands)",
            ylabel="mean ratio to the optimum",
            ylim=(0.97, 1.5),
        )
        axes.legend()


def _section(results: Mapping[str, Any], settings: Settings) -> str:
    del settings
    rows = [
        [f"{step / 1e3:.0f} 000", *(f"{ratio:.3f}" for ratio in ratios)]
        for step, *ratios in zip(results["steps"], *results["ppo"], strict=True)
    ]
    rules = ", ".join(f"{name} {ratio:.3f}" for name, ratio in results["rules"].items())
    seeds = [f"seed {i}" for i, _ in enumerate(results["ppo"])]
    return (
        "## Proximal policy optimisation on chains\n\n"
        f"Mean ratio to the optimum on {TESTED} other chains, the most probable places; {rules}."
        "\n\n"
        + tables.markdown(["steps", *seeds], rows)
        + "\n\n![Learning curve of PPO](figures/ppo.png)\n"
    )


STAGE = Stage(
    "ppo",
    compute,
    _section,
    _draw,
    latency_only=True,
    flags=("seed",),
    options={"steps": (int, "Steps of training.")},
)

if __name__ == "__main__":
    script(STAGE)
