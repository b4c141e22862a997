"""Runs one measurement of a public peer on a BERT classifier and prints one line of JSON.

text_peers.py prepare FOLDER                    writes the inputs: texts.txt and texts.ids (2,000 English reviews in their original
                                                order, and their token ids), classifier/ (MiniLM with a random head, a Hugging
                                                Face folder), and that model as onnx/ and ctranslate2/
text_peers.py best FOLDER ENGINE PRECISION THREADS      the fastest of BATCHES on every fourth text
text_peers.py classify FOLDER ENGINE PRECISION THREADS BATCH PASSES     seconds to classify texts.ids (sorting and padding included)
                                                and texts.txt (tokenization included too); medians of PASSES after a warm-up.
                                                With PASSES 0 it exits before loading the model, to measure base memory.

ENGINE and PRECISION: transformers fp32|bf16 (on a GPU, where THREADS is cuda, also tf32), onnxruntime fp32|int8, ctranslate2 fp32|int8. Every engine gets the texts sorted by
length, in batches of a number of rows ("32 rows") or of tokens including padding ("1024 tokens").
"""

import importlib
import json
import os
import shutil
import statistics
import sys
import time
from functools import partial
from pathlib import Path

from place import DEVICE, ON_GPU, finish, place_torch

ROOT = Path(__file__).resolve().parents[2]
TEXTS = 2000
SIZES = ((64, 256), (4096, 16384, 65536)) if ON_GPU else ((8, 16, 32, 64), (512, 1024, 2048, 4096))
BATCHES = [f"{size} {unit}" for unit, sizes in zip(("rows", "tokens"), SIZES) for size in sizes]
os.environ["TOKENIZERS_PARALLELISM"] = "false"


def prepare(folder: Path) -> dict:
    import ctranslate2
    import torch
    import transformers
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.transformers import optimizer
    from tokenizers import Tokenizer

    source, classifier, onnx = ROOT / "data/minilm", folder / "classifier", folder / "onnx"
    folder.mkdir(parents=True, exist_ok=True)
    lines = (ROOT / "data/reviews-en/amazonReviewSnippets_GroundTruth.txt").read_text("utf-8", "replace").splitlines()
    texts = list(dict.fromkeys(" ".join(line.split("\t")[2].split()) for line in lines if line.count("\t") >= 2))[
        :TEXTS
    ]
    tokenizer = Tokenizer.from_file(str(source / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(128)
    rows = [encoding.ids for encoding in tokenizer.encode_batch(texts)]

    torch.manual_seed(42)
    model = transformers.BertForSequenceClassification.from_pretrained(
        source, num_labels=2, attn_implementation="eager"
    ).eval()
    model.save_pretrained(classifier)
    base = folder / "base"
    model.bert.save_pretrained(base)
    for name in ("vocab.txt", "tokenizer.json", "tokenizer_config.json"):
        shutil.copy(source / name, base)
        shutil.copy(source / name, classifier)
    ctranslate2.converters.TransformersConverter(str(base)).convert(str(folder / "ctranslate2"), force=True)

    class Logits(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, ids, mask, types):
            return self.model(input_ids=ids, attention_mask=mask, token_type_ids=types).logits

    onnx.mkdir(exist_ok=True)
    ids, mask = torch.randint(5, 1000, (3, 17)), torch.ones(3, 17, dtype=torch.long)
    mask[0, 9:] = 0
    names = ["input_ids", "attention_mask", "token_type_ids"]
    torch.onnx.export(
        Logits(),
        (ids, mask, torch.zeros_like(ids)),
        str(onnx / "plain.onnx"),
        input_names=names,
        output_names=["logits"],
        dynamic_axes={name: {0: "b", 1: "s"} for name in names},
        opset_version=17,
        dynamo=False,
    )
    optimizer.optimize_model(
        str(onnx / "plain.onnx"), model_type="bert", num_heads=12, hidden_size=384
    ).save_model_to_file(str(onnx / "fp32.onnx"))
    options = {"DefaultTensorType": 1}
    quantize_dynamic(onnx / "fp32.onnx", onnx / "int8.onnx", weight_type=QuantType.QInt8, extra_options=options)
    (folder / "texts.ids").write_text("".join(" ".join(map(str, row)) + "\n" for row in rows))
    (folder / "texts.txt").write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    return {"texts": len(rows), "tokens": sum(map(len, rows))}


def padded(rows):
    import numpy as np

    ids = np.zeros((len(rows), max(map(len, rows))), np.int64)
    mask = np.zeros_like(ids)
    for i, row in enumerate(rows):
        ids[i, : len(row)], mask[i, : len(row)] = row, 1
    return ids, mask


def transformers(folder: Path, precision: str, threads: int):
    import torch
    import transformers

    if ON_GPU:
        place_torch(precision)
    else:
        torch.set_num_threads(threads)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder / "classifier").to(DEVICE).eval()
    if precision == "bf16":
        model = model.bfloat16()

    def logits(rows):
        ids, mask = (torch.from_numpy(each).to(DEVICE) for each in padded(rows))
        with torch.inference_mode():
            return model(input_ids=ids, attention_mask=mask).logits.float().cpu().numpy()

    return logits


def onnxruntime(folder: Path, precision: str, threads: int):
    import numpy as np
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    session = onnxruntime.InferenceSession(
        str(folder / "onnx" / f"{precision}.onnx"), options, providers=["CPUExecutionProvider"]
    )

    def logits(rows):
        ids, mask = padded(rows)
        inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        wanted = {each.name for each in session.get_inputs()}
        return session.run(None, {name: value for name, value in inputs.items() if name in wanted})[0]

    return logits


def ctranslate2(folder: Path, precision: str, threads: int):
    import ctranslate2
    import numpy as np
    from safetensors.numpy import load_file

    weights = load_file(folder / "classifier" / "model.safetensors")
    weight, bias = weights["classifier.weight"].T.copy(), weights["classifier.bias"].copy()
    del weights
    kind = {"fp32": "float32", "int8": "int8"}[precision]
    encoder = ctranslate2.Encoder(
        str(folder / "ctranslate2"), device="cpu", compute_type=kind, inter_threads=1, intra_threads=threads
    )
    return lambda rows: np.array(encoder.forward_batch(rows).pooler_output) @ weight + bias


def batches(rows: list, size: str) -> list[list[int]]:
    """Indices of the rows, sorted by length."""
    most, unit = size.split()
    made = [[]]
    for i in sorted(range(len(rows)), key=lambda i: len(rows[i])):
        full = len(made[-1]) + 1 if unit == "rows" else (len(made[-1]) + 1) * len(rows[i])
        if made[-1] and full > int(most):
            made.append([])
        made[-1].append(i)
    return made


def all_logits(logits, rows: list, size: str):
    import numpy as np

    found = np.empty((len(rows), 2), np.float32)
    for part in batches(rows, size):
        found[part] = logits([rows[i] for i in part])
    return found


def seconds(work, passes: int) -> float:
    found = []
    for _ in range(passes):
        start = time.perf_counter()
        work()
        finish()
        found.append(time.perf_counter() - start)
    return statistics.median(found)


def engine_of(folder: Path, engine: str, precision: str, threads: int):
    engines = {"transformers": transformers, "onnxruntime": onnxruntime, "ctranslate2": ctranslate2}
    return engines[engine](folder, precision, threads)


def ids_of(folder: Path) -> list[list[int]]:
    return [[int(word) for word in line.split()] for line in (folder / "texts.ids").read_text().splitlines()]


def best(folder: Path, engine: str, precision: str, threads: int) -> dict:
    logits, rows = engine_of(folder, engine, precision, threads), ids_of(folder)[::4]
    all_logits(logits, rows, BATCHES[0])  # warm-up
    found = {size: seconds(partial(all_logits, logits, rows, size), 1) for size in BATCHES}
    return {"batches": min(found, key=found.get), "seconds": {size: round(each, 3) for size, each in found.items()}}


def classify(folder: Path, engine: str, precision: str, threads: int, size: str, passes: int) -> dict:
    from tokenizers import Tokenizer

    importlib.import_module(engine)
    tokenizer = Tokenizer.from_file(str(ROOT / "data/minilm/tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(128)
    rows, texts = ids_of(folder), (folder / "texts.txt").read_text("utf-8").splitlines()
    if passes == 0:
        return {}
    logits = engine_of(folder, engine, precision, threads)

    def from_text():
        return all_logits(logits, [encoding.ids for encoding in tokenizer.encode_batch(texts)], size)

    all_logits(logits, rows[::8], size)  # warm-up
    return {
        "seconds": seconds(lambda: all_logits(logits, rows, size), passes),
        "seconds_from_text": seconds(from_text, passes),
    }


if __name__ == "__main__":
    action, folder, *words = sys.argv[1:]
    work = {"prepare": prepare, "best": best, "classify": classify}[action]
    print(json.dumps(work(Path(folder), *(int(word) if word.isdigit() else word for word in words))))
