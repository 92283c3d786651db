"""How exactly log-probabilities are shown: temperature, noise, rounding, and how many alternatives."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ._policy import LogprobRules

__all__ = ["BEFORE", "LEAST", "Disturbing"]

BEFORE = 32
"""Characters before a token on which its noise depends."""
LEAST = -9999.0
"""What OpenAI and vLLM write in place of the logarithm of 0."""


@dataclass(frozen=True, slots=True)
class Disturbing:
    """A function from the log-probabilities at a position to those that are shown."""

    rules: LogprobRules
    key: bytes
    """The noise depends on this secret."""

    def __call__(
        self,
        before: str,
        token: str,
        logprob: float | None,
        others: Sequence[tuple[str, float]],
        top: int,
        spelled: Mapping[str, str] | None = None,
    ) -> tuple[float | None, list[tuple[str, float]]]:
        """The log-probability of *token*, and the alternatives that are shown, the likeliest first.

        Args:
            before: the text before the token, of which the last `BEFORE` characters count.
            token: the token itself.
            logprob: of the token; None where there is none.
            others: the alternatives with their log-probabilities; the token itself may be among them.
            top: most alternatives.
            spelled: the text of each token, where tokens are named by their ids.
        """
        spelled = spelled or {}
        listed = sorted(others, key=lambda each: -each[1])[:top]
        if self.rules.temperature != 1:
            logprob, listed = self._at_temperature(token, logprob, listed)
        if self.rules.noise:
            logprob = None if logprob is None else self._with_noise(before, spelled.get(token, token), logprob)
            listed = [(each, self._with_noise(before, spelled.get(each, each), value)) for each, value in listed]
            listed.sort(key=lambda each: -each[1])  # else their order would show the values without noise
        return (
            None if logprob is None else self._rounded(logprob),
            [(each, self._rounded(value)) for each, value in listed],
        )

    def _at_temperature(
        self, token: str, logprob: float | None, listed: Sequence[tuple[str, float]]
    ) -> tuple[float | None, list[tuple[str, float]]]:
        """The same at a temperature, where the outcomes are the listed tokens, the token, and any other token.

        The true distribution at a temperature needs the log-probability of every token, which no server sends.
        """
        t = self.rules.temperature
        known = dict(listed) | ({} if logprob is None else {token: logprob})
        if not known:
            return logprob, list(listed)
        rest = max(0.0, 1.0 - math.fsum(math.exp(min(0.0, value)) for value in known.values()))
        weights = [value / t for value in known.values()] + ([math.log(rest) / t] if rest > 0 else [])
        highest = max(weights)
        norm = highest + math.log(math.fsum(math.exp(weight - highest) for weight in weights))
        return None if logprob is None else logprob / t - norm, [(each, value / t - norm) for each, value in listed]

    def _with_noise(self, before: str, token: str, logprob: float) -> float:
        """*logprob* with Gaussian noise that is a function of the secret, the token and the text right before it.

        Were the noise drawn anew, the mean over n requests would have 1/√n of it. Were it a function of the whole
        prompt, a change far before the token would draw it anew. And were it a function of the token alone, it would
        cancel between two texts.
        """
        name = f"{before[-BEFORE:]}\0{token}".encode("utf-8", "surrogatepass")
        drawn = int.from_bytes(hashlib.blake2b(name, key=self.key, digest_size=16).digest(), "little")
        first, second = ((drawn & (2**53 - 1)) + 1) / 2**53, (drawn >> 64) / 2**64
        normal = math.sqrt(-2.0 * math.log(first)) * math.cos(2 * math.pi * second)
        return min(0.0, logprob + self.rules.noise * normal)

    def _rounded(self, value: float) -> float:
        if not math.isfinite(value):
            return LEAST
        digits = self.rules.digits
        return (value if digits is None else round(value, digits)) + 0.0  # no −0.0
