"""Masks of training pairs, wherever they come from."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from training_runs import RECIPE, draw_pictures, of_pictures

from siamtrack.crop import cut_mask
from siamtrack.datasets.clips import Clip, PictureFiles, Target, TrainingSet
from siamtrack.datasets.crops import CropSettings, CropsOfFrames
from siamtrack.errors import DataError, SettingsError
from siamtrack.pair import SEEN, UNKNOWN, Pair, flipped
from siamtrack.synthetic.material import Material
from siamtrack.synthetic.pairs import PairSettings, PairSource
from siamtrack.synthetic.supply import BuiltIn
from siamtrack.synthetic.world import World
from siamtrack.synthetic.world_settings import WorldSettings
from siamtrack.training.augment import OFF, AugmentSettings, plan_pair
from siamtrack.training.clip_pairs import ClipPairs, SamplingSettings
from siamtrack.training.data import batches
from siamtrack.training.look_alikes import Paste, Subject
from siamtrack.training.recipes import read_recipe
from siamtrack.training.sources import TrainingData, WorldData
from siamtrack.training.world_pairs import WorldPairs

SIZES = {"template_size": 127, "search_size": 255}
ONLY_CUTOUTS = PairSettings(warp_share=0, track_share=0, paste_share=1, grey_share=0)


def world_pairs(augment: AugmentSettings = OFF, *, masked: bool = True, negative: float = 0.0) -> WorldPairs:
    world = World(WorldSettings(width=320, height=240, shutter=0, bending=0), BuiltIn(), 4)
    given = {"max_frame_gap": 20, "min_visibility": 0.3, "search_size": 255, "negative": negative, "masked": masked}
    return WorldPairs(world, CropSettings(), augment, **given)  # type: ignore[arg-type]


def tight(mask: NDArray[np.uint8]) -> NDArray[np.float64]:
    return np.array(cv2.boundingRect(mask), float)


def test_masks_of_worlds_are_what_the_frame_shows_of_the_object() -> None:
    """They lie in the box of the object; what is seen of it is compared with whole frames below."""
    source = world_pairs()
    checked = 0
    for number in range(12):
        window = source.plan(number).search
        assert window.target is not None
        _, _, mask = window.masked()
        assert mask is not None
        assert mask.shape == (319, 319)
        pair = source[number]
        assert pair.mask is not None
        if pair.box[0] < 2 or pair.box[1] < 2 or (pair.box[:2] + pair.box[2:] > 253).any():
            continue  # the box leaves the patch
        inside = tight(pair.mask)
        assert (inside[:2] >= pair.box[:2] - 2).all()  # nothing is seen outside the box
        assert (inside[:2] + inside[2:] <= pair.box[:2] + pair.box[2:] + 2).all()
        checked += 1
    assert checked > 6


def test_a_world_s_mask_is_the_rendered_identity() -> None:
    world = World(WorldSettings(width=200, height=160, occluders=0.9), BuiltIn(), 2)
    for number in range(4):
        scene = world.scene(number)
        frame = scene.frame(5)
        for target in range(scene.objects):
            window = scene.window(5, 0.0, 0.0, 200.0, 200, target=target)  # the frame itself, and below it nothing
            image, fill, mask = window.masked()
            assert mask is not None
            plain = scene.window(5, 0.0, 0.0, 200.0, 200)
            assert np.array_equal(image, plain.painted()[0])
            assert fill == plain.painted()[1]
            assert plain.masked()[2] is None
            assert ((mask[:160] > 127) != (frame.identity == target + 1)).mean() < 1e-3
            assert not mask[160:].any()


def test_a_pair_without_masks_is_the_same_pair() -> None:
    augment = AugmentSettings(look_alikes=0.5, occluder=0.5, flip=0.5, translation=16)
    for number in range(4):
        first, second = world_pairs(augment)[number], world_pairs(augment, masked=False)[number]
        assert second.mask is None
        assert np.array_equal(first.search, second.search)
        assert np.array_equal(first.box, second.box)


def test_negative_pairs_have_no_mask() -> None:
    found = [world_pairs(negative=0.5)[number] for number in range(12)]
    assert {(pair.absent, pair.mask is None) for pair in found} == {(True, True), (False, False)}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Material:
    return draw_pictures(tmp_path_factory.mktemp("masks") / "pictures")


def test_masks_of_pasted_cut_outs_fill_their_boxes(pictures: Material) -> None:
    source = PairSource(pictures, ONLY_CUTOUTS, seed=0, masked=True, **SIZES)
    near = 0
    for number in range(30):
        pair = source[number]
        assert pair.mask is not None
        inside, box = tight(pair.mask), pair.box
        assert (inside[:2] >= box[:2] - 2).all()
        assert (inside[:2] + inside[2:] <= box[:2] + box[2:] + 2).all()
        near += bool(np.abs(inside - np.concatenate([box[:2], box[2:]])).max() < 2.5)
    assert near > 15  # the others are hidden in part, or leave the patch
    stills = PairSource(pictures, PairSettings(paste_share=0, track_share=0), seed=0, masked=True, **SIZES)
    assert stills[0].mask is None


def test_a_mirror_turns_the_mask_with_the_picture() -> None:
    pair = world_pairs()[0]
    assert pair.mask is not None
    turned = flipped(pair)
    assert turned.mask is not None
    assert np.array_equal(turned.mask, pair.mask[:, ::-1])
    assert flipped(Pair(pair.template, pair.search, pair.offset, pair.box)).mask is None


@pytest.mark.parametrize("soft", [False, True])
def test_what_is_pasted_hides_the_mask(soft: bool) -> None:
    mask = np.full((40, 40, 1), 255, np.uint8)
    matrix = np.array([[1.0, 0, 5], [0, 1, 8], [0, 0, 1]])
    Paste(None, (0, 0, 20, 10), matrix, soft=soft).hide(mask)
    assert not mask[10:16, 10:20].any()
    assert (mask[:7] == 255).all()
    assert (mask[:, 26:] == 255).all()
    if not soft:
        assert np.argwhere(mask[..., 0] == 0).min(0).tolist() == [8, 5]
        assert np.argwhere(mask[..., 0] == 0).max(0).tolist() == [17, 24]


class Drawn(TrainingSet):
    """A square of 20 px in frames of 120 x 90, with masks that may be of another size."""

    name = "drawn"

    def __init__(self, root: Path, *, of: tuple[int, int] = (90, 120), masked: bool = True) -> None:
        self.root, self._of, self._masked = root, of, masked
        for number in range(3):
            frame = np.zeros((90, 120, 3), np.uint8)
            frame[30:50, 40 + number : 60 + number] = 255
            cv2.imwrite(str(root / f"{number}.png"), frame)

    @classmethod
    def recognises(cls, root: Path) -> bool:
        return False

    @property
    def names(self) -> list[str]:
        return ["a"]

    def clip(self, name: str) -> Clip:
        boxes = np.array([[40.0 + n, 30, 20, 20] for n in range(3)])
        target = Target(name="1", positions=np.arange(3), boxes=boxes, visibility=np.full(3, np.nan))
        frames = PictureFiles(tuple(self.root / f"{n}.png" for n in range(3)))
        return Clip(name=name, frames=frames, targets=(target,), masks=self._mask if self._masked else None)

    def _mask(self, target: Target, index: int) -> NDArray[np.bool_]:
        mask = np.zeros(self._of, bool)
        mask[30:50, 40 + index : 60 + index] = True
        return mask


def clip_pairs(made: TrainingSet, *, masked: bool = True) -> ClipPairs:
    sampling = SamplingSettings(validation_share=0, min_area_px=0, min_side_px=1)
    crops = CropsOfFrames(made, CropSettings())
    return ClipPairs(crops, sampling, OFF, which="training", seed=0, masked=masked, **SIZES)  # type: ignore[arg-type]


def test_masks_of_annotated_clips_lie_on_the_target(tmp_path: Path) -> None:
    pair = clip_pairs(Drawn(tmp_path))[0]
    assert pair.mask is not None
    assert np.abs(tight(pair.mask) - pair.box).max() <= 1
    assert ((pair.search[..., 0] > 127) != (pair.mask == SEEN)).mean() < 2e-3
    assert clip_pairs(Drawn(tmp_path), masked=False)[0].mask is None
    assert clip_pairs(Drawn(tmp_path, masked=False))[0].mask is None


def test_a_mask_of_another_size_than_its_frame_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"mask of target '1' and its frame .* are 100x60 and 120x90 px"):
        clip_pairs(Drawn(tmp_path, of=(60, 100)))[0]


class Uncertain(Drawn):
    """Of three columns right of the square nobody knows what they are, nor of a corner of the frame."""

    def _mask(self, target: Target, index: int) -> NDArray[np.uint8]:
        mask = super()._mask(target, index).astype(np.uint8)
        mask[30:50, 60 + index : 63 + index] = UNKNOWN
        mask[:25, :45] = UNKNOWN
        return mask


def test_pixels_that_nobody_knows_are_so_in_pairs(tmp_path: Path) -> None:
    """And what the target has stays what it is; the patch is about 2.5 times as fine as the frame."""
    found, plain = clip_pairs(Uncertain(tmp_path))[0], clip_pairs(Drawn(tmp_path))[0]
    assert found.mask is not None
    assert plain.mask is not None
    assert set(np.unique(found.mask)) == {0, SEEN, UNKNOWN}
    assert np.array_equal(found.mask == SEEN, plain.mask == SEEN)
    assert found.mask[0, 0] == UNKNOWN
    x, y, w, h = (int(v) for v in found.box.round())
    rim = found.mask[y + 2 : y + h - 2, x + w + 1 : x + w + round(2.6 * w / 20)]
    assert (rim == UNKNOWN).all()
    assert (found.mask[y + 2 : y + h - 2, x + w + round(4 * w / 20)] == 0).all()
    mirrored = flipped(found).mask
    assert mirrored is not None
    assert np.array_equal(mirrored, found.mask[:, ::-1])


def test_what_is_pasted_over_them_is_known(tmp_path: Path) -> None:
    crops = CropsOfFrames(Uncertain(tmp_path), CropSettings())
    crop = crops.crop("a", 0, 0, masked=True)
    subject = Subject(crop, crop.image.shape[0], (50.0, 50.0))
    plan = plan_pair(subject, subject, OFF, np.random.default_rng(0), other=lambda rng: None, **SIZES)
    over = Paste(crop, (0, 0, 40, 30), np.eye(3), soft=False)
    free, covered = (plan._replace(pastes=pastes).drawn(lambda one: one).mask for pastes in ([], [over]))
    assert free is not None
    assert covered is not None
    assert (free[:30, :40] == UNKNOWN).all()
    assert not covered[:30, :40].any()
    assert np.array_equal(covered[30:], free[30:])


def test_the_share_of_a_pixel_in_the_mask() -> None:
    mask = np.zeros((20, 20), bool)
    mask[5:15, 5:15] = True
    assert np.array_equal(cut_mask(mask, (10.0, 10.0), 20.0, 20), 255 * mask.astype(np.uint8))
    small = cut_mask(mask, (10.0, 10.0), 20.0, 4)  # a pixel is 5 x 5
    assert small.tolist() == [[0, 0, 0, 0], [0, 255, 255, 0], [0, 255, 255, 0], [0, 0, 0, 0]]
    assert not cut_mask(mask, (100.0, 100.0), 20.0, 20).any()


def test_a_batch_knows_which_masks_are_unknown(pictures: Material) -> None:
    settings = PairSettings(warp_share=0.5, track_share=0, paste_share=0.5)
    source = PairSource(pictures, settings, seed=0, masked=True, **SIZES)
    (batch,) = batches(source, range(8), batch_size=8, workers=0)
    assert batch.masks.shape == (8, 255, 255)
    for number, mask in enumerate(batch.masks.numpy()):
        known = source[number].mask
        assert np.array_equal(mask, np.full((255, 255), UNKNOWN) if known is None else known)
    plain = PairSource(pictures, settings, seed=0, **SIZES)
    (batch,) = batches(plain, range(4), batch_size=4, workers=0)
    assert batch.masks.shape == (4, 0, 0)
    assert len(batch.learnt) == 6


def test_data_without_masks_are_refused_where_masks_are_learnt(pictures: Material) -> None:
    recipe = read_recipe("siammask-resnet18")
    stills = read_recipe("siammask-resnet18", overrides=("pictures.paste_share=0", "pictures.track_share=0"))
    with pytest.raises(DataError, match="None of 60 pairs of pictures has a mask, and siammask learns masks"):
        of_pictures(pictures).unpainted(stills)
    assert of_pictures(pictures).unpainted(recipe)[0] is not None
    on_device = read_recipe("siammask-resnet18", overrides=("paint=device", "augment.jpeg=0"))
    with pytest.raises(SettingsError, match="paint is 'device', which makes no masks, and siammask learns them"):
        TrainingData(world=WorldData()).unpainted(on_device)
    assert not RECIPE.masked
