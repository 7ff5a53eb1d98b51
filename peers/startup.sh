#!/usr/bin/env bash
# What a harness itself costs, for assay-bench, criterion and divan: time to
# start with 1, 100 and 10,000 registered benchmarks and run one of them once,
# to list them, and what a sample of an empty body takes. By turns, so that
# all three meet the same machine; prints a Markdown table of medians with the
# least and the most.
#
#   peers/startup.sh [TURNS] > table.md        (default 21 turns)
#
# PEERS_COUNTS="1 100" leaves out the 10,000. divan's are functions fixed at
# compile time; 10,000 of them had not compiled after five minutes on two
# cores, so they are built only with PEERS_ALL=1, and the table has a dash.
set -euo pipefail
turns=${1:-21}
counts=${PEERS_COUNTS:-1 100 10000}
here=$(cd "$(dirname "$0")" && pwd)/startup
export CARGO_TARGET_DIR=${PEERS_TARGET:-/tmp/t-peers}
bin=$CARGO_TARGET_DIR/peers
tools=(assay criterion divan)
mkdir -p "$bin"
rows=$(mktemp)
trap 'rm -f "$rows"' EXIT

# Builds one bench target and keeps the executable under a name of its own.
build() { # TOOL TARGET NAME
    local executable
    executable=$(cd "$here/$1" && cargo bench --bench "$2" --no-run \
        --message-format json 2>/dev/null |
        sed -n 's/.*"executable":"\([^"]*\/'"$2"'-[^"]*\)".*/\1/p' | tail -1)
    [ -n "$executable" ] || { echo "$1: $2 does not build" >&2; exit 1; }
    cp "$executable" "$bin/$3"
}

for tool in "${tools[@]}"; do
    build "$tool" sampler "$tool-sampler"
    for count in $counts; do
        if [ "$tool" = divan ] && [ "$count" -gt 1000 ] &&
            [ -z "${PEERS_ALL:-}" ]; then
            rm -f "$bin/$tool-many-$count"
            continue
        fi
        echo "building $tool with $count" >&2
        # Only divan's number is fixed at compile time.
        PEERS_BENCHES=$count build "$tool" many "$tool-many-$count"
    done
done

# Wall time of a command in microseconds, to the row "WHAT|TOOL|VALUE".
timed() { # WHAT TOOL COMMAND...
    local what=$1 tool=$2 start end
    shift 2
    start=${EPOCHREALTIME/[.,]/}
    "$@" >/dev/null 2>&1
    end=${EPOCHREALTIME/[.,]/}
    echo "$what|$tool|$((end - start))" >>"$rows"
}

cd "$CARGO_TARGET_DIR" # criterion writes below the working folder
for ((turn = 0; turn < turns; turn++)); do
    for ((place = 0; place < ${#tools[@]}; place++)); do
        tool=${tools[$(((place + turn) % ${#tools[@]}))]}
        for count in $counts; do
            export PEERS_BENCHES=$count
            many=$bin/$tool-many-$count
            [ -x "$many" ] || continue
            first=bench_0
            [ "$tool" != divan ] || first=many::bench_0
            timed "list $count, us" "$tool" "$many" --bench --list
            timed "run 1 of $count once, us" "$tool" \
                "$many" --test --exact "$first"
        done
        cost=$("$bin/$tool-sampler" --bench 2>/dev/null |
            sed -n 's/^cost-of-a-sample //p')
        echo "a sample of an empty body, ns|$tool|$cost" >>"$rows"
    done
done

echo "$turns turns; median (least to most)"
echo
echo "| | ${tools[0]} | ${tools[1]} | ${tools[2]} |"
echo "|---|---|---|---|"
awk -F'|' '!seen[$1]++ { print $1 }' "$rows" | while read -r what; do
    echo -n "| $what |"
    for tool in "${tools[@]}"; do
        { grep -F "$what|$tool|" "$rows" || true; } | cut -d'|' -f3 | sort -n |
            awk '{ v[NR] = $1 } END {
                if (NR == 0) printf " - |"
                else printf " %d (%d to %d) |", v[int((NR + 1) / 2)], v[1], v[NR]
            }'
    done
    echo
done
