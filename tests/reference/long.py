"""Fixture for crates/transformer/tests/long.rs: attention for long sequences, with outputs and gradients.

    pip install torch==2.9.0 "transformers<5" safetensors numpy
    python tests/reference/long.py        # writes tests/fixtures/long.safetensors

Windows are compared with Longformer's self-attention and LSH with Reformer's, both of `transformers`; linear
attention with equation 7 of the paper, written out. Each is one layer with a projection of its output behind it.
Parameters have the names and the layout of the Rust modules; masks are integers, 1 = padding; outputs at padding are
zero, for they are nobody's business.
"""

import math
import pathlib
from unittest import mock

import torch
from safetensors.torch import save_file
from torch import nn
from transformers import LongformerConfig, ReformerConfig
from transformers.models.longformer.modeling_longformer import LongformerSelfAttention
from transformers.models.reformer.modeling_reformer import LSHSelfAttention

from models import padding

OUT = pathlib.Path(__file__).parent.parent / "fixtures" / "long.safetensors"
WIDTH, HEADS = 16, 2

tensors = {}


def linears(**named):
    """Path of the Rust module to its tensors: a weight is [in, out] there."""
    parameters = {}
    for name, layer in named.items():
        # Biases start near 0, where a missing one would not show.
        nn.init.normal_(layer.bias, std=0.2)
        path = name.replace("__", ".")
        parameters[f"{path}.weight"] = (layer.weight, lambda t: t.T)
        parameters[f"{path}.bias"] = (layer.bias, lambda t: t)
    return parameters


def write(name, x, hidden, parameters, output):
    output = output.masked_fill(hidden[:, :, None], 0.0)
    probe = torch.randn_like(output)
    (output * probe).sum().backward()
    tensors.update({f"{name}.x": x, f"{name}.padding": hidden.long(), f"{name}.output": output, f"{name}.probe": probe})
    tensors[f"{name}.grad.x"] = x.grad
    for path, (tensor, layout) in parameters.items():
        tensors[f"{name}.model.{path}"] = layout(tensor)
        tensors[f"{name}.grad.model.{path}"] = layout(tensor.grad)


def fill(x, hidden, multiple):
    """Both references want a length that is a multiple of something."""
    behind = -x.shape[1] % multiple
    return nn.functional.pad(x, (0, 0, 0, behind)), nn.functional.pad(hidden, (0, behind), value=True)


def window(name, window, tokens, *lengths):
    """Longformer's window counts both sides."""
    config = LongformerConfig(
        hidden_size=WIDTH, num_attention_heads=HEADS, attention_window=[2 * window], attention_probs_dropout_prob=0.0
    )
    layer, out = LongformerSelfAttention(config, 0), nn.Linear(WIDTH, WIDTH)
    parts = {part: getattr(layer, part) for part in ["query", "key", "value"]}
    if tokens > 0:
        parts |= {f"pattern__Window__global__{part}": getattr(layer, f"{part}_global") for part in list(parts)}
    parameters = linears(**parts, output=out)
    hidden = padding(*lengths)
    x = torch.randn(len(lengths), max(lengths), WIDTH, requires_grad=True)

    filled, masked = fill(x, hidden, 2 * window)
    mask = torch.zeros(masked.shape)
    mask[:, :tokens] = 10000.0
    mask[masked] = -10000.0
    (y,) = layer(
        filled,
        attention_mask=mask,
        is_index_masked=mask < 0,
        is_index_global_attn=mask > 0,
        is_global_attn=tokens > 0,
    )
    write(name, x, hidden, parameters, out(y[:, : max(lengths)]))


def linear(name, projected, longest, shared, *lengths):
    query, key, value, out = (nn.Linear(WIDTH, WIDTH) for _ in range(4))
    e, f = (nn.Parameter(0.3 * torch.randn(projected, longest)) for _ in range(2))
    if shared:
        f = e
    parameters = linears(query=query, key=key, value=value, output=out)
    parameters["pattern.Linear.key"] = (e, lambda t: t)
    if not shared:
        parameters["pattern.Linear.value"] = (f, lambda t: t)
    hidden = padding(*lengths)
    n = max(lengths)
    x = torch.randn(len(lengths), n, WIDTH, requires_grad=True)

    heads = []
    d = WIDTH // HEADS
    for head in range(HEADS):
        part = slice(head * d, (head + 1) * d)
        q = query(x)[:, :, part]
        k = key(x)[:, :, part].masked_fill(hidden[:, :, None], 0.0)
        v = value(x)[:, :, part].masked_fill(hidden[:, :, None], 0.0)
        p = torch.softmax(q @ (e[:, :n] @ k).transpose(1, 2) / math.sqrt(d), dim=-1)
        heads.append(p @ (f[:, :n] @ v))
    write(name, x, hidden, parameters, out(torch.cat(heads, dim=-1)))


def standard_normal(count, seed):
    """The rotations of the Rust module: SplitMix64 through Box and Muller."""
    mask, state, numbers = 2**64 - 1, seed, []

    def uniform():
        nonlocal state
        state = (state + 0x9E3779B97F4A7C15) & mask
        z = state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        z ^= z >> 31
        return ((z >> 11) + 1) / 2**53

    for _ in range(count):
        a, b = uniform(), uniform()
        numbers.append(math.sqrt(-2.0 * math.log(a)) * math.cos(2.0 * math.pi * b))
    return torch.tensor(numbers, dtype=torch.float64).float()


def lsh(name, buckets, rounds, chunk, seed, *lengths):
    d = WIDTH // HEADS
    config = ReformerConfig(
        attn_layers=["lsh"],
        hidden_size=WIDTH,
        num_attention_heads=HEADS,
        attention_head_size=d,
        num_buckets=buckets,
        num_hashes=rounds,
        lsh_attn_chunk_length=chunk,
        lsh_num_chunks_before=1,
        lsh_num_chunks_after=0,
        lsh_attention_probs_dropout_prob=0.0,
        is_decoder=False,
    )
    layer, out = LSHSelfAttention(config), nn.Linear(WIDTH, WIDTH)
    # Reformer's projections have no bias; nothing in its attention minds one.
    layer.query_key, layer.value = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
    parameters = linears(query=layer.query_key, value=layer.value, output=out)
    hidden = padding(*lengths)
    x = torch.randn(len(lengths), max(lengths), WIDTH, requires_grad=True)
    rotations = standard_normal(HEADS * d * rounds * buckets // 2, seed)
    rotations = rotations.reshape(HEADS, d, rounds, buckets // 2)

    # No token so near to two buckets that a last bit decides.
    vectors = layer.query_key(x).unflatten(-1, (HEADS, d))
    rotated = torch.einsum("btmd,mdhr->bmhtr", vectors, rotations)
    first, second = torch.cat([rotated, -rotated], dim=-1).topk(2, dim=-1).values.unbind(-1)
    assert (first - second).min() > 1e-4, (first - second).min()

    filled, masked = fill(x, hidden, chunk)
    with mock.patch("torch.randn", lambda shape, **_: rotations.reshape(shape)):
        y = layer(filled, attention_mask=(~masked).long()).hidden_states
    write(name, x, hidden, parameters, out(y[:, : max(lengths)]))


torch.manual_seed(0)
window("window", 5, 2, 75, 41)
window("window_alone", 33, 0, 70)
linear("linear", 6, 24, False, 20, 11)
linear("linear_shared", 4, 12, True, 12, 7)
lsh("lsh", 6, 3, 8, 5, 45, 30)
lsh("lsh_one_chunk", 4, 2, 16, 1, 11, 6)

save_file({key: tensor.detach().contiguous().clone() for key, tensor in tensors.items()}, OUT)
size = OUT.stat().st_size
assert size < 200_000, f"{size} bytes are too large to commit"
print(OUT.name, size)
