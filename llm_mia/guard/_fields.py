"""The fields of requests that the guard knows, by kind of request, each with the form that its value must have."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

from ..queries import Request

__all__ = ["CONSTRAINING", "FIELDS", "N_BEST", "PENALTIES", "Form", "plain_name"]


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _texts(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and all(isinstance(each, str) for each in value))


def _wholes(value: Any) -> bool:
    return isinstance(value, list) and all(map(_whole, value))


def _prompt(value: Any) -> bool:
    return _texts(value) or _wholes(value) or (isinstance(value, list) and all(map(_wholes, value)))


def _messages(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, dict) for each in value)


class Form(Enum):
    """The form of a value; servers also take others and convert them, so the guard must know which is meant."""

    FLAG = "true or false"
    WHOLE = "a whole number"
    COUNT = "a whole number of 0 or more"
    NUMBER = "a number"
    TEXT = "a text"
    TEXTS = "a text or a list of texts"
    WHOLES = "a list of whole numbers"
    PROMPT = "a text, a list of texts, a list of token ids, or a list of such lists"
    MESSAGES = "a list of messages"
    OBJECT = "an object"
    LIST = "a list"
    ANY = "any value"

    def fits(self, value: Any) -> bool:
        """Whether *value* has this form."""
        return _CHECKS[self](value)


_CHECKS: Mapping[Form, Callable[[Any], bool]] = {
    Form.FLAG: lambda value: isinstance(value, bool),
    Form.WHOLE: _whole,
    Form.COUNT: lambda value: _whole(value) and value >= 0,
    Form.NUMBER: lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    Form.TEXT: lambda value: isinstance(value, str),
    Form.TEXTS: _texts,
    Form.WHOLES: _wholes,
    Form.PROMPT: _prompt,
    Form.MESSAGES: _messages,
    Form.OBJECT: lambda value: isinstance(value, dict),
    Form.LIST: lambda value: isinstance(value, list),
    Form.ANY: lambda _: True,
}


def _named(**of_form: str) -> dict[str, Form]:
    """By name of a field: its form; *of_form* gives the names of each form."""
    return {name: Form[form.upper()] for form, names in of_form.items() for name in names.split()}


_CONSTRAINING = _named(
    object="logit_bias response_format structured_outputs",
    text="guided_regex guided_grammar guided_decoding_backend guided_whitespace_pattern regex ebnf grammar",
    any="guided_json json_schema structural_tag",
    list="guided_choice",
    wholes="allowed_token_ids",
    texts="bad_words",
)
CONSTRAINING = frozenset(_CONSTRAINING)
"""Fields by which a client decides which tokens the model may write."""
PENALTIES: Mapping[str, float] = {
    "repetition_penalty": 1,
    "repeat_penalty": 1,
    "frequency_penalty": 0,
    "presence_penalty": 0,
}
"""Fields that, below these values, make the model write tokens that the prompt holds."""
N_BEST = frozenset({"best_of", "use_beam_search"})
"""Fields that choose among answers by their log-probability."""
_SAMPLING = {
    **_CONSTRAINING,
    **_named(
        flag="stream use_beam_search ignore_eos skip_special_tokens spaces_between_special_tokens "
        "include_stop_str_in_output add_special_tokens return_token_ids",
        whole="seed top_k truncate_prompt_tokens",
        count="n best_of max_tokens min_tokens prompt_logprobs",
        number="temperature top_p min_p typical_p frequency_penalty presence_penalty repetition_penalty "
        "repeat_penalty length_penalty",
        text="model user cache_salt",
        texts="stop",
        wholes="stop_token_ids",
        object="stream_options",
    ),
}
FIELDS: Mapping[Request, Mapping[str, Form]] = {
    Request.COMPLETION: {**_SAMPLING, **_named(prompt="prompt", count="logprobs", flag="echo", text="suffix")},
    Request.CHAT: {
        **_SAMPLING,
        **_named(
            messages="messages",
            flag="logprobs echo parallel_tool_calls store add_generation_prompt continue_final_message "
            "include_reasoning",
            count="top_logprobs max_completion_tokens",
            text="reasoning_effort service_tier verbosity",
            list="tools functions modalities documents",
            object="metadata chat_template_kwargs prediction",
            any="tool_choice function_call",
        ),
    },
    Request.EMBEDDING: _named(
        prompt="input",
        text="model user encoding_format",
        count="dimensions",
        whole="truncate_prompt_tokens",
        flag="add_special_tokens",
    ),
    Request.OTHER: {},
}
"""By kind of request: the fields that it may have."""


def plain_name(name: str) -> str:
    """*name* without what some servers overlook: case, underscores, and characters that look alike.

    >>> plain_name("Prompt_LogProbs"), plain_name("logprobſ"), plain_name("top-logprobs ")
    ('promptlogprobs', 'logprobs', 'toplogprobs')
    """
    return "".join(letter for letter in unicodedata.normalize("NFKC", name).casefold() if letter.isalnum())
