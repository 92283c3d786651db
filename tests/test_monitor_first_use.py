"""What somebody meets who gives the monitor a log for the first time: wrong files, no clients, too few of them."""

from __future__ import annotations

import gzip
import io
import random
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from llm_mia.cli import main
from llm_mia.errors import CalibrationError, InputError, UsageError
from llm_mia.monitor import (
    Alert,
    MonitorResult,
    build_registry,
    inspect_log,
    monitor,
    read_monitor,
    read_registry,
    registry_to_json,
)
from llm_mia.queries import Query
from llm_mia.report.words import alert_sentence, monitor_answer

from . import monitored_logs as logs

RATE = 0.05


def greeting(client: str) -> list[Query]:
    """The first request of a conversation."""
    return logs.chatting(client, random.Random(client))[:1]


def enough_queries() -> list[Query]:
    """A request of each of 62 clients, which are enough for a rate of 0.05."""
    return [each for at in range(62) for each in greeting(f"c{at}")]


def test_a_log_that_is_its_benign_log_is_refused(tmp_path: Path) -> None:
    log = logs.write_log(tmp_path / "log.jsonl", logs.benign_queries(3, 1))
    (tmp_path / "link.jsonl").symlink_to(log)
    for same, message in ((log, "is also the benign log"), (tmp_path / "link.jsonl", "is also the benign log")):
        with pytest.raises(UsageError, match=message):
            monitor(log, benign=same, out=tmp_path / "out", false_alarms=RATE)
    (tmp_path / "copy.jsonl").write_bytes(log.read_bytes())
    with pytest.raises(UsageError, match=r"has the same content as .*copy\.jsonl, the benign log"):
        monitor(log, benign=[tmp_path / "copy.jsonl"], out=tmp_path / "out", false_alarms=RATE)
    (tmp_path / "copy.jsonl.gz").write_bytes(gzip.compress(log.read_bytes()))
    for judged, copy in ((log, "copy.jsonl.gz"), (tmp_path / "copy.jsonl.gz", "copy.jsonl")):
        with pytest.raises(UsageError, match=rf"has the same content as .*{copy}, the benign log"):
            monitor(judged, benign=tmp_path / copy, out=tmp_path / "out", false_alarms=RATE)
    cut = tmp_path / "copy.jsonl.gz"
    cut.write_bytes(cut.read_bytes()[:-9])  # what can be read of it is the same
    with pytest.raises(UsageError, match="has the same content"):
        monitor(log, benign=cut, out=tmp_path / "out", false_alarms=RATE)
    (tmp_path / "longer.jsonl").write_bytes(log.read_bytes() + b"\n{}\n")
    with pytest.raises(CalibrationError, match="has 3 clients"):  # another log, which is refused for another reason
        monitor(tmp_path / "longer.jsonl", benign=log, out=tmp_path / "out", false_alarms=RATE)
    assert not (tmp_path / "out").exists()


def test_requests_that_name_no_client_are_judged_in_families_alone(tmp_path: Path) -> None:
    benign = logs.write_log(tmp_path / "benign.jsonl", logs.benign_queries(160, 1))
    nameless = [replace(each, client="") for each in logs.probing("", random.Random(9), 300)]
    log = logs.write_log(tmp_path / "log.jsonl", nameless)
    result = monitor(log, benign=benign, out=tmp_path / "out", false_alarms=RATE)
    assert (result.clients, result.nameless) == (0, 300)
    assert {alert.kind for alert in result.alerts} == {"family"}
    assert " 300 requests without a client's name (p = " in alert_sentence(result.alerts[0])
    some = alert_sentence(replace(result.alerts[0], clients=2, nameless=290))
    assert " 300 requests of 2 clients, 290 of them without a client's name (p = " in some
    answer = monitor_answer(result)
    assert answer.question == "Does anybody test what the model was trained on?"
    assert dict(answer.facts)["no names"].startswith("no line names a client, so no client is judged")
    assert "benign families" in answer.error_rate
    assert "benign clients" not in answer.error_rate
    logs.write_log(log, [*nameless, *logs.benign_queries(5, 3)])
    result = monitor(log, baseline=tmp_path / "out" / "baseline.json", out=tmp_path / "out", false_alarms=RATE)
    assert (result.clients, result.nameless) == (5, 300)
    assert "" not in [alert.name for alert in result.alerts]
    assert monitor_answer(result).facts[0][0] == "no names"
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
    benign = logs.write_log(tmp_path / "benign.jsonl", enough_queries())
    log = logs.write_log(tmp_path / "log.jsonl", greeting("other"))
    result = monitor(log, benign=benign, out=tmp_path / "out", false_alarms=RATE, seed=seed)
    assert result.calibration_clients >= 19  # of 62, fewer fall into a half with probability 0.0005


def test_inspection_warns_where_no_client_is_named_and_where_a_path_leads_nowhere(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text('{"auth": {"key_id": "ab"}, "text": "the river"}\n' * 20)
    (tmp_path / "map.toml").write_text('client = "auth.keyid"\nprompt = "text"\n')
    assert inspect_log(log, mapping=tmp_path / "map.toml").warnings == (
        "No line names a client: no client would be judged, families of requests alone; and as the benign log it "
        "could not set thresholds.",
        "map.toml: 'auth.keyid' is in none of the 20 lines.",
    )
    with redirect_stdout(io.StringIO()) as out:
        assert main(["monitor", str(log), "--mapping", str(tmp_path / "map.toml"), "--inspect"]) == 0
    assert "map.toml: 'auth.keyid' is in none of the 20 lines." in out.getvalue()
    with redirect_stdout(io.StringIO()) as again:
        assert main(["monitor", "inspect", str(log), "--mapping", str(tmp_path / "map.toml")]) == 0
    assert again.getvalue() == out.getvalue()
    (tmp_path / "map.toml").write_text('client = "auth.key_id"\nprompt = "text"\n')
    assert inspect_log(log, mapping=tmp_path / "map.toml").warnings == ()


def test_inspection_with_the_mapping_of_another_log_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "map.toml").write_text('client = "auth.key_id"\nbody = "sent"\n')
    log = logs.write_log(tmp_path / "log.jsonl", logs.benign_queries(3, 1))
    with pytest.raises(InputError, match=r"map\.toml fits none .* of the format guard: leave `mapping` out"):
        inspect_log(log, mapping=tmp_path / "map.toml")
    log.write_text("no JSON\n")
    with pytest.raises(InputError, match="a line is no JSON; correct the paths of its fields"):
        inspect_log(log, mapping=tmp_path / "map.toml")


def test_a_mapping_is_not_applied_to_a_benign_log_of_a_known_format(tmp_path: Path) -> None:
    (tmp_path / "map.toml").write_text('client = "auth.key_id"\nprompt = "text"\n')
    benign = logs.write_log(tmp_path / "benign.jsonl", enough_queries())
    log = tmp_path / "log.jsonl"
    log.write_text('{"auth": {"key_id": "ab"}, "text": "the river"}\n' * 20)
    given: dict[str, Any] = {"mapping": tmp_path / "map.toml", "out": tmp_path / "out", "false_alarms": RATE}
    result = monitor(log, benign=benign, **given)
    assert (result.clients, result.logs[0].source) == (1, "mapping")
    assert result.calibration_clients >= 19
    assert monitor(benign, baseline=tmp_path / "out" / "baseline.json", **given).logs[0].source == "guard"
    log.write_text('{"other": 1}\n' * 20)
    with pytest.raises(InputError, match="no line of the log can be read by the mapping"):
        monitor(log, baseline=tmp_path / "out", **given)


def test_an_alert_by_comparison_with_clients_of_all_kinds_says_so_on_the_screen(tmp_path: Path) -> None:
    rng = random.Random(4)
    benign = [logs.chatting(f"benign-{at}", rng) for at in range(120)]
    log = logs.write_log(tmp_path / "log.jsonl", logs.mixed([logs.probing("attacker", rng), *benign[:9]], rng))
    logs.write_log(tmp_path / "benign.jsonl", logs.mixed(benign, rng))
    result = monitor(log, benign=tmp_path / "benign.jsonl", out=tmp_path / "out", false_alarms=RATE)
    (alert,) = [each for each in result.of("client") if each.name == "attacker"]
    assert alert.mixed
    sentence = alert_sentence(alert)
    assert sentence.endswith("; compared with clients of all kinds, so more likely a false alarm")
    assert ("client", sentence) in monitor_answer(result).facts
    assert not alert_sentence(replace(alert, mixed=False)).endswith("alarm")
    assert read_monitor(tmp_path / "out") == result
    assert not result.confirmed
    assert "The alert does not hold at an FDR of 5 %: read its lines before you act." in answer_of(alert, result)
    assert "No alert holds at an FDR of 5 %: read the lines" in answer_of(alert, result, count=2)


def answer_of(alert: Alert, result: MonitorResult, count: int = 1) -> str:
    """What is written about the error rate where *result* has *alert* so many times."""
    return monitor_answer(replace(result, alerts=(alert,) * count)).error_rate


def test_a_registry_without_the_secret_of_the_sketches_makes_overlap_blind(tmp_path: Path) -> None:
    key = b"secret"
    benign = logs.write_log(tmp_path / "benign.jsonl", enough_queries(), key=key)
    log = logs.write_log(tmp_path / "log.jsonl", greeting("other"), key=key)
    for registry, blind in ((build_registry({"novel": ["text"]}), True), (build_registry({}, key=key), False)):
        (tmp_path / "registry.json").write_text(registry_to_json(registry))
        assert read_registry(tmp_path / "registry.json").drawn == blind
        result = monitor(
            log, benign=benign, registry=tmp_path / "registry.json", out=tmp_path / "out", false_alarms=RATE
        )
        assert ("overlap" in result.logs[0].blind) == blind
    (tmp_path / "registry.json").write_text(registry_to_json(build_registry({"novel": ["text"]})))
    command = ["monitor", str(log), "--benign", str(benign), "--registry", str(tmp_path / "registry.json")]
    with redirect_stdout(io.StringIO()) as out:
        assert main([*command, "--false-alarms", str(RATE), "-o", str(tmp_path / "out")]) == 0
    assert "registered without the secret of the guard" in " ".join(out.getvalue().split())


def test_the_folder_of_an_earlier_call_serves_as_the_baseline(tmp_path: Path) -> None:
    benign = logs.write_log(tmp_path / "benign.jsonl", enough_queries())
    log = logs.write_log(tmp_path / "log.jsonl", logs.benign_queries(3, 2))
    first = monitor(log, benign=benign, out=tmp_path / "out", false_alarms=RATE)
    assert monitor(log, baseline=tmp_path / "out", out=tmp_path / "next", false_alarms=RATE) == first
    with pytest.raises(InputError, match=r"baseline\.json"):
        monitor(log, baseline=tmp_path, out=tmp_path / "next", false_alarms=RATE)


def test_following_says_at_the_start_that_it_waits_and_how_to_end_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = logs.write_log(tmp_path / "log.jsonl", logs.benign_queries(3, 2))
    command = ["monitor", str(log), "--baseline", str(tmp_path / "none.json"), "--follow"]
    assert main(command) == 1  # the note comes before the baseline is read
    assert "each new alert is printed; end with Ctrl-C" in capsys.readouterr().err
    assert main([*command, "-q"]) == 1
    assert "Ctrl-C" not in capsys.readouterr().err
