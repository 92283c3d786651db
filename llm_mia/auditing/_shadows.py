"""Shadow models that set a threshold: which texts and attacks they serve, and whether they can stand for the target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..attacks import ShadowSet, parse_attack
from ..backends import Backend, ModelSpec
from ..calibration import nonmembers_needed
from ..decision import STACK, Calibration
from ..errors import AttackError, CalibrationError, ModelError, UsageError
from ..passages import Passages
from ..records import Passage, PassRecord, text_sha256
from ..scores import ScoreTable, read_losses
from ..scoring import ALL
from ..shadow import Shadows, read_shadows, shadow_table
from ..signals import Progress
from ..store import read_run, read_signals
from ..training import read_training
from ._shadow_check import Likeness, ShadowCheck, likeness_of, shadow_check

__all__ = [
    "OF_SHADOWS",
    "ShadowModels",
    "ShadowThreshold",
    "offline_forms",
    "open_shadows",
    "trusts_remote_code",
    "with_shadows",
]

ShadowModels: TypeAlias = Shadows | str | Path | None
"""A set of shadow models, or its folder."""
OF_SHADOWS = ("lira", "shadow_rmia")
"""The attacks that take shadow models; the first decides where the user names none."""
ALONE = ("reference", "loss", "min_k")
"""Further attacks that a stack can use."""
POPULATION = "shadow_population"


def open_shadows(shadows: ShadowModels) -> Shadows | None:
    """The set of shadow models in a folder.

    Raises:
        RunDirectoryError: no shadow models are there, or their training is not finished.
    """
    return shadows if shadows is None or isinstance(shadows, Shadows) else read_shadows(shadows)


def with_shadows(target: Backend | ModelSpec, shadows: Shadows) -> Backend | ModelSpec:
    """The target in the precision of the shadow models, where the user chose none.

    Raises:
        AttackError: it has another tokenizer than they have, or was trained from another base.
        UsageError: it reads texts in a chat template and they do not, or they do and it does not.
    """
    templated = shadows.record.plan.templated
    if isinstance(target, ModelSpec) and target.templated != templated:
        how = "in the template of their base: give" if templated else "without a template: leave out"
        raise UsageError(f"{shadows.path}: its shadow models read texts {how} `templated`")
    record = _pass_of_shadows(shadows)
    tokenizer = target.tokenizer().fingerprint if isinstance(target, ModelSpec) else target.info.tokenizer
    if tokenizer != record.model.tokenizer:
        raise AttackError(
            f"{shadows.path}: its shadow models have another tokenizer than the target, so they cannot stand for it: "
            "give shadow models of the target's base as `shadows`"
        )
    if same_base(target, shadows) is False:
        raise AttackError(
            f"{shadows.path}: its shadow models were trained from another base ({shadows.record.plan.base}) than the "
            "target, so they cannot stand for it: give shadow models of the target's base as `shadows`"
        )
    return target.in_precision(shadows.record.dtype) if isinstance(target, ModelSpec) else target


def trusts_remote_code(target: Backend | ModelSpec) -> bool:
    """Whether the user lets the target run Python code from its repository."""
    return isinstance(target, ModelSpec) and target.trust_remote_code


def offline_forms(named: Sequence[str]) -> list[str]:
    """The attacks *named*, in their offline form where they take shadow models: no shadow was trained on some text.

    Raises:
        UsageError: the online form is named.
    """
    offline = []
    for attack in named:
        parsed = parse_attack(attack) if attack != ALL else None
        if parsed and "shadows" in parsed.evidence and parsed.settings.get("form", "online") == "online":
            if "form" in attack:
                raise UsageError(
                    f"`attacks` has {attack!r}, and some passages are not in the pool of the shadow models, so no "
                    "shadow was trained on them: name the attack with form=offline"
                )
            attack += ("," if ":" in attack else ":") + "form=offline"
        offline.append(attack)
    return offline


def same_base(target: Backend | ModelSpec, shadows: Shadows) -> bool | None:
    """Whether the target was trained from the base of the shadow models; None where no record shows it."""
    base = shadows.record.plan.base_sha256
    if not isinstance(target, ModelSpec) or base is None:
        return None
    try:
        trained = read_training(target.name).base_sha256
    except ModelError:
        return True if target.sha256() == base else None  # the base itself is a model that was trained no further
    return None if trained is None else trained == base


def _pass_of_shadows(shadows: Shadows) -> PassRecord:
    return read_run(shadows.path).passes[shadows.roles[0]]


@dataclass(frozen=True, slots=True, eq=False)
class ShadowThreshold:
    """Shadow models in the place of a known set, for the candidates of an audit."""

    shadows: Shadows
    supply: ShadowSet
    candidates: Sequence[Passage]
    same_texts: bool
    """Whether every candidate's text is in the pool: then its text under the shadows sets the threshold."""
    same_base: bool | None

    @classmethod
    def of(cls, shadows: Shadows, candidates: Passages, target: Backend | ModelSpec) -> ShadowThreshold:
        """Whether the candidates' texts are those of the pool; a mixture counts as other texts."""
        passages = list(candidates)
        return cls(shadows, shadows.supply(), passages, shadows.holds(passages), same_base(target, shadows))

    @property
    def pool(self) -> list[Passage]:
        """The passages of the pool that are compared with the candidates' texts, as known non-members."""
        return [replace(passage, label=0) for passage in self.supply.population]

    def attacks(self, named: Sequence[str], *, reference: bool) -> list[str]:
        """The attacks to score by; those that take shadows in their offline form where candidates are other texts.

        Raises:
            UsageError: *named* has an online form, and a candidate's text is not in the pool; or it has ``all``.
        """
        if ALL in named:
            raise UsageError(
                "`attacks` has 'all', and the folder of shadow models holds signals for some attacks only: name the "
                "attacks"
            )
        chosen = list(named) or [*OF_SHADOWS, *ALONE[0 if reference else 1 :]]
        return chosen if self.same_texts else offline_forms(chosen)

    def refuse_few(self, fpr: float, decider: str) -> None:
        """Refuse a rate that so few documents cannot hold.

        Raises:
            CalibrationError: the message says how many documents are needed.
        """
        rows = self.candidates if self.same_texts else self.shadows.pool
        documents, needed = len({passage.document for passage in rows}), nonmembers_needed(fpr, None)
        left = documents // 2 if decider == STACK else documents
        if left < needed:
            of = "the candidates come" if self.same_texts else "the pool of the shadow models comes"
            half = f", of which half fit {decider!r}" if decider == STACK else ""
            raise CalibrationError(
                f"{of} from {documents:,} documents{half}, and FPR ≤ {fpr:g} needs {needed:,} whose scores under the "
                "shadow models set the threshold: choose a larger `fpr`, or give more documents"
            )

    def rows(self, attacks: Sequence[str], progress: Progress | None) -> ScoreTable:
        """The scores of each shadow in the target's place: of the candidates' texts, or else of the whole pool."""
        texts = {passage.text for passage in self.candidates} if self.same_texts else None
        table = shadow_table(self.shadows, attacks, texts=texts, progress=progress)
        return replace(table, places=[passage.rpartition("@")[2] for passage in table.ids])

    def refuse_shorter_windows(self, window_tokens: int | None) -> None:
        """Refuse windows that are shorter than those of the shadow models, before the target reads anything.

        Raises:
            UsageError: as `refuse_other_windows`.
        """
        if window_tokens is not None and window_tokens < _pass_of_shadows(self.shadows).window.tokens:
            self._refuse_windows(window_tokens)

    def refuse_other_windows(self, run: Path) -> None:
        """Refuse a target that reads other windows than the shadow models did: its scores would not be like theirs.

        Raises:
            UsageError: the message says which windows the shadow models read.
        """
        ours = read_run(run).passes["target"].window
        if ours != _pass_of_shadows(self.shadows).window:
            self._refuse_windows(ours.tokens)

    def _refuse_windows(self, tokens: int) -> NoReturn:
        theirs = _pass_of_shadows(self.shadows).window.tokens
        raise UsageError(
            f"`window_tokens`: the target reads windows of {tokens} tokens, and the shadow models windows of {theirs}: "
            f"give {theirs}, and name a new folder"
        )

    def check(self, table: ScoreTable, calibration: Calibration, run: Path) -> ShadowCheck:
        """The shadows left out one by one, and the target beside them."""
        return shadow_check(
            table,
            calibration,
            sha256=self.supply.sha256,
            same_texts=self.same_texts,
            same_base=self.same_base,
            likeness=self._likeness(calibration, run),
        )

    def _likeness(self, calibration: Calibration, run: Path) -> list[Likeness]:
        """What can be compared, and matters for the scores that decide."""
        names = [column.name for column in calibration.stack.columns] if calibration.stack else [calibration.attack]
        of_population = any(POPULATION in parse_attack(name).evidence for name in names)
        number = 2 if self.same_texts and of_population else 1
        compared = [self._on_candidates(run, number)] if self.same_texts else []
        if of_population or not self.same_texts:
            compared.append(self._on_population(run, number, members=not self.same_texts))
        return [each for each in compared if each is not None]

    def _on_candidates(self, run: Path, number: int) -> Likeness | None:
        row_of = {passage.text: at for at, passage in enumerate(self.shadows.pool)}
        at = [row_of[passage.text] for passage in self.candidates]
        target, shadows, inside = -read_losses(run).per_token, self.shadows.mean_logprobs[at], self._inside
        return likeness_of(target, shadows, inside(self.candidates), members=True, comparisons=number)

    def _on_population(self, run: Path, number: int, *, members: bool) -> Likeness | None:
        if POPULATION not in read_run(run).passes:  # no attack that compares with the population was named
            return None
        stored = list(read_signals(run, POPULATION, ("logprob",)))
        of_text = {row.text_sha256: row.signals for row in stored}
        passages = list(self.supply.population)
        signals = [of_text.get(text_sha256(passage.text)) for passage in passages]
        means = [np.nan if each is None else each.mean_logprob for each in signals]
        target, shadows, inside = np.array(means), self.supply.population_logprob, self._inside(passages)
        return likeness_of(target, shadows, inside, members=members, comparisons=number)

    def _inside(self, passages: Sequence[Passage]) -> NDArray[np.bool_]:
        return np.array([self.supply.memberships(passage.text) for passage in passages], dtype=bool)
