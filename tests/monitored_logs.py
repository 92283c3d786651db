"""Small query logs for tests: many benign clients, and some that attack."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from llm_mia.queries import Query, Request, query_to_line, sketch_prompts
from llm_mia.rewriting import neighbour

NOON = 1_764_331_200.0
WORDS = [
    a + b for a in ("ka", "lo", "mi", "ra", "tu", "ve", "so", "ni") for b in ("bel", "dor", "fen", "gal", "hir", "jun")
]


def text(rng: random.Random, count: int = 40) -> str:
    """A text of *count* words, unlike any other."""
    return " ".join(rng.choice(WORDS) for _ in range(count))


def scored(client: str, prompt: str) -> Query:
    """A request for the log-probabilities of a prompt."""
    return _query(client, prompt, max_tokens=1, echo=True, logprobs=True, top_logprobs=1)


def _query(client: str, prompt: str, **values: object) -> Query:
    known = {"samples": 1, "echo": False, "logprobs": False, "top_logprobs": 0, "prompt_logprobs": False, **values}
    return Query(NOON, client, Request.COMPLETION, "m", prompt, len(prompt.encode()), **known)  # type: ignore[arg-type]


def chatting(client: str, rng: random.Random) -> list[Query]:
    """A conversation, repeated and longer with each request."""
    turns = [text(rng, rng.randint(5, 40)) for _ in range(rng.randint(2, 9))]
    return [_query(client, "\n".join(turns[: at + 1]), max_tokens=200, temperature=0.7) for at in range(len(turns))]


def choosing(client: str, rng: random.Random, questions: int = 12) -> list[Query]:
    """Multiple-choice questions, each with four short ends, scored as a harness does."""
    contexts = [text(rng, 15) for _ in range(questions)]
    return [scored(client, f"{context} Answer: {text(rng, 3)}") for context in contexts for _ in range(4)]


def probing(client: str, rng: random.Random, passages: int = 40) -> list[Query]:
    """Different passages, each scored once."""
    return [scored(client, text(rng, rng.randint(30, 60))) for _ in range(passages)]


def lowering(client: str, rng: random.Random, passages: int = 40) -> list[Query]:
    """Each passage as it is, and in lower case."""
    texts = [text(rng).title() for _ in range(passages)]
    return [scored(client, each) for each in (*texts, *map(str.lower, texts))]


def rewriting(client: str, rng: random.Random, passages: int = 10) -> list[Query]:
    """Each passage and six rewritten versions."""
    texts = [text(rng) for _ in range(passages)]
    return [
        scored(client, each) for each in (*texts, *(neighbour(one, number) for one in texts for number in range(6)))
    ]


def prefixing(client: str, rng: random.Random, passages: int = 30) -> list[Query]:
    """Each passage alone, and behind the same other text."""
    prefix, texts = text(rng, 60), [text(rng) for _ in range(passages)]
    return [scored(client, each) for each in (*texts, *(f"{prefix} {one}" for one in texts))]


def sampling(client: str, rng: random.Random, prompts: int = 30, *, at_once: bool = True) -> list[Query]:
    """Ten continuations of each prompt, in a request or in ten."""
    queries = [_query(client, text(rng, 20), max_tokens=64, temperature=1.0) for _ in range(prompts)]
    if at_once:
        return [replace(query, samples=10) for query in queries]
    return [query for query in queries for _ in range(10)]


def best_of(client: str, rng: random.Random, conversations: int = 12) -> list[Query]:
    """Conversations, each message answered ten times and the best answer shown."""
    queries = []
    for _conversation in range(conversations):
        prompt = text(rng, 15)
        for _turn in range(4):
            queries.append(_query(client, prompt, max_tokens=200, temperature=1.0, samples=10))
            prompt = f"{prompt}\n{text(rng, 10)}"
    return queries


def choosing_by_case(client: str, rng: random.Random) -> list[Query]:
    """Multiple-choice questions, of which some ends differ in case alone."""
    contexts = [text(rng, 15) for _ in range(12)]
    return [scored(client, f"{context} Answer: {end}") for context in contexts for end in ("kabel", "Kabel", "lodor")]


def few_behind_a_template(client: str, rng: random.Random) -> list[Query]:
    """Five texts to classify behind a template of 252 bytes, of which sketches know 128."""
    template = text(rng, 36)
    return [
        _query(client, f"{template} {text(rng, 45)}", max_tokens=1, logprobs=True, top_logprobs=5) for _ in range(5)
    ]


def harvesting(client: str, rng: random.Random, prompts: int = 40) -> list[Query]:
    """The distribution of the next token for many prompts."""
    return [_query(client, text(rng), max_tokens=1, logprobs=True, top_logprobs=20) for _ in range(prompts)]


def classifying(client: str, rng: random.Random, prompts: int = 40) -> list[Query]:
    """A template before each text, of whose next token the distribution is wanted."""
    template = text(rng, 40)
    return [
        _query(client, f"{template}\n{text(rng, 15)}", max_tokens=1, logprobs=True, top_logprobs=5)
        for _ in range(prompts)
    ]


def benign_queries(clients: int, seed: int) -> list[Query]:
    """The requests of many benign clients, mixed in time."""
    rng = random.Random(seed)
    kinds = (chatting, chatting, chatting, choosing, classifying)
    of_each = [rng.choice(kinds)(f"benign-{seed}-{at}", rng) for at in range(clients)]
    return mixed(of_each, rng)


def mixed(of_each: Sequence[Sequence[Query]], rng: random.Random) -> list[Query]:
    """The requests of several clients, in an order that keeps that of each client."""
    order = [at for at, queries in enumerate(of_each) for _ in queries]
    rng.shuffle(order)
    streams = [iter(queries) for queries in of_each]
    return [replace(next(streams[at]), time=NOON + number) for number, at in enumerate(order)]


def write_log(path: Path, queries: Iterable[Query], *, key: bytes | None = None) -> Path:
    """A log of the guard; with a *key* it holds sketches in the place of prompts."""
    written = list(queries)
    if key is not None:
        sketches = sketch_prompts([query.prompt or "" for query in written], key)
        written = [replace(query, prompt=None, sketch=one) for query, one in zip(written, sketches, strict=True)]
    path.write_text("".join(query_to_line(query) + "\n" for query in written), encoding="utf-8")
    return path
