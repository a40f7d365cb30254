"""ONNX Runtime: the same graphs where OpenVINO is not wanted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from siamtrack.errors import MissingExtraError
from siamtrack.tracking import Maps

PRECISIONS = ("auto", "float32", "int8")


class ONNXNetwork:
    """Computes a network from its two graphs; see `siamtrack.tracking.Network`.

    Args:
        template_graph: ONNX file, patches -> templates.
        search_graph: ONNX file, templates and patches -> maps; the quantised one for int8.
        threads: at most so many; None: all that ONNX Runtime finds.

    Raises:
        MissingExtraError: onnxruntime is not installed.
    """

    def __init__(self, template_graph: Path, search_graph: Path, *, threads: int | None = None) -> None:
        try:
            import onnxruntime
        except ImportError:
            raise MissingExtraError("onnxruntime", extra="onnx", purpose="The onnx runtime") from None
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        if threads is not None:
            options.intra_op_num_threads = threads
        providers = ["CPUExecutionProvider"]
        self._embed = onnxruntime.InferenceSession(str(template_graph), options, providers=providers)
        self._match = onnxruntime.InferenceSession(str(search_graph), options, providers=providers)
        self.description = f"ONNX Runtime {onnxruntime.__version__}"

    def embed(self, patches: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See `siamtrack.tracking.Network.embed`."""
        return np.asarray(self._embed.run(None, {"patches": patches})[0], np.float32)

    def match(self, templates: NDArray[np.float32], patches: NDArray[np.uint8]) -> Maps:
        """See `siamtrack.tracking.Network.match`."""
        maps = self._match.run(None, {"templates": templates, "patches": patches})
        return tuple(np.asarray(values, np.float32) for values in maps)
