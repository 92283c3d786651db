"""What somebody meets who gives the monitor a log for the first time: wrong files, no clients, too few of them."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from llm_mia.errors import CalibrationError, UsageError
from llm_mia.monitor import monitor
from llm_mia.queries import Query
from llm_mia.report.words import monitor_answer

from . import monitored_logs as logs

RATE = 0.05


def test_a_log_that_is_its_benign_log_is_refused(tmp_path: Path) -> None:
    log = logs.write_log(tmp_path / "log.jsonl", logs.benign_queries(3, 1))
    (tmp_path / "link.jsonl").symlink_to(log)
    for same, message in ((log, "is also the benign log"), (tmp_path / "link.jsonl", "is also the benign log")):
        with pytest.raises(UsageError, match=message):
            monitor(log, benign=same, out=tmp_path / "out", false_alarms=RATE)
    (tmp_path / "copy.jsonl").write_bytes(log.read_bytes())
    with pytest.raises(UsageError, match=r"has the same content as .*copy\.jsonl, the benign log"):
        monitor(log, benign=[tmp_path / "copy.jsonl"], out=tmp_path / "out", false_alarms=RATE)
    assert not (tmp_path / "out").exists()


def test_requests_that_name_no_client_are_judged_in_families_alone(tmp_path: Path) -> None:
    benign = logs.write_log(tmp_path / "benign.jsonl", logs.benign_queries(160, 1))
    nameless = [replace(each, client="") for each in logs.probing("", random.Random(9), 300)]
    log = logs.write_log(tmp_path / "log.jsonl", nameless)
    result = monitor(log, benign=benign, out=tmp_path / "out", false_alarms=RATE)
    assert (result.clients, result.nameless) == (0, 300)
    assert {alert.kind for alert in result.alerts} == {"family"}
    answer = monitor_answer(result)
    assert answer.question == "Does anybody test what the model was trained on?"
    assert dict(answer.facts)["no names"].startswith("no line names a client, so no client is judged")
    assert "benign families" in answer.error_rate
    assert "benign clients" not in answer.error_rate
    logs.write_log(log, [*nameless, *logs.benign_queries(5, 3)])
    result = monitor(log, baseline=tmp_path / "out" / "baseline.json", out=tmp_path / "out", false_alarms=RATE)
    assert (result.clients, result.nameless) == (5, 300)
    assert "" not in [alert.name for alert in result.alerts]
    assert dict(monitor_answer(result).facts)["no names"].startswith("300 requests without the name of a client")


def test_the_message_about_too_few_benign_clients_says_what_is_wrong(tmp_path: Path) -> None:
    log = logs.write_log(tmp_path / "log.jsonl", logs.benign_queries(2, 9))

    def message(queries: list[Query]) -> str:
        benign = logs.write_log(tmp_path / "benign.jsonl", queries)
        with pytest.raises(CalibrationError) as caught:
            monitor(log, benign=benign, out=tmp_path / "out", false_alarms=RATE)
        return str(caught.value)

    queries = logs.benign_queries(20, 1)
    assert "no line of the benign log names a client" in message([replace(each, client="") for each in queries])
    assert "has 1 client, of which" in message([replace(each, client="a") for each in queries])
    assert "needs 19 there, so about 40 are needed, and 62 to be sure" in message(queries)


@pytest.mark.parametrize("seed", range(3))
def test_as_many_benign_clients_as_the_message_names_are_enough(seed: int, tmp_path: Path) -> None:
    benign = logs.write_log(tmp_path / "benign.jsonl", [each for at in range(62) for each in _greeting(f"c{at}")])
    log = logs.write_log(tmp_path / "log.jsonl", _greeting("other"))
    result = monitor(log, benign=benign, out=tmp_path / "out", false_alarms=RATE, seed=seed)
    assert result.calibration_clients >= 19  # of 62, fewer fall into a half with probability 0.0005


def _greeting(client: str) -> list[Query]:
    return logs.chatting(client, random.Random(client))[:1]
