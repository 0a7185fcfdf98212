"""The code of the pages that `tests/test_pages.py` leaves out runs as it stands: run by name.

python -m pytest tests/release/pages.py
"""

from pathlib import Path

import pytest

from tests.test_pages import OTHERS, run_page


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("page", OTHERS)
def test_page(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run_page(page)
