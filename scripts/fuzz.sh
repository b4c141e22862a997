#!/usr/bin/env bash
# Fuzzes one parser with libFuzzer under AddressSanitizer and UndefinedBehaviorSanitizer.
#   scripts/fuzz.sh TARGET [libFuzzer options]      scripts/fuzz.sh tokenizer_json -runs=10000000
# TARGET is a name from tests/fuzz/targets.h. Needs Debian's clang-14 and libclang-rt-14-dev. Starts from tests/fuzz/corpus, which
# the tests replay; writes inputs that reach new code to build/fuzz/TARGET and failures to build/fuzz/TARGET-crash-*.
set -euo pipefail
cd "$(dirname "$0")/.."
target=$1
shift
found=build/fuzz/$target
mkdir -p "$found"
flags=(-std=c++20 -O1 -g -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -Idatasets -Iconfigs -Iinference -Itests -Itrainer)
clang++-14 "${flags[@]}" -DSARTOR_FUZZ_TARGET="$target" tests/fuzz/{libfuzzer,models,tables,texts,tokenizers}.cpp \
  datasets/text/tokenizers/{bert_files,byte_bpe,byte_bpe_files,stream_decoder,tokenizer,tokenizer_files,tokenizer_spec,word_cutter,wordpiece}.cpp datasets/text/tokenizers/parts/*.cpp \
  datasets/text/chat_*.cpp datasets/encodings/*.cpp datasets/privacy/*.cpp datasets/tables/json_scanner.cpp datasets/storage/{atomic_file,descriptor,json_fields,sha256,watched_files}.cpp \
  trainer/metrics/texts/*.cpp inference/generation/text_filters.cpp trainer/models/hf/*.cpp trainer/models/bert/{config,families}.cpp trainer/models/gpt/{config,families,rotary_config}.cpp -lfmt -lcrypto -o "build/fuzz/$target.bin"
exec "build/fuzz/$target.bin" -artifact_prefix="build/fuzz/$target-" -max_len=4096 -timeout=20 "$@" "$found" "tests/fuzz/corpus/$target"
