#!/bin/sh
exec ${SARTOR_TEST_LAUNCHER:-} "$@"
