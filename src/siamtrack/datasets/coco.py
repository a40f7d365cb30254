"""COCO, training part (Lin et al., ECCV 2014; cocodataset.org): stills with objects of 80 kinds and their masks.

annotations/instances_train2017.json with pictures in train2017/ or images/train2017/. Without it, instances_train2014.json with
those of train2014; 2017 holds the pictures of 2014 and most of its validation part, so the two are not put together.

* Boxes are x, y, w, h in continuous pixels from 0, as siamtrack has them. Crowds (iscrowd 1) are no single objects: left out,
  as are pictures that show nothing else.
* Masks are polygons or run lengths: see `coco_masks`. They stay in the file and are read one at a time, which keeps the 860,000
  annotations of 2017 at some 100 MB.
* Clips are called like the pictures without ending, targets by the id of the annotation. Visibility is NaN: not annotated.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from json import JSONDecodeError
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from siamtrack.datasets.clips import Clip, PictureFiles, Target, TrainingSet
from siamtrack.datasets.coco_masks import decode_mask
from siamtrack.errors import DataError

_YEARS = ("2017", "2014")
_IMAGE, _ID, _CATEGORY, _START, _LENGTH = range(5)  # columns of _Objects.numbers


class COCO(TrainingSet):
    """See `TrainingSet`. Opening parses the file: some 10 seconds and, for that time, 1 GB of memory for that of 2017."""

    name = "coco"
    has_masks = True

    def __init__(self, root: Path) -> None:
        self.root = root
        self._file = next((path for path in _files(root) if path.is_file()), _files(root)[0])
        self._folder = _picture_folder(root, self._file)
        self._objects = _read(self._file)
        self._names = [picture.name for picture in self._objects.pictures]
        self._rows = {name: row for row, name in enumerate(self._names)}
        if len(self._rows) < len(self._names):
            raise DataError(f"'{self._file}' has images that differ only in the ending of their names.")

    @classmethod
    def recognises(cls, root: Path) -> bool:
        """Whether there is an official file of objects for training."""
        return any(path.is_file() for path in _files(root))

    @property
    def names(self) -> Sequence[str]:
        """See `TrainingSet`."""
        return self._names

    def clip(self, name: str) -> Clip:
        """See `TrainingSet`."""
        picture = self._objects.pictures[self._rows[name]]
        inside = slice(picture.first, picture.last)
        numbers, boxes = self._objects.numbers[inside], self._objects.boxes[inside]
        targets = tuple(
            Target(
                name=str(row[_ID]),
                category=self._objects.categories[int(row[_CATEGORY])],
                positions=np.zeros(1, np.int64),
                boxes=box[None].copy(),
                visibility=np.full(1, np.nan),
            )
            for row, box in zip(numbers, boxes, strict=True)
        )
        places = {str(row[_ID]): (int(row[_START]), int(row[_LENGTH])) for row in numbers}
        return Clip(
            name=name,
            frames=PictureFiles((self._folder / picture.file,)),
            targets=targets,
            size=picture.size,
            masks=_Masks(self._file, picture.size, places),
        )


@dataclass(frozen=True)
class _Masks:
    """The masks of a picture: see `MaskReader`."""

    path: Path
    size: tuple[int, int]
    places: dict[str, tuple[int, int]]  # bytes before and in the annotation, by its id

    def __call__(self, target: Target, index: int) -> NDArray[np.bool_] | None:
        start, length = self.places[target.name]
        try:
            with self.path.open("rb") as file:
                file.seek(start)
                annotation = json.loads(file.read(length))
        except OSError as error:
            raise DataError(f"'{self.path}' cannot be read: {error.strerror}.") from None
        except ValueError:
            annotation = None
        if not isinstance(annotation, dict) or str(annotation.get("id")) != target.name:
            raise DataError(f"'{self.path}' has changed since it was opened; open it again.")
        return decode_mask(annotation.get("segmentation"), self.size, f"{self.path}, annotation {target.name}")


@dataclass(frozen=True)
class _Picture:
    name: str
    file: str
    size: tuple[int, int]
    first: int  # of its objects
    last: int  # and one more


@dataclass(frozen=True)
class _Objects:
    """Everything in the file but the masks."""

    pictures: list[_Picture]  # by name
    categories: dict[int, str]
    numbers: NDArray[np.int64]  # (N, 5), ordered by picture; see the columns
    boxes: NDArray[np.float64]  # (N, 4)


def _files(root: Path) -> list[Path]:
    return [root / "annotations" / f"instances_train{year}.json" for year in _YEARS]


def _picture_folder(root: Path, file: Path) -> Path:
    name = file.stem.removeprefix("instances_")
    places = root / name, root / "images" / name
    found = next((place for place in places if place.is_dir()), None)
    if found is None and file.is_file():
        raise DataError(f"There is neither '{places[0]}' nor '{places[1]}'; expected the pictures that '{file}' speaks of.")
    return found or places[0]


class _Reader:
    """JSON text read piece by piece: with 860,000 annotations as objects at once, it would take several GB."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self._decode = json.JSONDecoder().raw_decode

    def value(self) -> Any:
        """What comes next, whole."""
        self.blanks()
        value, self.at = self._decode(self.text, self.at)
        return value

    def items(self, brackets: str) -> Iterator[None]:
        """Stops before each item of the list or object that comes next; what it stops at has to be read."""
        self.take(brackets[0])
        self.blanks()
        if self.text.startswith(brackets[1], self.at):
            self.at += 1
            return
        yield
        while self.take("," + brackets[1]) == ",":
            yield

    def take(self, characters: str) -> str:
        """One of these characters, which has to come next."""
        self.blanks()
        found = self.text[self.at : self.at + 1]
        if not found or found not in characters:
            raise JSONDecodeError(f"expected one of {characters}", self.text, self.at)
        self.at += 1
        return found

    def blanks(self) -> None:
        """Moves on to what is no blank."""
        while self.text[self.at : self.at + 1] in tuple(" \t\r\n"):
            self.at += 1


def _read(path: Path) -> _Objects:
    try:
        text = path.read_bytes().decode("utf-8")  # as it is: reading it as text would change line ends, and with them places
        return _objects(path, _Reader(text))
    except OSError as error:
        raise DataError(f"'{path}' cannot be read: {error.strerror}. Expected COCO's folder with annotations/ in it.") from None
    except UnicodeDecodeError:
        raise DataError(f"'{path}' is no UTF-8 text; expected COCO's JSON.") from None
    except JSONDecodeError as error:
        raise DataError(f"{path}, line {error.lineno}, column {error.colno}: {error.msg}. Unpack it again.") from None
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise DataError(f"'{path}' is not laid out as COCO's instances_train2017.json: {error!r}.") from None


def _objects(path: Path, reader: _Reader) -> _Objects:
    images: list[Any] = []
    categories: list[Any] = []
    numbers, boxes = array("q"), array("d")
    for _ in reader.items("{}"):
        key = reader.value()
        reader.take(":")
        if key == "annotations":
            _read_annotations(reader, path, numbers, boxes)
        elif key == "images":
            images = reader.value()
        elif key == "categories":
            categories = reader.value()
        else:
            reader.value()
    if not numbers:
        raise DataError(f"'{path}' has no annotation of a single object.")
    names = {int(entry["id"]): str(entry["name"]) for entry in categories}
    rows = np.array(numbers, np.int64).reshape(-1, 5)
    if unknown := set(rows[:, _CATEGORY].tolist()) - set(names):
        raise DataError(f"'{path}' has annotations of category {min(unknown)}, which is not among its categories.")
    entries = {int(entry["id"]): entry for entry in images}
    if unknown := set(rows[:, _IMAGE].tolist()) - set(entries):
        raise DataError(f"'{path}' has annotations of image {min(unknown)}, which is not among its images.")
    order = np.argsort(rows[:, _IMAGE], kind="stable")
    rows = rows[order]
    found = np.flatnonzero(np.diff(rows[:, _IMAGE], prepend=rows[0, _IMAGE] - 1))
    pictures = [_picture(entries[int(rows[a, _IMAGE])], int(a), int(b)) for a, b in pairwise([*found, len(rows)])]
    pictures.sort(key=lambda picture: picture.name)
    return _Objects(pictures, names, rows, np.array(boxes, np.float64).reshape(-1, 4)[order])


def _picture(entry: dict[str, Any], first: int, last: int) -> _Picture:
    file = str(entry["file_name"])
    return _Picture(file.rpartition(".")[0] or file, file, (int(entry["width"]), int(entry["height"])), first, last)


def _read_annotations(reader: _Reader, path: Path, numbers: array[int], boxes: array[float]) -> None:
    """Adds a row to both for every annotation of a single object."""
    place = seen = 0  # bytes and characters before the annotation
    for _ in reader.items("[]"):
        reader.blanks()
        place += len(reader.text[seen : reader.at].encode())
        seen = reader.at
        entry = reader.value()
        if entry.get("iscrowd"):
            continue
        length = len(reader.text[seen : reader.at].encode())
        numbers.extend((entry["image_id"], entry["id"], entry["category_id"], place, length))
        box = entry["bbox"]
        if not isinstance(box, list) or len(box) != 4 or not all(isinstance(value, int | float) for value in box):
            line = reader.text.count("\n", 0, seen) + 1
            raise DataError(
                f"{path}, line {line}, annotation {entry['id']}: found bbox {box}, expected four numbers x, y, w, h."
            )
        boxes.extend(box)


TRAINING_SET = COCO
