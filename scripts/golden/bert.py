#!/usr/bin/env python3
"""Writes reference values computed with transformers and peft to tests/golden/NAME.json.

    bert      small models of every supported architecture and head: outputs, loss, gradients
    lora      small models with peft's LoRA adapters
    dropout   mean and deviation of the logits over 200,000 dropout masks
    minilm    logits and embeddings of 200 tokenized reviews by the MiniLM folder of scripts/fetch_data.py

    python3 -m venv build/golden-bert
    build/golden-bert/bin/pip install torch==2.11.0 transformers==5.23.0 tokenizers==0.23.3 peft==0.21.2
    scripts/fetch_data.py minilm reviews-en reviews-zh
    build/golden-bert/bin/python scripts/golden/bert.py NAME

The weights of small models and of heads are a function of the parameter's name (see `formula`), so that the tests can
compute the same weights.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
import transformers

ROOT = Path(__file__).resolve().parents[2]
torch.set_grad_enabled(True)


def wave(name: str, size: int, step: float) -> np.ndarray:
    return np.sin(step * np.arange(size, dtype=np.float64) + sum(name.encode()) % 1000)


def formula(name: str, parameter: torch.Tensor, scale: float) -> torch.Tensor:
    values = scale * wave(name, parameter.numel(), 0.7)
    if "norm.weight" in name.lower():
        values += 1
    return torch.from_numpy(values.astype(np.float32)).view_as(parameter)


def numbers(tensor: torch.Tensor) -> list:
    return [float(f"{value:.9g}") for value in tensor.detach().double().flatten().tolist()]


def padded(rows: list[list[int]], value: int) -> torch.Tensor:
    longest = max(map(len, rows))
    return torch.tensor([row + [value] * (longest - len(row)) for row in rows])


# BERT's config fields under the names that DistilBertConfig uses.
DISTILBERT = {
    "hidden_size": "dim",
    "num_hidden_layers": "n_layers",
    "num_attention_heads": "n_heads",
    "intermediate_size": "hidden_dim",
    "hidden_dropout_prob": "dropout",
    "attention_probs_dropout_prob": "attention_dropout",
    "classifier_dropout": "seq_classif_dropout",
    "hidden_act": "activation",
}


def is_distilbert(kind: type) -> bool:
    return kind.config_class is transformers.DistilBertConfig


def small_model(kind: type, config: dict):
    base = {
        "vocab_size": 61,
        "hidden_size": 24,
        "num_hidden_layers": 2,
        "num_attention_heads": 3,
        "intermediate_size": 40,
        "max_position_embeddings": 70,
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
    }
    fields = {**base, **config}
    if is_distilbert(kind):
        fields = {DISTILBERT.get(name, name): value for name, value in fields.items() if name != "type_vocab_size"}
    model = kind(kind.config_class(**fields))
    model.set_attn_implementation("eager")
    model.eval()
    with torch.no_grad():
        for parameter_name, parameter in model.named_parameters():
            parameter.copy_(formula(parameter_name, parameter, 0.3))
    return model


def small_rows(name: str, types: int) -> tuple[list, list]:
    random = np.random.default_rng(sum(name.encode()))
    ids = [random.integers(2, 61, length).tolist() for length in (5, 1, 17, 66, 9)]
    return ids, [random.integers(0, types, len(row)).tolist() for row in ids]


def padded_words(made, ids: list, types: list) -> dict:
    mask = padded([[1] * len(row) for row in ids], 0)
    words = {"input_ids": padded(ids, made.pad_token_id), "attention_mask": mask, "token_type_ids": padded(types, 0)}
    if made.model_type == "distilbert":
        del words["token_type_ids"]
    return words


def probed(gradients: dict) -> dict:
    """For each gradient: its dot product with a fixed wave, and its norm."""
    return {
        name: [
            float(f"{value:.9g}")
            for value in (
                float(gradient.flatten().double() @ torch.from_numpy(wave(name, gradient.numel(), 0.3))),
                gradient.norm(),
            )
        ]
        for name, gradient in gradients.items()
    }


def small(name: str, kind: type, config: dict, labels=None) -> dict:
    model = small_model(kind, config)
    made = model.config
    with torch.no_grad():
        if labels == "tokens" and not made.tie_word_embeddings:  # transformers keeps two biases here; we have one
            model.cls.predictions.decoder.bias.copy_(model.cls.predictions.bias)
    ids, types = small_rows(name, getattr(made, "type_vocab_size", 2))  # DistilBERT ignores token types
    words = padded_words(made, ids, types)
    mask = words["attention_mask"]
    case = {"name": name, "config": json.loads(made.to_json_string(use_diff=False)), "ids": ids, "types": types}
    case["config"]["architectures"] = [kind.__name__]
    if labels is not None:
        case["labels"] = labels if labels != "tokens" else [[-100, *row[1:]] for row in ids]
        target = padded(case["labels"], -100) if labels == "tokens" else torch.tensor(labels)
        out = model(**words, labels=target, output_attentions=True)
        out.loss.backward()
        case["loss"] = out.loss.item()
        logits = out.logits if labels != "tokens" else out.logits[mask.bool()][::7]
        case["logits"] = numbers(logits)
        case["gradients"] = probed({each: p.grad for each, p in model.named_parameters() if p.grad is not None})
    else:
        out = model(**words, output_attentions=True)
        case["hidden"] = numbers(out.last_hidden_state[mask.bool()][::7])
        if "pooler_output" in out:
            case["pooler"] = numbers(out.pooler_output)
        weights = mask.unsqueeze(2).double()
        mean = (out.last_hidden_state.double() * weights).sum(1) / weights.sum(1)
        case["mean"] = numbers(mean)
        case["mean_normalised"] = numbers(torch.nn.functional.normalize(mean))
    case["attention"] = numbers(out.attentions[1][0, 2, :5, :5])  # layer 1, sequence 0, head 2
    return case


def bert() -> list[dict]:
    t = transformers
    single = [2, 0, 1, 1, 2]
    many = [[0.0, 1, 1, 0], [1.0, 0, 0, 0], [0.0, 0, 0, 0], [1.0, 1, 1, 1], [0.0, 0, 1, 0]]
    return [
        small("bert", t.BertModel, {}),
        small("bert single label", t.BertForSequenceClassification, {"num_labels": 3}, single),
        small(
            "bert multi label",
            t.BertForSequenceClassification,
            {"num_labels": 4, "hidden_act": "gelu_new", "problem_type": "multi_label_classification"},
            many,
        ),
        small("bert masked lm", t.BertForMaskedLM, {"hidden_act": "relu"}, "tokens"),
        small("bert masked lm, untied", t.BertForMaskedLM, {"tie_word_embeddings": False}, "tokens"),
        small("roberta", t.RobertaModel, {"type_vocab_size": 1}),
        small(
            "roberta regression",
            t.RobertaForSequenceClassification,
            {"num_labels": 1, "type_vocab_size": 1, "layer_norm_eps": 1e-5},
            [0.5, -1.25, 3.0, 0.0, 2.0],
        ),
        small("roberta masked lm", t.RobertaForMaskedLM, {"type_vocab_size": 1}, "tokens"),
        small("distilbert", t.DistilBertModel, {"hidden_act": "relu"}),
        small("distilbert single label", t.DistilBertForSequenceClassification, {"num_labels": 3}, single),
        small("distilbert masked lm", t.DistilBertForMaskedLM, {}, "tokens"),
        small("electra", t.ElectraModel, {"embedding_size": 16}),
        small(
            "electra single label", t.ElectraForSequenceClassification, {"num_labels": 3, "embedding_size": 16}, single
        ),
        small(
            "electra multi label",
            t.ElectraForSequenceClassification,
            {"num_labels": 4, "embedding_size": 24, "problem_type": "multi_label_classification"},
            many,
        ),
        small("electra masked lm", t.ElectraForMaskedLM, {"embedding_size": 16}, "tokens"),
    ]


def adapted(name: str, config: dict, adapters: dict, roberta: bool = False) -> dict:
    import peft

    kind = transformers.RobertaForSequenceClassification if roberta else transformers.BertForSequenceClassification
    model = small_model(kind, {"num_labels": 3, **config})
    made = model.config
    lora = peft.LoraConfig(
        task_type="SEQ_CLS", modules_to_save=["pooler", "classifier"], layers_pattern="layer", **adapters
    )
    model = peft.get_peft_model(model, lora).eval()
    trained = {
        each.replace("base_model.model.", "").replace(".modules_to_save", "").replace(".default", ""): parameter
        for each, parameter in model.named_parameters()
        if parameter.requires_grad
    }
    with torch.no_grad():
        for each, parameter in trained.items():
            parameter.copy_(formula(each, parameter, 0.3))
    ids, types = small_rows(name, made.type_vocab_size)
    labels = [2, 0, 1, 1, 2]
    out = model(**padded_words(made, ids, types), labels=torch.tensor(labels))
    out.loss.backward()
    return {
        "name": name,
        "config": {**json.loads(made.to_json_string(use_diff=False)), "architectures": [kind.__name__]},
        "adapters": adapters,
        "ids": ids,
        "types": types,
        "labels": labels,
        "loss": out.loss.item(),
        "logits": numbers(out.logits),
        "gradients": probed({each: parameter.grad for each, parameter in trained.items()}),
    }


def lora() -> list[dict]:
    layers = {"layers_to_transform": [0, 1]}
    return [
        adapted("query and value", {}, {"r": 3, "lora_alpha": 6, "target_modules": ["query", "value"], **layers}),
        adapted("all", {}, {"r": 8, "lora_alpha": 4, "target_modules": ["query", "key", "value", "dense"], **layers}),
        adapted("one end of two names", {}, {"r": 1, "lora_alpha": 1, "target_modules": ["output.dense"], **layers}),
        adapted(
            "roberta, the upper layer",
            {"type_vocab_size": 1},
            {"r": 2, "lora_alpha": 5, "target_modules": ["key", "intermediate.dense"], "layers_to_transform": [1]},
            roberta=True,
        ),
    ]


def dropped(
    name: str, hidden: float, attention: float, classifier: float, kind=None, config: dict | None = None
) -> dict:
    """Mean and standard deviation of one row's logits over 200,000 dropout masks."""
    kind = kind or transformers.BertForSequenceClassification
    probabilities = {
        "hidden_dropout_prob": hidden,
        "attention_probs_dropout_prob": attention,
        "classifier_dropout": classifier,
    }
    model = small_model(kind, {"num_labels": 3, "type_vocab_size": 1, **probabilities, **(config or {})}).train()
    ids = small_rows(name, 1)[0][0]
    torch.manual_seed(1)
    with torch.no_grad():
        logits = torch.cat([model(torch.tensor([ids] * 1000)).logits.double() for _ in range(200)])
    return {
        "name": name,
        "config": {**json.loads(model.config.to_json_string(use_diff=False)), "architectures": [kind.__name__]},
        "ids": ids,
        "draws": len(logits),
        "mean": numbers(logits.mean(0)),
        "deviation": numbers(logits.std(0)),
    }


def dropout() -> list[dict]:
    return [
        dropped("hidden", 0.2, 0.0, 0.0),
        dropped("attention", 0.0, 0.3, 0.0),
        dropped("classifier", 0.0, 0.0, 0.4),
        dropped("all", 0.1, 0.1, 0.1),
        dropped("roberta", 0.0, 0.0, 0.4, transformers.RobertaForSequenceClassification),
        dropped("distilbert", 0.1, 0.2, 0.4, transformers.DistilBertForSequenceClassification),
        dropped("electra", 0.1, 0.2, 0.4, transformers.ElectraForSequenceClassification, {"embedding_size": 16}),
    ]


def review_texts() -> list[str]:
    """Every 35th English review and the first lines of the Chinese ones: 200 texts."""
    english = [
        line.split("\t")[2].strip()
        for name in ("amazonReviewSnippets", "movieReviewSnippets")
        for line in (ROOT / f"data/reviews-en/{name}_GroundTruth.txt").read_text("utf-8", "replace").splitlines()
        if line.count("\t") >= 2
    ]
    chinese = (ROOT / "data/reviews-zh/pos.txt").read_text("utf-8").split("\n")
    return [*english[::35][:150], *[line for line in chinese if line.strip()][:50]]


def minilm() -> list[dict]:
    from tokenizers import Tokenizer

    folder = ROOT / "data/minilm"
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(128)
    model = transformers.BertForSequenceClassification.from_pretrained(folder, num_labels=2).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.startswith("classifier"):
                parameter.copy_(formula(name, parameter, 0.5))
    rows = []
    with torch.no_grad():
        for encoding in tokenizer.encode_batch(review_texts()):
            ids = torch.tensor([encoding.ids])
            hidden = model.bert(ids).last_hidden_state.double()
            embedding = torch.nn.functional.normalize(hidden.mean(1))[0]
            row = {"ids": encoding.ids, "logits": numbers(model(ids).logits), "embedding": numbers(embedding[:4])}
            rows.append(row)
    return rows


if __name__ == "__main__":
    files = {make.__name__: make for make in (bert, lora, dropout, minilm)}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=files)
    name = parser.parse_args().name
    path = ROOT / "tests" / "golden" / f"{name}.json"
    rows = ",\n".join(json.dumps(row, ensure_ascii=False) for row in files[name]())
    path.write_text(f"[\n{rows}\n]\n", encoding="utf-8")
    print(f"{path}: {path.stat().st_size} bytes")
