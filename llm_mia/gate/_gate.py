"""A model, its members and non-members → a verdict on each limit, and on the release."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path

from ..auditing import KnownTexts, StandIn, choose_stand_in, read, without_secrets
from ..decision import notes_of_sentences
from ..errors import CalibrationError, ModelError, PassageError
from ..extraction import Extraction, extract
from ..passages import InputCheck, Passages, PassageSource, check_inputs
from ..records import Note
from ..scores import ScoreTable, read_scores
from ..scoring import ALL, ModelSource, References, ScoringPlan, plan_scoring, run_scoring
from ..signals import Progress, report_activity, running_dry, without_written_tokens
from ..store import remove_texts
from ..validity import RequestedRates, Validity
from ._leaked import leaked_most
from ._limits import Limits
from ._measuring import CONFIDENCE, Measured, judge, select_attack, training_of
from ._planning import SELECTION_FPR, Known, Planned, plan_limits, refuse_few
from ._record import FILE, GateResult, Obstacle, Quantity, write_gate

__all__ = ["gate"]


def gate(
    target: ModelSource,
    *,
    members: PassageSource,
    nonmembers: PassageSource,
    reference: References = None,
    stand_in: StandIn = "auto",
    attacks: Sequence[str] = (),
    limits: Limits | None = None,
    strict: bool = False,
    accept_void: bool = False,
    out: str | Path,
    redact: bool = False,
    report: bool = True,
    window_tokens: int | None = None,
    command: Sequence[str] = (),
    progress: Progress | None = None,
    report_validity: Callable[[Validity], None] | None = None,
) -> GateResult:
    """Whether the target model leaks no more of its training data than the limits allow; *out* holds every result.

    A model that keeps every limit fails with probability at most 5 %, however many limits there are: a limit fails by
    the lower end of its interval, and the error of 5 % is divided among the limits that are measured (Bonferroni). With
    *strict* it is the other way round: a model that exceeds a limit that is judged passes with probability at most 5 %,
    because each of them must be kept by the upper end, and the error of a single limit bounds that of all (an
    intersection–union test). Both hold as far as the intervals do: exactly for rates of independent passages, about for
    an AUROC, for a difference of means, and for documents with several passages. Both assume that members and
    non-members differ by nothing but the training; where the checks of `llm_mia.validity` show another difference, the
    gate fails.

    The strongest attack is selected on half of the documents and measured on the other half, so that the choice among
    many attacks does not make the leak look larger. The same call continues a gate that was stopped.

    Args:
        target: the model that is to be released: a name, a `ModelSpec`, or a backend.
        members: a sample of the passages that it was trained on: a path, `Passages`, or what `Passages.of` takes.
        nonmembers: passages from the same source that it was not trained on.
        reference: a model that was not trained on the passages, which makes attacks stronger; or several.
        stand_in: a model that cannot know the passages, see `llm_mia.audit`.
        attacks: names, with settings as in ``min_k:k=0.1``; empty: every attack that the models allow at little cost.
            A single attack is measured on all documents.
        limits: how much the model may leak; what is left out has its default (`llm_mia.gate.DEFAULTS`). A default limit
            that the documents are too few for is not applicable.
        strict: whether the upper end of each interval must lie within its limit.
        accept_void: state a verdict even where the known set is void or untestable; the result records this.
        out: the run directory.
        redact: name no passage and no document in the result and its files, and keep no text of a passage outside of
            ``signals/``. What a later call continues from names them: ``scores.parquet``, ``spans.csv``, ``signals/``.
        report: write ``report.html``, too.
        window_tokens: largest number of tokens that a model reads at once.
        command: what was typed after ``llm-mia``, for the record; secrets in it are replaced.
        progress: called after every batch.
        report_validity: called with the checks of the texts, before any model is loaded.

    Raises:
        CalibrationError: too few documents for a limit that was given, or for any limit; the message says how many.
        PassageError, UsageError, ModelError, RunDirectoryError: see `llm_mia.errors`.
    """
    limits = limits or Limits()
    named = list(dict.fromkeys(attacks))
    plan = plan_scoring(target, reference, attacks=_with_confidence(named))
    sources = [read(members, 1), read(nonmembers, 0)]
    report_activity(progress, "reading the passages")
    texts = KnownTexts.read(sources, labels=(1, 0))
    check = check_inputs(sources)
    known = _known(check)
    refuse_few(known)
    training = training_of(plan.models["target"])
    documented = training is not None and training.epsilon is not None
    planned, confidence = plan_limits(limits, known, strict=strict, selecting=len(named) != 1, documented=documented)
    rates = RequestedRates(_smallest_fpr(planned))
    texts.refuse_repeats(rates)
    chosen = choose_stand_in(stand_in, plan, texts, out)
    report_activity(progress, "checking whether the known set can carry a verdict")
    known_set = texts.known_set(rates)
    before = known_set.validity()  # refuses a known set that cannot be checked, before a model is loaded
    if report_validity is not None:
        report_validity(before)
    scored = run_scoring(sources, chosen.plan, out=out, window_tokens=window_tokens, progress=progress)
    # No earlier verdict beside newer scores; a folder of another model was refused, and keeps its verdict.
    if running_dry() is None:
        (scored.path / FILE).unlink(missing_ok=True)
    extraction = _extract(planned, sources, chosen.plan, out, redact, window_tokens, progress)
    if redact:
        scored = replace(scored, notes=without_written_tokens(scored.path, scored.notes))
        remove_texts(scored.path)
    report_activity(progress, "judging the limits")
    table = read_scores(scored.path)
    table = replace(table, columns={name: table.columns[name] for name in scored.attacks})
    measured = select_attack(_attacking(table, named))
    deciding = {name: scores for name, scores in table.columns.items() if name in measured.deciding}
    result = _with_leaked(
        GateResult(
            path=scored.path,
            passes=dict(table.record.passes) if table.record else {},
            inputs=check.sources,
            validity=known_set.validity(texts.scores(replace(table, columns=deciding))),
            accepted=accept_void,
            strict=strict,
            rows=tuple(
                judge(each, table, measured, extraction, training, confidence=confidence, strict=strict)
                for each in planned
            ),
            attack=measured.calibration.attack,
            aurocs=dict(measured.calibration.selection.aurocs),
            fit_documents=0 if measured.calibration.split is None else measured.calibration.split.fit_documents,
            confidence=confidence,
            notes=notes_of_sentences([*texts.notes, *chosen.notes, *scored.notes, *check.notes]),
            command=without_secrets(command),
        ),
        table,
        measured,
        extraction,
        sources[0],
    )
    result = result.without_names() if redact else result
    write_gate(result)
    if report:
        report_activity(progress, "writing report.html")
        # It lies above this package, so it is imported by name.
        import_module("llm_mia.report").write_gate_report(result)
    return result


def _with_leaked(
    result: GateResult,
    table: ScoreTable,
    measured: Measured,
    extraction: Extraction | Note | None,
    members: Passages,
) -> GateResult:
    """The result with how many members are recognised, and which."""
    scores, labels = measured.scores.scores, measured.scores.labels
    leaked = leaked_most(table, measured, extraction if isinstance(extraction, Extraction) else None, members)
    return replace(
        result,
        members_flagged=int(measured.calibration.flagged(scores[labels == 1]).sum()),
        members_measured=int((labels == 1).sum()),
        leaked_passages=leaked.passages,
        leaked_documents=leaked.documents,
    )


def _with_confidence(named: Sequence[str]) -> list[str]:
    """The attacks to score by: those that are *named*, and that which measures the confidence gap."""
    return [*named, CONFIDENCE] if named and CONFIDENCE not in named and ALL not in named else list(named)


def _attacking(table: ScoreTable, named: Sequence[str]) -> ScoreTable:
    """The table without the scores of an attack that was not *named*, and that only measures the confidence gap."""
    if not named or ALL in named or CONFIDENCE in named:
        return table
    return replace(table, columns={name: scores for name, scores in table.columns.items() if name != CONFIDENCE})


def _known(check: InputCheck) -> Known:
    """How many passages and documents are known; each source has only passages of its class."""
    of_members, of_nonmembers = check.sources
    for source, of_class, kind in (
        (of_members, of_members.members, "members (label 1)"),
        (of_nonmembers, of_nonmembers.nonmembers, "non-members (label 0)"),
    ):
        if of_class != source.passages:
            raise PassageError(
                source.name, f"some of its passages have another label, and all must be {kind}: remove the others"
            )
    return Known(of_members.passages, of_nonmembers.passages, of_members.documents, of_nonmembers.documents)


def _smallest_fpr(planned: Sequence[Planned]) -> float:
    """The rate for which the known set is checked: the smallest at which a true positive rate is judged."""
    return min([SELECTION_FPR, *(each.fpr for each in planned if each.fpr is not None and each.obstacle is None)])


def _extract(
    planned: Sequence[Planned],
    sources: Sequence[Passages],
    plan: ScoringPlan,
    out: str | Path,
    redact: bool,
    window_tokens: int | None,
    progress: Progress | None,
) -> Extraction | Note | None:
    """What the model writes word for word, from the signals that are there; or why nothing could be searched.

    Raises:
        CalibrationError: nothing could be searched, and the user gave the limit.
    """
    (limit,) = (each for each in planned if each.quantity is Quantity.EXTRACTABLE)
    if limit.obstacle is not None:
        return None
    try:
        return extract(
            sources,
            plan.models["target"],
            reference=plan.models.get("reference"),
            out=out,
            redact=redact,
            window_tokens=window_tokens,
            progress=progress,
        )
    except (PassageError, ModelError) as error:
        if limit.given:
            raise CalibrationError(f"`max_extractable` cannot be judged: {error}") from None
        return Note(Obstacle.NOT_SEARCHED, {"why": str(error)})
