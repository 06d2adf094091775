"""The `mlm` recipe in plain PyTorch: the same model, passages, tokenizer, masking, batches per epoch and schedule.

    pip install torch==2.9.0 safetensors numpy tokenizers cbor2
    crucible train mlm --data brown.txt --seed 0
    python benches/peers/mlm.py runs/mlm-quick-seed0 --data brown.txt --seed 0     # prints its scores as JSON

Reads the configuration, the tokenizer, the validation losses and the last weights of a finished run. Weights are drawn
from the same distributions, batches and hidden tokens from random numbers of its own: what agrees is the recipe.

Which tokens are hidden moves a perplexity by one or two percent. Therefore both models, the twin and the one with the
weights of the run, are measured on the same hidden tokens, and on several draws of them: `spread` is the standard
deviation between draws. `logged` is what the run measured itself, on a draw of its own, and so is `run` in the curve.
Seconds are those of training with its validations.
"""

import argparse
import hashlib
import json
import math
import pathlib
import random
import statistics
import sys
import time

import torch
from torch.nn import functional as F

import step
import twin

# How often hidden tokens are drawn at the end.
DRAWS = 4
# At most how many bytes beyond the end of a passage white space is looked for, and never further than half a passage.
REACH = 1024


def passages(text, size):
    """Train, valid and test: passages of about `size` bytes, whole words each. Of ten in a row the last but one
    validates and the last tests."""

    far = min(max(size // 2, 1), REACH)

    def start(at):
        """The first place from `at` on where a word may start; in text without white space, a character."""
        if at == 0 or at >= len(text):
            return min(at, len(text))
        reach = min(len(text), at + far)
        for place in range(at, reach + 1):
            if text[place - 1] in b" \t\n\r\f":
                return place
        if reach < at + far:
            return len(text)
        return next((i for i in range(at, len(text)) if text[i] & 0xC0 != 0x80), len(text))

    splits = [[], [], []]
    for number in range(-(-len(text) // size)):
        passage = text[start(number * size):start((number + 1) * size)].decode().lstrip("\ufeff")
        splits[{8: 1, 9: 2}.get(number % 10, 0)].append(passage)
    return splits


def digest(path, text):
    """What a run writes down of the file that train, valid and test come from: its name, its length, both its ends."""
    seen = path.name.encode() + len(text).to_bytes(8, "little") + text[:1 << 16] + text[-(1 << 16):]
    return hashlib.sha256(3 * seen).hexdigest()


class Recipe(twin.Twin):
    def __init__(self, run, seed):
        super().__init__(run, seed)
        assert self.config["masking"]["unit"] == "token", "only single tokens are hidden here"
        model = self.config["model"]
        d = model["d_model"]
        self.text = {"pooling": "cls", "encoder": {**self.block, "layers": model["layers"]}}
        self.text_encoder("encoder.text", model["layers"], d, model["d_ff"])
        self.vocabulary = self.tokenizer.get_vocab_size()
        self.mask = self.tokenizer.token_to_id("[MASK]")
        # The output has the word embeddings for its weights, and a bias of its own.
        self.linear("head.hidden", d, d)
        self.norm("head.norm", d)
        self.put("head.bias", torch.zeros(self.vocabulary))

    def tokens(self, texts):
        """For each text its ids, and where a token may be hidden: anywhere but at [CLS] and [SEP]."""
        encoded = [self.tokenizer.encode(text) for text in texts]
        return [(e.ids, [i for i, word in enumerate(e.word_ids) if word is not None]) for e in encoded]

    def hide(self, sample, draw):
        """Ids as the model sees them, the hidden places, and what was there."""
        ids, places = sample
        masking = self.config["masking"]
        wanted = masking["rate"] * len(places)
        # The part of a token that is left over is a chance.
        wanted = int(wanted) + (draw.random() < wanted % 1)
        places = sorted(draw.sample(places, min(max(wanted, 1), len(places))))
        seen = list(ids)
        for place in places:
            fate = draw.random()
            if fate < masking["replace"]:
                seen[place] = draw.randrange(self.vocabulary)
            elif fate >= masking["replace"] + masking["keep"]:
                seen[place] = self.mask
        return seen, places, [ids[place] for place in places]

    def losses(self, parameters, hidden):
        """Of each hidden token."""
        length = max(len(ids) for ids, _, _ in hidden)
        padding = torch.tensor([[i >= len(ids) for i in range(length)] for ids, _, _ in hidden])
        ids = torch.tensor([ids + [0] * (length - len(ids)) for ids, _, _ in hidden])
        rows = torch.tensor([row for row, (_, places, _) in enumerate(hidden) for _ in places])
        columns = torch.tensor([place for _, places, _ in hidden for place in places])
        targets = torch.tensor([target for _, _, targets in hidden for target in targets])
        part = step.Part(parameters)
        x = step.text_encoder(part["encoder"]["text"], self.text, ids, padding)[0][rows, columns]
        x = step.ACTIVATIONS[self.block["activation"]](step.linear(part["head"]["hidden"], x))
        x = step.norm(part["head"]["norm"], x, self.block["norm_epsilon"])
        logits = F.linear(x, parameters["encoder.text.embeddings.word.weight"], parameters["head.bias"])
        return F.cross_entropy(logits, targets, reduction="none")

    def loss(self, batch):
        return self.losses(self.parameters, [self.hide(sample, self.random) for sample in batch]).mean()

    @torch.no_grad()
    def mean_loss(self, parameters, samples, number):
        """Over all hidden tokens of a split, the same ones for every draw of that number."""
        draw = random.Random(number)
        hidden, size = [self.hide(sample, draw) for sample in samples], self.config["loader"]["batch_size"]
        batches = [hidden[i:i + size] for i in range(0, len(hidden), size)]
        return torch.cat([self.losses(parameters, batch) for batch in batches]).mean().item()

    def compare(self, weights, samples, logged):
        """Perplexities of the twin and of the run's weights on the same draws, and the one that the run logged."""
        draws = {name: [math.exp(self.mean_loss(parameters, samples, number)) for number in range(DRAWS)]
                 for name, parameters in [("twin", self.parameters), ("run", weights)]}
        draws["twin_over_run"] = [twins / runs for twins, runs in zip(draws["twin"], draws["run"])]
        of = {name: {"mean": statistics.mean(values), "spread": statistics.stdev(values), "draws": values}
              for name, values in draws.items()}
        return {**of, "logged": math.exp(logged)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=pathlib.Path)
    parser.add_argument("--data", type=pathlib.Path, required=True, help="the text file that the run was trained on")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    record, result = (json.loads((args.run / name).read_text()) for name in ["run.json", "result.json"])
    torch.set_num_threads(record["threads"])
    text = args.data.read_bytes()
    assert digest(args.data, text) == record["data_digest"], f"{args.data} is not the text of this run"
    recipe = Recipe(args.run, args.seed)
    weights = recipe.weights(args.run)
    train, valid, test = map(recipe.tokens, passages(text, recipe.config["passage"]))
    metrics = map(json.loads, (args.run / "metrics.jsonl").read_text().splitlines())
    logged = {m["step"]: m["value"] for m in metrics if (m["split"], m["name"]) == ("valid", "loss")}
    curve = []

    def look(number):
        """Where the run looked, too."""
        if number not in logged:
            return
        curve.append({"step": number, "seconds": time.perf_counter() - started})
        for name, loss in [("twin", recipe.mean_loss(recipe.parameters, valid, 0)), ("run", logged[number])]:
            curve[-1][name] = {"loss": loss, "perplexity": math.exp(loss)}
            print(f"step {number}  {name:4}  loss {loss:.4f}  perplexity {math.exp(loss):.2f}", file=sys.stderr)

    started = time.perf_counter()
    recipe.train(train, look)
    seconds = time.perf_counter() - started
    count = sum(p.numel() for p in recipe.parameters.values())
    assert count == result["parameters"], f"{count} parameters, {result['parameters']} in the run"
    print(json.dumps({
        "seed": args.seed,
        "parameters": count,
        "seconds": {"twin": seconds, "run": result["seconds"]},
        "curve": curve,
        "valid": recipe.compare(weights, valid, logged[max(logged)]),
        "test": recipe.compare(weights, test, result["test"]["loss"]),
    }, indent=1))


if __name__ == "__main__":
    main()
