"""Prices, period, deadlines and memory of thousands of tiny graphs against all placements.

Run by name: python -m pytest tests/graphs/goals_campaign.py
"""

import pytest

from tests.graphs.test_goals import check_placement, check_schedule


@pytest.mark.parametrize(("method", "num"), [("cut", 10_000), ("cpsat", 10_000), ("search", 300)])
def test_no_placement_costs_less(method: str, num: int) -> None:
    assert sum(check_placement(seed, (method,)) for seed in range(num)) > num // 5


def test_no_schedule_costs_less() -> None:
    counts = [check_schedule(seed) for seed in range(500)]
    assert min(sum(each) for each in zip(*counts, strict=True)) > 50
