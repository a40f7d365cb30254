"""Everything that can go wrong, as one tree.

* SiamtrackError
  x InputError              what the user gave cannot be used (exit code 2)
    + SourceError           a video, folder, camera or URL cannot be opened or read
      - TruncatedError      it could be read up to some frame and no further (exit code 1)
    + ImageError            an image has a shape or type that is no picture
    + BoxError              a box is no box, or lies outside the frame
    + SettingsError         an unknown or impossible setting, or an unknown name
    + DataError             training images or annotations cannot be used
  x ModelError              a model folder is missing, incomplete or altered (exit code 3)
    + WeightsError          a checkpoint does not hold the parameters it should
  x MissingExtraError       an optional package is not installed (exit code 4)
  x OutputError             a result cannot be written (exit code 5)
  x TrainingError           a training run had to stop (exit code 6)

Every message says what was found, what was expected and what to do. The command line prints the message without a
traceback and ends with `exit_code`; Ctrl-C ends with 130 after what was done so far has been written.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from functools import partial
from typing import Any


class SiamtrackError(Exception):
    """Base of every error that siamtrack raises on purpose."""

    exit_code = 1


class InputError(SiamtrackError):
    """What the user gave cannot be used."""

    exit_code = 2


class SourceError(InputError):
    """A video, folder, camera or URL cannot be opened or read."""


class TruncatedError(SourceError):
    """The source ended before it should have; every frame before that was delivered.

    Attributes:
        frames_read: how many frames could be read.
    """

    exit_code = 1

    def __init__(self, message: str, *, frames_read: int) -> None:
        super().__init__(message)
        self.frames_read = frames_read


class ImageError(InputError):
    """An image has a shape or a type that is no picture."""


class BoxError(InputError):
    """A box is no box, or lies outside the frame."""


class SettingsError(InputError):
    """A setting or a name is unknown, or a value is impossible."""


class DataError(InputError):
    """Training images or annotations cannot be used."""


class ModelError(SiamtrackError):
    """A model folder is missing, incomplete or altered."""

    exit_code = 3


class WeightsError(ModelError):
    """A checkpoint does not hold exactly the parameters that the network has."""


class MissingExtraError(SiamtrackError):
    """An optional package is needed and not installed."""

    exit_code = 4

    def __init__(self, package: str, *, extra: str, purpose: str) -> None:
        self._given = package, extra, purpose
        super().__init__(
            f"{purpose} needs the package '{package}', which is not installed. "
            f"Install it with: pip install 'siamtrack[{extra}]'"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        package, extra, purpose = self._given  # worker processes send it; without this, it cannot be made again
        return partial(MissingExtraError, extra=extra, purpose=purpose), (package,)


class OutputError(SiamtrackError):
    """A result cannot be written."""

    exit_code = 5


class TrainingError(SiamtrackError):
    """A training run had to stop."""

    exit_code = 6


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of an error message about an unknown name: the closest known one, or all of them.

    >>> nearest("siamcf", ["siamfc", "siamfc-5s"])
    "Did you mean 'siamfc'?"
    >>> nearest("x", ["b", "a"])
    'Known: a, b.'
    """
    names = sorted(known)
    if not names:
        return ""
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.65)
    return f"Did you mean '{close[0]}'?" if close else f"Known: {', '.join(names)}."
