"""Trains the large networks (section 5.1): the paper's recipe, and the best one.

Writes checkpoints/large_dil_paper, checkpoints/large_dil (and large_dil_stream with the preset
"full"), and results/teacher.json.
"""

from pathlib import Path
from typing import Any

from experiments.paper import learned, script
from experiments.paper.presets import Preset
from experiments.reporting import artifacts
from offload_jax import configs
from offload_jax.chains.imitation import ImitationTraining, Transform, train_imitation
from offload_jax.chains.imitation_network import ImitationConfig
from offload_jax.learning.parameters import num_parameters


def run(
    preset: Preset,
    workdir: Path,
    *,
    seed: int = 0,
    progress: bool = True,
    tensorboard: bool = False,
) -> dict[str, Any]:
    """Trains what is missing and evaluates all large networks on the wide test requests.

    Args:
      preset: recipes and sizes.
      workdir: where checkpoints, metrics and results go.
      seed: of requests and weights.
      progress: show progress bars.
      tensorboard: write TensorBoard files too.

    Returns:
      Name of the network to its metrics, recipe aside.
    """
    recipes: dict[str, tuple[ImitationConfig, ImitationTraining, Transform | None]] = {
        "large_dil_paper": (preset.teacher_paper_model, preset.teacher_paper, None),
        "large_dil_paper_shared": (preset.teacher_shared_model, preset.teacher_shared, None),
        "large_dil": (preset.teacher_model, preset.teacher, None),
    }
    if preset.teacher_stream is not None:
        stream = learned.fresh_stream(preset.teacher_stream.batch_size, preset.objective)
        recipes["large_dil_stream"] = (preset.teacher_model, preset.teacher_stream, stream)

    def compute() -> dict[str, Any]:
        examples = learned.wide_examples(preset, seed)
        test = learned.test_set(preset.num_test)
        results = {}
        for name, (model, recipe, transform) in recipes.items():
            folder = workdir / "checkpoints" / name
            with learned.reported(
                name, recipe.num_epochs, workdir, progress=progress, with_tensorboard=tensorboard
            ) as on_epoch:
                policy = train_imitation(
                    examples,
                    model=model,
                    training=learned.with_seed(recipe, seed),
                    transform=transform,
                    description=f"wide, seed {seed}" + (", fresh stream" if transform else ""),
                    checkpoint=folder,
                    on_epoch=on_epoch,
                )
            results[name] = {
                "parameters": num_parameters(model),
                **learned.evaluate(policy, test, preset.objective),
                "curve": learned.learning_curve(workdir, name),
            }
        return results

    config = {
        "recipes": {n: configs.as_data((m, r)) for n, (m, r, _) in recipes.items()},
        "sizes": [preset.num_wide, preset.num_test],
        "seed": seed,
    }
    return artifacts.cached(workdir / "results" / "teacher.json", config, compute)


if __name__ == "__main__":
    script.main(run)
