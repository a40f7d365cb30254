"""Commands that make a model: training, exporting, importing what others trained."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from siamtrack.cli import options
from siamtrack.errors import InputError, MissingExtraError, OutputError

console = Console(highlight=False, markup=False, soft_wrap=True)
TO_TRAIN = ("torch", "safetensors")
TO_EXPORT = (*TO_TRAIN, "onnx", "onnxscript", "onnxruntime", "tomli_w")


def train(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="TOML file; recipes/siamfc.toml made the embedded model.")],
    data: Annotated[
        list[Path],
        typer.Argument(metavar="FOLDER", help="Pictures: stills, cut-outs with alpha, annotated tracks."),
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FOLDER", help="Folder of the run; one that was stopped goes on.")
    ],
    teacher: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Checkpoint of a network whose features are learnt too.")
    ] = None,
    workers: Annotated[int, typer.Option(metavar="N", min=0, help="Processes that make training pairs.")] = 1,
    overrides: options.RecipeOverrides = None,
) -> None:
    """Train a network from pictures.

    Ctrl-C stops it; the same command goes on from the last checkpoint.
    """
    _require(TO_TRAIN, "Training")
    from siamtrack.models.siamfc_checkpoints import read_checkpoint
    from siamtrack.output_paths import check_folder
    from siamtrack.settings import from_mapping, read_toml, with_overrides
    from siamtrack.synthetic.material import find_material
    from siamtrack.training.loop import Recipe, train
    from siamtrack.training.teacher import check_teacher

    settings = with_overrides(from_mapping(Recipe, read_toml(recipe), where=str(recipe)), overrides or ())
    check_folder(out)
    network = read_checkpoint(teacher) if teacher else None
    check_teacher(network, settings.teacher_weight, settings.network)  # before the pictures, which take long to find
    material = find_material(data)
    console.print(f"{len(material.stills)} stills, {len(material.cutouts)} cut-outs, {len(material.tracks)} tracks.")
    train(settings, material, out, teacher=network, workers=workers)
    console.print(f"Done. 'siamtrack export {out} --out MODEL_FOLDER' makes a model of it.")


def export(
    checkpoint: Annotated[Path, typer.Argument(metavar="CHECKPOINT", help="Folder of a training run, or a checkpoint file.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FOLDER", help="Model folder to write.")],
    licence: Annotated[str, typer.Option(metavar="NAME", help="Of the weights.")] = "unknown",
    card: Annotated[Path | None, typer.Option(metavar="FILE", help="Model card, Markdown.")] = None,
    int8: Annotated[
        Path | None, typer.Option(metavar="CLIPS", help="Add an int8 graph, calibrated on these annotated clips.")
    ] = None,
    overrides: options.Overrides = None,
) -> None:
    """Write a model folder that every runtime can run, checked against PyTorch.

    CLIPS is a folder with NAME/groundtruth.txt (x,y,w,h a line) and NAME/img/*.jpg.
    """
    _require(TO_EXPORT, "Exporting")
    from siamtrack.datasets.sequences import find_sequences
    from siamtrack.export.quantise import quantise
    from siamtrack.export.siamfc import export_siamfc
    from siamtrack.output_paths import check_folder

    check_folder(out)
    text = _card_text(card)
    clips = find_sequences(int8) if int8 else []
    export_siamfc(checkpoint, out, licence=licence, card=text, overrides=overrides or ())
    console.print(f"{out} is complete; its runtimes agree with PyTorch.")
    if clips:
        console.print(str(quantise(out, clips)))


def convert(
    checkpoint: Annotated[
        Path,
        typer.Argument(
            metavar="CHECKPOINT", help="siamfc-pytorch .pth, thesis .pth, folded convolutions, MatConvNet .net.mat."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="Weights to write, .safetensors.")],
) -> None:
    """Import a checkpoint in one of the formats people have.

    What is written is for 'siamtrack export', which makes a model folder of it.
    """
    _require(TO_TRAIN, "Converting")
    from siamtrack.models.siamfc_checkpoints import read_checkpoint
    from siamtrack.output_paths import check_distinct, check_path
    from siamtrack.training.checkpoint import save_weights

    if out.suffix != ".safetensors":
        raise OutputError(
            f"'{out}' has the ending '{out.suffix}'; the weights are written as safetensors: {out.stem}.safetensors"
        )
    check_path(out)
    check_distinct([out], str(checkpoint))
    save_weights(out, read_checkpoint(checkpoint))
    console.print(f"{out} holds the weights. 'siamtrack export {out} --out MODEL_FOLDER' makes a model of it.")


def _require(packages: tuple[str, ...], purpose: str) -> None:
    from importlib.util import find_spec

    for package in packages:
        if find_spec(package) is None:
            raise MissingExtraError(package, extra="train", purpose=purpose)


def _card_text(path: Path | None) -> str:
    if path is None:
        return "No model card was given.\n"
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"The model card '{path}' cannot be read: {error.strerror}. Give a Markdown file.") from None
    except UnicodeDecodeError:
        raise InputError(f"The model card '{path}' is no text in UTF-8; give a Markdown file.") from None
