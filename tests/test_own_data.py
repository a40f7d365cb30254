"""The page on one's own videos, from ten annotated clips to a model that follows their targets better: its commands and its
program, run as they stand there but for a shorter training.
"""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import beetles
import pytest
from test_docs import ROOT, blocks, commands, run, shape

PAGE = ROOT / "docs" / "own-data.md"
SHORTER = [part for text in ("epochs=1", "pairs_per_epoch=800", "batch_size=8") for part in ("--set", text)]


@pytest.mark.slow
def test_ten_annotated_clips_make_a_better_tracker(tmp_path: Path) -> None:
    beetles.write(tmp_path / "my-videos")
    beetles.write(tmp_path / "new-videos", first=100, frames=24)
    for command, shown in commands(PAGE):
        name, *arguments = shlex.split(command)
        assert name == "siamtrack"
        if arguments[0] == "train":
            arguments += SHORTER
        printed = {shape(line) for line in run([sys.executable, "-m", "siamtrack", *arguments], tmp_path).splitlines()}
        assert not [line for line in shown if shape(line) not in printed], command
    (program,) = blocks(PAGE, "python")
    printed = run([sys.executable, "-c", program], tmp_path)
    (output,) = (block for block in blocks(PAGE, "text") if "mean overlap" in block)
    assert [shape(line) for line in printed.splitlines()] == [shape(line) for line in output.splitlines()]
    before, after, new_before, new_after = (float(value) for value in re.findall(r"overlap (\S+)", printed))
    assert after > before
    assert new_after > new_before
