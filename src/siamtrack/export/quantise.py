"""An int8 search graph for a model folder, calibrated on crops that the tracker really cuts, and what it costs."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static

from siamtrack.box import Boxes, iou
from siamtrack.datasets.sequences import Sequence as Clip
from siamtrack.errors import DataError
from siamtrack.export.onnx import write_description
from siamtrack.library import open_model
from siamtrack.metrics.ope import success_auc
from siamtrack.model_folder import INT8_SEARCH_GRAPH, SEARCH_GRAPH, read_model_folder
from siamtrack.tracking import Maps, track

CALIBRATION_CALLS = 160  # network calls that ranges are taken from
FRAMES_A_CLIP = 120
PIXEL_SCALE = 1.001  # see _with_pixel_scale


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What int8 changes on clips; those were not calibrated on where more than one was given."""

    clips: list[str]
    calibrated_on_them: bool
    auc_auto: float  # success AUC of the model as the hardware runs it
    auc_int8: float
    agreement: float  # mean IoU between the boxes of both

    def __str__(self) -> str:
        seen = " (also calibrated on)" if self.calibrated_on_them else ""
        return (
            f"int8 on {', '.join(self.clips)}{seen}: success AUC {self.auc_int8:.3f} against {self.auc_auto:.3f}, "
            f"mean IoU between the two {self.agreement:.3f}."
        )


def quantise(folder: Path, clips: Sequence[Clip]) -> Cost:
    """Adds search_int8.onnx to a model folder and measures it.

    Every fifth clip (at least one) is kept for the measurement; a single clip serves for both.

    Args:
        folder: a model folder.
        clips: with a box in every frame.

    Raises:
        DataError: no clips.
        ModelError: the folder cannot be used.
    """
    if not clips:
        raise DataError("No clips to calibrate int8 with; give at least one with boxes.")
    description = read_model_folder(folder).description
    held_out = list(clips[::5])
    used = [clip for clip in clips if clip not in held_out] or list(clips)
    _quantise_graph(folder / SEARCH_GRAPH, folder / INT8_SEARCH_GRAPH, _calibration(folder, used))
    write_description(folder, description)  # at once, or the folder would be refused for its hash
    runs = {precision: [_boxes(folder, precision, clip) for clip in held_out] for precision in ("auto", "int8")}
    truths = [clip.boxes[1:FRAMES_A_CLIP] for clip in held_out]
    auc = {
        name: float(np.mean([success_auc(b, t) for b, t in zip(boxes, truths, strict=True)])) for name, boxes in runs.items()
    }
    agreement = float(np.mean([iou(a, b).mean() for a, b in zip(runs["auto"], runs["int8"], strict=True)]))
    cost = Cost(
        clips=[clip.name for clip in held_out],
        calibrated_on_them=used == held_out,
        auc_auto=auc["auto"],
        auc_int8=auc["int8"],
        agreement=agreement,
    )
    write_description(folder, replace(description, card=f"{description.card.rstrip()}\n\n{cost}\n"))
    return cost


def _boxes(folder: Path, precision: str, clip: Clip) -> Boxes:
    tracker = open_model(folder, precision=precision)
    steps = track(tracker, islice(clip.frames(), FRAMES_A_CLIP), [clip.first_box])
    return np.array([step.predictions[0].box for step in steps])[1:]


class _Recorder:
    """A network that keeps what it is asked."""

    def __init__(self, network: Any) -> None:
        self._network = network
        self.calls: list[dict[str, NDArray[Any]]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._network, name)  # embed, and masks where it has them

    def match(self, templates: NDArray[np.float32], patches: NDArray[np.uint8]) -> Maps:
        self.calls.append({"templates": templates, "patches": patches})
        maps: Maps = self._network.match(templates, patches)
        return maps


def _calibration(folder: Path, clips: Sequence[Clip]) -> list[dict[str, NDArray[Any]]]:
    """Inputs of the search graph, spread evenly over the clips and over each clip."""
    tracker: Any = open_model(folder)
    kept: list[dict[str, NDArray[Any]]] = []
    share = max(1, CALIBRATION_CALLS // len(clips))
    for clip in clips:
        recorder = _Recorder(tracker.network)
        steps = list(track(type(tracker)(recorder, tracker.settings), islice(clip.frames(), FRAMES_A_CLIP), [clip.first_box]))
        count = len(recorder.calls) if len(steps) > 1 else 0
        kept.extend(recorder.calls[i] for i in sorted({round(p) for p in np.linspace(0, count - 1, share)} if count else ()))
    if not kept:
        raise DataError("The clips have only one frame each; int8 is calibrated on the frames after the first.")
    return kept


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, calls: list[dict[str, NDArray[Any]]]) -> None:
        self._calls: Iterator[dict[str, NDArray[Any]]] = iter(calls)

    def get_next(self) -> dict[str, NDArray[Any]] | None:
        return next(self._calls, None)


def _quantise_graph(source: Path, target: Path, calls: list[dict[str, NDArray[Any]]]) -> None:
    logging.getLogger().setLevel(logging.ERROR)  # the quantiser advises on the root logger
    with tempfile.TemporaryDirectory() as temporary:
        plain, quantised = Path(temporary) / "plain.onnx", Path(temporary) / "quantised.onnx"
        onnx.save(onnx.shape_inference.infer_shapes(_with_float_weights(onnx.load(source))), plain)
        quantize_static(
            plain,
            quantised,
            _Reader(calls),
            quant_format=QuantFormat.QDQ,
            # not the correlation: it is a thousandth of the work and decides the position. Activations are quantised after
            # ReLU and pooling, where no level is spent on values that are about to become 0
            op_types_to_quantize=["Conv", "Relu", "MaxPool"],
            extra_options={"OpTypesToExcludeOutputQuantization": ["Conv"]},
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
        )
        onnx.save(_with_pixel_scale(onnx.load(quantised)), target)


def _with_pixel_scale(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph with a scale of pixels that is not 1, taken back in the scale of the first convolution.

    Quantising uint8 pixels with scale 1 changes nothing, so OpenVINO drops it, and with it the int8 form of the first
    convolution, which then costs as much as all others together. With a scale so close to 1 that every pixel keeps its
    value, the quantisation stays.
    """
    initializers = {tensor.name: tensor for tensor in model.graph.initializer}
    makers = {node.output[0]: node for node in model.graph.node}
    for conv in (node for node in model.graph.node if node.op_type == "Conv"):
        dequantise = makers[conv.input[0]]
        quantise = makers.get(dequantise.input[0])
        if quantise is None or makers[quantise.input[0]].op_type != "Cast":
            continue
        scale, weights = (initializers[node.input[1]] for node in (quantise, makers[conv.input[1]]))
        _multiply(scale, PIXEL_SCALE)
        _multiply(weights, 1 / PIXEL_SCALE)
    return model


def _multiply(tensor: TensorProto, factor: float) -> None:
    tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * np.float32(factor), tensor.name))


def _with_float_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph with float32 weights inside it, as the quantiser wants them, and no casts of them."""
    halves = {tensor.name: tensor for tensor in model.graph.initializer if tensor.data_type == TensorProto.FLOAT16}
    for node in [n for n in model.graph.node if n.op_type == "Cast" and n.input[0] in halves]:
        tensor = halves[node.input[0]]
        values = numpy_helper.to_array(tensor).astype(np.float32)
        model.graph.initializer.remove(tensor)
        model.graph.initializer.append(numpy_helper.from_array(values, node.output[0]))
        model.graph.node.remove(node)
    return model
