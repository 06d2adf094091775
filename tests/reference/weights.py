"""Fixtures for reading and writing published checkpoints: tiny random models as their libraries save them.

    pip install torch==2.9.0 torchvision==0.24.0 transformers==4.57.6 open_clip_torch==3.3.0
    python tests/reference/weights.py [NAME...]         # writes tests/fixtures/weights/NAME/

Every parameter is drawn anew, far from where it starts: no bias is zero and no norm is one, so that none can be
mistaken for another. Widths, heads and layers are odd, and differ where they may. Besides the checkpoint a folder holds
golden.safetensors, ids and masks as i32:

    input.ids, .attention_mask (1 = seen), .token_type_ids, .pixel_values, .decoder_ids; the second row is padded
    hidden.0 .. hidden.N    what enters the first block and what leaves each; before the final norm, where one follows
    last                    after the final norm
    pooled, logits, embeds  embeds: mean over what is seen, of length 1 (the layout of sentence-transformers)
    text.*, vision.*        of two towers, with embeds of length 1, and logits_per_image
    encoder.*, decoder.*    of T5
    left.*                  the same rows padded on the left, input.position_ids given; [0, mask = 0] means nothing
    prompt.I, greedy.I      the 12 tokens that follow a prompt greedily; nothing ends the text
    beam.I.ids, .scores     3 beams of 8 tokens, length penalty 1, no early stopping, best first
    beam_eos.I.*            the same where the token `eos` ends a text; what follows it is `eos` again
"""

import copy
import json
import sys
import zlib
from pathlib import Path

import open_clip
import torch
import transformers as hf
from safetensors.torch import save_file

from roundtrip import FIXTURES, generate, generations, outputs

VOCABULARY, LENGTH, SEEN = 97, 11, [11, 7]
ENCODER = dict(hidden_size=48, num_attention_heads=3, num_hidden_layers=2, intermediate_size=52)
BERT = dict(ENCODER, vocab_size=VOCABULARY, max_position_embeddings=20)
VISION = dict(ENCODER, image_size=24, patch_size=8)
DINO = dict(hidden_size=48, num_attention_heads=3, num_hidden_layers=2, mlp_ratio=2, image_size=24, patch_size=8)
CLIP_TEXT = dict(BERT, max_position_embeddings=12, projection_dim=40)
CLIP_VISION = dict(VISION, hidden_size=36, intermediate_size=40, num_hidden_layers=3, projection_dim=40)
GPT = dict(vocab_size=VOCABULARY, n_embd=48, n_head=3, n_layer=2, n_inner=52, n_positions=24, bos_token_id=1,
           eos_token_id=1)
LLAMA = dict(ENCODER, vocab_size=VOCABULARY, num_key_value_heads=1, max_position_embeddings=64, rms_norm_eps=1e-5)
T5 = dict(vocab_size=VOCABULARY, d_model=48, d_kv=12, d_ff=40, num_heads=3, num_layers=3, num_decoder_layers=2,
          relative_attention_num_buckets=8, relative_attention_max_distance=20, decoder_start_token_id=0)
# Of eight frequencies one is kept, two are between and five are divided.
SCALING = dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
               original_max_position_embeddings=64)
OPEN_CLIP = dict(
    embed_dim=40,
    vision_cfg=dict(image_size=24, patch_size=8, width=36, head_width=12, layers=3, mlp_ratio=1.5),
    text_cfg=dict(context_length=LENGTH, vocab_size=VOCABULARY, width=48, heads=3, layers=2, mlp_ratio=1.5),
)


def clip(text, vision):
    return hf.CLIPConfig(text_config=CLIP_TEXT | text, vision_config=CLIP_VISION | vision, projection_dim=40)


def siglip():
    text = dict(BERT, max_position_embeddings=LENGTH, projection_size=36, vocab_size=VOCABULARY)
    return hf.SiglipConfig(text_config=text, vision_config=CLIP_VISION)


def square(processor, **options):
    """A processor that leaves images of 24 x 24."""
    return processor(size={"height": 24, "width": 24}, **options)


def cropped(processor):
    return processor(size={"shortest_edge": 24}, crop_size={"height": 24, "width": 24})


# Of each family one has a norm epsilon that shows where it is not read.
CASES = {
    "bert": lambda: hf.BertModel(hf.BertConfig(**BERT)),
    "bert-mlm": lambda: hf.BertForMaskedLM(hf.BertConfig(**BERT, layer_norm_eps=1e-3)),
    "roberta": lambda: hf.RobertaModel(
        hf.RobertaConfig(**BERT, layer_norm_eps=1e-5, type_vocab_size=1, pad_token_id=1)
    ),
    "minilm": lambda: hf.BertModel(hf.BertConfig(**BERT)),
    "vit": lambda: hf.ViTModel(hf.ViTConfig(**VISION, layer_norm_eps=1e-3)),
    "vit-classifier": lambda: hf.ViTForImageClassification(
        hf.ViTConfig(**VISION, id2label=dict(enumerate(["ant", "bee", "cat", "dog", "elk"])))
    ),
    "deit": lambda: hf.DeiTModel(hf.DeiTConfig(**VISION)),
    "dinov2": lambda: hf.Dinov2Model(hf.Dinov2Config(**DINO)),
    "dinov2-swiglu": lambda: hf.Dinov2Model(hf.Dinov2Config(**DINO, use_swiglu_ffn=True, layer_norm_eps=1e-3)),
    # In OpenAI's checkpoints the end of a text is the largest id; 2 says so. LAION's name the token.
    "clip": lambda: hf.CLIPModel(clip(dict(eos_token_id=2), {})),
    "clip-gelu": lambda: hf.CLIPModel(
        clip(dict(eos_token_id=95, hidden_act="gelu"), dict(hidden_act="gelu", layer_norm_eps=1e-3))
    ),
    "open_clip": lambda: open_clip.CLIP(**OPEN_CLIP),
    "open_clip-quickgelu": lambda: open_clip.CLIP(**OPEN_CLIP, quick_gelu=True),
    "siglip": lambda: hf.SiglipModel(siglip()),
    "gpt2": lambda: hf.GPT2LMHeadModel(hf.GPT2Config(**GPT)),
    "gpt2-untied": lambda: hf.GPT2LMHeadModel(
        hf.GPT2Config(**GPT, tie_word_embeddings=False, layer_norm_epsilon=1e-3)
    ),
    "llama": lambda: hf.LlamaForCausalLM(hf.LlamaConfig(**LLAMA)),
    # Two groups of three heads: with one group their order would not show.
    "smollm2": lambda: hf.LlamaForCausalLM(hf.LlamaConfig(**LLAMA | dict(
        num_attention_heads=6, num_key_value_heads=2, tie_word_embeddings=True, rope_theta=100000.0, rms_norm_eps=1e-3,
    ))),
    "llama3": lambda: hf.LlamaForCausalLM(hf.LlamaConfig(**LLAMA, rope_scaling=SCALING)),
    "qwen2": lambda: hf.Qwen2ForCausalLM(hf.Qwen2Config(**LLAMA | dict(
        num_attention_heads=6, num_key_value_heads=3, tie_word_embeddings=True, rope_theta=1e6, rms_norm_eps=1e-6,
    ))),
    "t5": lambda: hf.T5ForConditionalGeneration(hf.T5Config(**T5)),
    "flan-t5": lambda: hf.T5ForConditionalGeneration(hf.T5Config(
        **T5, feed_forward_proj="gated-gelu", tie_word_embeddings=False, layer_norm_epsilon=1e-3,
    )),
}
PROCESSORS = {
    "vit": lambda: square(hf.ViTImageProcessor),
    "vit-classifier": lambda: square(hf.ViTImageProcessor),
    "deit": lambda: square(hf.DeiTImageProcessor, crop_size={"height": 24, "width": 24}),
    "dinov2": lambda: cropped(hf.BitImageProcessor),
    "dinov2-swiglu": lambda: cropped(hf.BitImageProcessor),
    "clip": lambda: cropped(hf.CLIPImageProcessor),
    "clip-gelu": lambda: cropped(hf.CLIPImageProcessor),
    "siglip": lambda: square(hf.SiglipImageProcessor),
}
CAUSAL = ["gpt2", "gpt2-untied", "llama", "smollm2", "llama3", "qwen2"]
BEAMS = ["llama", "t5"]


def deviation(name, model):
    """0.2, but that T5 leaves to its weights what others divide: scores by the root of a head's width, and what tied
    embeddings say by the root of the width."""
    if not isinstance(model, hf.T5ForConditionalGeneration):
        return 0.2
    if name.endswith(".q.weight"):
        return 0.06
    return 1.0 if name == "shared.weight" and model.config.tie_word_embeddings else 0.2


def draw(model):
    for name, parameter in model.named_parameters():
        drawn = torch.randn_like(parameter)
        # At least 0.05, at most 0.2, of either sign.
        small = drawn.sign() * (0.05 + 0.15 * torch.rand_like(parameter))
        if parameter.ndim > 1 or "class_embedding" in name:
            value = deviation(name, model) * drawn
        elif name.endswith(("bias", "logit_bias")):
            value = small
        else:
            value = 1 + small
        if name == "decoder.final_layer_norm.weight":
            # Else what a token leaves in the residual would have it say itself again.
            value *= torch.randn_like(value).sign()
        parameter.data.copy_(value)
    return model.eval()


def text(pad=0, end=None):
    """Two rows, the second padded; `end` closes both."""
    ids = torch.randint(3, 90, (2, LENGTH))
    mask = torch.tensor([[int(i < n) for i in range(LENGTH)] for n in SEEN])
    if end is not None:
        for row, seen in zip(ids, SEEN):
            row[seen - 1] = end
    return {"ids": torch.where(mask == 1, ids, pad), "attention_mask": mask}


def inputs(name, model):
    """What `input.` stands before."""
    if name.startswith("open_clip"):
        return text(end=96) | {"pixel_values": torch.randn(2, 3, 24, 24)}
    config, x = model.config, {}
    if name.startswith("clip"):
        x = text(end=96) if name == "clip" else text(pad=95, end=95)
        if name == "clip-gelu":
            x["ids"][0, 2] = 96  # larger than the end, as an added token is
    elif name == "siglip":
        # Its towers were trained without a mask: padding is read like any text.
        x = text(pad=1)
        x["attention_mask"][:] = 1
    elif hasattr(config, "vocab_size"):
        x = text(pad=1 if name == "roberta" else 0)
    if getattr(config, "type_vocab_size", 0) > 1:
        x["token_type_ids"] = torch.randint(0, 2, (2, LENGTH))
    if hasattr(config, "image_size") or hasattr(config, "vision_config"):
        x["pixel_values"] = torch.randn(2, 3, 24, 24)
    if config.is_encoder_decoder:
        x["decoder_ids"] = torch.cat([torch.zeros(2, 1, dtype=torch.long), torch.randint(3, 90, (2, 6))], 1)
    return x


def padded_left(x):
    x = {
        key: torch.stack([row.roll(LENGTH - seen) for row, seen in zip(x[key], SEEN)])
        for key in ["ids", "attention_mask"]
    }
    return x | {"position_ids": (x["attention_mask"].cumsum(1) - 1).clamp(min=0)}


def ending(model, prompt):
    """A token with which some of the best texts end early, while others run on."""
    beams = dict(num_beams=3, length_penalty=1.0, early_stopping=False)
    ids, _ = generate(model, prompt, 8, **beams)
    for token in ids[0, 2:6].tolist():
        early = (generate(model, prompt, 8, token, **beams)[0][:, :7] == token).any(1)
        if early.any() and not early.all():
            return torch.tensor([token])
    return None


def telling(model, golden):
    """Whether texts vary, and stay as they are when every parameter moves by a ten-thousandth: no near tie decides."""
    moved = copy.deepcopy(model)
    for parameter in moved.parameters():
        parameter.data *= 1 + 1e-4 * torch.randn_like(parameter)
    texts, others = generations(model, golden), generations(moved, golden)
    ids = [name for name in texts if not name.endswith("scores")]
    varied = all(len(set(texts[name].flatten().tolist())) > (3 if "greedy" in name else 2) for name in ids)
    return varied and all(torch.equal(texts[name], others[name]) for name in ids)


def silent(model, golden, pools):
    """Parameters that no output shows when they change places."""
    found = []
    for name, parameter in model.named_parameters():
        kept = parameter.data.clone()
        parameter.data = kept.roll(1, -1) if kept.numel() > 1 else kept + 0.1
        changed = outputs(model, {key: t for key, t in golden.items() if not key.startswith("prompt.")}, pools)
        parameter.data = kept
        if all(torch.allclose(golden[key], tensor, atol=1e-3) for key, tensor in changed.items()):
            found.append(name)
    return found


def save(name, model, folder):
    if name.startswith("open_clip"):
        save_file(model.state_dict(), folder / "open_clip_model.safetensors")
        config = OPEN_CLIP | ({"quick_gelu": True} if "quickgelu" in name else {})
        preprocess = {"mean": open_clip.OPENAI_DATASET_MEAN, "std": open_clip.OPENAI_DATASET_STD}
        described = {"model_cfg": config, "preprocess_cfg": preprocess}
        (folder / "open_clip_config.json").write_text(json.dumps(described, indent=2))
        return
    model.save_pretrained(folder)
    if name in PROCESSORS:
        PROCESSORS[name]().save_pretrained(folder)
    if name == "llama":
        model.save_pretrained(FIXTURES / "llama-sharded", max_shard_size="60KB")
    if name == "bert":
        other = FIXTURES / "bert-bin"
        model.config.save_pretrained(other)
        torch.save(model.state_dict(), other / "pytorch_model.bin")
    if name == "minilm":
        described = [
            {"idx": i, "name": str(i), "path": f"{i}_{kind}" if i else "",
             "type": f"sentence_transformers.models.{kind}"}
            for i, kind in enumerate(["Transformer", "Pooling", "Normalize"])
        ]
        pooling = {"word_embedding_dimension": 48} | {
            f"pooling_mode_{mode}": mode == "mean_tokens"
            for mode in ["cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens"]
        }
        (folder / "1_Pooling").mkdir(exist_ok=True)
        for file, content in [("modules.json", described), ("1_Pooling/config.json", pooling),
                              ("sentence_bert_config.json", {"max_seq_length": 20, "do_lower_case": False})]:
            (folder / file).write_text(json.dumps(content, indent=2))


def drawn(name, seed):
    """The model and the fixture's inputs; nothing where they do not tell enough."""
    torch.manual_seed(seed)
    model = draw(CASES[name]())
    x = inputs(name, model)
    golden = {f"input.{key}": tensor for key, tensor in x.items()}
    if name in CAUSAL:
        golden |= {f"left.input.{key}": tensor for key, tensor in padded_left(x).items()}
    if name in CAUSAL or name.endswith("t5"):
        golden |= {f"prompt.{i}": torch.randint(3, 90, (length,)) for i, length in enumerate([3, 7])}
    if name in BEAMS:
        golden["eos"] = ending(model, golden["prompt.0"])
    if "prompt.0" in golden and (golden.get("eos", 0) is None or not telling(model, golden)):
        return None
    golden = {key: tensor if tensor.is_floating_point() else tensor.int() for key, tensor in golden.items()}
    return model, golden


def make(name):
    seed = zlib.crc32(name.encode())
    while (found := drawn(name, seed)) is None:
        seed += 1
    model, golden = found
    folder, pools = FIXTURES / name, name == "minilm"
    folder.mkdir(parents=True, exist_ok=True)
    golden |= outputs(model, golden, pools)
    save(name, model, folder)
    save_file(golden, folder / "golden.safetensors")
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    assert size < 500_000, f"{folder} is too large to commit"
    print(f"{name}: {size} bytes; seen in no output: {', '.join(silent(model, golden, pools)) or 'nothing'}")


def main(names):
    torch.set_num_threads(1)
    hf.logging.set_verbosity_error()
    for name in names or CASES:
        make(name)


if __name__ == "__main__":
    main(sys.argv[1:])
