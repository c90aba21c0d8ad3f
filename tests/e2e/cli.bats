#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# cli.bats - bad input: a one-line message that says what to do, the right status, the target
# untouched.

load common

# fails STATUS PATTERN COMMAND...: the exit status, one line on standard error that matches,
# nothing on standard output.
fails() {
	local want=$1 pattern=$2 status=0
	shift 2
	"$@" >"$BATS_TEST_TMPDIR/stdout" 2>"$BATS_TEST_TMPDIR/stderr" || status=$?
	echo "status $status: $(cat "$BATS_TEST_TMPDIR/stderr")"
	[ "$status" = "$want" ]
	grep -Eq -- "$pattern" "$BATS_TEST_TMPDIR/stderr"
	[ "$(wc -l <"$BATS_TEST_TMPDIR/stderr")" = 1 ]
	grep -q '^bscope-trace: ' "$BATS_TEST_TMPDIR/stderr"
	[ ! -s "$BATS_TEST_TMPDIR/stdout" ]
}

@test "nothing to do, numbers that are none, modes that are not there: status 64" {
	fails 64 'use -p PID or -- COMMAND' "$TRACE"
	fails 64 'not a process id' "$TRACE" -p abc
	fails 64 'not a process id' "$TRACE" -p -1
	fails 64 'not a process id' "$TRACE" -p 0
	fails 64 'not a process id' "$TRACE" -p 99999999999999999999
	fails 64 'empty pid' "$TRACE" -p 1,,2
	fails 64 'not a duration' "$TRACE" -p 1 -d 0
	fails 64 'not a duration' "$TRACE" -p 1 -d 5x
	fails 64 'not a duration' "$TRACE" -p 1 -d nan
	fails 64 'not a duration' "$TRACE" -p 1 -d -1
	fails 64 'not an age' "$TRACE" -p 1 --older-than=soon
	fails 64 'not a size' "$TRACE" -p 1 --buffer=12Q
	fails 64 'not in version' "$TRACE" -p 1 -m self
	fails 64 'no such mode' "$TRACE" -p 1 -m turbo
	fails 64 'no such format' "$TRACE" -p 1 --format=xml
	fails 64 'socks: no such functions: use malloc, lock, fd' "$TRACE" --preload=socks -- true
	fails 64 'an empty name: use malloc, lock, fd' "$TRACE" --preload=malloc, -- true
}

@test "filters that cannot match say which words there are" {
	fails 64 'kind.*class.*file.*name' "$TRACE" -p 1 -f colour=red
	fails 64 'resize_begin' "$TRACE" -p 1 -f kind=birth
	fails 64 '-f' "$TRACE" -p 1 -f kind=
	fails 64 '-f' "$TRACE" -p 1 -f ''
}

@test "--fail-on: names that are none say which there are: status 64" {
	fails 64 'fail-on: leaks: no such verdict: use double-drop, .*, leak, lock-cycle, live-at-exit or any' "$TRACE" -p 1 --fail-on=leaks
	fails 64 'no such verdict' "$TRACE" -p 1 --fail-on=Leak
	fails 64 'no such verdict' "$TRACE" -p 1 --fail-on=double_drop
	fails 64 'no such verdict' "$TRACE" -p 1 --fail-on='leak, double-drop'
	fails 64 'an empty name' "$TRACE" -p 1 --fail-on=
	fails 64 'an empty name' "$TRACE" -p 1 --fail-on=leak,
	fails 64 'an empty name' "$TRACE" -p 1 --fail-on=,leak
	fails 64 'no such verdict' "$TRACE" -p 1 --fail-on=any --fail-on=all
	# What help says is what is taken.
	run "$TRACE" --help
	for v in double-drop use-after-drop use-after-move drop-while-borrowed conflicting-borrow \
		unbalanced-count borrow-outlives-owner leak lock-cycle live-at-exit any; do
		[[ "$output" == *"$v"* ]]
		fails 64 'nothing to trace' "$TRACE" --fail-on="$v"
	done
}

@test "impossible option pairs fail before anything needs root: status 64" {
	fails 64 '-p and COMMAND' "$TRACE" -p 1 -- true
	fails 64 'LD_PRELOAD' "$TRACE" --preload -p 1
	fails 64 'which program' "$TRACE" --preload
	fails 64 '--list' "$TRACE" --binary=/bin/true -d 1
	fails 64 'exclude' "$TRACE" -l --binary=/bin/true -p 1
	fails 64 'of what' "$TRACE" -l
	fails 64 'do not go with' "$TRACE" -l -p 1 -d 3
	fails 64 'do not go with' "$TRACE" -l -p 1 --fail-on=any
	fails 64 'one process' "$TRACE" -l -p 1,2
	fails 64 'exclude' "$TRACE" -p 1 -q -v
	fails 64 'does not run' "$TRACE" -l -- true
}

@test "an unknown option: status 64, help names the options" {
	run "$TRACE" --no-such-option
	[ "$status" = 64 ]
	run "$TRACE" --help
	[ "$status" = 0 ]
	for o in --pid --preload --mode --duration --filter --list --binary --older-than --format --output --fail-on --quiet --verbose; do
		[[ "$output" == *"$o"* ]]
	done
	run "$TRACE" --version
	[ "$status" = 0 ]
	[[ "$output" == "bscope-trace "[0-9]* ]]
}

@test "every option of --help is in the manual" {
	"$TRACE" --help | grep -oE -- '--[a-z-]+' | sort -u | grep -vx -e '--' >"$BATS_TEST_TMPDIR/options"
	mandoc -T ascii "$ROOT/tools/bscope-trace/bscope-trace.1" | col -b >"$BATS_TEST_TMPDIR/manual"
	while read -r o; do
		grep -q -- "$o" "$BATS_TEST_TMPDIR/manual" || { echo "not in the manual: $o"; false; }
	done <"$BATS_TEST_TMPDIR/options"
}

@test "no such process" {
	need_bpf
	sleep 0 &
	gone=$!
	wait "$gone"
	fails 1 "pid $gone: no such process" "$TRACE" -p "$gone"
	fails 1 "pid $gone: no such process" "$TRACE" -l -p "$gone"
}

@test "a process without sites; a kernel thread; a zombie" {
	need_bpf
	start sleep 60
	fails 1 "pid $PID: no sites in .*sleep.*--preload" "$TRACE" -p "$PID" -d 1
	kill -0 "$PID"
	fails 1 'no sites' "$TRACE" -l -p "$PID"
	fails 1 'kernel thread' "$TRACE" -p 2
	perl -e 'if (my $p = fork) { print "$p\n"; $| = 1; print ""; sleep 60 } else { exit 0 }' >"$BATS_TEST_TMPDIR/zombie" &
	STARTED="$STARTED $!"
	perl -e 'select undef, undef, undef, 0.5'
	zombie=$(cat "$BATS_TEST_TMPDIR/zombie" || true)
	fails 1 'zombie' "$TRACE" -p "$zombie"
}

@test "one process without sites among several is named, whichever comes first" {
	need_bpf
	start sleep 60
	without=$PID
	start "$PROGRAMS/counted" 1 100 60
	with=$PID
	start "$PROGRAMS/counted" 1 100 60
	fails 1 "pid $without: no sites in .*sleep" "$TRACE" -q -p "$without,$with" -d 0.3
	fails 1 "pid $without: no sites in .*sleep" "$TRACE" -q -p "$with,$without" -d 0.3
	# A file that two processes share is in both.
	"$TRACE" -q -p "$with,$PID" -d 0.3 --format=json >"$BATS_TEST_TMPDIR/report.json"
	json '.processes | length == 2'
}

@test "closed standard streams: no message gets into the report" {
	need_bpf
	start "$PROGRAMS/counted" 1 100 60
	"$TRACE" -v -p "$PID" -d 0.3 --format=json -o "$BATS_TEST_TMPDIR/report.json" <&- >&- 2>&-
	json '.events.received > 0'
	status=0
	"$TRACE" -q -p "$PID" -d 0.3 2>"$BATS_TEST_TMPDIR/stderr" >&- || status=$?
	cat "$BATS_TEST_TMPDIR/stderr"
	[ "$status" = 1 ]
	grep -q 'cannot write the report to standard output: Bad file descriptor' "$BATS_TEST_TMPDIR/stderr"
}

@test "what was typed cannot write escape sequences to the terminal" {
	for option in -p -d --format= -m --buffer= --fail-on=; do
		"$TRACE" "$option"$'\e[2J\nx' 2>"$BATS_TEST_TMPDIR/stderr" || [ "$?" = 64 ]
		cat -v "$BATS_TEST_TMPDIR/stderr"
		[ "$(wc -l <"$BATS_TEST_TMPDIR/stderr")" = 1 ]
		if grep -q $'\e' "$BATS_TEST_TMPDIR/stderr"; then return 1; fi
	done
}

@test "a COMMAND that is a script: its interpreter is traced from the start" {
	need_bpf
	printf '#! %s 1\n' "$PROGRAMS/counted" >"$BATS_TEST_TMPDIR/1"
	# The script's own path comes as a rate: not a number, and counted says so after no mark.
	printf '#!/bin/sh\nexec %s 1 1000 0.5\n' "$PROGRAMS/counted" >"$BATS_TEST_TMPDIR/late"
	chmod +x "$BATS_TEST_TMPDIR/1" "$BATS_TEST_TMPDIR/late"
	"$TRACE" -q --format=json -o "$BATS_TEST_TMPDIR/report.json" -- "$BATS_TEST_TMPDIR/1" 2>/dev/null
	json '(.sites | length > 10) and all(.notes[]; test("already ran") | not)'
	# What another program executes is not known beforehand: that is said.
	"$TRACE" -q --format=json -o "$BATS_TEST_TMPDIR/report.json" -- "$BATS_TEST_TMPDIR/late"
	json '.events.received > 100'
	json 'any(.notes[]; test("counted was noticed when it already ran, 0\\.[0-9]+ s after"))'
}

@test "a process of another architecture" {
	need_bpf
	# pause(2) for ever, 32 bits; no C library needed
	printf '.globl _start\n_start: mov $29,%%eax\nint $0x80\njmp _start\n' | as --32 -o "$BATS_TEST_TMPDIR/o.o" -
	ld -m elf_i386 -o "$BATS_TEST_TMPDIR/old" "$BATS_TEST_TMPDIR/o.o"
	# Some kernels run none (ia32_emulation=off): then there is no such process to be refused.
	printf '.globl _start\n_start: mov $1,%%eax\nxor %%ebx,%%ebx\nint $0x80\n' | as --32 -o "$BATS_TEST_TMPDIR/o.o" -
	ld -m elf_i386 -o "$BATS_TEST_TMPDIR/exits" "$BATS_TEST_TMPDIR/o.o"
	if "$BATS_TEST_TMPDIR/exits" 2>"$BATS_TEST_TMPDIR/err"; then
		start "$BATS_TEST_TMPDIR/old"
		sleep 0.2
		fails 1 "pid $PID: .*(32-bit|i386|x86-32)" "$TRACE" -p "$PID" -d 1
		kill -0 "$PID"
	else
		grep -q 'Exec format error' "$BATS_TEST_TMPDIR/err"
	fi
	fails 1 '32-bit|i386' "$TRACE" -l --binary="$BATS_TEST_TMPDIR/old"
}

@test "missing capability: says which" {
	need_bpf
	start "$PROGRAMS/counted" 1 1000 3
	sleep 0.3
	cp "$TRACE" "$BATS_TEST_TMPDIR/tool"
	chmod 755 "$BATS_TEST_TMPDIR" "$BATS_TEST_TMPDIR/tool"
	dir=$(mktemp -d)
	chmod 755 "$dir"
	cp "$TRACE" "$dir/tool"
	fails 1 'CAP_|root' setpriv --reuid=65534 --regid=65534 --clear-groups "$dir/tool" -p "$PID" -d 1
	fails 1 'CAP_BPF' setpriv --bounding-set=-bpf,-sys_admin "$dir/tool" -p "$PID" -d 1
	fails 1 'CAP_' setpriv --bounding-set=-perfmon,-sys_admin "$dir/tool" -p "$PID" -d 1
	rm -r "$dir"
	wait "$PID"
	unhurt
}

@test "files that are no programs, unreadable, damaged, without sites" {
	fails 1 'No such file' "$TRACE" -l --binary=/no/such/file
	fails 1 'ELF' "$TRACE" -l --binary="$ROOT/README.md"
	fails 1 'not a file' "$TRACE" -l --binary="$ROOT"
	fails 1 'no sites' "$TRACE" -l --binary=/bin/true
	head -c 5000 "$PROGRAMS/counted" >"$BATS_TEST_TMPDIR/cut"
	fails 1 'cut' "$TRACE" -l --binary="$BATS_TEST_TMPDIR/cut"
	[ "$(id -u)" = 0 ] || skip "not root"
	dir=$(mktemp -d)
	chmod 755 "$dir"
	cp "$TRACE" "$dir/tool"
	cp "$PROGRAMS/counted" "$dir/secret"
	chmod 700 "$dir/secret"
	fails 1 'secret: Permission denied' setpriv --reuid=65534 --regid=65534 --clear-groups "$dir/tool" -l --binary="$dir/secret"
	rm -r "$dir"
}

@test "a filter that matches no site of the process" {
	need_bpf
	start "$PROGRAMS/counted" 1 1000 2
	sleep 0.2
	fails 1 'no site matches' "$TRACE" -p "$PID" -d 1 -f class=nothing
	wait "$PID"
	unhurt
}

@test "-o: a directory, a missing directory" {
	need_bpf
	start "$PROGRAMS/counted" 1 1000 2
	fails 1 'is a directory' "$TRACE" -p "$PID" -o "$BATS_TEST_TMPDIR"
	fails 1 'No such file' "$TRACE" -p "$PID" -o "$BATS_TEST_TMPDIR/no/where"
	wait "$PID"
	unhurt
}

@test "a full disk under -o: status 1, the report on standard output, an older file kept" {
	need_bpf
	disk=$(mktemp -d)
	mount -t tmpfs -o size=16k none "$disk"
	echo older >"$disk/report.json"
	dd if=/dev/zero of="$disk/fill" bs=1k count=64 2>/dev/null || true
	start "$PROGRAMS/counted" 1 1000 60
	sleep 0.2
	status=0
	"$TRACE" -q -p "$PID" -d 0.5 --format=json -o "$disk/report.json" >"$BATS_TEST_TMPDIR/report.json" \
		2>"$BATS_TEST_TMPDIR/stderr" || status=$?
	files=$(ls "$disk") older=$(cat "$disk/report.json")
	umount "$disk"
	rmdir "$disk"
	cat "$BATS_TEST_TMPDIR/stderr"
	[ "$status" = 1 ]
	grep -q 'No space left on device' "$BATS_TEST_TMPDIR/stderr"
	[ "$files" = "fill
report.json" ]
	[ "$older" = older ]
	json '.events.received > 0'
	enough "$PID"
	unhurt
}

@test "too few files may be open: what to do" {
	need_bpf
	start "$PROGRAMS/leaky" 60
	sleep 0.3
	fails 1 'too many open files: raise ulimit -n' bash -c 'ulimit -n 40; exec "$@"' - "$TRACE" -p "$PID" -d 1
	kill -0 "$PID"
}

@test "a COMMAND that still runs when tracing ends has no exit status" {
	need_bpf
	"$TRACE" -q --preload -d 0.5 --format=json -o "$BATS_TEST_TMPDIR/report.json" -- sleep 3 3>&-
	json '.command == {status: null, signal: null} and any(.notes[]; test("goes on untraced"))'
	"$TRACE" -q --preload -d 0.5 -- sleep 3 3>&- | grep -q '^  command  still running$'
}

@test "a reader that closes the pipe: status 1, target unhurt" {
	need_bpf
	start "$PROGRAMS/counted" 1 1000 2
	sleep 0.2
	{ "$TRACE" -q -p "$PID" -d 0.3 2>"$BATS_TEST_TMPDIR/stderr" || echo "$?" >"$BATS_TEST_TMPDIR/status"; } | true
	cat "$BATS_TEST_TMPDIR/stderr"
	[ "$(cat "$BATS_TEST_TMPDIR/status")" = 1 ]
	grep -q 'standard output: Broken pipe' "$BATS_TEST_TMPDIR/stderr"
	wait "$PID"
	unhurt
}

@test "a COMMAND that does not exist, is no program, or fails" {
	need_bpf
	fails 1 'not found in PATH' "$TRACE" -- no-such-command-here
	fails 1 'no such file' "$TRACE" -- ./no/such/file
	fails 1 'not an executable file' "$TRACE" -- "$ROOT/README.md"
	fails 1 'no sites in it' "$TRACE" -- /bin/true
	run "$TRACE" -q --preload -- /bin/sh -c 'exit 3'
	[ "$status" = 0 ]
	[[ "$output" == *"exit"*3* ]]
}

# wrong: a program that drops an object again, and leaves another; with an argument it does neither.
wrong() {
	cat >"$BATS_TEST_TMPDIR/wrong.c" <<-'END'
		#include <bscope/bscope.h>
		static char objects[2];
		int main(int argc, char **argv)
		{
			BSCOPE_NEW(thing, &objects[0]);
			BSCOPE_DROP(thing, &objects[0]);
			if (argc > 1)
				return 0;
			BSCOPE_DROP(thing, &objects[0]);
			BSCOPE_NEW(thing, &objects[1]);
			return 3;
		}
	END
	${CC:-cc} -O1 -I"$ROOT/include" -o "$BATS_TEST_TMPDIR/wrong" "$BATS_TEST_TMPDIR/wrong.c" "$BUILD/libbscope.a"
}

# exits STATUS MESSAGE ARG...: of the tool; what it says on standard error matches, or is nothing.
exits() {
	local want=$1 message=$2 status=0
	shift 2
	"$TRACE" "$@" >"$BATS_TEST_TMPDIR/stdout" 2>"$BATS_TEST_TMPDIR/stderr" || status=$?
	echo "$*: status $status: $(cat "$BATS_TEST_TMPDIR/stderr")"
	[ "$status" = "$want" ]
	if [ -z "$message" ]; then
		[ ! -s "$BATS_TEST_TMPDIR/stderr" ]
	else
		grep -Eq -- "$message" "$BATS_TEST_TMPDIR/stderr"
		[ "$(wc -l <"$BATS_TEST_TMPDIR/stderr")" = 1 ]
	fi
}

@test "--fail-on: status 2 for what was found, and for nothing else" {
	need_bpf
	wrong
	program=$BATS_TEST_TMPDIR/wrong
	# The report says it all, whatever --fail-on names.
	exits 0 '' --format=json -- "$program"
	cp "$BATS_TEST_TMPDIR/stdout" "$BATS_TEST_TMPDIR/report.json"
	"$ROOT/tests/validate-json" "$ROOT/tools/render/bscope-report-1.schema.json" "$BATS_TEST_TMPDIR/report.json"
	json '.verdicts | length == 1'
	json '.verdicts[0] | .verdict == "double-drop" and .class == "thing" and .count == 1 and .balance == null'
	json '.verdicts[0] | .at.line == 9 and .since.line == 6 and .at.kind == "drop" and .at.function == "main"'
	json '.verdicts[0] | (.at.file | endswith("wrong.c")) and .at.name == "&objects[0]" and .thread == .pid and .since_thread == .pid'
	json '.processes[0].pid == .verdicts[0].pid and .command.status == 3'
	# Within the traced interval, to the microsecond that jq can tell.
	json '(.verdicts[0].time_ns | tonumber / 1e3) as $t | (.start_monotonic_ns | tonumber / 1e3) as $s
		| $t >= $s and $t <= $s + (.duration_ns | tonumber / 1e3)'

	exits 2 'bscope-trace: --fail-on: 1 double-drop$' --fail-on=double-drop -- "$program"
	grep -q '^  verdicts 1 double-drop$' "$BATS_TEST_TMPDIR/stdout"
	grep -q '^  double-drop  thing 0x' "$BATS_TEST_TMPDIR/stdout"
	grep -Eq '^    dropped before  main at .*wrong.c:6, thread [0-9]+, .* earlier$' "$BATS_TEST_TMPDIR/stdout"
	exits 2 '1 double-drop$' --fail-on=any -- "$program"
	exits 2 '1 double-drop$' --fail-on=leak --fail-on=double-drop -- "$program"
	exits 2 '1 double-drop, 1 live-at-exit$' --fail-on=any,live-at-exit -- "$program"
	exits 2 '1 live-at-exit$' --fail-on=leak,live-at-exit -- "$program"
	exits 0 '' --fail-on=leak,use-after-drop -- "$program"
	# -q leaves the status.
	exits 2 '' -q --fail-on=any -- "$program"

	exits 0 '' --fail-on=any,live-at-exit -- "$program" right
	grep -q '^  verdicts none$' "$BATS_TEST_TMPDIR/stdout"

	# With a site in the dark nothing is proven, which is said.
	exits 0 'none found; not decided: 1 mark$' --fail-on=any -f name='&objects[[]0]' -- "$program"
	grep -q '1 mark looks wrong but is undecided' "$BATS_TEST_TMPDIR/stdout"

	# What failed comes before what was found.
	exits 1 'No such file' --fail-on=any -o "$BATS_TEST_TMPDIR/no/where" -- "$program"
	status=0
	"$TRACE" --fail-on=any -- "$program" >/dev/full 2>"$BATS_TEST_TMPDIR/stderr" || status=$?
	cat "$BATS_TEST_TMPDIR/stderr"
	[ "$status" = 1 ]
}

@test "the preload library that is not there" {
	need_bpf
	dir=$(mktemp -d)
	cp "$TRACE" "$dir/tool"
	fails 1 'BSCOPE_PRELOAD' "$dir/tool" --preload -- true
	fails 1 'BSCOPE_PRELOAD=/no' env BSCOPE_PRELOAD=/no "$dir/tool" --preload -- true
	rm -r "$dir"
}

@test "--list: of a process and of a file, as text and as JSON, with a filter" {
	start "$PROGRAMS/counted" 1 1000 2
	sleep 0.2
	"$TRACE" -l -p "$PID" >"$BATS_TEST_TMPDIR/text"
	grep -q 'resize_begin.*thing' "$BATS_TEST_TMPDIR/text"
	"$TRACE" -l --binary="$PROGRAMS/counted" --format=json >"$BATS_TEST_TMPDIR/report.json"
	json '.schema == "bscope-sites/1" and (.sites | length == 13)'
	"$TRACE" -l --binary="$PROGRAMS/counted" --format=json -f kind=new,drop -f name='i*' >"$BATS_TEST_TMPDIR/report.json"
	json '[.sites[].kind] | sort == ["drop", "new"]'
}
