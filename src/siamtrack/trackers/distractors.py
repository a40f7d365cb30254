"""Look-alikes: what else was taken for the target, and how like it a proposal is.

Source: Zhu, Wang, Li, Wu, Yan, Hu, "Distractor-aware Siamese Networks for Visual Object Tracking", ECCV 2018, sec. 3.3. The
released code (foolwood/DaSiamRPN) has none of it.

In every frame the proposals that are left by non-maximum suppression, have a score above h and are not the target are its
distractors d_i. A proposal p is ranked by f(z, p) - a * mean_i f(d_i, p); and kernels of target and distractors are averaged
over the frames t with weights b_t = sum_(i < t) (r / (1 - r))^i.

Differences between paper and this code:
* f: the paper's is the similarity, and it combines kernels, as correlation is linear, before anything else is computed. Heads
  that go on behind the correlation (SiamRPN++'s) are not linear in it. Here f is the logit of the target, computed once for the
  mean kernel of the target and once for that of its distractors, and below 0 it is no likeness; the rank is the probability of
  the difference. Probabilities themselves would say nothing: of a target and of its double they are 0.99 both. The score of
  the target stays what the network says.
* The paper's ranks have no penalty and no window; here f(z, p) is multiplied with the penalty first, and the window is added
  last, as in tracking without distractors. The paper ranks its best proposals again, here all of them are.
* Weights: for the paper's r = 0.01 they are 1 to 1.01, so that the mean is nearly the plain one over all frames. t counts the
  frames that were learnt, the first one included.
* Number: the paper takes all distractors, here the `most` with the highest scores, so that a frame costs no more than that.
* Kernels of a frame are learnt only where the target is not lost (`siamtrack.trackers.long_term`) and its score is above h, and
  none that is not finite: it would stay in the mean for good.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from siamtrack.box import iou
from siamtrack.settings import check_limits


@dataclass(frozen=True, kw_only=True)
class DistractorSettings:
    """What counts as a distractor, and how much; by default nothing does.

    Raises:
        SettingsError: a value outside its range.
    """

    most: int = 0  # distractors of a target in a frame that are learnt; 0: none
    threshold: float = 0.5  # h: lowest score of a distractor, and of a target that is learnt
    overlap: float = 0.3  # IoU from which on two proposals are the same object
    weight: float = 0.5  # a: how much being like the distractors lowers the rank
    learning_rate: float = 0.01  # r
    follows: int = 0  # distractors whose places are followed (`siamtrack.trackers.places`); 0: none
    colours: int = 0  # distractors whose colours are learnt (`siamtrack.trackers.colours`); 0: none
    learns_target: bool = True  # the target's kernels, too, are averaged over the frames; else they stay those of the first

    def __post_init__(self) -> None:
        limits: dict[str, tuple[float, float]] = dict.fromkeys(("most", "follows", "colours"), (0, 100))
        limits |= {"threshold": (0, 1), "overlap": (0, 1), "weight": (0, 10), "learning_rate": (0, 0.49)}
        check_limits(self, limits)


@dataclass(frozen=True, kw_only=True, eq=False)  # arrays have no one answer to "equal"
class Memory:
    """What is remembered of the frames so far, beside the mean kernels of the target."""

    learnt_frames: int = 1  # the first one is
    target_weight: float = 1.0  # sum of the weights in the mean of the target
    distractors: NDArray[np.float32] | None = None  # mean kernels (C, h, w); None: there was none yet
    distractors_weight: float = 0.0  # sum of the weights in that mean

    def learnt(
        self,
        template: NDArray[np.float32],
        target: NDArray[np.float32] | None,
        distractors: NDArray[np.float32],
        s: DistractorSettings,
    ) -> tuple[NDArray[np.float32], Memory]:
        """The mean kernels of the target and the memory after a frame more; kernels that are not finite are left out.

        Args:
            template: mean kernels of the target before it, (C, h, w).
            target: kernels of the target in it, (C, h, w); None: they are not learnt.
            distractors: kernels of its distractors there, (D, C, h, w); D may be 0.
            s: how fast is learnt.
        """
        others = [kernels for kernels in distractors if np.isfinite(kernels).all()]
        if target is not None and not np.isfinite(target).all():
            target = None
        if target is None and not others:
            return template, self
        ratio = s.learning_rate / (1 - s.learning_rate)
        weight = (1 - ratio ** (self.learnt_frames + 1)) / (1 - ratio)
        learnt = replace(self, learnt_frames=self.learnt_frames + 1)
        if target is not None:
            learnt = replace(learnt, target_weight=self.target_weight + weight)
            template = template + np.float32(weight / learnt.target_weight) * (target - template)
        if others:
            total = self.distractors_weight + weight
            before = np.zeros_like(template) if self.distractors is None else self.distractors
            mean = before + np.float32(weight / total) * (np.mean(others, 0) - before)
            learnt = replace(learnt, distractors=mean, distractors_weight=total)
        return template, learnt


def less_alike(scores: NDArray[np.float64], alike: NDArray[np.float64], s: DistractorSettings) -> NDArray[np.float64]:
    """Probabilities of the target, less what is like its distractors.

    Args:
        scores: f(z, p) as a probability, any shape; NaN stays.
        alike: f(d, p) as a probability, of the same shape; 0 where there are no distractors, which changes nothing.
        s: how much it counts.
    """
    with np.errstate(divide="ignore"):
        likeness = np.maximum(_logit(alike), 0.0)
    odds_against = (1 - scores) * np.exp(s.weight * likeness)
    return np.where(likeness > 0, scores / (scores + odds_against), scores)


def _logit(probability: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.log(probability) - np.log1p(-np.minimum(probability, 1 - 1e-12)))


def distractors_among(boxes: NDArray[np.float64], scores: NDArray[np.float64], target: int, s: DistractorSettings) -> list[int]:
    """Which proposals are distractors: what greedy non-maximum suppression leaves beside the target, the best first.

    Args:
        boxes: (4, K), x and y of the centre, w, h.
        scores: (K,), not NaN where it counts.
        target: the proposal that was chosen.
        s: what counts.
    """
    with np.errstate(invalid="ignore", over="ignore"):  # untrained networks give sides of 1e200 px
        finite = np.isfinite(boxes[:2]).all(0) & np.isfinite(boxes[2] * boxes[3])
        likely = np.flatnonzero((scores > s.threshold) & finite)
    if not finite[target]:
        return []
    left = likely[np.argsort(-scores[likely], kind="stable")]
    corners = np.concatenate([boxes[:2] - boxes[2:] / 2, boxes[2:]]).T  # x, y, w, h
    taken = [target]
    while len(taken) <= max(s.most, s.follows, s.colours):
        left = left[(iou(corners[left], corners[taken[-1]]) < s.overlap) & (left != taken[-1])]
        if not len(left):
            break
        taken.append(int(left[0]))
    return taken[1:]
