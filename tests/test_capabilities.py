"""The table of what siamtrack can do with every tracker: it is true, and the documentation has it."""

from __future__ import annotations

from pathlib import Path

import pytest

from siamtrack.export.capabilities import COLUMNS, markdown, rows
from siamtrack.library import model_names, open_model
from siamtrack.models.kinds import model_kinds
from siamtrack.tracking import gives_masks

PAGE = Path(__file__).parent.parent / "docs" / "networks.md"


def test_the_documentation_has_the_table() -> None:
    if not PAGE.is_file():
        pytest.skip("the documentation is not here")
    assert markdown() in PAGE.read_text(encoding="utf-8"), (
        "docs/networks.md has another table; put in what 'python -m siamtrack.export.capabilities' prints."
    )


def test_every_kind_and_every_embedded_model_is_in_it() -> None:
    found = [dict(zip(COLUMNS, row, strict=True)) for row in rows()]
    assert {row["build"].split("`")[1] for row in found} == set(model_kinds())
    embedded = {name.strip("`") for row in found for name in row["embedded"].split(", ")} - {"-"}
    assert embedded == {named.folder.name for named in model_names().values()}
    for row in found:
        for name in row["embedded"].replace("`", "").split(", "):
            if name != "-":
                tracker = open_model(name)
                assert gives_masks(tracker) == (row["masks"] == "yes")
                assert hasattr(tracker.settings, "long_term") == (row["long-term"] == "yes")  # type: ignore[attr-defined]
