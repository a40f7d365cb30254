"""Commands that make a model: training, exporting, importing what others trained."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from siamtrack.cli import options
from siamtrack.cli.interrupts import stoppable
from siamtrack.errors import InputError, MissingExtraError, OutputError, WeightsError, nearest

console = Console(highlight=False, markup=False, soft_wrap=True)
TO_TRAIN = ("torch", "safetensors", "lmdb", "matplotlib", "tensorboard", "tomli_w")
TO_EXPORT = ("torch", "safetensors", "onnx", "onnxscript", "onnxruntime", "tomli_w")


def train(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="TOML file, or one of 'siamtrack recipes'.")],
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FOLDER", help="Folder of the run; one that was stopped goes on.")
    ],
    data: Annotated[
        list[str],
        typer.Option(metavar="NAME=PATH", help="Data set and its folder, or its crops: got10k=/data/GOT-10k. Repeatable."),
    ],
    start: Annotated[
        str | None, typer.Option("--from", metavar="MODEL", help="Model, model folder or checkpoint to begin with.")
    ] = None,
    backbone: Annotated[
        Path | None, typer.Option(metavar="FILE", help="ImageNet weights to begin the backbone with: torchvision's, PySOT's.")
    ] = None,
    teacher: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Checkpoint whose features are learnt too, or the folder of NanoTrack.")
    ] = None,
    workers: Annotated[int, typer.Option(metavar="N", min=0, help="Processes that make training pairs.")] = 1,
    device: Annotated[str, typer.Option(metavar="NAME", help="cpu, cuda, or auto: a GPU where there is one.")] = "auto",
    overrides: options.RecipeOverrides = None,
) -> None:
    """Train a network from annotated videos, images, and pictures.

    NAME is a data set (imagenet_vid, coco, got10k, lasot, ...), 'folder' for videos of your own, 'pictures' for stills and
    cut-outs, or 'world' for scenes made up of them; 'world' and 'squares' alone are drawn. Ctrl-C stops it; the same command
    goes on from the last checkpoint. Several processes: torchrun --nproc-per-node N -m siamtrack train ...
    """
    require(TO_TRAIN, "Training")
    from siamtrack.models.checkpoint_files import read_parameters
    from siamtrack.output_paths import check_folder
    from siamtrack.training.checkpoint import last_checkpoint
    from siamtrack.training.loop import train
    from siamtrack.training.origin import check_networks
    from siamtrack.training.recipes import read_recipe
    from siamtrack.training.sources import open_data, parsed_places

    settings = read_recipe(recipe, overrides or ())
    check_folder(out)
    networks = {"teacher": _teacher(teacher), "initial": _checkpoint(start)}
    imagenet = read_parameters(backbone) if backbone else None
    goes_on = last_checkpoint(out) is not None
    check_networks(settings, **networks, imagenet=imagenet, goes_on=goes_on)  # before the data, which takes longer
    opened = open_data(parsed_places(data), settings.crops)
    first = _rank() == 0
    if first:
        console.print("\n".join([*opened.describe(), *_licences(start)]))
    with stoppable(f"The same command goes on from the last checkpoint in {out}, or begins where there is none.", tells=first):
        train(settings, opened, out, **networks, imagenet=imagenet, workers=workers, device=device)
    if first:
        chosen = "the last step" if settings.select == "last" else "the epoch with the lowest validation loss"
        console.print(
            f"Done; {out} holds the weights of {chosen}. 'siamtrack export {out} --out MODEL_FOLDER' makes a model of it."
        )


def _teacher(path: Path | None) -> Any:
    """The network in a checkpoint, or NanoTrack in a folder with its files."""
    from siamtrack.training.nanotrack import FILES, PublishedNanoTrack

    if path is not None and any((path / file.name).is_file() for file in FILES.values()):
        return PublishedNanoTrack(path)
    return _checkpoint(path)


def _checkpoint(name: str | Path | None) -> Any:
    """The network in a checkpoint file, a run, a model folder, or an embedded model of that name."""
    if name is None:
        return None
    from siamtrack.model_folder import WEIGHTS, read_model_folder
    from siamtrack.models.checkpoints import read_checkpoint
    from siamtrack.models.kinds import read_unfolded
    from siamtrack.training.origin import RUN_RECIPE, trained_in

    path = _place(name)
    if (path / RUN_RECIPE).is_file():
        return trained_in(path)[0]
    if not path.is_dir():
        return read_checkpoint(path)
    if not (path / WEIGHTS).is_file():
        raise WeightsError(f"'{path}' is neither a model folder nor a finished run: it has no {WEIGHTS}.")
    description = read_model_folder(path).description
    return read_unfolded(description.model, path / WEIGHTS, description.network)


def _place(name: str | Path) -> Path:
    """The file or folder of that name, or else the folder of the embedded model."""
    from siamtrack.library import model_names

    if Path(name).exists():
        return Path(name)
    known = model_names()
    if str(name) not in known:
        raise WeightsError(f"There is no file or folder '{name}', and no model of that name. {nearest(str(name), list(known))}")
    return known[str(name)].folder


def _licences(start: str | None) -> list[str]:
    """What the weights that are begun with ask of those made of them."""
    from siamtrack.model_folder import DESCRIPTION, read_model_folder

    if start is None:
        return []
    folder = _place(start)
    if not (folder / DESCRIPTION).is_file():
        return []
    licence = read_model_folder(folder).description.licence
    return [f"The weights of '{start}' are under {licence}; say so where you export: --licence {licence}."]


def _rank() -> int:
    """Of this process among those that torchrun started."""
    return int(os.environ.get("RANK", "0"))


def export(
    checkpoint: Annotated[Path, typer.Argument(metavar="CHECKPOINT", help="Folder of a training run, or a checkpoint file.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FOLDER", help="Model folder to write.")],
    licence: Annotated[str, typer.Option(metavar="NAME", help="Of the weights.")] = "unknown",
    card: Annotated[Path | None, typer.Option(metavar="FILE", help="Model card, Markdown.")] = None,
    int8: Annotated[
        Path | None, typer.Option(metavar="CLIPS", help="Add an int8 graph, calibrated on these annotated clips.")
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Tracking settings of a published configuration, such as SiamRPNvot, or of a model that comes with siamtrack. "
            "Default: the first published one that fits a file.",
        ),
    ] = None,
    overrides: options.Overrides = None,
) -> None:
    """Write a model folder that every runtime can run, checked against PyTorch.

    CLIPS is a folder with NAME/groundtruth.txt (x,y,w,h a line) and NAME/img/*.jpg.
    """
    require(TO_EXPORT, "Exporting")
    from siamtrack.datasets.sequences import find_sequences
    from siamtrack.export.checkpoint import export_checkpoint
    from siamtrack.export.quantise import quantise
    from siamtrack.output_paths import check_folder

    check_folder(out)
    text = _card_text(card)
    clips = find_sequences(int8) if int8 else []
    changed = overrides or ()
    export_checkpoint(checkpoint, out, licence=licence, card=text, preset=preset, overrides=changed, begins=_begins)
    console.print(f"{out} is complete; its runtimes agree with PyTorch.")
    if clips:
        console.print(str(quantise(out, clips)))


def _begins(note: str) -> None:
    console.print(f"{note}\nWriting the graphs, and comparing every runtime with PyTorch; that can take minutes.")


def convert(
    checkpoint: Annotated[
        Path,
        typer.Argument(
            metavar="CHECKPOINT", help="Of siamfc-pytorch, PySOT, DaSiamRPN, SiamMask, SiamDW, MatConvNet and others."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="Weights to write, .safetensors.")],
) -> None:
    """Import a checkpoint in one of the formats people have.

    What is written is for 'siamtrack export', which makes a model folder of it.
    """
    require(("torch", "safetensors"), "Converting")
    from siamtrack.models.checkpoints import read_checkpoint
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


def require(packages: tuple[str, ...], purpose: str) -> None:
    """Whether these packages are installed, without importing them.

    Raises:
        MissingExtraError: one is not.
    """
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
