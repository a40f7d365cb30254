"""The videos and pictures in a folder, and which of them an annotation speaks of.

Tools write down a file name, rarely a path that is true elsewhere, and some of them nothing at all. A file is looked for by
the end of its path; of several that fit, the one nearest to the annotation is taken.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from siamtrack.datasets.clips import Clip, PictureFiles, VideoFile, read_picture
from siamtrack.errors import DataError, SiamtrackError
from siamtrack.frames import natural_order, read
from siamtrack.image import PICTURE_ENDINGS

VIDEO_ENDINGS = frozenset(
    {
        *(".mp4", ".m4v", ".mov", ".mkv", ".avi", ".webm", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts", ".wmv", ".flv", ".3gp"),
        *(".ogv", ".h264", ".264", ".hevc", ".265"),
    }
)
"""How the names of video files end, in lower case."""

FRAME_FOLDERS = ("img1", "img", "images", "frames")
"""Folders that hold the frames of the clip which their parent is named after."""

_SLACK = 2  # frames by which a container's declared length may be wrong


@dataclass(frozen=True, kw_only=True)
class Found:
    """A clip that an annotation speaks of, not read yet. Picklable."""

    key: Path  # the video, the picture, or the folder of pictures
    source: Path  # the annotation: for messages
    load: Callable[[str], Clip]  # from the name that the clip was given


class Media:
    """What lies in a folder.

    Args:
        root: looked through with all folders in it, except hidden ones.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.others: list[Path] = []  # neither video nor picture
        self.videos: list[Path] = []
        self._pictures: dict[Path, list[Path]] = {}
        for path in files_in(root):
            ending = path.suffix.lower()
            if ending in PICTURE_ENDINGS:
                self._pictures.setdefault(path.parent, []).append(path)
            else:
                (self.videos if ending in VIDEO_ENDINGS else self.others).append(path)
        self.others.sort(key=natural_order)
        self.videos.sort(key=natural_order)

    @cached_property
    def _by_stem(self) -> dict[str, list[Path]]:
        found: dict[str, list[Path]] = {}
        for path in [*self.videos, *(path for paths in self._pictures.values() for path in paths)]:
            found.setdefault(path.stem, []).append(path)
        return found

    @cached_property
    def _all(self) -> set[Path]:
        return {path for paths in self._by_stem.values() for path in paths}

    @cached_property
    def _videos_below(self) -> dict[Path, list[Path]]:
        found: dict[Path, list[Path]] = {}
        for video in self.videos:
            for folder in video.parents:
                found.setdefault(folder, []).append(video)
        return found

    def pictures(self, folder: Path) -> tuple[Path, ...]:
        """The pictures directly in a folder, in natural order."""
        return tuple(sorted(self._pictures.get(folder, ()), key=natural_order))

    def frame_folder(self, folder: Path) -> Path | None:
        """The folder with the frames of a clip: one of FRAME_FOLDERS in it, or itself; None where neither has pictures."""
        return next((f for f in [*(folder / name for name in FRAME_FOLDERS), folder] if f in self._pictures), None)

    def picture_folders(self) -> list[Path]:
        """All folders that have pictures directly in them."""
        return list(self._pictures)

    def find(self, name: str, near: Path) -> Path | None:
        """The video or picture of that name, with or without ending; of several the nearest to the file `near`.

        Raises:
            DataError: several are equally near.
        """
        parts = PurePosixPath(name.replace("\\", "/")).parts
        if not parts:
            return None
        if (beside := self._beside(parts, near)) is not None:
            return beside
        for last in (parts[-1], re.sub(r"^[0-9a-f]{8}-", "", parts[-1])):  # Label Studio puts a hash before what is uploaded
            if candidates := self._by_stem.get(last, []) or self._by_stem.get(Path(last).stem, []):
                break
        exact = [path for path in candidates if path.name == last]
        best = _best(exact or candidates, lambda path: (_shared_end(path, parts), _shared_start(path, near)))
        if len(best) > 1:
            raise DataError(f"'{near}' speaks of '{name}', and there is more than one: {', '.join(map(str, best[:3]))}.")
        return best[0] if best else None

    def _beside(self, parts: Sequence[str], near: Path) -> Path | None:
        """The file where tools put it, so that a thousand exports with pictures of the same names are told apart quickly."""
        subset = near.stem.removeprefix("instances_")  # CVAT: annotations/instances_SUBSET.json, images/SUBSET/
        for folder in (f for f in near.parents if f.is_relative_to(self.root)):
            for inside in ("", *FRAME_FOLDERS, f"images/{subset}"):
                if (path := Path(folder, inside, *parts)) in self._all:
                    return path
        return None

    def need(self, name: str, near: Path) -> Path:
        """As `find`.

        Raises:
            DataError: there is none; the message tells similar names.
        """
        found = self.find(name, near)
        if found is None:
            raise DataError(f"'{near}' speaks of '{name}', which is not in '{self.root}'. {self.similar(name)}")
        return found

    def similar(self, name: str) -> str:
        """The end of a message about a file that is missing."""
        known = {path.name for path in self._all}
        close = difflib.get_close_matches(PurePosixPath(name.replace("\\", "/")).name, known, n=3)
        if close:
            return f"Similar names there: {', '.join(close)}."
        shown = [path.name for path in self.videos[:5]] or [
            path.name for paths in self._pictures.values() for path in paths[:1]
        ]
        return (
            f"Found there: {', '.join(shown[:5])}." if shown else "No video and no picture is there; copy it into the folder."
        )

    def video_of(self, near: Path) -> Path | None:
        """The video that an annotation does not name: the only one around it, or the one whose name it or its folders bear."""
        folders = [folder for folder in near.parents if folder.is_relative_to(self.root)]
        spans = {span for name in (near.stem, *(folder.name for folder in folders[:-1])) for span in _spans(name)}
        named = [path for span in spans for path in self._by_stem.get(span, ()) if path.suffix.lower() in VIDEO_ENDINGS]
        for folder in folders:
            if len(self._videos_below.get(folder, ())) == 1:
                return self._videos_below[folder][0]
            best = _best([video for video in named if video.is_relative_to(folder)], lambda video: (len(video.stem),))
            if len(best) == 1:
                return best[0]
        return None


def files_in(root: Path) -> Iterator[Path]:
    """Every file in a folder and the folders in it, except hidden ones and what macOS adds to archives."""
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__MACOSX")))
        yield from (Path(folder, name) for name in names if not name.startswith("."))


def _best(paths: Iterable[Path], rank: Callable[[Path], tuple[int, ...]]) -> list[Path]:
    ranked = [(rank(path), path) for path in paths]
    top = max((value for value, _ in ranked), default=())
    return [path for value, path in ranked if value == top]


def _shared_end(path: Path, parts: Sequence[str]) -> int:
    folders = zip(reversed(path.parts[:-1]), reversed(parts[:-1]), strict=False)
    return next((i for i, (a, b) in enumerate(folders) if a != b), min(len(path.parts), len(parts)) - 1)


def _shared_start(path: Path, near: Path) -> int:
    return len(Path(os.path.commonpath([path, near])).parts)


def _spans(name: str) -> Iterator[str]:
    """What a name may be made around: task_clip1_annotations is around clip1."""
    edges = [match.span() for match in re.finditer(r"[A-Za-z0-9]+", name)]
    return (name[first:last] for i, (first, _) in enumerate(edges) for _, last in edges[i:])


def open_video(path: Path, last: int, source: Path) -> tuple[VideoFile, tuple[int, int] | None]:
    """A video and the (width, height) of its frames; it is not decoded.

    Args:
        path: of the video.
        last: the last frame that the annotation speaks of.
        source: the annotation, for messages.

    Raises:
        DataError: the video cannot be opened, or ends before that frame by what its header declares.
    """
    try:
        with read(path) as frames:
            count, size = frames.count, frames.size
    except SiamtrackError as error:
        raise DataError(f"'{source}' speaks of a video that cannot be read. {error}") from error
    if count is not None and last >= count + _SLACK:
        raise DataError(
            f"'{source}' speaks of frame {last} (counted from 0), but '{path}' has {count} frames. Is this the video that was "
            "annotated?"
        )
    return VideoFile(path, max(count or 0, last + 1)), size


def picture_size(path: Path) -> tuple[int, int]:
    """(width, height) of a picture file, pixels.

    Raises:
        DataError: it cannot be read.
    """
    height, width = read_picture(path).shape[:2]
    return width, height


def frame_number(path: Path) -> int | None:
    """The number that a file name ends with; None where it does not."""
    digits = re.search(r"(\d+)$", path.stem)
    return int(digits[1]) if digits else None


def positions_by_number(frames: PictureFiles) -> dict[int, int]:
    """Positions by the numbers in the file names; empty where a name has none or two have the same."""
    numbers = {number: i for i, path in enumerate(frames.paths) if (number := frame_number(path)) is not None}
    return numbers if len(numbers) == len(frames) else {}


def sequences_among(pictures: Iterable[Path]) -> dict[Path, tuple[Path, ...]]:
    """Pictures as sequences: those of a folder, split by what precedes the number where names begin differently.

    Returns:
        A folder (with the beginning of the names, where they differ) and its pictures in natural order.
    """
    groups: dict[tuple[Path, str], list[Path]] = {}
    for path in pictures:
        groups.setdefault((path.parent, re.sub(r"\d+$", "", path.stem)), []).append(path)
    shared = [folder for folder, _ in groups]
    return {
        folder / prefix.rstrip("_-. ") if shared.count(folder) > 1 else folder: tuple(sorted(paths, key=natural_order))
        for (folder, prefix), paths in groups.items()
    }


def text_of(path: Path) -> str:
    """The content of a text file.

    Raises:
        DataError: it cannot be read, or is no text.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(f"'{path}' cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise DataError(f"'{path}' is no UTF-8 text; save it as UTF-8.") from None


def head_of(path: Path, size: int = 4096) -> str:
    """The beginning of a file as text, whatever it holds.

    Raises:
        DataError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(size).decode("utf-8-sig", "replace")
    except OSError as error:
        raise DataError(f"'{path}' cannot be read: {error.strerror}.") from None
