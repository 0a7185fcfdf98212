"""Trains the deep Q-networks: on wide requests (section 5.1) and on few narrow ones (section 5.2).

Writes checkpoints/drl, drl_raw (the paper's features) and drl_small (narrow requests, first seed),
and results/dqn.json and dqn_raw.json with their learning curves.
"""

import dataclasses
from pathlib import Path
from typing import Any

import offload_jax as oj
from experiments.paper import learned, script
from experiments.paper.presets import Preset
from experiments.reporting import artifacts
from offload_jax import configs
from offload_jax.chains.deep_q_learning import DqnTraining, train_dqn
from offload_jax.chains.q_network import QNetworkConfig
from offload_jax.learning.parameters import num_parameters


def run(
    preset: Preset,
    workdir: Path,
    *,
    seed: int = 0,
    progress: bool = True,
    tensorboard: bool = False,
) -> dict[str, Any]:
    """Trains what is missing and evaluates on the wide test requests.

    Args:
      preset: recipes and sizes.
      workdir: where checkpoints, metrics and results go.
      seed: the first of `preset.num_seeds` for narrow requests, the only one for wide ones.
      progress: show progress bars.
      tensorboard: write TensorBoard files too.

    Returns:
      "drl", "drl_small" and, if the preset has it, "drl_raw" to their metrics (means and intervals
      over seeds for the second) and learning curves.
    """

    def train(
        name: str,
        problem: oj.ChainProblem,
        recipe: DqnTraining,
        number: int,
        model: QNetworkConfig = preset.q_model,
    ) -> Any:
        folder = workdir / "checkpoints" / name if number == seed else None
        with learned.reported(
            f"{name}_{number}",
            recipe.num_epochs,
            workdir,
            progress=progress,
            with_tensorboard=tensorboard,
        ) as on_epoch:
            return train_dqn(
                problem,
                model=model,
                training=learned.with_seed(recipe, number),
                description=f"{name}, seed {number}",
                checkpoint=folder,
                on_epoch=on_epoch,
            )

    def compute() -> dict[str, Any]:
        test = learned.test_set(preset.num_test)
        wide = learned.wide_examples(preset, seed).problem
        results: dict[str, Any] = {
            "drl": learned.evaluate(train("drl", wide, preset.dqn, seed), test, preset.objective)
        }
        per_seed = []
        for number in range(seed, seed + preset.num_seeds):
            narrow = learned.narrow_examples(preset, number).problem
            policy = train("drl_small", narrow, preset.dqn_small, number)
            per_seed.append(learned.evaluate(policy, test, preset.objective))
        results["drl_small"] = {
            **learned.summarize(per_seed),
            "per_seed": [metrics["ratio_of_means"] for metrics in per_seed],
        }
        for name, entry in results.items():
            entry["parameters"] = num_parameters(preset.q_model)
            entry["curve"] = learned.learning_curve(workdir, f"{name}_{seed}")
        return results

    config = {
        "recipes": configs.as_data((preset.q_model, preset.dqn, preset.dqn_small)),
        "sizes": [preset.num_wide, preset.num_narrow, preset.num_test, preset.num_seeds],
        "seed": seed,
    }
    results = artifacts.cached(workdir / "results" / "dqn.json", config, compute)

    if preset.dqn_raw is None:
        return results
    raw, recipe = dataclasses.replace(preset.q_model, feature_set="raw"), preset.dqn_raw

    def compute_raw() -> dict[str, Any]:
        wide = learned.wide_examples(preset, seed).problem
        policy = train("drl_raw", wide, recipe, seed, raw)
        return {
            **learned.evaluate(policy, learned.test_set(preset.num_test), preset.objective),
            "parameters": num_parameters(raw),
            "curve": learned.learning_curve(workdir, f"drl_raw_{seed}"),
        }

    raw_config = {
        "recipe": configs.as_data((raw, recipe)),
        "sizes": [preset.num_wide, preset.num_test],
        "seed": seed,
    }
    path = workdir / "results" / "dqn_raw.json"
    return {**results, "drl_raw": artifacts.cached(path, raw_config, compute_raw)}


if __name__ == "__main__":
    script.main(run)
