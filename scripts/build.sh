#!/usr/bin/env bash
# Sets up the environment and builds a preset of CMakePresets.json.
#   scripts/build.sh [ARGUMENTS]     arguments go to cmake --build
#   PRESET=debug scripts/build.sh    release (default), debug, asan or tsan
set -euo pipefail
cd "$(dirname "$0")/.."
preset=${PRESET:-release}
scripts/setup.sh
options=()
[ -z "${SARTOR_CUDA:-}" ] || options+=("-DSARTOR_CUDA=$SARTOR_CUDA")
mkdir -p build
if ! build/venv/bin/cmake --preset "$preset" "${options[@]}" >"build/configure-$preset.log" 2>&1; then
  cat "build/configure-$preset.log" >&2
  exit 1
fi
build/venv/bin/cmake --build --preset "$preset" "$@"
