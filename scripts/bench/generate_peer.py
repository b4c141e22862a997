"""Runs one measurement of a public peer that generates text and prints one line of JSON.

generate_peer.py prepare FOLDER     writes a GPT-2 of 124 million random weights as FOLDER/gpt2 (a Hugging Face folder) and, for
                                    CTranslate2, as FOLDER/ctranslate2-fp32 and FOLDER/ctranslate2-int8
generate_peer.py gguf FOLDER        writes the same model for llama.cpp as FOLDER/q8_0.gguf (weights Q8_0, the rest fp32)
generate_peer.py ctranslate2|llama FOLDER PRECISION ROWS SETTINGS PASSES     seconds to generate (median of PASSES after a
                                    short warm-up), peak memory, and the new ids. With PASSES 0 it exits before
                                    loading the model, to measure base memory.

Each line of the file ROWS is a number of tokens to generate and the ids of a prompt. End tokens are ignored. SETTINGS is JSON:
ctranslate2: "batch" and "unit" (rows or tokens per batch), "order" (of the rows: prompt, new, both), "leave" (finished rows leave
their batch), "workers" and "threads" (of each), "shared" (length of a prefix given as static_prompt);
llama: "threads", "flash" (flash attention), "unified" (one KV buffer), "cache" (f16 or f32).
"""

import ctypes
import json
import os
import shutil
import statistics
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LAYERS, HEADS, WIDTH, VOCABULARY, POSITIONS = 12, 12, 768, 50257, 1024
END = 50256
os.environ["TOKENIZERS_PARALLELISM"] = "false"


def weights() -> dict:
    """Random tensors named as GPT-2's. The layers are large enough that the output is not one token repeated."""
    import numpy as np

    random = np.random.default_rng(42)

    def normal(deviation: float, *shape: int):
        return random.standard_normal(shape, dtype=np.float32) * np.float32(deviation)

    made = {"wte.weight": normal(0.02, VOCABULARY, WIDTH), "wpe.weight": normal(0.02, POSITIONS, WIDTH)}
    for layer in range(LAYERS):
        shapes = {
            "attn.c_attn": (WIDTH, 3 * WIDTH),
            "attn.c_proj": (WIDTH, WIDTH),
            "mlp.c_fc": (WIDTH, 4 * WIDTH),
            "mlp.c_proj": (4 * WIDTH, WIDTH),
        }
        for name, shape in shapes.items():
            made[f"h.{layer}.{name}.weight"] = normal(0.05, *shape)
            made[f"h.{layer}.{name}.bias"] = normal(0.02, shape[1])
    for name in [f"h.{layer}.ln_{i}" for layer in range(LAYERS) for i in (1, 2)] + ["ln_f"]:
        made[f"{name}.weight"] = 1 + normal(0.02, WIDTH)
        made[f"{name}.bias"] = normal(0.02, WIDTH)
    return made


def prepare(folder: Path) -> dict:
    import ctranslate2
    from safetensors.numpy import save_file

    model = folder / "gpt2"
    model.mkdir(parents=True, exist_ok=True)
    config = {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "activation_function": "gelu_new",
        "n_embd": WIDTH,
        "n_head": HEADS,
        "n_layer": LAYERS,
        "n_positions": POSITIONS,
        "vocab_size": VOCABULARY,
        "layer_norm_epsilon": 1e-5,
        "bos_token_id": END,
        "eos_token_id": END,
        "tie_word_embeddings": True,
    }
    (model / "config.json").write_text(json.dumps(config, indent=2))
    for name in ("vocab.json", "merges.txt"):
        shutil.copy(ROOT / "data" / "gpt2-tokenizer" / name, model)
    tensors = weights()
    save_file(
        {f"transformer.{name}": each for name, each in tensors.items()}, model / "model.safetensors", {"format": "pt"}
    )
    for precision, kind in {"fp32": "float32", "int8": "int8"}.items():
        converter = ctranslate2.converters.TransformersConverter(str(model))
        converter.convert(str(folder / f"ctranslate2-{precision}"), quantization=kind, force=True)
    return {"parameters": sum(each.size for each in tensors.values())}


def gguf(folder: Path) -> dict:
    import gguf
    from safetensors.numpy import load_file

    writer = gguf.GGUFWriter(folder / "q8_0.gguf", "gpt2")
    writer.add_context_length(POSITIONS)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(4 * WIDTH)
    writer.add_head_count(HEADS)
    writer.add_layer_norm_eps(1e-5)
    writer.add_vocab_size(VOCABULARY)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    writer.add_tokenizer_model("none")
    names = {
        "wte": "token_embd",
        "wpe": "position_embd",
        "ln_f": "output_norm",
        "ln_1": "attn_norm",
        "ln_2": "ffn_norm",
        "attn.c_attn": "attn_qkv",
        "attn.c_proj": "attn_output",
        "mlp.c_fc": "ffn_up",
        "mlp.c_proj": "ffn_down",
    }
    q8_0 = gguf.GGMLQuantizationType.Q8_0
    for key, tensor in load_file(folder / "gpt2" / "model.safetensors").items():
        parts = key.removeprefix("transformer.").split(".")
        block = f"blk.{parts[1]}." if parts[0] == "h" else ""
        name, kind = ".".join(parts[2:-1] if block else parts[:-1]), parts[-1]
        if name.startswith(("attn", "mlp")) and kind == "weight":
            tensor = tensor.T.copy()  # GPT-2 stores (in, out)
        if tensor.ndim == 2 and name != "wpe":
            writer.add_tensor(f"{block}{names[name]}.{kind}", gguf.quants.quantize(tensor, q8_0), raw_dtype=q8_0)
        else:
            writer.add_tensor(f"{block}{names[name]}.{kind}", tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return {"bytes": (folder / "q8_0.gguf").stat().st_size}


def batches(rows: list, size: int, unit: str, order: str) -> list[list[int]]:
    """Indices of the rows, sorted, in batches of at most `size` rows or padded tokens."""
    keys = {
        "prompt": lambda i: (len(rows[i][1]), rows[i][0]),
        "new": lambda i: (rows[i][0], len(rows[i][1])),
        "both": lambda i: len(rows[i][1]) + rows[i][0],
    }
    made = [[]]
    for i in sorted(range(len(rows)), key=keys[order], reverse=True):
        longest = max(len(rows[j][1]) + rows[j][0] for j in [*made[-1], i])
        full = (len(made[-1]) + 1) * (1 if unit == "rows" else longest)
        if made[-1] and full > size:
            made.append([])
        made[-1].append(i)
    return made


def ctranslate2(folder: Path, precision: str, rows: list, settings: dict):
    import ctranslate2

    model = folder / f"ctranslate2-{precision}"
    kind = {"fp32": "float32", "int8": "int8"}[precision]
    generator = ctranslate2.Generator(
        str(model),
        device="cpu",
        compute_type=kind,
        inter_threads=settings.get("workers", 1),
        intra_threads=settings["threads"],
        max_queued_batches=-1,
    )
    words = json.loads((model / "vocabulary.json").read_text())
    shared = settings.get("shared", 0)
    prefix = [words[each] for each in rows[0][1][:shared]] or None

    def leave(wanted: list[int]):
        left = list(wanted)

        def step(result) -> bool:
            left[result.batch_id] -= 1
            return left[result.batch_id] <= 0

        return step

    def generate(rows: list) -> list[list[int]]:
        made, waiting = [None] * len(rows), []
        own = [(new, ids[shared:]) for new, ids in rows]
        size, unit, order = (
            settings.get("batch", len(rows)),
            settings.get("unit", "rows"),
            settings.get("order", "prompt"),
        )
        parts = batches(own, size, unit, order)
        for part in parts:
            longest = max(rows[i][0] for i in part)
            callback = {"callback": leave([rows[i][0] for i in part])} if settings.get("leave") else {}
            waiting += generator.generate_batch(
                [[words[each] for each in own[i][1]] for i in part],
                max_length=longest,
                min_length=longest,
                static_prompt=prefix,
                include_prompt_in_result=False,
                asynchronous=True,
                **callback,
            )
        for i, result in zip([i for part in parts for i in part], waiting):
            made[i] = result.result().sequences_ids[0]
        return made

    return generate


class Llama:
    """Greedy generation of parallel sequences through llama.cpp's C functions."""

    def __init__(self, folder: Path, rows: list, settings: dict):
        import llama_cpp

        self.llama = llama_cpp
        self.silent = llama_cpp.llama_log_callback(lambda *_: None)
        llama_cpp.llama_log_set(self.silent, ctypes.c_void_p(0))
        llama_cpp.llama_backend_init()
        options = llama_cpp.llama_model_default_params()
        options.use_mmap = settings.get("mmap", True)
        self.model = llama_cpp.llama_model_load_from_file(str(folder / "q8_0.gguf").encode(), options)
        context = llama_cpp.llama_context_default_params()
        longest = -(-max(new + len(ids) for new, ids in rows) // 256) * 256
        tokens = sum(len(ids) for _, ids in rows)
        context.n_seq_max, context.n_ctx = len(rows), longest * len(rows)
        context.n_batch = context.n_ubatch = max(tokens, 32)
        context.n_threads = context.n_threads_batch = settings["threads"]
        context.flash_attn_type = int(settings.get("flash", True))
        context.kv_unified = settings.get("unified", False)
        context.type_k = context.type_v = {"f32": 0, "f16": 1}[settings.get("cache", "f16")]
        context.no_perf = True
        self.context = llama_cpp.llama_init_from_model(self.model, context)
        self.batch = llama_cpp.llama_batch_init(context.n_batch, 0, 1)

    def decode(self, entries: list[tuple[int, int, int, bool]]) -> list[int]:
        """Runs (token, position, sequence, wanted) entries; the most probable next tokens of the wanted ones."""
        import numpy as np

        batch, wanted = self.batch, []
        batch.n_tokens = len(entries)
        for i, (token, position, sequence, want) in enumerate(entries):
            batch.token[i], batch.pos[i], batch.logits[i] = token, position, want
            batch.n_seq_id[i], batch.seq_id[i][0] = 1, sequence
            if want:
                wanted.append(i)
        if self.llama.llama_decode(self.context, batch):
            sys.exit("llama_decode failed")
        logits = (
            np.ctypeslib.as_array(self.llama.llama_get_logits_ith(self.context, i), (VOCABULARY,)) for i in wanted
        )
        return [int(each.argmax()) for each in logits]

    def __call__(self, rows: list) -> list[list[int]]:
        self.llama.llama_memory_clear(self.llama.llama_get_memory(self.context), False)
        entries = [
            (token, place, i, place == len(ids) - 1)
            for i, (_, ids) in enumerate(rows)
            for place, token in enumerate(ids)
        ]
        made = [[] for _ in rows]
        active = list(range(len(rows)))
        while active:
            for i, token in zip(active, self.decode(entries)):
                made[i].append(token)
            active = [i for i in active if len(made[i]) < rows[i][0]]
            entries = [(made[i][-1], len(rows[i][1]) + len(made[i]) - 1, i, True) for i in active]
        return made


def peak_mib() -> float:
    status = Path("/proc/self/status").read_text().split()
    return int(status[status.index("VmHWM:") + 1]) / 1024


def measure(engine: str, folder: Path, precision: str, rows: list, settings: dict, passes: int) -> dict:
    import numpy  # noqa: F401  both engines need it

    __import__({"llama": "llama_cpp"}.get(engine, engine))
    if passes == 0:
        return {"peak_mib": peak_mib()}
    generate = Llama(folder, rows, settings) if engine == "llama" else ctranslate2(folder, precision, rows, settings)
    generate([(4, ids) for _, ids in rows[:2]])
    found, cpu = [], []
    for _ in range(passes):
        start, used = time.perf_counter(), time.process_time()
        made = generate(rows)
        found.append(time.perf_counter() - start)
        cpu.append(time.process_time() - used)
    short = [i for i, (new, _) in enumerate(rows) if len(made[i]) < new]
    if short:
        sys.exit(f"{engine}: row {short[0]} has {len(made[short[0]])} tokens instead of {rows[short[0]][0]}")
    kept = [ids[:new] for ids, (new, _) in zip(made, rows)]
    return {
        "seconds": statistics.median(found),
        "cpu_seconds": statistics.median(cpu),
        "peak_mib": peak_mib(),
        "texts": kept,
    }


def rows_of(path: str) -> list[tuple[int, list[int]]]:
    lines = ([int(word) for word in line.split()] for line in Path(path).read_text().splitlines())
    return [(line[0], line[1:]) for line in lines]


if __name__ == "__main__":
    action, folder, *words = sys.argv[1:]
    if action in ("prepare", "gguf"):
        print(json.dumps({"prepare": prepare, "gguf": gguf}[action](Path(folder))))
    else:
        precision, rows, settings, passes = words
        print(json.dumps(measure(action, Path(folder), precision, rows_of(rows), json.loads(settings), int(passes))))
