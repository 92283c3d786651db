"""What was typed is checked first, and all at once: models, devices, precisions, attacks, files, columns, rates."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import llm_mia
from llm_mia import ModelSpec, audit, load_model
from llm_mia.backends.checking import check_device, check_dtype, check_model
from llm_mia.cli import main
from llm_mia.errors import ModelError, UsageError

from .conftest import sentences

Lines = Callable[..., list[str]]


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lines:
    """Run a command in a folder with a.jsonl; gives the lines on stderr, less the name of the program."""
    monkeypatch.chdir(tmp_path)
    Path("a.jsonl").write_text("".join(f'{{"text": "{text}"}}\n' for text in sentences(3)))

    def run(*arguments: str, code: int = 2) -> list[str]:
        assert main(arguments) == code
        out, err = capsys.readouterr()
        assert out == ""
        assert sorted(os.listdir()) == ["a.jsonl"], "it left something"  # noqa: PTH208
        return [line.removeprefix("llm-mia: ") for line in err.splitlines()]

    return run


def test_everything_at_once(lines: Lines) -> None:
    assert lines("audit") == [
        "Missing argument 'candidates'. Missing option '-m' / '--target' / '--model'. Missing option '-o' / '--out'. "
        "(see 'llm-mia audit --help')"
    ]
    typed = "a.json --nonmembers b.jsonl --members m.jsonl -m embeded -r ./b --device gpu --dtype fp32 -a mink -a loss"
    assert lines("audit", *typed.split(), "--fpr", "5", "--text-column", "member=x", "-o", "a.jsonl") == [
        "--fpr must lie between 0 and 1, both excluded: got 5; for 5 % give 0.05",
        "a.json: no such file or folder; did you mean 'a.jsonl'?",
        "m.jsonl: no such file or folder",
        "b.jsonl: no such file or folder",
        "--text-column is 'member=x', and no input is named 'member': did you mean 'members'?",
        "no attack is named 'mink': did you mean 'min_k'?",
        "a.jsonl: is a file, and the results need a folder: name another with --out",
        "--device is 'gpu': it must be auto, cpu, cuda, cuda:1 … or mps; did you mean 'cuda'?",
        "--dtype must be auto, float32, bfloat16, float16: got 'fp32'; did you mean 'float32'?",
        "model 'embeded': no such folder or file; did you mean 'embedded'?",
        "model './b': no such folder or file: correct the path",
    ]
    # Missing options, malformed values and impossible values together.
    assert lines("audit", "a.jsonl", "--fpr", "five", "--confidence", "95", "-o", "x", "more")[1:] == [
        "--confidence must lie between 0 and 1, both excluded: got 95; for 95 % give 0.95"
    ]


TYPED: dict[str, tuple[str, int, str]] = {
    "twice": ("score a.jsonl -m x -m y -o r", 2, "--target is given 2 times, and only a single value is used: "),
    "option without a value": (
        "score a.jsonl -m -r ./x -o r",
        2,
        "--target has no value, because the option -r follows: ",
    ),
    "pool is no flag": (
        "calibrate t.csv -a loss --by length --pool -o c.json",
        2,
        "--pool has no value, because the option -o follows: give the value",
    ),
    "flag twice": ("score a.jsonl -q -q -m ./x -o r", 1, "model './x': no such folder or file: correct the path"),
    "stdin twice": (
        "audit - --members - --nonmembers a.jsonl -m ./x -o r",
        2,
        "CANDIDATES and --members are -, and standard input can be read only once: name a file for all but one",
    ),
    "fpr and fdr": (
        "audit a.jsonl --nonmembers a.jsonl -m embedded -o r --fpr 0.05 --fdr 0.1",
        2,
        "--fdr takes the place of --fpr: leave out --fpr or --fdr",
    ),
    "confidence and fdr": (
        "audit a.jsonl --nonmembers a.jsonl -m embedded -o r --confidence 0.95 --fdr 0.1",
        2,
        "--confidence belongs to --fpr, and an FDR holds only on average: leave out --confidence or --fdr",
    ),
    "column of an input that is not given": (
        "score a.jsonl -m embedded -o r --text-column shots=x",
        2,
        "--text-column names a column of --shots, which is not given: leave out that column, or give --shots",
    ),
    "two columns": (
        "score a.jsonl -m embedded -o r --text-column a --text-column b",
        2,
        "--text-column names two columns for all inputs: name only the right column",
    ),
    "empty": ("validate --nonmembers= --members a.jsonl", 2, "--nonmembers is empty: give a value"),
    "empty output": ("score a.jsonl -m embedded --out=", 2, "--out is empty: give a value"),
    "out below a file": ("score a.jsonl -m ./x -o a.jsonl/r", 1, "a.jsonl/r: cannot be written, because "),
    "out a device": (
        "calibrate a.jsonl -a x -o /dev/null",
        2,
        "/dev/null: is not an ordinary file, and would be replaced by one: name another file with --out",
    ),
    "seed": ("collection a.jsonl --seed -1", 2, "--seed is -1: it must be at least 0"),
    "out a folder": ("perplexity a.jsonl -m embedded -o .", 2, ".: is a folder: name a file in it with --out"),
    "table": ("evaluate a", 1, "a: no such file or folder; did you mean 'a.jsonl'?"),
    "no table": ("evaluate run", 1, "run: no such file or folder: name a run directory or a table of scores"),
    "calibration": ("flag a.jsonl -c a.json", 1, "a.json: no such file or folder; did you mean 'a.jsonl'?"),
    "not a number": ("validate --nonmembers a.jsonl --fpr nan", 2, "--fpr must lie between 0 and 1, both excluded: "),
    "infinite": (
        "validate --nonmembers a.jsonl --fpr inf",
        2,
        "--fpr must lie between 0 and 1, both excluded: ",
    ),
    "a file as model": ("score a.jsonl -m a.jsonl -o r", 1, "model 'a.jsonl': is a file, but not a .gguf file: "),
    "a folder as model": ("score a.jsonl -m . -o r", 1, "model '.': holds no config.json, so it is not a model"),
    "revision of the reference": (
        "score a.jsonl -m embedded -r embedded --reference-revision x -o r",
        2,
        "model 'embedded': is on this machine and has no --reference-revision 'x': leave out --reference-revision",
    ),
    "revision": ("score a.jsonl -m embedded --revision x -o r", 2, "model 'embedded': is on this machine and has no "),
}


@pytest.mark.parametrize(("typed", "code", "expected"), TYPED.values(), ids=TYPED)
def test_what_was_typed(typed: str, code: int, expected: str, lines: Lines) -> None:
    refused = lines(*typed.split(), code=code)
    assert [line.startswith(expected) for line in refused].count(True) == 1


def test_the_environment(lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_MIA_DTYPE", "foo")
    assert lines("score", "a.jsonl", "-m", "embedded", "-o", "r", code=1) == [
        "the environment variable LLM_MIA_DTYPE is 'foo': it must be float32, bfloat16, float16"
    ]
    check_dtype("float32")  # the variable is only about auto


def test_names_are_checked_before_torch_is_imported(tmp_path: Path) -> None:
    """In Python too: what ModelSpec and load_model take."""
    for make in (lambda **named: ModelSpec("x", **named), lambda **named: load_model("x", **named)):
        with pytest.raises(UsageError, match=r"^`device` is 'gpu:1': .*; did you mean 'cuda:1'\?$"):
            make(device="gpu:1")
        with pytest.raises(UsageError, match=r"^`dtype` must be .* got 'half'; did you mean 'float16'\?$"):
            make(dtype="half")
    for device in ("auto", "cpu", "cuda", "cuda:1", "mps", "xpu:0"):
        check_device(device)
    with pytest.raises(UsageError, match=r"`fdr` takes the place of `fpr`"):
        audit([], nonmembers=[], target="x", out=tmp_path, fpr=0.05, fdr=0.1)
    code = (
        "import sys; from llm_mia.cli import main; "
        "main(['audit', 'c', '--nonmembers', 'n', '-m', 'embeded', '-a', 'mink', '--device', 'gpu', '-o', 'r']); "
        "sys.exit(sum(name in sys.modules for name in ('torch', 'transformers', 'sklearn', 'datasets')))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, text=True)
    assert (ran.returncode, ran.stderr.count("\n")) == (0, 5)


def test_a_device_that_the_machine_does_not_have(lines: Lines, tiny: str) -> None:
    import torch

    if torch.cuda.device_count() > 90:
        pytest.skip("it has 91 devices")
    (refused,) = lines("score", "a.jsonl", "-m", tiny, "--device", "cuda:90", "-o", "r")
    assert refused.startswith("--device is 'cuda:90', and t")


def test_similar_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my-model").mkdir()
    (tmp_path / "notes.txt").touch()
    for name, meant in (("my-modle", "my-model"), ("./My_Model", "my-model"), ("EMBEDDED", "embedded")):
        with pytest.raises(ModelError, match=rf"no such folder or file; did you mean '{meant}'\?$"):
            check_model(name)
    with pytest.raises(ModelError, match=r"no such folder or file: correct the path$"):
        check_model("./note.txt")  # a similar file, which is no model


def test_a_url_is_no_name_of_a_model() -> None:
    for use in (check_model, load_model, ModelSpec):
        with pytest.raises(ModelError, match=r"is a URL: .* write openai:NAME@http://127\.0\.0\.1:8015/v1$"):
            use("http://127.0.0.1:8015/v1")
    with pytest.raises(ModelError, match=r"write openai:NAME@URL$"):
        check_model("https://user:geheim@127.0.0.1/v1")
    with pytest.raises(UsageError, match=r"lacks http:// or https:// after the last @: write openai:MODEL@URL"):
        check_model("openai:smol@127.0.0.1:8015")


class Hub(BaseHTTPRequestHandler):
    """What the hub answers about models of these names."""

    ANSWERS = {
        "none": (401, {"X-Error-Code": "RepoNotFound"}, b""),
        "gated": (200, {}, b'{"id": "a/gated", "gated": "auto"}'),
        "gated/auth-check": (403, {"X-Error-Code": "GatedRepo"}, b""),
        "branch/revision/b": (404, {"X-Error-Code": "RevisionNotFound"}, b""),
        "down": (503, {}, b""),
        "open": (200, {}, b'{"id": "a/open", "gated": false}'),
    }

    def do_GET(self) -> None:
        status, headers, body = self.ANSWERS[self.path.partition("/api/models/a/")[2].partition("?")[0]]
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., str]]:
    """Ask a hub on this machine about models, in a process of its own; gives a line for each."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    code = (
        "import sys\nfrom llm_mia.backends.checking import check_model\n"
        "for name in sys.argv[1:]:\n"
        "    try: check_model(*name.split('@'))\n"
        "    except Exception as error: print(type(error).__name__, error)\n"
        "    else: print('accepted')\n"
    )

    def ask(*names: str, port: int = server.server_address[1]) -> str:
        settings = {
            "HF_ENDPOINT": f"http://127.0.0.1:{port}",
            "HF_HUB_OFFLINE": "0",
            "HF_HOME": str(tmp_path_factory.mktemp("hub")),
            "PYTHONPATH": str(Path(llm_mia.__file__).parents[1]),
        }
        environment = {name: value for name, value in os.environ.items() if name not in ("HF_TOKEN", "HF_HUB_CACHE")}
        ran = subprocess.run(
            [sys.executable, "-c", code, *names], capture_output=True, check=True, text=True, env=environment | settings
        )
        return ran.stdout

    yield ask
    server.shutdown()
    server.server_close()


def test_what_the_hub_answers(hub: Callable[..., str]) -> None:
    login = "log in with 'hf auth login' or set HF_TOKEN"
    assert hub("a/none", "a/gated", "a/branch@b", "a/down", "a/open").splitlines() == [
        "ModelError model 'a/none': no such folder here, and the hub has no such model, or it is private: correct the "
        f"name, or for a private model {login}",
        "ModelError model 'a/gated': the hub gives it only to users who accepted its terms: accept them on its page on "
        f"the hub, and {login}",
        "ModelError model 'a/branch': the hub has no `revision` 'b' of it: correct the branch, tag or commit",
        "ModelError model 'a/down': no such folder here, and the hub answered with status 503: try again later, or "
        "name a folder",
        "accepted",
    ]
    assert hub("a/none", port=9) == (
        "ModelError model 'a/none': no such folder here, and the hub cannot be reached (ConnectError): connect to the "
        "network, or name a folder\n"
    )
