#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# unheard.bats - records of processes that come, go and execute do not fit into the ring: nothing is
# concluded that they could explain.

load common

setup() { need_bpf; }

# unheard WHAT: by traps, so that nothing but those records is lost.
unheard() {
	"$TRACE" -q -m trap --buffer=64K --format=json -o "$BATS_TEST_TMPDIR/report.json" \
		-- "$PROGRAMS/unheard" "$1"
	json '.events.lost == 0 and (.notes | any(contains("of forks, execs or exits were lost")))'
	json '.verdicts == [] and all(.processes[]; .exited)'
	json '.objects | .created + .adopted == .dropped + .vanished + .live + .exited'
}

@test "a program executed unheard is not taken for the one before" {
	unheard exec
	json '.events.received == 4'
}

# Its buffers are where they were in the one before.
@test "a program that was lit by jumps and executed another one unheard is lit again" {
	setarch -R "$TRACE" -q --buffer=64K --format=json -o "$BATS_TEST_TMPDIR/report.json" \
		-- "$PROGRAMS/unheard" again
	json '.mode == "jump" and .verdicts == [] and (.notes | any(contains("execs or exits were lost")))'
	json 'any(.classes[]; .class == "again" and .created > 100)'
}

@test "nor a vfork child that nobody heard of for a process of its own" {
	unheard vfork
	json '.events.received == 4 and .objects.created == 2 and .objects.dropped == 2'
}

@test "nor what it has executed unheard for its parent" {
	unheard spawn
	json '.events.received == 4 and .objects.created == 2 and .objects.dropped == 2'
}

@test "objects of a process that ended unheard are alive no more" {
	unheard exit
	json '.objects.live == 0 and .objects.exited == 100 and ([.live_at_exit[].count] | add) == 100'
}

@test "a destructor that the end of its process cuts off has done nothing wrong" {
	need_bpf
	for how in middle middle middle middle middle handler exec; do
		"$TRACE" -q -m trap --format=json -o "$BATS_TEST_TMPDIR/report.json" -- "$PROGRAMS/cut_off" $how
		json '.events.received == 6 and .verdicts == [] and .objects.undecided == 2'
	done
	# What is blocked, and a handler that has returned, are no excuse.
	for how in end blocked handled; do
		"$TRACE" -q -m trap --format=json -o "$BATS_TEST_TMPDIR/report.json" -- "$PROGRAMS/cut_off" $how
		json '[.verdicts[].verdict] | sort == ["borrow-outlives-owner", "leak"]'
	done
}
