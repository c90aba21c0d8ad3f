#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# overhead.sh - what --max-overhead holds tracking to, measured without the tool's own numbers: the
# thread CPU time that tests/programs/steady needs for a unit of work, attached and detached.
#   BUILD: build folder (default: build); ROUNDS: rounds (default: 15); WINDOW: seconds of each window
#   (default: 4); RATES: marks per ms of work (default: "2000 20000"); ARGS: how the tool is asked
#   (default: --max-overhead=1); LIMIT: at most so many percent (default: 1.2)
# The program runs on CPU 0 and goes on all the time, the tool on CPU 1.  It is left alone for a
# window, then traced for one, in turn: each traced one is compared with those before and after it,
# since the machine's speed changes, by more than what is to be seen here, but seldom so fast.  The
# median of the rounds is what counts; its 95 % interval is that of order statistics.
#   A traced window begins when the sites have been lit and ends when the tool is told to leave: the
# first periods, in which the tool does not know yet what the program does, are in it.  Printed beside
# it is the share without the first second.
set -eu
# shellcheck source=bench/common.sh
. "$(dirname "$0")/common.sh"
rounds=${ROUNDS:-15}
seconds=${WINDOW:-4}
rates=${RATES:-2000 20000}
args=${ARGS:---max-overhead=1}
limit=${LIMIT:-1.2}
traced() {
	# shellcheck disable=SC2086 # ARGS are several
	attach taskset -c 1 "$build/bscope-trace" $args -p "$program" --format=json -o "$dir/report"
	window traced "$seconds"
	leave
	jq -r '"\(.overhead.cpu_percent) \(.events.received) \(.events.lost) \(.sample)"' \
		"$dir/report" >>"$dir/told"
	jq -r '.notes[] | select(startswith("--max-overhead"))' "$dir/report" >"$dir/note"
}

left_alone() {
	sleep 0.2
	window alone "$seconds"
}

# of RATE: "met" or "MISSED" at the end of what is printed
show() {
	awk -v rate="$1" -v limit="$limit" -v args="$args" '
function sort(v, n,    i, j, t) {
	for (i = 2; i <= n; i++)
		for (j = i; j > 1 && v[j] < v[j - 1]; j--) { t = v[j]; v[j] = v[j - 1]; v[j - 1] = t }
}
function cost(a, b) { return (cpu[b] - cpu[a]) / (units[b] - units[a]) }
# How many of n rounds may lie beyond either end of the interval: binomial, 2.5 % at most.
function beyond(n,    k, p, sum) {
	p = 0.5 ^ n
	for (k = 0; (sum += p) <= 0.025; k++)
		p = p * (n - k) / (k + 1)
	return k
}
function line(name, v, n, judge,    i, k, sum) {
	sort(v, n)
	k = beyond(n)
	for (i = 1; i <= n; i++)
		sum += v[i]
	median = (v[int((n + 1) / 2)] + v[int((n + 2) / 2)]) / 2
	printf "  %-26s median %5.2f %% (95 %% interval %.2f to %.2f, mean %.2f, %d rounds)", name,
		median, v[k ? k : 1], v[n + 1 - (k ? k : 1)], sum / n, n
	if (judge)
		printf "  at most %.2f %%: %s", limit, median <= limit ? "met" : "MISSED"
	printf "\n"
}
FILENAME ~ /lines$/ { units[FNR] = $2; cpu[FNR] = $3; ns[FNR] = $1; next }
FILENAME ~ /windows$/ { end = $2; if (FNR % 2) { begin = $2; next }
	n++; first[n] = begin; last[n] = end; what[n] = $1; next }
{ told[++ntold] = $1; received += $2; lost += $3; mean = $4 }
END {
	for (i = 2; i < n; i += 2) {
		alone = (cost(first[i - 1], last[i - 1]) + cost(first[i + 1], last[i + 1])) / 2
		all[++m] = 100 * (cost(first[i], last[i]) / alone - 1)
		if (last[i] > first[i] + 30)
			later[++nlater] = 100 * (cost(first[i] + 20, last[i]) / alone - 1)
		# What the noise is: the two windows in which nobody traces.
		noise[m] = 100 * (cost(first[i + 1], last[i + 1]) / cost(first[i - 1], last[i - 1]) - 1)
		ns_per_unit += alone / m - ns_per_unit / m
	}
	printf "%s, %.1f million marks per second of CPU time\n", args, 1e4 / ns_per_unit
	line("share of its CPU time", all, m, 1)
	if (nlater)
		line("without the first second", later, nlater, 0)
	line("detached / detached - 1", noise, m, 0)
	line("the tool\047s own number", told, ntold, 0)
	printf "  %d events received, %d lost; one object in %.0f followed at the end of the last round\n",
		received, lost, mean
}' "$dir/lines" "$dir/windows" "$dir/told"
	sed 's/^/  /' "$dir/note"
}

taskset -c 0,1 true 2>/dev/null || die "CPUs 0 and 1 are not both there"
for rate in $rates; do
	: >"$dir/lines"
	: >"$dir/windows"
	: >"$dir/told"
	: >"$dir/note"
	taskset -c 0 "$build/tests/programs/steady" "$rate" 100000 "$dir/lines" 2>"$dir/steady.err" &
	program=$!
	# Once for nothing: pages that were patched stay private, and memory of buffers stays.
	traced
	: >"$dir/windows"
	: >"$dir/told"
	left_alone
	round=0
	while [ "$round" -lt "$rounds" ]; do
		round=$((round + 1))
		traced
		left_alone
	done
	end "$program"
	show "$rate"
done
