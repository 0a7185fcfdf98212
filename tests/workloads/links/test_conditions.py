"""Named conditions carry their sources and the cited figures in SI units."""

import dataclasses

import pytest

from offload_jax import workloads


@pytest.mark.parametrize(
    ("condition", "uplink_megabits"),
    [
        (workloads.THREE_G, 1.1),
        (workloads.LTE, 5.85),
        (workloads.WIFI, 18.88),
        (workloads.FIVE_G, 21.08),
    ],
)
def test_uplinks_are_the_cited_ones(
    condition: workloads.NetworkCondition, uplink_megabits: float
) -> None:
    assert condition.device_edge_bandwidth * 8 == pytest.approx(uplink_megabits * 1e6)
    assert condition.edge_cloud_bandwidth == 1.5e6
    assert "uplink" in condition.source
    assert "edge to cloud" in condition.source


def test_conditions_are_ordered_and_named_apart() -> None:
    conditions = workloads.NETWORK_CONDITIONS
    uplinks = [condition.device_edge_bandwidth for condition in conditions]
    assert uplinks == sorted(uplinks)
    assert len({condition.name for condition in conditions}) == len(conditions)


def test_edge_cloud_link_can_be_replaced() -> None:
    wired = dataclasses.replace(
        workloads.LTE, edge_cloud_bandwidth=workloads.FIXED_BROADBAND_UPLOAD
    )
    assert wired.edge_cloud_bandwidth * 8 == pytest.approx(44.10e6)
    assert wired.device_edge_bandwidth == workloads.LTE.device_edge_bandwidth


def test_speeds_lie_in_the_ranges_of_the_paper() -> None:
    for speeds in workloads.PROCESSOR_SPEEDS:
        assert 100e6 <= speeds.device_speed <= 1000e6
        assert 500e6 <= speeds.edge_speed <= 5000e6
        assert speeds.source
    assert workloads.MEAN_SPEEDS.device_speed == (100e6 + 1000e6) / 2
    assert workloads.MEAN_SPEEDS.edge_speed == (500e6 + 5000e6) / 2
