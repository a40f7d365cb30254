"""OpenVINO on the CPU: the default runtime, and for all but the smallest networks the fastest where the processor has bfloat16
or int8 instructions.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from siamtrack.runtimes.openvino_core import openvino_core
from siamtrack.tracking import Maps

PRECISIONS = ("auto", "float32", "bfloat16", "int8")


class OpenVINONetwork:
    """Computes a network from its two graphs; see `siamtrack.tracking.Network`.

    Args:
        template_graph: ONNX file, patches -> templates.
        search_graph: ONNX file, templates and patches -> maps; the quantised one for int8.
        precision: "auto" lets the hardware pick (bfloat16 where the processor computes it), "float32" and "bfloat16"
            force one; "int8" is a property of the search graph, and what is not quantised in it is computed as in "auto".
        threads: at most so many; None: all that OpenVINO finds.
    """

    def __init__(
        self, template_graph: Path, search_graph: Path, *, precision: str = "auto", threads: int | None = None
    ) -> None:
        import openvino

        options: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY"}
        hints = {"float32": "f32", "bfloat16": "bf16"}
        if precision in hints:
            options["INFERENCE_PRECISION_HINT"] = hints[precision]
        if threads is not None:
            options["INFERENCE_NUM_THREADS"] = threads
        self._options = options
        # the numbers of targets and of scales stay dynamic: compiled for one of each, SiamFC is no faster, siamnano by a sixth
        self._embed, self._match = (self._compiled(graph) for graph in (template_graph, search_graph))
        chosen = self._match.get_property("INFERENCE_PRECISION_HINT").to_string()
        self.description = (
            f"OpenVINO {openvino.__version__.split('-')[0]}, {'int8 and ' if precision == 'int8' else ''}{chosen}"
        )

    def _compiled(self, graph: Path) -> Any:
        return openvino_core().compile_model(str(graph), "CPU", self._options)

    def embed(self, patches: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See `siamtrack.tracking.Network.embed`."""
        return np.array(self._embed([patches])[0], np.float32)

    def match(self, templates: NDArray[np.float32], patches: NDArray[np.uint8]) -> Maps:
        """See `siamtrack.tracking.Network.match`."""
        return tuple(np.array(values, np.float32) for values in self._match([templates, patches]).to_tuple())


class OpenVINOMaskNetwork(OpenVINONetwork):
    """With masks; see `siamtrack.tracking.MaskNetwork`.

    Args:
        template_graph: as for `OpenVINONetwork`, and so are all others.
        search_graph: see there.
        mask_graph: ONNX file, places of the maps -> masks.
        precision: see there.
        threads: see there.
    """

    def __init__(
        self,
        template_graph: Path,
        search_graph: Path,
        mask_graph: Path,
        *,
        precision: str = "auto",
        threads: int | None = None,
    ) -> None:
        super().__init__(template_graph, search_graph, precision=precision, threads=threads)
        self._masks = self._compiled(mask_graph)

    def masks(self, cells: NDArray[np.float32], *windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `siamtrack.tracking.MaskNetwork.masks`."""
        return np.array(self._masks([cells, *windows])[0], np.float32)
