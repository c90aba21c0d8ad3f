#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# hazards.bats - attaching and letting go 1,000 times, on programs that find out by themselves
# whether that hurt them; and careless ways to do it, which they must notice.
#
# cycle (tests/cycles) does to a process what bscope-trace does when it attaches and leaves, by way of
# the guardian, without BPF.

load common

CYCLES=$BUILD/tests/cycles

setup() {
	[ "$(id -u)" = 0 ] && return 0
	[ "${BSCOPE_REQUIRE_BPF:-0}" = 1 ] && { echo "root is required (BSCOPE_REQUIRE_BPF=1)"; return 1; }
	skip "needs root"
}

# program NAME ARG...: starts it, and lets it get going.
program() {
	start env ${PATIENCE:+UNHURT_PATIENCE=$PATIENCE} "$PROGRAMS/$1" "${@:2}"
	sleep 0.7
}

# cycle N ARG...: N times, all of them done.  -l first: with the runtime recording.
cycle() {
	local listen=
	[ "$1" = -l ] && { listen=-l; shift; }
	timeout -s KILL 150 "$CYCLES/cycle" $listen "$PID" "$@" >"$BATS_TEST_TMPDIR/cycle.json"
	cat "$BATS_TEST_TMPDIR/cycle.json"
	json ".cycles == $1 and .left == 0 and .stuck == 0 and .exited == false" "$BATS_TEST_TMPDIR/cycle.json"
}

# careless HOW N: hurts the program; may hang, and be hurt by that itself.
careless() { timeout -s KILL "${LIMIT:-30}" "$CYCLES/careless" "$1" "$PID" "$2" || true; }

# over [SECONDS]: the program ends when told to; what it says is in $OUT.
over() {
	kill -TERM "$PID"
	for _ in $(seq $((${1:-60} * 10))); do
		kill -0 "$PID" 2>/dev/null || break
		sleep 0.1
	done
	kill -KILL "$PID" 2>/dev/null && echo "$PID does not end"
	wait "$PID" || { echo "it ended with status $?"; cat "$OUT"; return 1; }
}

# says EXPR: the program has ended well, and EXPR is true of what it says.
says() {
	cat "$OUT"
	json "$1" "$OUT"
}

unharmed='.results == "right" and .text == "same"'

@test "1,000 cycles: real-time signals, traps and faults, none lost" {
	program signals
	cycle 1000
	over
	says "$unharmed and .lost == 0 and .sent == .handled and .numbers == \"right\" and .hung == 0 and .sent > 10000"
}

@test "1,000 cycles: SIGSTOP holds, SIGCONT goes on, signals are not lost" {
	program signals 2 50 stop
	cycle 1000
	over
	says "$unharmed and .lost == 0 and .sent == .handled and .numbers == \"right\" and .hung == 0 and .stops > 20 and .leaks == 0 and .frozen == 0"
}

@test "1,000 cycles: 46 blocking calls, no EINTR without a signal, no wake-up lost" {
	local given_up
	program eintr
	cycle 1000
	over
	# A stop that is given up, on a machine that is too busy, may meet a thread too late.
	given_up=$(jq .timeouts "$BATS_TEST_TMPDIR/cycle.json")
	says "$unharmed and .calls == 46 and .bare <= $given_up and .errors == 0 and .again < 4 and .lost == 0 and .hung == 0 and .wakes > 1000 and .signals > 500"
}

@test "1,000 cycles: fork, vfork, posix_spawn, clone(CLONE_VM), with exec: all children end well" {
	program execs
	cycle 1000
	over
	says "$unharmed and .started == .right and .killed == 0 and .bad == 0 and .hung == 0 and ([.by_how[]] | min) > 100"
}

@test "1,000 cycles: a program that executes itself all the time, by any thread" {
	program execs self
	cycle 1000
	json '.layouts > 50' "$BATS_TEST_TMPDIR/cycle.json"
	over
	says "$unharmed and .started > 100 and .slowest_ms < 5000"
}

@test "1,000 cycles: fork all the time, children get their text back" {
	program forks
	cycle 1000
	over
	says "$unharmed and .children == .ended and .killed == 0 and .changed == 0 and .wrong == 0 and .hung == 0 and .lit > 20"
}

@test "1,000 cycles: strict seccomp, lit and alive" {
	program seccomp
	cycle 1000
	over
	says "$unharmed and .alive == .threads and .reads == .writes and .eintr == 0"
}

@test "1,000 cycles: threads by the ten-thousand and 500 at once, memory flat" {
	program threads
	cycle 1000
	json '.threads > 400' "$BATS_TEST_TMPDIR/cycle.json"
	over
	says "$unharmed and .hung == 0 and .threads > 10000 and .rss_kb[2] - .rss_kb[0] < 32768"
}

@test "100 cycles each while the runtime records: signals, forks, execs, threads" {
	for p in signals forks execs threads; do
		program "$p"
		cycle -l 100
		over
		says "$unharmed and .hung == 0 and (.lost // 0) == 0 and (.killed // 0) == 0 and (.bad // 0) == 0 and (.changed // 0) == 0"
	done
}

@test "the program dies while it is attached to, in six ways: nothing hangs" {
	local how status want
	for how in exit:0 pthread_exit:0 kill:137 segv:139 abort:134 exec:0; do
		want=${how#*:}
		start "$PROGRAMS/deaths" "${how%:*}" "$BATS_TEST_TMPDIR/marks" 4 3000000
		timeout -s KILL 60 "$CYCLES/cycle" "$PID" 100000 >"$BATS_TEST_TMPDIR/cycle.json"
		json '.exited and .stuck == 0 and .left == 0' "$BATS_TEST_TMPDIR/cycle.json"
		status=0
		wait "$PID" || status=$?
		[ "$status" = "$want" ] || { echo "$how: ended with $status"; false; }
		"$PROGRAMS/deaths" count "$BATS_TEST_TMPDIR/marks" >"$BATS_TEST_TMPDIR/marks.json"
		json '.threads == 4 and .marks >= 12000000' "$BATS_TEST_TMPDIR/marks.json"
	done
}

@test "careless: signals that are swallowed are noticed" {
	PATIENCE=3 program signals
	careless signals 500
	over
	says '.lost > 0'
}

@test "careless: SIGCONT for a stopped program is noticed" {
	PATIENCE=3 program signals 2 50 stop
	LIMIT=15 careless cont 200
	over
	says '.leaks > 0'
}

@test "careless: interrupted calls, and calls restarted by hand, are noticed" {
	program eintr
	careless eintr 50
	over
	says '.bare > 100 and (.wrong_calls | length) > 10'
	PATIENCE=3 program eintr
	careless rewind 800
	over
	says '.again + .lost > 5'
}

@test "careless: text left changed, in the process or in its children, is noticed" {
	program seccomp
	careless leave 1
	over
	says '.text == "changed"'
	program forks 2 4 1000
	careless child 200
	over
	says '.changed > 0'
}

@test "careless: patching under a process that shares the memory, and a wrong jump, are noticed" {
	program execs vm
	careless running 20
	over
	says '.killed > 0'
	program seccomp
	careless sloppy 1
	run over
	[ "$status" != 0 ]
}

@test "careless: a call made in the program's name under seccomp is noticed" {
	program seccomp
	LIMIT=5 careless call 3
	run over 3
	[ "$status" != 0 ] || ! json '.alive == .threads' "$OUT"
}

@test "careless: the deadlock with exec is noticed" {
	# Once in a while it is careless itself that waits for ever, for a thread that exec took.
	for _ in 1 2 3 4 5; do
		program execs self
		LIMIT=10 careless onebyone 1000
		over
		says '.slowest_ms > 4000' && return 0
	done
	false
}
