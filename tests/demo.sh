#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# demo.sh - bscope-trace on two running programs, attached to by PID:
#   1. Debian's redis-server, unmodified, under the preload library and a real load
#   2. a daemon with hand-placed sites that leaks 1 KiB/s (tests/programs/leaky.c)
# BUILD: build folder (default: build); SECONDS_EACH: how long to trace each (default: 10).
set -eu
build=${BUILD:-build}
each=${SECONDS_EACH:-10}
port=${PORT:-16379}
dir=$(mktemp -d)
pids=
cleanup() {
	for p in $pids; do kill "$p" 2>/dev/null || true; done
	wait 2>/dev/null || true
	rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

say() { printf '\n\033[1m%s\033[0m\n\n' "$*"; }
[ -t 1 ] || say() { printf '\n%s\n\n' "$*"; }

say "1. redis-server, unmodified, under the preload library, while redis-benchmark works on it"
echo "\$ LD_PRELOAD=$build/libbscope-preload.so redis-server --port $port &"
LD_PRELOAD=$(cd "$build" && pwd)/libbscope-preload.so redis-server --port "$port" --bind 127.0.0.1 --save '' \
	--appendonly no --dir "$dir" --logfile "$dir/redis.log" &
redis=$!
pids="$pids $redis"
i=0
until redis-cli -p "$port" ping >/dev/null 2>&1; do
	i=$((i + 1))
	[ $i -lt 100 ] || { cat "$dir/redis.log" >&2; echo "demo: redis-server does not answer" >&2; exit 1; }
	sleep 0.1
done
redis-benchmark -p "$port" -l -q -n 100000 -r 10000 -d 200 -c 20 -t set,get,lpush,lpop,hset \
	>"$dir/load.log" 2>&1 &
pids="$pids $!"
sleep 1
echo "\$ bscope-trace -p $redis -d $each"
"$build/bscope-trace" -p "$redis" -d "$each"
redis-cli -p "$port" ping | sed 's/^/redis-server still answers: /'

say "2. a daemon with hand-placed sites; it leaks 1 KiB/s among 10 MiB/s of honest allocation"
"$build/tests/programs/leaky" 3600 &
leaky=$!
pids="$pids $leaky"
sleep 1
echo "\$ bscope-trace -p $leaky -d $each"
"$build/bscope-trace" -p "$leaky" -d "$each"
