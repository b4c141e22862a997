#!/usr/bin/env python3
"""Writes reference values of decoding computed with transformers to tests/golden/generate_NAME.json.

    greedy      most probable tokens, alone and with processors, by small models of every family
    processors  logits after the processors of given histories, one by one and together
    beams       beam search: texts and their scores

    build/golden-bert/bin/python scripts/golden/generate.py NAME     (the environment of scripts/golden/gpt.py)

The models have the weights of gpt.py's formula, but larger ones: those with small weights repeat one token for ever. Rounding
must not decide about a text: cases in which noise of 1e-5 times the largest logit changes it, or which go round in circles, get another prompt.
"""

import argparse
import json

import numpy as np
import torch
import transformers
from bert import ROOT
from gpt import GPT2, LLAMA, Decoder, rope
from transformers.generation import LogitsProcessor, LogitsProcessorList

transformers.logging.set_verbosity_error()
VOCABULARY, LONGEST, PAD = 61, 96, 0
GROUPED = {"num_attention_heads": 6, "num_key_value_heads": 2}
MODELS = [
    ("gpt2", "gpt2", {"tie_word_embeddings": False}),
    ("gpt2, tied", "gpt2", {"n_head": 2}),
    ("llama", "llama", {**GROUPED, **rope("default", 5e5)}),
    ("mistral", "mistral", {**GROUPED, "sliding_window": None, "head_dim": 12}),
    ("qwen2", "qwen2", {**GROUPED, **rope("default", 1e6)}),
    ("qwen3", "qwen3", {**GROUPED, "head_dim": 8, **rope("default", 1e6)}),
]
SCALE = 0.9
ENDS = [2, 7, 11, 13, 29, 31, 47, 53]


def made(index: int) -> Decoder:
    _, family, fields = MODELS[index]
    sizes = {**GPT2, "n_positions": LONGEST} if family == "gpt2" else {**LLAMA, "max_position_embeddings": LONGEST}
    decoder = Decoder(family, {**sizes, **fields}, SCALE)
    decoder.model.generation_config.eos_token_id = None
    return decoder


class Noise(LogitsProcessor):
    def __init__(self, seed: int):
        self.random = torch.Generator().manual_seed(seed)

    def __call__(self, ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        largest = scores[scores.isfinite()].abs().max()
        return scores + 1e-5 * largest * torch.randn(scores.shape, generator=self.random)


def without_padding(ids: list[int], ends: list[int]) -> list[int]:
    end = next((i for i, each in enumerate(ids) if each in ends), len(ids) - 1)
    return ids[: end + 1]


def generated(model, prompt: list[int], settings: dict, noise: int | None = None):
    ends = settings.get("eos_token_id", [])
    config = transformers.GenerationConfig(
        **{"do_sample": False, "top_k": 0, **settings, "pad_token_id": PAD, "eos_token_id": ends or None}
    )
    found = model.generate(
        torch.tensor([prompt]),
        generation_config=config,
        logits_processor=LogitsProcessorList([] if noise is None else [Noise(noise)]),
        return_dict_in_generate=True,
        output_logits=True,
        output_scores=True,
    )
    return [without_padding(row[len(prompt) :], ends) for row in found.sequences.tolist()], found


def written(decoder: Decoder, length: int, settings: dict, seed: int):
    """A prompt with a text that does not depend on rounding and does not end in a short circle."""
    random = np.random.default_rng(seed)
    for _ in range(200):
        prompt = random.integers(3, VOCABULARY, length).tolist()
        texts, found = generated(decoder.model, prompt, settings)
        if len(texts[0]) > 4 * len(set(texts[0])):
            continue
        if all(generated(decoder.model, prompt, settings, noise)[0] == texts for noise in range(2)):
            return prompt, texts, found
    raise ValueError(f"no stable text with {settings}")


def models() -> list[dict]:
    return [{"name": name, "config": made(i).config(), "scale": SCALE} for i, (name, _, _) in enumerate(MODELS)]


def greedy() -> dict:
    kinds = [
        {"max_new_tokens": 48},
        {"max_new_tokens": 60, "eos_token_id": ENDS},
        {"max_new_tokens": 32, "eos_token_id": [2], "no_repeat_ngram_size": 2, "repetition_penalty": 1.3},
        {"max_new_tokens": 24, "eos_token_id": ENDS, "min_new_tokens": 9},
        {"max_new_tokens": 1},
    ]
    cases = []
    for index in range(len(MODELS)):
        decoder = made(index)
        for settings in kinds:
            for length in (1, 16, 31):
                prompt, texts, found = written(decoder, length, settings, len(cases))
                logits = torch.cat(found.logits).log_softmax(-1)
                total = sum(logits[i, token].item() for i, token in enumerate(texts[0]))
                cases.append({"model": index, "settings": settings, "prompt": prompt, "ids": texts[0]})
                cases[-1]["log_probability"] = float(f"{total:.9g}")
    return {"models": models(), "cases": cases}


def beams() -> dict:
    search = [
        {"num_beams": 2},
        {"num_beams": 3, "num_return_sequences": 3},
        {"num_beams": 4, "num_return_sequences": 2, "length_penalty": 0.0},
        {"num_beams": 4, "num_return_sequences": 4, "length_penalty": 2.0},
        {"num_beams": 5, "num_return_sequences": 5, "length_penalty": -1.0},
        {"num_beams": 3, "num_return_sequences": 2, "no_repeat_ngram_size": 2},
        {"num_beams": 3, "num_return_sequences": 3, "min_new_tokens": 6, "repetition_penalty": 1.2},
        {"num_beams": 6, "num_return_sequences": 6, "length_penalty": 0.5},
    ]
    cases, decoders = [], [made(index) for index in range(len(MODELS))]
    for early_stopping in (False, True, "never"):
        for ends in (ENDS, ENDS[:1], []):
            for each in search:
                settings = {**each, "max_new_tokens": 24, "early_stopping": early_stopping, "eos_token_id": ends}
                index, length = len(cases) % len(MODELS), (1, 5, 17, 33)[len(cases) % 4]
                prompt, texts, found = written(decoders[index], length, settings, len(cases))
                cases.append({"model": index, "settings": settings, "prompt": prompt, "ids": texts})
                cases[-1]["scores"] = [float(f"{score:.9g}") for score in found.sequences_scores.tolist()]
    return {"models": models(), "cases": cases}


def finite(scores: torch.Tensor) -> list:
    """null where a token is forbidden."""
    return [[float(f"{x:.7g}") if np.isfinite(x) else None for x in row] for row in scores.tolist()]


def processors() -> dict:
    model = made(0).model
    random = np.random.default_rng(5)
    # Few different tokens, so that n-grams and banned phrases occur.
    history = random.integers(3, 9, (6, 24))
    history[1] = 5
    history[2, -4:] = [3, 4, 3, 4]
    banned = [[8], [3, 4, 5], [int(history[0, -1]), 17], [5, 5, 5], [4, 3]]
    banned += [[int(history[3, -2]), int(history[3, -1]), 40], [60], [33, 34]]
    alone = [
        {"repetition_penalty": 1.5},
        {"repetition_penalty": 0.7},
        {"no_repeat_ngram_size": 1},
        {"no_repeat_ngram_size": 2},
        {"no_repeat_ngram_size": 4},
        {"bad_words_ids": banned},
        {"min_new_tokens": 8},
        {"min_new_tokens": 9},
        {"temperature": 0.6},
        {"temperature": 3.0},
        {"top_k": 1},
        {"top_k": 7},
        {"top_k": 100},
        {"top_p": 0.3},
        {"top_p": 0.9},
        {"top_p": 0.01},
        {"min_p": 0.2},
        {"min_p": 1.0},
    ]
    together = [
        {"temperature": 0.8, "top_k": 20, "top_p": 0.9, "min_p": 0.05},
        {"temperature": 1.7, "top_k": 9, "top_p": 0.6},
        {"repetition_penalty": 1.2, "no_repeat_ngram_size": 2, "bad_words_ids": banned, "min_new_tokens": 20},
        {
            "repetition_penalty": 1.3,
            "no_repeat_ngram_size": 3,
            "bad_words_ids": banned,
            "min_new_tokens": 12,
            "temperature": 0.7,
            "top_k": 30,
            "top_p": 0.95,
            "min_p": 0.02,
        },
    ]
    cases = []
    for settings in alone + together:
        prompt = int(random.integers(15, 17))  # 8 or 9 new tokens
        logits = torch.from_numpy(random.normal(0, 3, (len(history), VOCABULARY)).round(4).astype(np.float32))
        ids = torch.from_numpy(history)
        rows = {}
        for name, sampled in (("processed", False), ("sampled", True)):
            config = transformers.GenerationConfig(
                **{"top_k": 0, "temperature": 1.0, "top_p": 1.0, **settings}, do_sample=sampled, eos_token_id=ENDS[:3]
            )
            model._prepare_special_tokens(config, False, device="cpu")
            applied = model._get_logits_processor(config, input_ids_seq_length=prompt, device="cpu")
            rows[name] = finite(applied(ids, logits.clone()))
        cases.append({"settings": settings, "prompt": prompt, "logits": finite(logits), **rows})
    return {"history": history.tolist(), "ends": ENDS[:3], "cases": cases}


if __name__ == "__main__":
    files = {make.__name__: make for make in (greedy, processors, beams)}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=files)
    name = parser.parse_args().name
    path = ROOT / "tests" / "golden" / f"generate_{name}.json"
    parts = []
    for key, value in files[name]().items():
        rows = ",\n".join(json.dumps(row) for row in value)
        parts.append(f'"{key}": [\n{rows}\n]')
    path.write_text("{" + ",\n".join(parts) + "}\n", encoding="utf-8")
    print(f"{path}: {path.stat().st_size} bytes")
