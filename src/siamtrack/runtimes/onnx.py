"""ONNX Runtime: the same graphs where OpenVINO is not wanted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

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
        self._options = options
        self._embed, self._match = (self._opened(graph) for graph in (template_graph, search_graph))
        self.description = f"ONNX Runtime {onnxruntime.__version__}"

    def _opened(self, graph: Path) -> Any:
        import onnxruntime

        return onnxruntime.InferenceSession(str(graph), self._options, providers=["CPUExecutionProvider"])

    def embed(self, patches: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See `siamtrack.tracking.Network.embed`."""
        return np.asarray(self._embed.run(None, {"patches": patches})[0], np.float32)

    def match(self, templates: NDArray[np.float32], patches: NDArray[np.uint8]) -> Maps:
        """See `siamtrack.tracking.Network.match`."""
        maps = self._match.run(None, {"templates": templates, "patches": patches})
        return tuple(np.asarray(values, np.float32) for values in maps)


class ONNXMaskNetwork(ONNXNetwork):
    """With masks; see `siamtrack.tracking.MaskNetwork`.

    Args:
        template_graph: as for `ONNXNetwork`, and so are all others.
        search_graph: see there.
        mask_graph: ONNX file, places of the maps -> masks.
        threads: see there.
    """

    def __init__(self, template_graph: Path, search_graph: Path, mask_graph: Path, *, threads: int | None = None) -> None:
        super().__init__(template_graph, search_graph, threads=threads)
        self._masks = self._opened(mask_graph)

    def masks(self, cells: NDArray[np.float32], *windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `siamtrack.tracking.MaskNetwork.masks`."""
        names = [entry.name for entry in self._masks.get_inputs()]
        return np.asarray(self._masks.run(None, dict(zip(names, (cells, *windows), strict=True)))[0], np.float32)
