#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# runtime.bats - what records in the program calls nothing outside of itself, whoever compiles it: the
# C library may be what was interrupted.

load common

# alone CC: the objects of the record path refer to each other, and to nothing else.
alone() {
	local b=$BATS_TEST_TMPDIR/build o
	make -s -C "$ROOT" B="$b" CC="$1" "$b/runtime/record.o" "$b/runtime/entries.o"
	for o in record entries; do
		# Something is defined there at all.
		nm "$b/runtime/$o.o" | grep -q ' T bscope_'
		run nm -u "$b/runtime/$o.o"
		echo "$1, $o.o: $output"
		[ "$status" -eq 0 ]
		if grep -vE '^ +U (bs_[a-z0-9_]+|_GLOBAL_OFFSET_TABLE_)$' <<<"$output"; then
			return 1
		fi
	done
}

@test "gcc: the record path refers to nothing outside" { alone gcc; }

@test "clang: the record path refers to nothing outside" { alone clang; }
