"""What a request asks for, from its fields; and the query that the log keeps of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..queries import Request
from ._disturbing import BEFORE
from ._fields import CONSTRAINING, FIELDS, N_BEST, PENALTIES, plain_name
from ._policy import PassOrDeny, RequestRules
from ._refused import Refused

__all__ = ["Asked", "read_request"]


LONGEST_NAME = 40
"""Characters of the name of an unknown field that a refusal repeats."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request asks for; None where it does not say."""

    request: Request
    model: str = ""
    prompts: tuple[str, ...] = ()
    """The texts that the model reads; token ids are written as numbers with blanks between them."""
    endings: tuple[str, ...] = ()
    """What the model certainly reads right before its answer to each prompt; of a chat, without other fields."""
    prompt_tokens: tuple[int, ...] | None = None
    """Tokens of each prompt, where prompts are lists of token ids."""
    stream: bool = False
    max_tokens: int | None = None
    samples: int | None = None
    temperature: float | None = None
    echo: bool | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    prompt_logprobs: bool | None = None
    constrained: bool = False
    """Whether the request decides which tokens the model may write."""
    n_best: bool = False
    """Whether answers are chosen by their log-probability."""

    @property
    def of_prompt(self) -> bool:
        """Whether log-probabilities of the prompt come back."""
        return bool(self.prompt_logprobs or (self.echo and self.logprobs))


READ = frozenset(
    {"content", "text", "refusal", "reasoning", "reasoning_content", "thinking", "arguments", "title", "name"}
)
"""Fields of messages and documents whose text the model reads."""
LONGEST_KNOWN = 100
"""Characters of a name that may be that of a known field: to compare a longer one takes too long."""


def read_request(kind: Request, fields: Mapping[str, Any], rules: RequestRules) -> tuple[Asked, dict[str, Any]]:
    """What a request of *kind* asks for, and its fields without those that are null.

    Raises:
        Refused: a field is unknown and may not pass, has another form than it must have, or passes a limit of *rules*.
    """
    sent = {name: value for name, value in fields.items() if value is not None}
    _check_fields(kind, sent, rules.unknown_fields is PassOrDeny.PASS)
    prompts, endings, tokens = _prompts(kind, sent)
    if tokens is not None and rules.token_prompts is PassOrDeny.DENY:
        raise Refused(403, "token_prompt", "Prompts of token ids are not allowed here: send text.")
    if len(prompts) > rules.max_prompts:
        raise Refused(400, "too_many_prompts", f"At most {rules.max_prompts} prompts are allowed in a request.")
    top = sent.get("logprobs") if kind is Request.COMPLETION else sent.get("top_logprobs")
    logprobs = top is not None or sent.get("logprobs") is True
    asked = Asked(
        kind,
        model=sent.get("model", ""),
        prompts=prompts,
        endings=endings,
        prompt_tokens=tokens,
        stream=sent.get("stream", False),
        max_tokens=sent.get("max_completion_tokens", sent.get("max_tokens")),
        samples=sent.get("n"),
        temperature=sent.get("temperature"),
        echo=sent.get("echo"),
        logprobs=logprobs if logprobs or "logprobs" in sent else None,
        top_logprobs=top,
        prompt_logprobs=True if "prompt_logprobs" in sent else None,  # 0 asks for those of the tokens themselves
        # What an unknown field does is not known, so it may decide the tokens, too.
        constrained=_constrains(sent) or not FIELDS[kind].keys() >= sent.keys(),
        n_best=sent.get("use_beam_search") is True or sent.get("best_of", 1) > (sent.get("n") or 1),
    )
    if max(asked.samples or 1, sent.get("best_of", 1)) > rules.max_samples:
        raise Refused(
            400, "too_many_samples", f"A request may have at most {rules.max_samples} continuations of a prompt."
        )
    return asked, sent


def _check_fields(kind: Request, sent: Mapping[str, Any], unknown_pass: bool) -> None:
    known = FIELDS[kind]
    for name, value in sent.items():
        if name in known:
            if not known[name].fits(value):
                raise Refused(400, "wrong_form", f"The field '{name}' must be {known[name].value}.")
        elif not unknown_pass:
            raise Refused(400, "unknown_field", f"The field {_shown(name)} is not allowed here: leave it out.")
        elif _names_known(name, value):
            raise Refused(
                400, "unknown_field", f"The field {_shown(name)} hides a known field in, or behind, an unknown name."
            )


def _shown(name: str) -> str:
    r"""*name* in quotes, shortened, and without what could steer a terminal or is half of a character.

    >>> _shown("my_field"), _shown("a" * 100), _shown("a\x1b[31m\ud800")
    ("'my_field'", "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa…'", "'a?[31m?'")
    """
    shown = "".join(each if each.isprintable() else "?" for each in name[:LONGEST_NAME])
    return f"'{shown}{'…' if len(name) > LONGEST_NAME else ''}'"


_PLAIN = frozenset(plain_name(name) for of_kind in FIELDS.values() for name in of_kind)
_PLAIN_INSIDE = frozenset(map(plain_name, {"echo", *N_BEST, *CONSTRAINING}))
"""Those that no object within an unknown field may have: some servers take an object of further fields."""


def _names_known(name: str, value: Any) -> bool:
    """Whether *name*, or a key within *value*, reads like the name of a field that the guard knows, or is too long."""
    inside, left = [name], [value]
    while left:
        inner = left.pop()
        if isinstance(inner, dict):
            inside += inner
            left += inner.values()
        elif isinstance(inner, list):
            left += inner
    if any(len(each) > LONGEST_KNOWN for each in inside):
        return True
    plain = set(map(plain_name, inside))
    return plain_name(name) in _PLAIN or not _PLAIN_INSIDE.isdisjoint(plain) or any("logprob" in each for each in plain)


def _prompts(kind: Request, sent: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...], tuple[int, ...] | None]:
    """The texts of the prompts, their endings; and how many tokens each has, where they are token ids."""
    if kind is Request.CHAT:
        tools = [sent.get("tools", ()), sent.get("functions", ())]
        messages = _texts_in([sent.get("messages", ()), sent.get("documents", ())])
        texts = [*_texts_in(tools, every=True), *messages, *_texts_in(sent.get("chat_template_kwargs"), every=True)]
        return ("\n".join(texts),), (_last_content(sent.get("messages", ())),), None
    prompt = sent.get("prompt" if kind is Request.COMPLETION else "input", "")
    tokens: tuple[int, ...] | None = None
    if isinstance(prompt, str):
        prompt = [prompt]
    elif prompt and not isinstance(prompt[0], str):
        of_tokens = [prompt] if isinstance(prompt[0], int) else prompt
        prompt, tokens = [" ".join(map(str, ids)) for ids in of_tokens], tuple(map(len, of_tokens))
    endings = tuple(each[-BEFORE:] for each in prompt)
    suffix = f"\n{sent['suffix']}" if sent.get("suffix") else ""
    return tuple(each + suffix for each in prompt), endings, tokens


def _texts_in(value: Any, *, every: bool = False) -> list[str]:
    """The texts in messages and documents, wherever a server may read them: in parts, in lists, in calls of tools.

    With *every*, and in an object in the place of a text, those of all fields.
    """
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [
            text
            for name, each in value.items()
            if every or name in READ or isinstance(each, dict | list)
            for text in _texts_in(each, every=every or (name in READ and isinstance(each, dict)))
        ]
    return [text for each in value for text in _texts_in(each, every=every)] if isinstance(value, list | tuple) else []


def _last_content(messages: Sequence[Mapping[str, Any]]) -> str:
    """The end of the last content that every template of chats shows, without the white space that some remove."""
    for message in reversed(messages):
        content = message.get("content")
        parts = content if isinstance(content, list) else [content]
        texts = [part.get("text") if isinstance(part, dict) else part for part in parts]
        shown = "\n".join(each for each in texts if isinstance(each, str)).strip()
        if shown and message.get("role") in ("user", "assistant"):
            return shown[-BEFORE:]
    return ""


def _constrains(sent: Mapping[str, Any]) -> bool:
    named = CONSTRAINING & set(sent)
    # Beside the type may be a schema: llama.cpp takes it for "json_object", too.
    if sent.get("response_format") in ({"type": "text"}, {"type": "json_object"}):
        named -= {"response_format"}
    by_itself = (None, "auto", "none")
    forced = sent.get("tool_choice") not in by_itself or sent.get("function_call") not in by_itself
    favoured = any(sent.get(name, neutral) < neutral for name, neutral in PENALTIES.items())
    return bool(named or forced or favoured or any(map(_is_strict, sent.get("tools", ()))))


def _is_strict(tool: Any) -> bool:
    """Whether a grammar or a schema decides what the model writes for *tool*."""
    if not isinstance(tool, dict) or tool.get("type", "function") != "function" or tool.get("strict"):
        return True
    function = tool.get("function")
    return isinstance(function, dict) and bool(function.get("strict"))
