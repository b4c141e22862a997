#!/usr/bin/env python3
"""Writes tests/golden/smollm2.json: what transformers computes with SmolLM2-135M-Instruct, for
tests/inference/generation/golden_smollm2_test.cpp.

    scripts/fetch_data.py smollm2 reviews-en
    build/golden-bert/bin/python scripts/golden/smollm2.py     (the environment of scripts/golden/gpt.py)

`greedy`: the most probable tokens. `close` are the positions at which the two best logits differ by less than 1e-4 times the
largest: behind the first of them, another order of summation may give another text. `beams`: beam search; a case is `stable` if
noise of 1e-5 times the largest logit does not change it. `perplexity`: of English product reviews in rows of 512 tokens, with the mean loss of
each row.
"""

import json

import torch
import transformers
from bert import ROOT
from generate import generated

FOLDER = ROOT / "data" / "smollm2"
REVIEWS = ROOT / "data" / "reviews-en" / "amazonReviewSnippets_GroundTruth.txt"
PROMPTS = [
    "Write one sentence that invites Anna, who bought hiking boots, to see our rain jackets.",
    "Write a subject line for an e-mail about a summer sale of garden furniture.",
    "A customer likes Star Wars, Fargo and Toy Story. Recommend a film in two sentences.",
    "Give three reasons to renew a gym membership.",
    "Rewrite politely: Your parcel is late, deal with it.",
    "Write a slogan for a coffee shop that opens at 5 a.m.",
    "Describe a mechanical keyboard for programmers in 40 words.",
    "Write a short text message that reminds a customer of an abandoned cart.",
    "What should a product description of a water bottle say?",
    "Write a tweet about a bookshop's anniversary, without hashtags.",
    "Translate to French: Free delivery from 30 euros.",
    "List five names for a vegan bakery.",
    "Write a friendly reply to a customer who gave us 5 stars.",
    "Write a friendly reply to a customer who gave us 1 star because the soup was cold.",
    "Explain in one sentence what a loyalty card is.",
    "Write the first sentence of a newsletter for dog owners.",
    "Our shop has 3 sizes, 12 colours and 2 fabrics. How many shirts are there?",
    "Write an advertisement for a used bicycle.",
    "写一句雨伞的广告文案。",
    "Summarize: The phone has a great screen, but the battery lasts only four hours.",
]


def reviews(tokenizer) -> torch.Tensor:
    lines = REVIEWS.read_text(encoding="utf-8").splitlines()
    text = "\n".join(line.split("\t")[-1] for line in lines)
    return torch.tensor(tokenizer(text).input_ids[: 8 * 512]).view(8, 512)


def perplexity(model, tokenizer) -> dict:
    with torch.inference_mode():
        losses = [model(row[None], labels=row[None]).loss.item() for row in reviews(tokenizer)]
    return {"losses": losses, "perplexity": torch.tensor(losses, dtype=torch.float64).mean().exp().item()}


def greedy(model, prompt: list[int]) -> dict:
    texts, found = generated(model, prompt, {"max_new_tokens": 128, "eos_token_id": [2]})
    logits = torch.cat(found.logits)
    best = logits.topk(2).values
    close = best[:, 0] - best[:, 1] < 1e-4 * logits.abs().amax(-1)
    return {"ids": texts[0], "close": close.nonzero().flatten().tolist()}


def beams(model, prompt: list[int], length_penalty: float) -> dict:
    settings = {"num_beams": 4, "num_return_sequences": 2, "max_new_tokens": 32, "eos_token_id": [2]}
    settings["length_penalty"] = length_penalty
    texts, found = generated(model, prompt, settings)
    stable = all(generated(model, prompt, settings, noise)[0] == texts for noise in range(1))
    return {"settings": settings, "ids": texts, "scores": found.sequences_scores.tolist(), "stable": stable}


def main() -> None:
    tokenizer = transformers.AutoTokenizer.from_pretrained(FOLDER)
    model = transformers.AutoModelForCausalLM.from_pretrained(FOLDER, dtype=torch.float32).eval()
    cases = {"greedy": [], "beams": []}
    for i, prompt in enumerate(PROMPTS):
        messages = [{"role": "user", "content": prompt}]
        ids = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
        cases["greedy"].append({"prompt": prompt, "prompt_ids": ids, **greedy(model, ids)})
        if i % 2 == 0:
            cases["beams"].append({"prompt": prompt, "prompt_ids": ids, **beams(model, ids, (1.0, 0.0)[i // 2 % 2])})
        print(tokenizer.decode(cases["greedy"][-1]["ids"]), cases["greedy"][-1]["close"], flush=True)
    lines = ['"perplexity": ' + json.dumps(perplexity(model, tokenizer))]
    print(lines[0], flush=True)
    for name, rows in cases.items():
        text = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
        lines.append(f'"{name}": [\n{text}\n]')
    path = ROOT / "tests" / "golden" / "smollm2.json"
    path.write_text("{" + ",\n".join(lines) + "}\n", encoding="utf-8")
    print(f"{path}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
