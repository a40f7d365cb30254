"""The figures of the pages in docs/papers, on rendered scenes that no model was trained on.

They are of embedded models, and of small networks that are trained for them (an hour and a half on two cores) where RUNS has
none.

python benchmarks/paper_figures.py [--out docs/images/papers] [--only siamfc] [--runs RUNS]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import cv2
import matplotlib as mpl
import numpy as np
import paper_networks
from numpy.typing import NDArray

from siamtrack.box import Box, iou
from siamtrack.crop import context_side
from siamtrack.image import Image
from siamtrack.library import open_model, tracker_around
from siamtrack.models.kinds import model_kind
from siamtrack.runtimes.torch import torch_network
from siamtrack.synthetic.supply import BuiltIn
from siamtrack.synthetic.world import Scene, World
from siamtrack.synthetic.world_sequences import first_target
from siamtrack.synthetic.world_settings import WorldSettings
from siamtrack.trackers.distractors import less_alike
from siamtrack.trackers.proposals import Proposals, Proposer
from siamtrack.trackers.rest import STRIDE_PX
from siamtrack.tracking import Maps, Network, Tracker
from siamtrack.training.score_pictures import score_colours

mpl.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.patches import Rectangle

FIRST_SCENE = 2**44  # far from those that training can reach
SHOWN = 40  # proposals of a search patch
PAIRS = 400  # whose score maps are averaged


class Recorder:
    """A network that remembers what it was asked last, and what it said."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self.patches: NDArray[np.uint8] = np.empty(0, np.uint8)
        self.maps: Maps = ()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._network, name)

    def match(self, templates: NDArray[np.float32], patches: NDArray[np.uint8]) -> Maps:
        """See `siamtrack.tracking.Network.match`."""
        self.patches, self.maps = patches, self._network.match(templates, patches)
        return self.maps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("docs/images/papers"))
    parser.add_argument("--only", choices=list(FIGURES), action="append")
    parser.add_argument("--runs", type=Path, default=Path("runs/paper-figures"))
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name in arguments.only or FIGURES:
        path = arguments.out / f"{name}.png"
        figure = FIGURES[name](arguments.runs)
        figure.savefig(path, dpi=80, bbox_inches="tight")
        plt.close(figure)
        small = cv2.imread(str(path))  # 256 colours are enough, and a quarter of the size
        assert small is not None
        cv2.imwrite(str(path), small, [cv2.IMWRITE_PNG_COMPRESSION, 9])
        print(path)


def siamfc(_runs: Path) -> Any:
    """Search patches and score maps, as in the SiamFC paper's figure of its responses: red is the target, blue is not.

    They are of the first scene in which the tracker is on its target at all the times shown.
    """
    return _responses(open_model("siamfc"))


def siamdw(runs: Path) -> Any:
    """The same of a network with a residual backbone."""
    network = paper_networks.siamdw(runs)
    procedure, implied = model_kind("siamdw").procedure(network.settings)
    return _responses(tracker_around(torch_network(network), procedure, implied))


def siamrpnpp(runs: Path) -> Any:
    """How likely a target is at each place, whatever is there: mean over targets within 64 px of the middle, as a share of the
    largest.
    """
    figure, axes = plt.subplots(1, len(paper_networks.SHIFTS), figsize=(2.7 * len(paper_networks.SHIFTS), 3.1))
    for axis, shift in zip(axes, paper_networks.SHIFTS, strict=True):
        network, recipe, data = paper_networks.shifted(runs, shift)
        everywhere = replace(recipe, augment=replace(recipe.augment, translation=float(max(paper_networks.SHIFTS))))
        pairs = data.pairs(everywhere, "validation")
        procedure, implied = model_kind(recipe.model).procedure(network.settings)
        tracker: Any = tracker_around(torch_network(network), procedure, implied)
        proposer = Proposer(tracker.settings.anchors, tracker.settings.template_size)
        likely = []
        for number in range(PAIRS):
            pair = pairs[number]
            maps = tracker.network.match(tracker.network.embed(pair.template[None]), pair.search[None, None])
            cells = maps[0].shape[-1]
            likely.append(proposer.proposals(maps, pair.search.shape[0]).scores[0].reshape(-1, cells, cells).max(0))
        mean = np.mean(likely, 0)
        axis.imshow(mean / mean.max(), cmap="jet", vmin=0, vmax=1)
        axis.set_title(f"shifted by up to {shift} px")
        print(f"shift {shift}: above half of its maximum {mean.max():.2f} in {(mean > mean.max() / 2).mean():.0%} of the cells")
    return _bare(figure, axes)


def _responses(tracker: Any) -> Any:
    tracker.network = network = Recorder(tracker.network)
    times = (8, 24, 40, 56)
    for scene, target in _scenes(WorldSettings(most_objects=4, exits=0.0, look_alikes=0.0)):
        seen = []
        for _, state in _followed(tracker, scene, target, times):
            middle = network.patches.shape[1] // 2
            seen.append((state, network.patches[0, middle].copy(), network.maps[0][0, middle].copy()))
        if all(_on_target(state, scene, target, time) for time, (state, _, _) in zip(times, seen, strict=True)):
            break
    figure, rows = plt.subplots(2, len(times), figsize=(2.6 * len(times), 5.2))
    for column, (_, patch, responses) in enumerate(seen):
        rows[0, column].imshow(patch)
        rows[0, column].set_title(f"frame {times[column]}")
        rows[1, column].imshow(cv2.cvtColor(patch, cv2.COLOR_RGB2GRAY), cmap="gray", alpha=0.4)
        side, reach = len(patch), responses.shape[-1] * STRIDE_PX / 2  # the map is of the middle of the patch
        low, high = side / 2 - 0.5 - reach, side / 2 - 0.5 + reach
        rows[1, column].imshow(score_colours(responses), extent=(low, high, high, low), interpolation="nearest")
        rows[1, column].set(xlim=(-0.5, side - 0.5), ylim=(side - 0.5, -0.5))
    return _bare(figure, rows.ravel())


def siamrpn(_runs: Path) -> Any:
    """The likeliest proposals of search patches, the surer the more opaque, and the one that was taken."""
    tracker, network = _recorded("siamnano")
    scene, target = next(_scenes(WorldSettings(most_objects=4, exits=0.0, look_alikes=0.0)))
    times = (8, 24, 40, 56)
    figure, axes = plt.subplots(1, len(times), figsize=(2.6 * len(times), 2.6))
    proposer = Proposer(tracker.settings.anchors, tracker.settings.template_size)
    for column, _ in enumerate(_followed(tracker, scene, target, times)):
        found = proposer.proposals(network.maps, tracker.settings.search_size)
        axes[column].set_title(f"frame {times[column]}")
        _draw(axes[column], network.patches[0, 0], found, found.scores[0])
    return _bare(figure, axes)


def dasiamrpn(_runs: Path) -> Any:
    """Where a double is as likely as the target, and what is left of it where what is like the remembered one counts less."""
    tracker, network = _recorded("siamnano", "distractors.most=3")
    proposer = Proposer(tracker.settings.anchors, tracker.settings.template_size)
    settings = WorldSettings(most_objects=2, look_alikes=1.0, exits=0.0, occluders=0.0, largest=0.35)
    best: tuple[float, Any] = 0.0, None
    for scene, target in (pair for pair, _ in zip(_scenes(settings), range(40), strict=False)):
        truth = [frame.boxes for frame in scene.frames(60)]
        if len(truth[0]) < 2:
            continue
        before: Any = None
        for time, state in _followed(tracker, scene, target, range(1, 60)):
            found = proposer.proposals(network.maps, tracker.settings.search_size)
            if before is not None and len(found.scores) > 1:  # something is remembered
                ranks = less_alike(found.scores[0], found.scores[1], tracker.settings.distractors)
                boxes = _placed(found, before, tracker.settings)
                on, off = (iou(boxes, truth[time][one]) > 0.5 for one in (target, 1 - target))
                if not on.any() or not off.any() or iou(truth[time][target], truth[time][1 - target]) > 0.05:
                    before = state
                    continue
                likely, fallen = found.scores[0][off].max(), found.scores[0][off].max() - ranks[off].max()
                kept = ranks[on].max() - ranks[off].max()
                if likely > 0.9 and kept > 0 and fallen > best[0]:
                    best = float(fallen), (network.patches[0, 0].copy(), found, ranks)
            before = state
    if best[1] is None:
        raise SystemExit("No frame of these scenes has a double that is as likely as the target and is ranked behind it.")
    patch, found, ranks = best[1]
    figure, axes = plt.subplots(1, 2, figsize=(7, 3.5))
    for axis, values, title in (
        (axes[0], found.scores[0], "as likely as the network says"),
        (axes[1], ranks, "less what is like the double"),
    ):
        axis.set_title(title)
        _draw(axis, patch, found, np.clip(values, 0, 1))
    return _bare(figure, axes)


def _placed(found: Proposals, state: Any, settings: Any) -> NDArray[np.float64]:
    """The proposals of the first target in the image, (K, 4): x, y, w, h."""
    px = context_side(state.size[0], state.size[1], settings.context) / settings.template_size
    x, y, w, h = found.boxes[0] * px
    return np.stack([state.center[0] + x - w / 2, state.center[1] + y - h / 2, w, h], 1)


def siammask(_runs: Path) -> Any:
    """How a mask is refined: what a cell of the correlation says of its patch, after each layer of the backbone on the way."""
    tracker, network = _recorded("siammask-small", runtime="torch")
    scene, target = next(_scenes(WorldSettings(most_objects=3, exits=0.0, look_alikes=0.0, occluders=0.0)))
    steps: list[NDArray[np.float32]] = []
    refine = network._module.refine
    for layer in (refine.grow, *refine.after):
        layer.register_forward_hook(lambda _layer, _inputs, found: steps.append(found[0].float().cpu().numpy()))
    times = (10, 40)
    figure, rows = plt.subplots(len(times), 2 + len(refine.after), figsize=(2.2 * (2 + len(refine.after)), 2.3 * len(times)))
    for row, _ in zip(rows, _followed(tracker, scene, target, times), strict=True):
        row[0].imshow(network.patches[0, 0])
        for axis, maps in zip(row[1:], steps[-1 - len(refine.after) :], strict=True):
            axis.imshow(1 / (1 + np.exp(-maps[0])) if len(maps) == 1 else np.abs(maps).mean(0), cmap="gray", vmin=0)
    sides = [f"{maps.shape[-1]} x {maps.shape[-1]} cells" for maps in steps[-1 - len(refine.after) : -1]]
    for axis, title in zip(rows[0], ("search patch", *sides, "mask"), strict=True):
        axis.set_title(title)
    return _bare(figure, rows.ravel())


FIGURES: dict[str, Callable[[Path], Any]] = {
    "siamfc": siamfc,
    "siamdw": siamdw,
    "siamrpn": siamrpn,
    "siamrpnpp": siamrpnpp,
    "dasiamrpn": dasiamrpn,
    "siammask": siammask,
}


def _recorded(model: str, *overrides: str, runtime: str = "openvino") -> tuple[Any, Recorder]:
    tracker: Any = open_model(model, overrides=overrides, runtime=runtime)
    tracker.network = Recorder(tracker.network)
    return tracker, tracker.network


def _scenes(settings: WorldSettings) -> Iterator[tuple[Scene, int]]:
    world = World(settings, BuiltIn(held_out=True), 0)
    for number in count(FIRST_SCENE):
        scene = world.scene(number)
        target = first_target(scene)
        if target is not None:
            yield scene, target


def _followed(tracker: Tracker[Any], scene: Scene, target: int, times: Sequence[int]) -> Iterator[tuple[int, Any]]:
    """Follows the target; gives each of the times right after its frame, and the state."""
    states: Any = None
    for time, frame in enumerate(scene.frames(max(times) + 1)):
        if states is None:
            states = tracker.start(frame.image, [Box(*map(float, frame.boxes[target]))])
            continue
        states, _ = tracker.step(frame.image, states)
        if time in times:
            yield time, states[0]


def _on_target(state: Any, scene: Scene, target: int, time: int) -> bool:
    return bool(iou(np.array([state.box]), np.array([scene.truth(target, time)[0]]))[0] > 0.5)


def _draw(axis: Any, patch: Image, found: Proposals, values: NDArray[np.float64]) -> None:
    """The proposals of the highest values, of the first target; the highest of all in red."""
    axis.imshow(patch)
    middle = patch.shape[0] / 2 - 0.5
    order = np.argsort(values)[-SHOWN:]
    for place in order:
        x, y, w, h = found.boxes[0, :, place].tolist()
        colour = "red" if place == order[-1] else "gold"
        alpha = 1.0 if place == order[-1] else float(values[place])
        axis.add_patch(
            Rectangle((middle + x - w / 2, middle + y - h / 2), w, h, fill=False, edgecolor=colour, alpha=alpha, linewidth=1.5)
        )


def _bare(figure: Any, axes: Sequence[Any]) -> Any:
    for axis in axes:
        axis.set_axis_off()
    figure.tight_layout(pad=0.5)
    return figure


if __name__ == "__main__":
    main()
