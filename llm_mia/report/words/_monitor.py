"""What a monitor reports, in words: who raises an alarm, why, and what was not seen."""

from __future__ import annotations

from ...monitor import Alert, LogRecord, MonitorResult, Reason
from ._answer import Answer, Outcome
from ._counting import counted

__all__ = ["alert_sentence", "blind_sentences", "fault_sentence", "monitor_answer", "reason_words"]

NAMED = 3
"""Alerts that a screen names."""
NAME_LENGTH = 40
REASONS = {
    "probing": "different passages whose log-probabilities it wants",
    "harvesting": "prompts without a template for which it wants the distribution of the next token",
    "perturbation": "texts that it scores together with rewritten versions",
    "prefixed": "passages that it scores alone and behind another text",
    "sampling": "prompts of which it wants eight or more continuations",
    "overlap": "prompts with text of registered data sets",
}
"""By detector: what it counts, after the number."""


def monitor_answer(result: MonitorResult) -> Answer:
    """Who raises an alarm, with the families and clients that stand out most."""
    families, clients = result.of("family"), result.of("client")
    facts = [(each.kind, alert_sentence(each)) for each in (*families[:NAMED], *clients[:NAMED])]
    left = len(families) + len(clients) - len(facts)
    if left:
        facts.append(("more", f"{counted(left, 'more alert')} in alerts.jsonl"))
    if sentences := blind_sentences(result.logs):
        facts.append(("blind", "; ".join(sentences)))
    if left_out := sum(fault.lines for fault in result.faults if not fault.read):
        facts.append(("not read", f"{counted(left_out, 'line')}, most of them because: {result.faults[0].reason}"))
    if result.drift:
        strange = sum(window.q_value <= result.fdr for window in result.drift)
        facts.append(
            ("drift", f"{strange} of {counted(len(result.drift), 'window')} of traffic differ from the benign")
        )
    return Answer(
        question=f"Does any of {counted(result.clients, 'client')} test what the model was trained on?",
        outcome=Outcome.DOUBTFUL if result.alerts else Outcome.NO_FINDING,
        headline=_headline(result),
        error_rate=_error_rate(result),
        facts=tuple(facts),
        trust=(
            f"The rate holds where honest clients resemble the {counted(result.calibration_clients, 'benign client')} "
            "that set it. No alert does not show that nobody attacks.",
        ),
        caveats=len(result.notes) + sum(fault.read for fault in result.faults),
    )


def _headline(result: MonitorResult) -> str:
    families, clients = len(result.of("family")), len(result.of("client"))
    if not result.alerts:
        return f"No client and no family of requests stands out, of {counted(result.requests, 'request')}."
    named = [counted(clients, "client")] if clients else []
    named += [counted(families, "family", "families") + " of requests pooled over clients"] if families else []
    verb = "looks" if clients + families == 1 else "look"
    return f"{' and '.join(named).capitalize()} {verb} like membership inference."


def _error_rate(result: MonitorResult) -> str:
    expected = result.false_alarms * result.clients
    about = f"{expected:.0f}" if expected >= 1 else f"{expected:.1g}"
    rate = f"At most {100 * result.false_alarms:g} % of benign clients raise an alarm: about {about} of these."
    if not result.alerts:
        return rate
    share = f"{100 * result.fdr:g} %"
    return f"{rate} At FDR {share}, {counted(len(result.confirmed), 'alert')} hold together."


def alert_sentence(alert: Alert) -> str:
    """An alert: who, how much, why.

    >>> alert_sentence(Alert("client", "ab", 3.0, 0.002, 0.02, 90, 1, (Reason("probing", 80.0, 3.0, ()),)))
    'ab: 80 different passages whose log-probabilities it wants, in 90 requests (p = 0.002)'
    """
    name = alert.name if len(alert.name) <= NAME_LENGTH else f"{alert.name[: NAME_LENGTH - 1]}…"
    if alert.kind == "client" and not name:
        name = "(no name)"
    reason = reason_words(alert.reasons[0]) if alert.reasons else "no single reason"
    where = f"in {counted(alert.requests, 'request')}"
    if alert.kind == "family":
        where += f" of {counted(alert.clients, 'client')}"
    return f"{name}: {reason}, {where} (p = {alert.p_value:.2g})"


def reason_words(reason: Reason) -> str:
    """What a detector counts."""
    if reason.detector == "change":
        return f"its share of such requests rose (log-likelihood ratio {reason.value:.0f})"
    return f"{reason.value:,.0f} {REASONS[reason.detector]}"


def blind_sentences(logs: tuple[LogRecord, ...]) -> list[str]:
    """By log: the detectors that see nothing in it, and why."""
    sentences = []
    for log in logs:
        reasons: dict[str, list[str]] = {}
        for detector, reason in log.blind.items():
            reasons.setdefault(reason, []).append(detector)
        sentences += [f"{', '.join(detectors)} on {log.name}: {reason}" for reason, detectors in reasons.items()]
    return sentences


def fault_sentence(reason: str, lines: int, places: tuple[str, ...], read: bool) -> str:
    """Lines that were left out, or are odd."""
    what = "read" if read else "left out"
    more = " …" if lines > len(places) else ""
    return f"{counted(lines, 'line')} {reason}, {what}: {', '.join(places)}{more}"
