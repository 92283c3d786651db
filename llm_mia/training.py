"""Fine-tuning: makes a model whose members are known, because they were chosen here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from .backends.local import LocalBackend, quiet

__all__ = ["fine_tune"]

# The label of padding, which the loss leaves out.
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
    """Train *base* on *texts* by AdamW on the next-token loss, and save it with its tokenizer in the folder *out*.

    Every text is seen once an epoch, in an order that *seed* sets, whole and alone: texts are padded, never packed
    together, and padding is in no loss. Texts longer than the model's context are cut at it. *base* itself is changed.
    *progress* gets the number of tokens done and of all tokens to do.
    """
    torch.manual_seed(seed)
    encoded = [torch.from_numpy(ids).long()[: base.info.context] for ids in base.encode(texts)]
    if base.bos is not None:
        encoded = [torch.cat([torch.tensor([base.bos]), ids[:-1]]) for ids in encoded]
    encoded = [ids for ids in encoded if len(ids) > 1]
    total, done = epochs * sum(map(len, encoded)), 0
    model = base.model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, weight_decay=0.0, fused=True)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(epochs):
        for batch in _batches(encoded, batch_size, generator):
            loss = _loss(model, batch, base.device)
            torch.autograd.backward(loss)
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=False)  # to let go of half a gigabyte and ask for it again costs a second
            done += sum(map(len, batch))
            if progress:
                progress(done, total)
    model.eval()
    with quiet():
        model.save_pretrained(out)
        base.tokenizer.save_pretrained(out)


def _batches(encoded: Sequence[Tensor], size: int, generator: torch.Generator) -> Iterator[list[Tensor]]:
    order = torch.randperm(len(encoded), generator=generator).tolist()
    for start in range(0, len(order), size):
        yield [encoded[i] for i in order[start : start + size]]


def _loss(model: Any, batch: Sequence[Tensor], device: torch.device) -> Tensor:
    ids = torch.nn.utils.rnn.pad_sequence(list(batch), batch_first=True, padding_value=0).to(device)
    targets = torch.nn.utils.rnn.pad_sequence(list(batch), batch_first=True, padding_value=IGNORED).to(device)
    logits: Tensor = model(input_ids=ids, use_cache=False).logits
    return cross_entropy(logits[:, :-1].flatten(0, 1).float(), targets[:, 1:].flatten(), ignore_index=IGNORED)
