"""What CompressAI's entropy models are defined to give, worked out in plain Python (3.9 or newer, nothing else): `python3 numbers.py > numbers.json`.

Written from the definitions, not from this library's code: quantiles come from bisection, probabilities from math.erfc and math.exp, and frequencies from the
quantiser's rule as CompressAI states it, on cumulative values.
"""
import json, math


def below(x):
    """Mass of the standard normal distribution below x."""
    return math.erfc(-x / math.sqrt(2)) / 2


def quantile(mass):
    low, high = -40.0, 0.0
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if below(middle) < mass else (low, middle)
    return low


def quantised_cdf(pmf, precision):
    """Round, rescale the running sums, then let every empty symbol take a slot from the narrowest symbol that has one to spare."""
    weights = [round(p * 2**precision) for p in pmf]
    total, cdf = sum(weights), [0]
    for weight in weights:
        cdf.append(cdf[-1] + 2**precision * weight // total)
    cdf[-1] = 2**precision
    for i in range(len(pmf)):
        if cdf[i] < cdf[i + 1]:
            continue
        widths = [(cdf[k + 1] - cdf[k], k) for k in range(len(pmf)) if cdf[k + 1] - cdf[k] > 1]
        donor = min(widths)[1]
        if donor < i:
            for j in range(donor + 1, i + 1):
                cdf[j] -= 1
        else:
            for j in range(i + 1, donor + 1):
                cdf[j] += 1
    return cdf


def gaussian(scale, tail_mass):
    centre = math.ceil(-quantile(tail_mass / 2) * scale)
    pmf = []
    for k in range(2 * centre + 1):
        distance = abs(k - centre)
        pmf.append(below((0.5 - distance) / scale) - below((-0.5 - distance) / scale))
    tail = 2 * below((-0.5 - centre) / scale)
    return centre, pmf, tail


def indexes(table, scales):
    """The last table, less one for every other table whose scale is no smaller."""
    lowest = table[0]
    return [len(table) - 1 - sum(max(s, lowest) <= t for t in table[:-1]) for s in scales]


def bottleneck(low, median, high, cdf):
    minima, maxima = max(math.ceil(median - low), 0), max(math.ceil(high - median), 0)
    pmf = [cdf(median + k + 0.5) - cdf(median + k - 0.5) for k in range(-minima, maxima + 1)]
    tail = cdf(median - minima - 0.5) + 1 - cdf(median + maxima + 0.5)
    return -minima, pmf, tail


table = [math.exp(math.log(0.11) + i * (math.log(256) - math.log(0.11)) / 63) for i in range(64)]
gaussians = []
for scale in (0.11, 0.5, 1.0, 3.7, 20.25):
    centre, pmf, tail = gaussian(scale, 1e-9)
    gaussians.append({"scale": scale, "offset": -centre, "tail": tail, "pmf": pmf[centre:], "cdf": quantised_cdf(pmf + [tail], 16)})
probes = [-1.0, 0.0, 0.05, 0.11, 0.1100001, 0.12, 0.125, 0.3, 0.999, 1.0, 1.7, 33.3, 200.0, 255.9, 256.0, 1e9]
channels = []
for low, median, high, width in ((-8.0, 0.25, 9.0, 1.0), (-3.0, -3.0, -3.0, 0.05), (10.0, 20.5, 30.0, 2.0), (-100.5, 0.0, 3.25, 7.5)):
    cdf = lambda x: 1 / (1 + math.exp(-(x - median) / width))
    offset, pmf, tail = bottleneck(low, median, high, cdf)
    channels.append({"quantiles": [low, median, high], "width": width, "offset": offset, "tail": tail, "cdf": quantised_cdf(pmf + [tail], 16)})
# (value, mean) with the difference exact in binary; ties go to the even integer.
pairs = [(0.5, 0.0), (1.5, 0.0), (-0.5, 0.0), (-1.5, 0.0), (2.5, 1.0), (7.25, -0.25), (-3.125, 4.0), (100.0, 0.375), (0.75, 1.25)]
print(json.dumps({
    "quantile": -quantile(1e-9 / 2),
    "scale_table": table,
    "centres": [math.ceil(-quantile(1e-9 / 2) * s) for s in table],
    "gaussians": gaussians,
    "probes": probes,
    "indexes": indexes(table, probes),
    "channels": channels,
    "pairs": pairs,
    "symbols": [round(x - mean) for x, mean in pairs],
}))
