#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# trap.bats - trap mode on programs that know their own counts.

load common
setup() { need_bpf; }

report() { echo "$BATS_TEST_TMPDIR/report.json"; }

@test "attach in the middle, let go before the end, 20 times: counts exact, program unhurt" {
	for round in $(seq 20); do
		counted 4 20000 60
		sleep 0.4
		"$TRACE" -q -m trap -p "$PID" -d 0.8 --format=json -o "$(report)"
		enough "$PID"
		counts_agree || { echo "round $round"; false; }
		unhurt
		json '.mode == "trap" and (.events.received > 20000)'
	done
}

@test "at a rate that trap mode cannot take, losses are exact" {
	counted 4 0 60
	sleep 0.3
	# A small buffer and a tool that sleeps most of the time: it must lose.
	"$TRACE" -q -m trap -p "$PID" -d 1.5 --buffer=64K --format=json -o "$(report)"
	enough "$PID"
	unhurt
	json '.events.lost > 0'
	json '.events.written == .events.received + .events.lost'
	json '.events.lost == ([.events.lost_by_reason[]] | add) and .events.lost_by_reason.unaccounted == 0'
	json '([.events.by_kind[]] | add) == .events.received'
	# What was written is what the program made in the interval, one per thread and end apart.
	interval_counts
	cat "$BATS_TEST_TMPDIR/own.json"
	jq -e --slurpfile r "$(report)" '
		.threads as $t | ([del(.threads)[]] | add) - $r[0].events.written | fabs <= 2 * $t' "$BATS_TEST_TMPDIR/own.json"
}

@test "the hits by site are the marks by kind" {
	counted 2 5000 60
	sleep 0.3
	"$TRACE" -q -m trap -p "$PID" -d 0.5 --format=json -o "$(report)"
	json '([.sites[].hits] | add) == .events.received'
	json '.sites | length == 13 and all(.[]; .lit and .class == "thing" and (.file | endswith("counted.c")) and .function == "site_" + .kind)'
}

@test "a dead main thread: counts exact" {
	counted 4 10000 60 headless
	sleep 0.4
	"$TRACE" -q -m trap -p "$PID" -d 0.8 --format=json -o "$(report)"
	enough "$PID"
	counts_agree
	unhurt
}

@test "several processes in one run: counts exact, others are not counted" {
	counted 2 10000 60
	one=$PID
	counted 2 10000 60
	two=$PID
	counted 2 10000 60
	sleep 0.5
	"$TRACE" -q -m trap -p "$one,$two" -d 1 --format=json -o "$(report)"
	enough "$one" "$two" "$PID"
	counts_agree "$BATS_TEST_TMPDIR/log.$one $BATS_TEST_TMPDIR/log.$two"
	unhurt
	json '.processes | length == 2'
	json '.notes | any(test("1 other process has the same files mapped"))'
}

@test "fork while attached: the child's marks are exact too" {
	counted 2 5000 6 fork
	sleep 0.2
	"$TRACE" -q -m trap -p "$PID" --format=json -o "$(report)"
	wait "$PID" || true
	# Attached until both have ended: what was sure is what was hit, but for the attach itself.
	counts_agree
	json '.processes | length == 2 and all(.[]; .exited)'
	jq -e -s 'length == 3 and all(.[]; .results == "right")' "$OUT"
}

@test "exec while attached: counts exact over both lives" {
	counted 2 5000 6 exec
	sleep 0.2
	"$TRACE" -q -m trap -p "$PID" --format=json -o "$(report)"
	wait "$PID" || true
	counts_agree
	jq -e -s 'length == 2' "$OUT"
}

@test "-- COMMAND: every mark from the first to the last" {
	OUT=$BATS_TEST_TMPDIR/out
	"$TRACE" -q -m trap --format=json -o "$(report)" -- "$PROGRAMS/counted" 4 5000 1 >"$OUT"
	jq -e -s --slurpfile r "$(report)" '.[0].total == $r[0].events.by_kind' "$OUT"
	json '.events.lost == 0 and .events.written == .events.received'
	json '.processes | length == 1 and .[0].exited and .[0].comm == "counted"'
}

@test "sites that the filter leaves out stay no-ops: no hits, bytes unchanged while attached" {
	counted 2 10000 60
	sleep 0.3
	"$TRACE" -q -m trap -p "$PID" -d 1 -f kind=new,drop --format=json -o "$(report)" &
	tool=$!
	sleep 0.7
	# The bytes of every probe in the live process, by the addresses of readelf and /proc.
	base=$(awk -v exe="$PROGRAMS/counted" '$6 == exe { split($1, a, "-"); print a[1]; exit }' "/proc/$PID/maps")
	readelf -nW "$PROGRAMS/counted" | awk '/Name:/ { name = $2 } /Location:/ { sub(",", "", $2); print name, $2 }' |
		grep -Ev '^(batch|buffer|stack) ' |
		sort -u >"$BATS_TEST_TMPDIR/probes"
	[ "$(wc -l <"$BATS_TEST_TMPDIR/probes")" -eq 13 ]
	while read -r name at; do
		byte=$(dd if="/proc/$PID/mem" bs=1 count=1 skip=$((0x$base + at)) status=none | od -An -tx1 | tr -d ' ')
		echo "$name $byte"
		case $name in
		new | drop) [ "$byte" = cc ] ;;
		*) [ "$byte" = 90 ] ;;
		esac
	done <"$BATS_TEST_TMPDIR/probes"
	wait "$tool"
	enough "$PID"
	unhurt
	json '.events.by_kind | to_entries | all(.[]; (.key == "new" or .key == "drop") == (.value > 0))'
	json '.sites | all(.[]; .lit == (.kind == "new" or .kind == "drop")) and all(.[]; .lit or .hits == 0)'
	json 'any(.notes[]; test("^[0-9]+ of [0-9]+ sites were left as no-ops by -f"))'
	jq -e -s '.[0] | all(.sure, .unsure; to_entries | all(.[]; .key == "new" or .key == "drop" or .value == 0))' "$OUT"
}

@test "killed by SIGKILL: the kernel takes the breakpoints away, the program goes on" {
	counted 2 10000 60
	sleep 0.3
	"$TRACE" -q -m trap -p "$PID" &
	tool=$!
	sleep 0.7
	kill -KILL "$tool"
	sleep 0.5
	enough "$PID"
	unhurt
	jq -e -s '[.[0].sure[]] | add > 0' "$OUT"
}

@test "a child whose fork did not fit into the buffer is followed to its end" {
	"$TRACE" -q -m trap --buffer=64K --format=json -o "$(report)" -- "$PROGRAMS/orphan"
	json '.events.written == 5100 and .events.lost > 0 and .events.written == .events.received + .events.lost'
	json '.processes | length == 2 and all(.[]; .exited)'
}

@test "the tool asleep, the ring full until the process has gone: its end is known, every loss counted" {
	counted 4 0 2
	"$TRACE" -q -m trap --buffer=256K -p "$PID" --format=json -o "$(report)" &
	local tool=$!
	sleep 1
	kill -STOP "$tool"
	wait "$PID" || true
	kill -CONT "$tool"
	wait "$tool"
	json '.events.written == .events.received + .events.lost and .events.lost_by_reason.ring_full > 0
		and .events.lost_by_reason.unaccounted == 0 and .notes == []'
}

@test "Ctrl-C prints the report" {
	counted 2 5000 60
	sleep 0.3
	"$TRACE" -q -m trap -p "$PID" --format=json -o "$(report)" &
	tool=$!
	sleep 0.8
	kill -INT "$tool"
	wait "$tool"
	json '.events.written == .events.received and .events.written > 0 and .processes[0].exited == false'
}

@test "the process ends while attached: the report comes by itself" {
	counted 2 5000 1
	sleep 0.3
	"$TRACE" -q -m trap -p "$PID" --format=json -o "$(report)"
	json '.processes[0].exited'
	counts_agree
}

@test "--older-than lists what is old enough, and no more of it" {
	need_bpf
	start "$PROGRAMS/leaky" 60
	"$TRACE" -q -m trap -p "$PID" -d 3 --older-than=1.5 --format=json >"$BATS_TEST_TMPDIR/report.json"
	# Requests live for a third of a second; half of the peers are younger.
	json '([.origins[].class] | contains(["peer", "request"]))
		and ([.older_than.origins[].class] | contains(["peer"]) and (contains(["request"]) | not))
		and (([.origins[], .older_than.origins[] | select(.class == "peer") | .live]) as [$all, $old]
			| $old > 0.2 * $all and $old < 0.8 * $all)'
}
