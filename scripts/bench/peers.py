"""Runs one measurement of a public peer and prints one line of JSON: peers.py faiss|torch|gemm|implicit|tokenizers|... ARGUMENTS

faiss|torch QUERIES ITEMS COLUMNS K REPEATS     seconds per exact search over normalized rows; torch also on a GPU
gemm                                    GFLOP/s of a 2048^3 fp32 product in numpy (OpenBLAS)
torch-gemm fp32|tf32|bf16               the same in torch: the faster of its default backend and oneDNN; 8192^3 on a GPU
implicit PREPARED FACTORS EPOCHS        seconds per epoch of implicit's Cholesky ALS on the training rows of a prepared file
irspack-evaluate|recbole-evaluate PREPARED RUN K    seconds to rank all items for the users with test pairs, and the mean recall
irspack-ials PREPARED FACTORS EPOCHS ALPHA0 REG CG|IALSPP BLOCK PART SEED   seconds per epoch of implicit ALS, and Recall@20 on a part
implicit-ials PREPARED FACTORS EPOCHS ALPHA REGULARIZATION             the same of implicit's conjugate gradients
implicit-bpr PREPARED FACTORS EPOCHS RATE REGULARIZATION               the same of implicit's Bayesian personalized ranking
tokenizers TOKENIZER LINES ids|offsets  seconds for the lines of a file with Hugging Face's tokenizers, 1,000 lines per call
tiktoken|gpt2-tokenizers FOLDER LINES ids   the same with vocab.json and merges.txt of GPT-2: tiktoken's encode_ordinary line by line (with
                                        several threads: or in batches, if that is faster), or Hugging Face's tokenizers
"""

import itertools
import json
import os
import statistics
import sys
import time

from factor_peers import implicit_ials, irspack_evaluate, irspack_ials, recbole_evaluate
from place import DEVICE, ON_GPU, finish, place_torch
from ranking_peers import implicit_bpr


def seconds(work, repeats: int) -> float:
    work()
    finish()
    found = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        finish()
        found.append(time.perf_counter() - start)
    return statistics.median(found)


def normalised(queries: int, items: int, columns: int):
    import numpy as np

    random = np.random.default_rng(0)
    made = [random.standard_normal((rows, columns), dtype=np.float32) for rows in (queries, items)]
    return [rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in made]


def faiss(queries: int, items: int, columns: int, k: int, repeats: int) -> dict:
    import faiss

    faiss.omp_set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    query_rows, item_rows = normalised(queries, items, columns)
    index = faiss.IndexFlatIP(columns)
    index.add(item_rows)
    return {"seconds": seconds(lambda: index.search(query_rows, k), repeats)}


def torch_topk(queries: int, items: int, columns: int, k: int, repeats: int) -> dict:
    import torch

    place_torch()
    query_rows, item_rows = (torch.from_numpy(rows).to(DEVICE) for rows in normalised(queries, items, columns))
    transposed = item_rows.T

    def search():
        for begin in range(0, queries, 256):
            torch.topk(torch.mm(query_rows[begin : begin + 256], transposed), k, dim=1)

    return {"seconds": seconds(search, repeats)}


def gemm() -> dict:
    import numpy as np

    left, right = (np.random.default_rng(seed).standard_normal((2048, 2048), dtype=np.float32) for seed in (0, 1))
    return {"gflops": 2 * 2048**3 / seconds(lambda: left @ right, 7) / 1e9}


def torch_gemm(precision: str) -> dict:
    import torch

    place_torch(precision)
    kind, size = torch.bfloat16 if precision == "bf16" else torch.float32, 8192 if ON_GPU else 2048
    left, right = (torch.randn(size, size, device=DEVICE).to(kind) for _ in range(2))
    found = [seconds(lambda: torch.mm(left, right), 7)]
    if not ON_GPU:
        found.append(seconds(lambda: torch.ops.mkldnn._linear_pointwise(left, right, None, "none", [], ""), 7))
    return {"gflops": 2 * size**3 / min(found) / 1e9}


def implicit(path: str, factors: int, epochs: int) -> dict:
    import h5py
    import scipy.sparse
    from implicit.cpu.als import AlternatingLeastSquares

    with h5py.File(path) as file:
        shape = len(file["users/ids"]), len(file["items/ids"])
        part = file["train/by_user"]
        rows = scipy.sparse.csr_matrix((part["values"][:], part["columns"][:], part["offsets"][:]), shape=shape)
    stamps = [time.perf_counter()]
    model = AlternatingLeastSquares(
        factors=factors,
        regularization=0.1,
        iterations=epochs,
        use_cg=False,
        num_threads=int(os.environ["OMP_NUM_THREADS"]),
        random_state=1,
    )
    model.fit(rows, show_progress=False, callback=lambda *_: stamps.append(time.perf_counter()))
    return {"seconds": statistics.median([after - before for before, after in itertools.pairwise(stamps[1:])])}


def lines_of(path: str) -> list[str]:
    with open(path, encoding="utf-8", newline="\n") as file:
        return file.read().split("\n")[:-1]


def tokenizers(path: str, lines: str, kind: str) -> dict:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(path)
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return by_tokenizers(tokenizer, lines, kind)


def gpt2_tokenizers(folder: str, lines: str, kind: str) -> dict:
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.BPE.from_file(f"{folder}/vocab.json", f"{folder}/merges.txt"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return by_tokenizers(tokenizer, lines, kind)


def tiktoken(folder: str, lines: str, _: str) -> dict:
    import tiktoken
    from tiktoken.load import data_gym_to_mergeable_bpe_ranks
    from tiktoken_ext.openai_public import r50k_pat_str

    ranks = data_gym_to_mergeable_bpe_ranks(f"{folder}/merges.txt", f"{folder}/vocab.json")
    encoding = tiktoken.Encoding("gpt2", pat_str=r50k_pat_str, mergeable_ranks=ranks, special_tokens={})
    texts, threads = lines_of(lines), int(os.environ["OMP_NUM_THREADS"])

    def one_by_one() -> int:
        return sum(len(encoding.encode_ordinary(text)) for text in texts)

    def in_batches() -> int:
        return sum(map(len, encoding.encode_ordinary_batch(texts, num_threads=threads)))

    works = [one_by_one] if threads == 1 else [one_by_one, in_batches]
    return {"seconds": min(seconds(work, 3) for work in works), "tokens": one_by_one()}


def by_tokenizers(tokenizer, lines: str, kind: str) -> dict:
    texts = lines_of(lines)
    encode = tokenizer.encode_batch if kind == "offsets" else tokenizer.encode_batch_fast

    def all_lines() -> int:
        return sum(len(row) for at in range(0, len(texts), 1000) for row in encode(texts[at : at + 1000]))

    return {"seconds": seconds(all_lines, 3), "tokens": all_lines()}


if __name__ == "__main__":
    works = {
        "faiss": faiss,
        "torch": torch_topk,
        "gemm": gemm,
        "torch-gemm": torch_gemm,
        "implicit": implicit,
        "implicit-ials": implicit_ials,
        "implicit-bpr": implicit_bpr,
        "irspack-ials": irspack_ials,
        "irspack-evaluate": irspack_evaluate,
        "recbole-evaluate": recbole_evaluate,
        "tokenizers": tokenizers,
        "gpt2-tokenizers": gpt2_tokenizers,
        "tiktoken": tiktoken,
    }
    print(json.dumps(works[sys.argv[1]](*(int(word) if word.isdigit() else word for word in sys.argv[2:]))))
