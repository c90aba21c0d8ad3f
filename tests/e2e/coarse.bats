#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# coarse.bats - --clock=coarse: as many events as with precise stamps, no verdicts on what threads
# share, and their objects counted all the same.  (Verdicts of one thread's own: corpus.bats.)

load common
load lit

setup() {
	need_bpf
	GUARDIANS=$(guardians)
}

report() { echo "$BATS_TEST_TMPDIR/report.json"; }
trace() { "$TRACE" -q -m jump --clock=coarse --format=json -o "$(report)" "$@"; }

adds_up() {
	json '.clock == "coarse" and .events.written == .events.received + .events.lost and .events.lost == 0
		and (.objects | .created + .adopted == .dropped + .vanished + .live + .exited)'
}

@test "sites that only traps can light have another clock: no verdict" {
	echo '#include <bscope/bscope.h>
		void end(uintptr_t id) { BSCOPE_DROP(mixed, id); }' >"$BATS_TEST_TMPDIR/end.c"
	echo '#include <bscope/bscope.h>
		#include <unistd.h>
		void end(uintptr_t id);
		int main(void)
		{
			for (;;) {
				for (int i = 0; i < 1000; i++) {
					BSCOPE_NEW(mixed, 4096);
					end(4096);
					BSCOPE_NEW(jumps, 4096);
					BSCOPE_DROP(jumps, 4096);
				}
				BSCOPE_DROP(jumps, 4096);
				usleep(1000);
			}
		}' >"$BATS_TEST_TMPDIR/mixed.c"
	cc -O1 -I"$ROOT/include" -c -DBSCOPE_NO_RUNTIME -o "$BATS_TEST_TMPDIR/end.o" "$BATS_TEST_TMPDIR/end.c"
	cc -O1 -I"$ROOT/include" -o "$BATS_TEST_TMPDIR/mixed" "$BATS_TEST_TMPDIR/mixed.c" "$BATS_TEST_TMPDIR/end.o" \
		"$BUILD/libbscope.a" -lpthread
	start "$BATS_TEST_TMPDIR/mixed"
	for clock in coarse precise; do
		timeout 60 "$TRACE" -q -m jump --clock=$clock -p "$PID" -d 0.7 --format=json \
			-o "$BATS_TEST_TMPDIR/report.json" 3>&-
		json '.events.by_kind.new > 1000 and all(.verdicts[]; .class == "jumps")'
		json 'any(.notes[]; test("1 class has sites of both kinds, whose clocks differ"))'
		# What jumps and traps say begins and ends at one instant: as many of the one as of the other.
		json '[.sites[] | select(.class == "mixed")] | (.[0].hits - .[1].hits | fabs) <= 1'
	done
}

@test "attach in the middle, let go before the end, at 2 million events/s: hits exact, program unhurt" {
	for round in 1 2 3 4 5; do
		rm -f "$BATS_TEST_TMPDIR"/out.*
		start "$PROGRAMS/counted" 4 500000 60
		sleep 0.3
		trace -p "$PID" -d 1
		enough "$PID"
		adds_up
		# By kind, what each thread made while it was lit.
		jq -e -s --slurpfile r "$(report)" '
			$r[0].events as $e | . as $own
			| [$e.by_kind | to_entries[] | .key as $k | .value as $got
			   | ([$own[].sure[$k]] | add) as $sure | ([$own[].unsure[$k]] | add) as $unsure
			   | select($got < $sure or $got > $sure + $unsure)] == []
			  and ([$own[].unsure[]] | add) <= 8 and $e.received > 100000' "$BATS_TEST_TMPDIR"/out.* ||
			{ cat "$BATS_TEST_TMPDIR"/out.*; jq -c .events "$(report)"; false; }
		unhurt
	done
}

@test "threads that share objects: no verdict, the note says so, and what lives at the end is nearly right" {
	local go=$BATS_TEST_TMPDIR/go
	mkfifo "$go"
	exec 4<>"$go"
	start "$PROGRAMS/contended" 400000 8 "$go" 4>&-
	program=$PID
	start "$TRACE" -m jump --clock=coarse -p "$program" --format=json -o "$(report)" 4>&-
	within 10 grep -q attached "$BATS_TEST_TMPDIR/err"
	echo go >&4
	exec 4>&-
	wait "$program"
	wait "$PID"
	json '.clock == "coarse" and .verdicts == [] and .events.written == .events.received + .events.lost'
	json 'any(.notes[]; startswith("--clock=coarse: several threads have made marks of 1 class: no verdicts"))'
	# The program drops all that it makes: what is left over passed between threads at one moment.
	json '.events.lost > 0 or (.events.by_kind.new > 1000 and .events.by_kind.new == .events.by_kind.drop
		and .objects.exited <= .events.by_kind.new / 50)'
	"$ROOT/tests/validate-json" "$ROOT/tools/render/bscope-report-1.schema.json" "$(report)"
}

@test "with sampling, with --max-overhead, and as a COMMAND" {
	start "$PROGRAMS/steady" 2000 60 "$BATS_TEST_TMPDIR/lines"
	sleep 0.3
	trace -s 100 -p "$PID" -d 1
	adds_up
	json '.verdicts == [] and .sample == 100 and .objects.created > 100 and .objects.live <= 2'
	trace --max-overhead=20 -p "$PID" -d 2
	adds_up
	json '.verdicts == []'
	"$TRACE" -q --clock=coarse --format=json -o "$(report)" -- "$PROGRAMS/counted" 2 20000 1 >"$BATS_TEST_TMPDIR/out.9"
	adds_up
	jq -e --slurpfile r "$(report)" '([.total[]] | add) == $r[0].events.received and .results == "right"' \
		"$BATS_TEST_TMPDIR/out.9"
}

@test "a precise session after a coarse one is precise, and the other way round" {
	start "$PROGRAMS/counted" 1 20000 60
	sleep 0.3
	trace -p "$PID" -d 0.5
	adds_up
	"$TRACE" -q -m jump --format=json -o "$(report)" -p "$PID" -d 0.5
	json '.clock == "precise" and .events.lost == 0 and .events.received > 1000'
	trace -p "$PID" -d 0.5
	adds_up
	enough "$PID"
	unhurt
}

@test "usage errors" {
	for wrong in "--clock=fine" "--clock=" "--clock=coarse -m trap"; do
		# shellcheck disable=SC2086
		run "$TRACE" $wrong -p $$
		echo "$wrong: $status $output"
		[ "$status" -eq 64 ]
		[[ $output == *clock* ]]
	done
}
