# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# common.sh - for scripts that measure: `. "$(dirname "$0")/common.sh"` first.
#   build: the build folder, from BUILD (default: build)
#   dir: a folder for files; it goes when the script ends, and what it has started is ended then
# shellcheck disable=SC2034 # theirs
build=$(cd "${BUILD:-build}" && pwd)
dir=$(mktemp -d)

cleanup() {
	trap - EXIT
	jobs -p >"$dir/jobs"
	while read -r p; do kill "$p" 2>/dev/null || true; done <"$dir/jobs"
	wait 2>/dev/null || true
	rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

die() {
	echo "$(basename "$0" .sh): $*" >&2
	[ ! -s "$dir/tool.err" ] || cat "$dir/tool.err" >&2
	exit 1
}

# Waits until a command succeeds, at most ten seconds.
until_ok() {
	i=0
	until "$@" >/dev/null 2>&1; do
		i=$((i + 1))
		[ $i -lt 1000 ] || die "not in ten seconds: $*"
		sleep 0.01
	done
}

# attach COMMAND...: runs bscope-trace by it, until the sites are lit; its process: tool
attach() {
	: >"$dir/tool.err"
	"$@" 2>"$dir/tool.err" &
	tool=$!
	until_ok grep -q '^bscope-trace: attached' "$dir/tool.err"
}

leave() {
	kill -INT "$tool"
	wait "$tool" || die "bscope-trace failed"
}

# window NAME SECONDS: adds to $dir/windows the first and the last line that a program writes to
# $dir/lines meanwhile, each as "NAME NUMBER"
window() {
	echo "$1 $(($(wc -l <"$dir/lines") + 1))" >>"$dir/windows"
	sleep "$2"
	echo "$1 $(wc -l <"$dir/lines")" >>"$dir/windows"
}

# The program ends.
end() {
	kill "$1"
	wait "$1" 2>/dev/null || true
}
