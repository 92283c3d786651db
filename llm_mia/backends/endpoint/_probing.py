"""What a server gives is measured, and never trusted.

A known text is sent several times: as it is, again, and cut, with the token after it that the server generates. A
server is accepted only where the tokens of the prompt come back with log-probabilities, spell the text,
are the same where the text is the same, and are those of each token given the tokens before it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import LlmMiaError, ModelError, ServerError
from ._answers import Answer, AnswerError, read_choice
from ._asking import Way
from ._client import Client, Query, RefusedError, is_too_long
from ._failures import denies_logprobs
from ._listing import Listing

__all__ = ["PROBE", "Probed", "UnusableError", "agreement", "probe"]

PROBE = (
    "The river bends under the old bridge, and Anna counts 17 grey geese. A naïve “café” costs €3 in 東京 🙂, so they "
    "went back to the"
)
"""Several scripts, digits, and characters that tokenizers cut; it ends where a word is likely to follow."""
OPENINGS = ("<s>", "<|im_start|>", "<|begin_of_text|>", "<|endoftext|>", "<bos>", "<｜begin▁of▁sentence｜>")
"""Tokens that models put before a text, for servers that pair log-probabilities rightly only after such a token."""
# Logits between 16 and 32 have steps of 0.125 in bfloat16. Two sums in another order differ by a step or two at a
# token, and by less on average.
LARGEST, AVERAGE = 0.25, 0.05
ATTEMPTS = 3
"""How often each request of the probe is sent at most, so that an error shows soon."""
CUTS = (0, 9, 5, 14, 2)
"""How many tokens are cut off for the checks with a generated token, which need `CHECKS` that can be used."""
CHECKS = 2
SEVERAL = 8
"""Tokens that do not all have the same log-probability."""
TAIL = " and then"
"""What follows the token in the last of these checks, so that it is not the last of the prompt."""


@dataclass(frozen=True, slots=True)
class Probed:
    """What was measured of a server."""

    way: Way
    answer: Answer
    """Of `PROBE`."""
    noise: float
    """Mean absolute difference between two answers to the same request, nats per token."""
    rounding: float
    """The step to which log-probabilities are rounded; 0 where no step shows."""
    offers: frozenset[str]
    prompt_tokens: int
    """How many tokens the probe has, with those that the server puts before it."""


class UnusableError(ModelError):
    """A server whose log-probabilities of prompts cannot be used."""


def probe(client: Client, listing: Listing) -> Probed:
    """Measure what the server gives.

    Raises:
        UnusableError: it gives no log-probabilities of prompts, or wrong ones.
        ModelError: it refuses the request.
        ServerError, BudgetError: see `Client.ask`.
    """
    try:
        way, answer = _first_answer(client, Way(listing.model), listing)
        way, answer = _aligned(client, way, answer)
        return _measure(client, way, answer)
    except AnswerError as error:
        problem = f"model {client.address.model!r} at {client.address.url}: {error}; {_advice(error)}"
        raise UnusableError(problem) from None


def _advice(error: AnswerError) -> str:
    text = str(error)
    if "cached" in text:
        return "switch the cache of prefixes off in the server, or give a server that scores whole prompts"
    if "cut" in text or "chat template" in text:
        return "give the address of a server that completes plain texts"
    return (
        "vLLM, SGLang and the Python server of llama.cpp give log-probabilities of prompts; see the guide 'endpoints'"
    )


def _first_answer(client: Client, way: Way, listing: Listing) -> tuple[Way, Answer]:
    """The way that gives positions of the prompt, with 1 generated token or with none; and its answer."""
    try:
        [value] = client.ask([way.query(PROBE)], attempts=ATTEMPTS)
        if isinstance(value, RefusedError):
            raise _refusal(client, value, listing)
        return way, _checked(way, value)
    except AnswerError:
        alternative = replace(way, generated=0)
        try:
            [value] = client.ask([alternative.query(PROBE)], attempts=ATTEMPTS)
            if not isinstance(value, RefusedError):
                return alternative, _checked(alternative, value)
        except AnswerError:
            pass
        raise


def _checked(way: Way, value: Any) -> Answer:
    """The answer for the probe, whose values are those of a model."""
    answer = way.read(value, PROBE)
    _check_values(answer, [each for each in read_choice(value).tops or [] if each])
    return answer


def _refusal(client: Client, refusal: RefusedError, listing: Listing) -> LlmMiaError:
    """Why the first request was refused."""
    address, words = client.address, str(refusal)
    if denies_logprobs(refusal.status, words):
        return UnusableError(f"model {address.model!r}: {refusal}")
    if refusal.status in (404, 405) and "model" not in words.partition("status")[2]:
        if listing.listed:
            return ModelError(
                f"model {address.model!r}: the server answers at {address.url}/models, and not at /completions: it "
                "serves chats alone, which show no log-probabilities of prompts; give another server"
            )
        return ServerError(f"{address.url}: nothing is under this path; it usually ends in /v1")
    if is_too_long(refusal):
        return ModelError(
            f"model {address.model!r}: its context is shorter than the text that tests it ({len(PROBE)} characters); "
            "start the server with a longer context"
        )
    return ModelError(f"model {address.model!r}: {refusal}")


def _ask(client: Client, way: Way, text: str) -> Answer:
    """The answer for *text*."""
    [value] = client.ask([way.query(text)], attempts=ATTEMPTS)
    if isinstance(value, RefusedError):
        raise ModelError(f"model {client.address.model!r}: {value}") from None
    return way.read(value, text)


def _aligned(client: Client, way: Way, answer: Answer) -> tuple[Way, Answer]:
    """*way*, or with an opening, so that each token has its log-probability; and the answer for the probe."""
    if _is_aligned(client, way, answer):
        return way, answer
    for text in OPENINGS:
        if _prompt_tokens(client, way, text + "The river") != _prompt_tokens(client, way, "The river") + 1:
            continue  # it is no token of the model
        opened = replace(way, opening=text)
        answer = _ask(client, opened, PROBE)
        if _is_aligned(client, opened, answer):
            return opened, answer
    raise AnswerError("the log-probability that it gives for a token is not the one of its position")


def _prompt_tokens(client: Client, way: Way, text: str) -> int:
    """How many tokens the server counts in *text*; 0 where it counts none."""
    [value] = client.ask([Query({"model": way.model, "prompt": text, "max_tokens": 1}, len(text) // 4)])
    usage = value.get("usage") if isinstance(value, dict) else None
    counted = usage.get("prompt_tokens") if isinstance(usage, dict) else None
    return counted if isinstance(counted, int) else 0


def _is_aligned(client: Client, way: Way, answer: Answer) -> bool:
    """Whether a token has the log-probability that the server gives for generating it.

    The text before the token is a token shorter, and must have the same log-probabilities as in *answer*.
    """
    checked = 0
    for cut in CUTS:
        text = _shortened(answer, cut)
        generated = _generated(client, way, text)
        if generated is None:
            continue
        token, logprob = generated
        longer = _ask(client, way, text + token + (TAIL if checked == CHECKS - 1 else ""))
        common = _tokens_of(longer, len(text.encode()))
        if common is None or _tokens_of(longer, len((text + token).encode())) != common + 1:
            continue  # the text with the token is cut into other tokens
        rounding = _rounding(answer.logprob)
        _check_same(
            _part(answer, common), _part(longer, common), rounding, "it gives other log-probabilities to a text"
        )
        if abs(longer.logprob[common] - logprob) > LARGEST + rounding:
            return False
        checked += 1
        if checked == CHECKS:
            break
    if not checked:
        raise AnswerError("it generates no token after the text, so its log-probabilities cannot be checked")
    return True


def _tokens_of(answer: Answer, size: int) -> int | None:
    """How many tokens of *answer* spell the first *size* bytes; None where a token reaches beyond."""
    at = int(np.searchsorted(answer.ends, size, side="right"))
    return at if at and answer.ends[at - 1] == size else None


def _shortened(answer: Answer, tokens: int) -> str:
    """`PROBE` without about so many of its last tokens."""
    text = PROBE.encode()
    end = int(answer.ends[max(1, len(answer) - tokens) - 1])
    return text[:end].decode(errors="ignore")


def _generated(client: Client, way: Way, text: str) -> tuple[str, float] | None:
    """The token that the server generates after *text*, and its log-probability; None where there is none to use."""
    body = {**way.query(text).body, "echo": False, "temperature": 0.0, "max_tokens": 1}
    [value] = client.ask([Query(body, len(text) // 4 + 1)], attempts=ATTEMPTS)
    if isinstance(value, RefusedError):
        return None
    try:
        choice = read_choice(value)
    except AnswerError:
        return None
    if len(choice.tokens) != 1 or not choice.tokens[0].strip() or "\ufffd" in choice.tokens[0]:
        return None
    return (choice.tokens[0], choice.logprobs[0]) if math.isfinite(choice.logprobs[0]) else None


def _measure(client: Client, way: Way, answer: Answer) -> Probed:
    """Ask again, also for ids; see whether they are taken; state what is offered."""
    [value] = client.ask([way.query(PROBE)], attempts=ATTEMPTS)
    choice, again = read_choice(value), way.read(value, PROBE)
    rounding, noise = _rounding(answer.logprob), agreement(answer.logprob, again.logprob)
    _check_same(answer, again, rounding, "it gives other log-probabilities to a text")
    if choice.details is not None or choice.prompt_ids is not None:
        way = replace(way, shows_ids=True)
        answer = _ask(client, way, PROBE)
        way = replace(way, takes_ids=_takes_ids(client, way, answer, rounding))
    offers = {"logprob"} | ({"top"} if np.isfinite(answer.top[1:]).all() else set())
    offers |= {"rank"} if (answer.rank[1:] >= 0).all() else set()
    counted = choice.prompt_tokens if choice.prompt_tokens is not None else len(answer) + len(answer.opening)
    return Probed(way, answer, noise, rounding, frozenset(offers), counted)


def agreement(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Mean absolute difference, nats per token; infinite where the lengths differ.

    >>> agreement(np.array([np.nan, -1.0, -2.0]), np.array([np.nan, -1.5, -2.0]))
    0.25
    """
    if len(one) != len(other) or (np.isnan(one) != np.isnan(other)).any():
        return math.inf
    differences = np.abs(one - other)[~np.isnan(one)]
    return float(differences.mean()) if len(differences) else 0.0


def _part(answer: Answer, tokens: int) -> Answer:
    return replace(
        answer,
        ends=answer.ends[:tokens],
        ids=answer.ids[:tokens],
        logprob=answer.logprob[:tokens],
        top=answer.top[:tokens],
        rank=answer.rank[:tokens],
    )


def _check_same(one: Answer, other: Answer, rounding: float, problem: str) -> None:
    if not np.array_equal(one.ids, other.ids):
        raise AnswerError(f"{problem}: the tokens differ")
    distance = agreement(one.logprob, other.logprob)
    if math.isinf(distance):
        raise AnswerError("it leaves out the log-probabilities of tokens that it has cached")
    if distance > 4 * AVERAGE + rounding:
        raise AnswerError(f"{problem} when it is sent again: they differ by {distance:.2g} nats per token on average")


def _check_values(answer: Answer, tops: Sequence[dict[str, float]]) -> None:
    """Refuse log-probabilities that no model gives."""
    scored = answer.logprob[1:] if not len(answer.opening) else answer.logprob
    if np.isnan(scored).any():
        missing = int(np.isnan(scored).sum())
        raise AnswerError(f"it gives NaN, or no number, as the log-probability of {missing} tokens of the prompt")
    if len(scored) >= SEVERAL and np.ptp(scored) == 0:
        raise AnswerError(f"it gives {scored[0]:g} as the log-probability of every token, as no model does")
    slack = 1e-3 + _rounding(answer.logprob)
    if (scored > slack).any() or not np.isfinite(scored).all():
        raise AnswerError(f"it gives {scored.max():g} as a log-probability, which is at most 0")
    most = max((sum(math.exp(min(value, 1.0)) for value in each.values()) for each in tops), default=0.0)
    if most > 1 + slack * 4:
        raise AnswerError(f"the probabilities of the likeliest tokens sum to {most:.3g}: they are no probabilities")


def _rounding(logprob: NDArray[np.float64]) -> float:
    """The step to which the values are rounded: 1, 0.1, 0.01 or 0.001; 0 where no step shows.

    >>> _rounding(np.array([-1.25, -0.5, -3.75])), _rounding(np.array([-1.2345678]))
    (0.01, 0.0)
    """
    values = logprob[np.isfinite(logprob)]
    for step in (1.0, 0.1, 0.01, 0.001):
        if len(values) and np.allclose(values / step, np.round(values / step), rtol=0, atol=1e-6):
            return step
    return 0.0


def _takes_ids(client: Client, way: Way, answer: Answer, rounding: float) -> bool:
    """Whether a prompt of ids gives the same log-probabilities as the text."""
    if not way.shows_ids or way.opening:
        return False
    ids = [*answer.opening, *answer.ids.tolist()]
    [value] = client.ask([way.query(ids)], attempts=ATTEMPTS)
    if isinstance(value, RefusedError):
        return False
    try:
        by_ids = way.read_ids(value, ids)
    except AnswerError:
        return False
    return agreement(by_ids.logprob[len(answer.opening) :], answer.logprob) <= 4 * AVERAGE + rounding
