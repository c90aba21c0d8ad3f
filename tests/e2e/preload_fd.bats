#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# preload_fd.bats - descriptors under the preload library: nothing changes for the program, and what
# is closed twice or never is found.

load common
bats_require_minimum_version 1.5.0

P=$PROGRAMS/preload

setup() { cd "$BATS_TEST_TMPDIR" || return; }

report() {
	timeout 120 "$TRACE" -q -m "$1" --preload="$2" --format=json -o report.json -- "${@:3}" >out 3>&-
	json '.events.lost == 0 and .events.written == .events.received'
}

# in_empty OUT COMMAND...: its output, from a run in a new folder.
in_empty() {
	rm -rf empty
	mkdir empty
	(cd empty && timeout 60 "${@:2}") >"$1" 3>&-
}

@test "results and errno of every function of descriptors in the odd cases" {
	for program in fd_calls fd_calls-fortified; do
		in_empty plain "$P/$program"
		[ "$(wc -l <plain)" -gt 180 ]
		for set in fd malloc-lock-fd; do
			in_empty loaded env LD_PRELOAD="$BUILD/libbscope-preload-$set.so" "$P/$program"
			diff plain loaded
		done
	done
	# What _FORTIFY_SOURCE makes of open is among them.
	for f in __open_2 __open64_2 __openat_2 __openat64_2; do
		nm -D "$P/fd_calls-fortified" | grep -q " $f@"
	done
}

@test "files and locks before the library is relocated" {
	for bind in '' 1; do
		LD_BIND_NOW=$bind "$P/early" >plain
		grep -qx 'opened 1 closed 0 missing -1 locked 0 once 1' plain
		for set in lock fd malloc-lock-fd; do
			LD_BIND_NOW=$bind LD_PRELOAD="$BUILD/libbscope-preload-$set.so" "$P/early" >loaded
			diff plain loaded
		done
	done
}

@test "the same while it is lit; every descriptor that was made is accounted for" {
	need_bpf
	for program in fd_calls fd_calls-fortified; do
		in_empty plain "$P/$program"
		for mode in trap jump; do
			rm -rf empty
			mkdir empty
			(cd empty && timeout 60 "$TRACE" -q -m "$mode" --preload=malloc,lock,fd --format=json \
				-o ../report.json -- "$P/$program") >loaded 3>&-
			diff plain loaded
			json '.events.lost == 0 and .lock_cycles == []'
			# Of the program itself; its children leave some.
			json '.processes[0].pid as $p | [.live_at_exit[] | select(.class == "fd" and .pid == $p)] == []'
		done
		rm -rf empty
		mkdir empty
		(cd empty && timeout 60 "$TRACE" -q -m trap --preload=fd --format=json -o ../report.json -- \
			"$P/$program") >loaded 3>&-
		# Those that it closes a second time.
		json '[.verdicts[] | .verdict] | unique == ["double-drop"]'
		json '[.verdicts[] | [.since.name, .at.name, .count]] | sort == [["close", "fclose", 1],
			["close_range", "close", 1], ["closedir", "close", 1], ["closefrom", "close", 1],
			["fclose", "close", 1]]'
	done
}

@test "closed twice: found, with both callers" {
	need_bpf
	report auto fd "$P/fd_wrong" twice
	json '.verdicts | length == 1'
	json '.verdicts[0] | .verdict == "double-drop" and .class == "fd" and .count == 1
		and (.at.caller | test("^close_again at fd_wrong[.]c:[0-9]+$"))
		and (.since.caller | test("^close_first at fd_wrong[.]c:[0-9]+$"))'
	run -0 "$TRACE" -q --preload=fd -- "$P/fd_wrong" twice 3>&-
	[[ $output == *"close called from close_again at fd_wrong.c:"* ]]
	run -2 "$TRACE" -q --preload=fd --fail-on=double-drop -o report -- "$P/fd_wrong" twice 3>&-
	report auto malloc,lock,fd "$P/fd_wrong" stream
	json '[.verdicts[] | [.verdict, .since.name, .at.name]] == [["double-drop", "close", "fclose"]]'
}

@test "never closed: live at exit, with the caller" {
	need_bpf
	report auto fd "$P/fd_wrong" leak 17
	json '.verdicts == []'
	json '[.live_at_exit[] | select(.class == "fd")] | length == 1 and .[0].count == 17
		and (.[0].caller | test("^leak_one at fd_wrong[.]c:[0-9]+$")) and (.[0].site | test("runtime/preload/fd_new.c:"))'
}

@test "a program that closes all numbers is right" {
	need_bpf
	report auto fd "$P/fd_wrong" sweep
	json '.verdicts == []'
	json '.classes[] | select(.class == "fd") | .created == 30 and .dropped == 30 and .live == 0'
}

@test "descriptors that came or went unseen make no verdict" {
	need_bpf
	for mode in auto trap; do
		report "$mode" fd "$P/fd_wrong" unseen
		json '.verdicts == [] and .objects.undecided == 0'
	done
}

@test "threads that open and close the same numbers: nothing is wrong" {
	need_bpf
	report auto malloc,lock,fd "$P/fd_wrong" loop 30000
	json '.verdicts == []'
	json '.classes[] | select(.class == "fd") | .created == 120000 and .live == 0'
}
