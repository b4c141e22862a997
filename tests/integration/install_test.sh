#!/bin/sh
# The installed folder runs after it was moved, and takes no library from anywhere else but the C and C++ runtime.
#   install_test.sh CMAKE BUILD WORK
set -eu
rm -rf "$3"
mkdir -p "$3"
"$1" --install "$2" --prefix "$3/installed" >"$3/log"
mv "$3/installed" "$3/moved"
for program in sartor-train sartor-infer; do
  env -i LD_DEBUG=libs "$3/moved/bin/$program" --version >"$3/version" 2>"$3/libraries"
  grep -q "^$program " "$3/version"
  if sed -n 's/.*calling init: //p' "$3/libraries" | grep -v "^$3/moved/" |
    grep -vE '/(ld-linux-x86-64|libc|libm|libdl|librt|libpthread|libresolv|libstdc\+\+|libgcc_s)\.so'; then
    echo "$program loads the libraries above from outside its folder" >&2
    exit 1
  fi
done
rm -rf "$3"
