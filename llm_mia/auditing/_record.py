"""What an audit gives, and ``audit.json`` with ``flags.parquet``."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from ..decision import (
    Calibration,
    Evaluation,
    Flags,
    add_decider_column,
    calibration_to_json,
    read_flag_rows,
    write_flag_rows,
)
from ..errors import RunDirectoryError
from ..metrics import ConfidenceGap
from ..passages import SourceCounts
from ..records import Interval, Note, PassRecord, Standing
from ..scores import ScoreTable, read_scores
from ..store import RunDirectory, read_record, to_json
from ..validity import Validity
from ._control import Control
from ._kept_texts import KeptTexts
from ._shadow_check import ShadowCheck

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["Audit", "read_audit", "standing_of", "write_audit"]

FILE, ROWS, REPORT = "audit.json", "flags.parquet", "report.html"


@dataclass(frozen=True, slots=True, repr=False)
class Audit:
    """The result of an audit. It holds the decisions, and reads scores from the run directory when they are wanted."""

    path: Path = field(compare=False)
    """The run directory."""
    passes: Mapping[str, PassRecord]
    """Models and window rules, by the name of the pass."""
    inputs: tuple[SourceCounts, ...]
    """What was audited: members where they are known, non-members, candidates."""
    validity: Validity
    """Whether the known set may carry a verdict."""
    accepted: bool
    """Whether findings are stated even where the known set is void."""
    flags: Flags
    """The decisions, with the calibration that they rest on."""
    evaluations: Sequence[Evaluation]
    """Figures of each attack on the known set, without the fit part; empty where no members are known."""
    confidence_gap: ConfidenceGap | None
    power: Interval | None
    """Share of the known members above the threshold; None without members, or where an FDR is the error rate."""
    notes: Sequence[Note]
    """What a reader ought to know; `llm_mia.report` phrases them."""
    control: Control | None = None
    """How often sealed non-members were flagged; None where none were given."""
    shadows: ShadowCheck | None = None
    """What the error rate rests on where shadow models set the threshold; None where a known set does."""
    protocol: str = ""
    """Digest of the protocol that was fixed before the scores; empty where there was none."""
    redacted: bool = False
    """Whether no file that is handed on holds a text or a token of a passage."""
    rows_sha256: str = field(default="", compare=False)
    """Digest of ``flags.parquet``, which holds the rows of *flags*; empty where they are not in a file."""
    command: tuple[str, ...] = field(default=(), compare=False)
    """What was typed after ``llm-mia``, without secrets; empty where the audit was called from Python."""

    @property
    def calibration(self) -> Calibration:
        """What set the threshold."""
        return self.flags.calibration

    @property
    def decider(self) -> str:
        """The attack whose score decides; ``stack`` where that is a score learned from all attacks."""
        return self.calibration.attack

    @property
    def standing(self) -> Standing | None:
        """Of the known set, with what the user accepted; None where nothing could be checked."""
        return standing_of(self.validity, accept_void=self.accepted)

    @property
    def withheld(self) -> bool:
        """Whether all is computed and stored but no finding is stated, because the known set is void or untestable."""
        return self.standing is not None and self.standing.withholds

    @property
    def scores(self) -> ScoreTable:
        """The scores, read from the run directory, with those of the stack where it decides.

        A stack's scores of the passages that it was fitted on are too good: `llm_mia.decision.calibration_part`.
        """
        return add_decider_column(read_scores(self.path), self.calibration)

    def __repr__(self) -> str:
        rule = self.flags.rule
        return (
            f"<Audit {str(self.path)!r}: {self.flags.flagged:,} of {len(self.flags.rows):,} candidates flagged by "
            f"{self.decider}, {rule.rate} {rule.level:g}; known set {self.standing}>"
        )

    # `llm_mia.report` phrases and draws what people read. It lies above this package, so it is imported by name, and
    # only when somebody displays an audit.

    def __rich__(self) -> RenderableType:
        renderable: RenderableType = import_module("llm_mia.report").audit_screen(self)
        return renderable

    def _repr_html_(self) -> str:
        html: str = import_module("llm_mia.report").audit_html(self)
        return html


def standing_of(validity: Validity, *, accept_void: bool) -> Standing | None:
    """The standing of a known set; None where every check was skipped."""
    standing = validity.standing
    return Standing.ACCEPTED if accept_void and standing is not None and standing.withholds else standing


def write_audit(audit: Audit, texts: KeptTexts | None = None) -> None:
    """Write the artefacts of an audit into its run directory; ``audit.json`` is the last.

    *texts* are those of the candidates, for ``texts.parquet`` and ``flags.csv``; None: no file shows a text.
    """
    validity = {"accepted": audit.standing is Standing.ACCEPTED, **json.loads(audit.validity.to_json())}
    validity |= {"protocol_sha256": audit.protocol} if audit.protocol else {}
    with RunDirectory(audit.path) as run:
        # A stop between two files may not leave these beside the files of another audit.
        for stale in (FILE, REPORT):
            (run.path / stale).unlink(missing_ok=True)
        # By these `read_scores` knows whether the directory still holds the scores of the texts that were checked.
        validity["inputs_sha256"] = [source.sha256 for source in run.record.inputs]
        run.write_text("validity.json", json.dumps(validity, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
        run.write_text("calibration.json", calibration_to_json(audit.calibration))
        run.write_text("flags.csv", audit.flags.csv_blocks(None if texts is None else texts.beginnings()))
        if texts is not None:
            texts.write(run.path)
        write_flag_rows(run.path / ROWS, audit.flags.rows_by_column)
        # A run directory may be moved, so the artefact does not hold its own path.
        flags, digest = replace(audit.flags, rows=[]), _sha256(run.path / ROWS)
        run.write_text(FILE, to_json(replace(audit, path=Path(), flags=flags, rows_sha256=digest)))


def read_audit(path: str | Path) -> Audit:
    """The audit that lies in the run directory *path*, equal to what `audit` returned.

    Raises:
        RunDirectoryError: no ``audit.json`` or no ``flags.parquet`` there, or not what `audit` wrote.
    """
    folder = Path(path)
    audit: Audit = read_record(Audit, folder / FILE, RunDirectoryError, "run the audit again")
    try:
        unchanged = _sha256(folder / ROWS) == audit.rows_sha256
    except OSError as error:
        raise RunDirectoryError(f"{folder / ROWS}: cannot be read ({error.strerror}); run the audit again") from None
    if not unchanged:
        raise RunDirectoryError(f"{folder / ROWS}: is not what the audit wrote; run the audit again")
    rows = read_flag_rows(folder / ROWS, audit.calibration.attack)
    return replace(audit, path=folder, flags=replace(audit.flags, rows=rows))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
