"""Checkpoints: all that the next step of a training depends on, in a single file that is complete or absent."""

from __future__ import annotations

import dataclasses
import pickle
import time
from pathlib import Path
from typing import Any

import torch

from ..store import replacing
from ._loop import Loop, LoopState, trained_weights

__all__ = ["Checkpoints"]

# A checkpoint that takes long, because it is large, is stored so seldom that it takes this share of the time.
LARGEST_SHARE, LONG_SECONDS = 0.05, 1.0


class Checkpoints:
    """The checkpoint of a training, replaced from time to time.

    Args:
        path: its file.
        seconds: how often it is stored at least; 0: after every step.
    """

    def __init__(self, path: Path, seconds: float) -> None:
        self._path, self._seconds = path, seconds
        self._last, self._cost = time.monotonic(), 0.0
        self.tokens = 0
        """Tokens that were fed until the last checkpoint."""

    def restore(self, loop: Loop) -> None:
        """Bring *loop*, its model and torch's generators to the state of the checkpoint, where there is a whole one."""
        try:
            contents = torch.load(self._path, map_location="cpu", weights_only=True)
            state = LoopState(**contents["state"])
        except (OSError, RuntimeError, pickle.UnpicklingError, EOFError, LookupError, TypeError):
            return  # the training begins anew, and loses nothing but time
        with torch.no_grad():
            for name, weights in trained_weights(loop.base.model).items():
                weights.copy_(contents["weights"][name])
        loop.updates.restore(contents["updates"])
        loop.order.set_state(contents["order"])
        torch.set_rng_state(contents["random"])
        if contents["cuda"]:
            torch.cuda.set_rng_state_all(contents["cuda"])
        loop.state = state
        self.tokens = state.tokens

    def store_if_due(self, loop: Loop, *, epoch_ended: bool) -> None:
        """Store the state of *loop* if an epoch ended or the time has come; seldom if storing takes long.

        The last state is not stored: the model itself, which is smaller, is written next.
        """
        if loop.finished:
            return
        rest = self._cost / LARGEST_SHARE if self._cost > LONG_SECONDS else 0.0
        least = rest if epoch_ended or not self._seconds else max(rest, self._seconds)
        if time.monotonic() - self._last < least:
            return
        began = time.monotonic()
        self._store(loop)
        self._last = time.monotonic()
        self._cost = self._last - began
        self.tokens = loop.state.tokens

    def _store(self, loop: Loop) -> None:
        state = {field.name: getattr(loop.state, field.name) for field in dataclasses.fields(LoopState)}
        contents: dict[str, Any] = {
            "state": state,
            "weights": {name: weights.detach() for name, weights in trained_weights(loop.base.model).items()},
            "updates": loop.updates.state(),
            "order": loop.order.get_state(),
            "random": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        }
        with replacing(self._path) as temporary, temporary.open("wb") as file:
            try:
                torch.save(contents, file)
            except RuntimeError as error:  # on a full disk torch fails again, in another way, as it closes its archive
                raise error.__context__ if isinstance(error.__context__, OSError) else error from None
