"""Bad lines, compressed and growing logs: whatever a line holds, the others are read."""

from __future__ import annotations

import gzip
import json
import pickle
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from llm_mia.errors import InputError
from llm_mia.monitor import Fault, features_of, inspect_log
from llm_mia.monitor.lines import followed_lines, lines_of
from llm_mia.monitor.reading import BATCH_BYTES, read_log
from llm_mia.monitor.sources import SOURCES, mapped_source
from llm_mia.queries import Query, query_to_line

NOON = 1_764_331_200.0


def line(at: int, **values: object) -> str:
    return query_to_line(Query(**{"time": NOON + at, "client": "a", "max_tokens": 5, **values})) + "\n"  # type: ignore[arg-type]


def test_bad_lines_are_counted_by_reason_and_place_and_never_repeated(tmp_path: Path) -> None:
    deep = "[" * 100_000 + "]" * 100_000 + "\n"
    lines = [
        *(line(at) for at in range(20)),
        "secret {\n",  # 21
        '{"client": "a", "secret": 1}\n',
        '{"client": "a", "max_tokens": "secret"}\n',
        deep,
        "\n",  # 25: blank lines are no fault
        line(-9000),
        line(90 * 86400),
        '{"client": "a", "time": 5}\n',
        '{"client": "a"}\n',
        line(30),  # 30: the clock is set back again
    ]
    (tmp_path / "log.jsonl").write_bytes("".join(lines).encode() + b'\xff"secret"\n' + line(31).encode())
    taken: list[tuple[int, Query]] = []
    read = read_log(tmp_path / "log.jsonl", taken.extend)
    faults = {fault.reason: fault for fault in read.faults.listed()}
    assert "secret" not in repr(faults)
    place = "log.jsonl"
    assert faults["is no JSON"] == Fault("is no JSON", 1, (f"{place}:21",), False)
    assert faults["is of another format"].first_lines == (f"{place}:22",)
    assert faults["has a field `max_tokens` of another type"].first_lines == (f"{place}:23",)
    assert faults["is nested too deeply"].first_lines == (f"{place}:24",)
    assert faults["is more than an hour earlier than a line before it"].lines == 3
    assert faults["is more than 30 days later than the line before it"].first_lines == (f"{place}:27",)
    assert faults["has a time before 2000 or after 2100"].read
    assert faults["has no time"].first_lines == (f"{place}:29",)
    assert faults["is no UTF-8"].first_lines == (f"{place}:31",)
    assert [number for number, _ in taken] == [*range(1, 21), 26, 27, 28, 29, 30, 32]
    assert read.lines == 32


def test_a_line_of_100_megabytes_is_passed_over_without_being_held(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as file:
        file.write(line(0).encode())
        for _ in range(100):
            file.write(b"x" * (1 << 20))
        file.write(b"\n" + line(1).encode())
    tracemalloc.start()
    sizes = [(number, None if held is None else len(held), size) for number, held, size in lines_of(tmp_path / "log")]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sizes[1] == (2, None, 100 * (1 << 20) + 1)
    assert [number for number, _, _ in sizes] == [1, 2, 3]
    assert peak < 64 << 20  # a line is held up to 16 MiB, and copied when it is cut


def test_compressed_logs_are_known_by_their_contents(tmp_path: Path) -> None:
    text = "".join(line(at) for at in range(5)).encode()
    (tmp_path / "log").write_bytes(gzip.compress(text))
    assert inspect_log(tmp_path / "log").queries == 5
    (tmp_path / "cut.gz").write_bytes(gzip.compress(text * 2000)[:400])
    with pytest.raises(InputError, match=r"cut.gz: the compressed file is cut off or broken after line \d+"):
        list(lines_of(tmp_path / "cut.gz"))
    taken: list[tuple[int, Query]] = []
    read = read_log(tmp_path / "cut.gz", taken.extend)  # what comes before the break is read, and the break is named
    assert len(taken) == read.lines > 20
    assert [fault.first_lines for fault in read.faults.listed()] == [(f"cut.gz:{read.lines}",)]
    with pytest.raises(InputError, match="is compressed, so it cannot be followed"):
        list(followed_lines(tmp_path / "log", lambda: False))


def test_what_clients_choose_breaks_no_line_and_no_report(tmp_path: Path) -> None:
    odd: list[dict[str, object]] = [
        {"max_tokens": -5}, {"max_tokens": 10**400}, {"top_logprobs": -3}, {"samples": -(10**30)},
        {"prompt_bytes": 10**30}, {"temperature": float("-inf")}, {"temperature": float("nan")},
        {"temperature": -1e308}, {"client": "\ud800"}, {"client": "x" * 10_000},
    ]  # fmt: skip
    lines = [json.dumps({"time": NOON, "client": "a", **values}) for values in odd]
    (tmp_path / "log").write_text("\n".join(lines) + "\n")
    taken: list[tuple[int, Query]] = []
    assert read_log(tmp_path / "log", taken.extend).faults.listed() == ()
    queries = [query for _, query in taken]
    assert [query.max_tokens for query in queries[:2]] == [None, None]
    assert np.isfinite([features_of(query) for query in queries]).all()
    assert all(len(query.client.encode()) <= 210 for query in queries)
    (tmp_path / "bodies").write_text(json.dumps({"model": "m", "prompt": "a", "user": "u", "max_tokens": 10**400}))
    assert read_log(tmp_path / "bodies", taken.extend).requests == 1
    assert taken[-1][1].max_tokens is None


def test_long_lines_are_taken_in_small_batches(tmp_path: Path) -> None:
    half = [(at, line(at).encode(), BATCH_BYTES // 2) for at in range(1, 5)]
    sizes: list[int] = []
    read_log(tmp_path / "log", lambda queries: sizes.append(len(queries)), lines=half)
    assert sizes == [2, 2]


@pytest.mark.parametrize(("text", "message"), [("", "is empty"), ("x\n" * 3, "none of the first 3 lines")])
def test_a_log_of_nothing_known_is_refused(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "log").write_text(text)
    with pytest.raises(InputError, match=message):
        inspect_log(tmp_path / "log")
    with pytest.raises(InputError, match="No such file"):
        inspect_log(tmp_path / "none")


def test_a_growing_log_is_followed_through_rotation_and_truncation(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("one\ntw")

    def append(text: str) -> None:
        with path.open("a") as file:
            file.write(text)

    def rotate() -> None:
        path.rename(tmp_path / "old")
        path.write_text("three\n")

    steps: Iterator[Callable[[], object]] = iter(
        [lambda: append("o\n"), rotate, lambda: path.write_text("4\n"), lambda: append("unfinished")]
    )

    def wait() -> bool:
        step = next(steps, None)
        if step is not None:
            step()
        return step is not None

    lines = [(number, held) for number, held, _ in followed_lines(path, wait) if number]
    assert lines == [(1, b"one\n"), (2, b"two\n"), (3, b"three\n"), (4, b"4\n"), (5, b"unfinished")]


def test_a_line_that_holds_several_prompts_is_several_queries(tmp_path: Path) -> None:
    (tmp_path / "log").write_text(json.dumps({"model": "m", "prompt": ["a", "b"], "user": "u"}) + "\n")
    taken: list[tuple[int, Query]] = []
    read_log(tmp_path / "log", taken.extend)
    assert [(number, query.prompt) for number, query in taken] == [(1, "a"), (1, "b")]


def test_several_processes_read_what_a_single_process_reads(tmp_path: Path) -> None:
    lines = [line(at, client=f"c{at % 3}", prompt="é" * at) if at % 10 else "no JSON\n" for at in range(200)]
    lines[150] = line(-9000)  # a fault that depends on the lines before it
    (tmp_path / "log.jsonl").write_text("".join(lines), encoding="utf-8")
    (tmp_path / "map.toml").write_text('client = "client"\ntime = "time"\nprompt = "prompt"\n')
    read = {}
    for processes in (1, 2):
        taken: list[tuple[int, Query]] = []
        mapped = mapped_source(tmp_path / "map.toml")  # it must reach the other processes, as its functions do
        log = read_log(tmp_path / "log.jsonl", taken.extend, source=mapped, batch=7, processes=processes)
        read[processes] = (taken, log.faults, log.lines, log.requests, log.fields)
    assert read[1] == read[2]
    assert len(read[1][0]) == 181  # the line in the place of the 150th is read, too
    assert all(pickle.loads(pickle.dumps(each)) == each for each in SOURCES)


@pytest.mark.parametrize("banner", [25, 500])
def test_a_log_is_recognised_behind_the_lines_with_which_a_program_begins(banner: int, tmp_path: Path) -> None:
    request = (
        "INFO 11-28 12:00:01 [logger.py:40] Received request cmpl-1: prompt: 'The ri', "
        "params: SamplingParams(n=1, temperature=1.0, max_tokens=1, logprobs=None, prompt_logprobs=0), lora: None."
    )
    (tmp_path / "log").write_text("INFO: begins\n" * banner + f"{request}\n" * 30)
    taken: list[tuple[int, Query]] = []
    read = read_log(tmp_path / "log", taken.extend)
    assert (read.source.name, read.lines, len(taken)) == ("vllm", banner + 30, 30)
    assert taken[0][0] == banner + 1
    assert inspect_log(tmp_path / "log").queries == 20
    (tmp_path / "other").write_text("INFO: begins\n" * 3000)
    with pytest.raises(InputError, match="none of the first 2000 lines is of a known format"):
        read_log(tmp_path / "other", taken.extend)
