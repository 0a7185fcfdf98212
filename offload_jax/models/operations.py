"""What an ONNX operator computes, in floating-point operations, from shapes alone.

- 2 for each multiply-add of convolutions, products of matrices, attention and recurrent cells,
  those with the zero padding included, as publications count; 1 an element for a bias.
- Pooling: 1 for each element under the kernel. Reductions: 1 for each element that they read.
- Normalisation and softmax: so many passes over their elements, the table below.
- What is elementwise: 1 for each element of the result. What only moves elements: 0.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

Shape = tuple[int, ...]


def _named(operators: str) -> frozenset[str]:
    return frozenset(operators.split())


# Which inputs hold weights and bias.
_CONVOLUTIONS = {"Conv": (1, 2), "ConvInteger": (1, 4), "DeformConv": (1, 3), "QLinearConv": (3, 8)}
_PRODUCTS = ("MatMul", "MatMulInteger", "QLinearMatMul")
_POOLS = ("AveragePool", "LpPool", "MaxPool")
_RECURRENT = ("GRU", "LSTM", "RNN")
_REDUCTIONS = _named(
    "ArgMax ArgMin CumSum GlobalAveragePool GlobalLpPool GlobalMaxPool ReduceL1 ReduceL2"
    " ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum"
    " ReduceSumSquare TopK"
)
# Operations for each element read: such as maximum, difference, exponential, sum and quotient.
_PASSES = {
    "BatchNormalization": 2,
    "GroupNormalization": 7,
    "Hardmax": 2,
    "InstanceNormalization": 7,
    "LayerNormalization": 7,
    "LogSoftmax": 5,
    "LpNormalization": 3,
    "MeanVarianceNormalization": 5,
    "RMSNormalization": 4,
    "RotaryEmbedding": 3,
    "Softmax": 5,
}
_ELEMENTWISE = _named(
    "Abs Acos Acosh Add And Asin Asinh Atan Atanh BitShift BitwiseAnd BitwiseNot BitwiseOr"
    " BitwiseXor Cast CastLike Ceil Celu Clip Cos Cosh DequantizeLinear Div DynamicQuantizeLinear"
    " Elu Equal Erf Exp Floor Gelu Greater GreaterOrEqual HardSigmoid HardSwish IsInf IsNaN"
    " LeakyRelu Less LessOrEqual Log Max Mean Min Mish Mod Mul Neg Not Or PRelu Pow QuantizeLinear"
    " Range Reciprocal Relu Resize Round Selu Shrink Sigmoid Sign Sin Sinh Softplus Softsign Sqrt"
    " Sub Sum Swish Tan Tanh ThresholdedRelu Upsample Where Xor"
)
_MOVES = _named(
    "Compress Concat Constant ConstantOfShape DepthToSpace Dropout Expand EyeLike Flatten Gather"
    " GatherElements GatherND Identity NonZero OneHot Pad Reshape ReverseSequence Scatter"
    " ScatterElements ScatterND Shape Size Slice SpaceToDepth Split Squeeze TensorScatter Tile"
    " Transpose Trilu Unsqueeze"
)


def flops(
    operator: str,
    inputs: Sequence[Shape | None],
    outputs: Sequence[Shape | None],
    attributes: Mapping[str, Any],
) -> float | None:
    """The operations of one node, by the rules above.

    Args:
      operator: its name in the domain of ONNX itself.
      inputs: shapes; None where an optional one is not given.
      outputs: shapes of the results, the first of them known.
      attributes: of the node.

    Returns:
      Floating-point operations; None if no rule is known for the operator.
    """
    first, out = inputs[0] if inputs else (), math.prod(outputs[0] or ())
    read = math.prod(first or ())
    if operator in _ELEMENTWISE:
        return out
    if operator in _MOVES:
        return 0
    if operator in _REDUCTIONS:
        return read
    if operator in _PASSES:
        return _PASSES[operator] * read
    if operator == "LRN":  # squares, their sums, a product, a power and a quotient
        return (attributes["size"] + 4) * read
    if operator in _POOLS:
        return out * math.prod(attributes["kernel_shape"])
    return _multiply_adds(operator, inputs, out, attributes)


def _multiply_adds(
    operator: str, inputs: Sequence[Shape | None], out: int, attributes: Mapping[str, Any]
) -> float | None:
    shapes = [shape or () for shape in inputs]
    first, second = [*shapes, (), ()][:2]
    if operator in _CONVOLUTIONS:
        weights, bias = _CONVOLUTIONS[operator]
        return (2 * math.prod(shapes[weights][1:]) + _is_given(inputs, bias)) * out
    if operator == "ConvTranspose":
        return 2 * math.prod(first) * math.prod(second[1:]) + _is_given(inputs, 2) * out
    if operator == "Gemm":
        depth = first[0 if attributes.get("transA") else 1]
        return (2 * depth + _is_given(inputs, 2)) * out
    if operator in _PRODUCTS:
        return 2 * first[-1] * out
    if operator in _RECURRENT:  # every step reads all weights, once for each row of the batch
        return 2 * math.prod(first[:2]) * sum(math.prod(weights) for weights in shapes[1:3])
    if operator == "Einsum":
        return _einsum(attributes["equation"].decode(), shapes)
    if operator == "Attention":
        past = shapes[4][-2] if _is_given(inputs, 4) else 0
        length = second[-2] + past
        heads = first[1] if len(first) == 4 else attributes["q_num_heads"]
        softmax = _PASSES["Softmax"] * first[0] * heads * first[-2]
        return (2 * math.prod(first) + 2 * out + softmax) * length
    return None


def _is_given(inputs: Sequence[Shape | None], number: int) -> bool:
    return len(inputs) > number and inputs[number] is not None


def _einsum(equation: str, shapes: Sequence[Shape]) -> float | None:
    terms = equation.replace(" ", "").partition("->")[0].split(",")
    if "." in equation:
        return None
    size = {
        label: length
        for term, shape in zip(terms, shapes, strict=True)
        for label, length in zip(term, shape, strict=True)
    }
    return len(terms) * math.prod(size.values())
