"""The finding on a page."""

from __future__ import annotations

from collections.abc import Iterator

from ...history import History
from ...scores import is_other_role
from ...store import read_run
from .._digests import code_sha256
from .._results import Results
from ..words import Outcome, Side, answer_of, counted, exhibit_sections, side_words
from ._pages import page, short_name

__all__ = ["finding_page"]

GLOSSARY = (
    ("known members, known non-members", "texts that the model was certainly trained on, and certainly not trained on"),
    ("AUROC", "the chance that a text of the first kind scores higher than a text of the second; 0.5 is no difference"),
    ("FPR", "the share of texts that are flagged although the model was not trained on them"),
    ("p", "how probable so many flags, or more, are if the model was trained on none of the texts"),
)
"""What a reader needs who has never seen such a page."""


def finding_page(results: Results, side: Side) -> bytes:
    """The bytes of ``finding.html``: a page of A4 when it is printed."""
    audit = results.audit
    answer = answer_of(audit)
    withheld = ""
    if answer.outcome is Outcome.WITHHELD:
        withheld = f"No finding is stated. {answer.headline[0].upper()}{answer.headline[1:]}"
    return page(
        "finding.html",
        "Was the model trained on these texts? The finding",
        withheld=withheld,
        worded=side_words(side),
        headline=answer.headline,
        sections=exhibit_sections(audit, answer, side, results.extraction),
        record=list(_record(results)),
        glossary=GLOSSARY,
    )


def _record(results: Results) -> Iterator[tuple[str, str, str]]:
    """Who, what and when: a name, a sentence, and the SHA-256 that identifies it."""
    audit = results.audit
    for role, record in audit.passes.items():
        if role == "target" or is_other_role(role):
            yield f"{role} model", f"{short_name(record.model.id)}, weights", record.model.weights_sha256
    run = read_run(audit.path)
    roles = ("members", "non-members", "candidates")[-len(run.inputs) :]
    for role, source in zip(roles, run.inputs, strict=False):
        yield role, f"{short_name(source.name)}, {counted(source.passages, 'passage')}", source.sha256
    decisions = [entry for entry in History(audit.path, audit.path).of_run() if entry.attack == audit.decider]
    if decisions:
        yield "decided", f"{decisions[-1].when[:19].replace('T', ' ')} UTC", ""
    if audit.protocol:
        yield "protocol", "fixed before the scores", audit.protocol
    versions = ", ".join(f"{name} {version}" for name, version in run.versions.items())
    yield "computed by", versions, ""
    yield "written by", "the code of llm_mia with the digest", code_sha256()
