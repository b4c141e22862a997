#!/usr/bin/env bash
# Sets up, builds and runs every test.
#   scripts/test.sh                  the release build
#   PRESET=asan scripts/test.sh      another preset of CMakePresets.json: debug, asan, tsan
#   scripts/test.sh -R Topk          further words go to ctest
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/build.sh
exec build/venv/bin/ctest --preset "${PRESET:-release}" "$@"
