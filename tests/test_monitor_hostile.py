"""Logs whose content a client chose against the monitor, and files of thresholds that were edited."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llm_mia.cli import main
from llm_mia.errors import InputError
from llm_mia.monitor import inspect_log, monitor, read_baseline
from llm_mia.queries import query_to_line

from .monitored_logs import NOON, benign_queries, probing, write_log

RATE = 0.05
HUGE = 10**400
"""A whole number that no float holds."""


@pytest.fixture(scope="module")
def baseline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of thresholds."""
    folder = tmp_path_factory.mktemp("hostile")
    benign = write_log(folder / "benign.jsonl", benign_queries(80, seed=1))
    log = write_log(folder / "log.jsonl", benign_queries(4, seed=2))
    monitor(log, benign=benign, false_alarms=RATE, out=folder / "watched")
    return folder / "watched" / "baseline.json"


def test_no_line_ends_the_reading(baseline: Path, tmp_path: Path) -> None:
    """Else a client that sends a single such request is not judged, and nobody else is."""
    attack = [query_to_line(query) for query in probing("attacker", random.Random(1))]
    log = tmp_path / "guard.jsonl"
    log.write_text("\n".join([*attack, json.dumps({"client": "a", "time": HUGE})]) + "\n")
    alerts = monitor(log, baseline=baseline, false_alarms=RATE, out=tmp_path / "guard").alerts
    assert "attacker" in [alert.name for alert in alerts]
    body = {"model": "m", "prompt": "a b", "user": "u", "created": NOON}
    lines = [json.dumps({**body, "logprobs": HUGE}), *(json.dumps({**body, "logprobs": each}) for each in (1, 2))]
    lines += [json.dumps(body)[:-1] + f', "logprobs": {each}}}' for each in ("1e999", "NaN", "-1", "1e300")]
    log = tmp_path / "bodies.jsonl"
    log.write_text("\n".join(lines) + "\n")
    result = monitor(log, baseline=baseline, false_alarms=RATE, out=tmp_path / "bodies")
    assert (result.requests, result.faults) == (len(lines), ())


@pytest.mark.parametrize("field", ["request", "body", "response"])
def test_what_is_nested_deeply_within_a_text_breaks_no_recognition(field: str, tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    good = json.dumps({"model": "m", "prompt": "a", "user": "u"})
    prompt = {"prompt": "a"} if field == "response" else {}
    log.write_text(json.dumps({"model": "m", **prompt, field: "[" * 100_000}) + "\n" + good + "\n")
    assert inspect_log(log).source == "openai"


def test_a_log_of_which_nothing_can_be_read_has_no_verdict(baseline: Path, tmp_path: Path) -> None:
    lines = [query_to_line(query) for query in probing("attacker", random.Random(1))]
    log = tmp_path / "log.jsonl"
    log.write_bytes("\n".join(lines).encode("utf-16"))
    for use in (inspect_log, lambda path: monitor(path, baseline=baseline, false_alarms=RATE, out=tmp_path / "out")):
        with pytest.raises(InputError, match="of a known format"):
            use(log)
    log.write_text('{"client": "a", "samples": "x"}\n' * 3 + '{"client": "a", "echo": 5}\n')
    with pytest.raises(InputError):
        monitor(log, baseline=baseline, false_alarms=RATE, out=tmp_path / "out")
    log.write_text(json.dumps({"resourceSpans": []}) + "\n")
    with pytest.raises(InputError, match="no line of the log holds a request that can be read"):
        monitor(log, baseline=baseline, false_alarms=RATE, out=tmp_path / "out")


CHANGES: dict[str, Callable[[dict[str, Any]], None]] = {
    "threshold": lambda values: values["client_scores"].update(others=[9.0] * 40),
    "scale": lambda values: values["clients"]["probing"].update(groups=-1),
    "key": lambda values: values.update(key="zz"),
    "prompts": lambda values: values.update(prompts="AAAA"),
    "no group": lambda values: values.update(client_scores={"text": [0.1] * 40}),
    "unknown detector": lambda values: values["clients"].update(other=values["clients"]["probing"]),
    "block": lambda values: values.update(block=0),
    "drift": lambda values: values["drift"].update(reference=[[1.0], [1.0, 2.0]]),
}


@pytest.mark.parametrize("name", CHANGES)
def test_thresholds_that_were_edited_are_refused(name: str, baseline: Path, tmp_path: Path) -> None:
    values = json.loads(baseline.read_text())
    CHANGES[name](values)
    edited = tmp_path / "baseline.json"
    edited.write_text(json.dumps(values))
    with pytest.raises(InputError, match="was edited or damaged after it was written: set the thresholds again"):
        read_baseline(edited)
    assert read_baseline(baseline).sha256 == ""


def test_a_name_turns_no_direction_of_writing(
    baseline: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = write_log(tmp_path / "log.jsonl", probing("\u202eevil\u2066", random.Random(1)))
    arguments = ["monitor", str(log), "--baseline", str(baseline), "--false-alarms", str(RATE)]
    assert main([*arguments, "-o", str(tmp_path / "out")]) == 0
    shown = capsys.readouterr().out
    assert "evil" in shown
    assert not {"\u202e", "\u2066"} & set(shown)
    assert main(["monitor", str(log), "--inspect"]) == 0
    assert "\u202e" not in capsys.readouterr().out
