"""Fixture for the continuous prompts of crates/prompt: what `peft` computes on a tiny GPT-2.

    pip install torch==2.15.0 transformers==4.57.6 peft==0.21.2
    python tests/reference/prompting.py         # writes tests/fixtures/prompt/NAME.safetensors

The backbone is tests/fixtures/weights/gpt2. For each kind of prompt a file holds

    input.ids, input.mask       [2, 7], 1 = seen; the second row is padded on the right
    loss                        [1], mean over all words that are seen and predicted
    prompt.NAME, grad.NAME      a parameter of peft's prompt encoder, as PyTorch lays it out, and its gradient

Every parameter is drawn anew, far from where it starts. What peft gives as labels of the words it lengthens itself:
with prompt tuning and P-tuning the last virtual token predicts the first word; with prefix tuning nothing does.
"""

import pathlib

import peft
import torch
from safetensors.torch import save_file
from transformers import GPT2LMHeadModel

FIXTURES = pathlib.Path(__file__).parent.parent / "fixtures"
TOKENS, HIDDEN = 3, 10
IDS = torch.tensor([[5, 17, 42, 96, 3, 8, 60], [71, 2, 33, 9, 0, 0, 0]])
MASK = torch.tensor([[1] * 7, [1] * 4 + [0] * 3])

COMMON = dict(task_type="CAUSAL_LM", num_virtual_tokens=TOKENS)
KINDS = {
    "prompt-tuning": peft.PromptTuningConfig(**COMMON),
    "p-tuning-mlp": peft.PromptEncoderConfig(
        **COMMON, encoder_reparameterization_type="MLP", encoder_hidden_size=HIDDEN
    ),
    "p-tuning-lstm": peft.PromptEncoderConfig(
        **COMMON, encoder_reparameterization_type="LSTM", encoder_hidden_size=HIDDEN, encoder_num_layers=2
    ),
    "prefix-tuning": peft.PrefixTuningConfig(**COMMON),
    "prefix-tuning-mlp": peft.PrefixTuningConfig(**COMMON, prefix_projection=True, encoder_hidden_size=HIDDEN),
}


def fixture(config, seed):
    model = GPT2LMHeadModel.from_pretrained(FIXTURES / "weights" / "gpt2", attn_implementation="eager").eval()
    model = peft.get_peft_model(model, config)
    encoder = model.prompt_encoder["default"]
    torch.manual_seed(seed)
    for parameter in encoder.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    # Without dropout, yet with the prompt encoder as in training.
    model.eval()
    labels = IDS.masked_fill(MASK == 0, -100)
    loss = model(input_ids=IDS, attention_mask=MASK, labels=labels).loss
    loss.backward()
    assert all(p.grad is None for name, p in model.named_parameters() if "prompt_encoder" not in name)
    tensors = {"input.ids": IDS.int(), "input.mask": MASK.int(), "loss": loss.detach().reshape(1)}
    for name, parameter in encoder.named_parameters():
        tensors[f"prompt.{name}"] = parameter.detach().clone()
        tensors[f"grad.{name}"] = parameter.grad.clone()
    return tensors


def main():
    out = FIXTURES / "prompt"
    out.mkdir(exist_ok=True)
    for seed, (name, config) in enumerate(KINDS.items()):
        tensors = fixture(config, seed)
        save_file(tensors, out / f"{name}.safetensors")
        print(name, tensors["loss"].item(), {key: list(value.shape) for key, value in tensors.items()})


if __name__ == "__main__":
    main()
