#!/bin/sh
# Stands in for a valgrind that is broken: does what $STAND_IN says, with $out
# and $log as the files that valgrind should write. Committed rather than
# written by the test: a file that another thread's fork holds open for
# writing cannot be executed.
for word in "$@"; do
    case $word in
        --callgrind-out-file=*) out=${word#*=} out=${out%.%p}.1 ;;
        --log-file=*) log=${word#*=} log=${log%.%p}.1 ;;
    esac
done
eval "$STAND_IN"
