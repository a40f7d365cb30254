"""ImageNet DET, training part (Russakovsky et al., IJCV 2015; ILSVRC2015 and 2017): stills with objects of 200 kinds.

Annotations/DET/train/ILSVRC2013_train/n01443537/n01443537_1000.xml and ILSVRC2014_train_0000/ILSVRC2014_train_00000001.xml, and
the picture at the same place under Data/ as .JPEG. Names are those of the XML files: pictures without any (the negatives in
ILSVRC2013_train_extra0 to extra10, for instance) show nothing to track and are passed over. A few files name no object.

Boxes: see `ilsvrc_xml`. Targets are called 0, 1, ... in the order of the file; categories are WordNet ids. Occlusion is not
annotated: visibility is NaN.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from siamtrack.datasets.clips import Clip, PictureFiles, Target, TrainingSet
from siamtrack.datasets.ilsvrc_xml import has_task, read_annotation, training_folders
from siamtrack.errors import DataError

_PARTS = "ILSVRC*_train*"


class ImageNetDET(TrainingSet):
    """See `TrainingSet`."""

    name = "imagenet_det"

    def __init__(self, root: Path) -> None:
        self.root = root
        self._annotations, self._pictures = training_folders(root, "DET")
        self._names = sorted(_annotated(self._annotations))
        if not self._names:
            raise DataError(
                f"There is no annotation in '{self._annotations}'; expected .xml files in ILSVRC2013_train and so on."
            )

    @classmethod
    def recognises(cls, root: Path) -> bool:
        """Whether there are annotations of DET's training part, and none of VID, which may lie in the same folder."""
        return has_task(root, "DET") and not has_task(root, "VID")

    @property
    def names(self) -> Sequence[str]:
        """See `TrainingSet`."""
        return self._names

    def clip(self, name: str) -> Clip:
        """See `TrainingSet`."""
        annotation = read_annotation(self._annotations / f"{name}.xml")
        targets = tuple(
            Target(
                name=str(number),
                category=shown.category,
                positions=np.zeros(1, np.int64),
                boxes=np.array([shown.box], np.float64),
                visibility=np.full(1, np.nan),
            )
            for number, shown in enumerate(annotation.objects)
        )
        return Clip(
            name=name,
            frames=PictureFiles((self._pictures / f"{name}.JPEG",)),
            targets=targets,
            size=annotation.size,
        )


def _annotated(annotations: Path) -> Iterator[str]:
    """Names of the annotated pictures, with their folders."""
    for part in annotations.glob(_PARTS):
        for folder, _, files in os.walk(part):
            place = Path(folder).relative_to(annotations).as_posix()
            for file in files:
                if file.endswith(".xml") and not file.startswith("."):  # macOS leaves "._" files on foreign disks
                    yield f"{place}/{file.removesuffix('.xml')}"


TRAINING_SET = ImageNetDET
