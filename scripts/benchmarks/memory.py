"""Peak memory of a scoring pass, less that of the loaded model."""

from __future__ import annotations

from .figures import Figure, in_a_process

ONE_BATCH = """
import json, resource, sys
import numpy as np, transformers
from llm_mia.backends import load_model
from llm_mia.backends.local import LocalBackend
from llm_mia.records import Window
backend = load_model("embedded", dtype="float32")
model, vocabulary = backend.model, int(sys.argv[1])
if vocabulary != model.config.vocab_size:
    config = model.config
    config.vocab_size, config.tie_word_embeddings = vocabulary, False
    model = transformers.AutoModelForCausalLM.from_config(config)
backend = LocalBackend(model, backend.tokenizer, weights_sha256="", tokens_per_batch=2048)
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()
rng = np.random.default_rng(0)
windows = [Window(rng.integers(0, 49_000, 256).astype(np.int32), 1) for _ in range(8)]
backend.score([Window(windows[0].tokens[:8], 1)])
before = resident()
peak = open("/proc/self/clear_refs", "w"); peak.write("5"); peak.close()
backend.score(windows)
high = next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps({"above": high - before, "head": backend.info.head}))
"""


def memory_figures() -> list[Figure]:
    """Peak memory for 8 × 256 tokens in one batch, with the model's vocabulary and with a random head of 262,144."""
    figures = []
    for vocabulary in (49_152, 262_144):
        above = in_a_process(ONE_BATCH, vocabulary)
        assert above["head"] == "blocked"
        whole = 8 * 256 * vocabulary * 4 / 1e6
        figures.append(
            Figure(
                f"peak memory above the loaded model, 8 × 256 tokens, vocabulary {vocabulary:,}",
                above["above"] / 1e6,
                "MB",
                at_most=300,
                note=f"all logits would take {whole:,.0f} MB",
            )
        )
    return figures
