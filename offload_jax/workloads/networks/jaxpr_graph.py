"""A network as the graph of its operations, read off its jaxpr.

Nothing is compiled, run or allocated: the forward pass is traced on abstract arguments, and XLA
counts each operation on its own, by the rules of `profile`, so that the total is that of
`profile_network`. Products of convolutions with the zero padding are therefore not counted, which
published multiply-adds include.
"""

import dataclasses
import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.extend.core import Literal

from offload_jax.chains.task_profile import FLOPS_PER_CYCLE
from offload_jax.graphs.fuse import fuse
from offload_jax.graphs.task_graph import TaskGraph
from offload_jax.validation import check_positive
from offload_jax.workloads.networks.layers import StageChain
from offload_jax.workloads.networks.profile import xla_flops

# XLA counts the body of a loop once and both branches of a condition.
_UNCOUNTABLE = ("scan", "while", "cond")
_SHORT_NAMES = {
    "conv_general_dilated": "conv",
    "dot_general": "dot",
    "reduce_window_max": "max_pool",
}


def profile_graph(
    model: nnx.Module | Callable[..., Any],
    *,
    image_shape: tuple[int, int, int] = (224, 224, 3),
    input_bytes: float | None = None,
    max_tasks: int | None = None,
    flops_per_cycle: float = FLOPS_PER_CYCLE,
) -> TaskGraph:
    """The task graph of one image through a network.

    A task is an operation on the image or on what was computed from it. What depends on parameters
    alone belongs to the task that reads it first, and parameters are on every processor already.
    Operations that only rearrange one tensor (reshape, transpose, broadcast) are part of the tasks
    that read it; those that join tensors (concatenation) or take a piece of one are tasks of 0
    cycles. A tensor is sent as it is, uncompressed, and once to a place, however many tasks read it
    there. If several tasks read the image, it is a task of 0 cycles named "image".

    Args:
      model: a network of images `[1, H, W, C]` in float32, or what makes it from the keyword
        argument `rngs`, such as `googlenet`; then no parameter is allocated. It has to be in the
        state in which it infers.
      image_shape: height, width and channels of the image.
      input_bytes: bytes of the image that the device holds; None is the uint8 image, one byte a
        pixel and channel.
      max_tasks: fuses until at most so many tasks are left, as `graphs.fuse` does; None is every
        operation on its own.
      flops_per_cycle: floating-point operations a processor sustains in a cycle, as in
        `TaskProfile.to_problem`.

    Returns:
      The graph, with `send_once`. Its floating-point operations are `cycles * flops_per_cycle`. For
      a `StageChain` names are those of the stages with the operation, as in "conv1/max".

    Raises:
      ValueError: the network contains a loop or a condition, whose operations XLA cannot count, or
        a result that does not depend on the image; or `flops_per_cycle` or `input_bytes` is no
        finite number in its range.
      RuntimeError: this version or backend of JAX has no cost analysis.
    """
    check_positive("flops_per_cycle", flops_per_cycle)
    module = (
        model if isinstance(model, nnx.Module) else nnx.eval_shape(lambda: model(rngs=nnx.Rngs(0)))
    )
    graph, state = nnx.split(module)
    image = jax.ShapeDtypeStruct((1, *image_shape), jnp.float32)
    jaxpr = jax.make_jaxpr(lambda state, x: _forward(nnx.merge(graph, state), x))(
        state, image
    ).jaxpr

    image_bytes = math.prod(image_shape) if input_bytes is None else input_bytes
    operations = _Operations(image_bytes)
    inputs: list[_Value] = [_Value() for _ in jaxpr.invars]
    inputs[-1] = _Value(producer=0)
    constants = [_Value() for _ in jaxpr.constvars]
    for result, value in zip(
        jaxpr.outvars, operations.trace(jaxpr, constants, inputs, ""), strict=True
    ):
        if value.producer is None:
            raise ValueError("model: a result does not depend on the image")
        operations.tasks[value.producer].output += _num_bytes(result)
    whole = operations.graph(flops_per_cycle)
    return whole if max_tasks is None else fuse(whole, max_tasks)


def _forward(module: Any, x: jax.Array) -> Any:
    if not isinstance(module, StageChain):
        return module(x)
    for name, stage in zip(module.stage_names, module.stages, strict=True):
        with jax.named_scope(name):
            x = stage(x)
    return x


@dataclasses.dataclass
class _Value:
    """What a variable of a jaxpr holds.

    Attributes:
      producer: the task that computes it; None if it depends on parameters alone.
      flops: operations on parameters that no task has been charged for yet.
    """

    producer: int | None = None
    flops: float = 0.0


@dataclasses.dataclass
class _Task:
    name: str
    flops: float
    result: float  # Bytes.
    needs: tuple[int, ...]
    output: float = 0.0


class _Operations:
    """Collects the tasks of a jaxpr in their order of execution; task 0 is the image."""

    def __init__(self, image_bytes: float) -> None:
        self.tasks = [_Task("image", 0.0, image_bytes, ())]
        self._named: Counter[str] = Counter()
        self._counted: dict[Any, float] = {}

    def trace(
        self, jaxpr: Any, constants: list[_Value], inputs: list[_Value], scope: str
    ) -> list[_Value]:
        """Adds the operations of a jaxpr and returns what its results hold."""
        held = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*constants, *inputs], strict=True))

        def read(variable: Any) -> _Value:
            return _Value() if isinstance(variable, Literal) else held[variable]

        for equation in jaxpr.eqns:
            arguments = [read(variable) for variable in equation.invars]
            where = scope or str(equation.source_info.name_stack)
            name = equation.primitive.name
            body = _body(equation)
            if name in _UNCOUNTABLE:
                raise ValueError(f"model: has a {name}, whose operations XLA cannot count")
            if body is not None:
                nothing = [_Value() for _ in body.constvars]
                results = self.trace(body, nothing, arguments, where)
            else:
                results = [self._add(equation, arguments, where)] * len(equation.outvars)
            held.update(zip(equation.outvars, results, strict=True))
        return [read(variable) for variable in jaxpr.outvars]

    def _add(self, equation: Any, arguments: list[_Value], where: str) -> _Value:
        flops = self._count(equation)
        data = [
            (value.producer, variable)
            for value, variable in zip(arguments, equation.invars, strict=True)
            if value.producer is not None
        ]
        result = sum(_num_bytes(variable) for variable in equation.outvars)
        rearranges = flops == 0 and len(data) == 1 and result >= _num_bytes(data[0][1])
        for value in arguments:
            flops, value.flops = flops + value.flops, 0.0
        if not data:
            return _Value(flops=flops)
        if rearranges:
            return _Value(producer=data[0][0], flops=flops)
        name = _SHORT_NAMES.get(equation.primitive.name, equation.primitive.name)
        name = f"{where}/{name}" if where else name
        self._named[name] += 1
        if self._named[name] > 1:
            name = f"{name}_{self._named[name]}"
        needs = tuple(sorted({producer for producer, _ in data}))
        self.tasks.append(_Task(name, flops, result, needs))
        return _Value(producer=len(self.tasks) - 1)

    def _count(self, equation: Any) -> float:
        """The operations of one equation."""
        literals = {
            index: variable.val
            for index, variable in enumerate(equation.invars)
            if isinstance(variable, Literal)
        }
        shapes = tuple(str(variable.aval) for variable in equation.invars)
        key = (equation.primitive, str(equation.params), shapes, str(literals))
        if key not in self._counted:

            def run(*arguments: Any) -> Any:
                given = iter(arguments)
                inputs = [
                    literals[index] if index in literals else next(given)
                    for index in range(len(equation.invars))
                ]
                return equation.primitive.bind(*inputs, **equation.params)

            abstract = [
                jax.ShapeDtypeStruct(variable.aval.shape, variable.aval.dtype)
                for index, variable in enumerate(equation.invars)
                if index not in literals
            ]
            self._counted[key] = xla_flops(jax.jit(run).lower(*abstract))
        return self._counted[key]

    def graph(self, flops_per_cycle: float) -> TaskGraph:
        """The graph of what the results need."""
        needed = [task.output > 0 for task in self.tasks]
        for index in reversed(range(len(self.tasks))):
            if needed[index]:
                for before in self.tasks[index].needs:
                    needed[before] = True
        readers = [t for t, task in enumerate(self.tasks) if needed[t] and 0 in task.needs]
        device_input = [0.0] * len(self.tasks)
        holder = 0
        if len(readers) == 1 and not self.tasks[0].output:
            holder, needed[0] = readers[0], False
        device_input[holder] = self.tasks[0].result

        kept = [index for index, is_needed in enumerate(needed) if is_needed]
        number = {index: position for position, index in enumerate(kept)}
        edges = [(u, v) for v in kept for u in self.tasks[v].needs if u in number]
        return TaskGraph.from_edges(
            [self.tasks[index].flops / flops_per_cycle for index in kept],
            [(number[u], number[v]) for u, v in edges],
            [self.tasks[u].result for u, _ in edges],
            input=[device_input[index] for index in kept],
            output=[self.tasks[index].output for index in kept],
            names=[self.tasks[index].name for index in kept],
            send_once=True,
        )


def _body(equation: Any) -> Any:
    """The jaxpr that an equation calls with its own arguments; None if it calls none."""
    for key in ("jaxpr", "call_jaxpr", "fun_jaxpr"):
        called = equation.params.get(key)
        body = getattr(called, "jaxpr", called)
        # The jaxpr of a reduction takes two scalars.
        if body is not None and [_shape(v) for v in body.invars] == [
            _shape(v) for v in equation.invars
        ]:
            return body
    return None


def _shape(variable: Any) -> tuple[int, ...]:
    return getattr(variable.aval, "shape", ())


def _num_bytes(variable: Any) -> float:
    return float(math.prod(variable.aval.shape) * variable.aval.dtype.itemsize)
