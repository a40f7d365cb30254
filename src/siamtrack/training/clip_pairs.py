"""Training pairs of annotated clips: two frames of one target, drawn by number, so that any pair can be drawn again.

A negative pair is one of two targets of different videos, of the same category or of another one where a few tries find such a
one (Zhu et al., "Distractor-aware Siamese Networks for Visual Object Tracking", ECCV 2018, sec. 3.2, has both kinds).
STVIR/pysot draws the second from any of its data sets, here it is of the same one; and there the two may be the same target.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from siamtrack.crop import context_side
from siamtrack.datasets.clips import Target
from siamtrack.datasets.crops import Crops, Sighting
from siamtrack.errors import DataError
from siamtrack.pair import Pair
from siamtrack.settings import check_limits
from siamtrack.training.augment import AugmentSettings, make_pair

_CLIP_TRIES = 1000  # clips without a usable target, one after another
_FRAME_TRIES = 20  # crops that cannot be read, one after another
_OTHER_TRIES = 8  # for a clip of the category that is wanted
_CLIPS_EXPLAINED = 100  # that are looked at to say why none can be used
_CLIPS_KEPT = 20_000  # whose usable rows a loading process remembers; those of TrackingNet take 250 MB

# The id of a video on YouTube, then the number of an object (TrackingNet), or of a class and an object (YouTube-BB). Names
# that people give to folders rarely have 11 letters before a number, and more rarely a capital or a digit among them.
_OF_YOUTUBE = re.compile(r"(?:.*/)?(?=[\w-]{,10}[A-Z0-9])([\w-]{11})(?:_\d+|\+\d+\+\d+)", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class SamplingSettings:
    """Which targets are learnt from, and how the two frames of a pair are chosen.

    The limits are those of huanglianghua/siamfc-pytorch.

    Raises:
        SettingsError: a value outside its range.
    """

    negative: float = 0.0  # share of all pairs, of pictures and worlds too, that are of two targets; PySOT 0.2, SiamFC 0
    same_category: float = 1.0  # share of those of videos that are of one category; DaSiamRPN has both and no numbers
    max_frame_gap: int = 100  # between the two frames; SiamFC sec. 3.2 and its official code
    min_area_px: float = 20.0  # of the box
    min_side_px: float = 20.0
    max_side_px: float = 500.0
    min_image_share: float = 0.01  # of the image that the box covers
    max_image_share: float = 0.5
    max_aspect: float = 4.0  # width to height, or height to width
    min_visibility: float = 0.3  # share of the target in view, relative to its best frame; passes where it is not known
    validation_share: float = 0.1  # of the clips
    crop_size: int = 319  # px, side of the crops that patches are cut from

    def __post_init__(self) -> None:
        limits: dict[str, tuple[float, float]] = {
            "negative": (0, 1),
            "same_category": (0, 1),
            "max_frame_gap": (0, 1e9),
            "min_area_px": (0, 1e12),
            "min_side_px": (0, 1e6),
            "max_side_px": (self.min_side_px, 1e6),
            "min_image_share": (0, 1),
            "max_image_share": (self.min_image_share, 1e6),
            "max_aspect": (1, 1e6),
            "min_visibility": (0, 1),
            "validation_share": (0, 1),
            "crop_size": (16, 8192),
        }
        check_limits(self, limits)


def part(names: Sequence[str], which: Literal["training", "validation"], share: float) -> list[str]:
    """The clips for training, or those held out for validation: one of the two for every video, never for a frame.

    A clip is a video of its own, but for clips that are named after the same video on YouTube, as many of TrackingNet and
    YouTube-BB are (ten objects of one video in ten clips, say). Other names do not tell: two clips that someone cut from one
    video count as two.

    The order is that of a hash of the video's name, and the first videos are held out, so that one that is added
    moves few. At least one is held out where there are two, and a share; at least one is left for training.
    """
    videos = {name: _video(name) for name in names}
    ranked = sorted(set(videos.values()), key=lambda video: hashlib.sha256(video.encode()).digest())
    count = min(max(1, round(share * len(ranked))), len(ranked) - 1) if share > 0 else 0
    held_out = set(ranked[:count])
    return sorted(name for name, video in videos.items() if (video in held_out) == (which == "validation"))


def _video(clip: str) -> str:
    """What the clip was cut from."""
    found = _OF_YOUTUBE.fullmatch(clip)
    return found[1] if found else clip


class _Usable(NamedTuple):
    """A target that pairs can be made of, with R usable rows of annotation; small, as many are kept."""

    number: int  # among the targets of its clip
    category: str
    rows: NDArray[np.int32]  # (R,) of its annotations
    positions: NDArray[np.int32]  # (R,) frames
    sizes: NDArray[np.float64]  # (R, 2) width and height of the box, frame pixels


class ClipPairs:
    """Pairs by number: the same settings, sizes, seed and data give the same pair for the same number, always.

    Held-out pairs are varied as those for training are, so that the two losses can be compared; the official code of
    SiamFC shifts, stretches and recolours the latter only.

    Args:
        crops: where the targets are seen.
        sampling: which of them, and which frames.
        augment: how they are varied.
        which: the part of the clips.
        seed: of all that is drawn.
        template_size: side of the template, pixels.
        search_size: side of the search patch, pixels.
        masked: pairs have masks where the data set does, those of two targets excepted.

    Raises:
        DataError: there are no clips in that part.
    """

    def __init__(
        self,
        crops: Crops,
        sampling: SamplingSettings,
        augment: AugmentSettings,
        *,
        which: Literal["training", "validation"],
        seed: int,
        template_size: int,
        search_size: int,
        masked: bool = False,
    ) -> None:
        self.name = crops.name
        self._crops = crops
        self._sampling = sampling
        self._augment = augment
        self._seed = seed
        self._masked = masked
        self._sizes: dict[str, Any] = {"template_size": template_size, "search_size": search_size}
        self._names = part(crops.names, which, sampling.validation_share)
        self._kept: OrderedDict[str, list[_Usable] | str] = OrderedDict()
        if not self._names:
            raise DataError(f"The data set '{crops.name}' has {len(crops.names)} clips, of which none is left for {which}.")

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_kept": OrderedDict()}

    def __getitem__(self, number: int) -> Pair:
        rng = np.random.default_rng((self._seed, number))
        skipped: list[str] = []
        share = self._sampling.negative
        for _ in range(_FRAME_TRIES):
            clip, usable = self._target(rng, skipped)
            first, second = self._rows(usable, rng)
            other = functools.partial(self._other, clip, usable.category, skipped)
            try:
                template = self._sighting(clip, usable, first)
                # without a share nothing is drawn, or every pair would be another one than it was
                stranger = other(rng, apart=_video, same=self._same(rng)) if share and rng.random() < share else None
                search = stranger or self._sighting(clip, usable, second, masked=self._masked)
            except DataError as error:
                skipped.append(str(error))
                continue
            pair = make_pair(template, search, self._augment, rng, **self._sizes, other=other)
            return pair._replace(absent=stranger is not None, skipped=tuple(skipped))
        raise DataError(f"{_FRAME_TRIES} frames of '{self.name}' in a row cannot be read; the last one: {skipped[-1]}")

    def _same(self, rng: np.random.Generator) -> bool:
        """Whether a negative pair is of one category."""
        share = self._sampling.same_category
        return bool(share == 1 or rng.random() < share)

    def _target(self, rng: np.random.Generator, skipped: list[str]) -> tuple[str, _Usable]:
        """A clip that has usable targets, and one of them; annotations that cannot be read are added to `skipped`."""
        for _ in range(_CLIP_TRIES):
            clip = self._names[rng.integers(len(self._names))]
            usable = self._usable(clip)
            if isinstance(usable, str):
                skipped.append(usable)
            elif usable:
                return clip, usable[rng.integers(len(usable))]
        raise DataError(self._why_not())

    def _rows(self, usable: _Usable, rng: np.random.Generator) -> tuple[int, int]:
        """Two of a target's usable rows whose frames are not too far apart, in either order; a still's is both."""
        first = int(rng.integers(len(usable.rows)))
        gaps = np.abs(usable.positions - usable.positions[first])
        near = np.flatnonzero((gaps <= self._sampling.max_frame_gap) & (gaps > 0))
        return first, int(near[rng.integers(len(near))]) if len(near) else first

    def _sighting(self, clip: str, usable: _Usable, which: int, *, masked: bool = False) -> Sighting:
        settings = self._crops.settings
        w, h = map(float, usable.sizes[which])
        factor = settings.template_size / context_side(w, h, settings.context)
        crop = self._crops.crop(clip, usable.number, int(usable.rows[which]), masked=masked)
        return Sighting(crop, (factor * w, factor * h))

    def _other(
        self,
        clip: str,
        category: str,
        skipped: list[str],
        rng: np.random.Generator,
        *,
        apart: Callable[[str], str] = str,
        same: bool = True,
    ) -> Sighting | None:
        """A target of another clip, of that category, or else not of it, where a few tries find one; None without another clip.

        One that cannot be read is added to `skipped`, and None as well. `apart` says of a clip what must differ.
        """
        found = None
        for _ in range(_OTHER_TRIES):
            other, usable = self._target(rng, [])
            if apart(other) != apart(clip):
                found = other, usable
                if (usable.category == category) == same:
                    break
        if found is None:
            return None
        clip, usable = found
        try:
            return self._sighting(clip, usable, int(rng.integers(len(usable.rows))))
        except DataError as error:
            skipped.append(str(error))
            return None

    def _usable(self, clip: str) -> list[_Usable] | str:
        """What pairs can be made of in a clip; or why its annotation cannot be read."""
        if clip not in self._kept:
            self._kept[clip] = self._found(clip)
            if len(self._kept) > _CLIPS_KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(clip)
        return self._kept[clip]

    def _found(self, clip: str) -> list[_Usable] | str:
        try:
            size = self._crops.frame_size(clip)
            targets = self._crops.targets(clip)
        except DataError as error:
            return str(error)
        found = []
        for number, target in enumerate(targets):
            rows = usable_rows(target, size, self._sampling).astype(np.int32)
            if len(rows):
                positions = target.positions[rows].astype(np.int32)
                found.append(_Usable(number, target.category, rows, positions, target.boxes[rows, 2:]))
        return found

    def _why_not(self) -> str:
        """Which limits leave nothing, told from some of the clips."""
        reasons: Counter[str] = Counter()
        looked_at = self._names[:_CLIPS_EXPLAINED]
        for clip in looked_at:
            if isinstance(usable := self._usable(clip), str):
                return f"The data set '{self.name}' has no target that can be learnt from; the first reason: {usable}"
            for target in self._crops.targets(clip):
                for name, passed in _filters(target, self._crops.frame_size(clip), self._sampling).items():
                    reasons[name] += int((~passed).sum())
        found = [(name, count) for name, count in reasons.most_common() if count]
        told = ", ".join(f"{name} {count}" for name, count in found) or "there are none"
        limits = " ".join(f"--set sampling.{name}=VALUE" for name, _ in found if hasattr(self._sampling, name))
        return (
            f"The data set '{self.name}' has no target that can be learnt from in {len(looked_at)} clips. Boxes left out "
            f"because of: {told}. {f'Change these limits: {limits}' if limits else 'Give other data'}."
        )


def usable_rows(target: Target, size: tuple[int, int], sampling: SamplingSettings) -> NDArray[np.int64]:
    """Rows of a target's annotations that pass all limits, ascending.

    Args:
        target: of K rows.
        size: (width, height) of the frames, pixels.
        sampling: the limits.
    """
    return np.flatnonzero(np.logical_and.reduce(list(_filters(target, size, sampling).values())))


def _filters(target: Target, size: tuple[int, int], sampling: SamplingSettings) -> dict[str, NDArray[np.bool_]]:
    """By the name of the limit, which rows pass it; absent boxes pass only the last one."""
    x, y, w, h = target.boxes.T
    present = np.isfinite(target.boxes).all(1) & (w > 0) & (h > 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        overlaps = (x < size[0]) & (y < size[1]) & (x + w > 0) & (y + h > 0)
        share = w * h / (size[0] * size[1])
        aspect = np.maximum(w / h, h / w)
        known = np.isfinite(target.visibility)
        best = target.visibility[known].max(initial=0.0)
        return {
            "absent or without area": present,
            "outside the image": overlaps | ~present,
            "min_area_px": (w * h >= sampling.min_area_px) | ~present,
            "min_side_px": (np.minimum(w, h) >= sampling.min_side_px) | ~present,
            "max_side_px": (np.maximum(w, h) <= sampling.max_side_px) | ~present,
            "min_image_share": (share >= sampling.min_image_share) | ~present,
            "max_image_share": (share <= sampling.max_image_share) | ~present,
            "max_aspect": (aspect <= sampling.max_aspect) | ~present,
            "min_visibility": ~known | (target.visibility > sampling.min_visibility * best) | ~present,
        }
