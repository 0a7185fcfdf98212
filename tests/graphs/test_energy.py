"""Joules of a schedule: as the oracle's, and as those of a chain."""

import math

import jax
import jaxtyping
import numpy as np
import pytest

import offload_jax as oj
from tests import oracle
from tests.cases import wide_problem
from tests.graphs import cases
from tests.graphs.test_simulate import chain_as_graph, decisions

POWERS = (oracle.DEFAULT_POWER, oracle.Power(2e-27, 0.5, 2.0, 0.3))


@pytest.mark.parametrize("power", POWERS, ids=["default", "idle"])
@pytest.mark.parametrize("static", [{}, {"edge_servers": 2, "send_once": True}], ids=str)
def test_energy_as_the_oracle(power: oracle.Power, static: dict) -> None:
    rng = np.random.default_rng(21)
    requests = [cases.random_request(rng, exact=False, **static) for _ in range(cases.BATCH)]
    requests[0] = requests[0]._replace(b1=0.0)
    requests[1] = requests[1]._replace(b2=0.0)
    graphs = [oracle.three_places(*request) for request in requests]
    place, order = decisions(rng, graphs)
    place[0, 0] = 1
    problem = cases.as_problem(requests)
    schedules = [oj.graphs.simulate(problem, place, order, transfers=t) for t in (True, False)]
    for schedule in schedules:
        joules = oj.graphs.energy(problem, schedule, oj.PowerModel(*power))
        assert joules.shape == (cases.BATCH,)
        for row, (request, graph) in enumerate(zip(requests, graphs, strict=True)):
            timetable = oracle.simulate_graph(graph, place[row].tolist(), order[row].tolist())
            expected = oracle.graph_energy(request.cycles, request.p1, timetable, power)
            assert float(joules[row]) == pytest.approx(expected, rel=1e-5)
    assert math.isinf(joules[0])


@pytest.mark.parametrize("power", POWERS, ids=["default", "idle"])
def test_a_chain_has_the_energy_it_had(power: oracle.Power) -> None:
    chains = wide_problem(np.random.default_rng(22), 4, (20,))
    place = np.array(list(oracle.all_decisions(4)), np.int8)
    graph = chain_as_graph(jax.tree.map(lambda leaf: leaf[:, None], chains))
    schedule = oj.graphs.simulate(graph, place, np.arange(4), transfers=True)
    model = oj.PowerModel(*power)
    joules = oj.graphs.energy(graph, schedule, model)
    expected = jax.jit(jax.vmap(oj.energy, (None, 0, None), 1))(chains, place, model)
    np.testing.assert_allclose(joules, expected, rtol=1e-5)


def test_idling_while_neither_cpu_nor_radio_works() -> None:
    """Sending, computing and receiving overlap; only the edge's last second is idle."""
    request = cases.Request([4, 2, 2], {(1, 2): 0}, [0, 3, 0], [0, 0, 1], 1, 1, 1, 1)
    problem = cases.as_problem(request)
    schedule = oj.graphs.simulate(problem, [0, 1, 1], [0, 1, 2], transfers=True)
    # Device computes 0..4, sends 0..3; edge 3..7; receives 7..8: idle 4..7.
    assert float(schedule.makespan) == 8
    power = oj.PowerModel(1.0, 10.0, 100.0, 1000.0)
    joules = oj.graphs.energy(problem, schedule, power)
    assert float(joules) == 4 * 1 + 3 * 10 + 1 * 100 + 3 * 1000


def test_whatever_has_a_schedule_and_what_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    request = cases.Request([4, 2, 2], {(1, 2): 0}, [0, 3, 0], [0, 0, 1], 1, 1, 1, 1)
    problem = cases.as_problem(request)
    schedule = oj.graphs.simulate(problem, [0, 1, 1], [0, 1, 2], transfers=True)
    joules = float(oj.graphs.energy(problem, schedule))
    decision = oj.graphs.Decision(schedule.place, schedule.order)
    assert float(oj.graphs.energy(problem, decision)) == joules
    exact = oj.graphs.solve(problem, method="cpsat")
    for given in (exact, exact._replace(schedule=None)):
        found = oracle.graph_energy(
            request.cycles,
            request.p1,
            cases.as_timetable(oracle.three_places(*request), exact.schedule),
            oracle.DEFAULT_POWER,
        )
        assert float(oj.graphs.energy(problem, given)) == pytest.approx(found, rel=1e-6)
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # it would complain first
    with pytest.raises(ValueError, match="^problem: energy needs .* GraphProblem, got GraphCosts"):
        oj.graphs.energy(oj.graphs.graph_costs(problem), schedule)
    with pytest.raises(ValueError, match="^problem: energy needs .* GraphProblem, got Schedule"):
        oj.graphs.energy(schedule, problem)
    with pytest.raises(ValueError, match="^schedule: must be a Decision, .* got PowerModel"):
        oj.graphs.energy(problem, oj.PowerModel(), schedule)
