"""Passages in, decisions with a stated error rate out: the stages, composed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

from ..decision import AUTO, BY_DEFAULT, FINDING_LEVEL, STACK, check_finding_level
from ..errors import UsageError
from ..history import History, Protocol, keep_protocol, protocol_of_run, read_protocol, refuse_other_protocol
from ..passages import Passages, PassageSource, to_passages
from ..scoring import ALL, ModelSource, References, plan_scoring
from ..shadow import Shadows
from ..signals import Progress, Supplies, model_or_spec, report_activity, running_dry
from ..validity import Validity
from ._by_known_set import ByKnownSet, ReportNote
from ._by_shadows import ByShadows, refuse_without_known_set
from ._deciding import Request
from ._finishing import Finishing
from ._record import Audit
from ._shadows import ShadowModels, ShadowThreshold, offline_forms, open_shadows, trusts_remote_code, with_shadows
from ._stand_in import AUTO as AUTO_STAND_IN, StandIn
from ._texts import read

__all__ = ["audit", "refuse_rates"]

DEFAULT_FPR = 0.05
ReportValidity: TypeAlias = Callable[[Validity], None]


def audit(
    candidates: PassageSource,
    *,
    nonmembers: PassageSource | None = None,
    members: PassageSource | None = None,
    target: ModelSource,
    reference: References = None,
    stand_in: StandIn = AUTO_STAND_IN,
    models: Mapping[str, ModelSource] | None = None,
    shadows: ShadowModels = None,
    attacks: Sequence[str] = (),
    supplies: Supplies | None = None,
    fpr: float | None = None,
    fdr: float | None = None,
    confidence: float | None = None,
    accept_void: bool = False,
    finding_level: float | None = None,
    control: PassageSource | None = None,
    protocol: str | Path | None = None,
    history: str | Path | None = None,
    out: str | Path,
    redact: bool = False,
    report: bool = True,
    command: Sequence[str] = (),
    window_tokens: int | None = None,
    progress: Progress | None = None,
    report_validity: ReportValidity | None = None,
    report_possible: ReportNote | None = None,
) -> Audit:
    """Whether the target model was trained on the candidates, with a stated error rate; *out* holds every result.

    A candidate that was not trained on is flagged with probability at most *fpr*, if it could as well have been among
    the known non-members; where passages share documents, if it is a passage of a document like theirs. Whatever can
    be refused without a model is refused before a model is loaded, and the texts of the known set are checked before
    that, too. The same call continues an audit that was stopped.

    Without *nonmembers*, the *shadows* set the threshold: each shadow takes the target's place, and what it was not
    trained on is compared with the candidates. Then a candidate that the target was not trained on is flagged with
    probability at most about *fpr*, on average over models and passages, if the target was trained as the shadows were:
    from the same base, by the same recipe, on a random part of like texts. K shadows are a sample of such models, so
    for a single target the rate varies as it does between them: `ShadowCheck` holds the rate of each, left out, and the
    finding allows for it (`llm_mia.decision.spread_of_models`). It also makes the average a little higher than *fpr*:
    where models shift all scores by a normal amount, with a fifth of the standard deviation of passages, 5 % become
    5.2 % with 4 shadows and 5.1 % with 8; with half of it, 6.1 and 5.5 %. Where all candidates are passages of the
    shadows' pool, the threshold is set by their own texts; else by all passages of the pool, which the candidates must
    then resemble, and attacks take their offline form.

    Args:
        candidates: the unlabelled passages: a path, `Passages`, or what `Passages.of` takes; labels in a file or in
            data are not read.
        nonmembers: passages known not to be in the training data; they set the threshold. None: *shadows* do.
        members: passages known to be in the training data; they show how well the attacks separate, and set no
            threshold.
        target: the model that is tested: a name, a `ModelSpec`, or a backend.
        reference: a model that was not trained on the passages; or several, of unlike training: the largest of the
            p-values that they give counts.
        stand_in: a model that cannot know the passages, in the place of a reference model: a model, ``auto``,
            ``ngram`` or ``none``. ``auto`` is none where a reference model is given; else the embedded model, if it is
            installed and is not the target; else an n-gram model, which is trained on half of the non-members, if they
            come from at least 37 documents. The stand-in reads all passages once. Without a reference or a stand-in
            that is a language model, the known set is at best ``not_checked``.
        models: further models by role, for the attacks that need them.
        shadows: shadow models, or their folder: evidence for ``lira`` and ``shadow_rmia``, and without *nonmembers*
            what sets the threshold. The base of the shadows is then the reference, if none is given.
        attacks: names, with settings as in ``min_k:k=0.1``; the first decides. If ``auto`` is among them, the attack
            decides that separates half of the known documents best; the other half sets the threshold. If ``stack`` is
            among them, a score decides that is learned from all attacks on half of the known documents; the other half
            sets the threshold. Empty: every attack that the models allow at little cost; the stack decides if there are
            at least 200 documents of members and 200 of non-members, else ``reference``, or ``min_k`` without a
            reference model. Without *nonmembers*, ``lira`` decides; ``stack`` is then the shadow classifier, learned
            from the shadows alone (Shokri et al. 2017, arXiv:1610.05820).
        supplies: shots, a population, token frequencies, rewritten texts, for the attacks that need them.
        fpr: the largest false positive rate; None: 0.05, or the level of *fdr*.
        fdr: the largest false discovery rate over the candidates, in place of *fpr* (Benjamini–Hochberg, or
            Benjamini–Yekutieli where passages share documents).
        confidence: the confidence with which *fpr* holds for this known set; None: it holds on average over known sets.
        accept_void: state findings even where the known set is void or untestable; every artefact records this.
        finding_level: the largest probability of a finding where no candidate was trained on, over all decisions on
            the passages of these candidates (`llm_mia.history`); None: that of the protocol, else 0.05.
        control: sealed non-members, which are scored and decided on as candidates are; how many of them are flagged is
            reported. They set no threshold, and are not counted among the candidates.
        protocol: a file that names the decisions, the models and the inputs, fixed before anything is scored; None:
            that of the run directory, if it holds a copy.
        history: the folder of the record of decisions that all run directories share; None: the user's cache.
        out: the run directory.
        redact: keep no text and no token of a passage in any file that is handed on: all files but ``signals/``, whose
            token ids are the texts.
        report: write ``report.html``, too. If that fails, the audit is complete and is kept.
        command: what was typed after ``llm-mia``, for the record; secrets in it are replaced.
        window_tokens: largest number of tokens that a model reads at once.
        progress: called after every batch.
        report_validity: called with the checks of the texts, before any model is loaded.
        report_possible: called before that, with a note on which decisions the input allows.

    Raises:
        PassageError, UsageError, ModelError, CalibrationError, RunDirectoryError: see `llm_mia.errors`.
    """
    refuse_rates(fpr, fdr, confidence)
    planned = protocol_of_run(Path(out)) if protocol is None else read_protocol(protocol)
    if finding_level is None:
        finding_level = FINDING_LEVEL if planned is None else planned.finding_level
    check_finding_level(finding_level)
    named, decider = _decider(attacks)
    level = fpr if fpr is not None else fdr if fdr is not None else DEFAULT_FPR
    request = Request(decider, level, fdr, confidence, accept_void, finding_level)
    ending = Finishing(redact, report, command, progress)
    trained, target = open_shadows(shadows), model_or_spec(target)
    if trained is not None:
        target = with_shadows(target, trained)
        supplies, models = _with_models(supplies, models, trained, trust_remote_code=trusts_remote_code(target))
    run = Path(out)
    audited: ByShadows | ByKnownSet
    if nonmembers is None:
        trained = refuse_without_known_set(
            trained, members=members is not None, control=control is not None, confidence=confidence
        )
        report_activity(progress, "reading the passages")
        source = read(candidates, None)
        threshold = ShadowThreshold.of(trained, source, target)
        threshold.refuse_few(level, decider)
        reference = reference or trained.reference(  # also in place of an empty list
            trust_remote_code=trusts_remote_code(target)
        )
        wanted = threshold.attacks(named, reference=bool(reference))
        decider = wanted[0] if decider == BY_DEFAULT else threshold.attacks([decider], reference=True)[0]
        plan = plan_scoring(target, reference, models=models, attacks=wanted, supplies=supplies)
        audited = ByShadows(threshold, source, plan, replace(request, decider=decider))
    else:
        sources = [*([] if members is None else [read(members, 1)]), read(nonmembers, 0), read(candidates, None)]
        if trained is not None and not all(map(trained.holds, sources)):
            named = offline_forms(named)
            decider = decider if decider in (AUTO, STACK, BY_DEFAULT) else offline_forms([decider])[0]
        audited = ByKnownSet.read(
            sources,
            plan_scoring(target, reference, models=models, attacks=named, supplies=supplies),
            replace(request, decider=decider),
            stand_in=stand_in,
            sealed=None if control is None else to_passages(control, label_column="", name="control"),
            shadows=trained,
            out=run,
            progress=progress,
            report_possible=report_possible,
        )
    if report_validity is not None:
        report_validity(audited.validity)
    if planned is not None:
        audited = replace(audited, request=replace(audited.request, protocol=_kept(planned, audited.sources, run)))
    done = audited.run(
        run, window_tokens=window_tokens, history=History(out, history), redact=redact, progress=progress
    )
    return ending.finish(done, audited.sources[-1], audited.first, audited.plan.models["target"])


def _kept(protocol: Protocol, sources: Sequence[Passages], run: Path) -> Protocol:
    """The protocol for these inputs, after its copy has been kept in the run directory."""
    (keep_protocol if running_dry() is None else refuse_other_protocol)(protocol, run)
    return protocol.on_inputs([source.sha256() for source in sources])


def _with_models(
    supplies: Supplies | None, models: Mapping[str, ModelSource] | None, shadows: Shadows, *, trust_remote_code: bool
) -> tuple[Supplies, dict[str, ModelSource]]:
    """Supplies and models with the shadow models."""
    return replace(supplies or Supplies(), shadows=shadows.supply()), {
        **shadows.models(trust_remote_code=trust_remote_code),
        **(models or {}),
    }


def refuse_rates(fpr: float | None, fdr: float | None, confidence: float | None) -> None:
    """Raise `UsageError` where the error rates exclude each other."""
    if fdr is not None and fpr is not None:
        raise UsageError("`fdr` takes the place of `fpr`: leave out `fpr` or `fdr`")
    if fdr is not None and confidence is not None:
        raise UsageError(
            "`confidence` belongs to `fpr`, and an FDR holds only on average: leave out `confidence` or `fdr`"
        )


def _decider(attacks: Sequence[str]) -> tuple[list[str], str]:
    """The attacks to score by, and what decides: ``auto`` or ``stack`` wherever it is among them, else the first."""
    selecting = sorted({attack for attack in attacks if attack in (AUTO, STACK)})
    if len(selecting) > 1:
        raise UsageError(
            f"{' and '.join(selecting)} cannot both decide: name only {' or '.join(selecting)} in `attacks`"
        )
    named = [attack for attack in attacks if attack not in selecting]
    return named, [*selecting, *(attack for attack in named if attack != ALL), BY_DEFAULT][0]
