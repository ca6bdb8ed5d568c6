#!/usr/bin/env bash
# Build Horovod 0.28.1 for the PyTorch at hand, keep the wheel, and install it.
#
#     scripts/build/build_horovod.sh [--python .venv/bin/python] [--cuda]
#
# 0.28.1 is Horovod's last release (2023) and does not compile against today's PyTorch as it comes, so
# `pip install horovod` fails. This takes the sdist by pip, applies horovod-0.28.1.patch (beside this
# file), and builds PyTorch + Gloo, without MPI. The first build takes about 4 minutes on two cores; the
# wheel is kept in ${XDG_CACHE_HOME:-~/.cache}/catbuilder/wheels/, so every later call takes seconds.
#
#   --python PATH   the interpreter to build for; it must already have torch  [.venv/bin/python]
#   --cuda          add the GPU operations (NCCL); needs the CUDA toolkit (nvcc) of PyTorch's version.
#                   NCCL is the one that PyTorch brought, unless HOROVOD_NCCL_HOME names another.
set -euo pipefail

version=0.28.1
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
patch_file=$here/horovod-$version.patch
constraints=$here/../../constraints.txt
python=.venv/bin/python
operations=cpu

say() { echo "horovod: $*"; }
fail() { echo "horovod: $*" >&2; exit 1; }

while [ $# -gt 0 ]; do
    case $1 in
        --python) [ $# -ge 2 ] || fail "--python needs a path"; python=$2; shift 2 ;;
        --cuda) operations=nccl; shift ;;
        -h | --help) sed -n '2,/^set -euo/{/^set/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; exit 0 ;;
        *) fail "unknown option $1; try --help" ;;
    esac
done

command -v "$python" >/dev/null || fail "there is no $python; make the environment first, or name one with --python"
python=$(command -v "$python")
case $python in /*) ;; *) python=$PWD/$python ;; esac

# What the build depends on and nothing else: the same answers, the same wheel. Importing torch takes seconds,
# so its version comes from its metadata.
facts=$("$python" - <<'PYTHON'
import importlib.metadata, platform, sys, sysconfig
try:
    torch = importlib.metadata.version("torch")
except importlib.metadata.PackageNotFoundError:
    sys.exit(1)
print(torch.replace("+", "."), sys.implementation.cache_tag, sysconfig.get_platform(), "-".join(platform.libc_ver()))
PYTHON
) || fail "$python has no torch; install it first: $python -m pip install torch torchvision"
read -r torch tag machine _ <<<"$facts"
# Horovod's CMake compiles for those of these that the CPU has; a home folder may serve several kinds of machine.
simd=$(grep -owE 'f16c|avx|fma' /proc/cpuinfo | sort -u | tr '\n' ' ' || true)
hash=$(cat <(echo "$version $facts $simd $operations ${HOROVOD_NCCL_HOME:-}") "$patch_file" "${BASH_SOURCE[0]}" | sha256sum | cut -c1-10)
kept=${XDG_CACHE_HOME:-$HOME/.cache}/catbuilder/wheels/horovod-$version-torch$torch-$tag-$machine-$operations-$hash

pip() { "$python" -m pip --disable-pip-version-check -qq "$@"; }
pip_pinned() { if [ -f "$constraints" ]; then pip "$@" -c "$constraints"; else pip "$@"; fi; }

check_tools() {
    local missing=()
    for tool in g++ make git flock; do command -v $tool >/dev/null || missing+=("$tool"); done
    "$python" -c 'import os, sys, sysconfig; sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))' \
        || missing+=("Python.h")
    [ ${#missing[@]} -eq 0 ] || fail "missing ${missing[*]}; on Debian: apt-get install g++ make cmake git util-linux python3-dev"
    [ $operations = cpu ] || command -v nvcc >/dev/null || [ -x /usr/local/cuda/bin/nvcc ] || [ -n "${HOROVOD_CUDA_HOME:-}" ] \
        || fail "--cuda needs nvcc, and there is none in PATH or /usr/local/cuda; install the CUDA toolkit or set HOROVOD_CUDA_HOME"
}

# PyTorch brings libnccl.so.2 and the header, but not the libnccl.so that the linker looks for.
nccl_of_torch() {
    local nccl
    nccl=$("$python" -c 'import nvidia.nccl; print(list(nvidia.nccl.__path__)[0])' 2>/dev/null) \
        || fail "PyTorch brought no NCCL; set HOROVOD_NCCL_HOME to the folder that holds include/nccl.h and lib/libnccl.so"
    mkdir -p "$1/lib"
    ln -s "$nccl/include" "$1/include"
    ln -s "$nccl/lib/libnccl.so.2" "$1/lib/libnccl.so"
}

build() {
    local work=$1 cores memory_gb jobs
    # --no-build-isolation: pip runs the sdist's setup.py for its metadata, which needs setuptools and packaging here.
    pip download --no-deps --no-build-isolation --no-binary horovod -d "$work" "horovod==$version" \
        || fail "pip could not fetch the source of horovod $version; see its message above"
    mkdir "$work/source" "$work/wheel"
    tar xzf "$work/horovod-$version.tar.gz" -C "$work/source" --strip-components 1
    # The ceiling: inside some other repository git apply would silently skip every file.
    (cd "$work/source" && GIT_CEILING_DIRECTORIES=$work git apply "$patch_file")

    # A compiler takes up to 2 GB on PyTorch's headers.
    cores=$(nproc)
    memory_gb=$(awk '/MemAvailable/ {print int($2 / 1048576)}' /proc/meminfo)
    jobs=$((memory_gb / 2 < cores ? memory_gb / 2 : cores))
    jobs=$((jobs > 0 ? jobs : 1))
    # Under make, MAKEFLAGS is set and Horovod's setup.py would then compile one file at a time.
    unset MFLAGS MAKELEVEL
    export MAKEFLAGS=-j$jobs
    export CMAKE_POLICY_VERSION_MINIMUM=3.5 # its Gloo asks for a policy that CMake 4 no longer has
    if ! command -v cmake >/dev/null; then
        say "there is no cmake; taking the one that pip has"
        pip install --no-deps --target "$work/cmake" cmake
        export HOROVOD_CMAKE=$work/cmake/cmake/data/bin/cmake
    fi
    if [ $operations = nccl ]; then
        if [ -z "${HOROVOD_NCCL_HOME:-}" ]; then
            nccl_of_torch "$work/nccl"
            export HOROVOD_NCCL_HOME=$work/nccl
        fi
        # An nvcc in PATH may be a wrapper, beside which CMake finds no toolkit.
        if [ -z "${HOROVOD_CUDA_HOME:-}" ] && [ -x /usr/local/cuda/bin/nvcc ]; then export HOROVOD_CUDA_HOME=/usr/local/cuda; fi
        [ -z "${HOROVOD_CUDA_HOME:-}" ] || export CUDAToolkit_ROOT=$HOROVOD_CUDA_HOME CUDA_HOME=$HOROVOD_CUDA_HOME
        export HOROVOD_GPU_OPERATIONS=NCCL HOROVOD_NCCL_LINK=SHARED
    else
        unset HOROVOD_GPU_OPERATIONS HOROVOD_GPU
    fi
    # The local version names the build: pip replaces an installed one that differs, and leaves the same one alone.
    HOROVOD_LOCAL_VERSION=torch$torch.$operations.$hash \
        HOROVOD_WITH_PYTORCH=1 HOROVOD_WITH_GLOO=1 HOROVOD_WITHOUT_MPI=1 \
        HOROVOD_WITHOUT_TENSORFLOW=1 HOROVOD_WITHOUT_MXNET=1 \
        "$python" -m pip --disable-pip-version-check -v wheel --no-deps --no-build-isolation \
        -w "$work/wheel" "$work/source" >"$kept/build.log" 2>&1 \
        || { tail -n 30 "$kept/build.log" >&2; fail "the build failed; the whole log is in $kept/build.log"; }
    mv "$work"/wheel/horovod-*.whl "$kept/" # the same file system: all of it or nothing
}

compgen -G "$kept/horovod-*.whl" >/dev/null || check_tools

# Held to the end of the installation: two pips in one environment break each other too.
mkdir -p "$kept"
exec 9>"$kept/lock"
flock --nonblock 9 || { say "another call for the same wheel is at work; waiting for it"; flock 9; }

# What Horovod imports at run time (its own list), and what builds it.
pip_pinned install setuptools wheel packaging cloudpickle psutil pyyaml cffi

if ! compgen -G "$kept/horovod-*.whl" >/dev/null; then
    rm -rf "$kept"/work.* # left by a build that was killed
    work=$(mktemp -d "$kept/work.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    say "building $version for torch $torch ($operations); about 4 minutes on two cores, once"
    build "$work"
fi

pip install --no-deps "$(compgen -G "$kept/horovod-*.whl" | head -n 1)"
flock --unlock 9

env -u HOROVOD_RANK -u HOROVOD_SIZE "$python" - <<'PYTHON' || fail "installed, but it does not run; see the message above"
import horovod, horovod.torch as hvd, horovod.runner.http.http_server, torch
hvd.init()
assert torch.equal(hvd.allreduce(torch.arange(4.0)), torch.arange(4.0))
print(f"horovod: {horovod.__version__} works with torch {torch.__version__}")
PYTHON
