#!/usr/bin/env bash
# Formats all source files; with --check only reports files that are not formatted.
set -euo pipefail
cd "$(dirname "$0")/.."
clang=$(command -v clang-format-14 || command -v clang-format)
mapfile -t sources < <(git ls-files -co --exclude-standard '*.h' '*.cpp' '*.cu' '*.cuh')
if [ "${1:-}" = --check ]; then
  "$clang" --dry-run -Werror "${sources[@]}"
  build/venv/bin/ruff format --check scripts tests
else
  "$clang" -i "${sources[@]}"
  build/venv/bin/ruff format -q scripts tests
fi
build/venv/bin/ruff check -q scripts tests
