"""The thesis's squares: exactly centred, the same each time, told apart under their noise, and trainable from."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from command_line import INPUT, INTERRUPTED, OUTPUT, refused, run
from hypothesis import given, settings
from hypothesis import strategies as st

from siamtrack.box import Box
from siamtrack.datasets.clips import read_picture
from siamtrack.datasets.crops import CropSettings, CropsOfFrames
from siamtrack.datasets.folder import Folder
from siamtrack.datasets.sequences import find_sequences
from siamtrack.errors import DataError, OutputError, SettingsError
from siamtrack.image import Image
from siamtrack.synthetic.made_folder import FORMAT, begin_folder
from siamtrack.synthetic.squares import LEAST_CONTRAST, Squares, SquaresSettings, draw_square, with_noise, write_squares

FEW = SquaresSettings(groups=4, images=3, size=96, side=24)


def quiet(**values: object) -> SquaresSettings:
    return SquaresSettings(intensity_max=0.0, intensity_min=0.0, **values)


QUARTERS = st.integers(4, 472).map(lambda count: count / 4)


@given(size=st.integers(8, 120), side=QUARTERS | st.floats(1, 118))
@settings(deadline=None)
def test_the_square_lies_exactly_in_the_middle(size: int, side: float) -> None:
    side = min(side, size - 2)
    squares = Squares(quiet(groups=1, images=1, size=size, side=side, noises=("gauss",)))
    image = squares.image(0, 0).astype(int)
    assert image.shape == (size, size, 3)
    assert squares.box.center == pytest.approx((size / 2, size / 2), abs=1e-12)
    tipped = 0 if 4 * side % 1 == 0 else 1  # quarters are exact; else two edges can be rounded to neighbouring values
    for mirrored in (image[::-1], image[:, ::-1], image.transpose(1, 0, 2)):
        np.testing.assert_allclose(image, mirrored, rtol=0, atol=tipped)
    square, ground = (colour.astype(float) for colour in squares.colours(0))
    covered = (image - ground).sum() / (square - ground).sum()
    assert covered == pytest.approx(side**2, abs=0.06 * 4 * side + 0.1)  # edge pixels are rounded to whole values


def test_edges_between_pixels_are_mixed_by_the_part_that_is_covered() -> None:
    drawn = draw_square((6, 4), Box(1.25, 1, 2.5, 2), (255, 255, 255), (0, 0, 0))
    np.testing.assert_array_equal(drawn[1], drawn[2])
    np.testing.assert_array_equal(drawn[1, :, 0], [0, 191, 255, 191, 0, 0])  # 191.25
    np.testing.assert_array_equal(drawn[[0, 3]], 0)
    narrow = draw_square((4, 4), Box(1.25, 1.5, 0.25, 1), (255, 0, 100), (0, 0, 0))
    assert narrow[1:3, 1].tolist() == [[32, 0, 13]] * 2  # an eighth: 31.9, 0, 12.5
    assert narrow.any(axis=2).sum() == 2


def test_the_default_picture_is_a_search_patch() -> None:
    settings = SquaresSettings()
    assert (settings.groups, settings.images, settings.size, settings.side) == (2000, 250, 255, 64)
    assert tuple(Squares(settings).box) == (95.5, 95.5, 64, 64)
    image = Squares(quiet()).image(5, 0)
    square, ground = (colour.astype(float) for colour in Squares(settings).colours(5))
    np.testing.assert_array_equal(image[96:159, 96:159].reshape(-1, 3), np.tile(square, (63 * 63, 1)))
    for edge in (image[100, 95], image[100, 159], image[95, 100], image[159, 100]):
        np.testing.assert_allclose(edge, (square + ground) / 2, atol=0.5)
    np.testing.assert_array_equal(image[100, [94, 160]], [ground, ground])


def test_pictures_depend_on_seed_group_and_number_alone() -> None:
    squares = Squares(FEW)
    first = squares.image(1, 2)
    np.testing.assert_array_equal(Squares(replace(FEW, groups=2, images=9)).image(1, 2), first)
    others = [squares.image(1, 1), squares.image(0, 2), Squares(replace(FEW, seed=1)).image(1, 2)]
    assert all((other != first).any() for other in others)
    salted = [Squares(replace(FEW, seed=seed, noises=("salt-and-pepper",))).image(1, 2) for seed in (0, 1)]
    assert ((salted[0] == 0).all(axis=2) != (salted[1] == 0).all(axis=2)).any()  # not in colours only
    np.testing.assert_array_equal(squares.colours(1), Squares(replace(FEW, images=9)).colours(1))
    assert len({tuple(np.ravel(squares.colours(group))) for group in range(4)}) == 4


def test_colours_do_not_repeat_in_the_noise_of_the_first_picture() -> None:
    """NumPy seeds (a, b, 0) like (a, b): the noise would begin with the numbers that the colours were made of."""
    squares = Squares(replace(FEW, noises=("salt-and-pepper",)))
    rng = np.random.default_rng((FEW.seed, 2))
    rng.integers(1)
    expected = with_noise(
        draw_square((96, 96), squares.box, *squares.colours(2)), "salt-and-pepper", rng.uniform(0.02, 0.2), rng
    )
    assert (squares.image(2, 0) != expected).any()


def test_square_and_ground_can_be_told_apart() -> None:
    squares = Squares(SquaresSettings(groups=300))
    for group in range(300):
        grey = cv2.cvtColor(np.array([squares.colours(group)]), cv2.COLOR_RGB2GRAY).astype(float)
        assert abs(grey[0, 0] - grey[0, 1]) >= LEAST_CONTRAST - 1  # grey is rounded
        assert np.linalg.norm(np.subtract(*np.array(squares.colours(group), float))) >= 74


@pytest.mark.parametrize("kind", ["gauss", "speckle"])
def test_noise_has_the_strength_that_is_asked_for(kind: str) -> None:
    grey = np.full((200, 200, 3), 120, np.uint8)
    noisy = with_noise(grey, kind, 0.1, np.random.default_rng(3)).astype(float)
    assert noisy.mean() == pytest.approx(120, abs=0.3)
    assert noisy.std() == pytest.approx({"gauss": 25.5, "speckle": 12.0}[kind], rel=0.02)
    assert abs(np.corrcoef(noisy[:, :, 0].ravel(), noisy[:, :, 1].ravel())[0, 1]) < 0.02
    strong = with_noise(np.full((50, 50, 3), 250, np.uint8), kind, 0.5, np.random.default_rng(3))
    assert (strong == 255).mean() > 0.3  # cut, not wrapped round to 0
    assert ((strong > 0) & (strong < 60)).mean() < 0.1


def test_salt_and_pepper_blacken_and_whiten_a_share_of_the_pixels() -> None:
    noisy = with_noise(np.full((200, 200, 3), 120, np.uint8), "salt-and-pepper", 0.1, np.random.default_rng(3))
    for value in (0, 255):
        assert (noisy == value).all(axis=2).mean() == pytest.approx(0.05, abs=0.005)
    assert (noisy == 120).all(axis=2).mean() == pytest.approx(0.9, abs=0.01)


def test_every_kind_of_noise_and_a_range_of_intensities_occur() -> None:
    squares = Squares(replace(FEW, images=150))
    shares = [(squares.image(0, number) == 0).all(axis=2).mean() for number in range(150)]
    salted = [share for share in shares if share > 0.005]
    assert 30 < len(salted) < 70  # of 150, a third
    assert min(salted) < 0.03
    assert 0.08 < max(salted) < 0.12  # half of the intensity


def test_as_a_training_set_each_group_is_a_clip() -> None:
    squares = Squares(FEW)
    assert squares.names == ["000000", "000001", "000002", "000003"]
    clip = pickle.loads(pickle.dumps(squares)).clip("000002")
    assert (clip.size, len(clip.frames), clip.frames.label(1)) == ((96, 96), 3, "squares/000002#1")
    np.testing.assert_array_equal(clip.frames.read(1), squares.image(2, 1))
    for position, frame in zip((0, 2), clip.frames.several([0, 2]), strict=True):
        np.testing.assert_array_equal(frame, squares.image(2, position))
    (target,) = clip.targets
    np.testing.assert_array_equal(target.boxes, [[36, 36, 24, 24]] * 3)
    assert Squares(replace(FEW, seed=1)).fingerprint() != squares.fingerprint() == Squares(FEW).fingerprint()
    for name in ("000004", "2", "x"):
        with pytest.raises(DataError, match=f"'{name}' among 4 groups"):
            squares.clip(name)


def test_crops_are_cut_from_them_without_files() -> None:
    crops = CropsOfFrames(Squares(quiet(groups=2, images=2)), CropSettings(size=255))
    assert crops.name == "squares"
    image = crops.crop("000001", 0, 1).image.astype(float)
    np.testing.assert_allclose(image, image[::-1, ::-1], atol=1.01)
    share = 64 * 127 / 128  # context 0.5 of a square of 64 makes 128 the template's 127 pixels
    square, ground = (colour.astype(float) for colour in Squares(quiet()).colours(1))
    row = ((image[127, 20:235] - ground) / (square - ground + 1e-9))[:, np.argmax(abs(square - ground))]
    assert row.sum() == pytest.approx(share, abs=0.5)


def test_written_they_are_read_as_sequences_and_as_own_videos(tmp_path: Path) -> None:
    written = list(write_squares(FEW, tmp_path / "out"))
    assert len(written) == 12
    assert written[4] == tmp_path / "out" / "000001" / "img" / "00001.png"
    squares = Squares(FEW)
    for group, sequence in enumerate(find_sequences(tmp_path / "out")):
        np.testing.assert_array_equal(sequence.boxes, [squares.box] * 3)
        for number, frame in enumerate(sequence.frames()):
            np.testing.assert_array_equal(frame.image, squares.image(group, number))
    folder = Folder(tmp_path / "out")
    assert list(folder.names) == list(squares.names)
    np.testing.assert_array_equal(folder.clip("000003").targets[0].boxes, [squares.box] * 3)


def test_an_interrupted_writing_goes_on(tmp_path: Path) -> None:
    out = tmp_path / "out"
    writing = write_squares(FEW, out)
    for _ in range(5):
        next(writing)
    writing.close()
    assert sorted(path.name for path in out.iterdir()) == ["000000", "synthetic.json"]
    finished = (out / "000000" / "img" / "00002.png").stat().st_mtime_ns
    killed = write_squares(FEW, out)
    for _ in range(5):
        next(killed)
    assert [path.name for path in (out / ".000001-part").iterdir()] == ["img"]  # no sequence yet
    assert [sequence.name for sequence in find_sequences(out)] == ["000000"]
    assert len(list(write_squares(FEW, out))) == 12
    assert (out / "000000" / "img" / "00002.png").stat().st_mtime_ns == finished
    assert sorted(path.name for path in out.iterdir()) == [*Squares(FEW).names, "synthetic.json"]
    np.testing.assert_array_equal(read_picture(out / "000001" / "img" / "00000.png"), Squares(FEW).image(1, 0))


def test_a_folder_with_other_content_is_refused(tmp_path: Path) -> None:
    list(write_squares(FEW, tmp_path / "out"))
    with pytest.raises(OutputError, match=r"other data: images 3, not 4\. Give the same settings to go on, or a new folder"):
        next(write_squares(replace(FEW, images=4), tmp_path / "out"))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "holiday.jpg").write_bytes(b"")
    with pytest.raises(OutputError, match=r"holds something else \(holiday\.jpg\)"):
        next(write_squares(FEW, tmp_path / "mine"))
    (tmp_path / "mine" / "synthetic.json").write_text("{", encoding="utf-8")
    with pytest.raises(OutputError, match="does not say what"):
        next(write_squares(FEW, tmp_path / "mine"))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"side": 254}, "leaves no ground"),
        ({"size": 60}, "64 pixels leaves no ground around it in a picture of 60"),
        ({"size": 7, "side": 2}, "size is 7; expected 8 to 8192"),
        ({"groups": 0}, "groups is 0"),
        ({"images": 0}, "images is 0"),
        ({"noises": ()}, "no kind of noise"),
        ({"noises": ("gaus",)}, "Did you mean 'gauss'"),
        ({"intensity_min": 0.3}, "intensity_min is 0.3 and intensity_max 0.2; expected a min that is not above the max"),
        ({"intensity_max": 1.5}, "intensity_max is 1.5; expected 0 to 1"),
        ({"seed": -1}, "The seed is -1; expected a whole number from 0 to 9223372036854775807"),
    ],
)
def test_impossible_settings_are_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        SquaresSettings(**values)


def test_a_folder_with_nothing_yet_can_become_another(tmp_path: Path) -> None:
    """As one that Ctrl-C left before its first group."""
    begin_folder(tmp_path / "out", {"what": "squares", "groups": 9, "seed": 1}, growing="groups")
    begin_folder(tmp_path / "out", {"what": "squares", "groups": 3, "seed": 2}, growing="groups")
    content = json.loads((tmp_path / "out" / "synthetic.json").read_text(encoding="utf-8"))
    assert (content["groups"], content["seed"]) == (3, 2)
    (tmp_path / "out" / "000000").mkdir()
    (tmp_path / "out" / "000000" / "groundtruth.txt").touch()
    with pytest.raises(OutputError, match="holds more already: groups 3, not 2"):
        begin_folder(tmp_path / "out", {"what": "squares", "groups": 2, "seed": 2}, growing="groups")


@pytest.mark.parametrize(
    ("mine", "message"),
    [
        ({"mine": 1}, "does not say what the folder is made of"),
        ({"what": "my notes"}, r"holds something else \(my notes, not squares\)"),
        ({"what": "squares"}, "does not say what the folder is made of"),
    ],
)
def test_another_description_alone_is_not_replaced(tmp_path: Path, mine: dict[str, object], message: str) -> None:
    (tmp_path / "synthetic.json").write_text(json.dumps(mine), encoding="utf-8")
    with pytest.raises(OutputError, match=message):
        begin_folder(tmp_path, {"what": "squares", "groups": 3}, growing="groups")
    assert json.loads((tmp_path / "synthetic.json").read_text(encoding="utf-8")) == mine


def test_the_command_draws_them(tmp_path: Path) -> None:
    small = ("--groups", 2, "--images", 2, "--size", 64, "--side", 15.5, "--seed", 7)
    ended = run("synth", "squares", "--out", tmp_path / "out", *small)
    assert (ended.code, ended.err) == (0, "")
    assert "4 pictures in 2 groups. Train from it with --data folder=" in ended.out
    settings = SquaresSettings(groups=2, images=2, size=64, side=15.5, seed=7)
    content = json.loads((tmp_path / "out" / "synthetic.json").read_text(encoding="utf-8"))
    assert (content["what"], content["side"], content["seed"]) == ("squares", 15.5, 7)
    np.testing.assert_array_equal(
        read_picture(tmp_path / "out" / "000001" / "img" / "00001.png"), Squares(settings).image(1, 1)
    )
    refused(("synth", "squares", "--out", "new", "--side", 300), INPUT, "leaves no ground", folder=tmp_path)
    refused(("synth", "squares", "--out", "out", "--groups", 3), OUTPUT, "images 2, not 250", folder=tmp_path)
    first = (tmp_path / "out" / "000001" / "img" / "00001.png").stat().st_mtime_ns
    ended = run("synth", "squares", "--out", "out", "--groups", 3, *small[2:], folder=tmp_path)  # more are added
    assert "6 pictures in 3 groups" in ended.out
    assert (tmp_path / "out" / "000001" / "img" / "00001.png").stat().st_mtime_ns == first
    refused(("synth", "squares", "--out", "out", *small), OUTPUT, "holds more already: groups 3, not 2", folder=tmp_path)


def test_one_picture_is_one(tmp_path: Path) -> None:
    ended = run("synth", "squares", "--out", tmp_path / "out", "--groups", 1, "--images", 1, "--size", 64, "--side", 15)
    assert "holds 1 picture in 1 group." in ended.out


def test_ctrl_c_says_what_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def image(self: Squares, group: int, number: int) -> Image:
        if (group, number) == (1, 1):
            raise KeyboardInterrupt
        return with_noise(np.zeros((16, 16, 3), np.uint8), "gauss", 0.1, np.random.default_rng(0))

    line = ("synth", "squares", "--out", "out", "--groups", 2, "--images", 2, "--size", 64, "--side", 15)
    with monkeypatch.context() as patch:
        patch.setattr(Squares, "image", image)
        ended = run(*line, folder=tmp_path)
    assert (ended.code, ended.out) == (INTERRUPTED, "")
    assert ended.err == "Stopped by Ctrl-C. The groups that are finished are kept in out; the same command goes on.\n"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["000000", "synthetic.json"]
    assert run(*line, folder=tmp_path).code == 0


@pytest.mark.parametrize(
    ("altered", "message"),
    [
        ({"groups": None}, "'groups' is missing"),
        ({"groups": "four"}, "'groups' is four"),
        ({"made_with": None}, "'made_with' is missing"),
    ],
)
def test_a_folder_whose_content_was_altered_by_hand_is_refused(
    tmp_path: Path, altered: dict[str, str | None], message: str
) -> None:
    list(write_squares(FEW, tmp_path))
    file = tmp_path / "synthetic.json"
    content = json.loads(file.read_text(encoding="utf-8")) | altered
    file.write_text(json.dumps({name: value for name, value in content.items() if value is not None}), encoding="utf-8")
    with pytest.raises(OutputError, match=rf"synthetic\.json' was altered: its {message}\. Put back.*or give a new folder"):
        list(write_squares(replace(FEW, groups=5), tmp_path))


def test_a_folder_says_which_versions_began_it(tmp_path: Path) -> None:
    """Drawn otherwise, the rest would not go with what is there."""
    list(write_squares(FEW, tmp_path))
    file = tmp_path / "synthetic.json"
    content = json.loads(file.read_text(encoding="utf-8"))
    assert content["format"] == FORMAT
    assert set(content["made_with"]) == {"siamtrack", "numpy", "opencv"}
    file.write_text(json.dumps(content | {"made_with": {"siamtrack": "0.0"}}), encoding="utf-8")
    list(write_squares(FEW, tmp_path))
    file.write_text(json.dumps(content | {"format": FORMAT + 1}), encoding="utf-8")
    with pytest.raises(OutputError, match="begun by another version of siamtrack, which drew otherwise"):
        list(write_squares(FEW, tmp_path))
