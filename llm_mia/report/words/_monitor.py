"""What a monitor reports, in words: which clients and families have an alert, why, and what was not seen."""

from __future__ import annotations

from ...monitor import Alert, LogRecord, MonitorResult, Reason
from ._answer import Answer, Outcome
from ._counting import counted

__all__ = ["alert_sentence", "blind_sentences", "fault_sentence", "monitor_answer", "reason_words"]

NAMED = 3
"""Alerts on families, and alerts on clients, that a screen names."""
NAME_LENGTH = 40
"""Characters of a client's name, which the client may choose; the name of a family is shown whole."""
REASONS = {
    "probing": "different passages scored",
    "harvesting": "prompts without a common template, with the next-token distribution requested",
    "perturbation": "texts scored together with rewritten versions",
    "prefixed": "passages scored alone and behind another text",
    "sampling": "prompts with eight or more continuations requested",
    "overlap": "prompts with text of registered data sets",
}
"""By detector: what it counts, after the number."""


def monitor_answer(result: MonitorResult) -> Answer:
    """Which clients and families have an alert, with those that stand out most."""
    families, clients = result.of("family"), result.of("client")
    shown = (*families[:NAMED], *clients[:NAMED])
    if any(each.mixed for each in shown):  # their sentences take two lines each
        shown = (*families[:1], *clients[: 1 if families else 2])
    facts = [(each.kind, alert_sentence(each)) for each in shown]
    left = len(families) + len(clients) - len(facts)
    if left:
        facts.append(("more", f"{counted(left, 'more alert')} in alerts.jsonl"))
    if result.nameless:
        facts.insert(0, ("no names", _nameless(result)))  # a screen leaves the last facts out where there are many
    if sentences := blind_sentences(result.logs):
        facts.append(("blind", "; ".join(sentences)))
    if left_out := [fault for fault in result.faults if not fault.read]:
        lines = counted(sum(fault.lines for fault in left_out), "line")
        facts.append(("not read", f"{lines}; the most frequent reason: a line {left_out[0].reason}"))
    if strange := sum(window.q_value <= result.fdr for window in result.drift):
        facts.append(
            (
                "drift",
                f"{strange} of {counted(len(result.drift), 'window')} differ from benign traffic (new benign uses do, "
                "too)",
            )
        )
    who = f"any of {counted(result.clients, 'client')}" if result.clients else "anybody"
    return Answer(
        question=f"Does {who} test what the model was trained on?",
        outcome=Outcome.DOUBTFUL if result.alerts else Outcome.NO_FINDING,
        headline=_headline(result),
        error_rate=_error_rate(result),
        facts=tuple(facts),
        trust=(
            f"The rate holds where benign clients resemble the {result.calibration_clients:,} that set the thresholds. "
            "An attack may cause no alert.",
        ),
        caveats=len(result.notes) + sum(fault.read for fault in result.faults),
    )


def _nameless(result: MonitorResult) -> str:
    """That requests without the name of a client have no verdict but that on families."""
    if not result.clients:
        return "no line names a client, so no client is judged: families of requests alone are"
    return f"{counted(result.nameless, 'request')} without the name of a client: judged in families of requests alone"


def _headline(result: MonitorResult) -> str:
    families, clients = len(result.of("family")), len(result.of("client"))
    if not result.alerts:
        if not result.clients:
            return f"No family of requests stands out, of {counted(result.requests, 'request')}; no client is judged."
        return f"No client and no family of requests stands out, of {counted(result.requests, 'request')}."
    named = [counted(clients, "client")] if clients else []
    named += [counted(families, "family", "families") + " of requests"] if families else []
    verb = "looks" if clients + families == 1 else "look"
    return f"{' and '.join(named).capitalize()} {verb} like membership inference."


def _error_rate(result: MonitorResult) -> str:
    if not result.clients:
        rate = f"At most {100 * result.false_alarms:g} % of benign families of requests cause an alert."
        return rate if not result.alerts else f"{rate} {_held(result)}"
    expected = result.false_alarms * result.clients
    about = f"{expected:.0f}" if expected >= 1 else f"{expected:.1g}"
    rate = (
        f"At most {100 * result.false_alarms:g} % of benign clients cause an alert: about {about} of these by chance."
    )
    if not result.alerts:
        return rate
    return f"{rate} {_held(result)}"


def _held(result: MonitorResult) -> str:
    """How many alerts hold at the false discovery rate."""
    count = len(result.confirmed)
    if not count:
        none, it = ("The alert does not hold", "its") if len(result.alerts) == 1 else ("No alert holds", "the")
        return (
            f"{none} at an FDR of {100 * result.fdr:g} %: read {it} lines before you act. With more benign clients, an "
            "alert can hold."
        )
    hold = f"{count:,} of the alerts {'holds' if count == 1 else 'hold'}"
    each = ", clients and families each" if len({alert.kind for alert in result.confirmed}) > 1 else ""
    return f"{hold} at an FDR of {100 * result.fdr:g} %{each}."


def alert_sentence(alert: Alert) -> str:
    """An alert: who, how much, why.

    >>> alert_sentence(Alert("client", "ab", 3.0, 0.002, 0.02, 90, 1, (Reason("probing", 80.0, 3.0, ()),)))
    'ab: 80 different passages scored, in 90 requests (p = 0.002)'
    >>> family = Alert("family", "chat n=1", 3.0, 0.002, 0.02, 90, 0, (Reason("probing", 80.0, 3.0, ()),), nameless=90)
    >>> alert_sentence(family)
    "chat n=1: 80 different passages scored, in 90 requests without a client's name (p = 0.002)"
    """
    name = alert.name
    if alert.kind == "client" and len(name) > NAME_LENGTH:
        name = f"{name[: NAME_LENGTH - 1]}…"
    reason = reason_words(alert.reasons[0]) if alert.reasons else "no single reason"
    where = f"in {counted(alert.requests, 'request')}"
    if alert.nameless and alert.nameless == alert.requests:
        where += " without a client's name"
    elif alert.kind == "family":
        where += f" of {counted(alert.clients, 'client')}"
        where += f", {alert.nameless:,} of them without a client's name" if alert.nameless else ""
    mixed = "; compared with clients of all kinds, so more likely a false alarm" if alert.mixed else ""
    return f"{name}: {reason}, {where} (p = {alert.p_value:.2g}){mixed}"


def reason_words(reason: Reason) -> str:
    """What a detector counts."""
    if reason.detector == "change":
        ratio = f"log-likelihood ratio {reason.value:.0f}"
        return f"a larger share of its requests than before asks for log-probabilities or samples ({ratio})"
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
    """Lines that were left out, or are odd.

    >>> fault_sentence("is no JSON", 3, ("a.jsonl:1", "a.jsonl:7"), read=False)
    '3 lines left out: each is no JSON (a.jsonl:1, a.jsonl:7 …)'
    """
    what = "read nevertheless" if read else "left out"
    more = " …" if lines > len(places) else ""
    return f"{counted(lines, 'line')} {what}: {'it' if lines == 1 else 'each'} {reason} ({', '.join(places)}{more})"
