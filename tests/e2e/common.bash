# SPDX-License-Identifier: GPL-2.0-only
# common.bash - what the end-to-end tests share.  Load with `load common`.

ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
# BUILD: the build folder, as make gives it, below the root unless absolute.
BUILD=${BUILD:-build}
[[ $BUILD = /* ]] || BUILD=$ROOT/$BUILD
TRACE=$BUILD/bscope-trace
FLAME=$BUILD/bscope-flame
PROGRAMS=$BUILD/tests/programs

# Skips where BPF is impossible, unless it is required.
need_bpf() {
	[ "$(id -u)" = 0 ] && [ -e /sys/kernel/btf/vmlinux ] && return 0
	if [ "${BSCOPE_REQUIRE_BPF:-0}" = 1 ]; then
		echo "BPF is required (BSCOPE_REQUIRE_BPF=1), but: uid $(id -u), $(ls /sys/kernel/btf/vmlinux 2>&1)"
		return 1
	fi
	skip "needs root and a kernel with BTF"
}

# perf, bpftrace and perf events hang for ever where a task died in the kernel's trace events; no
# test can do anything about that.
need_trace_events() {
	: "${BSCOPE_TRACE_EVENTS:=$(sh "$ROOT/tests/trace-events.sh")}"
	[ "$BSCOPE_TRACE_EVENTS" = yes ] || skip "the kernel's trace events are stuck (see dmesg): reboot"
}

# no COMMAND...: it fails.
no() { if "$@"; then return 1; fi; }

N_STARTED=0
# start PROGRAM...: runs it in the background, output to $OUT, pid in $PID.
start() {
	OUT=$BATS_TEST_TMPDIR/out.$((++N_STARTED))
	"$@" >"$OUT" 2>"$BATS_TEST_TMPDIR/err" 3>&- &
	PID=$!
	STARTED="${STARTED:-} $PID"
}

# enough PID...: the counted programs end now, and say what they did.
enough() { kill -TERM "$@" && wait "$@"; }

stop_all() {
	local p
	for p in ${STARTED:-}; do kill "$p" 2>/dev/null || true; done
	for p in ${STARTED:-}; do wait "$p" 2>/dev/null || true; done
	STARTED=
}

teardown() { stop_all; }

# json EXPR [FILE]: true if jq finds EXPR true; prints the document otherwise.
json() {
	local file=${2:-$BATS_TEST_TMPDIR/report.json}
	jq -e "$1" "$file" >/dev/null && return 0
	echo "not true: $1"
	jq -c '{verdicts: .verdicts[:3], mode, events, objects, processes, growth: .growth[:5], notes}' "$file" || cat "$file"
	return 1
}

# The events of a report add up, nothing was lost, and the marks of each kind are what the
# counted programs say they made in the traced interval (COUNTED_LOG=$LOGS/log): at most one per
# thread and end apart in all.
counts_agree() {
	interval_counts "${1:-}"
	jq -e --slurpfile r "$BATS_TEST_TMPDIR/report.json" '
		$r[0].events as $e | . as $own
		| ([del(.threads) | to_entries[] | ($e.by_kind[.key] - .value) | fabs] | add) as $diff
		| ($r[0].objects | .created + .adopted == .dropped + .vanished + .live + .exited)
		  and $e.written == $e.received + $e.lost and $e.lost == 0 and $e.received > 100
		  and $diff <= 2 * $own.threads' "$BATS_TEST_TMPDIR/own.json" >/dev/null && return 0
	echo "the program says:"
	cat "$BATS_TEST_TMPDIR/own.json"
	jq -c .events "$BATS_TEST_TMPDIR/report.json"
	return 1
}

# Writes own.json: the programs' own counts over the interval of the report.
interval_counts() {
	local from to
	from=$(jq -r .start_monotonic_ns "$BATS_TEST_TMPDIR/report.json")
	to=$((from + $(jq -r .duration_ns "$BATS_TEST_TMPDIR/report.json")))
	# shellcheck disable=SC2086
	"$PROGRAMS/counted" count "$from" "$to" ${1:-$BATS_TEST_TMPDIR/log.*} >"$BATS_TEST_TMPDIR/own.json"
	rm -f "$BATS_TEST_TMPDIR"/log.*
}

# counted ARG...: the program, with its log.
counted() { start env COUNTED_LOG="$BATS_TEST_TMPDIR/log" "$PROGRAMS/counted" "$@"; }

# The counted programs were not hurt.
unhurt() {
	jq -e -s 'all(.[]; .results == "right" and .text == "same" and .semaphore == 0)' "$BATS_TEST_TMPDIR"/out.* >/dev/null && return 0
	cat "$BATS_TEST_TMPDIR"/out.*
	return 1
}
