"""SmolLM2 from its GGUF in transformers, float32: started by a benchmark, one JSON request a line on stdin.

    {"load": "model.gguf", "threads": 2}         -> {}
    {"prefill": [[1, 7, 4], ...]}                -> {"seconds": ..., "tokens_per_second": ...}
    {"decode": 64, "prompts": [[1, 7, 4], ...]}  -> {"seconds": ..., "tokens_per_second": ..., "ids": [[9, 3, ...], ..]}

Rows are a batch and equally long: 512 ids for prefill, 16 for decoding, one row or four. Prefill is one forward pass
that fills the cache and gives the next token's logits alone, as in `generate`. Decoding counts the passes after it, of
one token a row each, greedily and past any end of text, without what `generate` adds to each; `ids` begins with the
token that the prompt gave. Tokens a second are those of all rows.
"""

import json
import os
import sys
import time
from pathlib import Path

os.environ["TQDM_DISABLE"] = "1"  # of hundreds of tensors

try:
    import gguf  # noqa: F401, what transformers reads the file with
    import torch
    import transformers
except ImportError as error:
    needed = "torch==2.9.0 transformers==4.57.6 gguf==0.19.0"
    message = f"{sys.executable}: {error}; pip install {needed}, or set CRUCIBLE_PYTHON"
    print(json.dumps({"error": message}), flush=True)
    sys.exit(1)


def load(path, threads):
    torch.set_num_threads(threads)
    transformers.logging.set_verbosity_error()
    path = Path(path)
    model = transformers.AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32)
    return model.eval()


def forward(model, ids, cache=None):
    """The next token of each row, `[batch, 1]`, and the cache."""
    y = model(ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
    return y.logits[:, -1:].argmax(-1), y.past_key_values


def timed(seconds, tokens):
    return {"seconds": seconds, "tokens_per_second": tokens / seconds}


def prefill(model, rows):
    ids = torch.tensor(rows)
    start = time.perf_counter()
    forward(model, ids)
    return timed(time.perf_counter() - start, ids.numel())


def decode(model, rows, count):
    token, cache = forward(model, torch.tensor(rows))
    tokens = [token]
    start = time.perf_counter()
    for _ in range(count):
        token, cache = forward(model, token, cache)
        tokens.append(token)
    seconds = time.perf_counter() - start
    return timed(seconds, count * len(rows)) | {"ids": torch.cat(tokens, 1).tolist()}


@torch.inference_mode()
def answer(model, request):
    if "load" in request:
        return load(request["load"], request["threads"]), {}
    if "prefill" in request:
        return model, prefill(model, request["prefill"])
    return model, decode(model, request["prompts"], request["decode"])


def main():
    model = None
    print("{}", flush=True)
    for line in sys.stdin:
        model, result = answer(model, json.loads(line))
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
