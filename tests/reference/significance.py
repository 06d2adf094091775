"""Fixtures for crates/evaluation/tests/statistics.rs: the statistics of a comparison by scipy and statsmodels.

    pip install numpy==2.4.6 scipy==1.17.1 statsmodels==0.15.0
    python tests/reference/significance.py        # writes tests/fixtures/statistics.json
    python tests/reference/significance.py RUNS   # packs the runs RUNS/late-N and RUNS/mid-N into tests/fixtures/seeds.json

Where neither library has a statistic (the item component of a difference, the variance of the bootstrap, the letters of a
ranking), it is computed another way than the Rust does it: by the analysis of variance of a linear model, by the
covariances of the bootstrap's weights, by going through all sets of arms.
"""

import base64
import functools
import itertools
import json
import pathlib
import sys

import numpy as np
import statsmodels.api as sm
from scipy import optimize, special, stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.meta_analysis import effectsize_smd
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestIndPower

FOLDER = pathlib.Path(__file__).parent.parent / "fixtures"
CASES = 60
random = np.random.default_rng(2024)


def digits(values, count):
    """Inputs with few digits, so that the file stays small; what is expected has them all."""
    return [float(f"{value:.{count}g}") for value in np.asarray(values)]


def runs(index):
    """Scores of the seeds of two arms: even and uneven numbers, ties, skew, outliers, tiny and huge values."""
    n_a, n_b = random.integers(2, 11, 2)
    gap = random.choice([0.0, 0.3, 1.0, 3.0, 30.0])
    draw = [random.standard_normal, lambda n: random.exponential(size=n), lambda n: random.standard_t(2, n)][index % 3]
    scale = [0.01, 1e-7, 1.0, 1e8][index % 4]
    a, b = (draw(n_a) + gap + 5) * scale, (draw(n_b) * random.choice([0.2, 1.0, 4.0]) + 5) * scale
    if index % 5 == 4:
        a, b = np.round(a / scale * 2) / 2 * scale, np.round(b / scale * 2) / 2 * scale
        a[0] += scale
    return digits(a, 7), digits(b, 7)


def rows(index, arms=2):
    """Scores of seeds on shared items, 0 or 1 in two of three cases; numbers that 32 bits hold exactly."""
    items = int(random.integers(4, 31))
    ease = random.normal(0.5, 1.5, items)
    samples = []
    for arm in range(arms):
        seeds = int(random.integers(2, 8))
        own = ease + random.normal(0, [0.0, 1.0, 3.0][index % 3], items) * (arm > 0)
        logits = own + random.normal(0, 0.7, (seeds, 1)) + random.choice([0.0, 0.5, 2.0]) * (arm > 0)
        if index % 3 == 2:
            matrix = np.round((logits + random.normal(0, 1, logits.shape)) * 64) / 64
        else:
            matrix = (random.random(logits.shape) < 1 / (1 + np.exp(-logits))).astype(int)
            matrix[0, 0], matrix[1, 0] = arm, 1 - arm  # never all the same
        samples.append(matrix)
    return samples


def residual(matrix):
    """Mean square left by a linear model of seeds and items."""
    seeds, items = matrix.shape
    seed, item = np.indices(matrix.shape).reshape(2, -1)
    design = np.column_stack([np.ones(seed.size)] + [seed == s for s in range(1, seeds)] + [item == i for i in range(1, items)])
    return sm.OLS(matrix.ravel().astype(float), design.astype(float)).fit().mse_resid


def item_part(a, b):
    gaps = a.mean(0) - b.mean(0)
    return max(0.0, np.var(gaps, ddof=1) - residual(a) / len(a) - residual(b) / len(b)) / len(gaps)


def welch(a, b):
    found = stats.ttest_ind(a, b, equal_var=False)
    interval = found.confidence_interval(0.95)
    se = (np.mean(a) - np.mean(b)) / found.statistic
    return np.mean(a) - np.mean(b), se, found.df, interval.low, interval.high, found.pvalue


def crossed(a, b):
    value, _, df, *_ = welch(a.mean(1), b.mean(1))
    variance = sum(np.var(x.mean(1), ddof=1) / len(x) for x in (a, b)) + item_part(a, b)
    se = np.sqrt(variance)
    reach = stats.t.ppf(0.975, df) * se
    return value, se, df, value - reach, value + reach, 2 * stats.t.sf(abs(value / se), df)


def bootstrap_error(a, b):
    """Standard deviation of w' Y u, for the weights w of seeds and u of items of multinomial draws of n - 1 of n."""
    y = np.vstack([a, -b]).astype(float)

    def covariance(n):
        return (np.eye(n) / n - np.ones((n, n)) / n**2) / (n - 1)

    seeds = np.zeros((len(y), len(y)))
    seeds[: len(a), : len(a)], seeds[len(a) :, len(a) :] = covariance(len(a)), covariance(len(b))
    items = covariance(y.shape[1])
    w = np.concatenate([np.full(len(a), 1 / len(a)), np.full(len(b), 1 / len(b))])
    u = np.full(y.shape[1], 1 / y.shape[1])
    return np.sqrt(u @ y.T @ seeds @ y @ u + w @ y @ items @ y.T @ w + np.trace(seeds @ y @ items @ y.T))


def mcnemar_case(index):
    b, c = (int(x) for x in random.integers(0, [5, 40, 400, 6000][index % 4], 2))
    b += b + c == 0
    table = [[3, b], [c, 4]]
    plain, corrected = mcnemar(table, exact=False, correction=False), mcnemar(table, exact=False, correction=True)
    expected = [mcnemar(table, exact=True).pvalue, plain.statistic, plain.pvalue, corrected.statistic, corrected.pvalue]
    return {"in": [b, c], "out": expected}


def mcnemar_seeds(index):
    seeds = int(random.integers(2, 11))
    n = random.integers(1, [6, 60, 900][index % 3], seeds)
    rate = 1 / (1 + np.exp(-random.normal([0.0, 0.2, 1.0, 3.0][index % 4], [0.0, 0.3, 1.0][index % 3], seeds)))
    b = random.binomial(n, rate)
    c = n - b
    d = b - c
    phi = max(1.0, seeds * np.var(d, ddof=1) / n.sum())
    paired = stats.ttest_1samp(d, 0).statistic ** 2 if len(set(d)) > 1 else np.inf
    q = min(d.sum() ** 2 / n.sum(), paired)  # the larger variance of the two
    return {"in": [[int(x), int(y)] for x, y in zip(b, c)], "out": [phi, stats.f.sf(q, 1, seeds - 1)]}


def permutation(index):
    a, b = runs(index)
    a, b = a[:8], b[:6]

    def gap(x, y, axis):
        return np.abs(np.mean(x, axis) - np.mean(y, axis))

    found = stats.permutation_test((a, b), gap, alternative="greater", n_resamples=np.inf, vectorized=True)
    return {"a": a, "b": b, "out": found.pvalue}


def permutation_drawn(index):
    """Too many splits to go through in a test; here all 184,756."""
    a = digits(random.normal(0.5, 0.01, 10), 5)
    b = digits(random.normal(0.5 + 0.004 * (index % 4), 0.01, 10), 5)
    pool = np.array(a + b)
    sums = np.array([pool[list(chosen)].sum() for chosen in itertools.combinations(range(20), 10)])
    gaps = np.abs(2 * sums - pool.sum())
    return {"a": a, "b": b, "out": float(np.mean(gaps >= abs(sum(a) - sum(b)) - 1e-12))}


def holm(index):
    p = random.random(int(random.integers(1, 80))) ** random.choice([1, 4, 20])
    if index % 3 == 0:
        p = np.round(p, 1)
    p = digits(p, 4)
    return {"in": p, "out": multipletests(p, method="holm")[1].tolist()}


def nct_cdf(t, df, delta):
    """scipy gives NaN where the probability is 0 or 1 to all digits."""
    value = stats.nct.cdf(t, df, delta)
    return float(t > delta) if np.isnan(value) else value


def nct_interval(t, df):
    def end(share):
        reach = 10 * np.sqrt(1 + t * t / (2 * df))
        return optimize.brentq(lambda delta: nct_cdf(t, df, delta) - share, t - reach, t + reach, xtol=1e-13)

    return end(0.975), end(0.025)


def hedges(index):
    while True:
        a, b = runs(index)
        n_a, n_b = len(a), len(b)
        found = stats.ttest_ind(a, b)
        if abs(found.statistic) < 60:  # beyond, scipy's nct is not exact enough
            break
    g, variance = effectsize_smd(np.mean(a), np.std(a, ddof=1), n_a, np.mean(b), np.std(b, ddof=1), n_b)
    factor = (1 - 3 / (4 * (n_a + n_b) - 9)) * np.sqrt(1 / n_a + 1 / n_b)
    low, high = nct_interval(found.statistic, found.df)
    return {"a": a, "b": b, "out": [g, np.sqrt(variance), factor * low, factor * high, found.pvalue]}


def nct(index):
    df = float(random.choice([1.0, 1.3, 2.0, 3.7, 8.0, 18.0, 120.0, 5000.0]))
    t, delta = digits([random.normal(0, 4) * random.choice([0.02, 1.0]), random.normal(1, 4)], 4)
    return {"in": [t, df, delta], "out": nct_cdf(t, df, delta)}


def power(index):
    """Not where scipy's nct jumps or gives NaN: statsmodels then ends at the jump, with another power than the one wanted."""
    tests = TTestIndPower()
    while True:
        n = int(random.integers(2, 30))
        alpha = float(random.choice([0.2, 0.05, 0.01, 0.001]))
        effect = float(f"{abs(random.normal(0, 1.5)):.4g}")
        wanted = float(random.choice([0.5, 0.8, 0.9, 0.99]))
        seen, least = tests.power(effect, n, alpha), tests.solve_power(None, n, alpha, wanted)
        if np.isfinite(seen) and abs(tests.power(least, n, alpha) - wanted) < 1e-9:
            break
    per_se = np.sqrt(n / 2)
    return {"in": [effect * per_se, 2 * n - 2, alpha, wanted], "out": [seen, least * per_se]}


@functools.cache
def welch_rule(seeds, alpha):
    """Nodes and weights over the variances of the seeds of two arms of equal spread: one's share in the sum, and the sum."""
    df, half = seeds - 1, (seeds - 1) / 2
    share, weight = special.roots_jacobi(40, half - 1, half - 1)
    share, weight = (1 + share) / 2, weight / weight.sum()
    critical = stats.t.isf(alpha / 2, df / (share**2 + (1 - share) ** 2))
    node, size = np.polynomial.legendre.leggauss(200)
    end = np.sqrt(stats.chi2.isf(1e-17, 2 * df))
    root = (1 + node) * end / 2
    return critical[:, None], weight, root**2 / (2 * df), size * end / 2 * stats.chi.pdf(root, 2 * df)


def welch_power(seeds, noncentrality, known, alpha):
    """Power of the primary test where a share of the variance is known."""
    critical, weight, ratio, size = welch_rule(seeds, alpha)
    errors = critical * np.sqrt(known + (1 - known) * ratio)
    return weight @ (special.ndtr(noncentrality - errors) + special.ndtr(-noncentrality - errors)) @ size


def design(index):
    seeds = int(random.integers(2, 21))
    effect, alpha = float(f"{random.exponential(3):.4g}"), float(random.choice([0.05, 0.01]))
    variances = [digits([random.exponential()], 4)[0], float(random.choice([0.0, 0.1, 1.0, 3.0]))]
    se, known = np.sqrt(sum(variances)), variances[1] / sum(variances)
    return {"in": [seeds, *variances, alpha, effect], "out": welch_power(seeds, effect / se, known, alpha)}


def sensitivity(index):
    samples = rows(index, arms=3)
    df = [len(x) - 1 for x in samples]
    pooled = np.average([np.var(x.mean(1), ddof=1) for x in samples], weights=df)
    items = np.mean([item_part(a, b) for a, b in itertools.combinations(samples, 2)])
    fewest = min(map(len, samples))
    out = []
    for seeds in sorted({2, 3, 5, 10, 20, fewest}):
        se = np.sqrt(2 * pooled / seeds + items)
        least = se * optimize.brentq(lambda nc: welch_power(seeds, nc, items / se**2, 0.05) - 0.8, 0, 50, xtol=1e-12)
        out.append([seeds, seeds == fewest, se, least])
    return {"arms": [x.tolist() for x in samples], "deviation": np.sqrt(pooled), "out": out}


def letters(index):
    """Groups are the largest sets in which no two differ."""
    count = int(random.integers(1, 10))
    differ = np.triu(random.random((count, count)) < [0.1, 0.5, 0.9][index % 3], 1)
    if index % 2:  # as a ranking has it: arms differ that lie far apart
        place = np.sort(random.random(count))
        differ = np.triu(place[None, :] - place[:, None] > random.choice([0.1, 0.3, 0.6]), 1)
    alike = [
        set(arms)
        for size in range(1, count + 1)
        for arms in itertools.combinations(range(count), size)
        if not differ[np.ix_(arms, arms)].any()
    ]
    groups = sorted((sorted(s) for s in alike if not any(s < other for other in alike)), key=lambda s: [i not in s for i in range(count)])
    return {
        "count": count,
        "differ": np.argwhere(differ).tolist(),
        "out": [[number for number, group in enumerate(groups) if arm in group] for arm in range(count)],
    }


def calibration(index):
    count = int(random.integers(1, 60))
    confidence = np.clip(random.beta(*[(5, 1), (1, 1), (0.3, 0.3)][index % 3], count), 0, 1)
    if index % 4 == 0:
        confidence = np.round(confidence * 15) / 15  # on the edges
        confidence[0] = 0.0
    else:
        confidence = np.array(digits(confidence, 3))
    right = random.random(count) < confidence**2
    ece, edges = 0.0, np.arange(16) / 15
    counts = []
    for low, high in itertools.pairwise(edges):
        inside = (confidence > low if low > 0 else confidence >= 0) & (confidence <= high)
        counts.append(int(inside.sum()))
        if inside.any():
            ece += inside.mean() * abs(confidence[inside].mean() - right[inside].mean())
    brier = np.mean((confidence - right) ** 2)
    return {"in": [confidence.tolist(), right.astype(int).tolist()], "out": [ece, brier], "counts": counts}


def pair(index):
    a, b = runs(index)
    return {"a": a, "b": b, "out": welch(a, b)}


def crossed_pair(index):
    a, b = rows(index)
    return {"a": a.tolist(), "b": b.tolist(), "out": crossed(a, b), "bootstrap": bootstrap_error(a, b)}


def fixtures():
    return {
        "welch": [pair(i) for i in range(CASES)],
        "crossed": [crossed_pair(i) for i in range(CASES)],
        "mcnemar": [mcnemar_case(i) for i in range(CASES)],
        "mcnemar_seeds": [mcnemar_seeds(i) for i in range(CASES)],
        "permutation": [permutation(i) for i in range(CASES)],
        "permutation_drawn": [permutation_drawn(i) for i in range(8)],
        "holm": [holm(i) for i in range(CASES)],
        "hedges": [hedges(i) for i in range(CASES)],
        "nct": [nct(i) for i in range(2 * CASES)],
        "power": [power(i) for i in range(CASES)],
        "design": [design(i) for i in range(CASES)],
        "sensitivity": [sensitivity(i) for i in range(CASES)],
        "letters": [letters(i) for i in range(CASES)],
        "calibration": [calibration(i) for i in range(CASES)],
    }


def plain(value):
    return value.item() if isinstance(value, np.generic) else value.tolist()


def text(case):
    return json.dumps(case, separators=(",", ":"), default=plain, allow_nan=False)


COMMANDS = {
    "late": "crucible train vqa --preset smoke --set training.steps=400 --seed N",
    "mid": "crucible train vqa --preset smoke --set fusion=mid --set training.steps=300 --seed N",
}


def packed(runs, name):
    """One run a seed: its accuracy, and which items it has right, a bit each, the first in the highest bit of a byte."""
    ids, seeds = None, []
    for seed in range(len(list(runs.glob(f"{name}-*")))):
        lines = (runs / f"{name}-{seed}" / "predictions.jsonl").read_text().splitlines()
        predictions = [json.loads(line) for line in lines]
        seen = [prediction["id"] for prediction in predictions]
        assert ids in (None, seen), "the same items in the same order"
        ids = seen
        right = np.array([prediction["prediction"] == prediction["target"] for prediction in predictions])
        bits = base64.b64encode(np.packbits(right).tobytes()).decode()
        seeds.append({"accuracy": right.mean(), "right": bits})
    return {"command": COMMANDS[name], "items": len(ids), "seeds": seeds}


if __name__ == "__main__":
    if len(sys.argv) > 1:
        pools = {name: packed(pathlib.Path(sys.argv[1]), name) for name in COMMANDS}
        (FOLDER / "seeds.json").write_text(json.dumps(pools, indent=1, default=plain) + "\n")
    else:
        made = fixtures()
        lines = [f'"{name}":[\n' + ",\n".join(map(text, cases)) + "\n]" for name, cases in made.items()]
        (FOLDER / "statistics.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
        for name, cases in made.items():
            print(f"{name}: {len(cases)}")
