"""Thousands of tiny graphs of several users against all schedules and placements; ten users.

Ten thousand of them booked as by the oracle's machine.

Run by name: python -m pytest tests/graphs/users_campaign.py
"""

import pytest

from tests.graphs import test_users
from tests.graphs.test_user_solvers import (
    check_latency,
    check_makespan,
    check_prices,
    check_ten_users,
)


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("layout", test_users.LAYOUTS)
def test_schedules_are_those_of_the_oracle(layout: str, shared: bool) -> None:
    test_users.test_schedules_are_those_of_the_oracle(layout, shared, num=1_250)


def test_no_schedule_is_faster() -> None:
    for seed in range(1_000):
        check_makespan(seed)


def test_no_placement_costs_less() -> None:
    for seed in range(1_000):
        check_prices(seed)


@pytest.mark.parametrize(("num_tasks", "num"), [(2, 500), (3, 500)])
def test_no_schedule_serves_users_sooner(num_tasks: int, num: int) -> None:
    for seed in range(num):
        check_latency(seed, num_tasks)


@pytest.mark.parametrize("seed", range(8))
def test_ten_users_wait_less_than_by_the_rule(seed: int) -> None:
    check_ten_users(seed, "cpsat", 20.0)
