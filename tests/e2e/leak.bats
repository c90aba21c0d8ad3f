#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# leak.bats - a daemon that leaks 1 KiB/s among 10 MiB/s of honest allocation.

load common
setup() { need_bpf; }

# The first row of growth is the leak, and the true rate lies within its stated error.
leak_leads() {
	json '.events.lost == 0 and .events.written == .events.received'
	json '.growth[0] | (.bytes_per_s - 1024 | fabs) <= .error and .error < 300'
	json '.growth[0].bytes_per_s - .growth[0].error > 0'
}

@test "hand-placed sites: the leaking site leads the growth table after -d 30" {
	start "$PROGRAMS/leaky" 60
	sleep 1
	"$TRACE" -q -p "$PID" -d 30 --format=json -o "$BATS_TEST_TMPDIR/report.json"
	leak_leads
	json '.growth[0].class == "peer" and (.growth[0].function == "peer_remember")'
}

@test "unmodified under preload: the leaking caller leads the growth table after -d 30" {
	start env LD_PRELOAD="$BUILD/libbscope-preload.so" "$PROGRAMS/leaky-plain" 60
	sleep 1
	"$TRACE" -q -p "$PID" -d 30 --format=json -o "$BATS_TEST_TMPDIR/report.json"
	leak_leads
	json '.growth[0].class == "malloc" and (.growth[0].caller | test("^peer_remember at leaky[.]c:[0-9]+$"))'
}
