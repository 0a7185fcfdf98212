"""Arguments of another class, or swapped ones, are refused in a sentence that says what is wrong.

Under pytest a checker of annotations would refuse them first, so a process without it tries them.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SETUP = """
import json
import jax, numpy as np
import offload_jax as oj
chain = oj.ChainProblem([8e8], [2e6, 1e5], 5e8, 3e9, 1.5e6, 2e6)
costs = oj.chain_costs(chain)
graph = oj.graphs.GraphProblem([8e8], [[0]], [[0]], [3e6], [1e5], 5e8, 3e9, 1.5e6, 2e6)
task = oj.graphs.TaskGraph.from_edges([1e9, 1e9], [])
net = oj.Network([oj.Processor("d", 1e9), oj.Processor("e", 1e10)], [oj.Link("d", "e", 1e6)])
profile = oj.MeasuredTask("m", ("a",), ("d", "e"), np.ones((1, 2)), np.ones(2))
key, wide, layered = jax.random.key(0), oj.scenarios.WIDE, oj.graphs.scenarios.LAYERED
trace = oj.workloads.markov_trace(0)
def solve_with(**constraints):
    return oj.solve(chain, side_constraints=oj.SideConstraints(**constraints))
"""
NOT_A_PROBLEM = "problem: must be a ChainProblem, got ChainCosts (taken by oj.solve, oj.evaluate,"
CASES = {
    "oj.solve('chain')": "problem: must be a ChainProblem or ChainCosts, got str",
    "oj.solve(graph)": "problem: must be a ChainProblem or ChainCosts, got GraphProblem (taken by"
    " the functions of oj.graphs)",
    "oj.solve(chain, objective='energy')": "objective: must be an Objective or Period, got str",
    "oj.envs.ChainEnv(layered)": "source: must be a Scenario or ChainProblem or ChainCosts, got",
    "oj.envs.GraphEnv(chain)": "source: must be a Scenario or GraphProblem or GraphCosts, got",
    "oj.envs.ChainEnv(objective='energy')": "objective: must be an Objective, got str",
    "oj.envs.to_gymnasium(wide)": "env: must be an Environment, got Scenario",
    "oj.chain_costs(chain, 'energy')": "objective: must be an Objective, got str",
    "oj.policies.greedy(chain, 'energy')": "objective: must be an Objective, got str",
    "oj.resize(chain, 2, objective='energy')": "objective: must be an Objective, got str",
    "oj.network_costs(profile, net, objective='energy')": "objective: must be an Objective, got",
    "oj.single.exact(objective='energy')": "objective: must be an Objective, got str",
    "oj.energy(chain, [0], 'watts')": "power: must be a PowerModel or None, got str",
    "oj.pareto_front(chain, 'watts')": "power: must be a PowerModel or None, got str",
    "oj.solve(chain, side_constraints={'max_subtasks': {1: 1}})": "side_constraints: must be a"
    " SideConstraints or None, got dict",
    "oj.solve(chain, method='cpsat', time_limit='1')": "time_limit: must be a Real or None, got",
    "solve_with(max_subtasks={'edge': 1})": "max_subtasks: unknown place 'edge', places are 0..2",
    "solve_with(max_cycles={'edge': 1})": "max_cycles: unknown place 'edge', places are 0..2",
    "solve_with(forbidden={0: ('edge',)})": "forbidden: unknown place 'edge', places are 0..2",
    "solve_with(forbidden={'a': (1,)})": "forbidden: unknown subtask 'a', subtasks are 0..0",
    "solve_with(forbidden={0: 1})": "forbidden[0]: must be an Iterable, got int",
    "solve_with(max_subtasks=[1])": "max_subtasks: must be a Mapping, got list",
    "solve_with(max_subtasks={1: '2'})": "max_subtasks[1]: must be an array of numbers, got '2'",
    "oj.latency([0], chain)": "problem: must be a ChainProblem, got list",
    "oj.energy([0], chain)": "problem: must be a ChainProblem, got list",
    "oj.evaluate([0], costs)": "costs: must be a ChainCosts, got list",
    "oj.evaluate(costs, costs)": "decision: must hold integers",
    "oj.evaluate(costs, np.ma.array([1], mask=[True]))": "decision[0] = masked: no entry may be",
    "oj.metrics.normalized_latency([0], chain)": "problem: must be a ChainProblem or ChainCosts",
    "oj.latency(costs, [0])": NOT_A_PROBLEM,
    "oj.energy(costs, [0])": NOT_A_PROBLEM,
    "oj.resize(costs, 2)": NOT_A_PROBLEM,
    "oj.validate(costs)": NOT_A_PROBLEM,
    "oj.chain_costs(costs)": NOT_A_PROBLEM,
    "oj.pareto_front(costs)": NOT_A_PROBLEM,
    "oj.pareto_fronts(costs)": NOT_A_PROBLEM,
    "oj.policies.edge(costs)": NOT_A_PROBLEM,
    "oj.policies.cloud(costs)": NOT_A_PROBLEM,
    "oj.policies.student()(costs)": NOT_A_PROBLEM,
    "oj.workloads.replay(costs, trace, oj.policies.optimal, start=[1.0])": NOT_A_PROBLEM,
    "oj.pareto_front(graph)": "problem: must be a ChainProblem, got GraphProblem",
    "oj.pareto_front_of_costs(costs, chain)": "second: must be a ChainCosts, got ChainProblem",
    "oj.network_costs(net, profile)": "task: must be a ProfiledTask or MeasuredTask, got Network",
    "oj.network_costs(task, net)": "task: must be a ProfiledTask or MeasuredTask, got TaskGraph"
    " (taken by oj.graphs.network_costs)",
    "oj.network_costs(profile, [net])": "network: must be a Network, got list",
    "oj.single.exact()(chain)": "cycles: takes the six fields of a ChainProblem, got the problem",
    "oj.scenarios.sample(key, 'WIDE', 10)": "scenario: must be a Scenario, got str",
    "oj.scenarios.sample(wide, key, 10)": "scenario: must be a Scenario, got",
    "oj.scenarios.sample(key, wide, 1e3)": "num = 1000.0: must be an integer of at least 0",
    "oj.scenarios.sample(0, wide, 10)": "key: must be a JAX random key such as jax.random.key(0),",
    "oj.graphs.lower_bound(costs)": "problem: must be a GraphProblem or GraphCosts, got ChainCosts",
    "oj.graphs.scenarios.sample(key, 'LAYERED', 10)": "scenario: must be a Scenario, got str",
    "oj.graphs.scenarios.sample(layered, key, 10)": "scenario: must be a Scenario, got",
    "oj.graphs.scenarios.sample(key, layered, 1e3)": "num = 1000.0: must be an integer of at least",
    "oj.graphs.scenarios.sample(0, layered, 10)": "key: must be a JAX random key such as",
    "oj.graphs.scenarios.layered(1e1)": "num_tasks = 10.0: must be an integer of at least 1",
    "oj.export.c('optimal.c', oj.policies.optimal)": "path: must be the name of a file, got",
    "oj.export.onnx('s.onnx', oj.policies.student())": "path: must be the name of a file, got",
    "oj.workloads.request_times('t', num_requests=1, interval=1.0)": "trace: must be a Bandwidth",
    "oj.workloads.BandwidthTrace('t', [0.0], ['fast'])": "bandwidth: must hold real numbers, got",
}


@pytest.fixture(name="answers", scope="module")
def _answers() -> dict[str, str]:
    code = f"""{SETUP}
answers = {{}}
for expression in {list(CASES)!r}:
    try:
        answers[expression] = "taken: " + repr(eval(expression))
    except Exception as error:
        answers[expression] = type(error).__name__ + ": " + str(error)
print(json.dumps(answers))
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("expression", CASES)
def test_what_is_wrong_is_said_in_one_sentence(expression: str, answers: dict[str, str]) -> None:
    assert answers[expression].startswith(f"ValueError: {CASES[expression]}")
    assert len(answers[expression].splitlines()) == 1
