#!/usr/bin/env bash
# Renews docs/config.md, every field of every task, from the programs' own description: scripts/docs.sh [BUILD]
set -euo pipefail
cd "$(dirname "$0")/.."
bin=${1:-build/release}/bin
{ "$bin/sartor-train" --help-config-markdown; "$bin/sartor-infer" --help-config-markdown; } >docs/config.md
