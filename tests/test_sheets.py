import numpy as np
import pytest

from siamtrack import sheets
from siamtrack.errors import ImageError
from siamtrack.sheets import SheetCollector, contact_sheet, pixel_grid


def grey(height=120, width=160, value=128):
    return np.full((height, width, 3), value, np.uint8)


def test_sheet_shows_the_pictures_in_reading_order():
    tiles = [(f"frame {i}", grey(90, 160, 60 + 30 * i)) for i in range(5)]
    sheet = contact_sheet(tiles, width=700, columns=2)
    assert sheet.shape[1] == 700
    centers = [sheet[100 + (sheets._GAP + 187 + 24) * (i // 2), 175 + 350 * (i % 2), 0] for i in range(5)]
    assert centers == [60, 90, 120, 150, 180]
    assert tuple(sheet[0, 0]) == sheets._GROUND


def test_sheet_fits_other_shapes_and_refuses_what_has_no_room():
    sheet = contact_sheet([("wide", grey(50, 200)), ("high", grey(200, 50))], columns=1, width=300)
    assert sheet.shape[1] == 300
    with pytest.raises(ImageError, match="at least one"):
        contact_sheet([])
    with pytest.raises(ImageError, match="no room"):
        contact_sheet([("a", grey())], width=100, columns=9)


@pytest.mark.parametrize("tiles", [2, 3, 12])
def test_collector_keeps_first_and_last_and_spreads_the_rest(tiles, monkeypatch):
    monkeypatch.setattr(sheets, "contact_sheet", lambda chosen, **_: [int(caption) for caption, _ in chosen])
    for count in (1, 2, 5, 11, 12, 13, 36, 37, 38, 40, 73, 74, 500):
        collector = SheetCollector(tiles)
        for i in range(count):
            collector.add(str(i), grey(4, 4))
        frames = collector.sheet()
        assert len(collector._kept) <= 3 * tiles
        assert len(frames) == min(count, tiles)
        assert (frames[0], frames[-1]) == (0, count - 1)
        if count > 3 * tiles:
            gaps = np.diff(frames)
            assert gaps.max() <= 2 * gaps.min()


def test_collector_copies_and_scales_down():
    collector = SheetCollector()
    buffer = grey(960, 1280, 50)
    collector.add("a", buffer)
    buffer[:] = 200
    assert collector._kept[0][2].shape == (360, 480, 3)
    assert (collector._kept[0][2] == 50).all()
    assert collector.sheet().shape[1] <= 1600
    small = grey(60, 80, 50)
    collector.add("b", small)
    small[:] = 200
    assert (collector._kept[1][2] == 50).all()
    with pytest.raises(ImageError, match="gave none"):
        SheetCollector().sheet()
    with pytest.raises(ImageError, match="at least 2"):
        SheetCollector(1)


def lines_of(profile):
    """Positions where a row of pixels is brighter than the black around it, brightest lines only."""
    return np.flatnonzero(profile > 0.9 * profile.max())


@pytest.mark.parametrize(
    ("size", "factor", "major"), [((240, 320), 4, 20), ((270, 480), 3, 50), ((1080, 1920), 1, 100), ((9, 16), 63, 1)]
)
def test_grid_lines_lie_on_the_pixels_they_name(size, factor, major):
    image = grey(*size, 0)
    sheet = pixel_grid(image)
    margin = (sheet.shape[1] - size[1] * factor) // 2
    assert sheet.shape == (size[0] * factor + 2 * margin, size[1] * factor + 2 * margin, 3)
    inside = sheet[margin:-margin, margin:-margin, 0].astype(float)
    across, down = lines_of(np.median(inside, axis=0)), lines_of(np.median(inside, axis=1))
    assert set(range(0, inside.shape[1], major * factor if major > 1 else 2 * factor)) <= set(across.tolist())
    assert set(range(0, inside.shape[0], major * factor if major > 1 else 2 * factor)) <= set(down.tolist())
    assert (image == 0).all()
