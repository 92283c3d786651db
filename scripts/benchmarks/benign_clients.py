"""Benign clients of a model, of several kinds: what each sends, with retries, templates and conversations that grow."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from llm_mia.queries import Query, Request

from .texts import passages

__all__ = ["KINDS", "Words", "requests_of"]

RETRIES = 0.03
MOST_PASSAGES = 800
"""Of Python's language reference, whose words are drawn."""
WEEK = 7 * 86400.0
START = 1_764_000_000.0


class Words:
    """Text without end: the words of Python's documentation, drawn at random by their frequency."""

    @cached_property
    def all(self) -> Sequence[str]:
        """Every word, as often as it occurs."""
        return [word for text in passages(MOST_PASSAGES) for word in text.split()]

    def text(self, rng: random.Random, count: int) -> str:
        """*count* words; no two texts have 24 bytes in common, but by chance."""
        return " ".join(rng.choices(self.all, k=count))


Client = Callable[[random.Random, Words, "Benchmarks"], Iterator[Query]]


def _query(prompt: str, request: Request = Request.CHAT, **values: object) -> Query:
    known = {"samples": 1, "echo": False, "logprobs": False, "top_logprobs": 0, "prompt_logprobs": False, **values}
    return Query(0.0, "", request, prompt=prompt, prompt_bytes=len(prompt.encode()), status=200, **known)  # type: ignore[arg-type]


def chat(rng: random.Random, words: Words, _: Benchmarks) -> Iterator[Query]:
    """Conversations: each request repeats all messages before it."""
    system = words.text(rng, rng.randint(10, 150)) if rng.random() < 0.7 else ""
    limit = rng.choice([None, 512, 1024, 2048])
    while True:
        turns = [system]
        for _turn in range(rng.randint(1, 9)):
            turns.append(words.text(rng, rng.randint(3, 80)))
            yield _query("\n".join(turns), max_tokens=limit, temperature=0.7, completion_tokens=rng.randint(5, 400))
            turns.append(words.text(rng, rng.randint(10, 100)))


def agent(rng: random.Random, words: Words, _: Benchmarks) -> Iterator[Query]:
    """An agent with a long instruction, whose transcript of tools grows with every request."""
    system = words.text(rng, rng.randint(100, 400))
    while True:
        turns = [system, words.text(rng, rng.randint(10, 60))]
        for _turn in range(rng.randint(3, 15)):
            yield _query("\n".join(turns), max_tokens=4096, temperature=0.0, completion_tokens=rng.randint(20, 300))
            turns.append(words.text(rng, rng.randint(5, 60)))


def summarising(rng: random.Random, words: Words, _: Benchmarks) -> Iterator[Query]:
    """Long texts behind a template; some again, with another length."""
    head, tail = words.text(rng, rng.randint(6, 40)), words.text(rng, rng.randint(0, 30))
    while True:
        text = words.text(rng, rng.randint(100, 400))
        for limit in rng.sample([64, 128, 256], rng.choice([1, 1, 1, 2])):
            yield _query(f"{head}\n{text}\n{tail} {limit}", max_tokens=limit, temperature=rng.choice([0.0, 0.3]))


def code(rng: random.Random, words: Words, _: Benchmarks) -> Iterator[Query]:
    """Completions in an editor: the file before the cursor, again and again, a little longer or changed."""
    while True:
        file = words.text(rng, rng.randint(40, 250))
        for _key in range(rng.randint(2, 15)):
            file += " " + words.text(rng, rng.randint(1, 12))
            if rng.random() < 0.2:
                at = rng.randrange(len(file) // 2)
                file = file[:at] + words.text(rng, 2) + file[at:]
            yield _query(
                file[-2500:], Request.COMPLETION, max_tokens=rng.choice([64, 128]), samples=rng.choice([1, 1, 2, 3]),
                temperature=0.2,
            )  # fmt: skip


def retrieval(rng: random.Random, words: Words, _: Benchmarks) -> Iterator[Query]:
    """Questions with passages of a corpus, the same passages in other orders for other questions."""
    head = words.text(rng, rng.randint(20, 120))
    corpus = [words.text(rng, rng.randint(30, 80)) for _passage in range(rng.randint(20, 200))]
    while True:
        near = rng.randrange(len(corpus))
        chosen = [corpus[(near + rng.randrange(8)) % len(corpus)] for _passage in range(rng.randint(2, 5))]
        question = words.text(rng, rng.randint(5, 25))
        yield _query("\n".join([head, *chosen, question]), max_tokens=512, temperature=0.0)


def classifying(rng: random.Random, words: Words, _: Benchmarks) -> Iterator[Query]:
    """A classifier or a reranker: a template, a text, one token with its alternatives."""
    head, tail = words.text(rng, rng.randint(25, 200)), words.text(rng, rng.randint(2, 12))
    top, longest = rng.choice([2, 5, 10, 20]), rng.choice([30, 60, 150])
    chatting = rng.random() < 0.7
    while True:
        text = words.text(rng, rng.randint(4, longest))
        yield _query(
            f"{head}\n{text}\n{tail}", Request.CHAT if chatting else Request.COMPLETION, max_tokens=1, logprobs=True,
            top_logprobs=top, temperature=0.0, completion_tokens=1,
        )  # fmt: skip


def regenerating(rng: random.Random, words: Words, benchmarks: Benchmarks) -> Iterator[Query]:
    """Conversations and agents whose answers are at times requested again, until they please; a few of them often."""
    for query in rng.choice([chat, agent])(rng, words, benchmarks):
        again = min(20, int(rng.expovariate(1 / 4))) if rng.random() < 0.25 else 0
        yield from [replace(query, temperature=0.8)] * (1 + again)


def best_of(rng: random.Random, words: Words, benchmarks: Benchmarks) -> Iterator[Query]:
    """A service that draws several answers to each message and shows the best; most have an instruction."""
    number, at_once = rng.choice([4, 8, 16]), rng.random() < 0.7
    service = rng.choice([chat, agent, retrieval, unguided])
    for query in service(rng, words, benchmarks):
        drawn = replace(query, temperature=1.0, samples=number if at_once else 1)
        yield from [drawn] * (1 if at_once else number)


def best_of_texts(rng: random.Random, words: Words, _: Benchmarks) -> Iterator[Query]:
    """Texts that nobody else has, behind a short instruction or none, each answered many times: rejection sampling."""
    head, number = words.text(rng, rng.choice([0, 3, 6])), rng.choice([8, 16, 64])
    while True:
        text = f"{head} {words.text(rng, rng.randint(40, 250))}".strip()
        yield _query(text, max_tokens=rng.choice([64, 128, 256]), temperature=1.0, samples=number)


def unguided(rng: random.Random, words: Words, _: Benchmarks) -> Iterator[Query]:
    """Conversations without an instruction."""
    while True:
        turns = []
        for _turn in range(rng.randint(1, 9)):
            turns.append(words.text(rng, rng.randint(3, 80)))
            yield _query("\n".join(turns), max_tokens=512)
            turns.append(words.text(rng, rng.randint(10, 100)))


def self_consistency(rng: random.Random, words: Words, _: Benchmarks) -> Iterator[Query]:
    """Questions behind the same solved examples, or programs behind the same instruction, each answered many times."""
    head, longest = words.text(rng, rng.randint(30, 300)), rng.choice([40, 100])
    number, at_once, limit = rng.choice([8, 10, 20, 40]), rng.random() < 0.6, rng.choice([256, 512, 1024])
    while True:
        query = _query(f"{head}\n{words.text(rng, rng.randint(10, longest))}", max_tokens=limit, temperature=0.7)
        yield from [replace(query, samples=number if at_once else 1)] * (1 if at_once else number)


def private_programs(rng: random.Random, words: Words, _: Benchmarks) -> Iterator[Query]:
    """Programs that nobody else has, without a template, each drawn many times for pass@k."""
    number, at_once = rng.choice([10, 20, 100]), rng.random() < 0.6
    while True:
        query = _query(words.text(rng, rng.randint(40, 140)), Request.COMPLETION, max_tokens=512, temperature=0.8)
        yield from [replace(query, samples=number if at_once else 1)] * (1 if at_once else number)


@dataclass(frozen=True)
class Task:
    """A benchmark: choices of a context, last words, rolling perplexity, or programs."""

    form: str
    items: Sequence[tuple[str, Sequence[str]]]
    """Contexts and their ends."""


@dataclass(frozen=True)
class Benchmarks:
    """The public benchmarks, which are the same for everybody."""

    tasks: Sequence[Task]

    @classmethod
    def drawn(cls, words: Words, seed: int = 0) -> Benchmarks:
        """Twelve benchmarks of 200 to 1,000 items."""
        rng = random.Random(seed)  # noqa: S311 - reproducible texts
        forms = ["choices"] * 7 + ["last_word"] * 2 + ["rolling"] * 1 + ["programs"] * 2
        return cls([new_task(rng, words, form, rng.choice([200, 500, 1000])) for form in forms])


def new_task(rng: random.Random, words: Words, form: str, size: int) -> Task:
    """A benchmark of a *form*."""
    if form == "choices":
        number, long = rng.choice([2, 4, 5]), rng.choice([20, 60])
        ends = (1, rng.choice([3, 15]))
        items = [
            (
                words.text(rng, rng.randint(10, long)) + "\nAnswer:",
                [words.text(rng, rng.randint(*ends)) for _ in range(number)],
            )
            for _item in range(size)
        ]
    elif form == "last_word":
        items = [(words.text(rng, rng.randint(40, 90)), [words.text(rng, 1)]) for _item in range(size)]
    elif form == "rolling":
        items = [("", [words.text(rng, rng.randint(100, 300))]) for _item in range(size // 4)]
    else:
        items = [(words.text(rng, rng.randint(40, 140)), [""]) for _item in range(size // 2)]
    return Task(form, items)


def asked(task: Task, shots: int, first: int, limit: int) -> Iterator[Query]:
    """What a harness sends for *limit* items of *task* from the *first*, behind as many *shots*."""
    prefix = "".join(f"{context} {ends[0]}\n\n" for context, ends in task.items[:shots])
    for context, ends in task.items[first : first + limit]:
        for end in ends:
            if task.form == "programs":
                yield _query(context, max_tokens=512, samples=20, temperature=0.8)
                continue
            text = f"{prefix}{context} {end}".strip()
            yield _query(
                text, Request.COMPLETION, max_tokens=1, echo=True, logprobs=True, top_logprobs=1, prompt_logprobs=False,
                temperature=0.0, completion_tokens=1,
            )  # fmt: skip


def public_harness(rng: random.Random, words: Words, benchmarks: Benchmarks) -> Iterator[Query]:
    """Evaluations by public benchmarks, with the usual numbers of shots."""
    del words
    while True:
        task = rng.choice(benchmarks.tasks)
        shots = rng.choice([0, 0, 5]) if task.form == "choices" else 0
        yield from asked(task, shots, 0, rng.choice([50, 100, 200, 1000]))


def private_harness(rng: random.Random, words: Words, _: Benchmarks) -> Iterator[Query]:
    """Multiple-choice questions that nobody else has."""
    while True:
        task = new_task(rng, words, "choices", rng.choice([50, 150]))
        yield from asked(task, rng.choice([0, 0, 3, 5]), 0, len(task.items))


def private_perplexity(rng: random.Random, words: Words, _: Benchmarks) -> Iterator[Query]:
    """The perplexity of texts that nobody else has, as whoever trains a model measures it."""
    while True:
        yield from asked(new_task(rng, words, "rolling", 400), 0, 0, 100)


def mixing(rng: random.Random, words: Words, benchmarks: Benchmarks) -> Iterator[Query]:
    """A developer who chats or writes code, and at times evaluates or classifies."""
    usual = rng.choice([chat, code, agent, retrieval])(rng, words, benchmarks)
    other = rng.choice([public_harness, private_harness, classifying])(rng, words, benchmarks)
    while True:
        for _query_of_usual in range(rng.randint(10, 80)):
            yield next(usual)
        for _query_of_other in range(rng.randint(5, 100)):
            yield next(other)


KINDS: Mapping[str, Client] = {
    "chat": chat,
    "agents": agent,
    "summarising": summarising,
    "code": code,
    "retrieval": retrieval,
    "regenerated answers": regenerating,
    "best of n": best_of,
    "self-consistency and pass@k, instructed": self_consistency,
    "classifying with log-probabilities": classifying,
    "chat and evaluation by turns": mixing,
    "harness, public benchmarks": public_harness,
    "harness, private choices": private_harness,
    "perplexity of private texts": private_perplexity,
    "pass@k of private programs, bare": private_programs,
    "best of n of private texts, bare": best_of_texts,
}


def requests_of(
    kind: str, client: str, rng: random.Random, words: Words, benchmarks: Benchmarks, count: int | None = None
) -> list[Query]:
    """The requests of a client in a week, in order; some are sent twice."""
    wanted = count or min(400, int(rng.lognormvariate(3.5, 0.9)) + 3)
    if count is None and kind.startswith(("harness", "perplexity")):
        wanted = rng.choice([50, 100, 200, 400])
    time, queries = START + rng.random() * WEEK * 0.8, list[Query]()
    mean = rng.choice([2.0, 30.0, 400.0])
    for query in KINDS[kind](rng, words, benchmarks):
        time += rng.expovariate(1 / mean)
        queries.append(replace(query, time=time, client=client))
        if rng.random() < RETRIES:
            queries.append(replace(query, time=time + 1.0, client=client))
        if len(queries) >= wanted:
            return queries[:wanted]
    return queries
