"""The class names of YOLO data: data.yaml as Ultralytics and CVAT write it, obj.names, classes.txt."""

from __future__ import annotations

import re
from pathlib import Path

from siamtrack.datasets.annotations.media import text_of

_PLAIN = ("obj.names", "classes.txt", "data.names", "predefined_classes.txt")  # one name a line
_ENTRY = re.compile(r"""\s*(?:-|(\d+)\s*:)\s*("[^"]*"|'[^']*'|[^#]*?)\s*(?:\#.*)?$""")


def class_names(folder: Path, root: Path) -> dict[int, str]:
    """Names by class number, from the nearest file in the folder or those around it, up to `root`; empty where there is none.

    Of YAML, only `names` is read, as a list or a mapping, over several lines or in one. What is written in another way gives
    no names rather than wrong ones.
    """
    for place in [folder, *folder.parents]:
        for path in sorted(place.glob("*.y*ml")):
            if names := _names_in_yaml(text_of(path)):
                return names
        for path in (place / name for name in _PLAIN):
            if path.is_file():
                return dict(enumerate(line.strip() for line in text_of(path).splitlines() if line.strip()))
        if place == root:
            break
    return {}


def _names_in_yaml(text: str) -> dict[int, str]:
    found = re.search(r"^names[ \t]*:[ \t]*(.*(?:\n(?!\S)(?:.*))*(?:\n-.*)*)", text, re.MULTILINE)
    if not found:
        return {}
    body = found[1].strip()
    if body[:1] in ("[", "{"):
        flow = re.match(r"[\[{]([^\[\]{}]*)[\]}]", body)  # no brackets within names
        pieces = re.findall(r"""(?:[^,"']|"[^"]*"|'[^']*')+""", flow[1]) if flow else []
        lines = [piece if body[0] == "{" else f"- {piece.strip()}" for piece in pieces if piece.strip()]
    else:
        lines = [line for line in body.split("\n") if line.strip() and not line.lstrip().startswith("#")]
    entries = [_ENTRY.match(line) for line in lines]
    if not all(entries):
        return {}
    return {int(e[1]) if e[1] else i: e[2].strip("\"'") for i, e in enumerate(entries) if e}
