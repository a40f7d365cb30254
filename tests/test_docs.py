"""The documentation does what it says: commands and programs in it run, their output is as shown, tables match the code."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from siamtrack import errors
from siamtrack.errors import SiamtrackError
from siamtrack.synthetic.scene import Scene
from siamtrack.video import VideoWriter

ROOT = Path(__file__).resolve().parent.parent
README, QUICKSTART = ROOT / "README.md", ROOT / "docs" / "quickstart.md"
ENVIRONMENT = os.environ | {"COLUMNS": "100", "PYTHONUTF8": "1", "NO_COLOR": "1"}
FRAMES = 22
HANGS_S = 1800  # the longest takes two minutes on two idle cores


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with `video.mp4`, whose first three targets are where the documentation says."""
    with VideoWriter(tmp_path / "video.mp4", fps=25) as video:
        for frame in Scene().frames(FRAMES):
            video.write(frame.image, frame.time)
    return tmp_path


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def commands(page: Path) -> list[tuple[str, list[str]]]:
    """Each command of the console blocks, with the lines of output shown after it."""
    found: list[tuple[str, list[str]]] = []
    for block in blocks(page, "console"):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
            elif line.strip():
                found[-1][1].append(line)
    return found


def run(command: list[str], folder: Path) -> str:
    both = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    done = subprocess.run(command, cwd=folder, env=ENVIRONMENT, text=True, encoding="utf-8", timeout=HANGS_S, **both)
    assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout}"
    return done.stdout


def shape(line: str) -> str:
    """A line of output without what differs from machine to machine: numbers, widths of columns, kind of slash."""
    line = re.sub(r"\d+(\.\d+)?", "N", line.replace("\\", "/"))
    return re.sub(r"\s+", " ", re.sub("([━─])+", r"\1", line)).strip()


@pytest.mark.parametrize("page", [README, QUICKSTART], ids=lambda page: page.name)
def test_commands_run_and_print_what_is_shown(page: Path, folder: Path) -> None:
    for command, shown in commands(page):
        name, *arguments = shlex.split(command)
        assert name == "siamtrack", f"'{command}' cannot be run here; put it in a text block"
        printed = {shape(line) for line in run([sys.executable, "-m", "siamtrack", *arguments], folder).splitlines()}
        missing = [line for line in shown if shape(line) not in printed]
        assert not missing, f"'{command}' does not print {missing}"
        for option in ("--out", "--video", "--sheet"):
            if option in arguments:
                assert (folder / arguments[arguments.index(option) + 1]).stat().st_size > 0


def test_programs_of_the_readme_run(folder: Path) -> None:
    programs = blocks(README, "python")
    assert programs
    outputs = [run([sys.executable, "-W", "error::DeprecationWarning:__main__", "-c", text], folder) for text in programs]
    assert len(outputs[0].splitlines()) == 2 * FRAMES


def test_no_other_block_holds_a_command_that_could_run() -> None:
    for page in (README, QUICKSTART):
        for block in blocks(page, "text"):
            lines = [line for line in block.splitlines() if line.startswith("siamtrack ")]
            assert not lines or "siamtrack[train]" in block or "siamtrack[evaluate]" in block, f"{page.name}: {lines}"


def test_the_table_of_exit_codes_is_that_of_the_errors() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, SiamtrackError)]
    rows = re.findall(r"^\| (\d+) \|.*\| (.*)\|$", QUICKSTART.read_text(encoding="utf-8"), re.MULTILINE)
    documented = {int(code): set(re.findall(r"`(\w+)`", names)) for code, names in rows}
    raised = {code: {kind.__name__ for kind in kinds if kind.exit_code == code} for code in {kind.exit_code for kind in kinds}}
    assert documented == raised | {0: set(), 130: set()}
    section = README.read_text(encoding="utf-8").partition("## Exit codes")[2].partition("\n## ")[0]
    assert {int(code) for code in re.findall(r"`(\d+)`", section)} == set(documented)


def test_links_between_files_lead_somewhere_and_pictures_are_small() -> None:
    for page in (README, ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            path = page.parent / target
            assert path.is_file(), f"{page.name} links to {target}"
            assert path.suffix not in {".jpg", ".png"} or path.stat().st_size < 500_000
