"""The names and shapes in a checkpoint of foolwood/SiamMask, read off its modules and not off our list of them.

From the constructors there: experiments/siammask_sharp/custom.py and resnet.py, models/rpn.py (DepthCorr). The network
without refinement (experiments/siammask_base) has the same without `refine_model`. Counters of batch norm are left out.
"""

from __future__ import annotations

Shape = tuple[int, ...]

BACKBONE = """
    conv1.weight 64 3 7 7
    bn1 64
    layer1.0.conv1.weight 64 64 1 1
    layer1.0.bn1 64
    layer1.0.conv2.weight 64 64 3 3
    layer1.0.bn2 64
    layer1.0.conv3.weight 256 64 1 1
    layer1.0.bn3 256
    layer1.0.downsample.0.weight 256 64 1 1
    layer1.0.downsample.1 256
    layer2.0.conv1.weight 128 256 1 1
    layer2.0.bn1 128
    layer2.0.conv2.weight 128 128 3 3
    layer2.0.bn2 128
    layer2.0.conv3.weight 512 128 1 1
    layer2.0.bn3 512
    layer2.0.downsample.0.weight 512 256 3 3
    layer2.0.downsample.1 512
    layer3.0.conv1.weight 256 512 1 1
    layer3.0.bn1 256
    layer3.0.conv2.weight 256 256 3 3
    layer3.0.bn2 256
    layer3.0.conv3.weight 1024 256 1 1
    layer3.0.bn3 1024
    layer3.0.downsample.0.weight 1024 512 3 3
    layer3.0.downsample.1 1024
"""
LATER_BLOCKS = {"layer1": (1, 2), "layer2": (1, 2, 3), "layer3": (1, 2, 3, 4, 5)}
LATER_BLOCK = """
    conv1.weight {inside} {outside} 1 1
    bn1 {inside}
    conv2.weight {inside} {inside} 3 3
    bn2 {inside}
    conv3.weight {outside} {inside} 1 1
    bn3 {outside}
"""
CHANNELS = {"layer1": (64, 256), "layer2": (128, 512), "layer3": (256, 1024)}
NECK = """
    downsample.0.weight 256 1024 1 1
    downsample.1 256
"""
BRANCH = """
    conv_kernel.0.weight 256 256 3 3
    conv_kernel.1 256
    conv_search.0.weight 256 256 3 3
    conv_search.1 256
    head.0.weight 256 256 1 1
    head.1 256
    head.3.weight {outputs} 256 1 1
    head.3.bias {outputs}
"""
BRANCHES = {"rpn_model.cls": 10, "rpn_model.loc": 20, "mask_model.mask": 3969}
REFINEMENT = """
    v0.0.weight 16 64 3 3
    v0.0.bias 16
    v0.2.weight 4 16 3 3
    v0.2.bias 4
    v1.0.weight 64 256 3 3
    v1.0.bias 64
    v1.2.weight 16 64 3 3
    v1.2.bias 16
    v2.0.weight 128 512 3 3
    v2.0.bias 128
    v2.2.weight 32 128 3 3
    v2.2.bias 32
    h2.0.weight 32 32 3 3
    h2.0.bias 32
    h2.2.weight 32 32 3 3
    h2.2.bias 32
    h1.0.weight 16 16 3 3
    h1.0.bias 16
    h1.2.weight 16 16 3 3
    h1.2.bias 16
    h0.0.weight 4 4 3 3
    h0.0.bias 4
    h0.2.weight 4 4 3 3
    h0.2.bias 4
    deconv.weight 256 32 15 15
    deconv.bias 32
    post0.weight 16 32 3 3
    post0.bias 16
    post1.weight 4 16 3 3
    post1.bias 4
    post2.weight 1 4 3 3
    post2.bias 1
"""


def official_shapes(*, refined: bool) -> dict[str, Shape]:
    """Of every parameter and statistic, by its name."""
    shapes = _read("features.features", BACKBONE)
    for layer, blocks in LATER_BLOCKS.items():
        inside, outside = CHANNELS[layer]
        for block in blocks:
            shapes |= _read(f"features.features.{layer}.{block}", LATER_BLOCK.format(inside=inside, outside=outside))
    shapes |= _read("features.downsample", NECK)
    for branch, outputs in BRANCHES.items():
        shapes |= _read(branch, BRANCH.format(outputs=outputs))
    return shapes | (_read("refine_model", REFINEMENT) if refined else {})


def _read(prefix: str, table: str) -> dict[str, Shape]:
    """Names that do not say which of its values they are of are those of a batch norm, which has four."""
    shapes: dict[str, Shape] = {}
    for line in table.split("\n")[1:-1]:
        name, *numbers = line.split()
        norm = name.rpartition(".")[2] not in ("weight", "bias")
        for value in (".weight", ".bias", ".running_mean", ".running_var") if norm else ("",):
            shapes[f"{prefix}.{name}{value}"] = tuple(map(int, numbers))
    return shapes
