"""gguf_test.py FOLDER: folders made by scripts/convert_gguf.py equal what transformers reads from the GGUF file: tensors bit
for bit, config and token ids. Also data/smollm2, if it has been downloaded. Exit status 77 if transformers or gguf is
not installed (scripts/setup.sh tests gguf)."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
for library in ("transformers", "gguf"):
    if not (ROOT / "build" / library).exists():
        print(f"build/{library} is missing: run scripts/setup.sh tests gguf")
        sys.exit(77)
    sys.path.insert(0, str(ROOT / "build" / library))
sys.path.insert(0, str(ROOT / "scripts"))

import gguf
import numpy as np
import torch
import transformers
from make_tokenizer import alphabet
from tokenizers import pre_tokenizers

KINDS = [gguf.GGMLQuantizationType[name] for name in ("Q4_1", "Q8_0", "Q4_0", "F16", "F32", "Q5_1")]
LAYER = ["attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"]
TEXTS = [
    "Ask a question, get 3 answers by 2024-06-01!",
    "don't I'LL it's 5's a1b22c333",
    " leading,  two   three\n\n\tlines \r\n end  ",
    "你好，世界！2024年买一送一。 混合 mixed 中文",
    "<|im_start|>user\nHi<|im_end|>\n<|im_start|> <|im_end|><|endoftext|>",
    "naïve ﬁ 😀 👩‍👩‍👧‍👦",
    "",
    " ",
    "broken \ufffd\ufffd",
]
# The conversion of transformers ignores tokenizer.ggml.pre and always splits as GPT-2, which differs here.
SPLIT_OTHERWISE = ["a  5", "\n\n2024", "x \t 7 8", "½ Ⅷ ١٢ ２０２４"]


def made_file(path: Path, tied: bool, extra: str = "", scaled: bool = False, **fields: str) -> None:
    hidden, inner, heads, groups, layers, d = 96, 64, 6, 2, 2, 32
    tokens = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *alphabet(), "he", "ll", "hell", "hello"]
    random = np.random.default_rng(7)
    writer = gguf.GGUFWriter(path, fields.get("architecture", "llama"))
    writer.add_context_length(128)
    writer.add_embedding_length(hidden)
    writer.add_feed_forward_length(inner)
    writer.add_block_count(layers)
    writer.add_head_count(heads)
    writer.add_head_count_kv(groups)
    writer.add_key_length(d)
    writer.add_value_length(d)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(d)
    writer.add_rope_freq_base(5e5)
    writer.add_vocab_size(len(tokens))
    if scaled:
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(fields.get("pre", "smollm"))
    writer.add_token_list(tokens)
    writer.add_token_types([3] * 3 + [1] * (len(tokens) - 3))
    writer.add_token_merges(["h e", "l l", "he ll", "hell o"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_pad_token_id(2)
    sizes = {"attn_q": (heads * d, hidden), "attn_k": (groups * d, hidden), "attn_v": (groups * d, hidden)}
    sizes |= {"attn_output": (hidden, heads * d), "ffn_gate": (inner, hidden), "ffn_up": (inner, hidden)}
    sizes |= {"ffn_down": (hidden, inner)}
    shapes = {"token_embd": (len(tokens), hidden), "output_norm": (hidden,)}
    shapes |= {} if tied else {"output": (len(tokens), hidden)}
    for layer in range(layers):
        shapes |= {f"blk.{layer}.{name}": shape for name, shape in sizes.items()}
        shapes |= {f"blk.{layer}.{name}": (hidden,) for name in ("attn_norm", "ffn_norm")}
    shapes |= {extra: (hidden,)} if extra else {}
    for i, (name, shape) in enumerate(shapes.items()):
        kind = KINDS[i % len(KINDS)] if len(shape) == 2 else gguf.GGMLQuantizationType.F32
        values = random.normal(size=shape).astype(np.float32)
        writer.add_tensor(f"{name}.weight", gguf.quants.quantize(values, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def convert(file: Path, folder: Path) -> subprocess.CompletedProcess:
    command = [sys.executable, ROOT / "scripts" / "convert_gguf.py", file, folder]
    path = str(ROOT / "build" / "gguf")
    environment = os.environ | {"PYTHONPATH": path}
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def compare_models(file: Path, folder: Path) -> None:
    theirs = transformers.AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32)
    ours, found = transformers.AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True)
    wrong = {kind: sorted(map(str, names)) for kind, names in found.items() if names}
    assert not wrong, wrong
    expected = theirs.state_dict()
    assert ours.state_dict().keys() == expected.keys()
    for name, values in ours.state_dict().items():
        assert values.dtype == torch.float32 and values.shape == expected[name].shape, name
        assert torch.equal(values.view(torch.int32), expected[name].view(torch.int32)), f"{name} differs"
    config = ours.config.to_dict()
    for name, value in theirs.config.to_dict().items():
        if name not in (
            "_model_name_or_path",
            "_name_or_path",
            "architectures",
            "quantization_config",
            "transformers_version",
            "unk_token_id",
        ):
            assert config[name] == value, f"{name}: {config[name]}, expected {value}"
    for name in ("bos_token_id", "eos_token_id", "pad_token_id"):
        assert getattr(ours.generation_config, name) == getattr(theirs.generation_config, name), name
    print(f"{file.name}: {len(expected)} tensors equal those of transformers bit for bit")


def compare_tokenizers(file: Path, folder: Path) -> None:
    ours = transformers.AutoTokenizer.from_pretrained(folder, model_max_length=10**6)
    theirs = transformers.AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    texts = TEXTS + reviews()
    for text in texts:
        assert ours(text).input_ids == theirs(text).input_ids, text
    steps = [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    theirs.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(steps)
    for text in SPLIT_OTHERWISE:
        assert ours(text).input_ids == theirs(text).input_ids, text
    for name in ("bos_token", "eos_token", "unk_token", "pad_token", "chat_template"):
        assert getattr(ours, name) == getattr(theirs, name), name
    print(f"{file.name}: token ids of {len(texts)} texts equal those of transformers")


def reviews() -> list[str]:
    found = []
    for name in ("reviews-en/amazonReviewSnippets_GroundTruth.txt", "reviews-zh/neg.txt"):
        path = ROOT / "data" / name
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        found += [line.split("\t")[-1] for line in lines[::50]]
    return [text for text in found if "  " not in text]


def expect_refusal(folder: Path, name: str, reason: str, **made) -> None:
    file = folder / f"{name}.gguf"
    made_file(file, True, **made)
    refused(file, folder / name, reason)


def refused(file: Path, folder: Path, reason: str) -> None:
    answer = convert(file, folder)
    expected = f"convert_gguf: {file}: {reason}"
    assert answer.returncode == 1 and answer.stderr.strip().startswith(expected), answer.stderr
    assert len(answer.stderr.splitlines()) == 1, answer.stderr
    assert not (folder / "config.json").exists()


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for tied in (True, False):
        file, made = folder / f"tied-{tied}.gguf", folder / f"tied-{tied}"
        made_file(file, tied)
        answer = convert(file, made)
        assert answer.returncode == 0, answer.stderr
        assert json.loads((made / "config.json").read_text())["tie_word_embeddings"] == tied
        compare_models(file, made)
        compare_tokenizers(file, made)
    expect_refusal(folder, "falcon", "general.architecture is falcon", architecture="falcon")
    expect_refusal(folder, "qwen", "tokenizer.ggml.pre is qwen2, expected gpt-2 or smollm", pre="qwen2")
    expect_refusal(folder, "scaled", "the field llama.rope.scaling.type is not supported", scaled=True)
    expect_refusal(folder, "experts", "unknown tensor blk.0.exp_probs_b.weight", extra="blk.0.exp_probs_b")
    (folder / "short.gguf").write_bytes((folder / "tied-True.gguf").read_bytes()[:3000])
    refused(folder / "short.gguf", folder / "short", "cannot be read as GGUF")
    (folder / "text.gguf").write_text("你好")
    refused(folder / "text.gguf", folder / "text", "cannot be read as GGUF")
    refused(folder / "absent.gguf", folder / "absent", "cannot be read as GGUF")
    smollm2 = ROOT / "data" / "smollm2"
    if (smollm2 / "model.safetensors").exists():
        file = folder / "smollm2.gguf"  # apart, because transformers would also read the files beside it
        file.unlink(missing_ok=True)
        file.symlink_to(next(smollm2.glob("*.gguf")))
        compare_models(file, smollm2)
        compare_tokenizers(file, smollm2)


if __name__ == "__main__":
    main()
