#!/usr/bin/env bash
# Regenerates docs/config.md, the reference of all config fields, from the programs: scripts/docs.sh [BUILD FOLDER]
set -euo pipefail
cd "$(dirname "$0")/.."
bin=${1:-build/release}/bin
{ "$bin/sartor-train" --help-config-markdown; "$bin/sartor-infer" --help-config-markdown; } >docs/config.md
