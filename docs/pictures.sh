#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# pictures.sh - makes the pictures in README: redis-server, unmodified, under redis-benchmark.
#   BUILD: build folder (default: build); TO: where the pictures go (default: docs)
set -eu
build=$(cd "${BUILD:-build}" && pwd)
to=${TO:-docs}
dir=$(mktemp -d)
server='' load=''
cleanup() {
	trap - EXIT
	for p in $load $server; do kill "$p" 2>/dev/null || true; done
	wait 2>/dev/null || true
	rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# What is run is shown, as a user would type it.
run() {
	echo "$*" >&2
	"$@"
}

LD_PRELOAD=$build/libbscope-preload.so redis-server --port 0 --unixsocket "$dir/sock" --save '' \
	--appendonly no --dir "$dir" --logfile "$dir/log" &
server=$!
i=0
until redis-cli -s "$dir/sock" ping >/dev/null 2>&1; do
	i=$((i + 1))
	[ $i -lt 200 ] || { echo "pictures: no redis-server after ten seconds: make setup-demo" >&2; exit 1; }
	sleep 0.05
done
redis-benchmark -s "$dir/sock" -q -l -P 4 -r 50000 -d 100 -t set,get,hset,sadd,zadd >/dev/null 2>&1 &
load=$!

run "$build/bscope-trace" -q -p "$server" -d 10 -s 50 --stacks --call-graph=dwarf \
	--flame="$to/memory.svg" --weight=live-bytes >/dev/null
run "$build/bscope-trace" -q -p "$server" -d 5 --overhead="$to/overhead.svg" >/dev/null
