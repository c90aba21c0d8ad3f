#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# jump.bats - jump mode on programs that know their own counts.

load common
load lit
setup() {
	need_bpf
	GUARDIANS=$(guardians)
}

# Rounds of the long test, and seconds of tracing in each.
ROUNDS=${JUMP_ROUNDS:-20}
SECONDS_EACH=${JUMP_SECONDS:-1}

report() { echo "$BATS_TEST_TMPDIR/report.json"; }

# trace ARG...: in jump mode, report to $(report).
trace() { "$TRACE" -q -m jump --format=json -o "$(report)" "$@"; }

# The hits of each kind are those that the programs (their outputs by default, or the files given)
# made while they were lit: all of which they are sure, and of those at a switch-over at most all.
# One per thread and end can be of either side.
hits_agree() {
	local threads=$1
	shift
	[ $# -gt 0 ] || set -- "$BATS_TEST_TMPDIR"/out.*
	jq -e -s --argjson threads "$threads" --slurpfile r "$(report)" '
		$r[0].events as $e | . as $own
		| [$e.by_kind | to_entries[] | .key as $k | .value as $got
		   | ([$own[].sure[$k]] | add) as $sure | ([$own[].unsure[$k]] | add) as $unsure
		   | select($got < $sure or $got > $sure + $unsure)] as $wrong
		| ([$own[].unsure[]] | add) as $unsure
		| $wrong == [] and $unsure <= 2 * $threads and $e.received > 100
		  and ($r[0].objects | .created + .adopted == .dropped + .vanished + .live + .exited)' "$@" >/dev/null && return 0
	echo "the program says:"
	cat "$@"
	jq -c '.mode, .events, .objects, .notes' "$(report)"
	return 1
}

# Of a program that another tool has lit by traps as well: jumps alone are what is seen here.
hits_agree_jumps() {
	jq -e -s --slurpfile r "$(report)" '
		([.[].sure[]] | add) as $sure | ([.[].unsure[]] | add) as $unsure
		| $r[0].events.received | . > 1000 and . <= $sure + $unsure' "$@" >/dev/null && return 0
	cat "$@"
	jq -c .events "$(report)"
	return 1
}

nothing_lost() {
	json '.events.written == .events.received + .events.lost and .events.lost == 0'
}

other_guardian() { pgrep -x -P "$1" bscope-guardian | grep -qvx "$2"; }

@test "attach in the middle, let go before the end, $ROUNDS times at 5 million events/s: counts exact, nothing lost, program unhurt" {
	for round in $(seq "$ROUNDS"); do
		rm -f "$BATS_TEST_TMPDIR"/out.*
		start "$PROGRAMS/counted" 4 1250000 60
		sleep 0.3
		# All that is written has room: how fast a machine takes it out is not what this is about.
		trace -p "$PID" -d "$SECONDS_EACH" --buffer=512M
		enough "$PID"
		hits_agree 4 || { echo "round $round"; false; }
		unhurt
		nothing_lost
		json '.mode == "jump" and .overhead.pause_us > 0 and .overhead.ns_per_event > 0 and .overhead.ns_per_event < 200'
	done
}

@test "at full speed losses are exact" {
	start "$PROGRAMS/counted" 4 0 60
	sleep 0.3
	trace -p "$PID" -d 1.5
	enough "$PID"
	unhurt
	json '.events.lost > 0 and .events.written == .events.received + .events.lost'
	json '.events.lost == ([.events.lost_by_reason[]] | add) and .events.lost_by_reason.unaccounted == 0'
	json '([.events.by_kind[]] | add) == .events.received'
	# What was written is what the program made while it was lit.
	jq -e --slurpfile r "$(report)" '
		([.sure[]] | add) as $sure | ([.unsure[]] | add) as $unsure
		| $r[0].events.written | . >= $sure and . <= $sure + $unsure' "$OUT" || { cat "$OUT"; jq -c .events "$(report)"; false; }
}

@test "a program that fills the ring faster than it is read is let go in time, and a Ctrl-C is heard" {
	start "$PROGRAMS/counted" 4 0 60
	sleep 0.3
	# Reading half a gigabyte to its end takes many times as long as is asked for here.
	trace -p "$PID" -d 0.3 --buffer=512M
	json '(.duration_ns | tonumber | . >= 3e8 and . < 3e9) and .events.written == .events.received + .events.lost'
	"$TRACE" -q -m jump --format=json -o "$(report)" -p "$PID" --buffer=512M &
	tool=$!
	until_lit "$PID"
	sleep 1.3
	kill -INT "$tool"
	within 3 text_same "$PID"
	enough "$PID"
	unhurt
	wait "$tool"
	json '.events.written == .events.received + .events.lost'
}

@test "the hits by site are the marks by kind" {
	start "$PROGRAMS/counted" 2 5000 60
	sleep 0.3
	trace -p "$PID" -d 0.5
	json '([.sites[].hits] | add) == .events.received'
	json '.sites | length == 13 and all(.[]; .lit and .class == "thing" and .function == "site_" + .kind)'
}

@test "SIGKILL of the tool while attached, 20 times: text restored within a second, results right" {
	start "$PROGRAMS/counted" 4 100000 60
	for round in $(seq 20); do
		"$TRACE" -q -m jump -p "$PID" -o /dev/null 3>&- &
		tool=$!
		until_lit "$PID"
		sleep "0.$((RANDOM % 3))"
		kill -KILL "$tool"
		wait "$tool" || true
		eventually text_same "$PID"
	done
	within 10 no_guardians
	enough "$PID"
	unhurt
	# And it can be traced again.
	start "$PROGRAMS/counted" 2 10000 60
	sleep 0.3
	trace -p "$PID" -d 0.3
	nothing_lost
}

@test "SIGKILL of the guardian while attached: the tool goes on and leaves nothing behind" {
	start "$PROGRAMS/counted" 4 100000 60
	sleep 0.3
	"$TRACE" -q -m jump --format=json -o "$(report)" -p "$PID" -d 1.5 3>&- &
	tool=$!
	until_lit "$PID"
	old=$(pgrep -x -P "$tool" bscope-guardian)
	kill -KILL "$old"
	within 5 other_guardian "$tool" "$old"
	wait "$tool"
	eventually text_same "$PID"
	within 10 no_guardians
	enough "$PID"
	hits_agree 4
	unhurt
	nothing_lost
}

@test "SIGKILL of the guardian, then of the tool: text restored all the same" {
	start "$PROGRAMS/counted" 4 100000 60
	sleep 0.3
	"$TRACE" -q -m jump -o /dev/null -p "$PID" 3>&- &
	tool=$!
	until_lit "$PID"
	old=$(pgrep -x -P "$tool" bscope-guardian)
	kill -KILL "$old"
	within 5 other_guardian "$tool" "$old"
	kill -KILL "$tool"
	wait "$tool" || true
	eventually text_same "$PID"
	within 10 no_guardians
	enough "$PID"
	unhurt
}

@test "SIGKILL of both: the sites stay lit, harmless, and the next run cleans up" {
	start "$PROGRAMS/counted" 4 100000 60
	sleep 0.3
	"$TRACE" -q -m jump -p "$PID" -o /dev/null 3>&- &
	tool=$!
	until_lit "$PID"
	kill -STOP "$tool"
	pkill -KILL -x -P "$tool" bscope-guardian
	kill -KILL "$tool"
	wait "$tool" || true
	sleep 0.2
	no text_same "$PID"
	trace -p "$PID" -d 0.5
	nothing_lost
	eventually text_same "$PID"
	enough "$PID"
	unhurt
}

@test "a dead main thread: counts exact" {
	start "$PROGRAMS/counted" 4 10000 60 headless
	sleep 0.4
	trace -p "$PID" -d 0.8
	enough "$PID"
	hits_agree 4
	unhurt
	nothing_lost
}

@test "several processes in one run: counts exact, others are not lit" {
	start "$PROGRAMS/counted" 2 10000 60
	one=$PID
	start "$PROGRAMS/counted" 2 10000 60
	two=$PID
	start "$PROGRAMS/counted" 2 10000 60
	sleep 0.5
	trace -p "$one,$two" -d 1
	enough "$one" "$two" "$PID"
	hits_agree 4
	unhurt
	# The third never had a jump in its text.
	jq -e --argjson pid "$PID" 'select(.pid == $pid) | [.sure[], .unsure[]] | add == 0' "$OUT"
	nothing_lost
	json '.processes | length == 2'
}

@test "fork while attached: the child's marks are exact too, its text restored" {
	start "$PROGRAMS/counted" 2 5000 3 fork
	sleep 0.2
	# The child runs from 0.9 s to 3 s.
	trace -p "$PID" -d 1.8
	wait "$PID" || true
	hits_agree 6
	nothing_lost
	json '.processes | length == 2'
	# The first line was printed while it was lit, the others when the tool had gone.
	jq -e -s 'length == 3 and all(.[]; .results == "right" and .semaphore == 0)
		and all(.[1:][]; .text == "same")' "$OUT"
}

@test "exec while attached: the new program is lit when it is up" {
	start "$PROGRAMS/counted" 2 5000 4 exec
	sleep 0.2
	trace -p "$PID"
	wait "$PID" || true
	nothing_lost
	json '[.notes[] | select(test("^1 program was executed meanwhile and lit by jumps up to [1-9][0-9]* ms later: "))] | length == 1'
	# Two lives, each lit until its end.
	jq -e -s --slurpfile r "$(report)" '
		length == 2 and all(.[]; .results == "right")
		and ([.[].sure[]] | add) as $sure | ([.[].unsure[]] | add) as $unsure
		| $r[0].events.received | . >= $sure and . <= $sure + $unsure' "$OUT" || { cat "$OUT"; jq -c .events,.notes "$(report)"; false; }
}

@test "a short look at a program in a hurry: the CPU time of the tool is of the time in which it took it" {
	start "$PROGRAMS/counted" 4 0 60
	sleep 0.2
	trace -p "$PID" -d 0.05
	kill "$PID"
	wait "$PID" || true
	# One thread, and a little for what is rounded.
	json '.events.received > 100000 and .overhead.tool_cpu_percent > 0 and .overhead.tool_cpu_percent < 102'
}

@test "programs that are executed and over before their jumps are written: how many is said" {
	start "$PROGRAMS/execs" spawn
	sleep 0.2
	trace -p "$PID" -d 1
	kill "$PID"
	wait "$PID" || true
	json '[.notes[] | select(test("^[1-9][0-9]* programs were executed meanwhile and over before"))] | length == 1'
}

@test "programs that are executed in jump mode: the report says that their first marks are not in it" {
	cat >"$BATS_TEST_TMPDIR/ex.c" <<-'END'
		#include <bscope/bscope.h>
		#include <spawn.h>
		#include <stdlib.h>
		#include <sys/wait.h>
		#include <unistd.h>
		extern char **environ;
		int main(int argc, char **argv)
		{
			long n = argc > 1 ? atol(argv[1]) : 30000;
			for (long i = 0; i < n; i++) { BSCOPE_NEW(thing, i); if (argc > 2) usleep(100); }
			if (argc > 1) return 0;
			usleep(300000);
			for (int i = 0; i < 4; i++) {
				char *const brief[] = {argv[0], "1000", NULL}, *const slow[] = {argv[0], "5000", "", NULL};
				pid_t pid;
				if (posix_spawn(&pid, argv[0], NULL, NULL, i ? brief : slow, environ)) return 1;
				waitpid(pid, NULL, 0);
			}
			return 0;
		}
	END
	${CC:-cc} -O1 -I"$ROOT/include" -o "$BATS_TEST_TMPDIR/ex" "$BATS_TEST_TMPDIR/ex.c" "$BUILD/libbscope.a"
	"$TRACE" -q --format=json -o "$(report)" -- "$BATS_TEST_TMPDIR/ex"
	json '.mode == "jump" and any(.notes[]; test("^[1-4] programs? w(as|ere) executed meanwhile and lit by jumps up to"))
		and any(.notes[]; test("^[123] programs? w(as|ere) executed meanwhile and over before"))'
	# Among what began there may be any number of objects.
	"$TRACE" -q -s 10 --format=json -o "$(report)" -- "$BATS_TEST_TMPDIR/ex"
	json '.mode == "jump" and .objects.estimated.created.high == null and .classes[0].estimated.created.high == null'
	"$TRACE" -q -m trap --format=json -o "$(report)" -- "$BATS_TEST_TMPDIR/ex"
	json '.notes == [] and .events.received == 38000'
}

@test "-- COMMAND: every mark from the first to the last, over the change from traps to jumps" {
	for round in 1 2 3 4 5; do
		OUT=$BATS_TEST_TMPDIR/out.$round
		"$TRACE" -q --format=json -o "$(report)" -- "$PROGRAMS/counted" 4 10000 1 >"$OUT"
		jq -e --slurpfile r "$(report)" '
			([.total[]] | add) == $r[0].events.received and .results == "right"' "$OUT" || { cat "$OUT"; jq -c .events,.notes "$(report)"; false; }
		nothing_lost
		json '.mode == "jump"'
	done
}

@test "threads by the ten-thousand, one after another and 500 at once: every event accounted for, memory flat" {
	OUT=$BATS_TEST_TMPDIR/out
	# What its threads take without us: their stacks, which some processors make larger.
	"$PROGRAMS/threads" 1000 500 4 2 >"$OUT.plain"
	"$TRACE" -q --format=json -o "$(report)" -- "$PROGRAMS/threads" 10000 500 4 2 >"$OUT"
	said() { cat "$OUT" "$OUT.plain"; jq -c '.mode, .events, .notes' "$(report)"; false; }
	jq -e '.results == "right" and .threads == 21000 and .hung == 0' "$OUT" || said
	jq -e --slurpfile r "$(report)" '([.marks[]] | add) == $r[0].events.written' "$OUT" || said
	jq -e '.mode == "jump" and .events.written == .events.received + .events.lost and .events.lost_by_reason.unaccounted == 0' "$(report)" || said
	# 10,000 threads one after another have one buffer of 66 KB, 500 at once have 500; the second
	# round of both adds nothing.
	jq -e '.rss_kb[1] - .rss_kb[0] < 2000' "$OUT" || said
	jq -e --slurpfile plain "$OUT.plain" '
		def grown: .rss_kb[2] - .rss_kb[0];
		grown < ($plain[0] | grown) + 500 * 66 + 2500' "$OUT" || said
}

# deaths HOW: traces a program that knows what it did when it died.  Each thread may have been in the
# middle of an event, which counts for two where it had two slots and had not said so yet.
deaths() {
	local how=$1 file=$BATS_TEST_TMPDIR/own
	start "$PROGRAMS/deaths" "$how" "$file" 4 50000
	trace -p "$PID"
	wait "$PID" || true
	"$PROGRAMS/deaths" count "$file" >"$BATS_TEST_TMPDIR/own.json"
	jq -e --slurpfile r "$(report)" '
		. as $own | $r[0].events as $e
		| if $e.written == null then $e.written_at_most >= $own.marks and $e.received <= $own.marks + $own.threads
		  else $e.written == $e.received + $e.lost and $e.written >= $own.marks and $e.written <= $own.marks + 2 * $own.threads and $e.lost <= 2 * $own.threads end' \
		"$BATS_TEST_TMPDIR/own.json" && return 0
	cat "$BATS_TEST_TMPDIR/own.json"
	jq -c '.events, .notes' "$(report)"
	return 1
}

@test "the process exits while attached: every event up to the end" { deaths exit; }
@test "all threads leave by pthread_exit: every event up to the end" { deaths pthread_exit; }
@test "SIGKILL while attached: every event up to the end" { deaths kill; }
@test "SIGSEGV while attached: every event up to the end" { deaths segv; }
@test "abort while attached: every event up to the end" { deaths abort; }
@test "exec of another program while attached: every event up to the end" { deaths exec; }

# It has reserved a slot of the other half, and has not handed over the one before.
@test "SIGKILL between two halves of a buffer: what is full is not lost" {
	cd "$BATS_TEST_TMPDIR"
	cat >cut.c <<-'END'
		#include <bscope/bscope.h>
		#include <bscope/buffer.h>
		#include <signal.h>
		#include <stdio.h>
		#include <unistd.h>
		/* In libbscope.a: the thread's buffer; of no thread that is not traced. */
		extern __thread struct bscope_buffer *bs_current;
		#define NEXT (*(volatile uint64_t *)&bs_current->next)
		static volatile sig_atomic_t now;
		static void on_term(int s) { (void)s; now = 1; }
		static __attribute__((noinline)) void mark(long i) { BSCOPE_RETAIN(cut, i); }
		static void mark_up_to(uint64_t place)
		{
			for (long i = 0; i < BSCOPE_BUFFER_SLOTS && NEXT % BSCOPE_BATCH_SLOTS != place; i++)
				mark(i);
		}
		int main(void)
		{
			signal(SIGTERM, on_term);
			for (long i = 0; !now; i++) {
				mark(i);
				usleep(1000);
			}
			mark_up_to(0);
			mark_up_to(BSCOPE_BATCH_SLOTS - 1);
			printf("%llu\n", (unsigned long long)NEXT % BSCOPE_BATCH_SLOTS);
			fflush(stdout);
			NEXT += 2;
			kill(getpid(), SIGKILL);
		}
	END
	${CC:-cc} -O1 -I"$ROOT/include" -o cut cut.c "$BUILD/libbscope.a"
	for run in 1 2 3; do
		start ./cut
		{ sleep 1.5; kill "$PID"; } 3>&- &
		trace -p "$PID"
		[ "$(cat "$OUT")" -eq 2047 ]
		# The two that it did not come to write.
		json '.events | .received > 2047 and .lost == 2 and .lost_by_reason.abandoned == 2'
	done
}

@test "vfork children: what they record is their parent's, nothing lost" {
	cat >"$BATS_TEST_TMPDIR/vf.c" <<-'END'
		#include <bscope/bscope.h>
		#include <signal.h>
		#include <stdio.h>
		#include <sys/wait.h>
		#include <unistd.h>
		static volatile sig_atomic_t stop;
		static void on_term(int s) { (void)s; stop = 1; }
		static __attribute__((noinline)) void mark(long i) { BSCOPE_RETAIN(thing, i); }
		int main(void)
		{
			signal(SIGTERM, on_term);
			while (!stop) {
				pid_t pid = vfork();
				if (!pid) { for (long i = 0; i < 5000; i++) mark(i); _exit(0); }
				waitpid(pid, NULL, 0);
				usleep(10000);
			}
			return 0;
		}
	END
	${CC:-cc} -O1 -I"$ROOT/include" -o "$BATS_TEST_TMPDIR/vf" "$BATS_TEST_TMPDIR/vf.c" "$BUILD/libbscope.a"
	start "$BATS_TEST_TMPDIR/vf"
	sleep 0.3
	trace -p "$PID" -d 1.5
	nothing_lost
	# Whole children but for the first and the last.
	json '.events.received > 50000'
}

@test "a second tool on the same process gets traps, and disturbs nobody" {
	start "$PROGRAMS/counted" 2 5000 60
	sleep 0.3
	trace -p "$PID" -d 3 3>&- &
	tool=$!
	until_lit "$PID"
	run "$TRACE" -q -m jump -p "$PID" -d 0.2 -o /dev/null
	[ "$status" -eq 1 ]
	[[ $output == *"another bscope-trace"* ]]
	"$TRACE" -q -p "$PID" -d 0.5 --format=json -o "$BATS_TEST_TMPDIR/second.json"
	json '.mode == "trap" and any(.notes[]; test("another bscope-trace"))' "$BATS_TEST_TMPDIR/second.json"
	wait "$tool"
	enough "$PID"
	nothing_lost
	hits_agree_jumps "$OUT"
	unhurt
}

@test "a library that is closed and opened again at the same address is lit again" {
	cat >"$BATS_TEST_TMPDIR/plug.c" <<-'END'
		#include <bscope/bscope.h>
		void plug_mark(long i);
		void plug_mark(long i) { BSCOPE_RETAIN(plug, i); }
	END
	cat >"$BATS_TEST_TMPDIR/host.c" <<-'END'
		#include <bscope/bscope.h>
		#include <dlfcn.h>
		#include <unistd.h>
		static __attribute__((noinline)) void host_mark(long i) { BSCOPE_RETAIN(host, i); }
		int main(int argc, char **argv)
		{
			for (;;) {
				void *lib = dlopen(argv[argc - 1], RTLD_NOW);
				void (*mark)(long) = (void (*)(long))dlsym(lib, "plug_mark");
				for (long i = 0; i < 1500; i++) { mark(i); host_mark(i); usleep(1000); }
				dlclose(lib);
			}
		}
	END
	cd "$BATS_TEST_TMPDIR"
	${CC:-cc} -O1 -fPIC -shared -I"$ROOT/include" -o plug.so plug.c -L"$BUILD" -lbscope
	${CC:-cc} -O1 -I"$ROOT/include" -o host host.c -L"$BUILD" -lbscope -ldl
	start env LD_LIBRARY_PATH="$BUILD" ./host "$PWD/plug.so"
	sleep 0.3
	trace -p "$PID" -d 6
	nothing_lost
	# It comes back dark, and is noticed within half a second: most of its marks are seen.
	json '(.classes[] | select(.class == "host")) and ([.sites[] | select(.class == "plug") | .hits] | add) as $plug
		| ([.sites[] | select(.class == "host") | .hits] | add) as $host | $plug > $host * 0.5'
}

@test "a program whose libbscope is still to be mapped is lit when it is" {
	cat >"$BATS_TEST_TMPDIR/host.c" <<-'END'
		#include <bscope/bscope.h>
		#include <unistd.h>
		int main(void)
		{
			for (long i = 0; i < 3000; i++) { BSCOPE_RETAIN(host, i); usleep(300); }
			return 0;
		}
	END
	cd "$BATS_TEST_TMPDIR"
	${CC:-cc} -O1 -I"$ROOT/include" -o host host.c -L"$BUILD" -lbscope -Wl,-rpath,"$BUILD"
	for i in 1 2 3; do
		timeout 60 "$TRACE" -q -m jump --format=json -o report.json -- ./host
		json '.mode == "jump" and .notes == [] and .events.received > 1000' report.json
		# As a program that another one executes.
		timeout 60 "$TRACE" -q -m jump --format=json -o report.json -- sh -c 'sleep 0.2; ./host; :'
		json '.mode == "jump" and .events.received > 1000' report.json
		json '[.notes[] | select(test("no libbscope"))] == []' report.json
	done
}

# The memory controller's hierarchy, v1 or v2; fails where there is none.
memory_cgroups() {
	local at
	at=$(awk '$3 == "cgroup" && $4 ~ /(^|,)memory(,|$)/ { print $2; exit }' /proc/mounts)
	[ -n "$at" ] && echo "$at" && return
	at=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
	[ -n "$at" ] && grep -qw memory "$at/cgroup.controllers" && echo "$at"
}

@test "a target in a memory cgroup without headroom is refused with a message, and lives" {
	local at group
	at=$(memory_cgroups) || skip "no memory cgroups on this machine"
	group=$at/bscope-test-$$
	mkdir "$group"
	start "$PROGRAMS/counted" 2 5000 60
	echo "$PID" >"$group/cgroup.procs"
	if [ -e "$group/memory.limit_in_bytes" ]; then
		echo $((3 << 20)) >"$group/memory.limit_in_bytes"
	else
		echo $((3 << 20)) >"$group/memory.max"
	fi
	sleep 0.3
	for mode in auto jump trap; do
		run "$TRACE" -q -m $mode -p "$PID" -d 0.5
		echo "$output"
		[ "$status" -eq 1 ]
		[[ $output == *"pid $PID:"*cgroup* ]]
		[ "$(wc -l <<<"$output")" -eq 1 ]
	done
	text_same "$PID"
	enough "$PID"
	rmdir "$group"
	unhurt
	jq -e '[.sure[], .unsure[]] | add == 0' "$OUT"
}

@test "strict seccomp: lit by traps, alive" {
	start "$PROGRAMS/seccomp" 2
	sleep 0.5
	"$TRACE" -q -p "$PID" -d 0.5 --format=json -o "$(report)"
	json '.mode == "trap" and .events.received > 1000 and any(.notes[]; test("strict seccomp"))'
	kill "$PID"
	wait "$PID"
	jq -e '.alive == .threads and .results == "right" and .text == "same"' "$OUT"
}

@test "a process under a debugger: traps, with the reason; -m jump refuses" {
	start "$PROGRAMS/counted" 2 5000 60
	sleep 0.3
	gdb -q -batch -p "$PID" -ex 'shell sleep 4' >/dev/null 2>&1 3>&- &
	debugger=$!
	within 3 grep -q 'TracerPid:.*[1-9]' "/proc/$PID/status"
	run "$TRACE" -q -m jump -p "$PID" -d 0.2
	echo "$output"
	[ "$status" -eq 1 ]
	[[ $output == *"pid $PID:"* ]]
	"$TRACE" -q -p "$PID" -d 0.2 --format=json -o "$(report)"
	json '.mode == "trap" and (.notes | length > 0)'
	wait "$debugger" || true
	enough "$PID"
	unhurt
}

@test "bscope_flush: what a thread has recorded is there before it executes another program" {
	cat >"$BATS_TEST_TMPDIR/flush.c" <<-'END'
		#include <bscope/bscope.h>
		#include <unistd.h>
		static __attribute__((noinline)) void mark(long i) { BSCOPE_RETAIN(thing, i); }
		int main(void)
		{
			usleep(700000);
			for (long i = 0; i < 10; i++) mark(i);
			bscope_flush();
			bscope_flush();
			for (long i = 0; i < 7; i++) mark(i);
			bscope_flush();
			_exit(0);
		}
	END
	${CC:-cc} -O1 -I"$ROOT/include" -o "$BATS_TEST_TMPDIR/flush" "$BATS_TEST_TMPDIR/flush.c" "$BUILD/libbscope.a"
	start "$BATS_TEST_TMPDIR/flush"
	trace -p "$PID"
	json '.mode == "jump" and .events.written == 17 and .events.received == 17'
}

@test "a child that executes another program: nothing is written to what that has where the pool was" {
	cd "$BATS_TEST_TMPDIR"
	# Without other memory to get in the way it has the same addresses.
	cat >other.c <<-'END'
		#define _GNU_SOURCE
		#include <stdlib.h>
		#include <sys/mman.h>
		#include <unistd.h>
		int main(int argc, char **argv)
		{
			size_t size = 400000;
			void *at = (void *)strtoul(argv[argc - 1], NULL, 0);
			volatile long *p = mmap(at, size, PROT_READ | PROT_WRITE,
						MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
			if (p != at) return 2;
			usleep(30000);
			for (size_t i = 0; i < size / sizeof(*p); i++) if (p[i]) return 1;
			return 0;
		}
	END
	cat >first.c <<-'END'
		#include <bscope/bscope.h>
		#include <bscope/control.h>
		#include <stdio.h>
		#include <sys/wait.h>
		#include <unistd.h>
		static char a[64];
		int main(void)
		{
			char at[32];
			int status, ended[3] = {0};
			snprintf(at, sizeof(at), "%#lx", (unsigned long)bscope_control()->pool);
			for (int i = 0; i < 600; i++) { BSCOPE_NEW(buf, a); BSCOPE_DROP(buf, a); usleep(1000); }
			for (int i = 0; i < 60; i++) {
				if (!fork()) { execl("./other", "./other", at, (char *)NULL); _exit(2); }
				wait(&status);
				ended[WIFEXITED(status) && WEXITSTATUS(status) < 2 ? WEXITSTATUS(status) : 2]++;
			}
			printf("{\"well\": %d, \"written_to\": %d, \"other\": %d}\n", ended[0], ended[1], ended[2]);
			return 0;
		}
	END
	${CC:-cc} -O1 -static -o other other.c
	${CC:-cc} -O1 -I"$ROOT/include" -o first first.c -L"$BUILD" -lbscope -Wl,-rpath,"$BUILD"
	timeout 60 setarch -R "$TRACE" -q -m jump --format=json -o "$(report)" -- ./first >said.json
	cat said.json
	json '.well == 60' said.json
	json '.mode == "jump" and .events.received > 100'
}

@test "a COMMAND that cannot be stopped while it runs: the report says that it was not lit, and why" {
	cat >"$BATS_TEST_TMPDIR/waits.c" <<-'END'
		#define _DEFAULT_SOURCE
		#include <bscope/bscope.h>
		#include <signal.h>
		#include <unistd.h>
		static char a[64];
		int main(void)
		{
			/* Its parent waits in the kernel, until it is no more. */
			if (!vfork()) { usleep(600000); kill(getppid(), SIGKILL); _exit(0); }
			BSCOPE_NEW(buf, a);
			return 0;
		}
	END
	${CC:-cc} -O1 -I"$ROOT/include" -o "$BATS_TEST_TMPDIR/waits" "$BATS_TEST_TMPDIR/waits.c" "$BUILD/libbscope.a"
	run trace -- "$BATS_TEST_TMPDIR/waits"
	json '.mode == "jump" and .events.received == 0 and any(.notes[]; test("over before the sites in it could be lit: pid"))'
}

@test "a file with sites that a program has mapped by itself, and never links, keeps nothing dark" {
	cd "$BATS_TEST_TMPDIR"
	echo '#include <bscope/bscope.h>
		void plug(void *p); void plug(void *p) { BSCOPE_NEW(buf, p); }' >plug.c
	cat >maps.c <<-'END'
		#include <bscope/bscope.h>
		#include <fcntl.h>
		#include <sys/mman.h>
		#include <unistd.h>
		static char a[64];
		int main(void)
		{
			mmap(NULL, 8192, PROT_READ | PROT_EXEC, MAP_PRIVATE, open("plug.so", O_RDONLY), 0);
			for (;;) { BSCOPE_NEW(buf, a); BSCOPE_DROP(buf, a); usleep(1000); }
		}
	END
	${CC:-cc} -O1 -fPIC -shared -I"$ROOT/include" -o plug.so plug.c -L"$BUILD" -lbscope -Wl,-rpath,"$BUILD"
	${CC:-cc} -O1 -I"$ROOT/include" -o maps maps.c -L"$BUILD" -lbscope -Wl,-rpath,"$BUILD"
	start ./maps
	sleep 0.2
	trace -p "$PID" -d 1.5
	json '.mode == "jump" and .events.received > 100 and .events.lost == 0 and .verdicts == []
		and any(.notes[]; test("1 sites were not lit"))'
}
