#!/usr/bin/env bash
# Installs what the build needs. Takes a second if everything is installed.
#   scripts/setup.sh                   Debian packages, Python packages, and a CUDA toolkit if none is installed
#   SARTOR_CUDA=OFF scripts/setup.sh   without the CUDA toolkit
#   scripts/setup.sh tests             also installs transformers, a reference for the tests, as build/transformers
#   scripts/setup.sh gguf              also installs gguf, which reads GGUF files, as build/gguf
# All clones share one virtual environment in the user's cache, named by the hash of the pinned requirements.
set -euo pipefail
cd "$(dirname "$0")/.."

packages=(g++ git ccache mold libhdf5-dev libyaml-cpp-dev libspdlog-dev libcli11-dev nlohmann-json3-dev libfmt-dev libeigen3-dev
  libssl-dev libgtest-dev libgmock-dev libgloo-dev python3-venv clang-format-14)
missing=()
for package in "${packages[@]}"; do
  [ "$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null)" = "install ok installed" ] || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
  echo "setup: installing Debian packages: ${missing[*]}"
  as_root=()
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || { echo "setup: run as root: apt-get install ${missing[*]}" >&2; exit 1; }
    as_root=(sudo)
  fi
  export DEBIAN_FRONTEND=noninteractive
  "${as_root[@]}" apt-get update -qq
  "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

python=${PYTHON:-python3}
"$python" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' ||
  { echo "setup: found $("$python" --version), expected Python 3.10 to 3.13; set PYTHON to another interpreter" >&2; exit 1; }

lists=(requirements.txt)
nvcc=$(PATH=$PATH:/usr/local/cuda/bin; command -v nvcc) || nvcc=
if [ "${SARTOR_CUDA:-ON}" = ON ]; then  # must be the major version of the torch wheel's CUDA: both are loaded into one process
  if [ -n "$nvcc" ] && "$nvcc" --version | grep -q 'release 13\.'; then
    toolkit=$(cd "$(dirname "$(readlink -f "$nvcc")")/.." && pwd)
  else
    lists+=(requirements-toolkit.txt)
  fi
fi
key=$( (cat "${lists[@]}"; "$python" -c 'import sys; print(sys.version_info[:2], sys.base_prefix)') | sha256sum | cut -c1-16)
venv=${XDG_CACHE_HOME:-$HOME/.cache}/sartor/venv-$key
mkdir -p "$(dirname "$venv")" build
exec 9>"$venv.lock"
flock 9  # other clones may run this script at the same time
if [ ! -e "$venv/complete" ]; then
  echo "setup: installing Python packages into $venv (about 3 GB to download, 7 GB on disk)"
  rm -rf "$venv"
  "$python" -m venv "$venv"
  for list in "${lists[@]}"; do
    "$venv/bin/pip" install -q --disable-pip-version-check --require-hashes --no-deps -r "$list"
  done
  touch "$venv/complete"
fi
ln -sfn "$venv" build/venv

# Packages that builds do not need are in folders of their own; they use the environment's torch and numpy.
extra() {  # NAME LIST SIZES
  local key folder
  key=$( (cat "$2"; echo "$venv") | sha256sum | cut -c1-16)
  folder=$(dirname "$venv")/$1-$key
  if [ ! -e "$folder/complete" ]; then
    echo "setup: installing $1 into $folder ($3)"
    rm -rf "$folder"
    "$venv/bin/pip" install -q --disable-pip-version-check --require-hashes --no-deps --target "$folder" -r "$2"
    touch "$folder/complete"
  fi
  ln -sfn "$folder" "build/$1"
}
for name in "$@"; do
  case $name in
    tests) extra transformers requirements-test.txt "30 MB to download, 170 MB on disk" ;;
    gguf) extra gguf requirements-gguf.txt "1 MB to download, 4 MB on disk" ;;
    *) echo "setup: found $name, expected tests or gguf" >&2; exit 2 ;;
  esac
done

# Links the CUDA files of the wheels into one prefix, with the names that CMake and the linker look for.
if [ "${SARTOR_CUDA:-ON}" = ON ] && [ -z "${toolkit:-}" ]; then
  toolkit=$venv/toolkit
  if [ ! -e "$toolkit/complete" ]; then
    rm -rf "$toolkit"
    mkdir -p "$toolkit"
    site=$(cd "$venv"/lib/python3*/site-packages/nvidia && pwd)
    cp -as "$site"/cu13/. "$toolkit"
    [ -e "$toolkit/lib64" ] || ln -s lib "$toolkit/lib64"
    for library in "$toolkit"/lib/lib*.so.*; do
      plain=${library%%.so.*}.so
      [ -e "$plain" ] || ln -s "$(basename "$library")" "$plain"
    done
    touch "$toolkit/complete"
  fi
fi
rm -f build/toolkit
[ -z "${toolkit:-}" ] || ln -sfn "$toolkit" build/toolkit
