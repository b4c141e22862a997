#!/bin/sh
# Arrow uses the system allocator, because ThreadSanitizer cannot track Arrow's bundled one.
export ARROW_DEFAULT_MEMORY_POOL=system
# libtorch's threads synchronize with OpenMP barriers, which ThreadSanitizer cannot track either: suppresses its copies and frees.
export TSAN_OPTIONS="ignore_noninstrumented_modules=1 ${TSAN_OPTIONS:-}"
exec ${SARTOR_TEST_LAUNCHER:-} "$@"
