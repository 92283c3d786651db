"""How an audit was done, as plain tables: models, inputs, what decided, and the command that does it again."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from ...attacks import parse_attack
from ...auditing import Audit
from ...decision import ErrorRate
from ...errors import AttackError
from ...records import AttackRecord, PassRecord, RunRecord
from ._counting import counted, held_with
from ._decisions import guarantee_words, held_words, rule_words, selection_words, threshold_words
from ._precision import rounding_words

__all__ = ["Again", "again_words", "deciding_rows", "input_rows", "model_rows", "run_rows"]

Rows = list[tuple[str, str]]
SHELL_WIDTH = 76
"""Characters of a line of a command, before it goes on with an option on the next line."""
OPTIONS_UNKNOWN = (
    "Put together from the record: the audit was called from Python, or by a release that did not record the command. "
    "How the inputs were read (columns, length of passages), the device, further attacks and sealed non-members are "
    "not part of the record."
)


@dataclass(frozen=True, slots=True)
class Again:
    """The command that does an audit again."""

    command: str
    note: str
    """What it leaves open."""


def model_rows(name: str, record: PassRecord) -> Rows:
    """The model of a pass with its digests, and how texts were cut into windows; *name* is that of the pass."""
    model, window, source = record.model, record.window, record.model.tokenizer_source
    rows = [
        ("Pass", name),
        ("Model", model.id),
        ("Revision", model.revision or "not recorded: a local model, which its digest identifies"),
        ("SHA-256 of the weights", model.weights_sha256),
        ("SHA-256 of the configuration", model.config_sha256),
        (
            "Tokenizer",
            f"fingerprint {model.tokenizer}" + (f" ({source})" if (source := model.tokenizer_source) else ""),
        ),
        ("Precision", _precision(record)),
        ("Window", f"at most {counted(window.tokens, 'token')}; {window.context:,} of them repeat what came before"),
    ]
    opening = ", ".join(map(repr, model.opening_text)) or "nothing"
    return [*rows, ("Each text begins after", opening), *_dependences(record)]


def _precision(record: PassRecord) -> str:
    choice, rounding = record.model.dtype_choice, record.model.rounding
    changes = "" if rounding is None else f"; {rounding_words(asdict(rounding))}"
    if choice is None:
        return record.model.dtype + changes
    by = {"measured": "measured speed", "environment": "the environment variable LLM_MIA_DTYPE"}
    return f"{record.model.dtype}, chosen by {by.get(choice.reason, 'the kind of device')}{changes}"


def _dependences(record: PassRecord) -> Iterator[tuple[str, str]]:
    if record.model.temperature != 1:
        yield "Temperature", f"{record.model.temperature:g}: the logits are divided by it"
    for key, value in sorted(record.depends.items()):
        yield key.replace("_", " "), str(value)


def input_rows(audit: Audit, run: RunRecord) -> list[tuple[str, str, str, str, str]]:
    """Role, name, passages, documents and SHA-256 of each input, the candidates last."""
    roles = ("members", "non-members", "candidates")[-len(audit.inputs) :]
    digests = [source.sha256 for source in run.inputs[-len(audit.inputs) :]]
    return [
        (role, source.name, f"{source.passages:,}", f"{source.documents:,}", digest)
        for role, source, digest in zip(roles, audit.inputs, digests, strict=True)
    ]


def deciding_rows(audit: Audit, run: RunRecord) -> Rows:
    """What decides, at which error rate, with which guarantee, and on which record of decisions."""
    calibration, flags = audit.calibration, audit.flags
    rows: Rows = [("Attack that decides", calibration.attack)]
    rows += _attack_rows(calibration.attack, run.attacks)
    selection = selection_words(calibration)
    rows += [("How it was chosen", selection)] if selection else []
    what = "known non-member" if audit.shadows is None else "score"
    by_models = "" if audit.shadows is None else " by shadow models in the target's place"
    set_by = f"{counted(calibration.n, what)}{by_models} of {counted(calibration.n_documents, 'document')}"
    rows += [("Threshold", f"{threshold_words(calibration)}, set by {set_by}")]
    rows += [("Error rate", rule_words(flags.rule)), ("Guarantee", guarantee_words(calibration.guarantee))]
    if flags.rule.rate is ErrorRate.FALSE_POSITIVES:
        rows.append(("How far it holds", held_words(flags)))
    if calibration.confidence is not None:
        rows.append(("Confidence", held_with(calibration.confidence)))
    if flags.finding is not None:
        allowed = f"p ≤\N{NO-BREAK SPACE}{flags.finding.allowed:.3g}"
        rows.append(("A finding needs", f"{allowed}, for decision {flags.finding.number} on these candidates"))
    if audit.protocol:
        rows.append(("Protocol, fixed before scoring", f"SHA-256 {audit.protocol}"))
    return rows


def _attack_rows(name: str, recorded: Sequence[AttackRecord]) -> Rows:
    record = next((each for each in recorded if each.name == name), None)
    rows: Rows = []
    if record is not None:
        settings = ", ".join(f"{key} = {value}" for key, value in record.settings.items())
        rows.append(("Revision of its formula", str(record.revision) + (f"; {settings}" if settings else "")))
    try:
        attack = parse_attack(name)
    except AttackError:  # a stack, or an attack of another package
        return rows
    return [*rows, ("Formula", attack.formula or attack.summary), ("Paper", attack.paper)]


def run_rows(run: RunRecord, code_sha256: str) -> Rows:
    """The versions of the programs, the time of each pass, the seed, and the digest of the code of the page."""
    rows: Rows = [("Versions", ", ".join(f"{name} {version}" for name, version in run.versions.items()))]
    rows += [("Computing time", _seconds(run.wall_seconds))] if run.wall_seconds else []
    rows.append(("Seed", "fixed in the code: every audit of the same inputs draws the same random numbers"))
    rows.append(("Schema of the records", str(run.schema_version)))
    return [*rows, ("SHA-256 of the code of llm_mia that wrote this page", code_sha256)]


def _seconds(seconds: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:,.0f}\N{NO-BREAK SPACE}s" for name, value in seconds.items())


def again_words(audit: Audit) -> Again:
    """The command that does *audit* again, as it was typed; put together from the record where that is not known."""
    if audit.command:
        piped = "-" in audit.command
        note = "An input came through a pipe, so the command needs the same input again." if piped else ""
        hidden = any("…" in argument for argument in audit.command)
        note += " Secrets in it were replaced by …; they are not part of the record." if hidden else ""
        return Again(_shell(audit.command), note.strip())
    return Again(_shell(_from_record(audit)), OPTIONS_UNKNOWN)


def _from_record(audit: Audit) -> list[str]:
    names = dict(zip(("candidates", "nonmembers", "members"), reversed(audit.inputs), strict=False))
    arguments = ["audit", names["candidates"].name]
    arguments += ["--nonmembers", names["nonmembers"].name] if "nonmembers" in names else ["--shadows", "SHADOWS"]
    arguments += ["--members", names["members"].name] if "members" in names else []
    for role, record in audit.passes.items():
        if role == "target" or role.startswith("reference"):
            arguments += [f"--{role.partition('-')[0]}", record.model.id]
    calibration, rule = audit.calibration, audit.flags.rule
    arguments += ["--attack", calibration.attack]
    fdr = rule.rate is not ErrorRate.FALSE_POSITIVES
    arguments += ["--fdr" if fdr else "--fpr", f"{rule.level:g}"]
    arguments += [] if calibration.confidence is None or fdr else ["--confidence", f"{calibration.confidence:g}"]
    arguments += ["--accept-void"] if audit.accepted else []
    return [*arguments, *(["--redact"] if audit.redacted else []), "--out", audit.path.name]


def _shell(arguments: Sequence[str]) -> str:
    """The command for a shell, on several lines where it is long."""
    lines = ["llm-mia"]
    for argument in arguments:
        word = shlex.quote(argument)
        if argument.startswith("-") and argument != "-" and len(lines[-1]) + len(word) > SHELL_WIDTH // 2:
            lines.append(f"    {word}")
        else:
            lines[-1] += f" {word}"
    return " \\\n".join(lines)
