"""Fine-tuning: it makes a model with known members, because the caller chooses the training texts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from ..backends.local import MEMORY_ERRORS, LocalBackend, first_line, is_out_of_memory, silence_libraries
from ..errors import ModelError

__all__ = ["fine_tune", "next_token_loss"]

# The label of padding, which the loss ignores.
IGNORED = -100


def fine_tune(
    base: LocalBackend,
    texts: Sequence[str],
    out: Path,
    *,
    epochs: int = 1,
    batch_size: int = 4,
    learning_rate: float = 1e-4,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Train *base* on *texts* with AdamW on the next-token loss, and save it with its tokenizer in the folder *out*.

    Every epoch uses each text once. Where the memory is too small for a step, its texts are computed in smaller groups.
    Texts are padded and not packed together, and padding does not count in the loss. The weights of *base* change.

    Args:
        base: the model to train.
        texts: the members; a text longer than the model's context is cut there.
        out: the folder to write.
        epochs: passes over the texts.
        batch_size: texts in a step.
        learning_rate: of AdamW.
        seed: sets the order of the texts, and dropout.
        progress: called after every step with the tokens completed and the total.

    Raises:
        ModelError: the model fails, or the memory is too small.
    """
    torch.manual_seed(seed)
    opening = torch.tensor(base.opening, dtype=torch.long)
    encoded = [torch.cat([opening, torch.from_numpy(ids).long()])[: base.info.context] for ids in base.encode(texts)]
    encoded = [ids for ids in encoded if len(ids) > 1]
    total, completed = epochs * sum(map(len, encoded)), 0
    model = base.model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, weight_decay=0.0, fused=True)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(epochs):
        for batch in _shuffled_batches(encoded, batch_size, generator):
            with _explained_failure(base.info.id, batch):
                _set_gradients(model, batch, base.device)
                torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                optimizer.zero_grad(set_to_none=False)  # freeing and allocating half a gigabyte costs a second
            completed += sum(map(len, batch))
            if progress:
                progress(completed, total)
    model.eval()
    with silence_libraries():
        model.save_pretrained(out)
        base.tokenizer.save_pretrained(out)


@contextmanager
def _explained_failure(name: str, batch: Sequence[Tensor]) -> Iterator[None]:
    """Turn an error of the model *name* on a *batch* into a `ModelError`."""
    try:
        yield
    except Exception as error:  # hundreds of model classes, each of which fails in its own way
        size = f"a step of {len(batch)} texts, the longest of {max(map(len, batch))} tokens"
        problem = f"fails in {size} ({first_line(error)}): give another model"
        if is_out_of_memory(error):
            problem = f"is out of memory in {size}, computed one text at a time: give shorter texts, or a smaller model"
        raise ModelError(f"model {name!r} {problem}") from error


def _set_gradients(model: Any, batch: Sequence[Tensor], device: torch.device) -> None:
    """Set the gradients of the loss of *batch*: of all texts at once, or of as many as the memory holds."""
    counted = sum(len(ids) - 1 for ids in batch)
    size = len(batch)
    while True:
        try:
            for start in range(0, len(batch), size):
                part = batch[start : start + size]
                share = sum(len(ids) - 1 for ids in part) / counted
                torch.autograd.backward(share * next_token_loss(model, part, device))
            return
        except MEMORY_ERRORS as error:
            if not is_out_of_memory(error) or size == 1:
                raise
        size //= 2
        model.zero_grad()


def _shuffled_batches(encoded: Sequence[Tensor], size: int, generator: torch.Generator) -> Iterator[list[Tensor]]:
    order = torch.randperm(len(encoded), generator=generator).tolist()
    for start in range(0, len(order), size):
        yield [encoded[i] for i in order[start : start + size]]


def next_token_loss(model: Any, batch: Sequence[Tensor], device: torch.device) -> Tensor:
    """The mean cross-entropy of the tokens of a *batch* of texts, without the first token of each text."""
    ids = torch.nn.utils.rnn.pad_sequence(list(batch), batch_first=True, padding_value=0).to(device)
    targets = torch.nn.utils.rnn.pad_sequence(list(batch), batch_first=True, padding_value=IGNORED).to(device)
    logits: Tensor = model(input_ids=ids, use_cache=False).logits
    return cross_entropy(logits[:, :-1].flatten(0, 1).float(), targets[:, 1:].flatten(), ignore_index=IGNORED)
