#!/usr/bin/env bash
# What a harness itself costs, for assay-bench, criterion and divan: time to
# start with 1, 100 and 10,000 registered benchmarks and run one of them once,
# to list them, and what a sample of an empty body takes. By turns, so that
# all meet the same machine; prints Markdown: how each was registered and
# compiled, and a table of medians with the least and the most.
#
#   peers/startup.sh [TURNS] > table.md        (default 21 turns)
#
# divan's benchmarks are fixed at compile time. They are registered in both of
# its ways: as functions (`divan`), and as the arguments of one function
# (`divan-args`), which is how it registers many. Compiling many functions is
# given PEERS_LIMIT seconds of processor time (default 1500); what is not
# compiled by then has a dash. What does not compile for another reason ends
# this with the compiler's words. PEERS_COUNTS="1 100" leaves out the 10,000.
set -euo pipefail
turns=${1:-21}
counts=${PEERS_COUNTS:-1 100 10000}
limit=${PEERS_LIMIT:-1500}
here=$(cd "$(dirname "$0")" && pwd)/startup
export CARGO_TARGET_DIR=${PEERS_TARGET:-/tmp/t-peers}
bin=$CARGO_TARGET_DIR/peers
tools=(assay criterion divan divan-args)
declare -A how=(
    [assay]="a loop of \`bench\`, by a number at run time"
    [criterion]="a loop of \`bench_function\`, by a number at run time"
    [divan]="a function each, \`#[divan::bench]\`, generated"
    [divan-args]="one function with \`#[divan::bench(args = 0..N)]\`"
)
mkdir -p "$bin"
rows=$(mktemp)
compiled=$(mktemp)
errors=$(mktemp)
failed=$(mktemp)
trap 'rm -f "$rows" "$compiled" "$errors" "$failed"' EXIT

# Builds one bench target and keeps the executable under a name of its own;
# fails where it does not build, or takes more processor time than the limit.
# What the compiler said is in $errors.
build() { # TOOL TARGET NAME
    local executable folder=${1%-args} way=functions
    [ "$folder" = "$1" ] || way=args
    executable=$(cd "$here/$folder" && ulimit -t "$limit" &&
        PEERS_DIVAN=$way cargo bench --bench "$2" --no-run \
            --message-format json-render-diagnostics 2>"$errors" |
        sed -n 's/.*"executable":"\([^"]*\/'"$2"'-[^"]*\)".*/\1/p' | tail -1)
    [ -n "$executable" ] || return 1
    cp "$executable" "$bin/$3"
}

TIMEFORMAT='%R %U %S'
for tool in "${tools[@]}"; do
    # Compiles the dependencies, too, so that the times below are of the
    # benchmarks alone.
    build "$tool" sampler "$tool-sampler" ||
        { cat "$errors" >&2; echo "$tool: sampler does not build" >&2; exit 1; }
    for count in $counts; do
        echo "building $tool with $count" >&2
        export PEERS_BENCHES=$count
        rm -f "$bin/$tool-many-$count"
        took=$({ time { build "$tool" many "$tool-many-$count" ||
            echo failed >&3; }; } 3>"$failed" 2>&1 | tail -1)
        if [ -s "$failed" ]; then
            read -r _ user system <<<"$took"
            # The limit is one process's, and these seconds are all of them's.
            if awk "BEGIN { exit !($user + $system >= 0.98 * $limit) }"; then
                took="not within $limit s of processor time"
                echo "$tool $count: $took" >&2
            else
                cat "$errors" >&2
                echo "$tool with $count does not build" >&2
                exit 1
            fi
        fi
        echo "$tool|$count|$took" >>"$compiled"
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
            case $tool in
            divan) first=many::bench_0 ;;
            divan-args) first=many::bench::0 ;;
            *) first=bench_0 ;;
            esac
            timed "list $count, us" "$tool" "$many" --bench --list
            timed "run 1 of $count once, us" "$tool" \
                "$many" --test --exact "$first"
        done
        cost=$("$bin/$tool-sampler" --bench 2>/dev/null |
            sed -n 's/^cost-of-a-sample //p')
        echo "a sample of an empty body, ns|$tool|$cost" >>"$rows"
    done
done

echo "$(date -u +%F); $(nproc) cores of $(sed -n 's/^model name\s*: //p' \
    /proc/cpuinfo | head -1), load $(cut -d' ' -f1 /proc/loadavg) at the end;" \
    "$(rustc --version | cut -d' ' -f1-2)"
echo
echo "| | registered as | benchmarks | compiled in, s of wall time | s of processor time |"
echo "|---|---|---|---|---|"
while IFS='|' read -r tool count took; do
    read -r wall user system <<<"$took"
    case $took in
    not*) echo "| $tool | ${how[$tool]} | $count | - | $took |" ;;
    *)
        cpu=$(awk "BEGIN { printf \"%.1f\", $user + $system }")
        echo "| $tool | ${how[$tool]} | $count | $wall | $cpu |"
        ;;
    esac
done <"$compiled"
echo
echo "$turns turns; median (least to most)"
echo
echo "| | $(printf '%s | ' "${tools[@]}")"
echo "|---|$(printf -- '---|%.0s' "${tools[@]}")"
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
