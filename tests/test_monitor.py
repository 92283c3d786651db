"""Logs → alerts: who is named, why, with which lines, and who is not."""

from __future__ import annotations

import io
import json
import math
import random
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path

import pytest

from llm_mia.cli import main
from llm_mia.errors import CalibrationError, InputError, UsageError
from llm_mia.guard import SECRET_VARIABLE, Secret
from llm_mia.monitor import (
    Baseline,
    Limits,
    MonitorResult,
    build_registry,
    follow_log,
    monitor,
    read_baseline,
    read_monitor,
    read_registry,
)
from llm_mia.queries import Query, query_to_line
from llm_mia.report.monitoring import monitor_html
from llm_mia.report.words import monitor_answer

from . import monitored_logs as logs

RATE = 0.05
Attack = Callable[[str, random.Random], list[Query]]


@pytest.fixture(scope="module")
def benign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return logs.write_log(tmp_path_factory.mktemp("benign") / "benign.jsonl", logs.benign_queries(160, 1))


@pytest.fixture(scope="module")
def baseline(benign: Path, tmp_path_factory: pytest.TempPathFactory) -> Baseline:
    out = tmp_path_factory.mktemp("out")
    log = logs.write_log(out / "log.jsonl", logs.benign_queries(30, 2))
    monitor(log, benign=benign, out=out, false_alarms=RATE)
    return read_baseline(out / "baseline.json")


def watch(folder: Path, baseline: Baseline, *attacks: list[Query], key: bytes | None = None) -> MonitorResult:
    """What the monitor reports of thirty benign clients and these attacks."""
    rng = random.Random(5)
    queries = logs.mixed([*attacks, logs.benign_queries(30, 3)], rng)
    return monitor(
        logs.write_log(folder / "log.jsonl", queries, key=key), baseline=baseline, out=folder / "out", false_alarms=RATE
    )


@pytest.mark.parametrize(
    ("attack", "reason"),
    [
        (logs.probing, "probing"), (logs.lowering, "perturbation"), (logs.rewriting, "perturbation"),
        (logs.prefixing, "prefixed"), (logs.sampling, "sampling"), (logs.harvesting, "harvesting"),
        (lambda client, rng: logs.sampling(client, rng, at_once=False), "sampling"),
    ],
)  # fmt: skip
def test_each_attack_is_named_with_its_reason_and_its_lines(
    attack: Attack, reason: str, baseline: Baseline, tmp_path: Path
) -> None:
    result = watch(tmp_path, baseline, attack("attacker", random.Random(9)))
    (alert,) = [each for each in result.of("client") if each.name == "attacker"]
    assert reason in [each.detector for each in alert.reasons]
    lines = (tmp_path / "log.jsonl").read_text().splitlines()
    (why,) = [each for each in alert.reasons if each.detector == reason]
    places = [line.split(":") for line in why.lines]
    assert places
    assert {name for name, _ in places} == {"log.jsonl"}
    assert {json.loads(lines[int(number) - 1])["client"] for _, number in places} == {"attacker"}


@pytest.mark.parametrize("program", [logs.best_of, logs.few_behind_a_template, logs.choosing_by_case])
def test_what_a_conversation_or_a_template_explains_causes_no_alert(
    program: Attack, baseline: Baseline, tmp_path: Path
) -> None:
    result = watch(tmp_path, baseline, program("program", random.Random(9)))
    reasons = [each.detector for alert in result.of("client") if alert.name == "program" for each in alert.reasons]
    assert not {"sampling", "perturbation"} & set(reasons)


def test_an_attack_that_is_spread_over_many_clients_is_named_as_a_family(baseline: Baseline, tmp_path: Path) -> None:
    queries = logs.probing("", random.Random(9), 300)
    spread = [replace(query, client=f"account-{at % 150}") for at, query in enumerate(queries)]
    result = watch(tmp_path, baseline, spread)
    (alert,) = result.of("family")
    assert alert.clients >= 140
    assert alert.reasons[0].detector == "probing"
    assert "echo" in alert.name


def test_benign_clients_raise_few_alarms(baseline: Baseline, tmp_path: Path) -> None:
    log = logs.write_log(tmp_path / "log.jsonl", logs.benign_queries(200, 4))
    result = monitor(log, baseline=baseline, out=tmp_path / "out", false_alarms=RATE)
    # The rate varies with the benign clients: of 80 that calibrate, the true rate is Beta(4, 77), 0.14 at 4 standard
    # deviations; the alarms among 200 clients vary by as much again.
    assert len(result.of("client")) <= 200 * 0.14 + 4 * (200 * 0.14 * 0.86) ** 0.5
    assert result.clients == 200


def test_the_record_is_read_back_and_the_same_log_gives_the_same_alerts(baseline: Baseline, tmp_path: Path) -> None:
    result = watch(tmp_path, baseline, logs.probing("attacker", random.Random(9)))
    assert read_monitor(tmp_path / "out") == result
    assert watch(tmp_path, baseline, logs.probing("attacker", random.Random(9))) == result
    alerts = [json.loads(line) for line in (tmp_path / "out" / "alerts.jsonl").read_text().splitlines()]
    assert [alert["name"] for alert in alerts] == [alert.name for alert in result.alerts]


def test_sketches_serve_as_well_as_prompts(benign: Path, tmp_path: Path) -> None:
    key = b"secret"
    sketched = logs.write_log(tmp_path / "benign.jsonl", logs.benign_queries(160, 1), key=key)
    monitor(
        logs.write_log(tmp_path / "l", logs.benign_queries(5, 2), key=key),
        benign=sketched,
        out=tmp_path,
        false_alarms=RATE,
    )
    base = read_baseline(tmp_path / "baseline.json")
    result = watch(tmp_path, base, logs.lowering("attacker", random.Random(9)), key=key)
    assert "attacker" in [alert.name for alert in result.alerts]
    assert result.logs[0].blind == {}


def test_prompts_with_registered_text_count_and_public_benchmarks_excuse(benign: Path, tmp_path: Path) -> None:
    rng = random.Random(11)
    texts = [logs.text(rng, 60) for _ in range(40)]
    asking = [replace(logs.scored("reader", text), echo=False, logprobs=False, top_logprobs=0) for text in texts]
    scoring = [logs.scored("evaluator", logs.text(rng, 60)) for _ in range(40)]
    public = [query.prompt or "" for query in scoring]
    registry = build_registry({"novel": [" ".join(texts)], "benchmark": public}, public=["benchmark"])
    log = logs.write_log(tmp_path / "log.jsonl", logs.mixed([asking, scoring, logs.benign_queries(30, 3)], rng))
    with_registry = monitor(log, benign=benign, registry=registry, out=tmp_path, false_alarms=RATE)
    named = {alert.name: alert.reasons[0].detector for alert in with_registry.of("client")}
    assert named["reader"] == "overlap"
    assert "evaluator" not in named
    without = monitor(log, benign=benign, out=tmp_path, false_alarms=RATE)
    assert "evaluator" in [alert.name for alert in without.of("client")]


def test_memory_is_bounded_and_says_who_was_forgotten(baseline: Baseline, tmp_path: Path) -> None:
    log = logs.write_log(tmp_path / "log.jsonl", logs.benign_queries(60, 4))
    result = monitor(log, baseline=baseline, out=tmp_path, false_alarms=RATE, limits=Limits(clients=20))
    assert result.clients == 20
    assert result.evicted > 0
    assert any("were forgotten" in note for note in result.notes)
    flood = [replace(logs.chatting(f"new-{at}", random.Random(at))[0], time=logs.NOON + 900) for at in range(40)]
    queries = [*logs.probing("attacker", random.Random(9)), *flood]  # many names do not make an attack forgotten
    flooded = logs.write_log(tmp_path / "flooded.jsonl", queries)
    result = monitor(flooded, baseline=baseline, out=tmp_path, false_alarms=RATE, limits=Limits(clients=20))
    assert "attacker" in [alert.name for alert in result.alerts]
    few = monitor(log, baseline=baseline, out=tmp_path, false_alarms=RATE, limits=Limits(requests=100))
    assert few.evicted > 0


def test_too_little_benign_traffic_and_contradictions_are_refused(benign: Path, tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match=r"has 160 clients, of which [0-9]+ fell by chance into the half"):
        monitor(logs.write_log(tmp_path / "log.jsonl", logs.benign_queries(2, 2)), benign=benign, out=tmp_path)
    with pytest.raises(InputError, match="no-log: is no file: name a log that exists"):  # before the other reasons
        monitor(tmp_path / "no-log", benign=benign, out=tmp_path)
    with pytest.raises(UsageError, match="give 1 or more, and 1 with `follow`"):
        monitor(benign, benign=benign, out=tmp_path, follow=print, processes=2)
    with pytest.raises(UsageError, match="give either `benign`"):
        monitor(benign, out=tmp_path)
    with pytest.raises(UsageError, match="`follow` reads a single log"):
        monitor([benign, benign], benign=benign, out=tmp_path, follow=print)
    (tmp_path / "baseline.json").write_text("{}")
    with pytest.raises(InputError, match="set the thresholds again with `benign`"):
        monitor(benign, baseline=tmp_path / "baseline.json", out=tmp_path)


def test_the_page_escapes_what_a_log_holds(baseline: Baseline, tmp_path: Path) -> None:
    result = watch(tmp_path, baseline, logs.probing("<script>alert(1)</script>", random.Random(9)))
    page = monitor_html(result)
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "default-src &#39;none&#39;" in page


def test_the_command_answers_on_a_screen(benign: Path, tmp_path: Path) -> None:
    queries = logs.mixed([logs.probing("attacker", random.Random(9)), logs.benign_queries(30, 3)], random.Random(5))
    log = logs.write_log(tmp_path / "log.jsonl", queries)
    command = ["monitor", str(log), "--benign", str(benign), "--false-alarms", str(RATE), "-o", str(tmp_path / "out")]
    with redirect_stdout(io.StringIO()) as out:
        assert main(command) == 0
    screen = out.getvalue()
    assert "attacker: " in screen
    assert len(screen.splitlines()) <= 15, screen
    assert max(map(len, screen.splitlines())) <= 80
    assert (tmp_path / "out" / "report.html").is_file()
    with redirect_stdout(io.StringIO()) as out:
        assert main([*command, "--details"]) == 0
    assert "log.jsonl:" in out.getvalue()
    assert "completion max_tokens=0-1 n=1 top=1 echo logprobs" in " ".join(screen.split()), "families have whole names"
    with redirect_stdout(io.StringIO()) as out:
        assert main(["show", str(tmp_path / "out")]) == 0
    assert out.getvalue() == screen
    with redirect_stdout(io.StringIO()) as out:
        assert main(["monitor", str(log), "--inspect"]) == 0
    assert "20 requests understood" in out.getvalue()


def followed(path: Path, baseline: Baseline, out: Path, wait: Callable[[], bool]) -> tuple[MonitorResult, list[str]]:
    """The last result of following a log, and the names of the alerts in the order in which they were reported."""
    reported: list[str] = []
    result = follow_log(
        path,
        baseline,
        out=out,
        report=lambda alert: reported.append(alert.name),
        false_alarms=RATE,
        fdr=0.05,
        wait=wait,
        every=0.0,
    )
    return result, reported


def test_a_followed_log_reports_each_alert_once_when_it_arises(baseline: Baseline, tmp_path: Path) -> None:
    path = logs.write_log(tmp_path / "log.jsonl", logs.benign_queries(20, 6))
    attack = [logs.probing("attacker", random.Random(9)), logs.probing("another", random.Random(10))]
    steps = iter([*attack, []])

    def wait() -> bool:
        step = next(steps, None)
        if step is not None:
            with path.open("a") as file:
                file.write("".join(query_to_line(query) + "\n" for query in step))
        return step is not None

    result, reported = followed(path, baseline, tmp_path / "out", wait)
    clients = [name for name in reported if name in ("attacker", "another")]
    assert clients == ["attacker", "another"]
    assert len(reported) == len(set(reported))
    assert read_monitor(tmp_path / "out") == result


def test_a_followed_log_is_judged_over_as_much_time_as_the_benign_log(baseline: Baseline, tmp_path: Path) -> None:
    attack = logs.probing("attacker", random.Random(9))
    path = logs.write_log(tmp_path / "log.jsonl", attack)
    total = len(attack)
    later = [
        [replace(each, time=each.time + number * baseline.seconds / 4) for each in logs.benign_queries(20, 6)]
        for number in range(12)
    ]
    steps = iter(later)

    def wait() -> bool:
        step = next(steps, None)
        with path.open("a") as file:
            file.write("".join(query_to_line(query) + "\n" for query in step or []))
        return step is not None

    result, reported = followed(path, baseline, tmp_path / "out", wait)
    total += sum(map(len, later))
    assert total / 6 < result.requests < total / 2, (
        "between a half and the whole time of the benign log, of three times it"
    )
    assert "attacker" in reported
    assert "attacker" not in [alert.name for alert in result.alerts]
    alerts = [json.loads(line) for line in (tmp_path / "out" / "alerts.jsonl").read_text().splitlines()]
    assert "attacker" in [alert["name"] for alert in alerts], "alerts of earlier times are kept"


def test_the_reason_of_lines_left_out_is_not_that_of_lines_read_nevertheless(
    baseline: Baseline, tmp_path: Path
) -> None:
    log = logs.write_log(tmp_path / "log.jsonl", [replace(each, time=math.nan) for each in logs.benign_queries(3, 4)])
    with log.open("a") as file:
        file.write("no JSON\n")
    facts = dict(monitor_answer(monitor(log, baseline=baseline, out=tmp_path, false_alarms=RATE)).facts)
    assert facts["not read"] == "1 line; the most frequent reason: a line is no JSON"


def test_a_registry_takes_the_secret_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "corpus.txt").write_text("The river bends under the old bridge, and Anna counts the grey geese.")
    command = ["registry", str(tmp_path / "corpus.txt"), "--secret", str(tmp_path / "none")]
    assert main([*command, "-o", str(tmp_path / "a.json")]) == 1
    monkeypatch.setenv(SECRET_VARIABLE, "a secret of the guard")
    assert main([*command, "-o", str(tmp_path / "a.json")]) == 0
    assert read_registry(tmp_path / "a.json").key == Secret.read(tmp_path / "none").sketch_key
