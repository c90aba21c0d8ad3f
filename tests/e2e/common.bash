# SPDX-License-Identifier: GPL-2.0-only
# common.bash - what the end-to-end tests share.  Load with `load common`.

ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
BUILD=$ROOT/${BUILD:-build}
TRACE=$BUILD/bscope-trace
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

# start PROGRAM...: runs it in the background, output to $OUT, pid in $PID.
start() {
	OUT=$BATS_TEST_TMPDIR/out
	"$@" >"$OUT" 2>"$BATS_TEST_TMPDIR/err" 3>&- &
	PID=$!
	STARTED="${STARTED:-} $PID"
}

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
	jq -c '{mode, events, objects, processes, growth: .growth[:5], notes}' "$file" || cat "$file"
	return 1
}

# The events of a report add up and agree with what counted programs say of themselves ($OUT):
# by kind at most one event per thread and end apart, in all at most $1 apart.
counts_agree() {
	local apart=$1 report=${2:-$BATS_TEST_TMPDIR/report.json}
	jq -e -s --argjson apart "$apart" --slurpfile r "$report" '
		$r[0].events as $e
		| (map(.sure) | reduce .[] as $s ({}; reduce ($s | to_entries[]) as $k (.; .[$k.key] += $k.value))) as $sure
		| ([$sure | to_entries[] | ($e.by_kind[.key] - .value) | fabs] | add) as $diff
		| ([$sure[]] | add) as $all
		| if $e.written == $e.received + $e.lost and $e.lost == 0 and $diff <= $apart and $all > 0
		  then true
		  else ({written: $e.written, received: $e.received, lost: $e.lost, diff: $diff, own: $sure,
			 hits: $e.by_kind} | tostring | stderr | false) end' "$OUT"
}

# The counted program was not hurt.
unhurt() {
	jq -e -s 'all(.[]; .results == "right" and .text == "same" and .semaphore == 0)' "$OUT" >/dev/null && return 0
	cat "$OUT"
	return 1
}
