"""Weights from ImageNet for the backbone of any network that such weights are published for.

ResNet and MobileNetV2: see `siamtrack.layers.imagenet`. The others are not in torchvision. Their files have the names that the
backbone has in the trackers of the same repository, with or without the parts in front: STVIR/pysot's AlexNet (both forms) for
`siamrpn`, and researchmm/SiamDW's residual networks for `siamdw`. Both want BGR of 0..255, so the input channels of the first
convolution are put in reverse order. Neither file was at hand: what is known of their names are those of the trackers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

from siamtrack.errors import SettingsError
from siamtrack.layers.imagenet import CLASSIFIER, check_fit, converted
from siamtrack.layers.mobilenet import MobileNetV2
from siamtrack.layers.resnet import ResNet
from siamtrack.models import siamdw, siamrpn

_FIRST = ("conv1.0.weight", "stem.conv.weight")  # convolutions, by our names
_ADVICE = "Give those of the same backbone and width, from STVIR/pysot or researchmm/SiamDW."


def is_published(network: Any) -> bool:
    """Whether weights from ImageNet are read for the network's backbone."""
    return isinstance(network.backbone, ResNet | MobileNetV2) or any(True for _ in _namings(network))


def imagenet_state(network: Any, parameters: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The parameters of the network's backbone as those of a network that was trained on ImageNet.

    Args:
        network: stays as it is; may be on the device "meta".
        parameters: what the file holds, by name. The classifier may be there.

    Raises:
        SettingsError: none are read for this backbone.
        WeightsError: they are not exactly the backbone's.
    """
    backbone = network.backbone
    if isinstance(backbone, ResNet | MobileNetV2):
        return converted(backbone, parameters)
    found = {name.removeprefix("module."): value for name, value in parameters.items()}
    namings = list(_namings(network))
    if not namings:
        raise SettingsError(
            f"The network has the backbone {type(backbone).__name__}; ImageNet weights are read for those of siamrpn, "
            "siamrpnpp, siammask and siamdw. Leave --backbone out, or train one of these."
        )
    theirs = max(namings, key=lambda naming: len(found.keys() & naming.keys()))
    values = {ours: found[name].flip(1) if ours in _FIRST else found[name] for name, ours in theirs.items() if name in found}
    unused = frozenset(name for name in found if name.startswith(CLASSIFIER))
    check_fit(backbone, {ours: name for name, ours in theirs.items()}, values, found, unused=unused, advice=_ADVICE)
    return {**backbone.state_dict(), **values}


def _namings(network: Any) -> Iterator[dict[str, str]]:
    """What the backbone's parameters may be called in a file -> what they are called in the backbone."""
    for names in _of_trackers(network):
        inside = {theirs: ours.removeprefix("backbone.") for theirs, ours in names.items() if ours.startswith("backbone.")}
        for parts in range(3):
            yield {theirs.split(".", parts)[-1]: ours for theirs, ours in inside.items()}


def _of_trackers(network: Any) -> Iterator[Mapping[str, str]]:
    """The same for all parameters of trackers with such a backbone."""
    if isinstance(network, siamrpn.SiamRPN):
        yield from (siamrpn.names_of_pysot(network.settings, backbone=form) for form in ("alexnetlegacy", "alexnet"))
    elif isinstance(network.settings, siamdw.SiamDWNetworkSettings):
        yield siamdw.names_of_siamdw(network.settings)
