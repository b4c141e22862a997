#!/usr/bin/env python3
"""Writes tests/golden/text/chat.json: conversations rendered by transformers, for tests/datasets/text_chat_format_test.cpp.

    python3 -m venv build/golden && build/golden/bin/pip install transformers==5.23.0 tokenizers==0.23.3 jinja2==3.1.6
    scripts/fetch_data.py chat-templates
    build/golden/bin/python scripts/golden/chat.py

`templates` are spellings of ChatML, written for the test, and the names of published templates in data/chat-templates, with
the default system message that each adds. `cases` are conversations as TRL prepares prompt-completion data: `prompt` ends
where the answer begins, `completion` is what the assistant's message adds.
"""

import json
from pathlib import Path

from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

ROOT = Path(__file__).resolve().parents[2]
PUBLISHED = ROOT / "data" / "chat-templates"

LOOP = "{% for message in messages %}"
MESSAGE = "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
ANSWER = "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
SYSTEM = (
    "{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\\nSAY<|im_end|>\\n' }}{% endif %}"
)
FLAG = "{% if not add_generation_prompt is defined %}{% set add_generation_prompt = false %}{% endif %}"
OWN = {
    "one line": LOOP + MESSAGE + "{% endfor %}" + ANSWER,
    "many lines": """{#- ChatML -#}
        {%- for message in messages %}
            {{- "<|im_start|>" + message.role + "\\n" }}
            {{- message.content -}}
            {{ "<|im_" + 'end|>\\n' }}
        {%- endfor %}

        {%- if add_generation_prompt %}
            {{- '<|im_start|>assistant\\n' }}
        {%- endif %}
""",
    "as text": """{% for message in messages %}
<|im_start|>{{ message["role"] }}
{{ message["content"] }}<|im_end|>
{% endfor %}
  {% if add_generation_prompt %}
<|im_start|>assistant
  {% endif %}""",
    "in the loop": LOOP
    + MESSAGE
    + "{% if loop.last and add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}{% endfor %}",
    "flag": FLAG + LOOP + MESSAGE + "{% endfor %}" + ANSWER,
    "system": LOOP + SYSTEM.replace("SAY", "You write copy.") + MESSAGE + "{% endfor %}" + ANSWER,
    "chinese system": LOOP
    + SYSTEM.replace("SAY", "你是“文案”助手，don\\'t say \\\\n.")
    + MESSAGE
    + "{% endfor %}"
    + ANSWER,
}
NAMES = [
    "qwen2_5",
    "qwen2_5_training",
    "qwen3_instruct_2507",
    "qwen3_instruct_2507_training",
    "llama3",
    "llama3_training",
]

PROMPTS = [
    "",
    "写一句雨伞的文案。",
    "Mixed 中文 and English,\n\nwith lines.\n",
    " \u3000\x1f\u00a0padded\u2003\u0085\n ",
    "\u3000\t",
]
PROMPTS += [
    "A <|im_end|>\n<|im_start|>user\nin <|eot_id|> it <|begin_of_text|>",
    "{{ message.role }} {% endfor %} 'q' \\n",
]
BROKEN = [b" \xe4\xbd\xa0\xe4\xbd \xff\xf0\x9f\x98 end\xe3\x80", b"\xa0\xe3\x80\x80\xa0", b"\x80 \xe2\xc2\xa0"]
SYSTEMS = [None, "", "你是助手。", " Be brief.\n"]
ANSWERS = ["", "好", "  Umbrellas: 不怕雨 \n", "<|eot_id|>"]


def tokenizer(template: str) -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.BPE()), bos_token="<|begin_of_text|>", chat_template=template
    )


def rendered(fast: PreTrainedTokenizerFast, system: str | None, prompt: str, answer: str) -> tuple[str, str]:
    messages = [] if system is None else [{"role": "system", "content": system}]
    messages.append({"role": "user", "content": prompt})
    begun = fast.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    whole = fast.apply_chat_template([*messages, {"role": "assistant", "content": answer}], tokenize=False)
    assert whole.startswith(begun)
    return begun, whole.removeprefix(begun)


def default_system(fast: PreTrainedTokenizerFast) -> str | None:
    begun, _ = rendered(fast, None, "p", "a")
    head, tail = "<|im_start|>system\n", "<|im_end|>\n"
    return begun.removeprefix(head).split(tail)[0] if begun.startswith(head) else None


def main() -> None:
    templates, cases = [], []
    for name, text in {**OWN, **dict.fromkeys(NAMES)}.items():
        fast = tokenizer(text or (PUBLISHED / f"{name}.jinja").read_text(encoding="utf-8"))
        form = "llama3" if name.startswith("llama3") else "chatml"
        templates.append({"name": name, "text": text, "format": form, "system": default_system(fast)})
        texts = [(prompt, None) for prompt in PROMPTS] + [(raw.decode("utf-8", "replace"), raw.hex()) for raw in BROKEN]
        for i, (prompt, raw) in enumerate(texts):
            for system in SYSTEMS:
                answer = ANSWERS[(i + len(cases)) % len(ANSWERS)]
                begun, completion = rendered(fast, system, prompt, answer)
                case = {"template": len(templates) - 1, "system": system, "text": prompt, "hex": raw, "answer": answer}
                cases.append(case | {"prompt": begun, "completion": completion})
    path = ROOT / "tests" / "golden" / "text" / "chat.json"
    rows = ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases)
    heads = ",\n".join(json.dumps(each, ensure_ascii=False) for each in templates)
    path.write_text(f'{{"templates": [\n{heads}],\n"cases": [\n{rows}]}}\n', encoding="utf-8")
    print(f"{path}: {path.stat().st_size} bytes, {len(cases)} cases")


if __name__ == "__main__":
    main()
