"""The end of every audit: what readers get, in the run directory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import import_module

from ..backends import Backend, ModelSpec
from ..passages import Passages
from ..signals import Progress, report_activity, without_written_tokens
from ._command import without_secrets
from ._kept_texts import KeptTexts
from ._record import Audit, write_audit
from ._redacting import leave_no_text

__all__ = ["CONTROL", "Finishing"]

CONTROL = "control"
"""Folder in the run directory with the scores of the sealed non-members."""


@dataclass(frozen=True, slots=True)
class Finishing:
    """How an audit is kept."""

    redact: bool
    report: bool
    command: Sequence[str]
    progress: Progress | None

    def finish(self, done: Audit, candidates: Passages, first: int, target: Backend | ModelSpec) -> Audit:
        """The audit, after its files are written.

        Args:
            done: the decisions.
            candidates: the source of the candidates.
            first: position of the first candidate in the input of the run.
            target: the model, whose tokens texts are divided into.
        """
        done, texts = replace(done, redacted=self.redact, command=without_secrets(self.command)), None
        if self.redact:
            leave_no_text(done.path)
            if done.control is not None:
                without_written_tokens(done.path / CONTROL, ())
        else:
            texts = KeptTexts(done.flags.rows_by_column, candidates, first, target)
        write_audit(done, texts)
        if self.report:
            report_activity(self.progress, "writing report.html")
            # It lies above this package, so it is imported by name.
            import_module("llm_mia.report").write_report(done.path)
        return done
