#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# test.sh - inside a machine that run.sh boots: the static bscope-trace on counted, which knows its
# own counts (tests/programs/counted.c), and on tangled.
#
# busybox alone.  Nothing is timed: under emulation a hit costs many times what it costs elsewhere,
# so the programs make a few hundred marks per second.  Prints TAP.
set -u
trace=$PWD/bscope-trace
counted=$PWD/counted
tangled=$PWD/tangled
report=/tmp/report.json
out=/tmp/out
err=/tmp/err
log=/tmp/log
number=0
failed=0

result() { # STATUS NAME
	number=$((number + 1))
	if [ "$1" = 0 ]; then
		echo "ok $number $2"
		return
	fi
	failed=$((failed + 1))
	echo "not ok $number $2"
	for f in "$out" "$err" "$report"; do
		[ ! -s "$f" ] || head -c 3000 "$f" | sed "s|^|# ${f##*/}: |"
	done
	cat /tmp/own.json 2>/dev/null
	dmesg | tail -n 3 | sed 's/^/# kernel: /'
	sed 's/^/# clock: /' /sys/devices/system/clocksource/clocksource0/current_clocksource
}

check() { # NAME COMMAND...
	name=$1
	shift
	"$@"
	result $? "$name"
}

# "kind count" of the object NAME in the JSON of FILE, of all its lines summed up.
counts() { # NAME FILE
	tr -d ' \n' <"$2" | sed "s/\"$1\":{\([^}]*\)}/\n@\1\n/g" | sed -n 's/^@//p' |
		tr -d '"' | tr ',' '\n' |
		awk -F: '{ sum[$1] += $2 } END { for (k in sum) print k, sum[k] }' | sort
}

# The number of the member NAME; it occurs once in a report.
value() { # NAME FILE
	tr -d ' \n' <"$2" | sed -n "s/.*\"$1\":\"*\([0-9][0-9]*\)\"*[,}].*/\1/p"
}

# What was written was received or lost, and nothing was lost; the kernel says what is loaded.
adds_up() {
	! grep -q 'the kernel does not say' $report || return
	written=$(value written $report)
	received=$(value received $report)
	lost=$(value lost $report)
	[ -n "$written" ] && [ "$written" -gt 0 ] && [ "$written" = "$received" ] && [ "$lost" = 0 ] &&
		[ "$(counts by_kind $report | awk '{ n += $2 } END { print n }')" = "$received" ] && return
	echo "# written $written received $received lost $lost"
	return 1
}

# The report's hits are what counted did, for a tracer that was there from first to last.
exact() {
	counts by_kind $report >/tmp/hits
	counts total $out >/tmp/own
	[ "$(wc -l </tmp/hits)" = 13 ] && cmp -s /tmp/hits /tmp/own && return
	echo "# by kind, report and program:"
	diff /tmp/hits /tmp/own | sed 's/^/# /'
	return 1
}

# The same for one that came or went while the program worked, by the program's own log: one mark of
# each thread at each end of the traced interval may be on either side of it.
close_to_log() {
	from=$(value start_monotonic_ns $report)
	to=$((from + $(value duration_ns $report)))
	"$counted" count "$from" "$to" $log.* >/tmp/own.json || return 1
	counts by_kind $report >/tmp/hits
	tr -d ' {}\n"' </tmp/own.json | tr ',' '\n' | tr ':' ' ' | sort >/tmp/own
	[ "$(wc -l </tmp/hits)" = 13 ] && awk '
		FILENAME == "/tmp/hits" { hits[$1] = $2; all += $2; next }
		{ own[$1] = $2 }
		END {
			for (k in hits)
				apart += hits[k] > own[k] ? hits[k] - own[k] : own[k] - hits[k]
			if (apart > 2 * own["threads"] || all < 100) {
				printf "# hits %d, apart %d, threads %d\n", all, apart, own["threads"]
				exit 1
			}
		}' /tmp/hits /tmp/own && return
	diff /tmp/hits /tmp/own | sed 's/^/# /'
	return 1
}

# Where a kernel lets nobody read the memory of a process that ends, the report has a bound of what
# was not seen: what the program says that it did is within it.
bounded() {
	from=$(value start_monotonic_ns $report)
	to=$((from + $(value duration_ns $report)))
	"$counted" count "$from" "$to" $log.* >/tmp/own.json || return 1
	own=$(tr -d ' {}\n"' </tmp/own.json | tr ',' '\n' | awk -F: '$1 != "threads" { n += $2 } END { print n }')
	threads=$(value threads /tmp/own.json)
	received=$(value received $report)
	most=$(value written_at_most $report)
	echo "# received $received, made $own, at most $most"
	[ "$received" -gt 100 ] && [ "$received" -le $((own + 2 * threads)) ] && [ "$own" -le $((most + 2 * threads)) ]
}

# Exact, or within its bound.
told() {
	if tr -d ' \n' <$report | grep -q '"written":null'; then bounded; else adds_up && close_to_log; fi
}

# Results right, text as in the file, semaphore down.
unhurt() {
	[ "$(grep -c '"results": "right", "text": "same", "semaphore": 0}$' $out)" = 1 ] &&
		[ "$(grep -c . $out)" = 1 ]
}

# Results right in each of LINES processes or phases; lit still when they were printed.
right() { # LINES
	[ "$(grep -c '"results": "right"' $out)" = "$1" ] && [ "$(grep -c . $out)" = "$1" ]
}

list_of_file() {
	"$trace" --list --binary="$counted" >$out 2>$err || return 1
	for kind in new drop resize_begin resize_end move borrow borrow_mut unborrow retain release use \
		region_enter region_exit; do
		[ "$(grep -c "^$kind .*counted\.c:[0-9]" $out)" = 1 ] || { echo "# no $kind"; return 1; }
	done
}

# counted in the background: its number in $pid.
start() { # ARGUMENT-OF-COUNTED...
	rm -f "$report" "$out" "$err" $log.* /tmp/own.json
	COUNTED_LOG=$log "$counted" "$@" >$out &
	pid=$!
	sleep 0.5
}

own_hits() { # [FILE]
	counts sure "${1:-$out}" | awk '{ n += $2 } END { print n }'
}

list_of_process() {
	start 1 100 3
	"$trace" --list -p $pid >/tmp/list 2>$err
	status=$?
	kill $pid
	wait $pid
	[ "$status" = 0 ] && [ "$(grep -c 'counted\.c:[0-9]' /tmp/list)" = 13 ]
}

# Where tracing cannot work: status 1, one line that says why, the program untouched.
refused() { # TEXT
	start 2 200 2
	"$trace" -q -p $pid -d 1 --format=json -o $report 2>$err
	status=$?
	wait $pid
	echo "# status $status"
	[ "$status" = 1 ] && [ ! -s $report ] && unhurt && [ "$(wc -l <$err)" = 1 ] &&
		grep -q "^bscope-trace: .*$1" $err && [ "$(own_hits)" = 0 ]
}

from_first_to_last() { # LINES ARGUMENT-OF-COUNTED...
	lines=$1
	shift
	"$trace" -q --format=json -o $report -- "$counted" "$@" >$out 2>$err || return 1
	adds_up && exact && right "$lines"
}

# As fast as the threads can, on one CPU: the kernel changes from one to another in the middle of a
# hit.  Where the reader did not keep up there is no telling, and it is tried again.
crowded() {
	for _ in 1 2 3; do
		"$trace" -q -m trap --format=json -o $report -- "$counted" 4 0 3 >$out 2>$err || return 1
		[ "$(value lost $report)" != 0 ] || break
		echo "# lost $(value lost $report): again"
	done
	adds_up && exact && right 1
}

# Attached for a second while the program works, and let go before its end.  The machine may stand
# still for seconds when its host is busy: a program that has ended meanwhile is no answer, and the
# next one gets twice the time.
for_a_second() { # OPTION...
	for seconds in 8 16 32; do
		start 2 500 $seconds
		"$trace" -q -p $pid -d 1 "$@" --format=json -o $report 2>$err
		status=$?
		maps=$(cat "/proc/$pid/maps" 2>/dev/null)
		wait $pid
		[ -z "$maps" ] || break
		echo "# the program ended before the tool: again"
	done
	[ "$status" = 0 ] && adds_up && unhurt
}

in_the_middle() { # MODE ROUNDS
	for round in $(seq "$2"); do
		echo "# round $round"
		for_a_second -m "$1" || return 1
		close_to_log || return 1
	done
	tr -d ' \n' <$report | grep -q "\"mode\":\"$1\""
}

filtered() { # MODE
	for_a_second -m "$1" -f kind=new,drop && close_to_log || return 1
	# No breakpoint was ever seen on the others.
	! { counts by_kind $report; counts sure $out; counts unsure $out; } |
		grep -Ev '^(new|drop) | 0$' &&
		[ "$(counts by_kind $report | grep -E '^(new|drop) ' | grep -vc ' 0$')" = 2 ]
}

# Attached in the middle, and there until the last process has gone.  Again, as above, if the tool
# was not there yet during what the first line is about: until the fork, or all.
to_the_end() { # MODE LINES SECONDS fork|headless
	mode=$1
	lines=$2
	for seconds in "$3" $(($3 * 2)) $(($3 * 4)); do
		start 2 500 "$seconds" "$4"
		"$trace" -q -m "$mode" -p $pid --format=json -o $report 2>$err
		status=$?
		wait $pid
		head -n 1 $out >/tmp/first
		first=$(own_hits /tmp/first)
		[ "$first" = 0 ] || break
		echo "# the program was done before the tool was there: again"
	done
	[ "$status" = 0 ] && [ "$first" != 0 ] && told && right "$lines" &&
		tr -d ' \n' <$report | grep -q '"exited":true'
}

killed() { # MODE
	for seconds in 8 16 32; do
		start 2 500 $seconds
		"$trace" -m "$1" -p $pid >/dev/null 2>$err &
		tool=$!
		for _ in $(seq $((seconds * 10))); do
			grep -q attached $err && break
			sleep 0.1
		done
		sleep 0.5
		kill -KILL $tool
		wait $tool 2>/dev/null
		sleep 3
		kill -0 $pid 2>/dev/null
		lives=$?
		wait $pid
		[ "$(own_hits)" = 0 ] || [ $lives != 0 ] || break
		echo "# the program ended before the tool was there, or the guardian: again"
	done
	unhurt && [ "$(own_hits)" -gt 0 ]
}

# A correct program whose threads all end at once, with marks that nobody has seen: where nobody can
# read them then, nothing is concluded from what the others said.
last_marks() { # MODE
	for _ in 1 2 3; do
		"$trace" -q -m "$1" --format=json -o $report -- "$tangled" 1 >$out 2>$err || return 1
		[ "$(value received $report)" -gt 100 ] &&
			tr -d ' \n' <$report | grep -q '"verdicts":\[\]' || return 1
	done
}

# One object in four, from birth to death: all marks of some, none of the others; regions are kept.
sampled() { # MODE
	for_a_second -m "$1" -s 4 || return 1
	counts by_kind $report >/tmp/hits
	awk '
		{ hits[$1] = $2 }
		END {
			for (k in hits)
				if (k !~ /region|unborrow/ && (hits[k] > hits["new"] + 4 || hits[k] < hits["new"] - 4))
					wrong = k
			if (wrong || !hits["new"] || hits["new"] * 2 > hits["region_enter"]) {
				printf "# new %d, %s %d, region_enter %d\n", hits["new"], wrong, hits[wrong], hits["region_enter"]
				exit 1
			}
		}' /tmp/hits
}

check 'list of a file' list_of_file
check 'list of a process' list_of_process
major=$(uname -r | cut -d. -f1)
minor=$(uname -r | cut -d. -f2)
if [ $((major * 1000 + minor)) -lt 5015 ]; then
	check 'without attach cookies: refused with the reason' refused 'Linux 5\.15 or later is needed'
else
	check 'a command, counts exact' from_first_to_last 1 2 500 1
	check 'a command that forks, counts exact' from_first_to_last 3 2 500 1 fork
	check 'a command that execs, counts exact' from_first_to_last 2 2 500 2 exec
	check 'threads that come in between, counts exact' crowded
	for mode in trap jump; do
		check "$mode: attached in the middle, 3 times" in_the_middle $mode 3
		check "$mode: attached before a fork, until both have gone" to_the_end $mode 3 10 fork
		check "$mode: a dead main thread" to_the_end $mode 1 8 headless
		check "$mode: filtered sites stay no-ops" filtered $mode
		check "$mode: sampling keeps whole lives" sampled $mode
		check "$mode: killed by SIGKILL" killed $mode
		check "$mode: no verdict on a correct program that ends" last_marks $mode
	done
fi
echo "1..$number"
[ "$failed" = 0 ]
