"""A tracker that speaks TraX: what it makes of regions, and whole sessions with the package's own client."""

from __future__ import annotations

import configparser
import math
import os
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from command_line import EXTRA, FAST, INPUT, render, run, scene

from siamtrack.box import Box
from siamtrack.errors import BoxError, DataError, SiamtrackError
from siamtrack.evaluation.trax_server import Targets, region_of, serve
from siamtrack.frames import read
from siamtrack.image import Image
from siamtrack.library import EMBEDDED, open_model
from siamtrack.tracking import Prediction, track

COMMAND = [sys.executable, "-m", "siamtrack", "vot", "--threads", "1", *FAST, "--set", "start_box=min-max"]
IMAGE = np.zeros((48, 64, 3), np.uint8)
LOG: list[str] = []  # the package's client fails without one
SLANTED = (20.0, 10.0, 30.0, 10.0, 35.0, 20.0, 25.0, 20.0)


class Drifting:
    """Says that a target moves a pixel to the right in each frame, and scores it by its width."""

    def start(self, frame: Image, boxes: Sequence[Box]) -> list[Box]:
        if any(box.x > frame.shape[1] for box in boxes):
            raise BoxError("The box lies outside the frame.")
        return list(boxes)

    def step(self, frame: Image, states: Sequence[Box]) -> tuple[list[Box], list[Prediction]]:
        moved = [box._replace(x=box.x + 1) for box in states]
        return moved, [Prediction(box=box, score=box.w) for box in moved]


def region(*values: float) -> np.ndarray:
    return np.array(values)


def xs(predictions: Sequence[Prediction]) -> list[float]:
    return [prediction.box.x for prediction in predictions]


def test_targets_join_at_any_time_and_keep_their_order() -> None:
    targets = Targets(Drifting(), "area")
    first = targets.step(IMAGE, [region(5, 5, 10, 10), region(20, 5, 10, 10)])
    assert xs(first) == [5, 20]
    assert all(math.isnan(prediction.score) for prediction in first)
    assert xs(targets.step(IMAGE, [])) == [6, 21]
    joined = targets.step(IMAGE, [region(40, 5, 10, 10)])
    assert xs(joined) == [7, 22, 40]
    assert [math.isnan(prediction.score) for prediction in joined] == [False, False, True]
    assert xs(targets.step(IMAGE, [])) == [8, 23, 41]
    targets.begin()
    assert xs(targets.step(IMAGE, [region(1, 5, 10, 10)])) == [1]


def test_a_polygon_becomes_a_box_by_the_rule_that_was_chosen() -> None:
    around = Targets(Drifting(), "min-max").step(IMAGE, [region(*SLANTED)])[0].box
    same_area = Targets(Drifting(), "area").step(IMAGE, [region(*SLANTED)])[0].box
    assert around == Box(20, 10, 15, 10)
    assert same_area.area == pytest.approx(10 * math.dist((30, 10), (35, 20)))  # |p1 p2| |p2 p3|
    assert same_area.center == pytest.approx((27.5, 15))


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "trax", None)
    ended = run("vot", "--threads", 1)
    assert ended.code == EXTRA
    assert "'vot-trax'" in ended.error
    assert "siamtrack[vot]" in ended.error


def test_the_lines_for_the_toolkit_run_the_same_tracker_anywhere(tmp_path: Path) -> None:
    (tmp_path / "mine at 50%").symlink_to(EMBEDDED / "siamfc")
    ended = run(
        "vot",
        "--model",
        "mine at 50%",
        "--threads",
        2,
        "--set",
        "scales=1",
        "--set",
        "start_box=pysot",
        "--ini",
        folder=tmp_path,
    )
    assert ended.code == 0, ended.err
    stanzas = configparser.ConfigParser()
    stanzas.read_string(ended.out)
    (name,) = stanzas.sections()
    assert name == "mine-at-50-"  # the toolkit takes letters, digits, - and _
    assert stanzas[name]["protocol"] == "trax"
    python, *arguments = shlex.split(stanzas[name]["command"])
    assert python == sys.executable
    assert arguments[:5] == ["-m", "siamtrack", "vot", "--model", str(tmp_path / "mine at 50%")]
    assert arguments[arguments.index("--threads") + 1] == "2"
    assert arguments[-4:] == ["--set", "scales=1", "--set", "start_box=pysot"]


def test_a_name_stays_a_name_and_a_model_that_cannot_be_opened_is_told_at_once() -> None:
    command = run("vot", "--ini").out.splitlines()[-1]
    assert "--model siamnano " in command
    assert run("vot", "--ini", "--set", "lrr=1").code == INPUT
    assert "start_box" in run("vot", "--ini", "--set", "start_box=round").error


class Masking(Drifting):
    """Has masks, of the upper half of a box, and turned boxes, its diamond; of a box that is 9 px high the mask is empty."""

    def step(self, frame: Image, states: Sequence[Box]) -> tuple[list[Box], list[Prediction]]:
        states, predictions = super().step(frame, states)
        return states, [replace(one, mask=upper_half(one.box), polygon=np.array(diamond(one.box))) for one in predictions]


def upper_half(box: Box) -> np.ndarray:
    x, y, w, h = map(int, box)
    mask = np.zeros(IMAGE.shape[:2], bool)
    mask[y : y + h // 2, x : x + w] = h != 9
    return mask


@dataclass
class Session:
    """A server in a thread of this process, and the pipes to it and from it."""

    thread: threading.Thread
    write_to: int
    read_from: int
    errors: list[SiamtrackError] = field(default_factory=list)

    def ended(self) -> SiamtrackError | None:
        self.thread.join(60)
        assert not self.thread.is_alive()
        return self.errors[0] if self.errors else None

    def client(self) -> Any:
        return pytest.importorskip("trax.client").Client(stream=(self.write_to, self.read_from), log=LOG.append)


@pytest.fixture
def tracker() -> Drifting:
    return Drifting()


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch, tracker: Drifting) -> Iterator[Session]:
    pytest.importorskip("trax")
    from_client, to_server = os.pipe()
    from_server, to_client = os.pipe()
    monkeypatch.setenv("TRAX_IN", str(from_client))
    monkeypatch.setenv("TRAX_OUT", str(to_client))
    errors: list[SiamtrackError] = []

    def served() -> None:
        try:
            serve(tracker, name="drifting", start_box="min-max")
        except SiamtrackError as error:
            errors.append(error)

    thread = threading.Thread(target=served, daemon=True)
    thread.start()
    yield Session(thread, to_server, from_server, errors)
    os.close(to_server)
    thread.join(60)
    for end in (from_client, from_server, to_client):
        os.close(end)


@pytest.fixture
def picture(tmp_path: Path) -> dict[str, Any]:
    trax = pytest.importorskip("trax")
    path = tmp_path / "a frame.png"
    assert cv2.imwrite(str(path), IMAGE)
    return {"color": trax.FileImage.create(str(path))}


def diamond(box: Box) -> list[tuple[float, float]]:
    """The middles of a box's sides: half its area, and the same box around them."""
    (x, y), (cx, cy) = box[:2], box.center
    return [(cx, y), (x + box.w, cy), (cx, y + box.h), (x, cy)]


def answers(reply: tuple[list[Any], float]) -> list[tuple[tuple[float, ...], dict[str, str]]]:
    return [(found.bounds(), properties) for found, properties in reply[0]]


def test_a_session_with_targets_that_join_and_a_second_start(session: Session, picture: dict[str, Any]) -> None:
    trax = pytest.importorskip("trax")
    client = session.client()
    assert (client.tracker_name, client.get("multiobject"), client.image_formats) == ("drifting", True, ["path"])
    assert client.region_formats == ["rectangle", "polygon", "mask"]
    slanted = trax.Polygon.create(list(zip(SLANTED[::2], SLANTED[1::2], strict=True)))
    assert answers(client.initialize(picture, [(slanted, {})], {})) == [((20, 10, 15, 10), {})]
    assert answers(client.frame(picture, {}, [])) == [((21, 10, 15, 10), {"confidence": "15"})]
    joins = trax.Rectangle.create(1.5, 2.25, 8, 6)
    assert answers(client.frame(picture, {}, [(joins, {})])) == [
        ((22, 10, 15, 10), {"confidence": "15"}),
        ((1.5, 2.25, 8, 6), {}),
    ]
    assert [box[0] for box, _ in answers(client.frame(picture, {}, []))] == [23, 2.5]
    again = trax.Rectangle.create(30, 2, 8, 6)
    assert answers(client.initialize(picture, [(again, {})], {})) == [((30, 2, 8, 6), {})]
    assert answers(client.frame(picture, {}, [])) == [((31, 2, 8, 6), {"confidence": "8"})]
    client.quit()
    assert session.ended() is None


@pytest.mark.parametrize("tracker", [Masking()])
def test_masks_and_turned_boxes_are_answered_to_who_sends_such(session: Session, picture: dict[str, Any]) -> None:
    trax = pytest.importorskip("trax")
    client = session.client()
    slanted = trax.Polygon.create(list(zip(SLANTED[::2], SLANTED[1::2], strict=True)))
    drawn = trax.Mask.create(np.ones((8, 6), np.uint8), x=10, y=20)
    empty = trax.Mask.create(np.ones((9, 6), np.uint8), x=40, y=20)
    joining = [(region, {}) for region in (slanted, trax.Rectangle.create(1, 2, 8, 6), drawn, empty)]
    assert [region.type for region, _ in client.initialize(picture, joining, {})[0]] == ["rectangle"] * 4
    turned, upright, mask, without = (region for region, _ in client.frame(picture, {}, [])[0])
    assert [turned.get(i) for i in range(turned.size())] == diamond(Box(21, 10, 15, 10))
    assert upright.bounds() == (2, 2, 8, 6)
    rows, columns = np.nonzero(mask.array(normalize=True))
    assert (rows.min(), rows.max(), columns.min(), columns.max(), len(rows)) == (20, 23, 11, 16, 24)
    assert without.bounds() == (41, 20, 6, 9)
    client.initialize(picture, joining[1:2], {})
    assert answers(client.frame(picture, {}, [])) == [((2, 2, 8, 6), {"confidence": "8"})]
    client.quit()
    assert session.ended() is None


def test_the_client_is_told_why_a_target_cannot_be_taken(session: Session, picture: dict[str, Any]) -> None:
    trax = pytest.importorskip("trax")
    client = session.client()
    with pytest.raises(trax.TraxException, match=r"The box lies outside the frame\."):
        client.initialize(picture, [(trax.Rectangle.create(100, 2, 8, 6), {})], {})
    assert isinstance(session.ended(), BoxError)


def test_a_client_that_goes_away_ends_the_session(session: Session, tmp_path: Path) -> None:
    assert cv2.imwrite(str(tmp_path / "frame.png"), IMAGE)
    os.write(session.write_to, f'@@TRAX:initialize "10,2,8,6"\n@@TRAX:frame "file://{tmp_path}/frame.png"\n'.encode())
    said = b""
    while b"@@TRAX:state" not in said or not said.endswith(b"\n"):  # lines may come together or one by one
        said += os.read(session.read_from, 4096)
    assert said.startswith(b"@@TRAX:hello")
    os.dup2(session.read_from, session.write_to)  # closes the last end that can be written to
    assert "did the client go away?" in str(session.ended())


def test_what_is_not_trax_ends_the_session(session: Session) -> None:
    os.write(session.write_to, b'some output\n@@TRAX:initialize "10,2,8,6" "20,2,8,6"\n')  # a second region too many
    assert session.ended() is not None


def test_a_person_is_told_who_runs_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    ended = run("vot", "--threads", 1)
    assert ended.code == INPUT
    assert "--ini" in ended.error


def test_regions_of_the_package() -> None:
    trax = pytest.importorskip("trax")
    sent = (123.4567, 1023.0001, 17.1, 0.3)  # none of them is a 32-bit float
    assert region_of(trax.Rectangle.create(*sent)).tolist() == list(sent)
    corners = [(1.1, 2.2), (3.3, 2.2), (4.4, 5.5), (1.1, 5.5), (0.7, 3.9)]
    assert region_of(trax.Polygon.create(corners)).tolist() == [v for corner in corners for v in corner]
    mask = np.zeros((6, 9), np.uint8)
    mask[2:5, 3:8] = 1
    mask[2, 3] = 0
    assert region_of(trax.Mask.create(mask, x=10, y=20)).tolist() == [13, 22, 5, 3]
    with pytest.raises(DataError, match="mask"):
        region_of(trax.Mask.create(np.zeros((6, 9), np.uint8)))
    with pytest.raises(DataError, match="special"):
        region_of(trax.Special.create(1))


def test_the_command_follows_as_the_library_does(tmp_path: Path) -> None:
    trax = pytest.importorskip("trax")
    client = pytest.importorskip("trax.client")
    boxes = [Box(*(round(v, 4) for v in scene().box(0, target))) for target in (0, 1)]  # as TraX will send them
    frames = list(read(render(tmp_path / "video.mp4", 6)))
    steps = list(track(open_model("siamfc", threads=1, overrides=["scales=1"]), frames, boxes))
    paths = [tmp_path / f"{number}.png" for number in range(6)]
    for path, frame in zip(paths, frames, strict=True):
        assert cv2.imwrite(str(path), frame.image[..., ::-1])
    with subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        session = client.Client(stream=(process.stdin.fileno(), process.stdout.fileno()), log=LOG.append)
        images = [{"color": trax.FileImage.create(str(path))} for path in paths]
        joining = [(trax.Polygon.create(diamond(boxes[0])), {}), (trax.Rectangle.create(*boxes[1]), {})]
        replies = [session.initialize(images[0], joining, {})]
        replies += [session.frame(image, {}, []) for image in images[1:]]
        session.quit()
        assert process.wait(120) == 0
    for step, reply in zip(steps, replies, strict=True):
        for prediction, (box, properties) in zip(step.predictions, answers(reply), strict=True):
            assert box == pytest.approx(tuple(prediction.box), abs=2e-4)
            if step is not steps[0]:
                assert float(properties["confidence"]) == pytest.approx(prediction.score, rel=1e-4)
