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

from siamtrack.errors import SettingsError, WeightsError
from siamtrack.layers.imagenet import CLASSIFIER, converted
from siamtrack.layers.mobilenet import MobileNetV2
from siamtrack.layers.parameter_faults import faults
from siamtrack.layers.resnet import ResNet
from siamtrack.models import siamdw, siamrpn
from siamtrack.models.checkpoints import tracker_in
from siamtrack.models.kinds import kind_of
from siamtrack.models.rpn_formats import backbone_in

_NAMES = {"siamfc": "AlexNet", "siamrpn": "AlexNet", "nanotrack": "MobileNetV3"}  # where a kind of network has one alone
_SAME = 0.8  # of the names: it is that backbone, damaged or of another width
_FIRST = ("conv1.0.weight", "stem.conv.weight")  # convolutions, by our names


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
    if not is_published(network):
        raise SettingsError(
            f"The network has the backbone {_name(network)}; ImageNet weights are read for those of siamrpn, "
            "siamrpnpp, siammask and siamdw. Leave --backbone out, or train one of these."
        )
    found = {name.removeprefix("module."): value for name, value in parameters.items()}
    if all(name.startswith("backbone.") for name in found):  # the part of a tracker
        found = {name.removeprefix("backbone."): value for name, value in found.items()}
    is_torchvisions = isinstance(network.backbone, ResNet | MobileNetV2)
    try:
        return converted(network.backbone, found) if is_torchvisions else _of_its_tracker(network, found)
    except WeightsError as error:
        other = _other(network, found)
        source = "torchvision or STVIR/pysot" if is_torchvisions else "STVIR/pysot or researchmm/SiamDW"
        raise WeightsError(
            f"The weights do not fit the backbone {_title(network)}{other and f'; they look like {other}'}: {error}. "
            f"Give those of the same backbone, width and depth, from {source}."
        ) from None


def _of_its_tracker(network: Any, found: Mapping[str, Tensor]) -> dict[str, Tensor]:
    theirs = max(_namings(network), key=lambda naming: len(found.keys() & naming.keys()))
    own = network.backbone.state_dict()
    unused = [name for name in found if name.startswith(CLASSIFIER)]
    if wrong := faults(found, theirs, {name: tuple(value.shape) for name, value in own.items()}, unused=unused):
        raise WeightsError(wrong)
    values = {ours: found[name].flip(1) if ours in _FIRST else found[name] for name, ours in theirs.items() if name in found}
    return {**own, **values}


def _name(network: Any) -> str:
    """Of its backbone, as settings say it."""
    return getattr(network.settings, "backbone", "") or _NAMES[kind_of(network)]


def _title(network: Any) -> str:
    return f"{_name(network)} of width {network.settings.width:g}"


def _other(network: Any, found: Mapping[str, Tensor]) -> str:
    """What the file seems to hold instead of such a backbone; "" where it is one, if damaged, or nothing known."""
    named = {name for name in found if not name.startswith(CLASSIFIER)}
    if any(len(named & naming.keys()) > _SAME * max(len(named), len(naming)) for naming in _namings(network)):
        return ""
    if tracker := tracker_in(found):
        return f"a whole tracker, {tracker}, to begin with by --from"
    kind = backbone_in(found)
    return "" if kind.split(" ")[0] == _name(network) else kind


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
