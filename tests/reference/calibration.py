"""Fixture for crates/prompt/src/calibration/tests.rs: random scores of classes, calibrated by the papers' formulas.

    pip install numpy
    python tests/reference/calibration.py       # writes tests/fixtures/prompt/calibration.json

All is computed with probabilities, where the Rust side stays with logarithms.
"""

import json
import pathlib

import numpy as np

OUT = pathlib.Path(__file__).parent.parent / "fixtures" / "prompt" / "calibration.json"


def normalised(probabilities):
    return probabilities / probabilities.sum(axis=-1, keepdims=True)


def contextual(p, content_free):
    """Zhao et al. 2021: W = diag(mean p_cf)^-1, b = 0."""
    w = np.linalg.inv(np.diag(normalised(content_free).mean(axis=0)))
    return normalised(np.stack([w @ row for row in p]))


def domain_pmi(p, premise):
    """Holtzman et al. 2021: the score of a class is p(y | x) / p(y | premise)."""
    return normalised(p / premise)


def batch(p, strength):
    """Zhou et al. 2024: p is divided by the mean of p over the batch, to a strength."""
    return normalised(p / p.mean(axis=0) ** strength)


def described(before, after):
    return {
        "scores": np.log(after).tolist(),
        "before": before.mean(axis=0).tolist(),
        "after": after.mean(axis=0).tolist(),
        "changed": int((before.argmax(axis=1) != after.argmax(axis=1)).sum()),
    }


def main():
    random = np.random.default_rng(0)
    cases = []
    for items, classes, texts, strength in [
        (1, 2, 1, 1.0),
        (6, 2, 3, 1.0),
        (8, 3, 2, 0.5),
        (5, 4, 1, 1.0),
        (12, 7, 4, 2.0),
        (20, 3, 3, 0.0),
    ]:
        # Scores of a few words among many: they sum to less than one, and one class is favoured.
        favour = random.normal(size=classes)
        scores = random.normal(size=(items, classes)) * 1.5 + favour - 5
        content_free = random.normal(size=(texts, classes)) * 0.3 + favour - 6
        premise = random.normal(size=classes) * 0.3 + favour - 7
        p = normalised(np.exp(scores))
        cases.append({
            "scores": scores.tolist(),
            "content_free": content_free.tolist(),
            "premise": premise.tolist(),
            "strength": strength,
            "contextual": described(p, contextual(p, np.exp(content_free))),
            "domain_pmi": described(p, domain_pmi(p, np.exp(premise))),
            "batch": described(p, batch(p, strength)),
        })
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps(cases, indent=1) + "\n")


if __name__ == "__main__":
    main()
