"""Folders of tracks, to train from, out of clips and the table of boxes beside this file.

    python benchmarks/clip_tracks.py CLIPS OUT [--table benchmarks/clip_tracks.csv]

CLIPS holds CLIP/FRAME.jpg; OUT gets CLIP__TRACK/img with links to the labelled frames and CLIP__TRACK/groundtruth.txt, which
`--data pictures=OUT` reads. 120 tracks on 27 clips of the Intel IoT sample videos, the SAM 2 demo and the Track-Anything
samples, 1,940 boxes. 239 of them were drawn by hand, among them 12 whole tracks; those between were followed by NanoTrack v3
from both sides and kept where its way back ended in the first box. All tracks were looked at on sheets, a third of them frame
by frame. `siamnano` learnt from 88 of them; its card says which are held out.
"""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--table", type=Path, default=Path(__file__).with_suffix(".csv"))
    arguments = parser.parse_args()
    tracks: dict[tuple[str, str], list[dict[str, str]]] = defaultdict(list)
    with arguments.table.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            tracks[row["clip"], row["track"]].append(row)
    for (clip, name), rows in tracks.items():
        folder = arguments.out / f"{clip}__{name}"
        (folder / "img").mkdir(parents=True)
        for row in rows:
            frame = f"{row['frame']}.jpg"
            (folder / "img" / frame).symlink_to((arguments.clips / clip / frame).resolve(strict=True))
        boxes = (",".join(row[side] for side in "xywh") for row in rows)
        (folder / "groundtruth.txt").write_text("".join(f"{box}\n" for box in boxes), encoding="utf-8")
    print(f"{len(tracks)} tracks, {sum(map(len, tracks.values()))} boxes in '{arguments.out}'")


if __name__ == "__main__":
    main()
