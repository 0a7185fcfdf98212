"""Streams at length: queueing theory at high loads, and many streams by events.

Minutes: python -m pytest tests/graphs/stream_campaign.py
"""

import pytest

from tests.graphs.test_stream import LAYOUTS, sojourns_as_by_events, streams, waits_as_in_theory


@pytest.mark.parametrize("rho", [0.5, 0.8, 0.9])
def test_one_server_waits_as_in_theory(rho: float) -> None:
    waits_as_in_theory(rho, 50, 100_000)


@pytest.mark.parametrize("name", LAYOUTS)
def test_sojourns_as_by_events(name: str) -> None:
    for seed in range(100, 200):
        sojourns_as_by_events(name, seed)
        streams.cache_clear()
