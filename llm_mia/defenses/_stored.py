"""Stored signals by the names that passes have in a replay, whatever the run calls them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ..errors import UsageError
from ..records import ModelRecord, Passage
from ..signals import Inputs, PlannedPass, passages_with_signals
from ..store import RunDirectory, StoredChunk, differences

__all__ = ["StoredPasses"]


@dataclass(frozen=True, slots=True)
class StoredPasses:
    """The passes of a run."""

    run: RunDirectory
    names: Mapping[str, str] = field(default_factory=dict)
    """By the name of a pass in the replay: its name in the run; empty: the same names. A pass that is not named is not
    there."""

    def model(self, name: str) -> ModelRecord:
        """The model of the pass *name*."""
        return self.run.record.passes[self._stored(name)].model

    def holds(self, planned: PlannedPass) -> bool:
        """Whether all signals of a pass are there."""
        stored = self._stored(planned.name)
        return stored in self.run.record.passes and not self.run.signals(stored).missing(planned.inputs.passages)

    def chunks(
        self, inputs: Inputs, names: Sequence[str]
    ) -> Iterator[tuple[Sequence[Passage], Mapping[str, StoredChunk]]]:
        """The passages of *inputs*, some hundreds at a time, with their signals in the passes *names*."""
        stored = [self._stored(name) for name in names]
        for passages, chunks in passages_with_signals(self.run, inputs, stored):
            yield passages, {name: chunks[of_run] for name, of_run in zip(names, stored, strict=True)}

    def refuse_other_model(self, other: StoredPasses, name: str) -> None:
        """Raise `UsageError` where the pass *name* of *other* is by a model that differs by more than temperature."""
        what = differences(self.model(name), other.model(name))
        if different := [each for each in what if not each.startswith(("temperature", "config_sha256"))]:
            raise UsageError(
                f"{other.run.path}: `second_pass` has another {name} model than {self.run.path} "
                f"({'; '.join(different)}): name another run directory"
            )

    def _stored(self, name: str) -> str:
        return self.names.get(name, "") if self.names else name
