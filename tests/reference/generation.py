"""Fixture for text generation in crates/transformer: distributions and sequences of `transformers`.

    pip install torch==2.9.0 transformers==4.57.6 numpy
    python tests/reference/generation.py        # writes tests/fixtures/generation.json

`distributions` are scores after the processors that `generate` puts together for sampling. `sequences` are what its
greedy search and its beam search make of a model that is a table: the scores of the next token are looked up by a
hash of all tokens before it, in integer arithmetic that crates/transformer/tests/generation.rs has as well. A token
is a letter; the stop strings are found by a criterion on these letters, as the tokens are no tokenizer's.
"""

import itertools
import json
import pathlib

import numpy as np
import torch
from transformers import GenerationConfig, GenerationMixin, PretrainedConfig, PreTrainedModel, StoppingCriteria
from transformers.modeling_outputs import CausalLMOutput

OUT = pathlib.Path(__file__).parent.parent / "fixtures" / "generation.json"
WORD = 0xFFFFFFFF
NEVER = -50.0  # score of the last token, which is padding here and nothing there
OFF = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "repetition_penalty": 1.0}


class TableConfig(PretrainedConfig):
    model_type = "table"

    def __init__(self, vocabulary=2, seed=0, likely=(), by=0.0, **options):
        super().__init__(vocab_size=vocabulary, **options)
        self.seed, self.likely, self.by = seed, likely, by


class Table(PreTrainedModel, GenerationMixin):
    """A table of 2^32 rows, one for each hash of the tokens so far; `likely` tokens score higher `by` so much."""

    config_class = TableConfig

    def __init__(self, config):
        super().__init__(config)
        self.anchor = torch.nn.Parameter(torch.zeros(1))  # a model must be on a device

    def row(self, tokens):
        context = self.config.seed
        for token in tokens:
            context = (context * 31 + token + 1) & WORD
        scores = []
        for token in range(self.config.vocab_size - 1):
            x = (context * 2654435761 + token * 40503 + 12345) & WORD
            x = ((x ^ (x >> 15)) * 2246822519) & WORD
            x ^= x >> 13
            scores.append((x >> 8) / 2**21 - 4.0 + (self.config.by if token in self.config.likely else 0.0))
        return scores + [NEVER]

    def prepare_inputs_for_generation(self, input_ids, attention_mask=None, **_):
        return {"input_ids": input_ids}

    def forward(self, input_ids, **_):
        padding = self.config.vocab_size - 1
        rows = [self.row([token for token in row if token != padding]) for row in input_ids.tolist()]
        return CausalLMOutput(logits=torch.tensor(rows, dtype=torch.float32)[:, None])


class Letters(StoppingCriteria):
    """Ends a sequence whose new tokens, as letters, hold a stop string."""

    def __init__(self, stop_strings, prompt):
        self.stop_strings, self.prompt = stop_strings, prompt

    def __call__(self, input_ids, scores, **_):
        texts = ["".join(chr(ord("a") + token) for token in row[self.prompt :]) for row in input_ids.tolist()]
        return torch.tensor([any(stop in text for stop in self.stop_strings) for text in texts])


def distributions():
    random = np.random.default_rng(7)
    settings = [OFF, {"temperature": 0.7}, {"temperature": 1.9}, {"repetition_penalty": 1.3}]
    settings += [{"repetition_penalty": 0.8, "temperature": 0.5}]
    settings += [{"top_k": k} for k in (1, 2, 5, 16, 1000)]
    settings += [{"top_p": p} for p in (0.001, 0.1, 0.5, 0.9, 0.999)]
    settings += [
        {"temperature": t, "top_k": k, "top_p": p, "repetition_penalty": r}
        for t, k, p, r in itertools.product((0.6, 1.4), (3, 12), (0.3, 0.8), (1.0, 1.2))
    ]
    model = Table(TableConfig())
    cases = []
    for setting in settings:
        setting = OFF | setting
        # Numbers of any kind, few different ones (equal scores), one only (all are equal).
        for kind in ("any", "few", "one"):
            scores = random.normal(0, 3, 24).astype(np.float32)
            scores = {"any": scores, "few": np.round(scores / 2) * 2, "one": np.ones_like(scores)}[kind]
            seen = random.integers(0, 24, 6).tolist()
            processors = model._get_logits_processor(GenerationConfig(do_sample=True, **setting))
            processed = processors(torch.tensor([seen]), torch.tensor(scores)[None].clone())
            probabilities = processed.softmax(-1)[0]
            kept = torch.isfinite(processed[0]).nonzero()[:, 0].tolist()
            cases.append(
                {
                    "config": setting,
                    "scores": [float(score) for score in scores],
                    "seen": seen,
                    "tokens": kept,
                    "probabilities": [float(probabilities[token]) for token in kept],
                }
            )
    return cases


def sequences(seed, prompts, vocabulary=24, stop_ids=(), by=0.0, max_length=1000, **options):
    """What follows each of the prompts, which are one batch, padded on the left."""
    config = {"max_new_tokens": 8, "beams": 1, "length_penalty": 1.0, "repetition_penalty": 1.0, "stop_strings": []}
    config |= options
    model = Table(TableConfig(vocabulary, seed, tuple(stop_ids), by))
    padding, length = vocabulary - 1, max(map(len, prompts))
    search = {"length_penalty": config["length_penalty"], "early_stopping": False} if config["beams"] > 1 else {}
    batch = torch.tensor([[padding] * (length - len(prompt)) + prompt for prompt in prompts])
    output = model.generate(
        batch,
        attention_mask=(batch != padding).long(),
        generation_config=GenerationConfig(
            do_sample=False,
            num_beams=config["beams"],
            **search,
            repetition_penalty=config["repetition_penalty"],
            max_new_tokens=min(config["max_new_tokens"], max_length - length),
            eos_token_id=list(stop_ids) or None,
            pad_token_id=padding,
            use_cache=False,
            return_dict_in_generate=True,
            output_scores=True,
        ),
        stopping_criteria=[Letters(config["stop_strings"], length)],
    )
    expected = []
    for index, (prompt, row) in enumerate(zip(prompts, output.sequences[:, length:].tolist())):
        tokens = [token for token in row if token != padding]
        if config["beams"] > 1:
            score = float(output.sequences_scores[index])
        else:
            score = 0.0
            for place, token in enumerate(tokens):
                score += float(torch.tensor(model.row(prompt + tokens[:place])).log_softmax(-1)[token])
            score /= len(tokens) ** config["length_penalty"]
        expected.append({"tokens": tokens, "score": score})
    return {
        "table": {"seed": seed, "vocabulary": vocabulary, "likely": list(stop_ids), "by": by},
        "max_length": max_length,
        "prompts": prompts,
        "stop_ids": list(stop_ids),
        "config": config,
        "expected": expected,
    }


def all_sequences():
    seeds = itertools.count(1)
    cases = []

    def case(*prompts, **options):
        cases.append(sequences(next(seeds), [list(prompt) for prompt in prompts], **options))

    for beams, length_penalty in itertools.product((1, 2, 3, 4, 5), (0.0, 0.5, 1.0, 2.0)):
        search = {"beams": beams, "length_penalty": length_penalty}
        case([3, 1, 4], **search)
        case([3, 1, 4], stop_ids=[2], by=1.0, **search)
        case([5], stop_ids=[2], by=4.0, max_new_tokens=20, **search)
    for beams, length_penalty in itertools.product((2, 3, 4), (-1.0, 1.0, 2.0)):
        search = {"beams": beams, "length_penalty": length_penalty}
        case([9, 2], [6, 5, 3, 5], [8], stop_ids=[0], by=2.0, max_new_tokens=12, **search)
    for beams in (1, 2, 3, 5):
        case([1, 2, 3], stop_ids=[4, 7], by=2.0, max_new_tokens=16, beams=beams)
        case([1, 2, 2, 3], [3, 4], stop_ids=[6], by=1.0, repetition_penalty=1.4, beams=beams)
        case([1, 2], stop_ids=[6], by=1.0, repetition_penalty=0.7, beams=beams)
        case([7, 7, 7], max_new_tokens=1, beams=beams)
        case([7, 7, 7], max_length=6, beams=beams)
        case([0, 1], stop_ids=[2], by=1.0, stop_strings=["a", "hj", "e"], max_new_tokens=16, beams=beams)
        for length_penalty in (0.0, 1.0):
            stops = {"stop_strings": ["a", "b", "c", "de", "fgh"], "length_penalty": length_penalty}
            case([0, 1], max_new_tokens=16, beams=beams, **stops)
            case([4], max_new_tokens=16, beams=beams, **stops)
    case([1], vocabulary=6, stop_ids=[2], by=1.0, beams=4)  # fewer tokens than candidates
    return cases


if __name__ == "__main__":
    torch.manual_seed(0)
    fixture = {"distributions": distributions(), "sequences": all_sequences()}
    lines = ",\n".join(
        json.dumps(name) + ": [\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]"
        for name, cases in fixture.items()
    )
    OUT.write_text("{\n" + lines + "\n}\n")
    stopped = sum(e["tokens"][-1] in c["stop_ids"] for c in fixture["sequences"] for e in c["expected"])
    print({name: len(cases) for name, cases in fixture.items()}, f"{stopped} sequences end with a stop token")
