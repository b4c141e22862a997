#!/bin/sh
# Arrow with the system allocator: ThreadSanitizer does not see inside the one that it brings.
export ARROW_DEFAULT_MEMORY_POOL=system
exec ${SARTOR_TEST_LAUNCHER:-} "$@"
