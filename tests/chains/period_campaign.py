"""The period of 10 000 small chains and tables, with and without rules, against all decisions.

Run by name: python -m pytest tests/chains/period_campaign.py
"""

import pytest

from tests.chains.test_period import METHODS, check_period


@pytest.mark.parametrize("method", METHODS)
def test_no_decision_has_a_smaller_period(method: str) -> None:
    assert sum(check_period(seed, (method,)) for seed in range(10_000)) > 6_000
