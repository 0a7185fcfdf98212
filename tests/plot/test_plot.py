"""Pictures draw what they say: bars, names, lines, widths, limits."""

import dataclasses
import re
from collections.abc import Iterator

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest

import offload_jax as oj
from offload_jax.plot import style
from offload_jax.plot.decision_map import MOST_COLOURS, labels, regions
from offload_jax.plot.front import lower_hull
from tests.typecheck import unchecked

PLACES = ("device", "edge", "cloud")
# Three tasks in a row, each of 1e8 cycles, between which 1e5 bytes pass.
CHAIN = np.triu(np.ones((3, 3), bool), 1) & ~np.triu(np.ones((3, 3), bool), 2)
PROBLEM = oj.graphs.GraphProblem(
    [1e8] * 3, CHAIN * 1e5, CHAIN, [2e5, 0, 0], [0, 0, 1e4], 1e9, 2e9, 1e6, 2e6
)
GRAPH = oj.graphs.TaskGraph.from_edges(
    [1e8] * 4,
    [(0, 1), (0, 2), (1, 3), (2, 3)],
    [4e5, 4e5, 1e5, 2e5],
    input=[8e5, 0, 0, 0],
    output=[0, 0, 0, 1e3],
    names=["first", "left", "right", "last"],
)


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    plt.close("all")


def schedule(place: list[int], problem: oj.graphs.GraphProblem = PROBLEM) -> oj.graphs.Schedule:
    return oj.graphs.simulate(problem, place, range(len(place)), transfers=True)


def texts(ax: plt.Axes) -> set[str]:
    return {text.get_text() for text in ax.texts}


def legend(ax: plt.Axes) -> list[str]:
    return [text.get_text() for text in ax.get_legend().get_texts()]


def rows(ax: plt.Axes) -> list[str]:
    return [label.get_text() for label in ax.get_yticklabels()]


def spans(ax: plt.Axes) -> list[tuple[str, float, float]]:
    """Row, start and finish of every bar, from what is drawn."""
    found = []
    for bars in ax.collections:
        for path in bars.get_paths():
            (left, bottom), (right, top) = path.vertices.min(0), path.vertices.max(0)
            found.append((rows(ax)[round((bottom + top) / 2)], left, right))
    return sorted(found)


def test_a_chart_has_a_bar_for_each_task_and_each_hop() -> None:
    # 0.2 s up for the input, 0.05 s on the edge, 0.05 s to the cloud, which takes no time, there
    # and back 0.1 s and 0.05 s for the result of 1e5 and then home 0.01 s.
    ax = oj.plot.gantt(schedule([1, 2, 0]), PROBLEM, names=["a", "b", "c"])
    assert rows(ax) == [
        *("device", "device → edge", "edge → device"),
        *("edge", "edge → cloud", "cloud → edge", "cloud"),
    ]
    expected = [
        ("cloud → edge", 0.3, 0.35),
        ("device", 0.45, 0.55),
        ("device → edge", 0.0, 0.2),
        ("edge", 0.2, 0.25),
        ("edge → cloud", 0.25, 0.3),
        ("edge → device", 0.35, 0.45),
    ]
    assert [row for row, *_ in spans(ax)] == [row for row, *_ in expected]
    np.testing.assert_allclose(
        [times for _, *times in spans(ax)], [times for _, *times in expected], atol=1e-6
    )
    assert texts(ax) == {"a", "b", "c"}
    assert ax.get_xlabel() == "time; done after 550 ms"
    assert ax.get_xlim() == pytest.approx((0, 1.02 * 0.55))
    # Without the problem nobody knows which links are used.
    assert rows(oj.plot.gantt(schedule([1, 2, 0]))) == list(PLACES)


def test_tasks_beside_each_other_share_a_row() -> None:
    problem = dataclasses.replace(
        PROBLEM, depends=np.zeros((3, 3), bool), data=np.zeros((3, 3)), edge_servers=2
    )
    ax = oj.plot.gantt(oj.graphs.simulate(problem, [1, 1, 1], [1, 2, 0]), places=PLACES)
    assert [row for row, *_ in spans(ax)] == ["edge"] * 3
    heights = {path.vertices[:, 1].min() for bars in ax.collections for path in bars.get_paths()}
    assert len(heights) == 2


def test_each_of_a_few_devices_has_a_row() -> None:
    request = oj.graphs.GraphProblem([1e9], [[0]], [[False]], [1e6], [1e6], 1e9, 2e9, 1e6, 1e6)
    problem = oj.graphs.merge([request] * 3)
    found = oj.graphs.solve(problem, method="cpsat", allowed={0: [0], 1: [1], 2: [0]})
    ax = oj.plot.gantt(found.schedule, problem)
    devices = ["device of user 0", "device of user 2"]
    assert rows(ax) == [*devices, "device → edge", "edge → device", "edge", "cloud"]


def test_what_never_happens_is_counted() -> None:
    dead = dataclasses.replace(PROBLEM, device_edge_bandwidth=0.0)
    ax = oj.plot.gantt(schedule([0, 1, 1], dead), dead)
    assert ax.get_xlabel() == "time; never done, 2 of 3 tasks never finish"
    assert len(spans(ax)) == 1
    ax = oj.plot.gantt(schedule([1, 1, 1], dead), dead)
    assert not spans(ax) and ax.get_xlim() == pytest.approx((0, 1.02))


def test_a_result_that_is_sent_once_is_one_bar() -> None:
    both = np.array([[0, 1, 1], [0, 0, 0], [0, 0, 0]], bool)
    problem = dataclasses.replace(PROBLEM, depends=both, data=both * 1e5, send_once=True)
    ax = oj.plot.gantt(schedule([0, 1, 1], problem), problem)
    assert [row for row, *_ in spans(ax)].count("device → edge") == 1


def test_a_placement_has_a_lane_for_each_place_and_sums_of_what_crosses() -> None:
    ax = oj.plot.placement(GRAPH, [0, 0, 1, 1], places=[*PLACES, "spare"])
    assert rows(ax) == [
        "device\n2 tasks",
        "edge\n2 tasks",
        "cloud\nno tasks",
        "spare\nno tasks",
    ]
    assert texts(ax) == {"input", "output", "first", "left", "right", "last"}
    assert legend(ax) == ["device → edge: 500 kB in 2", "edge → device: 1 kB"]
    tasks, moving = ax.collections[2].get_offsets(), ax.collections[1]
    assert tasks[:, 0].tolist() == [0, 1, 1, 2]
    assert np.floor(tasks[:, 1]).tolist() == [0, 0, 1, 1]
    # As wide as the bytes are many, above a least width.
    widths = np.array(moving.get_linewidths()) - 0.8
    assert widths / widths.max() == pytest.approx([1, 0.25, 0.0025])


def test_what_is_sent_once_counts_once_for_each_place() -> None:
    once = dataclasses.replace(GRAPH, data=np.array([4e5, 4e5, 1e5, 1e5]), send_once=True)
    ax = oj.plot.placement(once, [0, 1, 1, 1])
    assert legend(ax)[0] == "device → edge: 400 kB"


def test_names_that_would_cover_each_other_are_left_out() -> None:
    number = 400
    pairs = [(t, t + 1) for t in range(number - 1)]
    names = [f"block{t}.convolution" for t in range(number)]
    long = oj.graphs.TaskGraph.from_edges(np.ones(number), pairs, 1e3, names=names)
    ax = oj.plot.placement(long, [0] * 201 + [1] * 199)
    shown = [text for text in ax.texts if text.get_rotation() == 90]
    assert 20 < len(shown) < 120
    # The ends of what crosses come first.
    spots = {text.xy for text in shown}
    assert {x for x, _ in spots} >= {200.0, 201.0}
    assert len(ax.collections[2].get_offsets()) == number
    assert ax.get_xlim()[0] < -1 < number < ax.get_xlim()[1]


@pytest.mark.parametrize(
    "chain",
    [
        oj.ChainProblem([1e8] * 2, [4e5, 3e5, 1e3], 1e9, 1e9, 1e6, 1e6),
        oj.MeasuredTask("m", ("same", "same"), ("d",), np.ones((2, 1)), np.array([4e5, 3e5, 1e3])),
    ],
)
def test_chains_are_placed_too(chain: object) -> None:
    ax = oj.plot.placement(chain, np.array([0, 2], np.int8))
    assert legend(ax) == ["device → cloud: 300 kB", "cloud → device: 1 kB"]


def test_a_map_shows_what_is_solved_at_each_point() -> None:
    # All on the device takes 0.2 s, all on the edge 0.1 s and 5e5 bytes over the link.
    bandwidth, speed = np.geomspace(2e6, 2e7, 4), np.array([1e9, 1e12])
    problem = oj.ChainProblem([1e8] * 2, [4e5, 4e5, 1e5], speed[:, None], 2e9, bandwidth, 1e-3)
    ax = oj.plot.decision_map(problem, bandwidth, speed, xlabel="bytes/s", ylabel="cycles/s")
    mesh = ax.collections[0].get_array().reshape(2, 4, 3)
    edge = np.isclose(mesh, style.place_colour(1)).all(axis=-1)
    np.testing.assert_array_equal(edge, [bandwidth > 5e6, np.zeros(4, bool)])
    assert legend(ax) == ["all device", "all edge"]
    assert (ax.get_xscale(), ax.get_xlabel(), ax.get_ylabel()) == ("log", "bytes/s", "cycles/s")
    graph = oj.plot.decision_map(
        dataclasses.replace(PROBLEM, device_edge_bandwidth=bandwidth, device_speed=speed[:, None]),
        bandwidth,
        speed,
    )
    assert "all device" in legend(graph)


def test_points_where_nothing_is_possible_are_named() -> None:
    decisions = np.zeros((4, 5, 3), np.int8)
    decisions[2:] = 1
    decisions[:, 3:] = -1
    ax = oj.plot.decision_map(decisions, np.arange(5), np.arange(4), places=["a phone", "an edge"])
    assert legend(ax) == ["impossible", "all a phone", "all an edge"]
    assert ax.get_xscale() == "linear"
    assert ax.get_xlim() == (-0.5, 4.5)


def test_regions_are_numbered_by_size_and_rare_ones_share_a_colour() -> None:
    decisions = np.array([[[0, 0], [1, 2]], [[1, 2], [1, 2]]], np.int8)
    number, found = regions(decisions)
    assert number.tolist() == [[1, 0], [0, 0]]
    assert [region.share for region in found] == [0.75, 0.25]
    assert labels(found, PLACES) == ["1E 1C", "all device"]
    places = np.arange(16)
    number, found = regions(np.stack([places // 9, places // 3 % 3, places % 3], -1)[None])
    assert number.max() == len(found) - 1 == MOST_COLOURS - 1
    assert labels(found, PLACES)[-1] == "2 others"


@pytest.mark.parametrize(
    ("decision", "places", "label"),
    [
        ((0, 0, 1, 2, 2), PLACES, "2D 1E 2C"),
        ((0, 1, 0, 1, 0, 1), PLACES, "3D 3E"),
        ((0, 0, 1), ("edge A", "edge B"), "2 edge A, 1 edge B"),
        ((1, 1), ("phone", "the box that stands in the cellar"), "all the…e cellar"),
    ],
)
def test_a_decision_in_a_legend(
    decision: tuple[int, ...], places: tuple[str, ...], label: str
) -> None:
    _, found = regions(np.array([[decision]]))
    assert labels(found, places) == [label]
    assert labels(found * 2, places)[1] == f"{label} (2)"


def test_a_front_is_what_nothing_dominates() -> None:
    points = [(3, 1), (1, 4), (2, 2.9), (2, 3), (5, 1), (np.inf, 0), (2.5, 2.2)]
    ax = oj.plot.front(points, others={"mine": (4, 4)})
    drawn = {line.get_label(): line.get_xydata().tolist() for line in ax.lines}
    assert drawn["front"] == [[1, 4], [2, 2.9], [2.5, 2.2], [3, 1]]
    assert drawn["dominated"] == [[2, 3], [5, 1]]
    assert drawn["lower hull"] == [[1, 4], [3, 1]]
    assert drawn["mine"] == [[4, 4]]
    problem = oj.ChainProblem([1e9] * 3, [1e5] * 4, 1e9, 3e9, 1e6, 1e6)
    found = oj.pareto_front(problem)
    ax = oj.plot.front(found)
    assert oj.plot.front(oj.period_front(problem)).get_ylabel() == "period (s)"
    assert len(ax.lines[-1].get_xydata()) == len(found.latency) or len(found.latency) > 1
    assert "no point is finite" in texts(oj.plot.front([]))


def test_the_hull_lies_below_every_point() -> None:
    points = np.random.default_rng(0).random((40, 2))
    points = points[points[:, 0].argsort()]
    hull = lower_hull(points)
    assert (np.interp(points[:, 0], *hull.T) <= points[:, 1] + 1e-12).all()
    assert (np.diff(np.diff(hull[:, 1]) / np.diff(hull[:, 0])) > 0).all()


def test_lines_of_quality_are_sorted_and_keep_their_colour() -> None:
    rows = {"none": [], "search": [(1.0, 1.1, 0.1), (0.1, 1.2, 0.1)], "rule": [(1e-3, 1.5)]}
    ax = oj.plot.quality_against_time(rows)
    lines = [container.lines[0] for container in ax.containers]
    assert [len(line.get_xdata()) for line in lines] == [0, 2, 1]
    assert lines[1].get_xdata().tolist() == [0.1, 1.0]
    assert lines[1].get_color() == style.PALETTE[1]
    assert legend(ax) == list(rows) and ax.get_xscale() == "log"


def test_everything_draws_on_axes_that_are_given() -> None:
    figure, panels = plt.subplots(1, 5)
    decisions = np.zeros((2, 2, 3), int)
    drawn = [
        oj.plot.gantt(schedule([0, 0, 0]), PROBLEM, ax=panels[0]),
        oj.plot.placement(GRAPH, [0] * 4, ax=panels[1]),
        oj.plot.decision_map(decisions, [1, 2], [1, 2], ax=panels[2]),
        oj.plot.front([(1, 2)], ax=panels[3]),
        oj.plot.quality_against_time({"a": [(1, 1)]}, ax=panels[4]),
    ]
    assert drawn == list(panels)
    assert plt.get_fignums() == [figure.number]


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.0, "B", "0 B"),
        (999.6, "B", "1 kB"),
        (150528, "B", "151 kB"),
        (2.5e12, "B", "2500 GB"),
        (0.0421, "s", "42.1 ms"),
        (0.99999, "s", "1 s"),
        (3e-7, "s", "300 ns"),
        (86400, "s", "86400 s"),
    ],
)
def test_amounts(value: float, unit: str, text: str) -> None:
    assert style.amount(value, unit) == text


def test_names_are_shortened_in_the_middle() -> None:
    assert style.shortened("conv1", 5) == "conv1"
    assert style.shortened("features.denseblock3.conv2", 12) == "fea…k3.conv2"


BAD = {
    "gantt('s')": "schedule: must be a Schedule, got str",
    "gantt(two)": "schedule: must be of one request, got a batch (2,)",
    "gantt(one, names=['a'])": "names: must be those of 3 tasks, got 1",
    "gantt(one, places=['a'])": "places: needs the names of 3 places, got 1",
    "gantt(one, other)": "problem: must be one request of 3 tasks on at least 3 places, as",
    "gantt(one, until=-1)": "until = -1: must be finite and greater than 0",
    "gantt(one, ax='here')": "ax: must be an Axes or None, got str",
    "placement('g', [0])": "task: must be a TaskGraph or Model or TaskProfile or MeasuredTask or",
    "placement(GRAPH, [0, 1])": "place: must be 4 integers, one for each task, got shape (2,) of",
    "placement(GRAPH, [.5] * 4)": "place: must be 4 integers, one for each task, got shape (4,) of",
    "placement(GRAPH, [0, -1, 0, 0])": "place[1] = -1: places are numbered from 0",
    "placement(chains, [0])": "task: must be one chain, got a batch (2,)",
    "decision_map('p', [1, 2], [1, 2])": "problem: must be a problem or costs of chains or graphs",
    "decision_map(PROBLEM, [1, 2], [1, 2])": "problem: must have the batch shape [Y, X] = (2, 2)",
    "decision_map(plane, [2, 1], [1, 2])": "x: must increase, got",
    "decision_map(plane, [1, 2], [1, np.inf])": "y: must be two or more finite values [n], got",
    "front([1, 2])": "points: must be points [n, 2] without NaN, got shape (2,)",
    "front([(1, np.nan)])": "points: must be points [n, 2] without NaN, got shape (1, 2)",
    "front([(1, 2)], others={'a': 1})": "others['a']: must be points [n, 2] without NaN, got",
    "quality_against_time([1])": "series: must be a Mapping, got list",
    "quality_against_time({'a': [(0, 1)]})": "series['a']: seconds must be greater than 0, got 0",
    "quality_against_time({'a': [(1,)]})": "series['a']: must be points [n, 2 or 3] without NaN",
}


@pytest.mark.parametrize("call", BAD)
def test_bad_input_is_said_in_one_sentence(call: str) -> None:
    scope = {
        **{name: unchecked(getattr(oj.plot, name)) for name in oj.plot.__all__},
        **globals(),
        "plane": np.zeros((2, 2, 3), int),
        "one": schedule([0, 1, 2]),
        "two": oj.graphs.simulate(PROBLEM, [[0, 1, 2]] * 2, [0, 1, 2]),
        "other": GRAPH.to_problem(1e9, 1e9, 1e6, 1e6),
        "chains": oj.ChainProblem(np.ones((2, 1)), np.ones((2, 2)), *np.ones((4, 2))),
    }
    with pytest.raises(ValueError, match=f"^{re.escape(BAD[call])}") as caught:
        eval(call, scope)
    assert len(str(caught.value).splitlines()) == 1
