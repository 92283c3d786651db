"""Passes on a real local cluster of Ray, whose workers, nodes and driver are killed; and what is refused in a line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path

import pytest

from llm_mia import write_signals
from llm_mia.cli import main
from llm_mia.errors import (
    InputError,
    MissingExtraError,
    ModelError,
    PassageError,
    RunDirectoryError,
    UsageError,
    WorkerError,
)
from llm_mia.passages import Passages, read_passages
from llm_mia.signals import Limits
from llm_mia.store import read_run, read_signals

from .ray_models import CRASHING, Crashing, KilledOnce, LoadedElsewhere, Slow
from .test_parts import rows
from .test_sharing import LIMITS, TEXTS, OfBatches

ROOT = Path(__file__).parent.parent
# Ray is imported by the tests that need it: that takes a second, and its own code warns.
pytestmark = [
    pytest.mark.skipif(find_spec("ray") is None, reason="needs ray"),
    pytest.mark.filterwarnings("ignore"),
]
slow = pytest.mark.slow


def write_table(path: Path, texts: list[str]) -> Path:
    path.write_text("".join(json.dumps({"text": text, "id": f"p{at}"}) + "\n" for at, text in enumerate(texts)))
    return path


# Tests of this fixture come last in this file: as long as it is there, no other cluster can be started.
@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """Two workers, to which this process is connected, and a processor for what else a test needs."""
    import ray

    from llm_mia.distributed import shared_by_ray

    ray.init(address="local", num_cpus=3, include_dashboard=False, log_to_driver=False)
    with shared_by_ray(None, processes=2):
        yield
    ray.shutdown()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> object:
    out = tmp_path_factory.mktemp("ray") / "alone"
    write_signals(TEXTS, OfBatches(0), out=out, limits=LIMITS)
    return rows(read_signals(out, "target"))


def test_options_that_do_not_fit_a_cluster_are_refused_in_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    passages = str(write_table(tmp_path / "in.jsonl", TEXTS[:3]))
    words = ["--target", "embedded", "-o", str(tmp_path / "run")]
    typed = [
        (["score", passages, *words, "--on", "cluster"], "or ray://HOST:PORT"),
        (["score", passages, *words, "--on", "ray://nowhere"], "or ray://HOST:PORT"),
        (["score", passages, *words, "--processes", "2"], "--processes is the largest number of workers of --on"),
        (["score", "s3://bucket/in.jsonl", *words], "a URL can be read only with --on"),
        (["score", passages, *words, "--on", "ray", "--dry-run"], "--dry-run estimates the time of a single process"),
        (["score", passages, *words, "--on", "ray", "--samples", "2"], "--samples cannot be combined with --on"),
        (
            ["score", passages, "--target", "openai:m@http://127.0.0.1:9/v1", "-o", str(tmp_path), "--on", "ray"],
            "workers cannot compute a model behind an endpoint",
        ),
        (
            ["score", passages, *words, "-r", "openai:m@http://127.0.0.1:9/v1", "--on", "ray"],
            "workers cannot compute a model behind an endpoint",
        ),
    ]
    for command, line in typed:
        assert main(command) == 2
        printed = capsys.readouterr().err
        assert line in printed
        assert len(printed.splitlines()) == 1, printed


def test_accelerate_and_ray_at_once_are_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    assert main(["score", "in.jsonl", "--target", "m", "-o", "run", "--on=ray"]) == 2
    assert "leave out --on, or accelerate" in capsys.readouterr().err


def test_a_cluster_that_nobody_answers_for_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    passages = str(write_table(tmp_path / "in.jsonl", TEXTS[:3]))
    run = ["-o", str(tmp_path / "run"), "-q"]
    assert main(["score", passages, "--target", "embedded", *run, "--on", "ray://127.0.0.1:9"]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert "no Ray cluster answers at ray://127.0.0.1:9" in lines[0]


def test_without_ray_the_pip_line_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    from llm_mia.distributed import shared_by_ray

    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'llm-mia\[ray\]'"), shared_by_ray("ray"):
        pass


def test_parquet_at_a_url_needs_a_cluster() -> None:
    from llm_mia.distributed import read_url

    with pytest.raises(UsageError, match=r"^https://host/in\.parquet: .* call this within `shared_by_ray`"):
        read_url("https://host/in.parquet?signature=1")


def test_a_failure_keeps_its_class_and_its_line_on_the_way() -> None:
    from llm_mia.backends import WindowError
    from llm_mia.distributed.workers import Failure, checked

    with pytest.raises(ModelError, match="no numbers"):
        checked(Failure.of(WindowError("no numbers", 3)))
    with pytest.raises(InputError, match="line 3: empty"):
        checked(Failure.of(PassageError("line 3", "empty")))


class OddAnswers(SimpleHTTPRequestHandler):
    """Answers with a text, or with half of it where the query wants so."""

    def do_GET(self) -> None:
        if not self.path.startswith("/in.jsonl"):
            self.send_error(403)
            return
        body = b'{"text": "a text"}\n'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body) * (2 if "cut" in self.path else 1)))
        self.end_headers()
        self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


def test_a_url_is_read_without_its_secrets_and_refused_in_a_line() -> None:
    pytest.importorskip("aiohttp")
    from llm_mia.distributed import read_url

    server = ThreadingHTTPServer(("127.0.0.1", 0), OddAnswers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        place = f"127.0.0.1:{server.server_port}"
        passages = read_url(f"http://me:secret@{place}/in.jsonl?signature=secret")
        (passage,) = passages
        assert (passage.text, passages.name) == ("a text", f"http://{place}/in.jsonl")
        for path, why in (("in.jsonl?cut=secret", "not completed"), ("other.jsonl?key=secret", "Forbidden|no such")):
            with pytest.raises(PassageError, match=why) as refused:
                read_url(f"http://me:secret@{place}/{path}")
            assert "secret" not in str(refused.value)
            assert len(str(refused.value).splitlines()) == 1
    finally:
        server.shutdown()
        server.server_close()


DRIVER = """
import sys
from pathlib import Path
from llm_mia import write_signals
from llm_mia.distributed import shared_by_ray
from tests.ray_models import Slow
from tests.test_sharing import LIMITS, TEXTS
with shared_by_ray("ray", processes=2):
    write_signals(TEXTS, Slow(0), out=Path(sys.argv[1]), limits=LIMITS)
"""


@slow
def test_a_driver_that_is_killed_continues_and_a_second_driver_is_refused(whole: object, tmp_path: Path) -> None:
    out = tmp_path / "run"

    def drive(delay: str) -> subprocess.Popen[str]:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "LLM_MIA_TEST_DELAY": delay}
        command = [sys.executable, "-c", DRIVER, str(out)]
        return subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)

    first = drive("1")
    deadline = time.monotonic() + 600
    while not [*out.glob("signals/target/part-*")]:
        assert time.monotonic() < deadline
        assert first.poll() is None, first.stderr.read() if first.stderr else ""
        time.sleep(0.05)
    with pytest.raises(RunDirectoryError, match="another run is writing here"):
        write_signals(TEXTS, OfBatches(0), out=out, limits=LIMITS)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    kept = {path.name: path.read_bytes() for path in out.glob("signals/target/part-*")}
    assert 0 < sum(len(part) for part in read_signals(out, "target").parts()) < len(TEXTS)
    again = drive("0")
    errors = again.communicate(timeout=600)[1]
    assert again.returncode == 0, errors
    assert {name: (out / "signals/target" / name).read_bytes() for name in kept} == kept
    assert rows(read_signals(out, "target")) == whole


@slow
def test_a_node_that_is_removed_changes_nothing(whole: object, tmp_path: Path) -> None:
    program = """
import sys, threading
from pathlib import Path
from ray.cluster_utils import Cluster
import ray
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
second = cluster.add_node(num_cpus=1)
ray.init(cluster.address, log_to_driver=False)
from llm_mia import write_signals
from llm_mia.distributed import shared_by_ray
from tests.ray_models import Slow
from tests.test_sharing import LIMITS, TEXTS
out = Path(sys.argv[1])
removed = []
def step(step):
    if step.passages and not removed:
        removed.append(step.passages)
        cluster.remove_node(second, allow_graceful=False)
with shared_by_ray(None):
    write_signals(TEXTS, Slow(0), out=out, limits=LIMITS, progress=step)
assert removed and removed[0] < len(TEXTS), removed
ray.shutdown()
cluster.shutdown()
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", program, str(tmp_path / "run")]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr
    assert rows(read_signals(tmp_path / "run", "target")) == whole


@slow
def test_the_command_prints_its_result_alone_and_equals_a_single_process(
    tmp_path: Path, tiny: str, capfd: pytest.CaptureFixture[str]
) -> None:
    passages = str(write_table(tmp_path / "in.jsonl", [text.replace("\n", " ") for text in TEXTS]))
    words = ["--target", tiny, "-a", "loss", "-a", "lowercase", "-q", "--json", "-o"]
    assert main(["score", passages, *words, str(tmp_path / "alone")]) == 0
    notes = capfd.readouterr().err
    assert main(["score", passages, *words, str(tmp_path / "shared"), "--on", "ray", "--processes", "2"]) == 0
    printed = capfd.readouterr()
    assert json.loads(printed.out)["passages"] == len(TEXTS)
    assert printed.err == notes
    tables = [(tmp_path / run / "scores.parquet").read_bytes() for run in ("shared", "alone")]
    assert tables[0] == tables[1]
    part = next((tmp_path / "shared").glob("signals/target/part-*"))
    part.write_bytes(part.read_bytes()[:-20])
    (tmp_path / "shared/scores.parquet").unlink()
    assert main(["score", passages, *words, str(tmp_path / "shared"), "--on", "ray", "--processes", "1"]) == 1
    assert "damaged" in capfd.readouterr().err


@slow
def test_workers_write_what_a_single_process_writes(cluster: None, whole: object, tmp_path: Path) -> None:
    write_signals(TEXTS, OfBatches(0), out=tmp_path / "run", limits=LIMITS)
    assert rows(read_signals(tmp_path / "run", "target")) == whole


@slow
def test_a_worker_that_is_killed_changes_nothing(cluster: None, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    write_signals(TEXTS, KilledOnce(mark), out=tmp_path / "run", limits=LIMITS)
    assert mark.exists(), "a worker was killed"
    from llm_mia.signals import current_sharing, sharing

    assert current_sharing() is not None
    with sharing(None):  # type: ignore[arg-type]
        write_signals(TEXTS, KilledOnce(mark), out=tmp_path / "alone", limits=LIMITS)
    assert rows(read_signals(tmp_path / "run", "target")) == rows(read_signals(tmp_path / "alone", "target"))


@slow
def test_a_passage_that_ends_each_worker_is_left_out_and_named(cluster: None, tmp_path: Path) -> None:
    texts = [*TEXTS[:6], CRASHING, *TEXTS[6:16]]
    write_signals(texts, Crashing(0), out=tmp_path / "run", limits=LIMITS)
    assert [len(each.signals) > 0 for each in read_signals(tmp_path / "run", "target")] == [at != 6 for at in range(17)]
    assert [each.where for each in read_run(tmp_path / "run").passes["target"].left_out] == ["row 7"]


@slow
def test_workers_with_other_models_are_refused(cluster: None, tmp_path: Path) -> None:
    with pytest.raises(WorkerError, match="has another model than the first worker"):
        write_signals(TEXTS, LoadedElsewhere(tmp_path / "mark"), out=tmp_path / "run", limits=LIMITS)


@slow
def test_workers_of_another_version_are_refused(cluster: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from llm_mia.distributed import shared_by_ray

    monkeypatch.setattr("llm_mia.distributed.crew.__version__", "0.0")
    with pytest.raises(WorkerError, match=r"and this process has 0\.0"), shared_by_ray(None, processes=1):
        write_signals(TEXTS, OfBatches(0), out=tmp_path / "run", limits=LIMITS)


@slow
def test_a_model_that_cannot_be_sent_is_refused(cluster: None, tmp_path: Path) -> None:
    model = OfBatches(0)
    model.lock = threading.Lock()  # type: ignore[attr-defined]
    with pytest.raises(UsageError, match="cannot be sent to the workers"):
        write_signals(TEXTS, model, out=tmp_path / "run", limits=LIMITS)


@slow
def test_a_dataset_of_ray_gives_the_passages_of_its_file(cluster: None, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet
    import ray.data

    from llm_mia.distributed import read_url

    texts = [f"{at}\u2028 {text}\r\n" for at, text in enumerate(TEXTS)]
    table = pa.table({"text": texts, "id": [f"{at:03}" for at in range(60)], "label": [at % 2 for at in range(60)]})
    (tmp_path / "shards").mkdir()
    for at in range(3):
        pyarrow.parquet.write_table(table.slice(20 * at, 20), tmp_path / f"shards/{at}.parquet")
    there = [(p.id, p.text, p.label) for p in read_passages(tmp_path / "shards")]
    dataset = ray.data.read_parquet(str(tmp_path / "shards"))
    assert [(p.id, p.text, p.label) for p in Passages.of(dataset)] == there
    assert [(p.id, p.text, p.label) for p in read_url(f"file://{tmp_path}/shards/")] == there
    lines = write_table(tmp_path / "in.jsonl", texts)
    assert [p.text for p in read_url(f"file://{lines}")] == texts
    with pytest.raises(PassageError, match="cannot be read"):
        read_url(f"file://{tmp_path}/nothing.jsonl")


@slow
def test_more_workers_than_passages(cluster: None, tmp_path: Path) -> None:
    write_signals(["a single text"], Slow(0), out=tmp_path / "run", limits=Limits())
    assert len(list(read_signals(tmp_path / "run", "target"))) == 1


@slow
def test_workers_that_are_silent_for_long_are_reported(
    cluster: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from llm_mia.distributed import shared_by_ray

    monkeypatch.setattr("llm_mia.distributed.crew.SILENCE", 0.0)
    monkeypatch.setattr("llm_mia.distributed.crew.TICK", 0.01)
    reported = list[str]()
    with shared_by_ray(None, processes=1, progress=lambda step: reported.append(step.name)):
        write_signals(TEXTS[:2], Slow(0), out=tmp_path / "run", limits=LIMITS)
    silence = "no Ray worker has answered for 0 minutes: 'ray status' shows whether they are there"
    assert silence in reported
