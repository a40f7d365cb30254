"""Commands that make a model: training, exporting, importing what others trained."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from siamtrack.cli import options
from siamtrack.errors import MissingExtraError, OutputError

console = Console(highlight=False, soft_wrap=True)


def train(
    recipe: Annotated[Path, typer.Argument(help="A TOML file; recipes/siamfc.toml made the embedded model.")],
    data: Annotated[list[Path], typer.Argument(help="Folders of pictures: stills, cut-outs with alpha, annotated tracks.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the run; one that was stopped goes on.")],
    teacher: Annotated[Path | None, typer.Option(help="Checkpoint of a network whose features are learnt too.")] = None,
    workers: Annotated[int, typer.Option(min=0, help="Processes that make training pairs.")] = 1,
    set: options.Overrides = None,
) -> None:
    """Train a network from pictures."""
    _require_training("Training")
    from siamtrack.models.siamfc_checkpoints import read_checkpoint
    from siamtrack.settings import from_mapping, read_toml, with_overrides
    from siamtrack.synthetic.material import find_material
    from siamtrack.training.loop import Recipe, train

    settings = with_overrides(from_mapping(Recipe, read_toml(recipe), where=str(recipe)), set or ())
    material = find_material(data)
    console.print(f"{len(material.stills)} stills, {len(material.cutouts)} cut-outs, {len(material.tracks)} tracks.")
    train(settings, material, out, teacher=read_checkpoint(teacher) if teacher else None, workers=workers)
    console.print(f"Done. 'siamtrack export {out} --out MODEL_FOLDER' makes a model of it.")


def export(
    checkpoint: Annotated[Path, typer.Argument(help="Folder of a training run, or a checkpoint file.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Model folder to write.")],
    licence: Annotated[str, typer.Option(help="Of the weights.")] = "unknown",
    card: Annotated[Path | None, typer.Option(help="Model card, a Markdown file.")] = None,
    int8: Annotated[Path | None, typer.Option(metavar="CLIPS", help="Add an int8 graph, calibrated on these annotated clips.")] = None,
    set: options.Overrides = None,
) -> None:
    """Write a model folder that every runtime can run, checked against PyTorch.

    CLIPS is a folder with NAME/groundtruth.txt (x,y,w,h a line) and NAME/img/*.jpg.
    """
    _require_training("Exporting")
    from siamtrack.datasets.folders import find_sequences
    from siamtrack.export.quantise import quantise
    from siamtrack.export.siamfc import export_siamfc

    clips = find_sequences(int8) if int8 else []
    export_siamfc(checkpoint, out, licence=licence, card=_text(card), overrides=set or ())
    console.print(f"{out} is complete; its runtimes agree with PyTorch.")
    if clips:
        console.print(str(quantise(out, clips)))


def convert(
    checkpoint: Annotated[Path, typer.Argument(help="siamfc-pytorch .pth, thesis .pth, folded convolutions, or MatConvNet .net.mat.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Weights file to write, .safetensors; 'siamtrack export' reads it.")],
) -> None:
    """Import a checkpoint in one of the formats people have."""
    _require_training("Converting")
    from siamtrack.models.siamfc_checkpoints import read_checkpoint
    from siamtrack.training.checkpoint import save_weights

    if out.suffix != ".safetensors":
        raise OutputError(f"'{out}' should end in .safetensors.")
    save_weights(out, read_checkpoint(checkpoint))
    console.print(f"{out} holds the weights. 'siamtrack export {out} --out MODEL_FOLDER' makes a model of it.")


def _require_training(purpose: str) -> None:
    from importlib.util import find_spec

    for package in ("torch", "safetensors", "onnx", "onnxscript", "onnxruntime", "tomli_w"):
        if find_spec(package) is None:
            raise MissingExtraError(package, extra="train", purpose=purpose)


def _text(path: Path | None) -> str:
    if path is None:
        return "No model card was given.\n"
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise OutputError(f"The model card '{path}' cannot be read: {error.strerror}.") from None
