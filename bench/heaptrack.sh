#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# heaptrack.sh - which functions hold redis-server's memory: bscope-trace's answer against that of
# heaptrack (Debian package heaptrack), after the same load, on the unmodified server.
#   BUILD: build folder (default: build); BYTES: the objects of one byte in so many are followed
#   (default: 512); KEEP=FOLDER: where both folded files go and stay
# The load is the same sequence of commands for both: strings, hashes, sets and sorted sets, with keys
# and values that depend on nothing.  Compared are the bytes alive at the end below each function, as
# shares of all, for the ten functions that hold most by heaptrack; allocators, and what nine tenths are
# below (main, the event loop), would agree by themselves and are left out, as are frames without a
# name.  No lists, and no long strings: a block that realloc makes larger or smaller is here that of
# the place that made it, by heaptrack that of the realloc.
set -eu
# shellcheck source=bench/common.sh
. "$(dirname "$0")/common.sh"
bytes=${BYTES:-512}
to=${KEEP:-$dir}

for c in redis-server redis-cli heaptrack heaptrack_print; do
	command -v "$c" >/dev/null || die "no $c: apt-get install redis-server redis-tools heaptrack"
done

awk 'BEGIN {
	for (i = 0; i < 60000; i++) printf "SET string:%d %040d\r\n", i, i
	for (i = 0; i < 60000; i++) printf "HSET hash:%d field:%d %064d\r\n", i % 10, i, i
	for (i = 0; i < 40000; i++) printf "SADD set:%d member:%040d\r\n", i % 10, i
	for (i = 0; i < 30000; i++) printf "ZADD sorted:%d %d member:%030d\r\n", i % 10, i, i
}' >"$dir/load"

# serve COMMAND...: runs redis-server by it, gives it the load, and ends it
serve() {
	"$@" redis-server --port 0 --unixsocket "$dir/sock" --save '' --appendonly no \
		--activerehashing no --dir "$dir" --logfile "$dir/log" >"$dir/out" 2>&1 &
	server=$!
	until_ok redis-cli -s "$dir/sock" ping
	redis-cli -s "$dir/sock" --pipe <"$dir/load" >"$dir/pipe" 2>&1 || true
	grep -q 'errors: 0, replies: 190000' "$dir/pipe" || { cat "$dir/pipe" >&2; die "the load failed"; }
	redis-cli -s "$dir/sock" shutdown nosave >/dev/null 2>&1 || true
	wait "$server" || { cat "$dir/out" >&2; die "failed: $1"; }
}

serve "$build/bscope-trace" --preload --stacks --call-graph=dwarf --sample-bytes="$bytes" --buffer=256M \
	--weight=live-bytes --folded="$to/bscope.folded" -o "$dir/report" --
serve heaptrack -o "$dir/track"
heaptrack_print "$dir"/track.* -p 0 -a 0 -T 0 --flamegraph-cost-type leaked \
	-F "$to/heaptrack.folded" >/dev/null 2>&1

awk '/^  (events|stacks)/' "$dir/report"
awk '
FNR == 1 { who++ }
{
	bytes = $NF
	sub(/ [0-9]+$/, "")
	sub(/;$/, "")
	total[who] += bytes
	n = split($0, frame, ";")
	delete seen
	for (i = 1; i <= n; i++) {
		f = frame[i]
		if (f in seen || f ~ /^\[|^0x|alloc|^redis-server$|^_start$|^__libc_/)
			continue
		seen[f] = 1
		held[who, f] += bytes
		name[f] = 1
	}
}
END {
	printf "bytes alive: heaptrack %.0f, bscope-trace %.0f\n", total[1], total[2]
	for (f in name)
		if (held[1, f] > 0.9 * total[1])
			delete name[f]
	for (rank = 1; rank <= 10; rank++) {
		best = ""
		for (f in name)
			if (best == "" || held[1, f] > held[1, best] || (held[1, f] == held[1, best] && f < best))
				best = f
		a = 100 * held[1, best] / total[1]
		b = 100 * held[2, best] / total[2]
		d = b - a
		if (d < 0)
			d = -d
		if (d > most)
			most = d
		printf "  %-28s heaptrack %5.1f %%  bscope-trace %5.1f %%\n", best, a, b
		delete name[best]
	}
	printf "largest difference %.1f points  aim at most 2: %s\n", most, (most <= 2 ? "met" : "MISSED")
}' "$to/heaptrack.folded" "$to/bscope.folded"
