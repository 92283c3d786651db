"""A model behind an endpoint, as a `Backend`: each request gives the tokens of a text and their log-probabilities."""

from __future__ import annotations

import json
from collections.abc import Callable, Container, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from ...errors import LlmMiaError, ModelError
from ...records import CONTINUATIONS, IntArray, ModelRecord, TokenSignals, Window
from .. import RemoteWork, Report
from .._context import WindowError, refuse_beyond_context
from ._answers import Answer, AnswerError
from ._client import Client, Query, RefusedError, is_too_long
from ._kept import prompt_digest
from ._listing import Listing
from ._long_texts import LongTexts, pieces_of
from ._probing import AVERAGE, PROBE, Probed, agreement
from ._records import RESERVED, scoring_record
from ._remote import RemoteModel
from ._spread import spread

__all__ = ["EndpointBackend"]

MOST_AT_ONCE = 2048
"""Tokens of the longest text that is asked for as a whole; longer ones are cut into windows in any case."""
ABOVE = 1e-3
"""By how much the rounding of a server may lift a log-probability above 0."""
REMEMBERED = 4096
"""Answers in memory that wait until their window is scored."""


class EndpointBackend(RemoteModel):
    """The model of a server that gives log-probabilities of prompts.

    A passage that fits into a window costs a single request, which `encode` sends; `score` then only looks the answer
    up. A longer passage costs requests for its tokens, and again for its windows.

    Args:
        client: sends the requests.
        listing: what the server lists about the model.
        probed: what was measured of the server.
        context: the longest prompt in tokens, and how this is known.
    """

    def __init__(self, client: Client, listing: Listing, probed: Probed, context: tuple[int, str]) -> None:
        super().__init__(client, probed.way.opening)
        self.probes += 1  # `check_unchanged`
        self._way, self._probed = probed.way, probed
        self.opening = () if probed.way.opening else probed.answer.opening
        self.offers = probed.offers | {CONTINUATIONS}
        self.info = scoring_record(client, listing, probed, context, self.opening)
        self._answers: dict[bytes, Answer] = {}
        self._long = LongTexts()
        self._identity = f"{self.info.tokenizer} {json.dumps(asdict(self._way), sort_keys=True)}"
        self._token_bytes: dict[int, bytes] = {}

    def encode(self, texts: Sequence[str]) -> list[IntArray]:
        """Token ids of each text, without those that the server puts before it; the answers are kept for `score`.

        Raises:
            WindowError: the server gives no usable answer for a text.
            ServerError, BudgetError: see `Client.ask`.
        """
        wanted = list(dict.fromkeys(text for text in texts if text))
        whole = [text for text in wanted if self._fits(text)]
        try:
            answers = dict(zip(whole, self._answers_for(whole), strict=True))
            long = [text for text in wanted if answers.get(text) is None]
            encoded = {text: self._remember(text, answer) for text, answer in answers.items() if answer is not None}
            for text in long:
                encoded[text] = self._encode_pieces(text)
        except _TextError as error:
            raise WindowError(f"model {self.info.id!r}: {error}", texts.index(error.text)) from None
        return [encoded[text] if text else np.empty(0, np.int32) for text in texts]

    def score(
        self, windows: Sequence[Window], report: Report | None = None, *, prefix: IntArray | None = None
    ) -> list[TokenSignals]:
        """The signals of each window's scored tokens: of an answer that `encode` has kept, or of a further request."""
        if prefix is not None and windows:
            refuse_beyond_context(self.info, prefix, windows)
        answers: dict[int, Answer] = {}
        for at, window in enumerate(windows):
            answer = self._answers.get(self._key(window)) if prefix is None else None
            if answer is not None and window.first_scored <= max(1, len(self.opening)):
                answers[at] = answer
        missing = [at for at in range(len(windows)) if at not in answers]
        answers.update(zip(missing, self._ask_windows([windows[at] for at in missing], prefix), strict=True))
        signals = [self._signals(window, answers[at]) for at, window in enumerate(windows)]
        for window in windows if prefix is None else ():
            self._answers.pop(self._key(window), None)
        if report:
            report(sum(map(len, signals)))
        return signals

    def answer_for(self, text: str) -> Answer:
        """The tokens of *text*, by a request.

        Raises:
            ModelError: it is longer than the context, or the server gives no usable answer.
        """
        try:
            [answer] = self._answers_for([text])
        except _TextError as error:
            raise ModelError(f"model {self.info.id!r}: {error}") from None
        if answer is None:
            raise ModelError(
                f"model {self.info.id!r}: a text is longer than its context: give shorter windows by `window_tokens`"
            )
        return answer

    def estimate(self, texts: Sequence[str], n_bytes: int) -> RemoteWork:
        """What it takes to score *n_bytes* of passages, of which *texts* are a sample that is sent."""
        before = self._client.seconds
        encoded = self.encode(texts)
        seconds, sampled = self._client.seconds - before, sum(len(text.encode()) for text in texts)
        tokens = round(sum(map(len, encoded)) * n_bytes / max(1, sampled)) if sampled else 0
        return RemoteWork(tokens, seconds * n_bytes / max(1, sampled), self._client.budget.cost(tokens))

    def check_unchanged(self) -> None:
        """Send the text that measured the server again, if anything was sent since.

        Raises:
            ModelError: it has other log-probabilities now, so the server has changed the model.
        """
        if self._client.sent < self.probes:
            return
        [value] = self._client.ask([self._way.query(PROBE)])
        if isinstance(value, RefusedError):
            raise ModelError(f"model {self.info.id!r}: {value}")
        before, noise = self._probed.answer, max(AVERAGE, 4 * self._probed.noise) + self._probed.rounding
        try:
            now = self._way.read(value, PROBE)
            same = np.array_equal(now.ids, before.ids) and agreement(now.logprob, before.logprob) <= noise
        except AnswerError:
            same = False
        if not same:
            raise ModelError(
                f"model {self.info.id!r}: the server gives other log-probabilities than at the beginning, so it has "
                "changed the model; the passes of this command are removed: run the same command again when the server "
                "has a single model"
            )

    def recognised(self, begun: ModelRecord) -> ModelRecord:
        """The record of this model; that of *begun*, with which a run began, where it is the same model.

        Log-probabilities vary with what else the server computes, so they are compared within the noise of both
        measurements, and the record of the first stays.
        """
        mine, before = self.info.endpoint, begun.endpoint
        if mine is None or before is None or self.info.tokenizer != begun.tokenizer:
            return self.info
        distance = agreement(np.array(mine.probe), np.array(before.probe))
        noise = max(AVERAGE, 4 * mine.noise, 4 * before.noise) + max(mine.rounding, before.rounding)
        if distance > noise:
            return self.info
        return replace(self.info, weights_sha256=begun.weights_sha256, endpoint=before)

    def _fits(self, text: str) -> bool:
        n = len(text.encode())
        most = min(self.info.context, MOST_AT_ONCE)
        return n <= most or n * self._tokens_per_byte() <= most

    def _tokens_per_byte(self) -> float:
        return len(self._probed.answer) / len(PROBE.encode())

    def _answers_for(self, texts: Sequence[str]) -> list[Answer | None]:
        """The answer to each text; None where it is longer than the context."""
        way, answers = self._way, list[Answer | None]()
        digests = [prompt_digest(self._identity, text) for text in texts]
        answers = [self._kept.answer(digest) for digest in digests]
        asked = [at for at, answer in enumerate(answers) if answer is None]

        def read(position: int, value: Any) -> Answer:
            return _checked(way.read(value, texts[asked[position]]), 0 if self.opening else 1, self.offers)

        def keep(position: int, value: Any) -> None:
            try:
                answer = read(position, value)
            except AnswerError:
                return  # it is read again, and refused, below
            answers[asked[position]] = answer
            self._kept.add_answer(digests[asked[position]], answer)

        values = self._client.ask([way.query(texts[at]) for at in asked], keep) if asked else []
        for position, value in enumerate(values):
            text = texts[asked[position]]
            if isinstance(value, RefusedError) and not is_too_long(value):
                raise _TextError(str(value), text)
            if answers[asked[position]] is None and not isinstance(value, RefusedError):
                try:
                    read(position, value)
                except AnswerError as error:
                    raise _TextError(str(error), text) from None
        return answers

    def _remember(self, text: str, answer: Answer) -> IntArray:
        """Keep the *answer* for `score`, and return the ids."""
        while len(self._answers) >= REMEMBERED:
            self._answers.pop(next(iter(self._answers)), None)
        self._answers[answer.ids.tobytes()] = answer
        self._learn(text, answer)
        return answer.ids

    def _learn(self, text: str, answer: Answer) -> None:
        if self._way.takes_ids:
            return
        data, start = text.encode(), 0
        for token, end in zip(answer.ids.tolist(), answer.ends.tolist(), strict=True):
            self._token_bytes.setdefault(token, data[start:end])
            start = end

    def _encode_pieces(self, text: str) -> IntArray:
        """The tokens of a long text, from those of its pieces."""
        size = min(self.info.context, MOST_AT_ONCE) - RESERVED
        while True:
            pieces = pieces_of(text, size)
            answers = self._answers_for(pieces)
            if all(answer is not None for answer in answers):
                break
            if size < 2 * RESERVED:
                raise _TextError("it takes fewer tokens than it names as its context", text)
            size //= 2
        ids, ends, start = list[int](), list[int](), 0
        for piece, answer in zip(pieces, answers, strict=True):
            assert answer is not None
            self._learn(piece, answer)
            ids += answer.ids.tolist()
            ends += (answer.ends + start).tolist()
            start += len(piece.encode())
        encoded = np.array(ids, dtype=np.int32)
        self._long.add(encoded, np.array(ends, dtype=np.int32), text.encode())
        return encoded

    def _key(self, window: Window) -> bytes:
        return window.tokens[len(self.opening) :].astype(np.int32).tobytes()

    def _ask_windows(self, windows: Sequence[Window], prefix: IntArray | None) -> list[Answer]:
        """An answer for each window, whose tokens are those of the window without the opening."""
        before = np.empty(0, np.int32) if prefix is None else prefix
        ask = self._window_of_ids if self._way.takes_ids else self._window_of_text
        questions = [ask(window, before, with_opening=prefix is None) for window in windows]
        digests = [prompt_digest(self._identity, json.dumps(query.body["prompt"])) for query, _ in questions]
        answers = [self._kept.answer(digest) for digest in digests]
        asked = [at for at, answer in enumerate(answers) if answer is None]

        def keep(position: int, value: Any) -> None:
            at = asked[position]
            try:
                answer = questions[at][1](value)
            except AnswerError as error:
                raise WindowError(f"model {self.info.id!r}: {error}", windows[at].passage) from None
            answers[at] = answer
            self._kept.add_answer(digests[at], answer)

        values = self._client.ask([questions[at][0] for at in asked], keep) if asked else []
        for position, value in enumerate(values):
            if isinstance(value, RefusedError):
                raise WindowError(f"model {self.info.id!r}: {value}", windows[asked[position]].passage)
        return [answer for answer in answers if answer is not None]

    def _window_of_ids(
        self, window: Window, before: IntArray, *, with_opening: bool
    ) -> tuple[Query, Callable[[Any], Answer]]:
        ids = [*before.tolist(), *window.tokens.tolist()]
        skipped = len(before) + (len(self.opening) if with_opening else 0)

        def read(value: Any) -> Answer:
            answer = _part(self._way.read_ids(value, ids), slice(skipped, None))
            first = window.first_scored - (len(self.opening) if with_opening else 0)
            return _checked(answer, first, self.offers)

        return self._way.query(ids), read

    def _window_of_text(
        self, window: Window, before: IntArray, *, with_opening: bool
    ) -> tuple[Query, Callable[[Any], Answer]]:
        opening = len(self.opening) if with_opening else 0
        tokens = window.tokens[opening:]
        sent, ends = self._long.text_of(tokens, self._token_bytes)
        head = b"".join(self._token_bytes[token] for token in before[len(self.opening) :].tolist())
        prompt = (head + sent).decode(errors="ignore")

        def read(value: Any) -> Answer:
            answer = self._way.read(value, prompt)
            return _checked(spread(answer, ends + len(head), tokens), window.first_scored - opening, self.offers)

        return self._way.query(prompt), read

    def _signals(self, window: Window, answer: Answer) -> TokenSignals:
        start = len(answer) - (len(window.tokens) - window.first_scored)
        given: dict[str, Any] = {"top": answer.top, "rank": answer.rank}
        fields = {name: values[start:] for name, values in given.items() if name in self.offers}
        return TokenSignals.of(
            np.minimum(answer.logprob[start:], 0.0),
            token_ids=answer.ids[start:],
            tokenizer=self.info.tokenizer,
            **fields,
        )


class _TextError(LlmMiaError):
    """A text for which the server gives no usable answer."""

    def __init__(self, problem: str, text: str) -> None:
        super().__init__(problem)
        self.text = text


def _part(answer: Answer, span: slice) -> Answer:
    arrays = {name: getattr(answer, name)[span] for name in ("ends", "ids", "logprob", "top", "rank")}
    return replace(answer, **arrays)


def _checked(answer: Answer, first: int, offers: Container[str]) -> Answer:
    """*answer*, where every token from the position *first* on has a log-probability, and all else that is offered."""
    if np.isnan(answer.logprob[first:]).any():
        raise AnswerError("it gives NaN, or no number, as the log-probability of a token of the prompt")
    for given in (answer.logprob[first:], answer.top[first:]):
        if (given > ABOVE).any():
            raise AnswerError(f"it gives {np.nanmax(given):g} as a log-probability, which is at most 0")
    if "top" in offers and np.isnan(answer.top[first:]).any():
        raise AnswerError("it no longer gives the likeliest token at each position, as it did when it was measured")
    if "rank" in offers and (answer.rank[first:] < 0).any():
        raise AnswerError("it no longer gives the rank of each token, as it did when it was measured")
    return answer
