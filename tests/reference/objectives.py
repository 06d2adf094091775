"""Fixtures for tests/objectives.rs: losses and gradients of pretraining objectives in plain PyTorch.

    pip install torch==2.9.0 safetensors numpy
    python tests/reference/objectives.py        # writes tests/fixtures/objectives.safetensors

Each case writes its inputs (`case.input.*`), its loss (`case.loss`) and the gradients of the loss with respect to the
inputs that are not whole numbers (`case.grad.*`). Losses are written as the papers and their published code have them,
not as the Rust has them.
"""

import math
import pathlib

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

OUT = pathlib.Path(__file__).parent.parent / "fixtures" / "objectives.safetensors"
TENSORS = {}


def case(name, loss, **inputs):
    leaves = {}
    for key, value in inputs.items():
        TENSORS[f"{name}.input.{key}"] = value.clone().to(torch.int32 if not value.is_floating_point() else torch.float32)
        leaves[key] = value.clone().requires_grad_() if value.is_floating_point() else value
    value = loss(**leaves)
    value.backward()
    TENSORS[f"{name}.loss"] = value.detach().reshape(1)
    for key, leaf in leaves.items():
        if leaf.requires_grad:
            TENSORS[f"{name}.grad.{key}"] = leaf.grad
    print(f"{name}: {value.item():.6f}")


def info_nce(image, text, scale):
    """CLIP, figure 3."""
    image, text = F.normalize(image, dim=-1), F.normalize(text, dim=-1)
    logits = scale * image @ text.T
    labels = torch.arange(len(image))
    return (F.cross_entropy(logits, labels) + F.cross_entropy(logits.T, labels)) / 2


def siglip(image, text, scale, bias):
    """SigLIP, algorithm 1."""
    image, text = F.normalize(image, dim=-1), F.normalize(text, dim=-1)
    logits = image @ text.T * scale + bias
    labels = 2 * torch.eye(len(image)) - torch.ones(len(image))
    return -F.logsigmoid(labels * logits).sum() / len(image)


def masked_language(logits, labels):
    """BERT as in transformers: -100 where nothing is to be guessed."""
    return F.cross_entropy(logits.reshape(-1, logits.shape[-1]), labels.reshape(-1).long(), ignore_index=-100)


def next_token(logits, ids, padding, start):
    """GPT-2 as in transformers, with the labels of padding and of the prefix ignored."""
    labels = ids.long().clone()
    labels[padding.bool()] = -100
    labels[torch.arange(ids.shape[1])[None, :] < start[:, None]] = -100
    shifted, labels = logits[:, :-1], labels[:, 1:]
    return F.cross_entropy(shifted.reshape(-1, logits.shape[-1]), labels.reshape(-1), ignore_index=-100)


def sentence_pair(logits, follows):
    return F.cross_entropy(logits, follows.long())


def mae(images, predicted, mask, patch=4, normalise=True):
    """The loss of MAE's published code (models_mae.py: patchify, forward_loss)."""
    n, c, h, w = images.shape
    rows = h // patch
    x = images.reshape(n, c, rows, patch, rows, patch)
    target = torch.einsum("nchpwq->nhwpqc", x).reshape(n, rows * rows, patch**2 * c)
    if normalise:
        mean = target.mean(dim=-1, keepdim=True)
        var = target.var(dim=-1, keepdim=True)
        target = (target - mean) / (var + 1.0e-6) ** 0.5
    loss = ((predicted - target) ** 2).mean(dim=-1)
    return (loss * mask).sum() / mask.sum()


def matching(logits, pairs):
    """ALBEF: the first rows belong together."""
    labels = torch.cat([torch.ones(int(pairs)), torch.zeros(len(logits) - int(pairs))]).long()
    return F.cross_entropy(logits, labels)


def off_diagonal_log_mean_exp(scores):
    n = len(scores)
    off = scores - torch.diag(torch.full((n,), math.inf))
    return torch.logsumexp(off, dim=(0, 1)) - math.log(n * (n - 1))


def bound_info_nce(scores):
    n = len(scores)
    return (scores.diag() - torch.logsumexp(scores, dim=1)).mean() + math.log(n)


def bound_nwj(scores):
    return scores.diag().mean() - torch.exp(off_diagonal_log_mean_exp(scores - 1))


def bound_donsker_varadhan(scores):
    return scores.diag().mean() - off_diagonal_log_mean_exp(scores)


def uncertainty(losses, log_variances):
    """Kendall et al., equation 10, for losses that are negative log-likelihoods."""
    return sum(torch.exp(-s) * loss + s / 2 for loss, s in zip(losses, log_variances))


def main():
    torch.manual_seed(0)
    image, text = torch.randn(7, 6), torch.randn(7, 6)
    case("info_nce", info_nce, image=image, text=text, scale=torch.tensor([5.0]))
    case("siglip", siglip, image=image, text=text, scale=torch.tensor([4.0]), bias=torch.tensor([-3.0]))

    logits, ids = torch.randn(3, 5, 11), torch.randint(0, 11, (3, 5))
    hidden = torch.tensor([[0, 1, 0, 0, 1], [0, 0, 0, 0, 0], [1, 0, 0, 1, 0]]).bool()
    case("masked_language", masked_language, logits=logits, labels=torch.where(hidden, ids, -100))
    padding = torch.tensor([[0, 0, 0, 0, 0], [0, 0, 0, 1, 1], [0, 0, 0, 0, 1]])
    none = torch.zeros(3, dtype=torch.int64)
    case("next_token", next_token, logits=logits, ids=ids, padding=padding, start=none)
    case("prefix", next_token, logits=logits, ids=ids, padding=padding, start=torch.tensor([2, 1, 3]))
    case("sentence_pair", sentence_pair, logits=torch.randn(6, 2), follows=torch.tensor([1, 0, 0, 1, 1, 0]))

    images, predicted = torch.randn(2, 3, 8, 8), torch.randn(2, 4, 48)
    mask = torch.tensor([[1.0, 0, 1, 1], [0, 1, 0, 1]])

    def pixels(normalise):
        return lambda predicted, mask, images: mae(images.detach(), predicted, mask.detach(), normalise=normalise)

    for name, normalise in [("pixels", False), ("normalised_pixels", True)]:
        TENSORS[f"{name}.input.images"], TENSORS[f"{name}.input.mask"] = images, mask
        loss = pixels(normalise)
        case(name, lambda predicted: loss(predicted, mask, images), predicted=predicted)

    case("matching", matching, logits=torch.randn(9, 2), pairs=torch.tensor(3))
    scores = 2 * torch.randn(6, 6)
    case("bound_info_nce", bound_info_nce, scores=scores)
    case("bound_nwj", bound_nwj, scores=scores)
    case("bound_donsker_varadhan", bound_donsker_varadhan, scores=scores)
    case("uncertainty", uncertainty, losses=torch.tensor([0.7, 2.5, 1.1]), log_variances=torch.tensor([0.3, -0.4, 1.0]))
    TENSORS["matching.input.pairs"] = TENSORS["matching.input.pairs"].reshape(1)
    save_file({key: value.contiguous().clone() for key, value in TENSORS.items()}, OUT)


if __name__ == "__main__":
    main()
