"""SiamFC: L. Bertinetto, J. Valmadre, J. F. Henriques, A. Vedaldi, P. H. S. Torr, "Fully-Convolutional Siamese Networks
for Object Tracking", ECCV Workshops 2016. Network and labels; the loss is in `layers/losses.py`, the tracking procedure in
`trackers/siamfc.py`.

Differences between paper, official code (bertinetto/siamese-fc) and this code:
* Input: 0..255, RGB, not normalised, in all three.
* Adjust layer: one gain and one bias after the correlation; the official code fixes the gain at 1e-3 and learns the
  bias; so does this code.
* Training response: 15 x 15 from 239 px in the official code; here as the recipe says, 17 x 17 from 255 px by default.
* Labels: the target may lie away from the centre of the search patch here; the label disc moves with it. A negative pair, of
  two different objects, has negative labels alone; the papers' code has no such pairs.
* Loss: the same balanced logistic loss, computed as softplus(-y v), which cannot overflow.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from siamtrack.errors import SettingsError
from siamtrack.layers.alexnet import RECEPTIVE_FIELD_PX, TOTAL_STRIDE_PX, AlexNet
from siamtrack.layers.losses import LOSSES
from siamtrack.layers.xcorr import cross_correlation, grouped_cross_correlation
from siamtrack.models.model import Loss, Model, Targets, Verdict


@dataclass(frozen=True, kw_only=True)
class SiamFCNetworkSettings:
    """What is needed to build the network.

    Raises:
        SettingsError: a size below the network's receptive field, or a width that is not positive.
    """

    width: float = 1.0  # multiplies the channels of every layer but the last; 1 is the paper's table 1
    template_size: int = 127  # px, sec. 4.2
    search_size: int = 255  # px, sec. 4.2
    gain: float = 1e-3  # adjust layer of the official code

    def __post_init__(self) -> None:
        if self.template_size < RECEPTIVE_FIELD_PX or self.search_size < self.template_size:
            raise SettingsError(
                f"Template {self.template_size} px and search {self.search_size} px cannot be used; "
                f"expected {RECEPTIVE_FIELD_PX} <= template <= search."
            )
        if not (0 < self.width < 100 and 0 < self.gain < 1e6):  # NaN is neither
            raise SettingsError(f"The width is {self.width} and the gain {self.gain}; expected numbers above 0.")


class SiamFC(nn.Module):
    """The fully-convolutional Siamese network: f(z, x) = gain * (embed(z) * embed(x)) + bias."""

    MAPS = ("responses",)  # names of what `match` gives

    gain: Tensor

    def __init__(self, settings: SiamFCNetworkSettings | None = None) -> None:
        super().__init__()
        self.settings = settings or SiamFCNetworkSettings()
        self.backbone = AlexNet(self.settings.width)
        self.register_buffer("gain", torch.tensor(self.settings.gain))
        self.bias = nn.Parameter(torch.zeros(()))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]

    def embed(self, pixels: Tensor) -> Tensor:
        """Pixels (B, 3, S, S), RGB, 0..255 -> features (B, 256, f, f): f = 6 for 127 px, 22 for 255 px."""
        features: Tensor = self.backbone(pixels)
        return features

    def match(self, templates: Tensor, pixels: Tensor) -> tuple[Tensor]:
        """Templates (N, 256, 6, 6) and search pixels (N * S, 3, 255, 255), S per target -> responses (N, S, 17, 17), alone."""
        features = self.embed(pixels)
        searches = features.reshape(templates.shape[0], -1, *features.shape[1:])
        return (self.gain * cross_correlation(templates, searches) + self.bias,)

    def forward(self, z: Tensor, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """For training: one search patch a template.

        Args:
            z: template pixels (B, 3, 127, 127).
            x: search pixels (B, 3, 255, 255).

        Returns:
            Responses (B, 17, 17), template features (B, 256, 6, 6), search features (B, 256, 22, 22).
        """
        template, search = self.embed(z), self.embed(x)
        return self.gain * grouped_cross_correlation(template, search) + self.bias, template, search


def labels(offsets: Tensor, cells: int, *, radius_px: float = 16.0) -> Tensor:
    """+1 where a cell of the response lies within the radius of the target, -1 elsewhere (eq. 4).

    Args:
        offsets: (B, 2), x and y of the target relative to the centre of the search patch, patch pixels.
        cells: side of the response.
        radius_px: in patch pixels; 16 covers 13 cells of stride 8 around a centred target.

    Returns:
        (B, cells, cells). The cell nearest the target is +1 even when none lies within the radius.
    """
    grid = (torch.arange(cells, device=offsets.device) - (cells - 1) / 2) * TOTAL_STRIDE_PX
    distance = torch.hypot(grid[None, None, :] - offsets[:, 0, None, None], grid[None, :, None] - offsets[:, 1, None, None])
    nearest = distance <= distance.amin((1, 2), keepdim=True)
    return torch.where((distance <= radius_px) | nearest, 1.0, -1.0)


def peak_is_positive(responses: Tensor, targets: Tensor) -> Tensor:
    """Share of the maps with positive labels whose highest cell carries one, in [0, 1]; 0 where no map has any."""
    peaks = responses.flatten(1).argmax(1, keepdim=True)
    positive = targets.flatten(1) > 0
    return positive.gather(1, peaks).sum() / positive.any(1).sum().clamp_min(1)


def siamfc_losses(_: Any) -> Mapping[str, Loss]:
    """The losses of any network that gives responses, by name; see `siamtrack.models.model.Model.losses`."""

    def judged_by(loss: Callable[[Tensor, Tensor], Tensor]) -> Loss:
        def judge(answer: tuple[Tensor, ...], targets: Targets) -> Verdict:
            responses = answer[0]
            wanted = labels(targets.offsets, responses.shape[-1])
            wanted = torch.where(targets.absent[:, None, None], -1.0, wanted)
            return Verdict(loss(responses, wanted), peak_is_positive(responses, wanted), responses.detach().float())

        return judge

    return {name: judged_by(loss) for name, loss in LOSSES.items()}


def siamfc_procedure(settings: Any) -> tuple[str, Mapping[str, Any]]:
    """Tracking with such a network; see `siamtrack.models.model.Model.procedure`."""
    return "siamfc", {"template_size": settings.template_size, "search_size": settings.search_size}


MODEL = Model(settings=SiamFCNetworkSettings, build=SiamFC, procedure=siamfc_procedure, losses=siamfc_losses, features=True)
