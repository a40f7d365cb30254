"""Models that are opened and closed leave the process as it was: see `siamtrack.runtimes.openvino_core`."""

from __future__ import annotations

import subprocess
import sys

import pytest

CLOSED = """
import gc, os, signal
from siamtrack.library import open_model
first = open_model("siamfc", threads=1)
second = open_model("siamfc-small", threads=1)
del first
gc.collect()
del second
gc.collect()
signal.signal(signal.SIGCHLD, lambda *_: print("a child has ended"))
os.waitpid(os.posix_spawn("/bin/sh", ["sh", "-c", "exit 0"], {}), 0)
print("alive")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals")
def test_a_signal_after_two_models_were_closed_is_handled() -> None:
    ended = subprocess.run([sys.executable, "-c", CLOSED], capture_output=True, text=True, timeout=600, check=False)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.split("\n")[:2] == ["a child has ended", "alive"]
