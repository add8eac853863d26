"""Exporting a sentence-transformers bi-encoder for ONNX Runtime: fused, and in int8 when asked."""

from __future__ import annotations

from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import onnx
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.transformers.fusion_options import FusionOptions
from onnxruntime.transformers.optimizer import optimize_model
from transformers import PretrainedConfig

from rag_embedder import biencoder, graph, manifest
from rag_embedder.directory import appearing
from rag_embedder.manifest import Manifest

_LIBRARIES = ("onnx", "onnxruntime", "sentence-transformers", "torch", "transformers")


def export(source: Path | str, target: Path, precision: Literal["int8", "fp32"]) -> Manifest:
    """Write model.onnx, tokenizer.json and manifest.json to `target`, unless it is there already.

    `source` is a hub name or a directory. `target` appears whole or not at all, readable by
    everyone. Raises biencoder.UnsupportedModelError for what is not a plain bi-encoder.
    """
    if target.exists():
        return manifest.read(target)
    model = biencoder.load(source, attention="eager")
    described = biencoder.manifest(model, source, precision, "onnx")
    described = replace(described, exporter={name: version(name) for name in _LIBRARIES})
    module = graph.BiEncoder(model)
    if precision == "int8":
        module.quantise_words()
    with appearing(target) as directory:
        _write_graph(module, directory / "model.onnx", quantised=precision == "int8")
        biencoder.tokenizer(model).save(str(directory / "tokenizer.json"))
        manifest.write(described, directory)
    return described


def _write_graph(module: graph.BiEncoder, path: Path, quantised: bool) -> None:
    graph.write(module, path)
    _fuse(path, module.encoder.config)
    if quantised:
        _quantise(path)


def _fuse(path: Path, config: PretrainedConfig) -> None:
    """Make attention and GELU single operators; what does not fit stays as it was."""
    options = FusionOptions("bert")
    # Slower on CPUs than Add and LayerNormalization apart; and a table in int8 does not fit it.
    options.enable_skip_layer_norm = False
    options.enable_bias_skip_layer_norm = False
    options.enable_embed_layer_norm = False
    fused = optimize_model(
        str(path),
        model_type="bert",
        num_heads=getattr(config, "num_attention_heads", 0),
        hidden_size=getattr(config, "hidden_size", 0),
        optimization_options=options,
        opt_level=0,
    )
    fused.save_model_to_file(str(path))


def _quantise(path: Path) -> None:
    """Weights to int8 with a scale a column; activations are quantised as they come."""
    quantize_dynamic(
        path,
        path,
        op_types_to_quantize=["MatMul", "Attention"],
        per_channel=True,
        weight_type=QuantType.QInt8,
        # Only products with weights; and types after a fused operator are not inferred.
        extra_options={"MatMulConstBOnly": True, "DefaultTensorType": onnx.TensorProto.FLOAT},
    )
