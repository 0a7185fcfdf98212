"""Learned policies for chains as ONNX models, written node by node."""

import itertools
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from offload_jax import configs
from offload_jax.chains import lowering
from offload_jax.chains.features import HIGHEST, LOWEST, TINY
from offload_jax.extras import needs
from offload_jax.files import replace_file
from offload_jax.learning.parameters import digest
from offload_jax.network import Place

# The first with Gelu; old enough for runtimes of years ago.
_OPSET, _IR_VERSION = 20, 9
_RATES = ("device_speed", "edge_speed", "device_edge_bandwidth", "edge_cloud_bandwidth")
_PLACES = len(Place)


def write(policy: Any, path: Path) -> None:
    """Writes a model; see `export.onnx`."""
    with needs("export"):
        import onnx
    config: Any = getattr(policy, "config", None)
    if not hasattr(config, "feature_set"):
        raise ValueError(
            f"policy: {policy!r:.100} cannot be exported, only learned policies for chains can"
        )
    nodes = _Nodes(onnx)
    _decision(nodes, config, policy.params)
    floats, helper = onnx.TensorProto.FLOAT, onnx.helper
    num = config.num_subtasks
    lengths = {"cycles": [num], "data": [num + 1], **{name: [] for name in _RATES}}
    inputs = [
        helper.make_tensor_value_info(name, floats, ["batch", *tail])
        for name, tail in lengths.items()
    ]
    output = helper.make_tensor_value_info("decision", onnx.TensorProto.INT8, ["batch", num])
    model = helper.make_model(
        helper.make_graph(nodes.nodes, "offload", inputs, [output], nodes.constants),
        opset_imports=[helper.make_opsetid("", _OPSET)],
        ir_version=_IR_VERSION,
        producer_name="offload_jax",
        doc_string="Where each subtask of a chain runs: 0 the device, 1 the edge, 2 the cloud."
        " Inputs in CPU cycles, bytes, cycles per second and bytes per second, not validated.",
    )
    facts = {"network": json.dumps(configs.as_data(config)), "sha256": digest(policy.params)}
    helper.set_model_props(model, facts)
    onnx.checker.check_model(model, full_check=True)
    replace_file(path, model.SerializeToString())


class _Nodes:
    """The nodes of a graph and the constants that they read."""

    def __init__(self, onnx: ModuleType) -> None:
        self.onnx = onnx
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def add(self, kind: str, *inputs: Any, output: str | None = None, **attributes: Any) -> str:
        """A node; numbers and arrays among its inputs are constants. Gives its output."""
        names = [each if isinstance(each, str) else self._constant(each) for each in inputs]
        output = output or f"value_{len(self.nodes)}"
        self.nodes.append(self.onnx.helper.make_node(kind, names, [output], **attributes))
        return output

    def _constant(self, value: Any) -> str:
        array = np.asarray(value)
        array = array.astype(np.float32) if array.dtype == np.float64 else array
        name = f"constant_{len(self.constants)}"
        self.constants.append(self.onnx.numpy_helper.from_array(array, name))
        return name


def _decision(nodes: _Nodes, config: Any, params: Any) -> None:
    from offload_jax.chains.imitation_network import ImitationConfig

    num = config.num_subtasks
    rates = {name: nodes.add("Unsqueeze", name, [-1]) for name in _RATES}
    request = {"cycles": "cycles", "data": "data", **rates}

    def network(request: dict[str, str]) -> str:
        return _perceptrons(nodes, config, params, _features(nodes, config, request))

    if isinstance(config, ImitationConfig):
        logits = nodes.add("Reshape", network(request), [0, num, _PLACES])
        if config.symmetric:
            turned = {
                name: nodes.add("Gather", name, np.arange(length)[::-1].copy(), axis=1)
                for name, length in (("cycles", num), ("data", num + 1))
            }
            other = nodes.add("Reshape", network({**request, **turned}), [0, num, _PLACES])
            back = nodes.add("Gather", other, np.arange(num)[::-1].copy(), axis=1)
            logits = nodes.add("Add", logits, back)
        best = nodes.add("ArgMax", logits, axis=-1, keepdims=0)
        nodes.add("Cast", best, output="decision", to=nodes.onnx.TensorProto.INT8)
        return
    # Of a Q-network: the value of the request is the same for all actions.
    outputs = nodes.add("Squeeze", network(request), [1])
    actions = nodes.add("Slice", outputs, [1], [_PLACES**num + 1], [1])
    best = nodes.add("ArgMax", actions, axis=-1, keepdims=0)
    decisions = np.array(list(itertools.product(range(_PLACES), repeat=num)), np.int8)
    nodes.add("Gather", decisions, best, output="decision")


def _perceptrons(nodes: _Nodes, config: Any, params: Any, features: str) -> str:
    """`[batch, networks, outputs]`."""
    hidden = nodes.add("Unsqueeze", features, [0])
    for i, (kernel, bias) in enumerate(lowering.layers(config, params)):
        output = nodes.add("Add", nodes.add("MatMul", hidden, kernel), bias[:, None])
        if i < len(config.hidden):
            if getattr(config, "activation", "relu") == "gelu":
                output = nodes.add("Gelu", output, approximate="tanh")
            else:
                output = nodes.add("Relu", output)
            if getattr(config, "residual", False) and kernel.shape[1] == kernel.shape[2]:
                output = nodes.add("Add", hidden, output)
        hidden = output
    return nodes.add("Transpose", hidden, perm=[1, 0, 2])


def _features(nodes: _Nodes, config: Any, request: dict[str, str]) -> str:
    """What `chains.features` says, `[batch, features]`."""
    if config.feature_set == "raw":
        low, factor = lowering.raw_ranges(config.scenario)
        columns = [
            nodes.add("Sub", nodes.add("Mul", nodes.add("Sub", name, low[i]), factor[i]), 1.0)
            for i, name in enumerate(request.values())
        ]
        return nodes.add("Concat", *columns, axis=-1)
    times, (local, edge, cloud) = _times(nodes, config, request)
    scale = nodes.add("Max", nodes.add("Min", local, edge, cloud), TINY)

    def logarithm(ratio: str) -> str:
        return nodes.add("Mul", nodes.add("Log", nodes.add("Clip", ratio, LOWEST, HIGHEST)), 0.5)

    if config.feature_set == "times":
        relative = nodes.add("Div", nodes.add("Concat", *times, axis=-1), scale)
        linear = nodes.add("Mul", nodes.add("Min", relative, 1.0), 2.0)
        columns = [nodes.add("Sub", linear, 0.5), logarithm(relative)]
        return nodes.add("Concat", *columns, axis=-1)
    far = nodes.add("Max", request["edge_cloud_bandwidth"], TINY)
    ratios = [
        nodes.add("Div", times[0], scale),
        nodes.add("Div", times[2], scale),
        nodes.add("Div", request["device_speed"], request["edge_speed"]),
        nodes.add("Div", request["device_edge_bandwidth"], far),
        nodes.add("Div", local, scale),
        nodes.add("Div", edge, scale),
    ]
    return logarithm(nodes.add("Concat", *ratios, axis=-1))


def _times(nodes: _Nodes, config: Any, request: dict[str, str]) -> tuple[list[str], list[str]]:
    """Times, or costs, as `features.physical_times` has them: four of parts, three of places."""
    computing, sending, receiving, waiting, joules = lowering.prices(config.objective).tolist()
    zero, infinity = 0.0, np.inf

    def moved(bandwidth: str, price: float) -> str:
        alive = nodes.add("Greater", bandwidth, zero)
        rate = nodes.add("Div", price, nodes.add("Where", alive, bandwidth, 1.0))
        cost = nodes.add("Where", alive, nodes.add("Mul", request["data"], rate), infinity)
        return nodes.add("Where", nodes.add("Greater", request["data"], zero), cost, zero)

    def end(values: str, t: int) -> str:
        return nodes.add("Gather", values, [t], axis=1)

    def total(values: str) -> str:
        return nodes.add("ReduceSum", values, [1], keepdims=1)

    speed = request["device_speed"]
    rate = nodes.add("Div", computing, speed)
    if joules:
        squared = nodes.add("Mul", nodes.add("Mul", speed, joules), speed)
        rate = nodes.add("Add", rate, squared)
    device = nodes.add("Mul", request["cycles"], rate)
    edge = nodes.add("Mul", request["cycles"], nodes.add("Div", waiting, request["edge_speed"]))
    hop1 = moved(request["device_edge_bandwidth"], sending)
    back1 = moved(request["device_edge_bandwidth"], receiving)
    hop2 = moved(request["edge_cloud_bandwidth"], waiting)
    num = config.num_subtasks
    ends1 = nodes.add("Add", end(hop1, 0), end(back1, num))
    ends2 = nodes.add("Add", end(hop2, 0), end(hop2, num))
    places = [total(device), nodes.add("Add", total(edge), ends1), nodes.add("Add", ends1, ends2)]
    return [device, edge, hop1, hop2], places
