#!/usr/bin/env bash
# Sets up and builds a preset of CMakePresets.json: PRESET=release (default), debug, asan, tsan. Further words go to cmake --build.
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
