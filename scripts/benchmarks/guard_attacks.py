"""What an attacker still gets through the guard, by policy, and what a benign client loses."""

from __future__ import annotations

import json
import math
import random
import statistics
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import httpx
import numpy as np
import uvicorn

from llm_mia.backends import ModelSpec, load_model
from llm_mia.backends.local import LocalBackend
from llm_mia.guard import Guard, Policy, Secret, Upstream, configuration, read_policy
from llm_mia.metrics import auroc
from llm_mia.records import Window
from llm_mia.training import Method, Recipe, train

from . import attack_models
from .attack_corpora import library_topics, passages_of
from .guard_servers import Process, free_port

__all__ = ["POLICIES", "Row", "attack_rows", "attack_table", "guard_here", "trained_models"]

TOKENS = 40
"""Of a passage, by the estimate of `read_passages`."""
SIBLING, MEMBERS = 600, 150
"""Passages that the base was trained on, and those that it was trained on further; as many are held out."""
BEGINNING = 4
"""Tokens of a passage that are not scored: an attacker needs a beginning that the model continues."""
ALL = 'prompt = "pass"\nconstrained = "pass"\nn_best = "pass"\ntop = 1000\n'
POLICIES: Mapping[str, str] = {
    "everything passes": ALL,
    "prompt removed, constrained passes": 'prompt = "remove"\nconstrained = "pass"\n',
    "the default: prompt denied, top 5": "",
    "the default, top 1": "top = 1\n",
    "the default, top 0": "top = 0\n",
    "generated removed": 'generated = "remove"\n',
    "everything passes, 1 digit": ALL + "digits = 1\n",
    "everything passes, 0 digits": ALL + "digits = 0\n",
    "everything passes, temperature 2": ALL + "temperature = 2\n",
    "everything passes, noise 0.5": ALL + "noise = 0.5\n",
    "everything passes, noise 2": ALL + "noise = 2\n",
    "the default, 1 digit, noise 0.5": "digits = 1\nnoise = 0.5\n",
}
"""By name: the settings of the section `[logprobs]`."""
TOP = 5
"""Alternatives that the attacker and the benign client ask for."""


@dataclass(frozen=True, slots=True)
class Row:
    """A policy."""

    name: str
    route: str
    """How the attacker gets the most."""
    prompts: float
    """Prompts that are sent for each passage."""
    loss: tuple[float, float, float]
    """AUROC of the attack `loss` with its interval."""
    reference: tuple[float, float, float]
    """AUROC of the attack `reference`, which subtracts the log-probabilities of the base."""
    shown: float
    """Share of the tokens of answers that a benign client gets a log-probability for."""
    error: float | None
    """Mean absolute error of the likeliest token's probability, as a benign client sees it."""
    order: float | None
    """Share of answers whose two likeliest tokens are listed, in their order."""


def trained_models(work: Path) -> tuple[Path, Path, list[str], list[str]]:
    """Folders of target and base, members, and passages that are held out."""
    passages = passages_of("topics", library_topics, TOKENS, work)
    drawn = random.Random(0).sample(passages, SIBLING + 2 * MEMBERS)  # noqa: S311 - reproducible, no secret
    sibling, members, held = drawn[:SIBLING], drawn[SIBLING : SIBLING + MEMBERS], drawn[SIBLING + MEMBERS :]
    untrained, base, target = work / "untrained", work / "base", work / "target"
    if not untrained.exists():
        model = attack_models.scratch(passages, 0)
        model.model.save_pretrained(untrained)
        model.tokenizer.save_pretrained(untrained)
    train(ModelSpec(untrained), sibling, base, Recipe(Method.FULL, epochs=8, batch_size=16, learning_rate=2e-3))
    train(ModelSpec(base), members, target, Recipe(Method.FULL, epochs=3, batch_size=16, learning_rate=5e-4))
    return target, base, members, held


ABOVE = 1000.0
"""Added to what is only an upper bound of a log-probability."""


class Attacker:
    """Somebody who has the passages, the tokenizer and the base, and asks the target through a server."""

    def __init__(self, base: Path) -> None:
        self._base = cast("LocalBackend", load_model(str(base), dtype="float32"))
        self.words = [self._base.tokenizer.decode([at]) for at in range(self._base.model.config.vocab_size)]
        self.prompts, self.temperature = 0, 1.0

    def turn_to(self, url: str, temperature: float) -> None:
        """Ask the server at *url* from now on, which shows what it shows at a *temperature* that is known."""
        self.temperature = temperature
        self._client = httpx.Client(base_url=url, timeout=600, trust_env=False)

    def ids(self, text: str) -> list[int]:
        """The tokens of *text*."""
        return [int(each) for each in self._base.encode([text])[0]]

    def of_base(self, ids: Sequence[int]) -> list[float]:
        """The log-probabilities of the base, of the tokens that are scored."""
        tokens = np.array([*self._base.opening, *ids], np.int32)
        (signals,) = self._base.score([Window(tokens, len(self._base.opening))])
        return [float(each) for each in signals.logprob[BEGINNING:]]

    def ask(self, **fields: Any) -> list[dict[str, Any]] | None:
        """The choices of an answer; None where the request is refused."""
        prompt = fields["prompt"]
        self.prompts += len(prompt) if isinstance(prompt[0], list) else 1
        answer = self._client.post("completions", json={"model": "m", **fields})
        return answer.json()["choices"] if answer.status_code == 200 else None

    def by_echo(self, ids: Sequence[int]) -> list[float] | None:
        """What the server says about its prompt."""
        choices = self.ask(prompt=list(ids), echo=True, max_tokens=0, logprobs=1)
        logprobs = choices and choices[0]["logprobs"]
        if logprobs and self.temperature != 1:
            values = zip(logprobs["tokens"], logprobs["token_logprobs"], logprobs["top_logprobs"], strict=True)
            logprobs["token_logprobs"] = [self._original(token, value, top or {}) for token, value, top in values]
        return (
            list(logprobs["token_logprobs"][BEGINNING:]) if logprobs and len(logprobs["tokens"]) >= len(ids) else None
        )

    def _original(self, token: str, value: float, top: Mapping[str, float]) -> float:
        """The log-probability of *token* before the temperature: listed tokens and the rest are a distribution."""
        shown = {token: value, **top}
        rest = max(0.0, 1 - sum(map(math.exp, shown.values())))
        weights = [math.exp(each * self.temperature) for each in shown.values()] + [rest**self.temperature]
        return value * self.temperature - math.log(sum(weights))

    def by_force(self, ids: Sequence[int]) -> list[float] | None:
        """What the server says about an answer that may only be the passage."""
        text = "".join(self.words[each] for each in ids[BEGINNING:])
        choices = self.ask(prompt=list(ids[:BEGINNING]), guided_choice=[text], max_tokens=len(ids), logprobs=1)
        logprobs = choices and choices[0]["logprobs"]
        return list(logprobs["token_logprobs"]) if logprobs else None

    def by_steps(self, ids: Sequence[int]) -> list[float] | None:
        """A prompt for each token; where it is not listed, `ABOVE` more than it can have at most."""
        prompts = [list(ids[:at]) for at in range(BEGINNING, len(ids))]
        choices = self.ask(prompt=prompts, max_tokens=1, logprobs=TOP)
        if not choices or any(choice["logprobs"] is None for choice in choices):
            return None
        seen = []
        for token, choice in zip(ids[BEGINNING:], choices, strict=True):
            of_choice = choice["logprobs"]
            listed = {of_choice["tokens"][0]: of_choice["token_logprobs"][0]} | (of_choice["top_logprobs"] or [{}])[0]
            rest = math.log(max(1e-4, 1 - sum(map(math.exp, listed.values()))))
            seen.append(listed.get(self.words[token], ABOVE + min(0.0, rest, *listed.values())))
        return seen

    def by_text(self, ids: Sequence[int]) -> list[float] | None:
        """Whether the model writes each token: all that text shows at temperature 0."""
        prompts = [list(ids[:at]) for at in range(BEGINNING, len(ids))]
        choices = self.ask(prompt=prompts, max_tokens=1)
        if not choices:
            return None
        return [float(each["text"] == self.words[at]) for at, each in zip(ids[BEGINNING:], choices, strict=True)]

    def routes(self) -> dict[str, Any]:
        """By name, the most telling first."""
        return {
            "echo": self.by_echo,
            "forced answer": self.by_force,
            "token by token": self.by_steps,
            "text": self.by_text,
        }


def _row(
    name: str,
    attacker: Attacker,
    passages: Sequence[list[int]],
    of_base: Sequence[Sequence[float]],
    true: list[dict[str, float]],
) -> Row:
    """What remains of the attacks, and to benign clients, who saw *true* where everything passes."""
    route, ask = next((route, ask) for route, ask in attacker.routes().items() if ask(passages[0]) is not None)
    attacker.prompts = 0
    seen = [ask(ids) for ids in passages]
    loss = [statistics.fmean(value - ABOVE if value > ABOVE / 2 else value for value in each) for each in seen]
    reference = [
        statistics.fmean(_excess(value, base, route) for value, base in zip(each, bases, strict=False))
        for each, bases in zip(seen, of_base, strict=True)
    ]
    labels = [1] * (len(passages) // 2) + [0] * (len(passages) // 2)
    prompts = attacker.prompts / len(passages)
    shown = _alternatives(attacker, passages)
    true += shown if not true else []
    return Row(name, route, prompts, _auroc(loss, labels), _auroc(reference, labels), *_lost(shown, true))


def _excess(value: float, base: float, route: str) -> float:
    """How much likelier a token is than under the base, as far as *value* shows it: a bound can only show that less."""
    if route == "text":
        return value - math.exp(base)
    return value - base if value < ABOVE / 2 else min(value - ABOVE, base) - base


def _auroc(scores: Sequence[float], labels: Sequence[int]) -> tuple[float, float, float]:
    interval = auroc(scores, labels)
    return interval.value, interval.low, interval.high


def _alternatives(attacker: Attacker, passages: Sequence[list[int]]) -> list[dict[str, float]]:
    """What a client sees who writes a token after half of each passage: the listed tokens; none where none is shown."""
    prompts = [ids[: len(ids) // 2] for ids in passages[:128]]
    seen = [choice["logprobs"] for choice in attacker.ask(prompt=prompts, max_tokens=1, logprobs=TOP) or []]
    return [
        (each["top_logprobs"] or [{}])[0] | {each["tokens"][0]: each["token_logprobs"][0]}
        for each in seen
        if each is not None
    ]


def _lost(
    shown: Sequence[Mapping[str, float]], true: Sequence[Mapping[str, float]]
) -> tuple[float, float | None, float | None]:
    """What a benign client has of the alternatives, see `Row`."""
    if not shown:
        return 0.0, None, None
    likeliest = [_two(each)[0] for each in true]
    errors = [
        abs(math.exp(of[word]) - math.exp(of_true[word]))
        for of, of_true, word in zip(shown, true, likeliest, strict=True)
    ]
    in_order = [_two(of) == _two(of_true) for of, of_true in zip(shown, true, strict=True)]
    return len(shown) / len(true), statistics.fmean(errors), statistics.fmean(in_order)


def _two(listed: Mapping[str, float]) -> list[str]:
    return sorted(listed, key=lambda word: -listed[word])[:2]


@contextmanager
def guard_here(upstream: str, policy: Policy) -> Iterator[str]:
    """The address of a guard in this process, which starts at once."""
    config = configuration(Guard(policy, Upstream(upstream, policy.upstream), Secret(b"secret")), policy)
    config.host, config.port = "127.0.0.1", free_port()
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{config.port}/v1"
    finally:
        server.should_exit = True
        thread.join()


def attack_rows(work: Path, policies: Sequence[str] = ()) -> list[Row]:
    """A row for each of the *policies*, or for all of them; the models stay in *work*."""
    target, base, members, held = trained_models(work)
    port = free_port()
    server = Process([sys.executable, str(Path(__file__).with_name("guard_model.py")), str(target), str(port)], port)
    rows, true, attacker = [], list[dict[str, float]](), Attacker(base)
    passages = [attacker.ids(text)[: 3 * TOKENS] for text in (*members, *held)]
    of_base = [attacker.of_base(ids) for ids in passages]
    try:
        for name, settings in POLICIES.items():
            if policies and name not in policies:
                continue
            (work / "guard.toml").write_text(f"[logprobs]\n{settings}", "utf-8")
            policy = read_policy(work / "guard.toml")
            with guard_here(server.url, policy) as address:
                attacker.turn_to(address, policy.logprobs.temperature)
                rows.append(_row(name, attacker, passages, of_base, true))
            print(json.dumps(asdict(rows[-1])), file=sys.stderr, flush=True)
    finally:
        server.stop()
    return rows


def attack_table(rows: Sequence[Row]) -> str:
    """The rows in Markdown."""
    lines = [
        "## What an attacker still gets, and what a benign client loses",
        "",
        f"A small Llama was trained on {SIBLING} passages of Python's language reference, and then on {MEMBERS} "
        f"others, the members; {MEMBERS} are held out. The server behind the guard shows everything. The attacker asks "
        "through the guard by the most telling route that the policy leaves: echo, an answer that may only be the "
        "passage "
        "(`guided_choice`), a prompt for each token, or text alone. `reference` subtracts the log-probabilities of the "
        "model before its last training, which the attacker has; a temperature is known, and undone.",
        "",
        "| policy | route | AUROC of loss | AUROC of reference | benign: shown | error of p | two likeliest in order |",
        "|---|---|--:|--:|--:|--:|--:|",
    ]
    for row in rows:
        of_loss, of_reference = ("{:.3f} ({:.3f}–{:.3f})".format(*each) for each in (row.loss, row.reference))
        error, order = ("–" if each is None else f"{each:.3f}" for each in (row.error, row.order))
        lines.append(f"| {row.name} | {row.route} | {of_loss} | {of_reference} | {row.shown:.0%} | {error} | {order} |")
    return "\n".join(lines) + "\n"
