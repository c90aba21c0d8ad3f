#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# overhead_share.sh - whether the share that --overhead states is true: against the thread CPU time
# that tests/programs/known needs for a unit of work, detached and attached, in turn.
#   BUILD: build folder (default: build); ROUNDS: rounds (default: 6); WINDOW: seconds that it is
#   attached (default: 10); ALONE: seconds that it is left alone (default: 4); JUMP, TRAP: marks per ms of
#   work in either mode (default: "100 1000 5000 28000" and "10 200"); WORK: apart or overlap, see
#   known.c (default: apart); ARGS: more for the tool, such as -F 2000
# The program runs on CPU 0 and goes on all the time, the tool on CPU 1.  Samples do not see what
# sampling itself takes, the clock of the thread does: the tool's own measure of that is taken off
# first.  Judged is the mean of what was stated against the mean of what was measured: the difference must
# be within the half-width that was stated, and that at most a tenth of the share or 0.3 points.
#   A window counts by the median of its lines of 20 ms, of which others on the machine spoil some.  Beside
# it stands how far rounds were apart (standard error of the mean): where that is more than the half-width
# the machine was not quiet enough to tell.
set -eu
build=$(cd "${BUILD:-build}" && pwd)
rounds=${ROUNDS:-6}
window=${WINDOW:-10}
alone=${ALONE:-4}
jump=${JUMP-100 1000 5000 28000}
trap_rates=${TRAP-10 200}
work=${WORK:-apart}
args=${ARGS:-}
dir=$(mktemp -d)
program='' tool=''
cleanup() {
	trap - EXIT
	for p in $tool $program; do kill "$p" 2>/dev/null || true; done
	wait 2>/dev/null || true
	rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

die() {
	echo "overhead_share: $*" >&2
	[ ! -s "$dir/tool.err" ] || cat "$dir/tool.err" >&2
	exit 1
}

begins() {
	echo "$1 $(($(wc -l <"$dir/lines") + 1))" >>"$dir/windows"
}
ends() {
	echo "$1 $(wc -l <"$dir/lines")" >>"$dir/windows"
}

# traced MODE SECONDS
traced() {
	: >"$dir/tool.err"
	# shellcheck disable=SC2086 # ARGS are several
	taskset -c 1 "$build/bscope-trace" -m "$1" $args -p "$program" --format=json -o "$dir/report" \
		--overhead="$dir/cpu.svg" 2>"$dir/tool.err" &
	tool=$!
	i=0
	until grep -q '^bscope-trace: attached' "$dir/tool.err"; do
		i=$((i + 1))
		[ $i -lt 3000 ] || die "not attached in half a minute"
		sleep 0.01
	done
	begins traced
	sleep "$2"
	ends traced
	kill -INT "$tool"
	wait "$tool" || die "bscope-trace failed"
	tool=''
	jq -r '.overhead.sampled as $s | "\($s.percent) \($s.error) \($s.samples) \($s.sampling_percent // 0) \(.overhead.cpu_percent) \(.events.written / (.duration_ns | tonumber) * 1000)"' \
		"$dir/report" >>"$dir/told"
}

left_alone() {
	sleep 0.2
	begins alone
	sleep "$alone"
	ends alone
}

show() {
	awk -v mode="$1" '
function sort(v, n,    i, j, t, gap) {
	for (gap = int(n / 2); gap; gap = int(gap / 2))
		for (i = gap + 1; i <= n; i++)
			for (j = i; j > gap && v[j] < v[j - gap]; j -= gap) {
				t = v[j]; v[j] = v[j - gap]; v[j - gap] = t
			}
}
# CPU time for a unit: the median of lines.
function cost(a, b,    i, k, v) {
	for (i = a; i < b; i++)
		v[++k] = (cpu[i + 1] - cpu[i]) / (units[i + 1] - units[i])
	sort(v, k)
	return (v[int((k + 1) / 2)] + v[int((k + 2) / 2)]) / 2
}
function mean(a, b) { return (cpu[b] - cpu[a]) / (units[b] - units[a]) }
FILENAME ~ /lines$/ { units[FNR] = $2; cpu[FNR] = $3; next }
FILENAME ~ /windows$/ { end = $2; if (FNR % 2) { begin = $2; next }
	n++; first[n] = begin; last[n] = end; next }
{ k++; percent[k] = $1; error[k] = $2; samples += $3; own[k] = $4; counted += $5; rate += $6 }
END {
	for (i = 2; i < n; i += 2) {
		m++
		before = (cost(first[i - 1], last[i - 1]) + cost(first[i + 1], last[i + 1])) / 2
		all = 100 * (1 - before / cost(first[i], last[i]))
		before = (mean(first[i - 1], last[i - 1]) + mean(first[i + 1], last[i + 1])) / 2
		by_mean += 100 * (1 - before / mean(first[i], last[i])) - own[m]
		# Of what is left without sampling.
		measured[m] = (all - own[m]) / (100 - own[m]) * 100
		sum += measured[m]; stated += percent[m]; half += error[m]; sampling += own[m]
		within += measured[m] - percent[m] <= error[m] && percent[m] - measured[m] <= error[m]
	}
	sum /= m; stated /= m; half /= m
	for (i = 1; i <= m; i++)
		square += (measured[i] - sum - percent[i] + stated) ^ 2
	spread = m > 1 ? sqrt(square / (m - 1) / m) : 0
	allowed = stated / 10 > 0.3 ? stated / 10 : 0.3
	off = stated - sum
	printf "%s, %.2f million events/s: measured %.2f %%, stated %.2f +- %.2f %% (counted %.2f %%)\n",
		mode, rate / k, sum, stated, half, counted / k
	printf "  difference %+.2f (standard error of %d rounds %.2f); half-width at most %.2f: %s; within it: %s; %d of %d rounds by themselves\n",
		off, m, spread, allowed, half <= allowed ? "met" : "MISSED",
		off <= half && -off <= half ? "met" : "MISSED", within, m
	printf "  %d samples; sampling itself took %.2f %%; measured by means, not medians: %.2f %%\n", samples,
		sampling / m, by_mean / m
}' "$dir/lines" "$dir/windows" "$dir/told"
}

# run MODE RATE
run() {
	: >"$dir/lines"
	: >"$dir/windows"
	: >"$dir/told"
	taskset -c 0 "$build/tests/programs/known" "$2" 100000 "$dir/lines" "$work" 2>"$dir/known.err" &
	program=$!
	# Once for nothing: pages that were patched stay private, and memory of buffers stays.
	traced "$1" 1
	: >"$dir/windows"
	: >"$dir/told"
	left_alone
	round=0
	while [ "$round" -lt "$rounds" ]; do
		round=$((round + 1))
		traced "$1" "$window"
		left_alone
	done
	kill "$program"
	wait "$program" 2>/dev/null || true
	program=''
	show "$1"
}

taskset -c 0,1 true 2>/dev/null || die "CPUs 0 and 1 are not both there"
for rate in $jump; do run jump "$rate"; done
for rate in $trap_rates; do run trap "$rate"; done
