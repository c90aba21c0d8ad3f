#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# symbols.sh PROGRAM FILE [COUNT] - names of so many addresses of FILE, against eu-addr2line
#
# FILE has symbols and debug information.  redis-server with both, where the archive of debug
# packages cannot be reached:
#
#   apt-get source redis && make -C redis-*/src CFLAGS='-g -O2' MALLOC=libc redis-server
set -eu

program=$1 file=$2 count=${3:-100000}
command -v eu-addr2line >/dev/null || { echo "symbols: eu-addr2line is missing: install elfutils" >&2; exit 1; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

seconds() {
	start=$(date +%s%N)
	"$@" > "$dir/out" 2>/dev/null < "$dir/addresses"
	echo "$start $(date +%s%N)" | awk '{ printf "%.3f", ($2 - $1) / 1e9 }'
}

echo "$file: $(stat -L -c %s "$file") bytes"
# The first time brings the file into memory, for all of them.
for turn in 0 1 2 3; do
	"$program" "$file" "$count" "$dir/addresses" "$dir/names" > "$dir/said"
	[ "$turn" = 0 ] || head -1 "$dir/said"
	[ "$turn" = 0 ] || echo "  eu-addr2line, lines alone: $(seconds eu-addr2line -e "$file") s"
done
echo "  eu-addr2line with functions (-f): $(seconds eu-addr2line -f -e "$file") s"
echo "  eu-addr2line with inlined ones, demangled (-f -i -C): $(seconds eu-addr2line -f -i -C -e "$file") s"
sed 1d "$dir/said"
# Line by line: the same file, by its last part, and line.
eu-addr2line -e "$file" < "$dir/addresses" | paste -d ' ' "$dir/names" - | awk '
	{
		ours = $(NF - 2); sub(/.*\//, "", ours); ours = ours ":" $(NF - 1)
		theirs = $NF; sub(/.*\//, "", theirs); sub(/ .*/, "", theirs)
		split(theirs, part, ":"); theirs = part[1] ":" part[2]
		if (ours == theirs) same++
		else if (ours == "?:0" || theirs == "??:0") less++
		else { other++; if (other < 6) print "  " $0 }
	}
	END { printf "lines: the same as eu-addr2line in %d, known to one alone in %d, other in %d\n", same, less, other }'
