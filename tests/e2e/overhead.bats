#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# overhead.bats - --max-overhead: it steers, says what it did, accuses nobody, and hurts nobody.
# Whether it holds what it promises is for `make bench-overhead`: that takes a quiet machine.

load common
load lit

setup() {
	need_bpf
	GUARDIANS=$(guardians)
}

report() { echo "$BATS_TEST_TMPDIR/report.json"; }
trace() { "$TRACE" -q --format=json -o "$(report)" "$@"; }

adds_up() {
	json '.events.written == .events.received + .events.lost and .events.lost_by_reason.unaccounted == 0
		and (.objects | .created + .adopted == .dropped + .vanished + .live + .exited)
		and .mode == "jump" and .overhead.cpu_percent != null
		and any(.notes[]; startswith("--max-overhead="))'
}

# Nothing but what counted is known for: its counts do not balance.
no_false_verdict() { json '[.verdicts[].verdict] - ["unbalanced-count"] == []'; }

@test "a program with a steady load: attached, let go, unhurt; sites go dark, and the note says which" {
	start "$PROGRAMS/steady" 20000 60 "$BATS_TEST_TMPDIR/lines"
	sleep 0.5
	trace --max-overhead=1 -p "$PID" -d 4
	adds_up
	json '.verdicts == []'
	json 'any(.notes[]; test("^--max-overhead=1: .*sites went dark [0-9]+ times?.*dark at the end: .*use of steady"))'
	# What was known of what went dark is not taken for alive.
	json '.objects.live < 20'
	within 5 text_same "$PID"
	kill -0 "$PID"
	"$ROOT/tests/validate-json" "$ROOT/tools/render/bscope-report-1.schema.json" "$(report)"
}

@test "a program that costs little is followed whole" {
	start "$PROGRAMS/leaky" 60
	sleep 0.3
	trace --max-overhead=60 -p "$PID" -d 10
	adds_up
	json '.sample == 1 and .verdicts == []'
	json 'any(.notes[]; test("one object in 1 was followed at the end")) and all(.notes[]; test("went dark") | not)'
	# Its leak is found, in the part of the time in which it was followed whole.
	json 'any(.growth[]; .class == "peer")'
	within 5 text_same "$PID"
}

@test "four threads at 400,000 events/s: no verdict that is not true, results and text right" {
	start "$PROGRAMS/counted" 4 100000 60
	sleep 0.3
	for percent in 0.2 1 10; do
		trace --max-overhead=$percent -p "$PID" -d 2
		adds_up
		no_false_verdict
		within 5 text_same "$PID"
	done
	enough "$PID"
	unhurt
}

@test "threads that share objects are not accused while sites go dark and are lit again" {
	start "$PROGRAMS/contended" 1000000000 4
	sleep 0.3
	for percent in 0.05 0.5 4; do
		trace --max-overhead=$percent -p "$PID" -d 3
		adds_up
		json '.verdicts == []'
		within 5 text_same "$PID"
	done
}

@test "a load that goes: more is followed again, and what was dark is lit" {
	start "$PROGRAMS/phases" 4 66 70
	"$TRACE" -v --max-overhead=1 -p "$PID" -d 60 --format=json -o "$(report)" 2>"$BATS_TEST_TMPDIR/said"
	adds_up
	json '.verdicts == [] and .sample == 1'
	grep -q "sites of class phase are dark" "$BATS_TEST_TMPDIR/said"
	json 'any(.notes[]; test("sites went dark [1-9].*lit again [1-9].*dark at the end: none"))'
	# Of the light phase nearly all at the end is seen.
	json '.objects.created > 5000 and .objects.live <= 1'
	within 5 text_same "$PID"
}

@test "fork while it steers: both are steered, text of both is restored" {
	start "$PROGRAMS/counted" 2 100000 3 fork
	sleep 0.2
	trace --max-overhead=0.3 -p "$PID" -d 1.8
	adds_up
	no_false_verdict
	json '.processes | length == 2'
	wait "$PID" || true
	jq -e -s 'length == 3 and all(.[]; .results == "right" and .semaphore == 0)
		and all(.[1:][]; .text == "same")' "$OUT"
}

@test "SIGKILL of the tool while sites are dark and lit, 10 times: text restored" {
	start "$PROGRAMS/counted" 4 300000 60
	for round in $(seq 10); do
		"$TRACE" -v --max-overhead=0.3 -p "$PID" -o /dev/null 2>"$BATS_TEST_TMPDIR/said" 3>&- &
		tool=$!
		within 10 grep -q "are dark" "$BATS_TEST_TMPDIR/said"
		sleep "0.$((RANDOM % 4))"
		kill -KILL "$tool"
		wait "$tool" || true
		eventually text_same "$PID"
	done
	within 10 no_guardians
	enough "$PID"
	unhurt
}

@test "SIGKILL of the guardian while it steers: the tool goes on and leaves nothing behind" {
	start "$PROGRAMS/counted" 4 300000 60
	"$TRACE" -v --max-overhead=0.3 -p "$PID" -d 4 --format=json -o "$(report)" \
		2>"$BATS_TEST_TMPDIR/said" 3>&- &
	tool=$!
	within 10 grep -q "are dark" "$BATS_TEST_TMPDIR/said"
	pkill -KILL -x -P "$tool" bscope-guardian
	wait "$tool"
	adds_up
	eventually text_same "$PID"
	within 10 no_guardians
	enough "$PID"
	unhurt
}

@test "-- COMMAND, and --preload" {
	trace --max-overhead=2 -- "$PROGRAMS/steady" 2000 2 "$BATS_TEST_TMPDIR/lines"
	adds_up
	json '.verdicts == [] and .command.status == 0'
	trace --max-overhead=2 --preload -- "$PROGRAMS/leaky-plain" 3 1024 104857600
	adds_up
	json '.verdicts == [] and .command.status == 0'
}

@test "usage errors" {
	for wrong in "--max-overhead=0" "--max-overhead=-1" "--max-overhead=101" "--max-overhead=x" \
		"--max-overhead=" "--max-overhead=1%" "--max-overhead=1 -s 10" \
		"--max-overhead=1 --sample-bytes=1K" "--max-overhead=1 -m trap" "--max-overhead=1 -l"; do
		# shellcheck disable=SC2086
		run "$TRACE" $wrong -p $$
		echo "$wrong: $status $output"
		[ "$status" -eq 64 ]
		[[ $output == *max-overhead* ]]
	done
}
