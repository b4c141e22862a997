#!/usr/bin/env bash
# Renders the report of a run as an image with Debian's chromium: scripts/report_image.sh RUN IMAGE [HEIGHT]
# docs/report.png: scripts/report_image.sh runs/reviews-en docs/report.png, after training configs/reviews-en-classify.yaml.
set -euo pipefail
cd "$(dirname "$0")/.."
report=$(realpath "$(build/venv/bin/python scripts/report.py "$1")")
chromium --headless --no-sandbox --hide-scrollbars --window-size="1260,${3:-2460}" --screenshot="$(realpath -m "$2")" "file://$report" 2>/dev/null
