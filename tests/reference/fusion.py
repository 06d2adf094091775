"""Fixture for tests/fusion.rs: every fusion strategy in plain PyTorch, with outputs, gradients and FLOPs.

    pip install torch==2.9.0 safetensors numpy
    python tests/reference/fusion.py        # writes tests/fixtures/fusion.safetensors

The twins are written from the papers' equations. They compute in float64; what is written is float32.

Keys: `input/*` are the towers' outputs and the pairs (1 = padding, 1 = missing), `head/*` is a linear head, `direction`
that of the gradients. Of each strategy there are `param/<path>` and `grad/<path>` of sum(output * direction), under
the names and in the layout of the Rust module (a linear weight is [in, out], a norm has gamma and beta);
`input_grad/*`, the same with regard to those outputs of the towers that it reads; `output`; `output_missing`, where
some pairs lack an image or a text; `flops` of the forward pass. Where the modalities meet in decisions there are
`decision` and `decision_missing`, through the head.
"""

import math
import pathlib

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

OUT = pathlib.Path(__file__).parent.parent / "fixtures" / "fusion.safetensors"
D, HEADS, D_FF, LAYERS, CLASSES = 8, 2, 16, 2, 3
QUERIES, LATENTS, BOTTLENECKS = 8, 16, 4


class Pairs:
    """Tokens and pooled vectors of each pair; what is missing is one token of zeros and a pooled vector of zeros."""

    def __init__(self, inputs, missing):
        def side(name, padding, of):
            gone = missing[name]
            tokens = inputs[f"{name}/tokens"][of].masked_fill(gone[:, None, None], 0)
            pooled = inputs[f"{name}/pooled"][of].masked_fill(gone[:, None], 0)
            later = torch.arange(tokens.shape[1]) > 0
            return tokens, torch.where(gone[:, None], later, padding[of]), pooled

        padding = inputs["text/padding"].bool()
        nowhere = torch.zeros(inputs["image/tokens"].shape[:2], dtype=torch.bool)
        self.image, self.image_padding, self.v = side("image", nowhere, inputs["image_of"])
        self.text, self.text_padding, self.t = side("text", padding, inputs["text_of"])
        self.there = [~missing[name][:, None] for name in ("image", "text")]


class Part(nn.Module):
    """Layers under their names, and what is computed with them."""

    def __init__(self, compute=None, **layers):
        super().__init__()
        self.compute = compute
        for name, layer in layers.items():
            setattr(self, name, layer)

    def forward(self, *inputs):
        return self.compute(self, *inputs)


def learned(*shape):
    return nn.Parameter(torch.empty(shape))


def norm():
    return nn.LayerNorm(D)


def stacked(make):
    return nn.ModuleList(make() for _ in range(LAYERS))


def largest(tokens, padding):
    """The maximum of each channel over what is not padding."""
    return tokens.masked_fill(padding[..., None], -math.inf).amax(1)


# Blocks: Vaswani et al. 2017, section 3, with the norms where Xiong et al. 2020 have them.


def attend(self, x, context, padding=None):
    projected = self.query(x), self.key(context), self.value(context)
    q, k, v = [y.unflatten(-1, (HEADS, -1)).transpose(1, 2) for y in projected]
    scores = q @ k.mT / math.sqrt(D // HEADS)
    if padding is not None:
        scores = scores.masked_fill(padding[:, None, None], -math.inf)
    return self.output((scores.softmax(-1) @ v).transpose(1, 2).flatten(2))


def attention():
    return Part(attend, **{name: nn.Linear(D, D) for name in ("query", "key", "value", "output")})


def feed_forward():
    return Part(lambda self, x: self.outer(F.gelu(self.inner(x))), inner=nn.Linear(D, D_FF), outer=nn.Linear(D_FF, D))


def pre_norm(self, x, layer):
    return x + layer(self.norm(x))


def residual():
    return Part(pre_norm, norm=norm())


def encode(self, x, padding, context=None, context_padding=None):
    x = self.attention_residual(x, lambda y: self.attention(y, y, padding))
    if context is not None:
        x = self.cross_attention_residual(x, lambda y: self.cross_attention(y, context, context_padding))
    return self.feed_forward_residual(x, self.feed_forward)


def block(**more):
    more |= {"attention": attention(), "attention_residual": residual()}
    return Part(encode, feed_forward=feed_forward(), feed_forward_residual=residual(), **more)


def cross_block():
    return block(cross_attention=attention(), cross_attention_residual=residual())


def through(self, x, padding):
    for layer in self.blocks:
        x = layer(x, padding)
    return self.norm(x)


def encoder():
    return Part(through, blocks=stacked(block), norm=norm())


# Early fusion.


def sequence(self, p):
    """ViLT, section 3.1: [t + t_type; v + v_type] through one encoder."""
    z = torch.cat([p.text + self.modality[0], p.image + self.modality[1]], 1)
    padding = torch.cat([p.text_padding, p.image_padding], 1)
    return self.encoder(z, padding), padding


def joint():
    """ViLT pools tanh of a layer over the first token; here it is gelu of a layer over the maximum."""
    pool = lambda self, p: F.gelu(self.pooler(largest(*sequence(self, p))))
    return Part(pool, modality=learned(2, D), encoder=encoder(), pooler=nn.Linear(D, D))


def wrapped_joint():
    """ModDrop where nothing is dropped, and METER's merged attention."""
    return Part(lambda self, p: self.joint(p), joint=joint())


def additive(self, p):
    """Early summation of the survey of Xu et al.; the text is one vector."""
    x = p.image + self.projection(p.t)[:, None]
    return largest(self.encoder(x, p.image_padding), p.image_padding)


# Mid fusion.


def two_streams(streams, layer, **more):
    """Streams that are normalised, pooled, concatenated and projected at their end."""

    def fuse(self, p):
        v, t = streams(self, p)
        pooled = largest(self.image_norm(v), p.image_padding), largest(self.text_norm(t), p.text_padding)
        return self.projection(torch.cat(pooled, 1))

    layers = stacked(lambda: Part(image=layer(), text=layer()))
    return Part(fuse, layers=layers, image_norm=norm(), text_norm=norm(), projection=nn.Linear(2 * D, D), **more)


def co_attention(self, p):
    """METER, section 3.1: in either stream self-attention, cross-attention, feed-forward network."""
    v, t = p.image, p.text
    for layer in self.layers:
        seen = layer.image(v, p.image_padding, t, p.text_padding)
        v, t = seen, layer.text(t, p.text_padding, v, p.image_padding)
    return v, t


def bottleneck(self, p):
    """MBT, equations 8 and 9: [z_i; b_i] = Transformer_i([z_i; b]) in either stream, then b = Avg_i b_i."""
    v, t = p.image, p.text
    b = self.tokens.expand(len(v), BOTTLENECKS, D)
    paddings = [F.pad(padding, (0, BOTTLENECKS)) for padding in (p.image_padding, p.text_padding)]
    for layer in self.layers:
        v, by_v = layer.image(torch.cat([v, b], 1), paddings[0]).split([v.shape[1], BOTTLENECKS], 1)
        t, by_t = layer.text(torch.cat([t, b], 1), paddings[1]).split([t.shape[1], BOTTLENECKS], 1)
        b = torch.stack([by_v, by_t]).mean(0)
    return v, t


def cross_attention(self, p):
    """ALBEF, section 3.1: its multimodal encoder."""
    t = p.text
    for layer in self.layers:
        t = layer(t, p.text_padding, p.image, p.image_padding)
    return largest(self.norm(t), p.text_padding)


def film_layer():
    return Part(block=block(), modulation=nn.Linear(D, 2 * D))


def film(self, p):
    """FiLM, equations 1 and 2, where the generator gives gamma - 1."""
    x = p.image
    for layer in self.layers:
        gamma, beta = layer.modulation(p.t)[:, None].chunk(2, -1)
        x = (1 + gamma) * layer.block(x, p.image_padding) + beta
    return largest(self.norm(x), p.image_padding)


def resample(self, media, padding):
    """Flamingo, figure 5: x = x + attention(q=x, kv=[x_f, x]), x = x + ffw(x)."""
    x = self.latents.expand(len(media), LATENTS, D)
    padding = F.pad(padding, (0, LATENTS))
    for layer in self.layers:
        read = layer.media_norm(media)
        x = layer.attention_residual(x, lambda y: layer.attention(y, torch.cat([read, y], 1), padding))
        x = layer.feed_forward_residual(x, layer.feed_forward)
    return self.norm(x)


def resampler():
    layers = stacked(lambda: block(media_norm=norm()))
    return Part(resample, latents=learned(LATENTS, D), layers=layers, norm=norm())


def dense(self, y, media):
    """Flamingo, figure 4: y = y + tanh(a) attention(q=y, kv=x), y = y + tanh(b) ffw(y)."""
    y = y + torch.tanh(self.attention_gate) * self.attention(self.attention_norm(y), media)
    return y + torch.tanh(self.feed_forward_gate) * self.feed_forward(self.feed_forward_norm(y))


def gated_layer():
    attends = {"attention_norm": norm(), "attention": attention(), "attention_gate": learned(1)}
    feeds = {"feed_forward_norm": norm(), "feed_forward": feed_forward(), "feed_forward_gate": learned(1)}
    return Part(dense, **attends, **feeds, block=block())


def gated(self, p):
    media, y = self.resampler(p.image, p.image_padding), p.text
    for layer in self.layers:
        y = layer.block(layer(y, media), p.text_padding)
    return largest(self.norm(y), p.text_padding)


def q_former(self, p):
    """BLIP-2, figure 2, reading words as InstructBLIP does, with cross-attention in every layer."""
    q, t = self.queries.expand(len(p.text), QUERIES, D), p.text
    padding = F.pad(p.text_padding, (QUERIES, 0))
    for layer in self.layers:
        both = layer.attention_residual(torch.cat([q, t], 1), lambda x: layer.attention(x, x, padding))
        q, t = both.split([QUERIES, p.text.shape[1]], 1)
        q = layer.cross_attention_residual(q, lambda x: layer.cross_attention(x, p.image, p.image_padding))
        q = layer.query_residual(q, layer.query_network)
        if hasattr(layer, "text"):
            t = layer.text.residual(t, layer.text.network)
    return self.norm(q).mean(1)


def q_former_layer(**text):
    layers = {f"{name}_residual": residual() for name in ("attention", "cross_attention", "query")}
    return Part(attention=attention(), cross_attention=attention(), query_network=feed_forward(), **layers, **text)


def q_former_layers():
    """Nothing would read what the last made of the words."""
    text = lambda: Part(network=feed_forward(), residual=residual())
    return nn.ModuleList([*(q_former_layer(text=text()) for _ in range(LAYERS - 1)), q_former_layer()])


# Late fusion: of the pooled vectors v and t.


def late(fuse, **shapes):
    layers = {name: nn.Linear(*shape) for name, shape in shapes.items()}
    return Part(lambda self, p: fuse(self, p.v, p.t), **layers)


def concatenation(self, v, t):
    return F.gelu(self.projection(torch.cat([v, t, v * t], 1)))


def weighted_sum(self, v, t):
    """Bahdanau et al., appendix A.1.2: a(x) = u . tanh(W x), weights softmax(a)."""
    x = torch.stack([v, t], 1)
    return (self.score(torch.tanh(self.hidden(x))).softmax(1) * x).sum(1)


def gated_sum(self, v, t):
    """GMU, section 3: h = z tanh(W_v v) + (1 - z) tanh(W_t t), z = sigmoid(W_z [v, t])."""
    z = torch.sigmoid(self.gate(torch.cat([v, t], 1)))
    return z * torch.tanh(self.image(v)) + (1 - z) * torch.tanh(self.text(t))


def mutan(self, v, t):
    """MUTAN, section 3: z = sum_r (q' M_r) * (v' N_r), y = z W_o."""
    v, t = self.image_factors(torch.tanh(self.image(v))), self.text_factors(torch.tanh(self.text(t)))
    return self.output(sum(m * n for m, n in zip(v.split(64, 1), t.split(64, 1))))


def factorized_bilinear(self, v, t, epsilon=1e-6):
    """MFB, section 3.1: SumPool(U v * V t, k), signed root of finite slope, then l2 norm to the length sqrt(D)."""
    z = F.avg_pool1d(self.image(v) * self.text(t), 3) * 3
    z = z.sign() * (torch.sqrt(z.abs() + epsilon) - math.sqrt(epsilon))
    return math.sqrt(D) * z / torch.sqrt((z**2).sum(1, keepdim=True) + epsilon)


def tensor_fusion(self, v, t):
    """TFN, section 4.2: [v; 1] x [t; 1]. The outer product is none of matrices and has no FLOPs."""
    v, t = [F.pad(x, (0, 1), value=1.0) for x in (self.image(v), self.text(t))]
    return F.gelu(self.output((v[:, :, None] * t[:, None, :]).flatten(1)))


def low_rank(self, v, t):
    """LMF, section 3.2: the weights of [v; 1] x [t; 1] are sum_r W_v^r x W_t^r."""
    return sum(a * b for a, b in zip(self.image(v).split(D, 1), self.text(t).split(D, 1)))


def judged(self, p):
    return F.gelu(self.image(p.v)), F.gelu(self.text(p.t))


def mean_of_those_there(p, judgements):
    """Zero where there is none."""
    known = [x.masked_fill(~there, math.nan) for x, there in zip(judgements, p.there)]
    return torch.stack(known).nanmean(0).nan_to_num(0)


def judges():
    mean = lambda self, p: mean_of_those_there(p, judged(self, p))
    return Part(mean, image=nn.Linear(D, D), text=nn.Linear(D, D))


def mean_decision(self, p, head):
    return mean_of_those_there(p, [head(x) for x in judged(self, p)])


def product_of_experts(self, p, head):
    """Hinton 2002, equation 1: the logarithm of its numerator, of those experts that are there."""
    experts = [head(x).softmax(1) for x in judged(self.experts, p)]
    return math.prod(torch.where(there, x, 1) for x, there in zip(experts, p.there)).log()


TWINS = {
    "early": joint,
    "early-additive": lambda: Part(additive, projection=nn.Linear(D, D), encoder=encoder()),
    "early-dropout": wrapped_joint,
    "mid": lambda: two_streams(co_attention, cross_block),
    "mid-cross": lambda: Part(cross_attention, layers=stacked(cross_block), norm=norm()),
    "mid-merged": wrapped_joint,
    "mid-bottleneck": lambda: two_streams(bottleneck, block, tokens=learned(BOTTLENECKS, D)),
    "mid-film": lambda: Part(film, layers=stacked(film_layer), norm=norm()),
    "mid-gated": lambda: Part(gated, resampler=resampler(), layers=stacked(gated_layer), norm=norm()),
    "mid-qformer": lambda: Part(q_former, queries=learned(QUERIES, D), layers=q_former_layers(), norm=norm()),
    "late": lambda: late(concatenation, projection=(3 * D, D)),
    "late-average": lambda: late(lambda self, v, t: (v + t) / 2),
    "late-weighted": lambda: late(weighted_sum, hidden=(D, D), score=(D, 1, False)),
    "late-gated": lambda: late(gated_sum, image=(D, D), text=(D, D), gate=(2 * D, D)),
    "late-mutan": lambda: late(
        mutan, image=(D, 64), text=(D, 64), image_factors=(64, 192), text_factors=(64, 192), output=(64, D)
    ),
    "late-mfb": lambda: late(factorized_bilinear, image=(D, 3 * D), text=(D, 3 * D)),
    "late-tensor": lambda: late(tensor_fusion, image=(D, 16), text=(D, 16), output=(17 * 17, D)),
    "late-low-rank": lambda: late(low_rank, image=(D, 4 * D), text=(D, 4 * D)),
    "decision-average": judges,
    "decision-product": lambda: Part(lambda self, p: self.experts(p), experts=judges()),
}
DECISIONS = {"decision-average": mean_decision, "decision-product": product_of_experts}


def parameters(twin):
    """Path, tensor and whether it lies the other way in Rust, for each parameter."""
    for path, module in twin.named_modules():
        for name, tensor in module.named_parameters(recurse=False):
            if isinstance(module, nn.LayerNorm):
                name = {"weight": "gamma", "bias": "beta"}[name]
            yield f"{path}.{name}".lstrip("."), tensor, isinstance(module, nn.Linear) and name == "weight"


def normal(*shape):
    """Numbers that float32 holds."""
    return torch.randn(shape, dtype=torch.float32).double()


def scatter(twin):
    """No parameter stays at a value where a wrong one would not show; scales of norms lie around one."""
    for path, tensor, _ in parameters(twin):
        tensor.data = (0.3 * normal(*tensor.shape) + float(path.endswith("gamma"))).float().double()


def pairs_and_towers():
    """All pairs of 2 images of 5 patches and 3 texts of 4 words, of which the last two of the last text are padding."""
    inputs = {"image/tokens": normal(2, 5, D), "text/tokens": normal(3, 4, D)}
    for name in ("image", "text"):
        inputs[f"{name}/pooled"] = inputs[f"{name}/tokens"].mean(1).float().double()
    inputs["text/padding"] = torch.tensor([[0] * 4, [0] * 4, [0, 0, 1, 1]])
    inputs["image_of"], inputs["text_of"] = torch.tensor([0, 0, 0, 1, 1, 1]), torch.tensor([0, 1, 2, 0, 1, 2])
    missing = {"image": torch.tensor([0, 1, 0, 0, 0, 1]), "text": torch.tensor([0, 0, 0, 1, 0, 1])}
    return inputs, {name: flags.bool() for name, flags in missing.items()}


def main():
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    inputs, missing = pairs_and_towers()
    direction, head = normal(6, D), nn.Linear(D, CLASSES)
    scatter(head)
    tensors = {f"input/{name}": tensor.clone() for name, tensor in inputs.items()}
    tensors |= {f"input/missing/{name}": flags.long() for name, flags in missing.items()}
    tensors |= {"direction": direction, "head/weight": head.weight.T, "head/bias": head.bias}
    read = {name: tensor.requires_grad_() for name, tensor in inputs.items() if tensor.is_floating_point()}
    whole = Pairs(inputs, {name: torch.zeros_like(flags) for name, flags in missing.items()})
    partial = Pairs(inputs, missing)
    print(f"{'strategy':18}{'parameters':>12}{'FLOPs':>10}")
    for name, make in TWINS.items():
        twin = make()
        scatter(twin)
        with FlopCounterMode(display=False) as flops:
            output = twin(whole)
        found = {"output": output, "output_missing": twin(partial)}
        found["flops"] = torch.tensor([flops.get_total_flops()])
        if name in DECISIONS:
            found["decision"] = DECISIONS[name](twin, whole, head)
            found["decision_missing"] = DECISIONS[name](twin, partial, head)
        named = list(parameters(twin))
        sources = [tensor for _, tensor, _ in named] + list(read.values())
        gradients = torch.autograd.grad((output * direction).sum(), sources, retain_graph=True, allow_unused=True)
        for (path, tensor, turned), gradient in zip(named, gradients):
            found[f"param/{path}"], found[f"grad/{path}"] = [x.T if turned else x for x in (tensor, gradient)]
        by_input = zip(read, gradients[len(named) :])
        found |= {f"input_grad/{source}": gradient for source, gradient in by_input if gradient is not None}
        tensors |= {f"{name}/{key}": tensor for key, tensor in found.items()}
        print(f"{name:18}{sum(tensor.numel() for _, tensor, _ in named):>12}{flops.get_total_flops():>10}")
    cast = lambda tensor: tensor.detach().to(torch.float32 if tensor.is_floating_point() else tensor.dtype)
    tensors = {key: cast(tensor).contiguous() for key, tensor in tensors.items()}
    assert all(tensor.double().isfinite().all() for tensor in tensors.values())
    save_file(tensors, OUT)
    assert OUT.stat().st_size < 600_000, f"{OUT} is too large to commit"
    print(OUT.name, OUT.stat().st_size)


if __name__ == "__main__":
    main()
