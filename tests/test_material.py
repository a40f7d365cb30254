"""Pictures in folders as material: what is found, how it is read, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from drawn_material import disc, every_kind, noise, write

from siamtrack.errors import DataError
from siamtrack.synthetic.material import Cutout, Material, Still, find_material
from siamtrack.synthetic.picture_files import PictureCache


def test_every_kind_of_material_is_found(tmp_path: Path) -> None:
    found = find_material([every_kind(tmp_path)])
    stills = {still.path.stem: still for still in found.stills}
    assert sorted(stills) == ["far", "few", "many", "opaque", "picture0", "picture1", "picture2", "scene"]
    assert stills["many"].boxes == ((10, 20, 30, 40), (50, 60, 70, 30))  # class number dropped, tiny one left out
    assert stills["few"].boxes == ((5, 6, 70, 80),)
    assert [(c.path.stem, c.segment, c.polygon) for c in found.cutouts] == [
        ("many", None, (20, 20, 80, 20, 50, 90)),
        ("smile", None, None),
        ("scene", 7, None),
    ]
    assert [track.frames[0].parent.name for track in found.tracks] == ["run", "img"]
    assert [box.absent for box in found.tracks[0].boxes] == [False, True, False]
    assert found.tracks[1].read(2).shape == (120, 160, 3)
    assert stills["scene"].read().shape == (120, 160, 3)


def test_cutouts_are_cropped_to_what_is_solid(tmp_path: Path) -> None:
    found = find_material([every_kind(tmp_path)])
    polygon, emoji, segment = (cutout.read() for cutout in found.cutouts)
    assert emoji.shape == (57, 77, 4)  # of 60 x 80
    assert segment.shape[:2] == (60, 70)
    assert (segment[5:-5, 5:-5, 3] == 255).all()
    assert polygon.shape[:2] == pytest.approx((71, 61), abs=2)
    assert polygon[-1, 0, 3] == 0  # beside the tip of the triangle
    red = find_material([every_kind(tmp_path / "red")]).stills[0].read()
    assert red.flags.c_contiguous


def test_hidden_names_count_for_nothing(tmp_path: Path) -> None:
    """What is half written, and what macOS leaves beside files on foreign disks."""
    found = find_material([every_kind(tmp_path)])
    write(tmp_path / "._red.png", np.full((30, 40, 3), 255, np.uint8))
    (tmp_path / ".000000-part" / "img").mkdir(parents=True)
    write(tmp_path / ".000000-part" / "img" / "00000.png", np.full((30, 40, 3), 255, np.uint8))
    (tmp_path / ".000001-part").mkdir()
    (tmp_path / ".000001-part" / "groundtruth.txt").write_text("1,2,3,4\n", encoding="utf-8")
    assert find_material([tmp_path]).digest() == found.digest()


def test_pictures_are_rgb(tmp_path: Path) -> None:
    write(tmp_path / "red.png", np.full((30, 40, 3), (0, 0, 255), np.uint8))  # OpenCV writes BGR
    write(tmp_path / "disc.png", disc(colour=(0, 0, 255)))
    found = find_material([tmp_path])
    assert found.stills[0].read()[0, 0].tolist() == [255, 0, 0]
    assert found.cutouts[0].read()[30, 40].tolist() == [255, 0, 0, 255]


def test_a_folder_given_as_a_track_is_a_track(tmp_path: Path) -> None:
    every_kind(tmp_path)
    found = find_material([tmp_path / "plain", tmp_path / "tracks" / "walk"])
    assert len(found.tracks) == 1
    assert len(found.stills) == 4


def break_(name: str) -> Callable[[Path], object]:
    def annotate(text: str) -> Callable[[Path], object]:
        return lambda folder: (folder / "boxes" / "annotations.json").write_text(text)

    return {
        "no json": annotate("{"),
        "a list": annotate("[1, 2]"),
        "a number for boxes": annotate('{"many": 5}'),
        "three numbers": annotate('{"many": [[1, 2, 3]]}'),
        "words": annotate('{"many": [["a", "b", "c", "d"]]}'),
        "empty polygon": annotate('{"many": {"polygons": [[]]}}'),
        "null": annotate('{"many": null}'),
        "bytes": lambda folder: (folder / "boxes" / "annotations.json").write_bytes(b"\xff\xfe\xfa"),
        "colour label map": lambda folder: write(folder / "segments" / "scene_seg.png", noise()),
        "too few boxes": lambda folder: (folder / "tracks" / "run" / "groundtruth.txt").write_text("1,2,3,4\n"),
        "no frames": lambda folder: [path.unlink() for path in (folder / "tracks" / "run").glob("*.jpg")],
    }[name]


@pytest.mark.parametrize(
    "name",
    [
        "no json",
        "a list",
        "a number for boxes",
        "three numbers",
        "words",
        "empty polygon",
        "null",
        "bytes",
        "colour label map",
        "too few boxes",
        "no frames",
    ],
)
def test_bad_annotations_are_refused_by_name(tmp_path: Path, name: str) -> None:
    break_(name)(every_kind(tmp_path))
    with pytest.raises(DataError, match=r"annotations\.json|scene_seg|run"):
        find_material([tmp_path])


@pytest.mark.parametrize("name", ["many.jpg", "Many", "gone"])
def test_annotations_of_no_picture_are_refused(tmp_path: Path, name: str) -> None:
    """Or all boxes of a folder might be passed over for an ending that stands behind its names."""
    (every_kind(tmp_path) / "boxes" / "annotations.json").write_text(json.dumps({name: [[5, 6, 70, 80]], "few": []}))
    with pytest.raises(DataError, match=rf"annotations\.json' names '{name}', and there is no such picture.*without .*ending"):
        find_material([tmp_path])


def test_a_bad_line_of_a_track_is_refused(tmp_path: Path) -> None:
    (every_kind(tmp_path) / "tracks" / "run" / "groundtruth.txt").write_text("1,2,3,4\n1,2,3\n1,2,3,4\n")
    with pytest.raises(DataError, match=r"groundtruth\.txt, line 2: found '1,2,3'"):
        find_material([tmp_path])


def test_tracks_may_be_separated_by_anything_but_must_show_something(tmp_path: Path) -> None:
    truth = every_kind(tmp_path) / "tracks" / "run" / "groundtruth.txt"
    truth.write_text("10\t10 40,40\nnan nan nan nan\n1 2 -3 -4\n")
    assert [track.present for track in find_material([tmp_path]).tracks] == [[0], [0, 2]]
    truth.write_text("nan,nan,nan,nan\n" * 3)
    with pytest.raises(DataError, match="has no frame with its object"):
        find_material([tmp_path])


def test_16_bits(tmp_path: Path) -> None:
    """Colours and alpha are scaled, not wrapped, and labels keep their numbers."""
    alpha = np.zeros((60, 80), np.uint16)
    alpha[10:50, 20:60] = 65535
    alpha[:, :20] = 200  # next to nothing of 65535
    write(tmp_path / "cut.png", np.dstack([np.full((60, 80, 3), (257, 257 * 2, 257 * 100), np.uint16), alpha]))
    write(tmp_path / "scene.png", noise())
    labels = np.zeros((120, 160), np.uint16)
    labels[30:90, 20:75] = 300
    labels[30:90, 85:140] = 300 - 256
    write(tmp_path / "scene_seg.png", labels)
    cut, *segments = find_material([tmp_path]).cutouts
    assert cut.read().shape == (40, 40, 4)
    assert cut.read()[5, 5].tolist() == [100, 2, 1, 255]
    assert [segment.segment for segment in segments] == [44, 300]
    assert [segment.read().shape for segment in segments] == [(60, 55, 4)] * 2


def test_a_label_map_of_another_size_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "scene.png", noise())
    write(tmp_path / "scene_seg.png", np.zeros((120, 100), np.uint8))
    with pytest.raises(DataError, match=r"scene_seg\.png' has 100x120 pixels; its picture has 160x120"):
        find_material([tmp_path])


def test_names_in_any_script(tmp_path: Path) -> None:
    (tmp_path / "Bilder-äß").mkdir()
    write(tmp_path / "a.png", disc())
    (tmp_path / "a.png").rename(tmp_path / "Bilder-äß" / "猫.png")
    write(tmp_path / "b.png", noise())
    found = find_material([tmp_path])
    assert found.cutouts[0].read().shape == (57, 77, 4)


def test_the_picture_cache_is_bounded_by_bytes() -> None:
    cache = PictureCache(100)
    made: list[str] = []

    def get(name: str, size: int) -> int:
        return len(cache.get(name, lambda: made.append(name) or np.zeros(size, np.uint8)))  # type: ignore[func-returns-value]

    assert [get("a", 40), get("b", 40), get("a", 40)] == [40, 40, 40]
    get("c", 40)  # b was not used for longest
    get("a", 40)
    get("huge", 101)  # never kept, and drives nothing out
    get("c", 40)
    assert made == ["a", "b", "c", "huge"]
    assert cache.size == 80
    get("b", 40)
    assert made[-1] == "b"


def test_the_digest_is_of_what_decides_the_pairs(tmp_path: Path) -> None:
    found = find_material([every_kind(tmp_path / "here")])
    assert found.digest() == find_material([every_kind(tmp_path / "there")]).digest()
    assert found.digest() != replace(found, tracks=()).digest()
    write(tmp_path / "here" / "plain" / "picture0.jpg", noise(seed=77))
    assert found.digest() != find_material([tmp_path / "there"]).digest()
    (tmp_path / "here" / "plain" / "picture0.jpg").unlink()
    with pytest.raises(DataError, match=r"picture0\.jpg' cannot be read any more"):
        found.digest()


def test_folders_without_pictures_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        find_material([tmp_path / "none"])
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(DataError, match="No still images"):
        find_material([tmp_path])


def test_what_cannot_be_decoded_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    (still,) = find_material([tmp_path]).stills
    with pytest.raises(DataError, match=r"broken\.jpg' cannot be decoded"):
        still.read()


def test_training_and_validation_share_no_picture_and_stay_where_they_are() -> None:
    """By the name alone, so a picture that comes later moves no other."""
    pictures = [Path("set") / f"{number}.jpg" for number in range(2000)]
    stills = tuple(Still(path) for path in pictures)
    cutouts = tuple(Cutout(path, polygon=(float(n),) * 6) for path in pictures for n in range(2))
    whole = Material(stills, cutouts, ())
    training, validation = whole.part("training"), whole.part("validation")
    seen = [{thing.path for thing in (*part.stills, *part.cutouts)} for part in (training, validation)]
    assert not seen[0] & seen[1]
    assert seen[0] | seen[1] == set(pictures)
    assert 0.03 < len(validation.stills) / 2000 < 0.07
    assert 2 * len(validation.stills) == len(validation.cutouts)  # all cut-outs of a picture go with it
    later = Material((*stills, Still(Path("set/new.jpg"))), cutouts, ()).part("validation")
    assert set(validation.stills) <= set(later.stills)
    moved = Material(tuple(Still(Path("/elsewhere") / path) for path in pictures), (), ()).part("validation")
    assert [still.path.name for still in moved.stills] == [still.path.name for still in validation.stills]
