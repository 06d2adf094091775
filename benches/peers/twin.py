"""What the twins of recipes share: how weights are drawn and updated, in the order and at the rates of the Rust side.

Parameters have the names of the Rust modules and the layout of torch.nn, as `step.py` wants them.
"""

import json
import math
import random
import struct

import cbor2
import numpy
import torch
from tokenizers import Tokenizer

import step

# Settings that are not followed here, with the one value that each may have.
FIXED = {"accumulate": 1, "decay": "cosine", "ema_decay": 0, "freeze": [], "keep_best": 0, "layer_decay": 1,
         "max_minutes": 0, "patience": 0}


def read_burnpack(path):
    """The tensors of a burnpack file by name: a header of ten bytes, CBOR that says where each tensor is, and from the
    next multiple of 256 on the data."""
    content = path.read_bytes()
    magic, version, size = struct.unpack_from("<IHI", content)
    assert (magic, version) == (0x4255524E, 1), f"{path} is no burnpack file of version 1"
    data = content[-(-(10 + size) // 256) * 256:]
    tensors = {}
    for name, tensor in cbor2.loads(content[10:10 + size])["tensors"].items():
        assert tensor["dtype"] == "F32", f"{name} is {tensor['dtype']}"
        first, last = tensor["data_offsets"]
        values = numpy.frombuffer(data[first:last], dtype="<f4").reshape(tensor["shape"])
        tensors[name] = torch.from_numpy(values.copy())
    return tensors


class Twin:
    """Subclasses put parameters in `__init__` and have a method `loss(batch)`."""

    # Pixels of a side of what the stem and the projection fold, where there are such layers.
    cells = {}

    def __init__(self, run, seed):
        self.config = json.loads((run / "run.json").read_text())["config"]
        training, model = self.config["training"], self.config["model"]
        for name, value in FIXED.items():
            assert training[name] == value, f"training.{name} must be {value} here"
        assert model["dropout"] == 0, "there is no dropout here"
        self.block = {"heads": model["heads"], "activation": model["activation"], "norm": model.get("norm", "pre"),
                      "norm_epsilon": 1e-5}
        self.tokenizer = Tokenizer.from_file(str(run / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(self.config["tokenizer"]["max_length"])
        self.random = random.Random(seed)
        torch.manual_seed(seed)
        self.parameters = {}

    def put(self, name, tensor):
        self.parameters[name] = tensor.clone().requires_grad_()

    def xavier(self, rows, columns):
        bound = math.sqrt(6 / (rows + columns))
        return (2 * torch.rand(rows, columns) - 1) * bound

    def norm(self, name, width):
        self.put(f"{name}.gamma", torch.ones(width))
        self.put(f"{name}.beta", torch.zeros(width))

    def linear(self, name, rows, columns):
        self.put(f"{name}.weight", self.xavier(rows, columns))
        self.put(f"{name}.bias", torch.zeros(rows))

    def stack(self, name, layers, d, d_ff):
        for i in range(layers):
            block = f"{name}.blocks.{i}"
            for part in ["query", "key", "value", "output"]:
                self.linear(f"{block}.attention.{part}", d, d)
            self.norm(f"{block}.attention_residual.norm", d)
            self.linear(f"{block}.feed_forward.inner", d_ff, d)
            self.linear(f"{block}.feed_forward.outer", d, d_ff)
            self.norm(f"{block}.feed_forward_residual.norm", d)
        if self.block["norm"] == "pre":
            self.norm(f"{name}.norm", d)

    def text_encoder(self, name, layers, d, d_ff):
        self.put(f"{name}.embeddings.word.weight", 0.02 * torch.randn(self.tokenizer.get_vocab_size(), d))
        self.put(f"{name}.embeddings.position.Learned", 0.02 * torch.randn(self.config["tokenizer"]["max_length"], d))
        self.norm(f"{name}.embeddings.norm", d)
        self.stack(f"{name}.encoder", layers, d, d_ff)

    def optimizer(self):
        """Neither biases and norms decay nor what is looked up or added: embeddings and positions."""
        training, groups = self.config["training"], {True: [], False: []}
        for name, parameter in self.parameters.items():
            decays = name.endswith(".weight") and parameter.ndim > 1 and "embeddings." not in name
            groups[decays].append(parameter)
        return torch.optim.AdamW(
            [{"params": groups[True], "weight_decay": training["weight_decay"]},
             {"params": groups[False], "weight_decay": 0}],
            betas=(training["beta_1"], training["beta_2"]), eps=training["epsilon"],
        )

    def weights(self, run):
        """The last weights of a run, which must fit this model."""
        newest = max((run / "checkpoints").glob("step-*/COMPLETE")).parent
        weights = {self.name(name): step.layout(name, tensor, self.cells)
                   for name, tensor in read_burnpack(newest / "model.bpk").items()}
        weights = {name: tensor for name, tensor in weights.items() if name}
        shapes = [{name: tuple(p.shape) for name, p in each.items()} for each in [weights, self.parameters]]
        assert shapes[0] == shapes[1], f"{newest} is not of this model"
        return weights

    def name(self, name):
        """What a parameter of a run is called here; nothing where there is no such."""
        return name

    def train(self, data, after_step=lambda number: None):
        """Epochs follow one another without a seam: a batch may have the end of one and the start of the next."""
        training, optimizer = self.config["training"], self.optimizer()
        order, size = [], self.config["loader"]["batch_size"]
        for number in range(1, training["steps"] + 1):
            while len(order) < size:
                order += self.random.sample(range(len(data)), len(data))
            batch, order = [data[i] for i in order[:size]], order[size:]
            for group in optimizer.param_groups:
                group["lr"] = schedule(training, number)
            optimizer.zero_grad()
            self.loss(batch).backward()
            if training["clip_norm"] > 0:
                torch.nn.utils.clip_grad_norm_(self.parameters.values(), training["clip_norm"])
            optimizer.step()
            after_step(number)


def schedule(training, number):
    """Linear warmup, then a cosine to the least rate; `number` counts from 1."""
    top, least, warmup = training["learning_rate"], training["min_learning_rate"], training["warmup_steps"]
    if number < warmup:
        return top * number / warmup
    done = 1 if number >= training["steps"] else (number - warmup) / (training["steps"] - warmup)
    return least + (top - least) * (1 + math.cos(math.pi * done)) / 2
