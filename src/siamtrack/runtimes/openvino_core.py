"""The one OpenVINO core of this process."""

from __future__ import annotations

import functools
from typing import Any


@functools.cache
def openvino_core() -> Any:
    """`openvino.Core`, made once and kept until the process ends.

    Its CPU plugin gives the thread that loads it a stack of its own for signals, and takes it away when the last user of that
    core is gone. Of two cores, the second then brings back the stack of the first, which may be gone already (OpenVINO 2026.4):
    the next signal, such as that of a child process that ends, ends the process without a word.
    """
    import openvino

    return openvino.Core()
