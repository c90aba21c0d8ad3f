#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# symbols.bats - the names of callers in reports, from wherever they are, and whatever they are.

load common
bats_require_minimum_version 1.5.0

setup() {
	need_bpf
	cd "$BATS_TEST_TMPDIR"
	SOURCE=$ROOT/tests/programs/leaky.c
}

# trace PROGRAM [OPTION...]: two seconds of it under the preload library, as JSON and as text.
trace() {
	local program=$1
	shift
	start env LD_PRELOAD="$BUILD/libbscope-preload.so" "$program" 60
	sleep 0.5
	"$TRACE" -q -p "$PID" -d 2 --format=json -o report.json "$@" 2>messages
	"$TRACE" -q -p "$PID" -d 1 -o report.txt "$@" 2>>messages
	stop_all
	[ ! -s messages ] || { cat messages; return 1; }
}

# The line of leaky.c on which a function calls malloc.
line_of() {
	awk -v f="$1" 'index($0, f "(") && !/;/ { in_f = 1 } in_f && /malloc\(/ { print NR; exit }' "$SOURCE"
}

# The three functions that allocate, by name and line.
all_named() {
	local f
	for f in request_start cache_replace peer_remember; do
		json "any(.origins[]; .caller == \"$f at leaky.c:$(line_of $f)\")"
		grep -q "$f at leaky.c:$(line_of $f)" report.txt
	done
}

@test "callers are functions with file and line" {
	trace "$PROGRAMS/leaky-plain"
	all_named
	# Within the width that there is without a terminal.
	[ "$(awk '{ if (length($0) > n) n = length($0) } END { print n }' report.txt)" -le 100 ]
}

@test "a stripped program: nothing without its debug file, all of it below --sysroot" {
	strip -s -o stripped "$PROGRAMS/leaky-plain"
	trace ./stripped
	json 'all(.origins[]; .caller | test("^\\[stripped[+]0x[0-9a-f]+\\]$"))'
	id=$(readelf -n stripped | sed -n 's/.*Build ID: //p')
	mkdir -p "root/usr/lib/debug/.build-id/${id:0:2}"
	objcopy --only-keep-debug "$PROGRAMS/leaky-plain" "root/usr/lib/debug/.build-id/${id:0:2}/${id:2}.debug"
	trace ./stripped --sysroot=root
	all_named
	run -64 "$TRACE" --sysroot=not-there -p 1
	[[ ${lines[0]} == "bscope-trace: --sysroot=not-there: no such directory: "* ]]
	[ "${#lines[@]}" -eq 1 ]
}

@test "without debug information: symbol and offset" {
	strip -g -o symbols "$PROGRAMS/leaky-plain"
	trace ./symbols
	for f in request_start cache_replace peer_remember; do
		json "any(.origins[]; .caller | test(\"^$f[+]0x[0-9a-f]+ .symbols.$\"))"
	done
}

@test "names full of markup, quotes, newlines, escapes and bad UTF-8 are harmless" {
	# As long as the names were, in symbols, debug information and file names.
	perl -pe 's/peer_remember/\e]0;<b>\x{22}\x{22}\n\xff&\x{27}/g; s/cache_replace/<\/script>\e[2J/g;
		s/request_start/\xe2\x80\xae\\\$(id)\x00\x00\x00\x00/g; s/leaky\.c/l\e\n<&.c/g' \
		"$PROGRAMS/leaky-plain" >hostile
	chmod +x hostile
	no cmp -s hostile "$PROGRAMS/leaky-plain"
	trace ./hostile
	"$ROOT/tests/validate-json" "$ROOT/tools/render/bscope-report-1.schema.json" report.json
	# The name arrives as it is in JSON, with what no JSON can hold replaced; each on one line.
	json 'any(.origins[]; .caller | startswith("\u001b]0;<b>\"\"\n\ufffd&'"'"' at l\u001b\n<&.c:"))'
	json 'any(.origins[]; .caller | startswith("</script>\u001b[2J at "))'
	# In text nothing that a terminal could act on, and the tables have their lines.
	LC_ALL=C no grep -qP '[\x00-\x08\x0b-\x1f\x7f]|\xff|\xe2\x80\xae' report.txt
	iconv -f UTF-8 -t UTF-8 report.txt >/dev/null
	grep -qF '\x1b]0;<b>' report.txt
	grep -qF ' at l\x1b\x0a<&.c:' report.txt
	[ "$(grep -c '^By site' report.txt)" -eq 1 ]
}

@test "damaged debug information: the report comes" {
	cp "$PROGRAMS/leaky-plain" damaged
	for section in .debug_info .debug_abbrev .debug_line; do
		read -r offset size < <(readelf -SW damaged |
			sed -n "s/.* \\$section  *PROGBITS  *[0-9a-f]* \([0-9a-f]*\) \([0-9a-f]*\) .*/\1 \2/p")
		perl -e 'srand(1); print chr(int rand 256) for 1 .. $ARGV[0]' $((16#$size)) |
			dd of=damaged bs=1 seek=$((16#$offset)) conv=notrunc status=none
	done
	no cmp -s damaged "$PROGRAMS/leaky-plain"
	trace ./damaged
	for f in request_start cache_replace peer_remember; do
		json "any(.origins[]; .caller | test(\"^$f[+]0x[0-9a-f]+ .damaged.$\"))"
	done
}

# A library that takes the place of one function of libdw, in the tool itself.
in_libdw() {
	echo "#include <stdlib.h>
	${2-}
	void *dwarf_begin(int fd, int cmd) { (void)fd; (void)cmd; $1 return NULL; }" >libdw.c
	${CC:-cc} -shared -fPIC -o libdw.so libdw.c
}

@test "libdw crashes: the report comes, with the symbols, and says why" {
	in_libdw 'abort();'
	start env LD_PRELOAD="$BUILD/libbscope-preload.so" "$PROGRAMS/leaky-plain" 60
	sleep 0.5
	LD_PRELOAD=$PWD/libdw.so "$TRACE" -q -p "$PID" -d 1 --format=json -o report.json 2>messages
	[ ! -s messages ]
	json 'any(.origins[]; .caller | test("^peer_remember[+]0x[0-9a-f]+ .leaky-plain.$"))'
	json '.notes | any(test("^the debug information of leaky-plain is damaged or too large: "))'
}

@test "libdw hangs: Ctrl-C ends the search, and the report comes" {
	in_libdw 'for (;;) __asm__ volatile("");'
	start env LD_PRELOAD="$BUILD/libbscope-preload.so" "$PROGRAMS/leaky-plain" 60
	LEAKY=$PID
	: >messages
	sleep 0.5
	LD_PRELOAD=$PWD/libdw.so "$TRACE" -p "$LEAKY" -d 1 --format=json -o "$PWD/report.json" 2>messages 3>&- &
	tool=$!
	# What it says when it has waited for a second.
	for ((i = 0; i < 100; i++)); do
		grep -q 'looking up [0-9]* callers' messages && break
		sleep 0.1
	done
	grep -q '^bscope-trace: looking up [0-9]* callers$' messages
	[ ! -e report.json ]
	kill -INT "$tool"
	wait "$tool"
	json 'any(.origins[]; .caller | test("^peer_remember[+]0x[0-9a-f]+ .leaky-plain.$"))'
	json '.notes | any(test("^the search for the names of callers was stopped: "))'
	# Nobody is left behind.
	run -1 pgrep -f "$PWD/report.json"
}

# frames_stopped STATUS ARG...: the search for the names of frames of a flamegraph is stopped by
# Ctrl-C; what comes after it finds its names.
frames_stopped() {
	local expected=$1 tool status=0
	shift
	rm -f report.json o.svg o.folded p.svg
	: >messages
	LD_PRELOAD=$PWD/libdw.so "$TRACE" --preload --stacks --flame=o.svg --folded=o.folded \
		--overhead=p.svg --format=json -o report.json "$@" -- "$PROGRAMS/leaky-plain" 1 \
		2>messages 3>&- &
	tool=$!
	STARTED="$STARTED $tool"
	for what in callers frames; do
		for ((i = 0; i < 200; i++)); do
			grep -q "looking up [0-9]* $what" messages && break
			sleep 0.1
		done
		if [ $what = frames ]; then kill -USR1 "$tool"; fi
		kill -INT "$tool"
	done
	wait "$tool" || status=$?
	cat messages
	[ "$status" = "$expected" ]
	json '.sites | length > 0'
	grep -q '^bscope-trace: --flame: stopped: there is no flamegraph$' messages
	[ ! -e o.svg ] && [ ! -e o.folded ]
	grep -q '</svg>' p.svg
}

@test "libdw hangs: Ctrl-C leaves without the flamegraph, all else is as without it" {
	need_bpf
	in_libdw 'while (hangs) __asm__ volatile("");' '#include <signal.h>
		static volatile int hangs = 1;
		static void off(int sig) { (void)sig; hangs = 0; }
		__attribute__((constructor)) static void on(void) { signal(SIGUSR1, off); }'
	frames_stopped 1
	frames_stopped 2 --fail-on=live-at-exit
	grep -q '^bscope-trace: --fail-on: ' messages
}
