"""Print how far scores differ from a plain computation: .venv/bin/python scripts/check_scores.py [MODEL] [PASSAGES].

The plain computation feeds one passage at a time and reduces the logits of the model in float64. The package runs over
batches of three sizes, in input order and shuffled.
"""

from __future__ import annotations

import random
import sys
import zlib
from pydoc_data.topics import topics
from typing import Any

import numpy as np
import torch

from llm_mia import load_model
from llm_mia.attacks import ATTACKS
from llm_mia.backends.local import LocalBackend
from llm_mia.records import Window


def plain(model: Any, tokenizer: Any, text: str) -> dict[str, np.ndarray[Any, Any]]:
    """Log-likelihood, mean and standard deviation at every token but the first."""
    ids = torch.tensor([tokenizer(text, add_special_tokens=False).input_ids])
    with torch.inference_mode():
        logp = torch.log_softmax(model(ids).logits[0, :-1].double(), -1)
    p, logprob = logp.exp(), logp.gather(1, ids[0, 1:, None])[:, 0]
    mean = (p * logp).sum(-1)
    std = (p * logp**2).sum(-1).sub(mean**2).sqrt()
    return {"logprob": logprob.numpy(), "mean": mean.numpy(), "std": std.numpy()}


def expected(text: str, target: dict[str, Any], lowered: dict[str, Any]) -> dict[str, float]:
    """Scores of attacks that need no reference, from the formulas."""
    logprob, count = target["logprob"], max(1, int(0.2 * len(target["logprob"])))
    standardised = (logprob - target["mean"]) / target["std"]
    return {
        "loss": logprob.mean(),
        "confidence": np.exp(logprob).mean(),
        "zlib": logprob.mean() / len(zlib.compress(text.encode())),
        "lowercase": lowered["logprob"].mean() / logprob.mean(),
        "min_k": np.sort(logprob)[:count].mean(),
        "min_k++": np.sort(standardised)[:count].mean(),
    }


def main(name: str = "embedded", passages: str = "200") -> None:
    """A row for each attack: the largest difference over all passages, batch sizes and orders."""
    rng = random.Random(0)  # noqa: S311 - a reproducible draw
    words = " ".join(topics[topic] for topic in sorted(topics)).split()
    starts = [rng.randrange(len(words) - 200) for _ in range(int(passages))]
    texts = [" ".join(words[start : start + rng.randint(3, 150)]) for start in starts]
    backend: Any = load_model(name, dtype="float32")
    wanted = [expected(t, *(plain(backend.model, backend.tokenizer, text) for text in (t, t.lower()))) for t in texts]
    worst = dict.fromkeys(wanted[0], 0.0)
    for batch, shuffled in ((1, False), (512, True), (4096, False), (4096, True)):
        ours = LocalBackend(backend.model, backend.tokenizer, tokens_per_batch=batch)
        ours.tokenizer.padding_side = "left" if shuffled else "right"
        order = rng.sample(range(len(texts)), len(texts)) if shuffled else range(len(texts))
        windows = [[Window(ids, 1) for ids in ours.encode([f(texts[i]) for i in order])] for f in (str, str.lower)]
        for i, target, lowered in zip(order, *map(ours.score, windows), strict=True):
            evidence = {"target": target, "lowered": lowered, "text": texts[i]}
            for attack, value in wanted[i].items():
                worst[attack] = max(worst[attack], abs(ATTACKS[attack].score(evidence) - value))
    print(f"{name}, {len(texts)} passages of 3 to 150 words, batches of 1, 512 and 4096 tokens, in order and shuffled")
    for attack, difference in worst.items():
        print(f"{attack:12} largest difference {difference:.1e}")


if __name__ == "__main__":
    main(*sys.argv[1:])
