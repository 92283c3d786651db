"""What a report is made of: everything that a run directory holds, read once and without a model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from ..auditing import Audit, read_audit, without_tokens
from ..decision import DocumentRanking, FlagRows, rank_documents
from ..extraction import Extraction, read_extraction
from ..history import Entry, History
from ..records import STAND_IN, RunRecord, TokenSignals, target_pass
from ..scores import ScoreTable, taken
from ..store import StoredText, read_run, read_signals, read_texts
from ._published import PublishedResults, read_published
from .extractable import Extractable, extractable_of

__all__ = ["Results", "read_results"]


@dataclass(frozen=True)
class Results:
    """An audit with its scores, texts, signals and decisions, each read when it is first wanted."""

    audit: Audit
    redact: bool
    """Whether no text and no token may be shown, although the run directory may hold them."""
    extraction: Extraction | None
    """What the model writes verbatim; None where nothing was extracted."""

    @cached_property
    def scores(self) -> ScoreTable:
        """The scores of all passages."""
        return self.audit.scores

    @cached_property
    def run(self) -> RunRecord:
        """Models, inputs, attacks and versions of the run directory."""
        return read_run(self.audit.path)

    @cached_property
    def texts(self) -> Sequence[StoredText]:
        """The texts that the audit kept, in the order of the input; none where they are redacted."""
        return [] if self.redact else read_texts(self.audit.path)

    @cached_property
    def published(self) -> PublishedResults:
        """The tests of published texts that the same folder holds."""
        return read_published(self.audit.path, redact=self.redact)

    @cached_property
    def decisions(self) -> Sequence[Entry]:
        """The decisions on these candidates, the first decision first."""
        return History(self.audit.path).of_run()

    @cached_property
    def flags(self) -> FlagRows:
        """The decision on each candidate, in the order of the candidates in `scores`."""
        return self.audit.flags.rows_by_column

    @cached_property
    def ranking(self) -> DocumentRanking:
        """The evidence on each candidate document."""
        return rank_documents(self.scores, self.audit.calibration)

    @cached_property
    def extractable(self) -> Extractable:
        """What of the candidates the model writes word for word; the table of scores names their documents."""
        wanted = {text.id for text in self.texts}
        wanted |= set() if self.extraction is None else {span.id for span in self.extraction.spans}
        rows = self.scores.rows(None) if wanted else np.empty(0, dtype=np.intp)
        passages = zip(taken(self.scores.ids, rows), self.scores.groups().take(rows), strict=True)
        documents = {name: document for name, document in passages if name in wanted}
        return extractable_of(target_pass(self.audit.passes), self.kept_signals("target"), documents, self.extraction)

    def signals(self, role: str) -> Iterator[tuple[StoredText, TokenSignals]]:
        """The kept texts with their signals under the model of *role*, in the order of the input.

        Where no attack of the run reads the target's signals, those of each text are empty.

        Raises:
            RunDirectoryError: the run has no such pass, does not keep all of its signals, or they are damaged.
        """
        wanted = {text.position: text for text in self.texts}
        if not wanted:
            return
        if role == "target" and role not in self.audit.passes:
            yield from ((text, TokenSignals.of([])) for text in self.texts)
            return
        folder = read_signals(self.audit.path, role)
        for chunk in folder.chunks(start=min(wanted), stop=max(wanted) + 1):
            for row in range(len(chunk)):
                text = wanted.get(chunk.first + row)
                if text is not None:
                    yield text, chunk.signals(row)

    def kept_signals(self, role: str) -> Iterator[tuple[StoredText, TokenSignals]]:
        """What `signals` gives; those of each text are empty where the run does not keep all of them."""
        if self.keeps_signals:
            yield from self.signals(role)
        else:
            yield from ((text, TokenSignals.of([])) for text in self.texts)

    @property
    def keeps_signals(self) -> bool:
        """Whether the run keeps all signals of the models that the page shows."""
        passes = self.run.passes
        shown = (role for role in ("target", "reference", STAND_IN) if role in passes)
        return all(passes[role].kept_fields is None for role in shown)


def read_results(path: str | Path, *, extraction: str | Path | None = None, redact: bool = False) -> Results:
    """What lies in the run directory *path* of an audit.

    Args:
        path: the run directory.
        extraction: a run directory of `extract`; None: *path*, if it holds an extraction.
        redact: show no text and no token.

    Raises:
        RunDirectoryError, InputError: a directory holds no result, or a damaged one.
    """
    audit = read_audit(path)
    if extraction is None and (Path(path) / "extraction.json").is_file():
        extraction = path
    extracted = None if extraction is None else read_extraction(extraction)
    redact = redact or audit.redacted
    return Results(without_tokens(audit) if redact else audit, redact, extracted)
