"""XML elements that know their line, which `xml.etree` does not tell."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

from siamtrack.errors import DataError


@dataclass(kw_only=True)
class Element:
    """An element with what is in it."""

    tag: str
    attributes: dict[str, str]
    where: str  # file and line, for messages
    text: str = ""
    children: list[Element] = field(default_factory=list)

    def all(self, *tags: str) -> list[Element]:
        """The elements directly in this one that have one of these tags."""
        return [child for child in self.children if child.tag in tags]

    def at(self, path: str) -> Element | None:
        """The first element at a path of tags such as "meta/task"."""
        tag, _, rest = path.partition("/")
        found = self.all(tag)
        return found[0].at(rest) if found and rest else found[0] if found else None

    def value(self, path: str) -> str:
        """The text of the element at a path, empty where there is none."""
        found = self.at(path)
        return found.text.strip() if found else ""

    def text_attribute(self, name: str) -> str:
        """An attribute.

        Raises:
            DataError: it is missing.
        """
        if name not in self.attributes:
            raise DataError(f"{self.where}: <{self.tag}> has no attribute '{name}'.")
        return self.attributes[name]

    def number(self, name: str, default: float | None = None) -> float:
        """An attribute as a number.

        Raises:
            DataError: it is no number, or missing without a default.
        """
        if default is not None and name not in self.attributes:
            return float(default)
        text = self.text_attribute(name)
        try:
            return float(text)
        except ValueError:
            raise DataError(f'{self.where}: {name}="{text}" in <{self.tag}> is no number.') from None

    def whole(self, name: str, default: int | None = None) -> int:
        """An attribute as a whole number.

        Raises:
            DataError: it is none, or missing without a default.
        """
        value = self.number(name, default)
        if not value.is_integer():  # also infinite and NaN
            raise DataError(f'{self.where}: {name}="{self.attributes[name]}" in <{self.tag}> is no whole number.')
        return int(value)


class _Enough(Exception):  # noqa: N818 - no error: what was wanted has been read
    pass


def read_xml(path: Path, *, until: tuple[str, ...] = ()) -> Element:
    """The root element of a file.

    Args:
        path: of the file.
        until: tags; the first such element is the last that is read, and comes without what is in it.

    Raises:
        DataError: the file cannot be read or is no XML; the message names the line.
    """
    parser = expat.ParserCreate()
    outside = Element(tag="", attributes={}, where=str(path))
    opened = [outside]

    def start(tag: str, attributes: dict[str, str]) -> None:
        element = Element(tag=tag, attributes=attributes, where=f"{path}, line {parser.CurrentLineNumber}")
        opened[-1].children.append(element)
        opened.append(element)
        if tag in until:
            raise _Enough

    def end(tag: str) -> None:
        opened.pop()

    def text(data: str) -> None:
        opened[-1].text += data

    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, text
    try:
        with path.open("rb") as file:
            parser.ParseFile(file)
    except _Enough:
        pass
    except OSError as error:
        raise DataError(f"'{path}' cannot be read: {error.strerror}.") from None
    except expat.ExpatError as error:
        reason = expat.ErrorString(error.code)
        raise DataError(f"{path}, line {error.lineno}: this is no valid XML ({reason}). Export the file again.") from None
    return outside.children[0]
