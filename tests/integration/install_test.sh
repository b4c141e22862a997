#!/bin/sh
# Building the programs also builds the GPU modules. The installed folder can be moved, and programs and modules load no libraries from
# elsewhere except the C and C++ runtime.
#   install_test.sh CMAKE BUILD WORK SOURCE PYTHON [gpu]
set -eu
cmake=$1 build=$2 work=$3 source=$4 python=$5 gpu=${6:-}
runtime='/(ld-linux-x86-64|libc|libm|libdl|librt|libpthread|libresolv|libstdc\+\+|libgcc_s)\.so'
if [ -n "$gpu" ]; then
  for module in sartor_kernels sartor_torch_cuda; do
    "$(dirname "$python")/ninja" -C "$build" -t inputs bin/sartor-infer | grep -q "^lib/lib$module.so$" ||
      { echo "sartor-infer is built without $module" >&2; exit 1; }
  done
fi

rm -rf "$work"
mkdir -p "$work"
trap 'rm -rf "$work/installed" "$work/moved"' EXIT
"$cmake" --install "$build" --prefix "$work/installed" >"$work/log"
[ -z "$gpu" ] || "$cmake" --install "$build" --prefix "$work/installed" --component gpu >>"$work/log"
mv "$work/installed" "$work/moved"

for program in sartor-train sartor-infer; do
  env -i LD_DEBUG=libs "$work/moved/bin/$program" --version >"$work/version" 2>"$work/libraries"
  grep -q "^$program " "$work/version"
  if sed -n 's/.*calling init: //p' "$work/libraries" | grep -v "^$work/moved/" | grep -vE "$runtime"; then
    echo "$program loads the libraries above from outside its folder" >&2
    exit 1
  fi
done

if [ -n "$gpu" ]; then
  for module in "$work/moved/lib/libsartor_kernels.so" "$work/moved/lib/libsartor_torch_cuda.so"; do
    env -i ldd "$module" >"$work/libraries" || { echo "$module is not installed" >&2; exit 1; }
    if grep '=>' "$work/libraries" | grep -vE "=> $work/moved/|=> .*$runtime"; then
      echo "$module needs the libraries above, which are not in the folder" >&2
      exit 1
    fi
  done
  # also libraries that are loaded by name; the driver is not part of the installation
  for library in "$work"/moved/lib/*.so*; do
    if env -i LD_LIBRARY_PATH="$work/moved/lib" ldd "$library" | grep 'not found' | grep -v 'libcuda\.so\.1'; then
      echo "$library needs the libraries above" >&2
      exit 1
    fi
  done
fi

# Runs a text classifier in an empty environment.
"$python" "$source/scripts/gpu/model_folders.py" bert "$work/model" --size small
printf 'text\ngood\nvery bad!\n好\n' >"$work/texts.csv"
printf 'task: classify\nmodel: model\nsource: {path: texts.csv}\nthreads: 1\noutput: labels.csv\n' >"$work/classify.yaml"
cd "$work"
env -i "$work/moved/bin/sartor-infer" --config classify.yaml 2>messages || { cat messages >&2; exit 1; }
[ "$(grep -c -E '^[2-4],(negative|positive),' labels.csv)" = 3 ] || { cat labels.csv messages >&2; exit 1; }
if [ -n "$gpu" ]; then
  ! grep 'cannot be loaded' messages >&2
  # ctypes loads with RTLD_NOW, which resolves all symbols, as the programs do.
  env -i "$python" -c 'import ctypes, sys; [ctypes.CDLL(path) for path in sys.argv[1:]]' "$work"/moved/lib/libsartor_*.so
fi
