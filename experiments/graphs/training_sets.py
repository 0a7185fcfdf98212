"""The graphs that policies are trained on, and graphs of several sizes as one batch."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

import offload_jax as oj


def training_requests(sizes: Sequence[int], num: int, seed: int) -> oj.graphs.GraphProblem:
    """`num` graphs of each size, the smaller ones filled up with empty tasks."""
    num_tasks, parts = max(sizes), []
    for size in sizes:
        key = jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), 3), size)
        problem = oj.graphs.scenarios.sample(key, oj.graphs.scenarios.layered(size), num)
        parts.append(filled(problem, num_tasks))
    fields: dict[str, Any] = {
        field.name: jnp.concatenate([getattr(part, field.name) for part in parts])
        for field in dataclasses.fields(parts[0])
        if not field.metadata.get("static") and field.name != "release"
    }
    return oj.graphs.GraphProblem(**fields)


def filled(problem: oj.graphs.GraphProblem, num_tasks: int) -> oj.graphs.GraphProblem:
    """The same requests with empty tasks up to a number, so that other sizes share a program."""
    num_empty = num_tasks - problem.cycles.shape[-1]
    fields: dict[str, Any] = {}
    for name, own in {"cycles": 1, "data": 2, "depends": 2, "input": 1, "output": 1}.items():
        value = jnp.asarray(getattr(problem, name))
        widths = [(0, 0)] * (value.ndim - own) + [(0, num_empty)] * own
        fields[name] = jnp.pad(value, widths)
    nothing = jnp.zeros_like(fields["cycles"])
    return dataclasses.replace(problem, **fields, release=nothing, user=nothing.astype(jnp.int32))
