"""Models from ONNX files: operations and bytes counted by hand, published totals, bad files."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import offload_jax as oj
from tests.models.onnx_cases import LIGHT, branch, diamond, model, node, read, value, weights
from tests.typecheck import unchecked

# Input x, weights, attributes and the operations that follow from the definitions.
IMAGE = (1, 2, 4, 4)
COUNTED = {
    # 4 * 8 * 8 results, each of 3 * 3 * 3 multiply-adds and a bias.
    "Conv": ((1, 3, 8, 8), {"w": (4, 3, 3, 3), "b": (4,)}, {"pads": [1] * 4}, 256 * (2 * 27 + 1)),
    # Depthwise: 9 multiply-adds for each of 2 * 2 * 2 results.
    "Conv ": (IMAGE, {"w": (2, 1, 3, 3)}, {"group": 2}, 8 * 2 * 9),
    # Each of 32 inputs meets 3 * 2 * 2 weights.
    "ConvTranspose": (IMAGE, {"w": (2, 3, 2, 2)}, {"strides": [2, 2]}, 2 * 32 * 12),
    "Gemm": ((2, 5), {"w": (5, 7), "c": (7,)}, {}, 14 * (2 * 5 + 1)),
    "Gemm ": ((5, 2), {"w": (7, 5)}, {"transA": 1, "transB": 1}, 14 * 2 * 5),
    "MatMul": ((2, 3, 4), {"w": (4, 5)}, {}, 2 * 30 * 4),
    "Einsum": ((2, 3, 4), {"w": (2, 4, 5)}, {"equation": "bij,bjk->bik"}, 2 * 2 * 3 * 4 * 5),
    "LSTM": ((3, 1, 4), {"w": (1, 20, 4), "r": (1, 20, 5)}, {"hidden_size": 5}, 3 * 2 * 20 * 9),
    # Queries of 2 heads, 3 places and 4 channels against 5 keys: two products and a softmax.
    "Attention": ((1, 2, 3, 4), {"k": (1, 2, 5, 4), "v": (1, 2, 5, 4)}, {}, 2 * 15 * (16 + 5)),
    "Attention ": (
        (1, 3, 8),
        {"k": (1, 5, 8), "v": (1, 5, 8)},
        {"q_num_heads": 2, "kv_num_heads": 2},
        2 * 15 * (16 + 5),
    ),
    "MaxPool": (IMAGE, {}, {"kernel_shape": [2, 2], "strides": [2, 2]}, 8 * 4),
    "GlobalAveragePool": (IMAGE, {}, {}, 32),
    "ReduceMean": ((3, 5), {}, {}, 15),
    "BatchNormalization": (IMAGE, dict.fromkeys("sbmv", (2,)), {}, 2 * 32),
    "LayerNormalization": ((3, 5), {"s": (5,)}, {}, 7 * 15),
    "LRN": (IMAGE, {}, {"size": 5}, 9 * 32),
    "Softmax": ((3, 5), {}, {}, 5 * 15),
    "Relu": ((3, 5), {}, {}, 15),
    # The result counts, not what is broadcast.
    "Add": ((3, 1), {"w": (1, 5)}, {}, 15),
    "Transpose": ((3, 5), {}, {}, 0),
}


@pytest.mark.parametrize("operator", COUNTED)
def test_operations_by_definition(operator: str, tmp_path: Path) -> None:
    shape, constants, attributes, flops = COUNTED[operator]
    one = node(operator.strip(), ["x", *constants], ["y"], **attributes)
    found = read(tmp_path, model([one], {"x": shape}, ["y"], weights(**constants)))
    assert found.flops.tolist() == [flops]
    assert found.graph.cycles.tolist() == [flops / 2]
    assert found.memory.tolist() == [4 * sum(int(np.prod(s)) for s in constants.values())]
    assert found.graph.input.tolist() == [4 * np.prod(shape)]


def test_quantised_operators_count_as_what_they_quantise(tmp_path: Path) -> None:
    kinds = {"x": (1, 3, 8, 8), "w": (4, 3, 3, 3)}
    small = [value(name, shape, TensorProto.UINT8) for name, shape in kinds.items()]
    convolution = node("ConvInteger", ["x", "w"], ["y"])
    found = read(tmp_path, model([convolution], small, ["y"]))
    assert found.flops.tolist() == [2 * 27 * 4 * 36]
    assert found.graph.input.tolist() == [3 * 64 + 4 * 27]  # a byte an element
    assert found.graph.output.tolist() == [4 * 4 * 36]  # of int32


@pytest.mark.parametrize(
    ("kind", "num_bytes"),
    [("DOUBLE", 56), ("FLOAT16", 14), ("BOOL", 7), ("INT4", 4), ("FLOAT8E4M3FN", 7), ("INT64", 56)],
)
def test_bytes_by_type(kind: str, num_bytes: int, tmp_path: Path) -> None:
    inputs = [value("x", (7,), getattr(TensorProto, kind))]
    found = read(tmp_path, model([node("Reshape", ["x", "s"], ["y"])], inputs, ["y"], [SHAPE]))
    assert found.graph.input.tolist() == found.graph.output.tolist() == [num_bytes]


SHAPE = helper.make_tensor("s", TensorProto.INT64, [2], [7, 1])


def test_tasks_edges_and_the_way_back(tmp_path: Path) -> None:
    content = diamond()
    # Whoever writes nodes in the wrong order is understood.
    content.graph.node.insert(0, content.graph.node.pop(4))
    content.graph.node[0].input[0] = "left"
    found = read(tmp_path, content)
    graph = found.graph
    assert graph.names == ("body", "head", "head_2", "a", "sum", "y")
    assert [one.name for (one,) in found.nodes] == [
        "body",
        "head",
        "head",
        "MatMul_4",
        "sum",
        "Concat_5",
    ]
    assert found.nodes[2][0] == ("head", "Split", ("top", "bottom"))
    edges = dict(zip(map(tuple, graph.edges.tolist()), found.tensors, strict=True))
    assert edges == {
        (0, 1): ("body",),
        (0, 2): ("body",),
        (1, 3): ("left",),
        (1, 4): ("left",),
        (2, 5): ("bottom",),
        (3, 4): ("a",),
        (4, 5): ("b",),
    }
    assert graph.send_once
    # "top" is read by nobody, so it does not travel.
    assert graph.data.tolist() == [128, 128, 128, 128, 64, 128, 128]
    assert found.inputs == (("x",), (), (), (), (), ())
    assert found.outputs == ((), (), (), ("a",), (), ("y",))
    assert graph.output.tolist() == [0, 0, 0, 128, 0, 192]
    # The weights count once.
    assert found.memory.tolist() == [256, 0, 0, 0, 0, 0]
    assert found.flops.tolist() == [512, 32, 0, 512, 32, 0]


def test_a_task_hands_on_all_of_its_results_that_are_read(tmp_path: Path) -> None:
    content = diamond()
    content.graph.node[4].input[0] = "bottom"
    content.graph.node[5].input[0] = "top"
    content.graph.node[4].input[1] = "bottom"
    found = read(tmp_path, content)
    sent = {
        size for (u, _), size in zip(found.graph.edges, found.graph.data, strict=True) if u == 2
    }
    assert sent == {128}


def test_an_input_that_many_read_is_a_task_and_sent_once(tmp_path: Path) -> None:
    nodes = [node("Relu", ["x"], ["a"]), node("Add", ["x", "a"], ["b"])]
    nodes.append(node("Add", ["b", "z"], ["y"]))
    found = read(tmp_path, model(nodes, {"x": (4,), "z": (1,)}, ["y"]))
    assert found.graph.names == ("x", "a", "b", "y")
    assert found.nodes[0] == ()
    assert found.graph.input.tolist() == [16, 0, 0, 4]
    assert found.flops[0] == found.memory[0] == 0
    assert found.inputs == (("x",), (), (), ("z",))
    # The last stage reads an input, so there is no place to cut before it.
    assert found.chain().num_subtasks == 1


def test_what_depends_on_no_value_is_folded(tmp_path: Path) -> None:
    """As exporters write a flattening: the shape of the image, a slice of it, a concatenation."""
    constant = {"value": helper.make_tensor("", TensorProto.INT64, [1], [-1])}
    nodes = [
        node("Shape", ["x"], ["shape"], end=1),
        node("Constant", [], ["rest"], **constant),
        node("Concat", ["shape", "rest"], ["flat"], axis=0),
        node("Reshape", ["x", "flat"], ["r"]),
        node("Transpose", ["w"], ["turned"]),
        node("MatMul", ["r", "turned"], ["y"]),
    ]
    found = read(tmp_path, model(nodes, {"x": (2, 3, 5)}, ["y"], weights(w=(4, 15))))
    assert [one.operator for (one,) in found.nodes] == ["Reshape", "MatMul"]
    assert found.memory.tolist() == [2 * 8, 4 * 60]
    assert found.flops.tolist() == [0, 2 * 8 * 15]


def test_open_dimensions_are_asked_for_by_name(tmp_path: Path) -> None:
    nodes = [node("Relu", ["x"], ["a"]), node("NonZero", ["a"], ["y"])]
    content = model(nodes, {"x": ("batch", None, 3)}, ["y"])
    with pytest.raises(ValueError, match=r"test.onnx: shapes: must give .*'batch'.*'x\[1\]'"):
        read(tmp_path, content)
    # How many are not zero, only values say.
    known = {"batch": 2, "x[1]": 5}
    with pytest.raises(
        ValueError, match=r"lengths of '(.*)' \(y\[1\], node 'y', tensor 'y'\)"
    ) as e:
        read(tmp_path, content, shapes=known)
    name = str(e.value).split("'")[1]
    found = read(tmp_path, content, shapes={**known, name: 7})
    assert found.flops.tolist() == [30, 0]
    assert found.graph.output.tolist() == [0, 3 * 7 * 8]
    with pytest.raises(ValueError, match="no open dimension 'bach', only 'batch'"):
        read(tmp_path, content, shapes={**known, name: 7, "bach": 1})
    with pytest.raises(
        ValueError, match=r"shapes\['batch'\] = 0: must be an integer of at least 1"
    ):
        read(tmp_path, content, shapes={"batch": 0})
    with pytest.raises(ValueError, match="shapes: must be a Mapping"):
        unchecked(oj.models.read_onnx)(tmp_path, shapes=[1])


def test_unknown_operators_are_named_in_one_warning(tmp_path: Path) -> None:
    nodes = [node("Foo", ["x"], ["a"], domain="my.own"), node("Det", ["a"], ["y"])]
    nodes.append(node("Foo", ["a"], ["z"], domain="my.own"))
    content = model(nodes, {"x": (3, 3)}, ["y", "z"])
    with pytest.raises(ValueError, match=r"node 'a', tensor 'a': the number of its dimensions"):
        read(tmp_path, content)
    content.graph.value_info.extend([value("a", (3, 3))])
    content.graph.output[1].CopyFrom(value("z", (3, 3)))
    with pytest.warns(UserWarning, match=r"each element of their result: my.own.Foo, Det$") as seen:
        found = read(tmp_path, content)
    assert len(seen) == 1
    assert found.flops.tolist() == [9, 1, 9]


def test_branches_are_one_task_of_the_dearer(tmp_path: Path) -> None:
    cheap = branch("cheap", [node("Relu", ["x"], ["c"])])
    product = [node("MatMul", ["x", "w"], ["m"]), node("MatMul", ["m", "inside"], ["d"])]
    dear = branch("dear", product, weights(inside=(4, 4)))
    nodes = [
        node("ReduceSum", ["x"], ["s"], keepdims=0),
        node("Cast", ["s"], ["choice"], to=TensorProto.BOOL),
        node("If", ["choice"], ["y"], then_branch=cheap, else_branch=dear),
    ]
    found = read(tmp_path, model(nodes, {"x": (2, 4)}, ["y"], weights(w=(4, 4))))
    # The branches read x, too, so three tasks have it.
    assert found.graph.names == ("x", "s", "choice", "y")
    assert found.flops.tolist() == [0, 8, 1, 2 * 2 * 8 * 4]
    assert found.memory.tolist() == [0, 0, 0, 2 * 64]
    assert [0, 3] in found.graph.edges.tolist()


def test_loops_count_their_rounds(tmp_path: Path) -> None:
    body = helper.make_graph(
        [node("Identity", ["go"], ["on"]), node("MatMul", ["state", "w"], ["next"])],
        "body",
        [
            value("i", (), TensorProto.INT64),
            value("go", (), TensorProto.BOOL),
            value("state", (2, 4)),
        ],
        [value("on", (), TensorProto.BOOL), value("next", (2, 4))],
    )
    loop = node("Loop", ["rounds", "", "x"], ["y"], body=body)
    content = model([loop], {"x": (2, 4)}, ["y"], weights(w=(4, 4)))
    content.graph.output[0].CopyFrom(value("y", (2, 4)))
    rounds = helper.make_tensor("rounds", TensorProto.INT64, [], [6])
    content.graph.initializer.append(rounds)
    assert read(tmp_path, content).flops.tolist() == [6 * 2 * 8 * 4]
    # How often, an input says.
    del content.graph.initializer[1]
    content.graph.input.append(value("rounds", (), TensorProto.INT64))
    with pytest.warns(UserWarning, match="operators of unknown cost .*: Loop$"):
        assert read(tmp_path, content).flops.tolist() == [8]


def test_functions_are_written_out(tmp_path: Path) -> None:
    twice = helper.make_function(
        "mine",
        "Twice",
        ["a"],
        ["c"],
        [node("Relu", ["a"], ["b"]), node("Sigmoid", ["b"], ["c"])],
        [helper.make_opsetid("", 23)],
    )
    one = node("Twice", ["x"], ["y"], domain="mine")
    found = read(tmp_path, model([one], {"x": (5,)}, ["y"], functions=[twice]))
    assert [done.operator for (done,) in found.nodes] == ["Relu", "Sigmoid"]


@pytest.mark.parametrize("there", [True, False])
def test_external_weights_need_not_be_there(there: bool, tmp_path: Path) -> None:
    wide = weights(w=(8, 500))
    shape = helper.make_tensor("shape", TensorProto.INT64, [2], [1, 4000])
    nodes = [node("MatMul", ["x", "w"], ["m"]), node("Relu", ["m"], ["y"])]
    if there:
        nodes[1] = node("Reshape", ["m", "shape"], ["y"])
    content = model(nodes, {"x": (8, 8)}, ["y"], [*wide, shape])
    path = tmp_path / "apart.onnx"
    options = {"save_as_external_data": True, "location": "weights.bin", "size_threshold": 0}
    for tensor in content.graph.initializer:
        tensor.CopyFrom(
            onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(tensor), tensor.name)
        )
    onnx.save(content, path, **options)
    if there:
        assert oj.models.read_onnx(path).memory.tolist() == [16000, 16]
    else:
        (tmp_path / "weights.bin").unlink()
        with pytest.warns(UserWarning, match=r"weights in weights.bin are not there, and not need"):
            found = oj.models.read_onnx(path)
        assert found.memory.tolist() == [16000, 0]


def cycle() -> Any:
    nodes = [node("Add", ["x", "b"], ["a"], name="one"), node("Relu", ["a"], ["b"], name="two")]
    return model(nodes, {"x": (2,)}, ["b"])


def misused() -> Any:
    pool = node("MaxPool", ["x"], ["y"], name="pool", kernel_shape=[1, 1])
    pool.attribute[0].type = onnx.AttributeProto.UNDEFINED
    content = model([pool], {"x": IMAGE}, ["y"])
    content.graph.output[0].CopyFrom(value("y", IMAGE))
    return content


BAD = {
    "node 'pool': inputs or attributes are not those of MaxPool$": misused(),
    "is no ONNX model, or a truncated one$": b"# just text\n",
    "is no ONNX model, or one without nodes": b"",
    "tasks form a cycle: (one -> two -> one|two -> one -> two)$": cycle(),
    "the model has no inputs$": model([node("Relu", ["w"], ["y"])], {}, ["y"], weights(w=(2,))),
    "no output depends on an input$": model(
        [node("Relu", ["w"], ["y"])], {"x": (2,)}, ["y"], weights(w=(2,))
    ),
    "node 'y' reads 'z', which nothing makes$": model(
        [node("Add", ["x", "z"], ["y"])], {"x": (2,)}, ["y"]
    ),
    "nodes 'y' and 'y_2' make the same tensor, 'y'$": model(
        [node("Relu", ["x"], ["y"]), node("Abs", ["x"], ["y"])], {"x": (2,)}, ["y"]
    ),
    "node name: first.*Incompatible dimensions": model(
        [node("MatMul", ["x", "w"], ["y"], name="first")], {"x": (2, 3)}, ["y"], weights(w=(2, 3))
    ),
    "tensors of type STRING have no known size": model(
        [node("StringNormalizer", ["x"], ["y"])], [value("x", (2,), TensorProto.STRING)], ["y"]
    ),
    "input 'x': the number of its dimensions is not known": model(
        [node("Relu", ["x"], ["y"])], [value("x", None)], ["y"]
    ),
}


@pytest.mark.parametrize("message", BAD)
def test_bad_files(message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=rf"test\.onnx: .*{message}") as error:
        read(tmp_path, BAD[message])
    assert "\n" not in str(error.value)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="none.onnx"):
        oj.models.read_onnx(tmp_path / "none.onnx")


def test_truncated_files_are_refused(tmp_path: Path) -> None:
    whole = diamond().SerializeToString()
    for length in range(len(whole)):
        with pytest.raises(ValueError, match=r"test\.onnx: "):
            read(tmp_path, whole[:length])


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_damaged_files_are_read_or_refused(tmp_path: Path) -> None:
    whole = diamond().SerializeToString()
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(300):
        damaged = bytearray(whole)
        damaged[rng.integers(len(whole))] = rng.integers(256)
        try:
            read(tmp_path, bytes(damaged))
        except ValueError as error:
            refused += 1
            assert str(error).startswith(os.fspath(tmp_path))
    assert refused > 50


def light(name: str) -> oj.models.Model:
    return oj.models.read_onnx(LIGHT / f"light_{name}.onnx")


def multiply_adds(found: oj.models.Model) -> float:
    """Of convolutions and matrices; their biases, 1 in hundreds of operations, go along."""
    kept = [any(one.operator in ("Conv", "Gemm") for one in nodes) for nodes in found.nodes]
    return float(found.flops[kept].sum()) / 2


# Multiply-adds, parameters, and the share of the memory of normalisations that publications count.
TORCHVISION = "pytorch/vision, torchvision/models: num_params and _ops (multiply-adds) of weights"
OPEN_MODEL_ZOO = (
    "openvinotoolkit/open_model_zoo, models/public: GFLOPs (two a multiply-add), MParams"
)
SZE = "Sze et al., Efficient Processing of Deep Neural Networks, Proc. IEEE 2017, III.B, Table II"
PUBLISHED = [
    # The file holds running means and variances, too, which are no parameters.
    ("resnet50", 4.089e9, 25_557_032, 0.5, TORCHVISION),
    # Scale and shift are nodes of their own in these two, so that normalisations hold no others.
    ("densenet121", 2.834e9, 7_978_856, 0.0, TORCHVISION),
    ("inception_v2", 4.058e9 / 2, 11.185e6, 0.0, f"{OPEN_MODEL_ZOO}, googlenet-v2"),
    ("vgg19", 19.632e9, 143_667_240, 1.0, TORCHVISION),
    # Version 1.1.
    ("squeezenet", 0.349e9, 1_235_496, 1.0, TORCHVISION),
    ("inception_v1", 1.43e9, 6.999e6, 1.0, f"{SZE}; {OPEN_MODEL_ZOO}, googlenet-v1"),
]


@pytest.mark.parametrize(("name", "products", "parameters", "share", "source"), PUBLISHED)
def test_published_totals(
    name: str, products: float, parameters: float, share: float, source: str
) -> None:
    found = light(name)
    assert multiply_adds(found) == pytest.approx(products, rel=0.02), source
    normalises = [n and n[0].operator == "BatchNormalization" for n in found.nodes]
    counted = found.memory.sum() - (1 - share) * found.memory[normalises].sum()
    assert counted / 4 == pytest.approx(parameters, rel=0.02), source


@pytest.mark.parametrize(
    ("name", "flops"),
    [("densenet121", 5.723e9), ("inception_v2", 4.058e9), ("vgg19", 2 * 19.632e9)],
)
def test_totals_of_all_operations(name: str, flops: float) -> None:
    """Of densenet-121-caffe2 and googlenet-v2; VGG-19 by twice its multiply-adds."""
    assert light(name).flops.sum() == pytest.approx(flops, rel=0.02), OPEN_MODEL_ZOO


def test_alexnet_at_the_published_resolution(tmp_path: Path) -> None:
    """Published for 227 pixels; the file is for 224, where the first layer gives 54 and not 55."""
    content = onnx.load(LIGHT / "light_bvlc_alexnet.onnx")
    (image,) = (one for one in content.graph.input if one.name == "data_0")
    for axis in (2, 3):
        image.type.tensor_type.shape.dim[axis].dim_value = 227
    found = read(tmp_path, content)
    assert multiply_adds(found) == pytest.approx(724e6, rel=0.02), SZE
    assert found.memory.sum() / 4 == pytest.approx(61e6, rel=0.02), SZE


def test_shufflenet_by_its_layers() -> None:
    """A network of 4 groups whose units keep their 136, 272 or 544 channels.

    Those of Zhang et al., ShuffleNet, CVPR 2018, Table 1, have twice as many, and a quarter inside.
    """

    def unit(given: int, inside: int, made: int, before: int, after: int) -> int:
        pointwise = given * inside // 4 * before**2 + inside * made // 4 * after**2
        return pointwise + 9 * inside * after**2

    count = 27 * 24 * 112**2 + 544 * 1000
    # The first unit of a stage halves the image and passes on what it was given beside its own.
    count += unit(24, 112, 112, 56, 28) + 3 * unit(136, 136, 136, 28, 28)
    count += unit(136, 136, 136, 28, 14) + 7 * unit(272, 272, 272, 14, 14)
    count += unit(272, 272, 272, 14, 7) + 3 * unit(544, 544, 544, 7, 7)
    assert multiply_adds(light("shufflenet")) == pytest.approx(count, rel=0.005)


def test_zfnet_takes_what_its_file_takes() -> None:
    """The model zoo of ONNX lists 341 MB, of 1024 * 1000 bytes: vision/classification/zfnet-512."""
    assert light("zfnet512").memory.sum() / 1024e3 == pytest.approx(341, rel=0.02)


@pytest.mark.parametrize("name", ["squeezenet", "shufflenet"])
def test_fused_models_hold_the_same(name: str) -> None:
    whole = light(name)
    found = whole.fused(20)
    assert found.graph.num_tasks == 20
    fused = oj.graphs.fuse(whole.graph, 20)
    assert fused.names == found.graph.names
    for field in ("cycles", "edges", "data", "input", "output"):
        np.testing.assert_array_equal(getattr(fused, field), getattr(found.graph, field))
    assert found.flops / 2 == pytest.approx(found.graph.cycles)
    assert found.memory.sum() == whole.memory.sum()
    assert sorted(n for group in found.nodes for n in group) == sorted(n for (n,) in whole.nodes)
    # An edge carries what a node of the one task makes and one of the other reads.
    makers = {
        tensor: i for i, group in enumerate(found.nodes) for n in group for tensor in n.results
    }
    readers = set(zip(whole.graph.edges[:, 1].tolist(), whole.tensors, strict=True))
    for (u, v), tensors in zip(found.graph.edges.tolist(), found.tensors, strict=True):
        assert tensors and {makers[tensor] for tensor in tensors} == {u}
        for tensor in tensors:
            assert any(
                tensor in read and whole.nodes[task][0] in found.nodes[v] for task, read in readers
            )
    assert found.inputs[0] == ("data_0",) or name == "shufflenet"
    assert whole.fused(1000) is whole
    with pytest.raises(ValueError, match="max_tasks = 0: must be"):
        whole.fused(0)


def test_a_chain_is_cut_where_everything_passes_one_tensor() -> None:
    """SqueezeNet: 13 convolutions one after the other, 8 pairs side by side, each joined after."""
    whole = light("squeezenet")
    chain = whole.chain()
    assert chain.flops.sum() == pytest.approx(whole.flops.sum())
    assert chain.memory.sum() == whole.memory.sum()
    # Of the 66 nodes each pair with its two activations and its concatenation is one stage.
    assert chain.num_subtasks == 66 - 8 * 4
    assert {len(group) for group in chain.nodes} == {1, 5}
    assert chain.tensors[0] == ("data_0",) and chain.tensors[-1] == ("softmaxout_1",)
    for before, tensors in zip(chain.nodes, chain.tensors[1:], strict=True):
        assert len(tensors) == 1 and tensors[0] in before[-1].results
    assert (
        repr(chain)
        == "ModelChain('light_squeezenet', 34 stages, 0.7066 GFLOP, 4.942 MB of weights)"
    )


@pytest.mark.parametrize("name", ["vgg19", "squeezenet"])
@pytest.mark.parametrize("bandwidth", [1e6, 2e7])
def test_exact_chains_and_cuts_of_graphs_agree(name: str, bandwidth: float) -> None:
    """No better cut lies inside a block of these networks, or the chain misses it."""
    whole = light(name)
    chain = oj.network_costs(whole.chain(), network(bandwidth))
    graph = oj.graphs.network_costs(whole.graph, network(bandwidth))
    best = oj.solve(chain).cost
    cut = oj.graphs.solve(graph, method="cut", objective=oj.graphs.SERIAL_LATENCY)
    assert float(cut.cost) <= float(best) * (1 + 1e-6)
    if name == "vgg19":
        assert float(best) == pytest.approx(float(cut.cost))


def network(bandwidth: float) -> oj.Network:
    places = (oj.Processor("phone", 1e9), oj.Processor("edge", 2e10), oj.Processor("cloud"))
    links = (oj.Link("phone", "edge", bandwidth), oj.Link("edge", "cloud", bandwidth / 4))
    return oj.Network(places=places, links=links)
