"""The built archives: the source archive holds what its README runs, the package page its text.

python -m pytest tests/release/source_archive.py
"""

import re
import subprocess
import tarfile
import zipfile
from email import message_from_string
from pathlib import Path

from tests.test_extras import PROJECT

ROOT = Path(__file__).parents[2]
NAME = f"offload_jax-{PROJECT['version']}"


def tracked() -> set[str]:
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    return {name for name in done.stdout.splitlines() if (ROOT / name).is_file()}


def test_source_archive_holds_the_project() -> None:
    with tarfile.open(ROOT / "dist" / f"{NAME}.tar.gz") as archive:
        held = {name.removeprefix(f"{NAME}/") for name in archive.getnames()}
    missing = tracked() - held
    assert all(name.startswith(".") for name in missing), missing
    assert not [name for name in held if "__pycache__" in name or name.startswith("runs")]


def test_wheel_holds_the_library_and_its_data() -> None:
    with zipfile.ZipFile(ROOT / "dist" / f"{NAME}-py3-none-any.whl") as wheel:
        held = set(wheel.namelist())
    library = {name for name in tracked() if name.startswith("offload_jax/")}
    assert library == {name for name in held if ".dist-info/" not in name}
    assert f"{NAME}.dist-info/licenses/LICENSE" in held


def test_package_page_needs_no_other_file() -> None:
    with zipfile.ZipFile(ROOT / "dist" / f"{NAME}-py3-none-any.whl") as wheel:
        text = wheel.read(f"{NAME}.dist-info/METADATA").decode()
    metadata = message_from_string(text)
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Description-Content-Type"] == "text/markdown"
    page = str(metadata.get_payload())
    links = re.findall(r"\]\(([^)]*)\)", page)
    assert links and all(link.startswith("https://") for link in links), links
    readme = (ROOT / "README.md").read_text()
    blocks = re.compile(r"```.*?```|^\|[^\n]*$", re.DOTALL | re.MULTILINE)
    assert blocks.findall(page) == blocks.findall(readme)
    assert re.findall("^#.*$", page, re.MULTILINE) == re.findall("^#.*$", readme, re.MULTILINE)
