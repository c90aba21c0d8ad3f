#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# pictures.sh - makes the pictures in README: redis-server, unmodified, under redis-benchmark.
#   BUILD: build folder (default: build); TO: where the pictures go (default: docs)
set -eu
# shellcheck source=bench/common.sh
. "$(dirname "$0")/../bench/common.sh"
to=${TO:-docs}

# What is run is shown, as a user would type it.
run() {
	echo "$*" >&2
	"$@"
}

LD_PRELOAD=$build/libbscope-preload.so redis-server --port 0 --unixsocket "$dir/sock" --save '' \
	--appendonly no --dir "$dir" --logfile "$dir/log" &
server=$!
until_ok redis-cli -s "$dir/sock" ping
redis-benchmark -s "$dir/sock" -q -l -P 4 -r 50000 -d 100 -t set,get,hset,sadd,zadd >/dev/null 2>&1 &

run "$build/bscope-trace" -q -p "$server" -d 10 -s 50 --stacks --call-graph=dwarf \
	--flame="$to/memory.svg" --weight=live-bytes >/dev/null
run "$build/bscope-trace" -q -p "$server" -d 5 --overhead="$to/overhead.svg" >/dev/null
