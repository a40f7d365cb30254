"""The parameters of a model folder: convolutions with batch norm folded in."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from safetensors.torch import load_file
from torch import nn

from siamtrack.errors import WeightsError
from siamtrack.layers.folding import fold_batch_norm

Network = TypeVar("Network", bound=nn.Module)


def with_folded_weights(network: Network, path: Path) -> Network:
    """The network for inference, with folded batch norm and the parameters of that file in float32.

    Raises:
        WeightsError: the file does not hold exactly the folded parameters.
    """
    folded = fold_batch_norm(network)
    try:
        folded.load_state_dict({name: value.float() for name, value in load_file(path).items()})
    except RuntimeError as error:
        first = next((line.strip() for line in str(error).splitlines()[1:]), str(error))
        raise WeightsError(
            f"'{path}' does not fit the network that is described beside it: {first.rstrip('.')}. One of the two was "
            "changed; export or install the model again."
        ) from None
    return folded
