"""The weights of a network that was published as a TensorFlow Lite file, quantised or not.

The file is one FlatBuffer, which the package ``tflite`` parses; nothing in it is executed. Of a layer with weights are
taken: the weights, real value = scale x (stored - zero point), and the bias. Names differ from exporter to exporter, so
layers are known by their order in the graph.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from likewise.errors import LikewiseError, needs_extra

#: Operators with weights, as the format numbers them, and how their weights' axes come to be PyTorch's.
_AXES = {3: (0, 3, 1, 2), 4: (3, 0, 1, 2), 9: (0, 1)}  # convolution, depthwise convolution, fully connected
#: Numbers of the format's types of values.
_KINDS = {0: np.float32, 1: np.float16, 2: np.int32, 3: np.uint8, 9: np.int8}


def read_tflite(path: Path) -> dict[str, Tensor]:
    """Weights and biases of a file's layers, as "layers.0.weight", "layers.0.bias", "layers.1.weight", ...

    Raises:
        LikewiseError: ``tflite`` is not installed, or the file is no graph of convolutions and fully connected layers.
    """
    with needs_extra("reading a TensorFlow Lite file", "tflite"):
        import tflite
    content = path.read_bytes()
    if content[4:8] != b"TFL3":
        raise LikewiseError(f"{path} is no TensorFlow Lite file")
    model = tflite.Model.GetRootAs(content, 0)
    graph, found = model.Subgraphs(0), {}
    layers = (_layer(model, graph, graph.Operators(i)) for i in range(graph.OperatorsLength()))
    for index, (weight, bias) in enumerate(layer for layer in layers if layer is not None):
        found[f"layers.{index}.weight"], found[f"layers.{index}.bias"] = weight, bias
    return found


def _layer(model: Any, graph: Any, operator: Any) -> tuple[Tensor, Tensor] | None:
    """An operator's weight and bias; None: it has none."""
    code = model.OperatorCodes(operator.OpcodeIndex())
    axes = _AXES.get(max(code.BuiltinCode(), code.DeprecatedBuiltinCode()))
    if axes is None:
        return None
    weight, bias = (_values(model, graph.Tensors(operator.Inputs(i))) for i in (1, 2))
    return torch.from_numpy(np.ascontiguousarray(weight.transpose(axes))), torch.from_numpy(bias)


def _values(model: Any, tensor: Any) -> NDArray[np.float32]:
    """The real values of a stored tensor."""
    kind, shape = _KINDS.get(tensor.Type()), tuple(tensor.ShapeAsNumpy())
    stored = model.Buffers(tensor.Buffer()).DataAsNumpy()
    if kind is None or not isinstance(stored, np.ndarray) or stored.nbytes != np.prod(shape) * np.dtype(kind).itemsize:
        raise LikewiseError(f"its tensor {tensor.Name()!r:.60} is not stored as plain or quantised numbers")
    values: NDArray[np.float32] = stored.view(kind).reshape(shape).astype(np.float32)
    scales = tensor.Quantization()
    if scales is None or scales.ScaleLength() == 0:
        return values
    along = [1] * len(shape)
    if scales.ScaleLength() > 1:  # one a channel
        along[scales.QuantizedDimension()] = scales.ScaleLength()
    zero, scale = scales.ZeroPointAsNumpy().reshape(along), scales.ScaleAsNumpy().reshape(along)
    real: NDArray[np.float32] = ((values - zero) * scale).astype(np.float32)
    return real
