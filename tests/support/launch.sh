#!/bin/sh
# Arrow with the system allocator: ThreadSanitizer does not see inside the one that it brings.
export ARROW_DEFAULT_MEMORY_POOL=system
# libtorch's threads wait for each other in OpenMP's barriers, which it does not see either: what libtorch copies and frees is left out.
export TSAN_OPTIONS="ignore_noninstrumented_modules=1 ${TSAN_OPTIONS:-}"
exec ${SARTOR_TEST_LAUNCHER:-} "$@"
