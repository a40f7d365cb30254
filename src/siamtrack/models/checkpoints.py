"""The network in a checkpoint file of any format that is known."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn

from siamtrack.errors import SettingsError, WeightsError
from siamtrack.layers.parameter_faults import listed
from siamtrack.models import rpn_formats, siamfc_formats
from siamtrack.models.checkpoint_files import OWN, own_description, read_parameters
from siamtrack.models.kinds import kind_of, model_kind
from siamtrack.models.published import Fit, Format, fit_of, load
from siamtrack.settings import from_mapping

FORMATS = (*siamfc_formats.FORMATS, *rpn_formats.FORMATS)
_CLASSIFIER = "a network that tells classes of images, such as torchvision's: a backbone without the head of a tracker"
_BACKBONE = "a backbone without the head of a tracker, which is for --backbone of 'siamtrack train'"
_STRANGERS = {  # networks that are not known here, by a beginning that only their names have
    "head.box2.": "SiamBAN",
    "car_head.": "SiamCAR",
    "ban_head.": "NanoTrack",
    "fc.": _CLASSIFIER,
    "classifier.": _CLASSIFIER,
}
_BACKBONES = ("layer1.0.", "layer0.0.", "features.conv1.", "features.0.")  # how names begin in files of a backbone alone


def described(network: nn.Module) -> dict[str, str]:
    """Which network it is, as safetensors keeps it beside the tensors."""
    return {OWN: json.dumps({"model": kind_of(network), "network": asdict(network.settings)})}  # type: ignore[call-overload]


def read_checkpoint(path: Path) -> Any:
    """The network in a checkpoint, in eval mode.

    Which network it is, and how wide, is found from names and shapes; template and search size are not in these files, and are
    the network's defaults. Nothing in the file is executed, and the global random state is left as it is.

    Raises:
        WeightsError: the file cannot be read, would have to run code, or does not hold exactly the finite parameters of
            a network that is known; all missing, unexpected and wrong ones are named at once.
        MissingExtraError: a MATLAB file, and SciPy is not installed.
    """
    found = read_parameters(path)
    return load(_own(path) or _recognised(path, found), found, path)


def _own(path: Path) -> Fit | None:
    """The network that the file says it holds; None where it says nothing."""
    try:
        values = own_description(path)
        if values is None:
            return None
        kind = model_kind(values["model"])
        settings = from_mapping(kind.settings, values["network"], where=str(path))
        with torch.device("meta"):
            network = kind.build(settings)
    except (ValueError, LookupError, TypeError, SettingsError) as error:
        raise WeightsError(f"'{path}' describes a network that this version of siamtrack cannot build: {error}") from None
    names = {name: name for name in network.state_dict()}
    form = Format(title="siamtrack", model=values["model"], build=lambda _: network, names=lambda _: names)
    return Fit(format=form, network=network, names=names)


def tracker_in(found: Mapping[str, Any]) -> str:
    """Which tracker's parameters these seem to be, in a few words; "" where they are no known one's."""
    try:
        fits = [fit for fit in _fits(Path(), found) if fit.shared_with(found)[1] >= 0.5]
    except WeightsError:  # of no network that there is
        return ""
    if not fits:
        return ""
    best = _best(fits, found)
    backbone = getattr(best.network.settings, "backbone", "")
    return f"a {best.format.model}{backbone and f' with {backbone}'} of {best.format.title}"


def _recognised(path: Path, found: Mapping[str, Any]) -> Fit:
    """The network of others that the parameters fit best, though perhaps not well."""
    alike = next((network for start, network in _STRANGERS.items() if any(name.startswith(start) for name in found)), "")
    fits = [] if alike else _fits(path, found)
    if fits:
        return _best(fits, found)
    prefix, inner = _within(found)
    if not alike and inner and (nested := _fits(path, inner)):
        title = _best(nested, inner).format.title
        alike = f"a checkpoint of {title}, with '{prefix}.' before every name; save that part of it alone"
    if not alike and any(name.startswith(_BACKBONES) for name in found):
        alike = _BACKBONE
    raise WeightsError(
        f"'{path}' is no checkpoint of a network that is known. {f'It looks like {alike}. ' if alike else ''}"
        f"It holds {listed(found) or 'nothing'}. Known are the formats of {', '.join(dict.fromkeys(f.title for f in FORMATS))}."
    )


def _fits(path: Path, found: Mapping[str, Any]) -> list[Fit]:
    fits = []
    for form in FORMATS:
        try:
            fit = fit_of(form, found)
        except SettingsError as error:
            raise WeightsError(
                f"'{path}' looks like a checkpoint of {form.title}, but there is no such network. {error} "
                "It is damaged, or of another network."
            ) from None
        fits += [fit] if fit else []
    return fits


def _best(fits: Sequence[Fit], found: Mapping[str, Any]) -> Fit:
    return max(fits, key=lambda fit: fit.shared_with(found))


def _within(found: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """What all names begin with, and the parameters without it; nothing where they do not begin alike."""
    starts = {name.partition(".")[0] for name in found}
    if len(starts) != 1:
        return "", {}
    (prefix,) = starts
    return prefix, {name.removeprefix(f"{prefix}."): value for name, value in found.items()}
