"""What is run: operations, sizes, the bytes that each must move, and the limits that are checked."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

QUERY_TILE = 128  # queries for which the items are read once
MADE = (600, 400, 100_000)  # users, items and ratings that are drawn: most rows have more ratings than factors
SPARSE = (4000, 2000, 40_000)  # rows as short as those of most catalogues


@dataclass(frozen=True)
class Bar:
    """A limit of a figure, whether it is the most or the least that is allowed, and the kernel that it is for, if not all."""

    figure: str
    limit: float
    most: bool = True
    kernel: str = ""  # beginning of its name

    def holds(self, value: float) -> bool:
        return value <= self.limit if self.most else value >= self.limit


@dataclass(frozen=True)
class Case:
    operation: str
    shape: str
    command: list[str]  # program of the build and its arguments
    least_bytes: Callable[[dict], float]  # from the line of JSON that the program printed
    tensor_type: str = ""  # of products in tensor cores
    bars: list[Bar] = field(default_factory=list)
    replaces: str = ""  # name of the case in earlier.json that did the same
    kernels: str = ".*"  # pattern of the names of those that are counted
    others_launched: float = 0  # share of the launches of the others that belongs to each call

    def counts(self, kernel: str) -> bool:
        return re.match(self.kernels, kernel) is not None

    @property
    def earlier(self) -> str:
        return self.replaces or self.name

    @property
    def name(self) -> str:
        return f"{self.operation} {self.shape}"

    @property
    def file(self) -> str:
        return "".join(letter if letter.isalnum() else "-" for letter in self.name) + ".json"


def words(*all_words: object) -> list[str]:
    return [str(word) for word in all_words]


PREPARING = r"(prepare|norms|centre|round)\w*"
SEARCHING = rf"(?!{PREPARING})\w+"
SIZES = {"fp32": 4, "tf32": 4, "fp16": 2, "bf16": 2}


def topk(operation: str, queries: int, items: int, columns: int, k: int, precision: str = "fp32", *bars: Bar) -> Case:
    """Cosines. Items and queries have been made ready."""
    passes = -(-queries // QUERY_TILE)
    least = SIZES[precision] * columns * (queries + items * passes) + 8 * queries * k
    shape = f"{queries:,} x {items:,} x {columns}, k {k}"
    return Case(
        operation,
        f"{shape}, {precision}",
        words("topk_bench", queries, items, columns, k, 1, 0, "cuda", precision, "cosine", "kept"),
        lambda _: least,
        "fp16" if SIZES[precision] == 2 else "tf32",
        [*bars],
        f"{operation} {shape}",
        SEARCHING,
        0.5,  # queries are made ready in each call, items once
    )


def preparation(items: int, columns: int, precision: str, similarity: str) -> Case:
    """Of items and of one query: norms, and copies that are centred or rounded."""
    copied = SIZES[precision] if precision in ("fp16", "bf16") or similarity == "centred_cosine" else 0
    least = (items + 1) * (columns * (4 + copied) + 4)
    command = words("topk_bench", 1, items, columns, 1, 1, 0, "cuda", precision, similarity, "kept")
    shape = f"{items:,} x {columns}, {precision}, {similarity.replace('_', ' ')}"
    return Case("preparation", shape, command, lambda _: least, kernels=PREPARING)


def als(factors: int) -> Case:
    """One epoch: all rows of both sides."""
    users, items, _ = MADE

    def least(printed: dict) -> float:
        per_rating = 4 * factors + 12  # a row, its bias, the index and the value
        return 2 * printed["ratings"] * per_rating + (users + items) * (4 * factors + 12)

    command = words("als_bench", "made", *MADE, factors, 1, "cuda", 1)
    return Case("ALS", f"{users:,} users, {items:,} items, {factors} factors", command, least, "tf32")


def implicit(factors: int, solver: str) -> Case:
    """One epoch of implicit ALS with its Gram matrices: all rows of both sides."""
    users, items, _ = MADE

    def least(printed: dict) -> float:
        per_entry = 4 * factors + 8  # a row, the index and the value
        return 2 * printed["ratings"] * per_entry + (users + items) * (12 * factors + 8) + 8 * factors**2

    command = words("implicit_bench", "made", *MADE, factors, solver, 64, 1, "cuda", 1)
    shape = f"{users:,} users, {items:,} items, {factors} factors, {solver}"
    return Case("implicit ALS", shape, command, least, "tf32", [Bar("bytes spilled", 0)])


def recommender(
    operation: str, shape: str, arguments: tuple, least: Callable[[dict], float], tensor_type: str = "", *bars: Bar
) -> Case:
    """An operation of recommender_bench. `arguments`: its name and shape there."""
    command = words("recommender_bench", "cuda", 0, ",".join(map(str, arguments)))
    return Case(operation, shape, command, least, tensor_type, [*bars, Bar("bytes spilled", 0)])


def of_ratings(made: tuple[int, int, int], *others: str) -> str:
    users, items, ratings = made
    return ", ".join((f"{users:,} users, {items:,} items, {ratings // 1000}k ratings", *others))


def sgd(factors: int, rates: str) -> Case:
    """An epoch: each rating reads and writes two rows."""
    columns = -(-(factors + 2) // 16) * 16
    per_rating = 12 + 2 * (8 * columns + 4) + (16 if rates == "adagrad" else 0)
    shape = of_ratings(MADE, f"{factors} factors, {rates} rates")
    least, bar = (lambda found: found["ratings"] * per_rating), Bar("bytes / least", 1.2)
    return recommender("SGD", shape, ("sgd", *MADE, factors, rates), least, "", bar)


def posterior(columns: int) -> Case:
    """A sweep: both sides are drawn, with errors of the users' ratings, and added up."""
    users, items, _ = MADE

    def least(printed: dict) -> float:
        return 2 * printed["ratings"] * (4 * columns + 8) + (users + items) * 8 * columns

    shape = of_ratings(MADE, f"{columns} columns")
    return recommender(
        "Bayesian factors", shape, ("bpmf", *MADE, columns), least, "tf32", Bar("tensor share", 0.8, most=False)
    )


def bpr(factors: int, candidates: int) -> Case:
    """An epoch: each pair reads a user, an item and the candidates, and writes three rows and two biases."""
    per_pair = 4 * factors * (2 + candidates + 3) + 8 + 16
    shape = of_ratings(SPARSE, f"{factors} factors, candidates: {candidates}")
    return recommender("BPR", shape, ("bpr", *SPARSE, factors, candidates), lambda found: found["ratings"] * per_pair)


def simplex(factors: int, batch: int, negatives: int) -> Case:
    """An epoch. Each batch reads the items of its users, and writes the users and what it has scored."""
    users, _, _ = SPARSE

    def least(printed: dict) -> float:
        rows = printed["ratings"] + 2 * users + 2 * negatives * (users / batch)
        return 4 * factors * rows + 4 * users * negatives

    shape = of_ratings(SPARSE, f"{factors} factors, batches of {batch}, {negatives:,} negatives")
    return recommender("SimpleX", shape, ("simplex", *SPARSE, factors, batch, negatives), least)


def similarity(made: tuple[int, int, int], measure: str, k: int) -> Case:
    """The most similar items of each. A product is of two entries of one user."""
    _, items, _ = made
    shape = of_ratings(made, f"{measure}, k {k}")
    arguments = ("similarity", *made, measure, k)
    return recommender("row similarity", shape, arguments, lambda found: 8 * (found.get("products", 0) + items * k))


def kmeans(rows: int, columns: int, clusters: int) -> Case:
    """An iteration: rows are assigned as by top-k, and read again for the sums of the clusters."""
    passes = -(-rows // QUERY_TILE)
    least = 4 * columns * (2 * rows + clusters * passes + 2 * clusters) + 8 * rows
    shape = f"{rows:,} x {columns}, {clusters:,} clusters"
    return recommender("k-means", shape, ("kmeans", rows, columns, clusters), lambda _: least, "tf32")


def attend(sequences: int, context: int, heads: int, kv_heads: int, d: int, cache: str) -> Case:
    size = {"fp32": 4, "bf16": 2}[cache]
    keys_and_values = 2 * sequences * kv_heads * d * size
    least = keys_and_values * (context + 1) + sequences * d * 4 * (2 * heads + 2 * kv_heads)
    shape = f"{sequences} x {context:,} positions, {heads} / {kv_heads} heads of {d}, {cache}"
    command = words("decoding_bench", "cuda", 0, "attend", sequences, context, heads, kv_heads, d, cache)
    return Case("decode attention", shape, command, lambda _: least)


def penalize(rows: int, columns: int, tokens: int) -> Case:
    least = 12 * rows * tokens  # each token and its logit; the copy of the logits is not a kernel
    command = words("decoding_bench", "cuda", 0, "penalize", rows, columns, tokens)
    return Case("penalties", f"{rows} x {columns:,}, {tokens} tokens", command, lambda _: least)


def sample(rows: int, columns: int, way: str) -> Case:
    least = 4 * rows * columns + 8 * rows
    command = words("decoding_bench", "cuda", 0, "sample", rows, columns, way)
    return Case("sampling", f"{rows} x {columns:,}, {way.replace('_', '-')}", command, lambda _: least)


def filters(
    operation: str, shape: str, arguments: tuple, least: Callable[[dict], float], tensor_type: str = ""
) -> Case:
    """An operation of filter_bench. `arguments`: its name and shape there."""
    command = words("filter_bench", "cuda", *arguments)
    return Case(operation, shape, command, least, tensor_type, [Bar("bytes spilled", 0)])


def graph_filter(made: tuple[int, int, int], signals: int, order: int) -> Case:
    """Each product reads an entry and a row of 64 signals per rating, and writes the rows of the result."""
    users, items, ratings = made

    def least(printed: dict) -> float:
        products = printed["ratings"] * 2 * (8 + 256) + 256 * (users + 3 * items)
        return -(-signals // 64) * order * products + 4 * signals * items

    shape = f"{users:,} users, {items:,} items, {ratings // 1000}k ratings, {signals} signals, order {order}"
    return filters("graph filter", shape, ("graph", *made, signals, order), least)


def leading_vectors(made: tuple[int, int, int], factors: int) -> Case:
    """One subspace iteration with its Gram matrices."""
    users, items, ratings = made
    columns = 4 * (factors + 16)

    def least(printed: dict) -> float:
        return printed["ratings"] * 3 * (8 + columns) + columns * (3 * users + 7 * items)

    shape = f"{users:,} users, {items:,} items, {ratings // 1000}k ratings, {factors} factors"
    return filters("leading vectors", shape, ("vectors", *made, factors, 1), least, "tf32")


def item_weights(made: tuple[int, int, int], k: int) -> Case:
    """Weights of all items: an id and a value per product of two entries of a user; the weights, written and read."""
    users, items, ratings = made
    shape = f"{users:,} users, {items:,} items, {ratings // 1000}k ratings, {f'k {k}' if k else 'all'}"
    least = 8 * items**2 + 8 * items * k
    return filters("item weights", shape, ("weights", *made, k), lambda found: 8 * found.get("products", 0) + least)


FUSED = [
    Bar("bytes / least", 1.15),
    Bar("coalescing", 0.95, most=False),
    Bar("bank wavefronts / ideal", 1.05, kernel="fused_kernel"),
    Bar("tensor share", 0.8, most=False),
    Bar("bytes spilled", 0),
]
SCAN = [Bar("bytes / least", 1.05), Bar("launches", 3)]

CASES = [
    topk("top-k", 256, 4096, 64, 10, "fp32"),
    topk("top-k", 1000, 10_000, 128, 10, "bf16"),
    topk("top-k", 4096, 16_384, 128, 10, "tf32"),
    topk("top-k", 1024, 16_384, 128, 10, "fp32"),
    topk("top-k", 4096, 16_384, 128, 10, "fp16", *FUSED),
    topk("top-k of few queries", 1, 100_000, 128, 10),
    topk("top-k of few queries", 16, 100_000, 64, 10),
    topk("top-k of few queries", 1, 1_000_000, 128, 10, "fp16", *SCAN),
    topk("top-k of few queries", 1, 1_000_000, 128, 10, "fp32", *SCAN),
    topk("top-k with large k", 16, 10_000, 64, 1000),
    topk("top-k with large k", 4, 100_000, 64, 20_000),
    topk("top-k with large k", 64, 10_000, 64, 10_000),
    topk("top-k with large k", 256, 20_000, 64, 2000, "fp16"),
    preparation(10_000, 128, "fp32", "cosine"),
    preparation(10_000, 100, "bf16", "centred_cosine"),
    preparation(100_000, 128, "fp16", "cosine"),
    *(als(factors) for factors in (64, 128, 256)),
    *(implicit(factors, "cg") for factors in (64, 256)),
    implicit(64, "cholesky"),
    implicit(256, "block"),
    sgd(62, "constant"),
    sgd(64, "adagrad"),
    sgd(126, "adagrad"),
    *(posterior(columns) for columns in (32, 64, 128)),
    bpr(64, 1),
    bpr(128, 1),
    bpr(64, 4),
    simplex(64, 64, 256),
    simplex(128, 64, 256),
    simplex(64, 64, 2048),
    similarity(MADE, "jaccard", 20),
    similarity(SPARSE, "cosine", 20),
    similarity(SPARSE, "dot", 20),
    kmeans(20_000, 32, 64),
    kmeans(20_000, 128, 256),
    kmeans(50_000, 16, 1000),
    attend(1, 1024, 12, 12, 64, "bf16"),
    attend(8, 1024, 9, 3, 64, "bf16"),
    attend(64, 256, 32, 8, 128, "bf16"),
    penalize(1, 50_257, 512),
    penalize(8, 50_257, 512),
    penalize(64, 50_257, 512),
    sample(1, 50_257, "greedy"),
    sample(8, 50_257, "top_p"),
    sample(64, 50_257, "top_p"),
    graph_filter(SPARSE, 64, 8),
    graph_filter(SPARSE, 256, 1),
    graph_filter(MADE, 128, 2),
    leading_vectors(SPARSE, 64),
    leading_vectors(MADE, 128),
    leading_vectors(MADE, 256),
    item_weights(SPARSE, 20),
    item_weights(SPARSE, 0),
    item_weights(MADE, 20),
]

# Operation -> pictures in docs/ and what they show
PICTURES = {
    "top-k": [
        (
            "kernel-topk-roads.svg",
            "A rule of shapes and limits chooses between a scan, the fused kernel and tiles of scores",
        ),
        (
            "kernel-topk-fused.svg",
            "A block streams item tiles past its queries and keeps the best of each in shared memory",
        ),
    ],
    "ALS": [
        ("kernel-als.svg", "A block gathers rated rows, sums the upper triangle on tensor cores, factorizes and solves")
    ],
    "implicit ALS": [
        (
            "kernel-implicit-als.svg",
            "Steps of conjugate gradients for many rows: products with the Gram matrix on tensor cores, entries by teams",
        )
    ],
    "SGD": [
        ("kernel-sgd.svg", "A launch trains the cells of a diagonal, a warp each; lanes share the columns of both rows")
    ],
    "Bayesian factors": [
        ("kernel-posterior.svg", "Rows are drawn from their normal equations, with noise between the two solves")
    ],
    "BPR": [
        (
            "kernel-bpr.svg",
            "A warp tests the next 32 negatives at once and takes the steps of a cell one after the other",
        )
    ],
    "SimpleX": [
        (
            "kernel-simplex.svg",
            "Five launches per batch: users, negatives, their products, and the gradients of both sides",
        )
    ],
    "row similarity": [
        (
            "kernel-row-similarity.svg",
            "A query adds up the lists of its columns in sums of its own, which a selection reads",
        )
    ],
    "k-means": [
        ("kernel-kmeans.svg", "Rows find their centroids by top-k; chunks of each cluster are added in a fixed order")
    ],
    "decode attention": [
        (
            "kernel-decode-attention.svg",
            "A block attends to one part of a sequence for all query heads that share a key head",
        )
    ],
    "graph filter": [
        (
            "kernel-graph-filter.svg",
            "Sparse products with 64 signals: a warp sums a row, and the recurrence is applied when it is stored",
        )
    ],
}
