"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

Model = Annotated[str, typer.Option("--model", "-m", help="A name from 'siamtrack models', or a model folder.")]
Runtime = Annotated[str, typer.Option(help="Who computes the network: openvino, onnx or torch.")]
Precision = Annotated[str, typer.Option(help="auto (the hardware picks), float32, bfloat16, float16 or int8.")]
Device = Annotated[str, typer.Option(help="Device of the torch runtime: cpu, cuda, mps, ...")]
Threads = Annotated[int | None, typer.Option(min=1, help="Use at most so many threads.", show_default="all")]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a setting of the tracker, for example scales=5.")
]
