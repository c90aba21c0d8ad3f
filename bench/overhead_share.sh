#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# overhead_share.sh - whether the share that --overhead states is true: against the thread CPU time
# that tests/programs/known needs for a unit of work, detached and attached, in turn.
#   BUILD: build folder (default: build); ROUNDS: how often it is attached to measure (default: 30);
#   WINDOW: seconds that it is attached, and left alone, each time (default: 1); STATED: shares that are
#   stated (default: 3); SAMPLED: seconds for each (default: 20); JUMP, TRAP: marks per ms of work in
#   either mode (default: "140 1400 8000 250000" and "10 200"); WORK: apart or overlap, see known.c
#   (default: apart); ARGS: more for the tool where it samples, such as -F 2000
# The program runs on CPU 0 and goes on all the time, the tool on CPU 1.  What is measured is measured
# without sampling, whose ticks take time of the thread that no sample sees: the tool is attached
# WINDOW seconds without --overhead, between two windows in which the program is left alone.  How fast
# the processor is in each is known by work without marks that the program does besides.  All CPU
# time of a window counts, and of the rounds the median, since others on the machine spoil some.
#   Each stated share must be within its own half-width of that, and the half-width at most a tenth of
# the share or 0.3 points.  Beside what was measured stands how sure it is (1.96 standard errors of
# a median): where that is more than the half-width the machine was not quiet enough to tell.
set -eu
# shellcheck source=bench/common.sh
. "$(dirname "$0")/common.sh"
rounds=${ROUNDS:-30}
seconds=${WINDOW:-1}
stated=${STATED:-3}
sampled=${SAMPLED:-20}
jump=${JUMP-140 1400 8000 250000}
trap_rates=${TRAP-10 200}
work=${WORK:-apart}
args=${ARGS:-}

# traced MODE SECONDS OPTIONS...
traced() {
	mode=$1 long=$2
	shift 2
	attach taskset -c 1 "$build/bscope-trace" -m "$mode" -p "$program" --format=json -o "$dir/report" "$@"
	window traced "$long"
	leave
}

left_alone() {
	sleep 0.2
	window alone "$seconds"
}

show() {
	awk -v mode="$1" '
function sort(v, n,    i, j, t) {
	for (i = 2; i <= n; i++)
		for (j = i; j > 1 && v[j] < v[j - 1]; j--) {
			t = v[j]; v[j] = v[j - 1]; v[j - 1] = t
		}
}
# CPU time for a unit in window i, and that for work without marks, the same for each line.
function marked(i) { return (cpu[last[i]] - cpu[first[i]]) / (units[last[i]] - units[first[i]]) }
function pure(i) { return (pure_ns[last[i]] - pure_ns[first[i]]) / (last[i] - first[i]) }
# Of all the CPU time in window i, so much would not have been needed.
function cost(i,    would, all) {
	would = (marked(i - 1) / pure(i - 1) + marked(i + 1) / pure(i + 1)) / 2 * pure(i)
	all = cpu[last[i]] + pure_ns[last[i]] - cpu[first[i]] - pure_ns[first[i]]
	return (marked(i) - would) * (units[last[i]] - units[first[i]]) / all
}
FILENAME ~ /lines$/ { units[FNR] = $1; cpu[FNR] = $2; pure_ns[FNR] = $3; next }
FILENAME ~ /windows$/ { if (FNR % 2) { begin = $2; next }
	n++; first[n] = begin; last[n] = $2; next }
FILENAME ~ /rates$/ { rate += $1; rates++; next }
{ k++; percent[k] = $1; error[k] = $2; samples += $3; counted += $4 }
END {
	for (i = 2; i < n; i += 2) {
		m++
		share[m] = 100 * cost(i)
		sum += share[m]; square += share[m] ^ 2
	}
	sort(share, m)
	measured = (share[int((m + 1) / 2)] + share[int((m + 2) / 2)]) / 2
	# From the middle half, which is 1.349 standard deviations of a normal distribution wide.
	sure = (share[int((3 * m + 3) / 4)] - share[int((m + 4) / 4)]) / 1.349
	sure *= 1.96 * sqrt(3.14159265 / 2 / m)
	printf "%s, %.2f million events/s: measured %.2f +- %.2f %% (%d rounds, their mean %.2f), counted %.2f %%\n",
		mode, rate / rates, measured, sure, m, sum / m, counted / k
	for (i = 1; i <= k; i++) {
		allowed = percent[i] / 10 > 0.3 ? percent[i] / 10 : 0.3
		off = percent[i] - measured
		printf "  stated %.2f +- %.2f %%: half-width at most %.2f: %s; %+.2f off: %s\n", percent[i],
			error[i], allowed, error[i] <= allowed ? "met" : "MISSED", off,
			off <= error[i] && -off <= error[i] ? "met" : "MISSED"
	}
	printf "  %d samples\n", samples
}' "$dir/lines" "$dir/windows" "$dir/rates" "$dir/told"
}

# Of a report.
rate_of='.events.written / (.duration_ns | tonumber) * 1000'
# shellcheck disable=SC2016 # jq's
share_of='.overhead.sampled as $s | "\($s.percent) \($s.error) \($s.samples) \(.overhead.cpu_percent)"'

# run MODE RATE
run() {
	for f in lines windows rates told; do : >"$dir/$f"; done
	taskset -c 0 "$build/tests/programs/known" "$2" 100000 "$dir/lines" "$work" 2>"$dir/known.err" &
	program=$!
	# Once for nothing: pages that were patched stay private, and memory of buffers stays.
	traced "$1" 1
	: >"$dir/windows"
	left_alone
	round=0
	while [ "$round" -lt "$rounds" ]; do
		round=$((round + 1))
		traced "$1" "$seconds"
		jq "$rate_of" "$dir/report" >>"$dir/rates"
		left_alone
	done
	cp "$dir/windows" "$dir/measured"
	round=0
	while [ "$round" -lt "$stated" ]; do
		round=$((round + 1))
		# shellcheck disable=SC2086 # ARGS are several
		traced "$1" "$sampled" --overhead="$dir/cpu.svg" $args
		jq -r "$share_of" "$dir/report" >>"$dir/told"
	done
	mv "$dir/measured" "$dir/windows"
	end "$program"
	show "$1"
}

taskset -c 0,1 true 2>/dev/null || die "CPUs 0 and 1 are not both there"
for rate in $jump; do run jump "$rate"; done
for rate in $trap_rates; do run trap "$rate"; done
