"""Loads an exported checkpoint with the class that made its fixture, and runs it on the fixture's inputs.

    pip install torch==2.9.0 torchvision==0.24.0 transformers==4.57.6 open_clip_torch==3.3.0
    python tests/reference/roundtrip.py FOLDER NAME       # NAME is a folder of tests/fixtures/weights

Fails, with 1, where a key is missing, unexpected or of another shape, where a parameter is not the fixture's to the
last bit, and where an output differs from golden.safetensors by more than 1e-5. `weights.py` makes the fixtures, says
what is in golden.safetensors, and takes the outputs from here.
"""

import contextlib
import json
import sys
from pathlib import Path
from unittest import mock

import torch
import transformers
from safetensors.torch import load_file

FIXTURES = Path(__file__).parent.parent / "fixtures" / "weights"
TOLERANCE = 1e-5
# What the final norm of a tower is called. Not there in BERT, whose blocks end with one.
FINAL_NORMS = ["layernorm", "ln_f", "norm", "final_layer_norm", "post_layernorm"]
INPUTS = {"ids": "input_ids", "decoder_ids": "decoder_input_ids"}


def is_input(name):
    return name == "eos" or name.startswith(("input.", "left.input.", "prompt."))


def load_open_clip(folder):
    """The model, and what is wrong with the keys."""
    import open_clip

    config = json.loads((folder / "open_clip_config.json").read_text())["model_cfg"]
    model = open_clip.CLIP(**config).eval()
    tensors = load_file(folder / "open_clip_model.safetensors")
    wanted = {name: tensor.shape for name, tensor in model.state_dict().items()}
    found = {name: tensor.shape for name, tensor in tensors.items()}
    problems = [f"missing {name}" for name in wanted.keys() - found.keys()]
    problems += [f"unexpected {name}" for name in found.keys() - wanted.keys()]
    problems += [f"mismatched {name}" for name in wanted.keys() & found.keys() if wanted[name] != found[name]]
    if not problems:
        model.load_state_dict(tensors, strict=True)
    return model, problems


def load(folder, architecture=None):
    """The model, and what is wrong with the keys. Of `architecture`, or of the one that config.json names."""
    if (folder / "open_clip_config.json").exists():
        return load_open_clip(folder)
    named = json.loads((folder / "config.json").read_text()).get("architectures")
    kind = getattr(transformers, architecture or named[0])
    model, info = kind.from_pretrained(
        folder, dtype=torch.float32, output_loading_info=True, ignore_mismatched_sizes=True
    )
    problems = [
        f"{word} {name}"
        for word in ["missing", "unexpected", "mismatched"]
        for name in info[f"{word}_keys"]
    ]
    if architecture not in [None, *(named or [])]:
        problems.append(f"architectures is {named}, not {architecture}")
    return model.eval(), problems + info["error_msgs"]


@contextlib.contextmanager
def watched(modules, seen):
    """Appends what enters and what leaves each of `modules`, as often as they run."""

    def hook(_, inputs, output):
        seen.append((inputs[0], output[0] if isinstance(output, tuple) else output))

    handles = [module.register_forward_hook(hook) for module in modules]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def final_norm(tower):
    return watched([getattr(tower, name) for name in FINAL_NORMS if hasattr(tower, name)], [])


def states(prefix, hidden, norm):
    """Some towers end in the state after the last block, some in what the final norm makes of it: here is both."""
    hidden, named = list(hidden), {}
    if norm and norm[0][0].ndim == 3:
        hidden[-1], named[f"{prefix}last"] = norm[0]
    return named | {f"{prefix}hidden.{i}": state for i, state in enumerate(hidden)}


def one_tower(model, x):
    with final_norm(model.base_model) as norm:
        y = model(**x, output_hidden_states=True)
    out = states("", y.hidden_states, norm)
    for name, key in [("pooled", "pooler_output"), ("logits", "logits")]:
        if y.get(key) is not None:
            out[name] = y[key]
    return out


def encoder_decoder(model, x):
    with final_norm(model.encoder) as encoder, final_norm(model.decoder) as decoder:
        y = model(**x, output_hidden_states=True)
    out = {"logits": y.logits} | states("encoder.", y.encoder_hidden_states, encoder)
    return out | states("decoder.", y.decoder_hidden_states, decoder)


def between(blocks):
    """SigLIP and open_clip do not give these states themselves."""
    return [blocks[0][0]] + [output for _, output in blocks]


def two_towers(model, x):
    text, vision = model.text_model, model.vision_model
    with (
        watched(text.encoder.layers, []) as text_blocks, final_norm(text) as text_norm,
        watched(vision.encoder.layers, []) as vision_blocks, final_norm(vision) as vision_norm,
    ):
        y = model(**x)
    return states("text.", between(text_blocks), text_norm) | states("vision.", between(vision_blocks), vision_norm) | {
        "text.pooled": y.text_model_output.pooler_output,
        "text.embeds": y.text_embeds,
        "vision.pooled": y.vision_model_output.pooler_output,
        "vision.embeds": y.image_embeds,
        "logits_per_image": y.logits_per_image,
    }


def open_clip_towers(model, x):
    vision = model.visual
    with (
        watched(model.transformer.resblocks, []) as text_blocks, watched([model.ln_final], []) as text_norm,
        watched(vision.transformer.resblocks, []) as vision_blocks, watched([vision.ln_post], []) as vision_norm,
    ):
        text = model.encode_text(x["input_ids"], normalize=True)
        image = model.encode_image(x["pixel_values"], normalize=True)
    ends = x["input_ids"].argmax(1)
    # As in transformers' CLIP, the norm after the vision tower belongs to what is pooled.
    return states("text.", between(text_blocks), text_norm) | states("vision.", between(vision_blocks), []) | {
        "text.pooled": text_norm[0][1][torch.arange(len(ends)), ends],
        "text.embeds": text,
        "vision.pooled": vision_norm[0][1][:, 0],
        "vision.embeds": image,
        "logits_per_image": model.logit_scale.exp() * image @ text.T,
    }


def mean_pooled(last, mask):
    """What sentence-transformers' Pooling and Normalize make of the last states."""
    mask = mask[:, :, None].float()
    return torch.nn.functional.normalize((last * mask).sum(1) / mask.sum(1), dim=1)


def generate(model, prompt, length, eos=None, **beams):
    """The new tokens of a prompt, and the scores of beams. No token ends a text but `eos`."""
    settings = transformers.GenerationConfig(
        max_new_tokens=length, do_sample=False, pad_token_id=0, eos_token_id=eos, decoder_start_token_id=0,
        num_return_sequences=beams.get("num_beams", 1), return_dict_in_generate=True, output_scores=True, **beams,
    )
    # Given to `generate`, the settings would get the model's own end of text where they have none.
    with mock.patch.object(model, "generation_config", settings):
        y = model.generate(prompt[None], attention_mask=torch.ones_like(prompt)[None])
    start = 1 if model.config.is_encoder_decoder else len(prompt)
    return y.sequences[:, start:], y.get("sequences_scores")


def generations(model, golden):
    out = {}
    for i in range(sum(name.startswith("prompt.") for name in golden)):
        prompt = golden[f"prompt.{i}"].long()
        out[f"greedy.{i}"] = generate(model, prompt, 12)[0][0]
        if "eos" in golden:
            for name, eos in [("beam", None), ("beam_eos", golden["eos"].item())]:
                ids, scores = generate(
                    model, prompt, 8, eos, num_beams=3, length_penalty=1.0, early_stopping=False
                )
                out |= {f"{name}.{i}.ids": ids, f"{name}.{i}.scores": scores}
    return out


@torch.no_grad()
def outputs(model, golden, pools):
    """All that a fixture holds beside its inputs. `pools`: with the embedding of sentence-transformers."""
    if hasattr(model, "ln_final"):
        run = open_clip_towers
    elif hasattr(model, "vision_model"):
        run = two_towers
    else:
        run = encoder_decoder if model.config.is_encoder_decoder else one_tower
    out = {}
    for side in ["", "left."]:
        start = f"{side}input."
        x = {
            INPUTS.get(name.removeprefix(start), name.removeprefix(start)): tensor
            for name, tensor in golden.items()
            if name.startswith(start)
        }
        x = {name: tensor if tensor.is_floating_point() else tensor.long() for name, tensor in x.items()}
        if x:
            out |= {side + name: tensor for name, tensor in run(model, x).items()}
    if pools:
        last = out[f"hidden.{model.config.num_hidden_layers}"]
        out["embeds"] = mean_pooled(last, golden["input.attention_mask"])
    out |= generations(model, golden)
    return {
        name: (tensor if tensor.is_floating_point() else tensor.int()).contiguous() for name, tensor in out.items()
    }


def differences(name, found, wanted):
    """The largest, and what is wrong."""
    if found.shape != wanted.shape:
        return 0, [f"{name} is {list(found.shape)}, not {list(wanted.shape)}"]
    largest = (found.double() - wanted.double()).abs().max().item()
    return largest, [] if largest <= TOLERANCE else [f"{name} differs by {largest:.1e}"]


def main(folder, name):
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    original, _ = load(FIXTURES / name)
    model, problems = load(Path(folder), None if name.startswith("open_clip") else type(original).__name__)
    largest = 0
    if not problems:
        parameters = model.state_dict()
        for key, tensor in original.state_dict().items():
            if key not in parameters or not torch.equal(tensor, parameters[key]):
                problems.append(f"{key} has other values")
        golden = load_file(FIXTURES / name / "golden.safetensors")
        found = outputs(model, golden, pools=(FIXTURES / name / "modules.json").exists())
        assert found.keys() == {key for key in golden if not is_input(key)}, "the fixture is of another version"
        for key, tensor in found.items():
            difference, wrong = differences(key, tensor, golden[key])
            largest = max(largest, difference)
            problems += wrong
    if problems:
        sys.exit(f"{name}: {'; '.join(sorted(problems))}")
    print(f"{name}: {len(found)} outputs, at most {largest:.1e} off; {len(parameters)} tensors as they were")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
