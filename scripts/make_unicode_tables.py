#!/usr/bin/env python3
"""Writes datasets/encodings/unicode_tables.cpp: the properties that Hugging Face's tokenizers assigns to each code point.

    python3 -m venv build/golden && build/golden/bin/pip install tokenizers==0.23.3 regex==2026.11.19
    build/golden/bin/python scripts/make_unicode_tables.py

The tables are measured, not taken from a Unicode database, because the reference's components use different Unicode
versions: every code point except surrogates goes through each step of BertNormalizer and through BertPreTokenizer. The
script ends by checking the assumptions that the C++ code makes about the combined steps. The classes of byte-level
pre-tokenizers are those of Oniguruma, which executes the regular expressions of tokenizers, and of Digits. Those of metrics are those of
sacrebleu's tokenizers, which use the module regex, and of Python 3.11's str.lower().
"""

from pathlib import Path

import regex
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers

OUTPUT = Path(__file__).resolve().parent.parent / "datasets" / "encodings" / "unicode_tables.cpp"
CODES = [code for code in range(0x110000) if not 0xD800 <= code < 0xE000]
CONTROL, WHITESPACE, PUNCTUATION, MARK, WORD, IDEOGRAPH = 1, 2, 4, 8, 16, 32
LETTER, NUMBER, SPACE, DIGIT = 1, 2, 4, 8
METRIC_PATTERNS = {1: r"\p{P}", 2: r"\p{S}", 4: r"\p{N}"}
CASED, CASE_IGNORABLE = 8, 16
HANGUL = range(0xAC00, 0xD7A4)

OFF = {"clean_text": False, "handle_chinese_chars": False, "strip_accents": False, "lowercase": False}
clean = normalizers.BertNormalizer(**OFF | {"clean_text": True}).normalize_str
separate = normalizers.BertNormalizer(**OFF | {"handle_chinese_chars": True}).normalize_str
strip = normalizers.BertNormalizer(**OFF | {"strip_accents": True}).normalize_str
lowercase = normalizers.BertNormalizer(**OFF | {"lowercase": True}).normalize_str
decompose = normalizers.NFD().normalize_str
compose = normalizers.NFC().normalize_str
split = pre_tokenizers.BertPreTokenizer().pre_tokenize_str
tokenizer = Tokenizer(models.WordPiece({"[UNK]": 0}, unk_token="[UNK]"))
tokenizer.add_tokens([AddedToken("[A]", single_word=True, normalized=False)])


def properties(code: int) -> int:
    """Property bits of a code point, each probed in a context that reveals it: between letters, or before a single_word
    added token."""
    text, found = chr(code), 0
    cleaned = clean(f"a{text}b")
    pieces = [piece for piece, _ in split(f"a{text}b")]
    if cleaned == "ab":
        found |= CONTROL
    elif cleaned == "a b":
        found |= WHITESPACE
    elif cleaned != f"a{text}b":
        raise AssertionError(f"U+{code:04X} becomes {cleaned!r}")
    if pieces == ["a", "b"]:
        found |= WHITESPACE
    elif pieces == ["a", text, "b"]:
        found |= PUNCTUATION
    elif pieces != [f"a{text}b"]:
        raise AssertionError(f"U+{code:04X} is split into {pieces}")
    elif cleaned == "a b":
        raise AssertionError(f"U+{code:04X} is whitespace for the normalizer alone")
    if strip(text) == "":
        found |= MARK
    if separate(text) != text:
        found |= IDEOGRAPH
        if separate(text) != f" {text} ":
            raise AssertionError(f"U+{code:04X} becomes {separate(text)!r}")
    if 1 not in tokenizer.encode(f"{text}[A]").ids:
        found |= WORD
    return found


def removed_by(step: pre_tokenizers.PreTokenizer) -> set[int]:
    """The code points that a pre-tokenizer removes. It must keep the letter a, which separates them."""
    found = set()
    for at in range(0, len(CODES), 4096):
        block = CODES[at : at + 4096]
        kept = {place for _, span in step.pre_tokenize_str("a".join(map(chr, block))) for place in range(*span)}
        found |= {code for i, code in enumerate(block) if 2 * i not in kept}
    return found


def split_classes() -> dict[int, int]:
    """Bits of the classes that byte-level pre-tokenizers distinguish."""
    found = dict.fromkeys(CODES, 0)
    # \P{L} instead of \p{L}, because the probe must keep letters.
    for bit, pattern in ((LETTER, r"\P{L}"), (NUMBER, r"\p{N}"), (SPACE, r"\s")):
        removed = removed_by(pre_tokenizers.Split(Regex(pattern), "removed"))
        for code in CODES:
            if (code in removed) != (bit == LETTER):
                found[code] |= bit
    digits = pre_tokenizers.Digits(individual_digits=True)
    for code in CODES:
        if len(digits.pre_tokenize_str(f"a{chr(code)}b")) == 3:
            found[code] |= DIGIT
    assert all(bits & 7 in (0, LETTER, NUMBER, SPACE) for bits in found.values())
    assert all(not bits & DIGIT or bits & 7 in (0, NUMBER) for bits in found.values())
    return found


def metric_classes() -> dict[int, int]:
    """Bits of the classes that tokenizers of metrics distinguish, and of those that decide on a final sigma."""
    patterns = [(bit, regex.compile(pattern)) for bit, pattern in METRIC_PATTERNS.items()]
    found = {}
    for code in CODES:
        text = chr(code)
        found[code] = sum(bit for bit, pattern in patterns if pattern.match(text))
        if (text + "Σ").lower()[-1] == "ς":
            found[code] |= CASED
        elif ("A" + text + "Σ").lower()[-1] == "ς":
            found[code] |= CASE_IGNORABLE
    return found


def compositions(decomposed: dict[int, str]) -> list[int]:
    """Triples of two code points and their composition by NFC, without Hangul syllables."""
    found = {}
    for code, text in decomposed.items():
        assert (compose(chr(code)) == chr(code)) == (compose(text) == chr(code)), f"U+{code:04X}"
        if len(text) > 1 and compose(text) == chr(code):
            first = compose(text[:-1])
            assert len(first) == 1, f"U+{code:04X} is not composed of two code points"
            found[ord(first), ord(text[-1])] = code
    return [value for pair, code in sorted(found.items()) for value in (*pair, code)]


def combining_classes(decomposed: set[int]) -> dict[int, int]:
    """Canonical combining classes, found by comparing the order of two characters after NFD.

    The classes of the probe characters are fixed by the Unicode standard. Raises if a character has a class without a probe.
    """
    probes = {1: 0x334, 6: 0x16FF0, 7: 0x93C, 8: 0x3099, 9: 0x94D, 10: 0x5B0, 11: 0x5B1, 12: 0x5B2, 13: 0x5B3}
    probes |= {14: 0x5B4, 15: 0x5B5, 16: 0x5B6, 17: 0x5B7, 18: 0x5B8, 19: 0x5B9, 20: 0x5BB, 21: 0x5BC, 22: 0x5BD}
    probes |= {23: 0x5BF, 24: 0x5C1, 25: 0x5C2, 26: 0xFB1E, 27: 0x64B, 28: 0x64C, 29: 0x64D, 30: 0x64E, 31: 0x64F}
    probes |= {32: 0x650, 33: 0x651, 34: 0x652, 35: 0x670, 36: 0x711, 84: 0xC55, 91: 0xC56, 103: 0xE38, 107: 0xE48}
    probes |= {118: 0xEB8, 122: 0xEC8, 129: 0xF71, 130: 0xF72, 132: 0xF74, 202: 0x321, 214: 0x1DCE, 216: 0x31B}
    probes |= {218: 0x302A, 220: 0x316, 222: 0x59A, 224: 0x302E, 226: 0x1D16D, 228: 0x5AE, 230: 0x300, 232: 0x315}
    probes |= {233: 0x35C, 234: 0x35D, 240: 0x345}

    def swapped(first: int, second: int) -> bool:
        return decompose(chr(first) + chr(second)) != chr(first) + chr(second)

    known = [(each, probe) for each, probe in sorted(probes.items()) if swapped(probe, 0x334) or swapped(0x345, probe)]
    found = {}
    for code in CODES:
        if code in decomposed or not (swapped(code, 0x334) or swapped(0x345, code)):
            continue
        same = [each for each, probe in known if not swapped(code, probe) and not swapped(probe, code)]
        if len(same) != 1:
            raise AssertionError(f"U+{code:04X} has one of the combining classes {same}")
        found[code] = same[0]
    return found


def runs(values: dict[int, int]) -> list[int]:
    """Run-length encoding: first code point << 8 | value for each run. Surrogates extend the run before them."""
    found, last = [], None
    for code in CODES:
        value = values.get(code, 0)
        if value != last:
            found.append(code << 8 | value)
        last = value
    return found


def lowercase_runs(lower: dict[int, int]) -> list[tuple[int, int, int, int]]:
    """(first, last, step, difference): runs of code points with the same difference to their lower case."""
    found = []
    for code, target in sorted(lower.items()):
        difference = target - code
        if found:
            first, last, step, same = found[-1]
            gap = code - last
            if same == difference and gap in (1, 2) and (first == last or step == gap):
                found[-1] = (first, code, gap, same)
                continue
        found.append((code, code, 1, difference))
    return found


def sequences(strings: dict[int, str]) -> list[int]:
    """For each entry: length << 24 | code point, followed by `length` code points."""
    return [value for code, text in sorted(strings.items()) for value in (len(text) << 24 | code, *map(ord, text))]


def array(name: str, values: list[int]) -> str:
    lines, line = [], ""
    for value in values:
        text = f"0x{value:x}," if value > 9 else f"{value},"
        if len(line) + len(text) + 3 > 120:
            lines.append(line)
            line = ""
        line += f" {text}" if line else text
    body = "\n    ".join([*lines, line])
    return f"const uint32_t {name}[] = {{\n    {body}\n}};\n"


def main() -> None:
    bits = {code: properties(code) for code in CODES}
    decomposed = {code: text for code in CODES if (text := decompose(chr(code))) != chr(code)}
    lower = {code: text for code in CODES if (text := lowercase(chr(code))) != chr(code)}
    classes = combining_classes(set(decomposed))

    # Assumptions of the C++ code.
    for code, text in decomposed.items():
        kept = "".join(each for each in text if not bits[ord(each)] & MARK)
        assert strip(chr(code)) == kept, f"U+{code:04X} is stripped to {strip(chr(code))!r}"
        starters = [ord(each) not in classes for each in text]
        assert starters == sorted(starters, reverse=True), f"U+{code:04X}: a starter behind a combining character"
        assert len(text) <= 4
    for code in HANGUL:
        index = code - 0xAC00
        letters = [0x1100 + index // 588, 0x1161 + index % 588 // 28, *([0x11A7 + index % 28] if index % 28 else [])]
        assert decomposed.pop(code) == "".join(map(chr, letters)), f"U+{code:04X}"
    assert max(map(len, lower.values())) <= 4
    single = {code: ord(text) for code, text in lower.items() if len(text) == 1}
    longer = {code: text for code, text in lower.items() if len(text) > 1}

    rows = [
        f"{{0x{first:x}, 0x{last:x}, {step}, {difference}}}" for first, last, step, difference in lowercase_runs(single)
    ]
    OUTPUT.write_text(
        "// Generated by scripts/make_unicode_tables.py from tokenizers 0.23.3 and regex 2026.11.19; do not edit.\n"
        '#include "encodings/unicode_tables.h"\n\n'
        "namespace sartor::text::unicode {\nnamespace {\n\n// clang-format off\n"
        + array("properties", runs(bits))
        + "\n"
        + array("classes", runs(classes))
        + "\n"
        + array("splits", runs(split_classes()))
        + "\n"
        + array("metric", runs(metric_classes()))
        + "\n"
        + array("canonical", sequences(decomposed))
        + "\n"
        + array("composed", compositions(decomposed))
        + "\n"
        + array("lower_sequences", sequences(longer))
        + "\nconst LowercaseRun lower_runs[] = {\n    "
        + ",\n    ".join(", ".join(rows[at : at + 4]) for at in range(0, len(rows), 4))
        + "\n};\n// clang-format on\n\n}  // namespace\n\n"
        "std::span<const uint32_t> property_runs() { return properties; }\n"
        "std::span<const uint32_t> combining_class_runs() { return classes; }\n"
        "std::span<const uint32_t> split_class_runs() { return splits; }\n"
        "std::span<const uint32_t> metric_class_runs() { return metric; }\n"
        "std::span<const uint32_t> decompositions() { return canonical; }\n"
        "std::span<const uint32_t> compositions() { return composed; }\n"
        "std::span<const uint32_t> lowercase_sequences() { return lower_sequences; }\n"
        "std::span<const LowercaseRun> lowercase_runs() { return lower_runs; }\n\n"
        "}  // namespace sartor::text::unicode\n",
        encoding="ascii",
    )
    print(f"{OUTPUT}: {len(OUTPUT.read_text().splitlines())} lines, {OUTPUT.stat().st_size} bytes")


if __name__ == "__main__":
    main()
