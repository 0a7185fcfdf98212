"""The size of traced programs: it must not explode with places, homes or servers."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest

import offload_jax as oj
from offload_jax.graphs._jax.lower_bound import lower_bound
from offload_jax.graphs._jax.rules import greedy, rank_order
from tests.graphs import cases


def num_equations(function: Callable, *arguments: Any) -> int:
    """Operations of a traced program, those of loops and branches counted once."""

    def count(jaxpr: Any) -> int:
        total = 0
        for equation in jaxpr.eqns:
            inner = [
                leaf
                for leaf in jax.tree.leaves(list(equation.params.values()))
                if hasattr(leaf, "eqns") or hasattr(leaf, "jaxpr")
            ]
            total += 1 + sum(count(getattr(leaf, "jaxpr", leaf)) for leaf in inner)
        return total

    return count(jax.make_jaxpr(function)(*arguments).jaxpr)


def star(num_places: int) -> oj.graphs.GraphCosts:
    """Every place with a link of its own each way."""
    places = range(num_places)
    routes = tuple(tuple(() if j == k else (2 * j, 2 * k + 1) for k in places) for j in places)
    layout = cases.Layout(routes, (1,) * num_places, (True,) * (2 * num_places))
    graph = cases.random_graph(np.random.default_rng(0), layout, exact=False, alive=True)
    return cases.as_costs([graph])[0]


@pytest.mark.parametrize("function", [rank_order, greedy, lower_bound])
def test_programs_grow_no_faster_than_pairs_of_places_times_links(function: Callable) -> None:
    small, large = (num_equations(function, star(num)) for num in (3, 6))
    assert large < 2**3 * small


def test_a_program_does_not_depend_on_the_number_of_servers() -> None:
    def program(num: int) -> int:
        request = cases.random_request(np.random.default_rng(0), 20, edge_servers=num)
        return num_equations(greedy, oj.graphs.graph_costs(cases.as_problem([request])))

    assert program(3) == program(1000)
