#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# contended.bats - a correct program whose threads share, pass on, resize and replace few objects is
# not accused of anything, and not changed.
# CONTENDED_OPS: operations (default 400,000); CONTENDED_RUNS: runs of each mode (default 1).

load common

setup() { need_bpf; }

# contended MODE: one run; its marks and what it printed are right, and there are no verdicts
contended() {
	local go=$BATS_TEST_TMPDIR/go program out
	rm -f "$go"
	mkfifo "$go"
	exec 4<>"$go"
	start "$PROGRAMS/contended" "$OPS" 8 "$go" 4>&-
	program=$PID out=$OUT
	start "$TRACE" -m "$1" -p "$program" --format=json -o "$BATS_TEST_TMPDIR/report.json" 4>&-
	for _ in $(seq 200); do
		grep -q attached "$BATS_TEST_TMPDIR/err" && break
		sleep 0.05
	done
	echo go >&4
	exec 4>&-
	wait "$program" || { echo "the program failed"; return 1; }
	wait "$PID" || { cat "$BATS_TEST_TMPDIR/err"; return 1; }
	[ "$(tail -1 "$out")" = "$TAKEN" ] || { echo "not $TAKEN, but:"; cat "$out"; return 1; }
	json ".mode == \"$1\" and .verdicts == [] and .events.written == .events.received + .events.lost"
	json '.events.lost > 0 or .events.by_kind.new > 1000'
}

run_all() {
	OPS=${CONTENDED_OPS:-400000}
	TAKEN=$("$PROGRAMS/contended" "$OPS" 8)
	for run in $(seq "${CONTENDED_RUNS:-1}"); do
		contended "$1" || { echo "run $run"; return 1; }
	done
}

@test "jump mode: no verdict on a correct program" { run_all jump; }

@test "trap mode: no verdict on a correct program" { run_all trap; }

# stopped ARG...: the tool loses events, twice, since it stands still, and goes on.
stopped() {
	local program tool
	start "$PROGRAMS/tangled" 3
	program=$PID
	start "$TRACE" -q -p "$program" --buffer=2M --format=json -o "$BATS_TEST_TMPDIR/report.json" "$@"
	tool=$PID
	for pause in 0.6 0.2; do
		sleep 0.6
		kill -STOP "$tool"
		sleep "$pause"
		kill -CONT "$tool"
	done
	wait "$program"
	wait "$tool"
	json '.verdicts == [] and .events.lost > 0 and .events.written == .events.received + .events.lost'
}

@test "ends of resizes that were lost are not taken for those of others" {
	for run in 1 2 3; do
		stopped
		stopped -s 3
	done
}

@test "nor are those of resizes that were under way when traps made way for jumps" {
	for run in 1 2 3 4 5 6; do
		"$TRACE" -q -s 2 --format=json -o "$BATS_TEST_TMPDIR/report.json" -- "$PROGRAMS/tangled" 1
		json '.mode == "jump" and .verdicts == []'
	done
}

@test "nor are the last events of a program that ends while the ring is full" {
	local tool
	for run in 1 2 3 4 5 6; do
		start "$TRACE" -q --buffer=2M --format=json -o "$BATS_TEST_TMPDIR/report.json" \
			-- "$PROGRAMS/tangled" 1
		tool=$PID
		sleep 0.5
		for pause in 0.03 0.03 1.5; do
			kill -STOP "$tool"
			sleep "$pause"
			kill -CONT "$tool"
			sleep 0.01
		done
		wait "$tool"
		json '.verdicts == [] and .events.lost > 0'
	done
}
