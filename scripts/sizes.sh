#!/usr/bin/env bash
# Lists folders of code with more than 14 units (a header and its sources are one) and files of more than 400 lines, generated
# ones aside. The exit status is 1 if there are any.
set -euo pipefail
cd "$(dirname "$0")/.."
mapfile -t sources < <(git ls-files -co --exclude-standard '*.h' '*.cpp' '*.cu' '*.cuh' '*.py' '*.sh')
large=$(
  printf '%s\n' "${sources[@]}" | grep -Ev '^(tests|scripts)/' | sed -E 's#/([^/.]+)\.[^/]*$# \1#' | sort -u | cut -d' ' -f1 | uniq -c |
    awk '$1 > 14 { print $2 ": " $1 " units" }'
  wc -l "${sources[@]}" | awk '$2 != "total" && $2 !~ /unicode_tables.cpp$/ && $1 > 400 { print $2 ": " $1 " lines" }'
)
[ -z "$large" ] || { echo "$large"; exit 1; }
