#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# stock.bats - bpftrace and perf see the same sites, list and count them.

load common

setup() {
	need_bpf
	export HOME=$BATS_TEST_TMPDIR # perf keeps its cache there
	APP=$PROGRAMS/counted
}

teardown() {
	stop_all
	[ ! -e "$BATS_TEST_TMPDIR/perf" ] || perf probe -q -d 'sdt_bscope:*' || true
	[ ! -e "$BATS_TEST_TMPDIR/mounted" ] || umount /sys/kernel/tracing
}

# The total of a kind by the program's own count, from its output.
own() { grep '^{' "$OUT" | jq -s "[.[].total.$1] | add"; }

@test "bpftrace -l lists every kind of mark" {
	# And the two probes of the library that is linked into it.
	bpftrace -l "usdt:$APP:bscope:*" | grep -Ev ':(batch|buffer|stack)$' >"$BATS_TEST_TMPDIR/list"
	cat "$BATS_TEST_TMPDIR/list"
	[ "$(wc -l <"$BATS_TEST_TMPDIR/list")" -eq 13 ]
	grep -qx "usdt:$APP:bscope:resize_end" "$BATS_TEST_TMPDIR/list"
}

@test "bpftrace -e counts new and reads its arguments" {
	need_trace_events
	OUT=$BATS_TEST_TMPDIR/out
	bpftrace -e "usdt:$APP:bscope:new { @n = count(); @bytes = sum(arg1) }
		     usdt:$APP:bscope:drop { @drops = count() }" -c "$APP 2 1000 1" >"$OUT" 2>"$BATS_TEST_TMPDIR/err"
	cat "$OUT" "$BATS_TEST_TMPDIR/err"
	n=$(own new)
	[ "$n" -gt 0 ]
	grep -qx "@n: $n" "$OUT"
	grep -qx "@bytes: $((64 * n))" "$OUT"
	grep -qx "@drops: $(own drop)" "$OUT"
}

@test "bpftrace raises the semaphore: marks behind BSCOPE_ENABLED() are seen" {
	need_trace_events
	cat >"$BATS_TEST_TMPDIR/guarded.c" <<-'END'
		#include <bscope/bscope.h>
		int main(void)
		{
			int made = 0;
			for (int i = 0; i < 10; i++)
				if (BSCOPE_ENABLED()) {
					BSCOPE_USE(thing, (long)i, (long)1);
					made++;
				}
			return made;
		}
	END
	${CC:-cc} -O2 -I"$ROOT/include" -o "$BATS_TEST_TMPDIR/guarded" "$BATS_TEST_TMPDIR/guarded.c" "$BUILD/libbscope.a"
	run "$BATS_TEST_TMPDIR/guarded"
	[ "$status" = 0 ]
	bpftrace -e "usdt:$BATS_TEST_TMPDIR/guarded:bscope:use { @n = count() }" -c "$BATS_TEST_TMPDIR/guarded" >"$BATS_TEST_TMPDIR/out" 2>&1
	cat "$BATS_TEST_TMPDIR/out"
	grep -qx '@n: 10' "$BATS_TEST_TMPDIR/out"
}

@test "perf lists the sites and counts them" {
	need_trace_events
	if [ ! -e /sys/kernel/tracing/uprobe_events ]; then
		mount -t tracefs tracefs /sys/kernel/tracing
		touch "$BATS_TEST_TMPDIR/mounted"
	fi
	perf buildid-cache --add "$APP"
	perf list sdt 2>&1 | grep -o 'sdt_bscope:[a-z_]*' | sort -u | grep -Ev ':(batch|buffer|stack)$' >"$BATS_TEST_TMPDIR/list"
	[ "$(wc -l <"$BATS_TEST_TMPDIR/list")" -eq 13 ]
	perf probe -q sdt_bscope:new
	touch "$BATS_TEST_TMPDIR/perf"
	OUT=$BATS_TEST_TMPDIR/out
	perf stat -x, -o "$BATS_TEST_TMPDIR/stat" -e sdt_bscope:new "$APP" 2 1000 1 >"$OUT"
	cat "$BATS_TEST_TMPDIR/stat"
	grep -q "^$(own new),,sdt_bscope:new," "$BATS_TEST_TMPDIR/stat"
}

@test "bscope-trace and bpftrace on the same sites at the same time" {
	need_trace_events
	counted 2 2000 3
	bpftrace -e "usdt:$APP:bscope:new { @n = count() }" -p "$PID" >"$BATS_TEST_TMPDIR/bt" 2>&1 &
	STARTED="$STARTED $!"
	sleep 1
	"$TRACE" -q -p "$PID" -d 0.5 --format=json -o "$BATS_TEST_TMPDIR/report.json"
	wait "$PID" || true
	stop_all
	counts_agree
	cat "$BATS_TEST_TMPDIR/bt"
	grep -q '^@n: [1-9]' "$BATS_TEST_TMPDIR/bt"
}
