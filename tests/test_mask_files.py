"""Masks on disk: what is written is what other programs read."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray
from pycocotools import mask as coco

from siamtrack.box import Box
from siamtrack.datasets.palette_masks import read_labels
from siamtrack.draw import PALETTE, draw_masks
from siamtrack.errors import InputError, OutputError
from siamtrack.frames import Frame
from siamtrack.mask_files import MaskWriter, cut_out, palette_png, run_lengths, target_colours
from siamtrack.outputs import Outputs
from siamtrack.results import ResultWriter, Row, read_rows
from siamtrack.tracking import Prediction, Step
from siamtrack.video import VideoWriter

MASKS = np.zeros((2, 48, 64), bool)
MASKS[0, 5:20, 8:30], MASKS[1, 30:40, 30:60] = True, True
OLD_PYCOCOTOOLS = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
IMAGE = np.random.default_rng(0).integers(0, 256, (48, 64, 3)).astype(np.uint8)


def steps() -> list[Step]:
    """The frame with the boxes, and two with masks; in the last one the second target has none of its pixels left."""
    boxes = [Box(8, 5, 22, 15), Box(30, 30, 30, 10)]
    given = [Prediction(box=box, score=float("nan")) for box in boxes]
    found = [
        [Prediction(box=box, score=0.9, mask=mask, polygon=np.ones((4, 2))) for box, mask in zip(boxes, masks, strict=True)]
        for masks in (MASKS, [MASKS[0], np.zeros_like(MASKS[1])])
    ]
    return [
        Step(frame=Frame(index=index, time=index / 25, image=IMAGE), predictions=predictions, seconds=0.01)
        for index, predictions in enumerate([given, *found])
    ]


@OLD_PYCOCOTOOLS
@given(arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=9)))
def test_run_lengths_are_those_of_coco(mask: NDArray[np.bool_]) -> None:
    counts = run_lengths(mask)
    assert sum(counts) == mask.size
    encoded = coco.frPyObjects({"size": list(mask.shape), "counts": counts}, *mask.shape)
    assert np.array_equal(coco.decode(encoded).astype(bool), mask)


@given(arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=9)))
def test_a_png_has_the_numbers_and_the_colours(labels: NDArray[np.uint8]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "labels.png"
        path.write_bytes(palette_png(labels, target_colours()))
        assert np.array_equal(read_labels(path), labels)
    colours = cv2.imdecode(np.frombuffer(palette_png(labels, target_colours()), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    expected = np.array([(0, 0, 0), *(PALETTE[n % len(PALETTE)] for n in range(255))])[labels]
    assert np.array_equal(colours, expected)


def test_a_folder_of_pictures(tmp_path: Path) -> None:
    with MaskWriter(tmp_path / "masks", targets=2) as writer:
        for step in steps():
            writer.write(step)
    names = sorted(path.name for path in (tmp_path / "masks").iterdir())
    assert names == ["00000.png", "00001.png", "00002.png"]
    labels = [read_labels(tmp_path / "masks" / name) for name in names]
    assert not labels[0].any()
    assert np.array_equal(labels[1], MASKS[0] + 2 * MASKS[1])
    assert np.array_equal(labels[2], MASKS[0])


@OLD_PYCOCOTOOLS
def test_a_file_of_run_lengths(tmp_path: Path) -> None:
    with MaskWriter(tmp_path / "masks.json", targets=2) as writer:
        for step in steps():
            writer.write(step)
    entries = json.loads((tmp_path / "masks.json").read_text())
    names = [(entry["frame"], entry["target"], entry["score"]) for entry in entries]
    assert names == [(1, 0, 0.9), (1, 1, 0.9), (2, 0, 0.9), (2, 1, 0.9)]
    for entry, mask in zip(entries[:3], [*MASKS, MASKS[0]], strict=True):
        segmentation = entry["segmentation"]
        assert np.array_equal(coco.decode(coco.frPyObjects(segmentation, *segmentation["size"])).astype(bool), mask)


def test_paths_that_are_refused(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "holiday.png").write_bytes(b"")
    with pytest.raises(OutputError, match="holds other files; expected a new or an empty folder"):
        MaskWriter(tmp_path / "full", targets=1)
    for name in ("m.png", "m.TXT", "m.mp4"):
        with pytest.raises(OutputError, match=rf"{name}' is called like a file .* expected a folder, for PNG files, or"):
            MaskWriter(tmp_path / name, targets=1)
        assert not (tmp_path / name).exists()
    with pytest.raises(OutputError, match="at most 255 targets"):
        MaskWriter(tmp_path / "many", targets=256)
    with pytest.raises(OutputError):
        MaskWriter(tmp_path / "nowhere" / "masks.json", targets=1)
    with pytest.raises(OutputError, match=r"cannot hold transparency; .* \.webm"):
        VideoWriter(tmp_path / "x.mp4", alpha=True)


@pytest.mark.parametrize("name", [".", ""])
def test_the_folder_that_one_is_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    assert MaskWriter(Path(name), targets=1).path == tmp_path
    with pytest.raises(OutputError, match="holds other files"):
        MaskWriter(Path("/"), targets=1)


def test_polygons_in_result_files(tmp_path: Path) -> None:
    corners = (10.0, 5.5, 30.25, 8.0, 28.0, 20.0, 8.0, 17.5)
    rows = [Row(frame=n, target=0, box=Box(8, 5, 22, 15), score=0.5, polygon=corners if n else None) for n in range(3)]
    for name, layout in (("a.txt", "vot"), ("a.jsonl", None), ("a.csv", None)):
        with ResultWriter(tmp_path / name, format=layout) as writer:
            for row in rows:
                writer.write([row])
    assert (tmp_path / "a.txt").read_text().splitlines()[1] == "10.0000,5.5000,30.2500,8.0000,28.0000,20.0000,8.0000,17.5000"
    found = read_rows(tmp_path / "a.txt", format="vot")
    assert [row.polygon for row in found] == [None, corners, corners]
    assert found[1].box == Box(8, 5.5, 22.25, 14.5)
    found = read_rows(tmp_path / "a.jsonl")
    assert [row.polygon for row in found] == [None, corners, corners]
    assert found[1].box == Box(8, 5, 22, 15)
    assert read_rows(tmp_path / "a.csv")[1].polygon is None
    (tmp_path / "a.txt").write_text("1\n1,2,3,4,5,6,7,x\n")
    with pytest.raises(InputError, match=r"line 2: found .* expected eight numbers"):
        read_rows(tmp_path / "a.txt", format="vot")


def test_targets_are_tinted_and_the_rest_is_left() -> None:
    drawn = draw_masks(IMAGE, [MASKS[0], None])
    assert not np.array_equal(drawn[10, 20], IMAGE[10, 20])
    assert np.array_equal(drawn[44:], IMAGE[44:])
    assert np.array_equal(draw_masks(IMAGE, [None, 0 * MASKS[1] > 0]), IMAGE)
    full = draw_masks(np.full((48, 64, 3), 128, np.uint8), [np.ones((48, 64), bool)])
    assert np.array_equal(full[24, 32], np.round(0.55 * 128 + 0.45 * np.array(PALETTE[0])))


def test_a_cut_out_is_transparent_where_there_is_no_target(tmp_path: Path) -> None:
    picture = cut_out(IMAGE, steps()[1].predictions)
    assert np.array_equal(picture[..., 3] == 255, MASKS.any(0))
    assert np.array_equal(picture[MASKS[0]][:, :3], IMAGE[MASKS[0]])
    assert not picture[~MASKS.any(0)].any()
    paths = {"masks": tmp_path / "masks", "cut_out": tmp_path / "cut.webm", "video": tmp_path / "all.mp4"}
    with Outputs(boxes=tmp_path / "boxes.csv", format=None, sheet=None, targets=2, fps=25.0, **paths) as outputs:
        for step in steps():
            outputs.write(step)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["all.mp4", "boxes.csv", "cut.webm", "masks"]
    with av.open(str(tmp_path / "cut.webm")) as file:
        assert file.streams.video[0].metadata.get("ALPHA_MODE", file.streams.video[0].metadata.get("alpha_mode")) == "1"
        codec = av.CodecContext.create("libvpx-vp9", "r")
        frames = [frame for packet in file.demux(video=0) if packet.size for frame in codec.decode(packet)]
    alpha = frames[1].to_ndarray(format="rgba")[..., 3]
    assert ((alpha > 127) == MASKS.any(0)).mean() > 0.97
    black = tmp_path / "cut.mp4"
    with Outputs(boxes=None, format=None, video=None, sheet=None, cut_out=black, targets=2, fps=25.0) as outputs:
        for step in steps():
            outputs.write(step)
    with av.open(str(black)) as file:
        *_, last = (frame.to_ndarray(format="rgb24") for frame in file.decode(video=0))
    assert last[~cv2.dilate(MASKS[0].astype(np.uint8), np.ones((9, 9))).astype(bool)].max() < 40
    assert last[MASKS[0]].mean() > 80
