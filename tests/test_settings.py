"""Settings are taken strictly, and what is refused is named with the nearest spelling."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from siamtrack.errors import SettingsError, nearest
from siamtrack.settings import check_limits, from_mapping, read_toml, with_overrides


@dataclass(frozen=True, kw_only=True)
class Inner:
    width: float = 1.0
    groups: int = 2
    share: float = 0.5

    def __post_init__(self) -> None:
        if self.width <= 0:
            raise SettingsError("the width must be above 0")
        check_limits(self, {"share": (0, 1)})


@dataclass(frozen=True, kw_only=True)
class Outer:
    rate: float
    name: str = "plain"
    count: int = 3
    fast: bool = False
    sizes: tuple[int, ...] = (1, 2)
    limit: int | None = None
    hashes: dict[str, str] = field(default_factory=dict)
    inner: Inner = field(default_factory=Inner)


def test_values_are_taken_and_the_rest_is_default() -> None:
    found = from_mapping(Outer, {"rate": 0.5, "sizes": [4, 5, 6], "inner": {"groups": 1}, "hashes": {"a": "b"}}, where="here")
    assert found == Outer(rate=0.5, sizes=(4, 5, 6), inner=Inner(groups=1), hashes={"a": "b"})


def test_an_int_is_taken_for_a_float_and_becomes_one() -> None:
    assert type(from_mapping(Outer, {"rate": 2}, where="here").rate) is float


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"rate": "1"}, r"'rate' in x.toml is '1'; expected a number"),
        ({"rate": True}, r"'rate' in x.toml is True; expected a number"),  # a bool is an int to Python, not to a reader
        ({"rate": 1, "count": 3.0}, "'count' in x.toml is 3.0; expected a whole number"),
        ({"rate": 1, "count": True}, "expected a whole number"),
        ({"rate": 1, "fast": 1}, "expected true or false"),
        ({"rate": 1, "name": 5}, "expected text"),
        ({"rate": 1, "sizes": 5}, "'sizes' in x.toml is 5"),
        ({"rate": 1, "sizes": [1, "2"]}, "'sizes' in x.toml is '2'; expected a whole number"),
        ({"rate": 1, "limit": "none"}, "expected a whole number or none"),
        ({"rate": 1, "hashes": {"file": 3}}, r"'hashes' in x.toml.file is 3; expected text"),
        ({"rate": 1, "inner": 3}, "'inner' in x.toml is 3; expected a table with width"),
        ({"rate": 1, "inner": {"width": "wide"}}, "'width' in 'inner' in x.toml is 'wide'"),
        ({"rate": 1, "inner": {"widht": 1.0}}, "Unknown setting 'widht' in 'inner' in x.toml. Did you mean 'width'?"),
        ({"rate": 1, "inner": {"width": -1.0}}, "must be above 0"),
        ({"rate": 1, "inner": {"share": 1.5}}, r"The setting inner\.share is 1\.5; expected 0 to 1"),
        ({"rate": 1, "raet": 2}, "Unknown setting 'raet' in x.toml. Did you mean 'rate'?"),
        ({"rate": 1, "zzz": 2}, "Known: count, fast, hashes, inner, limit, name, rate, sizes."),
        ({}, "Missing setting in x.toml: rate"),
        ({"count": 1}, "Missing setting in x.toml: rate"),
    ],
)
def test_what_is_refused_and_why(values: dict[str, Any], says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        from_mapping(Outer, values, where="x.toml")


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ([], Outer(rate=1.0)),
        (["rate=2"], Outer(rate=2.0)),
        (["rate = 2.5 "], Outer(rate=2.5)),
        (["rate=1e-3"], Outer(rate=1e-3)),
        (["rate=.95"], Outer(rate=0.95)),
        (["rate=-5."], Outer(rate=-5.0)),
        (["rate=.5e-2"], Outer(rate=0.005)),
        (["name=."], Outer(rate=1.0, name=".")),
        (["name=fancy"], Outer(rate=1.0, name="fancy")),  # quotes left out
        (['name="a=b"'], Outer(rate=1.0, name="a=b")),
        (["name=a=b"], Outer(rate=1.0, name="a=b")),
        (["fast=true", "count=-4"], Outer(rate=1.0, fast=True, count=-4)),
        (["sizes=[7, 8]"], Outer(rate=1.0, sizes=(7, 8))),
        (["limit=9"], Outer(rate=1.0, limit=9)),
        (["inner.width=2", "inner.groups=1"], Outer(rate=1.0, inner=Inner(width=2.0, groups=1))),
        (["count=1", "count=2"], Outer(rate=1.0, count=2)),  # the last one counts
    ],
)
def test_overrides(texts: list[str], expected: Outer) -> None:
    before = Outer(rate=1.0)
    assert with_overrides(before, texts) == expected
    assert before == Outer(rate=1.0)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("rate", "'rate' is no setting; expected KEY=VALUE, as in rate=1.0"),
        ("=3", "'' is no name of a setting"),
        ("rat=3", "Did you mean 'rate'?"),
        ("inner.widht=3", "Did you mean 'width'?"),
        ("iner.width=3", "Unknown setting 'iner.width' in --set. Did you mean 'inner'?"),
        ("rate.width=3", "Unknown setting 'rate.width'"),  # inside a number there are no settings
        ("inner=3", "expected a table with width"),
        ("inner.width=0", "must be above 0"),
        ("count=many", "'many'; expected a whole number"),
        ("rate=", "''; expected a number"),
        ("fast=yes", "'yes'; expected true or false"),
    ],
)
def test_overrides_that_are_refused(text: str, says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        with_overrides(Outer(rate=1.0), [text])


def test_the_example_in_a_refusal_could_be_given() -> None:
    @dataclass(frozen=True)
    class Flagged:
        fast: bool = False
        name: str = "plain"
        count: int = 3

    with pytest.raises(SettingsError, match="as in count=3"):
        with_overrides(Flagged(), ["fast"])


def test_toml_is_read(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text("rate = 0.1\n[inner]\ngroups = 4\n", encoding="utf-8")
    assert read_toml(path) == {"rate": 0.1, "inner": {"groups": 4}}


def test_a_file_that_is_missing_or_no_toml_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.toml' cannot be read: No such file"):
        read_toml(tmp_path / "none.toml")
    bad = tmp_path / "bad.toml"
    for content in (b"rate = = 1", b"\xff\xfe\x00r"):
        bad.write_bytes(content)
        with pytest.raises(SettingsError, match=r"bad\.toml' is no valid TOML"):
            read_toml(bad)


def test_nearest_name_or_all() -> None:
    assert nearest("opnevino", ["openvino", "onnx", "torch"]) == "Did you mean 'openvino'?"
    assert nearest("qqq", iter(["b", "a"])) == "Known: a, b."
