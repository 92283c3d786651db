"""Models that look at later tokens are refused, in every precision; causal models never are."""

from __future__ import annotations

import pytest
import torch

from llm_mia.backends.local import LocalBackend, contribution_of_last_token
from llm_mia.errors import ModelError
from tests.conftest import build_model, build_tokenizer
from tests.families import build_family
from tests.rounding import PRECISIONS


@pytest.mark.parametrize("dtype", [*PRECISIONS, "float16"])
@pytest.mark.parametrize("family", ["Bert", "Roberta"])
def test_a_model_that_looks_ahead_is_refused(family: str, dtype: str) -> None:
    """Untrained it attends to all tokens alike, so rounding to two precisions can hide what the last of them adds."""
    with pytest.raises(ModelError, match="tokens that come later"):
        LocalBackend(build_family(family, dtype), build_tokenizer(300, bos=False, seed=1), compiled=False)


@pytest.mark.parametrize("dtype", [*PRECISIONS, "float16"])
def test_a_look_ahead_that_rounding_hides_is_detected(dtype: str) -> None:
    """A causal model that adds 1/10,000 of the next token's state: less than bfloat16 keeps."""
    tokenizer = build_tokenizer(300, bos=False, seed=1)
    model = build_model(tokenizer, seed=0).to(getattr(torch, dtype))
    model.model.norm.register_forward_hook(lambda _, __, states: states + 1e-4 * states.roll(-1, 1))
    with pytest.raises(ModelError, match="tokens that come later"):
        LocalBackend(model, tokenizer, compiled=False)


def test_a_choice_among_all_tokens_is_detected_though_it_has_no_gradient() -> None:
    tokenizer = build_tokenizer(300, bos=False, seed=1)
    model = build_model(tokenizer, seed=0)
    embed = model.get_input_embeddings()
    chosen = {"last": 0}
    model.model.norm.register_forward_hook(lambda _, __, states: states * (1 + (chosen["last"] % 2)))
    embed.register_forward_pre_hook(lambda _, given: chosen.update(last=int(given[0][0, -1])))
    with pytest.raises(ModelError, match="tokens that come later"):
        LocalBackend(model, tokenizer, compiled=False)


@pytest.mark.parametrize("dtype", [*PRECISIONS, "float16"])
@pytest.mark.parametrize(
    "family", ["GPT2", "GPTNeoX", "OPT", "Gemma2", "Cohere", "Granite", "Bloom", "Mamba", "Mixtral"]
)
def test_every_causal_family_has_exactly_no_gradient_ahead(family: str, dtype: str) -> None:
    """The gradient of earlier logits is exactly 0, in every precision, so no bound on it comes near a causal model."""
    assert contribution_of_last_token(build_family(family, dtype), torch.arange(2, 14)[None]) == 0
