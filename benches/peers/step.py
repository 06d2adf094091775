"""The models of benches/step.rs in plain PyTorch: started by it, one JSON request a line on stdin.

    {"load": "start.safetensors", "description": {...}}    -> {}
    {"steps": 3}                                           -> {"losses": [...], "seconds": [...]}
    {"memory": true}                                       -> {"bytes": ...}, the peak since the start

Parameters keep the names of the Rust modules. They are laid out as PyTorch likes them when they are loaded,
and its fast paths are used where it has them: convolutions, fused attention, fused AdamW.
"""

import json
import sys
import time

try:
    import torch
    from safetensors.torch import load_file
    from torch.nn import functional as F
except ImportError as error:
    message = f"{sys.executable}: {error}; pip install torch==2.9.0 safetensors numpy, or set CRUCIBLE_PYTHON"
    print(json.dumps({"error": message}), flush=True)
    sys.exit(1)

ACTIVATIONS = {"gelu": F.gelu, "relu": F.relu, "gelu-tanh": lambda x: F.gelu(x, approximate="tanh")}


def layout(name, weight, cells):
    """From the layout of the Rust modules, `[in, out]`, to that of torch.nn."""
    if name.endswith("convolution.weight"):
        # Rows are (dy, dx, y, x, channel), where y and x are places in a folded cell.
        rows, out = weight.shape
        cell = cells["stem"] if ".stem.0." in name else 1
        w = weight.reshape(3, 3, cell, cell, rows // (9 * cell * cell), out)
        return w.permute(5, 4, 2, 3, 0, 1).reshape(out, rows // 9, 3, 3)
    if name.endswith("patch_embedding.projection.weight"):
        rows, out = weight.shape
        cell = cells["projection"]
        return weight.reshape(cell, cell, rows // (cell * cell), out).permute(3, 2, 0, 1)
    if name.endswith(".weight") and "embeddings." not in name:
        return weight.T
    return weight


class Part:
    """The parameters below a path."""

    def __init__(self, tensors, path=""):
        self.tensors, self.path = tensors, path

    def __getitem__(self, name):
        return Part(self.tensors, f"{self.path}{name}.")

    def __getattr__(self, name):
        return self.tensors[self.path + name]


def linear(p, x):
    return F.linear(x, p.weight, p.bias)


def norm(p, x, epsilon):
    return F.layer_norm(x, x.shape[-1:], p.gamma, p.beta, epsilon)


def attention(p, config, x, context, visible):
    """`visible`: [batch, 1, 1, keys], true = may be attended to, or None."""

    def heads(x):
        return x.unflatten(-1, (config["heads"], -1)).transpose(1, 2)

    query, key, value = (heads(linear(p[name], y)) for name, y in [("query", x), ("key", context), ("value", context)])
    y = F.scaled_dot_product_attention(query, key, value, attn_mask=visible)
    return linear(p["output"], y.transpose(1, 2).flatten(2))


def feed_forward(p, config, x):
    return linear(p["outer"], ACTIVATIONS[config["activation"]](linear(p["inner"], x)))


def block(p, config, x, visible, context=None, context_visible=None):
    """With cross-attention when there is a context."""
    epsilon = config["norm_epsilon"]
    if config["norm"] == "post":
        assert context is None
        x = norm(p["attention_residual"]["norm"], x + attention(p["attention"], config, x, x, visible), epsilon)
        return norm(p["feed_forward_residual"]["norm"], x + feed_forward(p["feed_forward"], config, x), epsilon)
    y = norm(p["attention_residual"]["norm"], x, epsilon)
    x = x + attention(p["attention"], config, y, y, visible)
    if context is not None:
        y = norm(p["cross_attention_residual"]["norm"], x, epsilon)
        x = x + attention(p["cross_attention"], config, y, context, context_visible)
    y = norm(p["feed_forward_residual"]["norm"], x, epsilon)
    return x + feed_forward(p["feed_forward"], config, y)


def encoder(p, config, x, padding=None):
    visible = None if padding is None else ~padding[:, None, None, :]
    for i in range(config["layers"]):
        x = block(p["blocks"][i], config, x, visible)
    return x if config["norm"] == "post" else norm(p["norm"], x, config["norm_epsilon"])


def pool(pooling, x, padding=None):
    if pooling == "cls":
        return x[:, 0]
    if pooling == "mean":
        seen = torch.ones(x.shape[:2]) if padding is None else (~padding).float()
        return (x * seen[:, :, None]).sum(1) / seen.sum(1, keepdim=True)
    assert pooling == "max"
    if padding is not None:
        x = x.masked_fill(padding[:, :, None], -1e4)
    return x.amax(1)


def vit(p, config, images):
    x = F.pixel_unshuffle(images, config["stem_cell"])
    for i in range(len(config["stem"])):
        stage = p["patch_embedding"]["stem"][i]
        x = F.conv2d(x, stage["convolution"].weight, stage["convolution"].bias, stride=2, padding=1)
        x = norm(stage["norm"], x.permute(0, 2, 3, 1), 1e-6).permute(0, 3, 1, 2)
        x = ACTIVATIONS[config["encoder"]["activation"]](x)
    projection = p["patch_embedding"]["projection"]
    x = F.conv2d(x, projection.weight, projection.bias, stride=projection.weight.shape[-1])
    x = x.flatten(2).transpose(1, 2)
    if config["pooling"] == "cls":
        x = torch.cat([p.class_token.expand(len(x), -1, -1), x], 1)
    x = encoder(p["encoder"], config["encoder"], x + p["position"].Learned)
    return x, pool(config["pooling"], x)


def text_encoder(p, config, ids, padding):
    embeddings = p["embeddings"]
    x = F.embedding(ids, embeddings["word"].weight) + embeddings["position"].Learned[: ids.shape[1]]
    x = norm(embeddings["norm"], x, config["encoder"]["norm_epsilon"])
    x = encoder(p["encoder"], config["encoder"], x, padding)
    return x, pool(config["pooling"], x, padding)


def early(p, config, block_config, image, text, padding, image_of, text_of):
    text = text[0] + p.modality[0]
    image = image[0] + p.modality[1]
    x = torch.cat([text[text_of], image[image_of]], 1)
    padding = F.pad(padding[text_of], (0, image.shape[1]), value=False)
    x = encoder(p["encoder"], {**block_config, "layers": config["layers"]}, x, padding)
    pooled = linear(p["pooler"], pool(config["pooling"], x, padding))
    return ACTIVATIONS[block_config["activation"]](pooled)


def mid(p, config, block_config, image, text, padding, image_of, text_of):
    image, text, padding = image[0][image_of], text[0][text_of], padding[text_of]
    visible = ~padding[:, None, None, :]
    for i in range(config["layers"]):
        layer = p["layers"][i]
        image, text = (
            block(layer["image"], block_config, image, None, text, visible),
            block(layer["text"], block_config, text, visible, image, None),
        )
    image = norm(p["image_norm"], image, block_config["norm_epsilon"])
    text = norm(p["text_norm"], text, block_config["norm_epsilon"])
    pooled = [pool(config["pooling"], image), pool(config["pooling"], text, padding)]
    return linear(p["projection"], torch.cat(pooled, 1))


def late(p, config, block_config, image, text, padding, image_of, text_of):
    image, text = image[1][image_of], text[1][text_of]
    parts = [image, text] + [image * text] * config["product"]
    return ACTIVATIONS[block_config["activation"]](linear(p["projection"], torch.cat(parts, 1)))


FUSIONS = {"early": ("Early", early), "mid": ("Mid", mid), "late": ("Late", late)}


def fusion_loss(p, config, batch):
    image = vit(p["encoder"]["vision"], config["vision"], batch["images"])
    padding = batch["padding"] == 1
    text = text_encoder(p["encoder"]["text"], config["text"], batch["tokens"], padding)
    variant, fuse = FUSIONS[config["fusion"]["strategy"]]
    fused = fuse(
        p["encoder"]["fusion"][variant], config["fusion"], config["vision"]["encoder"],
        image, text, padding, batch["image_of"], batch["text_of"],
    )
    hidden = ACTIVATIONS[config["vision"]["encoder"]["activation"]](linear(p["hidden"], fused))
    return F.cross_entropy(linear(p["output"], hidden), batch["targets"])


def vit_loss(p, config, batch):
    _, pooled = vit(p["vit"], config, batch["images"])
    return F.cross_entropy(linear(p["output"], pooled), batch["targets"])


def bert_loss(p, config, batch):
    embeddings = p["text"]["embeddings"]
    tokens = batch["tokens"]
    x = F.embedding(tokens, embeddings["word"].weight) + embeddings["position"].Learned[: tokens.shape[1]]
    epsilon = config["encoder"]["norm_epsilon"]
    x = encoder(p["text"]["encoder"], config["encoder"], norm(embeddings["norm"], x, epsilon))
    x = x.flatten(0, 1)[batch["positions"]]
    x = norm(p["norm"], F.gelu(linear(p["hidden"], x)), epsilon)
    return F.cross_entropy(F.linear(x, embeddings["word"].weight, p.bias), batch["targets"])


def tokens_loss(p, config, batch):
    x = encoder(p, config, batch["tokens"])
    return (x[:, :, 0] - x[:, :, 1]).square().mean()


LOSSES = {"tokens": tokens_loss, "fusion": fusion_loss, "vit": vit_loss, "bert": bert_loss}


def memory(key):
    """Bytes that the system counts for this process."""
    for line in open("/proc/self/status"):
        if line.startswith(key + ":"):
            return 1024 * int(line.split()[1])


class Trainer:
    def __init__(self, path, description):
        torch.set_num_threads(description["threads"])
        config = description["config"]
        ((kind, self.config),) = config.items()
        self.loss = LOSSES[kind]
        vision = self.config.get("vision", self.config)
        cells = {}
        if "stem" in vision:
            stride = vision["stem_cell"] * 2 ** len(vision["stem"])
            cells = {"stem": vision["stem_cell"], "projection": vision["patch_size"] // stride}

        self.parameters, self.batch = {}, {}
        for name, tensor in load_file(path).items():
            kind, name = name.split(".", 1)
            if kind == "batch":
                self.batch[name] = tensor if tensor.is_floating_point() else tensor.long()
            else:
                self.parameters[name] = layout(name, tensor, cells).contiguous().requires_grad_()

        options = description["optimizer"]
        without = set(description["no_decay"])
        assert without <= set(self.parameters), without - set(self.parameters)
        groups = [
            {"params": [p for n, p in self.parameters.items() if n not in without]},
            {"params": [p for n, p in self.parameters.items() if n in without], "weight_decay": 0.0},
        ]
        self.optimizer = torch.optim.AdamW(
            groups,
            lr=options["learning_rate"],
            betas=(options["beta_1"], options["beta_2"]),
            eps=options["epsilon"],
            weight_decay=options["weight_decay"],
            fused=True,
        )

    def step(self):
        self.optimizer.zero_grad()
        loss = self.loss(Part(self.parameters), self.config, self.batch)
        loss.backward()
        unused = [name for name, p in self.parameters.items() if p.grad is None]
        assert not unused, f"parameters without a gradient: {unused}"
        self.optimizer.step()
        return loss.item()


def answer(trainer, request):
    if "load" in request:
        return Trainer(request["load"], request["description"]), {}
    if "memory" in request:
        return trainer, {"bytes": memory("VmHWM") - START}
    losses, seconds = [], []
    for _ in range(request["steps"]):
        start = time.perf_counter()
        losses.append(trainer.step())
        seconds.append(time.perf_counter() - start)
    return trainer, {"losses": losses, "seconds": seconds}


START = memory("VmRSS")


def main():
    trainer = None
    print("{}", flush=True)
    for line in sys.stdin:
        trainer, result = answer(trainer, json.loads(line))
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
