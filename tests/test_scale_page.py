"""The files in docs/scale.md are what Slurm, Kubernetes and this project take."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml
from absl import flags

from experiments import make_dataset

PAGE = (Path(__file__).parent.parent / "docs" / "scale.md").read_text()
(SLURM,) = re.findall(r"```bash\n(.*?)```", PAGE, flags=re.DOTALL)
(KUBERNETES,) = re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.DOTALL)


def parse(command: str, variable: str) -> flags.FlagValues:
    """Flags of the last command of a script, with the number of the worker put in."""
    words = shlex.split(command.replace("\\\n", " ").replace(f"${variable}", "63"))
    values = flags.FlagValues()
    make_dataset.define(values)
    rest = values(["make_dataset", *words[words.index("experiments.make_dataset") + 1 :]])
    assert rest == ["make_dataset"]
    assert (values.worker, values.num_workers) == (63, 64)
    make_dataset.chain_config(values)
    return values


def test_slurm() -> None:
    subprocess.run(["bash", "-n"], input=SLURM, text=True, check=True)
    head, *options = [line for line in SLURM.splitlines() if line.startswith("#")]
    assert head == "#!/bin/bash"
    assert all(re.fullmatch(r"#SBATCH --[a-z-]+(=\S+)?", option) for option in options)
    assert "#SBATCH --array=0-63" in options
    parse(SLURM[SLURM.index("exec") :], "SLURM_ARRAY_TASK_ID")


def test_kubernetes() -> None:
    job = yaml.safe_load(KUBERNETES)
    assert (job["apiVersion"], job["kind"]) == ("batch/v1", "Job")
    spec = job["spec"]
    assert (spec["completionMode"], spec["completions"]) == ("Indexed", 64)
    pod = spec["template"]["spec"]
    # What a limit for each index asks for.
    assert pod["restartPolicy"] == "Never"
    (container,) = pod["containers"]
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert mounts.keys() == {volume["name"] for volume in pod["volumes"]}
    (command,) = container["args"]
    subprocess.run(["sh", "-n"], input=command, text=True, check=True)
    assert parse(command, "JOB_COMPLETION_INDEX").output.startswith(mounts["shared"])


@pytest.mark.parametrize("script", [SLURM, KUBERNETES], ids=["slurm", "kubernetes"])
def test_both_write_the_same(script: str) -> None:
    assert "--scenario=wide --num=10000000000 --output=/shared/labels/wide" in script
