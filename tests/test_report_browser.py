"""The page of a report in a real browser: a script clicks as a reader would, and what the page has become is looked at."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from report_pages import SHIFTS, Element, Page, column, group_of, report_of, sequences

from siamtrack.evaluation.report import build_report

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")

# Whatever the page's own script throws is kept, so that a test sees it.
WATCH = "<script>addEventListener('error', (e) => document.body.setAttribute('data-error', e.message));</script>"


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> str:
    return build_report(report_of(group_of(sequences(tmp_path_factory.mktemp("frames")))))


def after(text: str, folder: Path, *clicks: str, width: int = 800) -> Element:
    """The page after clicks on these elements, each of them chosen by CSS, in a window of this width, pixels."""
    script = "".join(f"document.querySelector({json.dumps(css)}).click();" for css in clicks)
    file = folder / "report.html"
    file.write_text(
        text.replace("<script type", WATCH + "<script type").replace("</body>", f"<script>{script}</script></body>")
    )
    window = (f"--window-size={width},900", f"--user-data-dir={folder / 'profile'}")
    command = [str(BROWSER), *QUIET, *window, "--dump-dom", file.as_uri()]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=600, check=True)
    page = Page(ended.stdout).root
    assert "data-error" not in page.all("body")[0].attributes
    return page


def heading(table: int, number: int) -> str:
    return f"section:nth-of-type({table}) .sortable thead th:nth-child({number}) button"


def test_a_click_on_a_heading_sorts(text: str, tmp_path: Path) -> None:
    ranked = ["near", "middle", "far"]
    headings = Page(text).root.all("table", "sortable")[0].all("thead")[0].all("th")
    error = next(i for i, cell in enumerate(headings, 1) if cell.words.startswith("CE px"))
    orders = {
        (heading(1, error),): ranked[::-1],  # numbers: the largest first
        (heading(1, error), heading(1, error)): ranked,
        (heading(1, 1),): ["far", "middle", "near"],
    }
    for i, (clicks, expected) in enumerate(orders.items()):
        (tmp_path / str(i)).mkdir()
        table = after(text, tmp_path / str(i), *clicks).all("table", "sortable")[0]
        assert column(table, 0) == expected
        sorted_by = [cell.attributes["aria-sort"] for cell in table.all("thead")[0].all("th")]
        assert sum(order != "none" for order in sorted_by) == 1


def test_a_click_on_a_sequence_shows_it(text: str, tmp_path: Path) -> None:
    page = after(text, tmp_path, "tr[data-sequence=car] button")
    (detail,) = page.all("tr", "detail")
    assert len(detail.all("path", "line")) == len(SHIFTS)
    reading = detail.all("div", "reading")[0].words
    assert all(name in reading for name in SHIFTS)
    figures = detail.all("figure")
    assert figures
    for figure in figures:
        (image,) = figure.all("img")
        assert image.attributes["src"].startswith("data:image/jpeg;base64,")
        assert len(figure.all("polygon", "truth")) == 1
        assert len(figure.all("polygon", "region")) == len(SHIFTS)
    (button,) = [one for one in page.all("button", "opener") if one.words == "car"]
    assert button.attributes["aria-expanded"] == "true"


def test_what_is_open_moves_with_its_row_and_closes(text: str, tmp_path: Path) -> None:
    row = "tr[data-sequence=ball] button"
    (tmp_path / "a").mkdir()
    table = after(text, tmp_path / "a", row, heading(2, 1), heading(2, 1)).all("table", "sequences")[0]
    shown = [(tr.attributes.get("class", ""), tr.attributes.get("data-sequence")) for tr in table.all("tbody")[0].inside]
    assert shown == [("", "car"), ("open", "ball"), ("detail", None)]
    (tmp_path / "b").mkdir()
    assert not after(text, tmp_path / "b", row, row).all("tr", "detail")


def test_the_page_can_be_made_dark(text: str, tmp_path: Path) -> None:
    page = after(text, tmp_path, "#theme")
    assert "dark" in page.all("html")[0].attributes["style"]


@pytest.mark.parametrize(("width", "wide"), [(500, True), (1600, False)])
def test_a_table_that_is_wider_than_the_page_says_so(text: str, tmp_path: Path, width: int, wide: bool) -> None:
    ranking = after(text, tmp_path, width=width).all("div", "scroll")[0]
    assert ("wide" in ranking.attributes["class"].split()) is wide
