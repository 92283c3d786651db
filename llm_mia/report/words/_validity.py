"""Whether the known set, or the shadow models in its place, may carry a verdict, in words."""

from __future__ import annotations

from ...auditing import LIKENESS
from ...records import Standing
from ...validity import Check, Validity, Verdict

__all__ = [
    "standing_note",
    "standing_sentence",
    "standing_words",
    "validity_meaning",
    "void_basis",
    "void_note",
    "weakest_check",
    "weakest_words",
    "why_withheld",
    "withheld_words",
]

NAMED = 3
"""Checks that a sentence names."""
MAIN = ("blind_words_auroc", "blind_counts_auroc", "shift_words_auroc", "shift_counts_auroc")
"""The checks by text; those by other models are main checks, too."""
UNLIKE = "the target is unlike the shadow models, so their threshold does not hold for it"
SHADOW_STANDING = {
    Standing.DOUBTFUL: "The target is unlike the shadow models, or the candidates are unlike their pool",
    Standing.SOUND: "No check of the shadow models shows a fault",
    Standing.NOT_CHECKED: "No check of the shadow models shows a fault",
}


def standing_words(standing: Standing | None) -> str:
    """The standing of a known set.

    >>> standing_words(Standing.ACCEPTED)
    'void or untestable, accepted by the user'
    """
    if standing is None:
        return "not validated"
    words = {
        Standing.ACCEPTED: "void or untestable, accepted by the user",
        Standing.NOT_CHECKED: "not checked by another language model",
    }
    return words.get(standing, standing.value)


def void_basis(standing: Standing | None, validity: Validity | None = None, *, shadows: bool = False) -> str:
    """What a finding cannot rest on, as a clause: the known set, or where these set the threshold the *shadows*.

    Of shadow models *validity* shows whether the target is unlike them, or the candidates are unlike their pool.

    >>> void_basis(Standing.VOID), void_basis(Standing.VOID, shadows=True)[:60]
    ('the known set is void', 'the threshold of the shadow models does not hold for this ta')
    """
    if not shadows:
        return f"the known set is {standing_words(standing)}"
    if validity is None:
        return "the threshold of the shadow models does not hold for this target, or not for these candidates"
    if any(check.name == LIKENESS and check.verdict is Verdict.VOID for check in validity.checks):
        return UNLIKE
    return f"the pool of the shadow models is {standing_words(standing)} for these candidates"


def standing_sentence(standing: Standing | None, *, shadows: bool = False) -> str:
    """What is known of the known set, without a full stop; that no check shows a fault does not make it sound.

    With *shadows* it is about the shadow models that set the threshold.

    >>> standing_sentence(Standing.SOUND), standing_sentence(Standing.VOID)
    ('No fault of the known set was seen', 'The known set is void')
    """
    if shadows and standing is not None:
        basis = void_basis(standing, shadows=True)
        return SHADOW_STANDING.get(standing, basis[:1].upper() + basis[1:])
    if standing is Standing.SOUND:
        return "No fault of the known set was seen"
    return f"The known set is {standing_words(standing)}"


def validity_meaning(standing: Standing | None) -> str:
    """What the standing means for a finding."""
    meanings = {
        Standing.VOID: "no finding may rest on it",
        Standing.ACCEPTED: "no finding may rest on it, but the user requested findings nevertheless",
        Standing.DOUBTFUL: "a finding may rest on it, but must be read together with the faults",
        Standing.UNTESTABLE: "no finding may rest on it, because it has too few documents to be tested",
        Standing.NOT_CHECKED: "the texts show no fault, but no other language model has checked them, and an n-gram "
        "model misses much: name a reference model, or a stand-in",
        Standing.SOUND: "no check of the texts, and none by another model, shows a fault",
    }
    return meanings[standing] if standing else "nothing could be checked"


def weakest_check(validity: Validity) -> tuple[float, str] | None:
    """The AUROC that the weakest main check detects, and its name; None where no main check was possible."""
    main = [check for check in validity.checks if check.name in MAIN or _by_model(check)]
    return max([(check.detectable, check.name) for check in main if check.detectable is not None], default=None)


def weakest_words(validity: Validity) -> str | None:
    """The main check that detects least, and what it may have missed; None where no main check was possible.

    The main checks are the classifiers that never see a model, and other models in the place of the target.
    """
    weakest = weakest_check(validity)
    if weakest is None:
        return None
    detectable, name = weakest
    return (
        f"Each main check that was possible would have detected an AUROC of {detectable:.2f} with a probability of "
        f"about 0.8 or more (the weakest: {name}); smaller differences, and differences of another kind, may be "
        "missed. "
        "Main checks are the classifiers that see only the texts, and other models in the target's place, on members "
        "or candidates against non-members; others may detect less"
    )


def standing_note(standing: Standing | None) -> str | None:
    """A warning for a finding; None where the known set is sound or not validated, or where no finding is stated."""
    meaning = {
        Standing.NOT_CHECKED: "a difference that only a model notices may explain a finding, without any training",
        Standing.DOUBTFUL: "a finding must be read together with its faults",
        Standing.ACCEPTED: "its faults alone may explain a finding, without any training",
    }
    if standing not in meaning:
        return None
    return f"the known set is {standing_words(standing)}: {meaning[standing]} (see validity.json)"


def void_note(standing: Standing | None, validity: Validity | None = None, *, shadows: bool = False) -> str | None:
    """A warning for figures of a void or untestable known set, or *shadows* that do not hold; None where neither."""
    if standing is None or not (standing.withholds or standing is Standing.ACCEPTED):
        return None
    meaning = "what separates members from non-members may not be membership"
    if shadows:
        meaning = "these figures are of the shadow models, and not of the target"
    return f"{void_basis(standing, validity, shadows=shadows)}: {meaning}"


def withheld_words(standing: Standing | None, validity: Validity | None = None, *, shadows: bool = False) -> str:
    """What takes the place of a finding that is withheld.

    >>> withheld_words(Standing.UNTESTABLE)
    'no finding: the known set is untestable, so the figures are stored but support no conclusion'
    """
    basis = void_basis(standing, validity, shadows=shadows)
    so = "; " if shadows else ", so "
    return f"no finding: {basis}{so}the figures are stored but support no conclusion"


def why_withheld(standing: Standing | None, validity: Validity | None = None, *, shadows: bool = False) -> str:
    """Why a finding is withheld, in a line: the checks that make the known set void, or what it has too few of.

    With *shadows* it is why the threshold of the shadow models does not hold.
    """
    basis, which = void_basis(standing, validity, shadows=shadows), ""
    if shadows and (validity is None or basis == UNLIKE):
        return basis
    if validity is not None and standing is Standing.UNTESTABLE:
        which = f" ({next(check.details for check in validity.checks if check.verdict is Verdict.UNTESTABLE)})"
    elif validity is not None:
        names = [check.name for check in validity.checks if check.verdict is Verdict.VOID]
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        which = f" ({', '.join(names[:NAMED])}{more})"
    return f"{basis}{which}, so no finding may rest on it"


def _by_model(check: Check) -> bool:
    return check.name.endswith("_auroc") and ("_members_" in check.name or "_candidates_" in check.name)
