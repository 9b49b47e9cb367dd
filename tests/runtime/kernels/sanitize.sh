#!/bin/sh
# Builds the native kernels with the address and undefined-behaviour sanitizers and runs the kernel tests on that build.
# Usage: sanitize.sh [arguments for pytest]. Needs g++ and a Python (PYTHON, default python3) with mpcc's `test` extra.
# Takes about a minute; writes only to build/sanitize.
set -eu
python=$(command -v "${PYTHON:-python3}")
PATH=$(dirname "$python"):$PATH
root=$(cd "$(dirname "$0")/../../.." && pwd)
build=$root/build/sanitize
package=$build/install/mpcc

cmake -S "$root" -B "$build" -DMPCC_SANITIZE=address,undefined -DPython_EXECUTABLE="$python"
cmake --build "$build" --parallel
rm -rf "$build/install"
cmake --install "$build" --prefix "$build/install"
# The Python of both rooms, but not a library that was built into the source tree: it would replace this one.
for room in ir runtime; do
    (cd "$root" && find "$room" -name '*.py' -exec cp --parents -t "$package" {} +)
done

# Without what runs the NumPy twins alone, where there is no compiled code, and without the largest comparisons.
# Leaks are not looked for: the interpreter itself leaves memory behind. The C++ library comes first because the
# sanitizer looks up its exception functions when it starts.
cd "$root"
LD_PRELOAD="$(g++ -print-file-name=libasan.so) $(g++ -print-file-name=libstdc++.so)" \
    ASAN_OPTIONS=detect_leaks=0:halt_on_error=1 UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1 \
    PYTHONPATH=$build/install PYTHONDONTWRITEBYTECODE=1 \
    "$python" -m pytest -q -s -p no:cacheprovider tests/runtime/kernels -m "not slow" -k "not [numpy" "$@"
