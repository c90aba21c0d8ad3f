#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# sampling.bats - -s and --sample-bytes on programs that know their own counts: of each object all
# marks or none, and estimates of all that hold what the programs say.
#
# An estimate has its 95 % interval: what is checked is three times as wide, so that chance alone
# fails a test less than once in 100,000 runs.

load common
setup() {
	need_bpf
	REPORT=$BATS_TEST_TMPDIR/report.json
}

# attached MODE PID ARG...: the report of some seconds (-d among the arguments).
attached() { timeout 120 "$TRACE" -q -m "$1" -p "$2" --format=json -o "$REPORT" "${@:3}" 3>&-; }

# ran ARG... -- COMMAND: the report of a whole run; what it printed is in $OUT.
ran() {
	OUT=$BATS_TEST_TMPDIR/out.ran
	timeout 120 "$TRACE" -q --format=json -o "$REPORT" "$@" >"$OUT" 3>&-
}

# holds EXPR TRUTH: TRUTH lies within three times the interval of the estimate EXPR.
holds() {
	json "$1 | (if .high then [.high - .value, .value - .low] | max else 1e300 end) as \$half
		| (.low <= .value) and ($2 - .value | fabs) <= 3 * \$half + 1"
}

# Nothing is lost, and every object is somewhere, and every event too.
adds_up() {
	json '.events | .lost == 0 and .written == .received and .received == ([.by_kind[]] | add)'
	json '.objects | .created + .adopted == .dropped + .vanished + .live + .exited'
	json '.events.by_kind.new == .objects.created'
	"$ROOT/tests/validate-json" "$ROOT/tools/render/bscope-report-1.schema.json" "$REPORT"
}

# whole_lives THREADS: of the counted programs each life has every mark; at most one per thread is
# under way at the end, and regions are all there.
whole_lives() {
	json "(.events.by_kind) as \$k | ([\"move\", \"borrow\", \"borrow_mut\", \"use\", \"retain\", \"release\",
			\"resize_begin\", \"resize_end\", \"drop\"]
		| all(.[]; \$k.new - \$k[.] | . >= 0 and . <= $1))
		and (2 * \$k.new - \$k.unborrow | . >= 0 and . <= 2 * $1)
		and \$k.new > 0 and .objects.unknown == 0 and .objects.vanished == 0"
	counted_wrong
}

# Their lives are wrong in one thing, which each tool says of them: a reference is never given back.
counted_wrong() { json '[.verdicts[].verdict] - ["unbalanced-count"] == []'; }

# counted_holds THREADS [LOGS]: what the counted programs made in the interval.
counted_holds() {
	interval_counts "${2:-}"
	holds .objects.estimated.created "$(jq .new "$BATS_TEST_TMPDIR/own.json")"
	holds .objects.estimated.dropped "$(jq .drop "$BATS_TEST_TMPDIR/own.json")"
	json ".events.by_kind | .region_enter - $(jq .region_enter "$BATS_TEST_TMPDIR/own.json") | fabs <= 2 * $1"
}

counted_in() {
	for sample in -s3 -s50 --sample-bytes=200; do
		counted 4 "$2" 60
		sleep 0.4
		attached "$1" "$PID" -d 1.2 "$sample"
		enough "$PID"
		json ".mode == \"$1\" and .objects.created > 20"
		adds_up
		# By bytes a resize decides anew: some are not followed to their end.
		[[ $sample = --* ]] || whole_lives 4
		counted_holds 4
		unhurt
	done
}

@test "jump mode: whole lives, and estimates hold what the program counts" { counted_in jump 100000; }

@test "trap mode: whole lives, and estimates hold what the program counts" { counted_in trap 20000; }

# in_blocks N PLACES: of each N births exactly one, but for what is left at PLACES of each site.
in_blocks() {
	json "([.sites[] | select(.kind == \"new\" and .lit) | .addresses | length] | add) as \$sites
		| .objects.created * $1 - $(jq .total.new "$OUT") | fabs <= $1 * $2 * \$sites"
	# The interval says so: by itself each would leave it 1.96 standard deviations to either side.
	json "(.classes[] | select(.class == \"thing\")) as \$c | \$c.estimated.created
		| .low <= $(jq .total.new "$OUT") and .high >= $(jq .total.new "$OUT")
		and (.high - .low) / 2 < 0.6 * 1.96 * .value / (\$c.created | sqrt)"
}

@test "of each N births exactly one is followed: in each thread, or on each processor" {
	ran -m trap -s 10 -- "$PROGRAMS/counted" 4 5000 1
	adds_up
	in_blocks 10 "$(nproc --all)"
	# By traps first.
	ran -s 100 -- "$PROGRAMS/counted" 4 100000 1
	adds_up
	json '.mode == "jump"'
	in_blocks 100 "$(($(nproc --all) + 5))"
}

@test "one object in one is all of them" {
	counted 4 20000 60
	sleep 0.4
	attached jump "$PID" -d 0.8 -s 1
	enough "$PID"
	counts_agree
	json '.sample == 1 and .objects.estimated == null'
}

contended() {
	local go=$BATS_TEST_TMPDIR/go program
	mkfifo "$go"
	exec 4<>"$go"
	start "$PROGRAMS/contended" 400000 8 "$go" 4>&-
	program=$PID
	start timeout 120 "$TRACE" -m "$1" -p "$program" -s 10 --format=json -o "$REPORT" 4>&-
	for _ in $(seq 200); do
		grep -q attached "$BATS_TEST_TMPDIR/err" && break
		sleep 0.05
	done
	echo go >&4
	exec 4>&-
	wait "$program"
	wait "$PID"
	json ".mode == \"$1\" and .verdicts == [] and .events.written == .events.received + .events.lost"
	json '.objects | .created + .adopted == .dropped + .vanished + .live + .exited'
	# Whose end was not seen had marks without an order, of two threads within two microseconds.
	json '.events.lost > 0 or (.events.by_kind.new > 100
		and .objects.vanished + .objects.exited <= .objects.undecided)'
}

@test "jump mode: no verdict on a correct program" { contended jump; }

@test "trap mode: no verdict on a correct program" { contended trap; }

@test "a leak is found, and its growth is what the program says" {
	for mode in jump trap; do
		# 10,000 objects of 64 bytes a second are never freed.
		start "$PROGRAMS/leaky" 60 640000
		sleep 1
		attached "$mode" "$PID" -d 10 -s 100
		stop_all
		adds_up
		json '.growth[0] | .class == "peer" and .function == "peer_remember"
			and (.bytes_per_s - 640000 | fabs) <= 3 * .error and .error < 300000
			and .bytes_per_s - .error > 0'
		# What is honest does not grow.
		json 'all(.growth[1:][]; (.bytes_per_s | fabs) <= 3 * .error)'
		json '.verdicts == [] and .objects.vanished == 0'
	done
}

# What lives is what has been made and not freed since: a cache of 512, and 150 ms of requests.
live_now() {
	holds '.classes[] | select(.class == "cache") | .estimated.live' 512
	json '.objects.vanished == 0 and .objects.unknown == 0 and .events.by_kind.drop == .objects.dropped'
}

@test "one tool after another: nothing of what the first followed is followed by the next" {
	start "$PROGRAMS/leaky" 60 640 10000000
	sleep 0.5
	for mode in jump trap jump; do
		attached "$mode" "$PID" -d 2 -s 2
		adds_up
		live_now
		attached "$mode" "$PID" -d 1 -s 20
		adds_up
		json '.objects.unknown == 0 and .events.by_kind.drop == .objects.dropped'
		attached "$mode" "$PID" -d 1 --sample-bytes=10K
		adds_up
	done
}

@test "without, with and again without sampling" {
	counted 4 20000 60
	sleep 0.4
	for mode in jump trap; do
		attached "$mode" "$PID" -d 0.5
		json '.objects.estimated == null and (.events.by_kind | .new - .drop | fabs) <= 4'
		attached "$mode" "$PID" -d 0.5 -s 10
		adds_up
		whole_lives 4
		json '.events.by_kind | .new * 5 < .region_enter'
	done
	enough "$PID"
	rm -f "$BATS_TEST_TMPDIR"/log.*
	counted 4 20000 60
	sleep 0.4
	attached jump "$PID" -d 0.5 -s 10
	attached jump "$PID" -d 0.8
	enough "$PID"
	counts_agree
}

@test "fork and exec while attached: the children's objects too" {
	for mode in jump trap; do
		for how in fork exec; do
			counted 2 5000 2 "$how"
			sleep 0.2
			attached "$mode" "$PID" -s 4
			wait "$PID" || true
			adds_up
			interval_counts
			holds .objects.estimated.created "$(jq .new "$BATS_TEST_TMPDIR/own.json")"
			counted_wrong
			# Threads end in the middle of a life; those of the new work have the same ids.
			json '.objects.vanished <= 2'
			json 'if .mode == "trap" and ('"\"$how\""' == "fork") then .processes | length == 2 else true end'
		done
	done
}

@test "-- COMMAND: lit by traps, and then by jumps" {
	ran -m trap -s 5 -- "$PROGRAMS/counted" 4 5000 1
	adds_up
	whole_lives 4
	holds .objects.estimated.created "$(jq .total.new "$OUT")"
	holds .objects.estimated.dropped "$(jq .total.drop "$OUT")"
	json '.events.by_kind.region_enter == '"$(jq .total.region_enter "$OUT")"
	# At a rate at which traps are not kept.
	ran -s 5 -- "$PROGRAMS/counted" 4 50000 2
	adds_up
	json '.mode == "jump"'
	counted_wrong
	holds .objects.estimated.created "$(jq .total.new "$OUT")"
	json '.events.by_kind.region_enter == '"$(jq .total.region_enter "$OUT")"
	# What was followed by traps is followed by jumps, but for resizes that were under way.
	json '.objects.vanished + .objects.exited <= 8'
	ran -s 2 -- "$PROGRAMS/leaky" 5 640 20000000
	adds_up
	json '.mode == "jump" and .verdicts == []'
	json '[.live_at_exit[] | select(.class == "cache") | .count] == [] or
		([.live_at_exit[] | select(.class == "cache") | .count] | add) <= 330'
}

@test "threads by the thousand, short-lived and many at once" {
	ran -m trap -s 7 -- "$PROGRAMS/threads" 1000 300 1 1
	adds_up
	holds .objects.estimated.created "$(jq .marks.new "$OUT")"
	start "$PROGRAMS/threads" 2000 300
	sleep 0.3
	attached jump "$PID" -d 3 -s 7
	kill -TERM "$PID"
	wait "$PID"
	json '.mode == "jump" and .events.written == .events.received + .events.lost and .events.received > 1000'
	json '.objects | .created + .adopted == .dropped + .vanished + .live + .exited'
}

@test "trap mode: more objects one after another than the table has room for" {
	# Each has an id of its own, which never comes again.
	ran -m trap -s 2 -f kind=new,drop -- "$PROGRAMS/counted" 4 0 6
	json '.events.lost == 0 and .events.written == .events.received and .objects.created > 150000'
	json '.objects.vanished == 0 and .objects.created - .objects.dropped <= 4'
	json '[.notes[] | select(test("found no place"))] == []'
}

@test "under --preload, by bytes: all that is allocated" {
	ran --preload -- "$PROGRAMS/preload/family" 0
	base=$(jq .objects.created "$REPORT")
	ran --preload -m trap --sample-bytes=64K -- "$PROGRAMS/preload/family" 300
	adds_up
	json '.sample_bytes == 65536 and .objects.created > 0 and .verdicts == []'
	holds .objects.estimated.created "$((base + $(jq .new "$OUT")))"
	ran --preload --sample-bytes=64 -- "$PROGRAMS/preload/family" 300
	adds_up
	holds .objects.estimated.created "$((base + $(jq .new "$OUT")))"
}

@test "trap mode: what processes have left behind makes room" {
	start timeout 120 "$TRACE" -q -m trap -s 2 --preload --format=json -o "$REPORT" -- \
		sh -c 'i=0; while [ $i -lt 400 ]; do /bin/ls / >/dev/null; i=$((i + 1)); done; echo over; exec sleep 3'
	for _ in $(seq 600); do
		grep -q over "$OUT" && break
		sleep 0.1
	done
	sleep 1
	# Other tools may have such a map, too.
	for id in $(sed -n 's/^map_id:[^0-9]*//p' "/proc/$(pgrep -P "$PID" -x bscope-trace)"/fdinfo/*); do
		[ "$(bpftool map show id "$id" -j | jq -r .name)" != followed ] || map=$id
	done
	left=$(bpftool map dump id "$map" -j | jq length)
	wait "$PID"
	json '.processes | length > 300'
	followed=$(jq .objects.exited "$REPORT")
	echo "$left of $followed are left"
	[ "$followed" -gt 1000 ] && [ "$((left * 3))" -lt "$followed" ]
}

@test "jump mode: what finds no place is said, though the process has ended, executed, or was forked" {
	cat >"$BATS_TEST_TMPDIR/leaks.c" <<-'END'
		#include <bscope/bscope.h>
		#include <sys/wait.h>
		#include <unistd.h>
		int main(int argc, char **argv)
		{
			if (argc > 2)
				return 0;
			if (*argv[1] == 'f' && fork())
				return wait(NULL) < 0;
			for (uintptr_t id = 4096; id < 4096 + 16 * 400000; id += 16) {
				BSCOPE_NEW(leak, id);
				if (id % 4096 == 0)
					usleep(100);
			}
			return *argv[1] == 'e' ? execl(argv[0], argv[0], "e", "over", NULL) : 0;
		}
	END
	cc -O1 -I"$ROOT/include" -o "$BATS_TEST_TMPDIR/leaks" "$BATS_TEST_TMPDIR/leaks.c" "$BUILD/libbscope.a" -lpthread
	for how in '' fork exec; do
		ran -s 2 -- "$BATS_TEST_TMPDIR/leaks" "$how"
		json '.mode == "jump" and .objects.vanished > 10000'
		# By the table, and by what had been followed by traps and did not come into it.
		json '([.notes[] | select(test("found no place|too many to be followed by jumps"))
			| capture("^(?<n>[0-9]+)").n | tonumber] | add) as $said
			| .objects.vanished - $said | fabs <= 2'
	done
}

@test "what begins at sites that jumps cannot light is not followed by jumps: a note says so" {
	echo '#include <bscope/bscope.h>
		void other(uintptr_t id) { BSCOPE_NEW(mixed, id); BSCOPE_DROP(mixed, id); }' >"$BATS_TEST_TMPDIR/other.c"
	echo '#include <bscope/bscope.h>
		#include <unistd.h>
		void other(uintptr_t id);
		int main(void)
		{
			for (;;) {
				BSCOPE_NEW(mixed, 4096);
				BSCOPE_DROP(mixed, 4096);
				other(8192);
				usleep(100);
			}
		}' >"$BATS_TEST_TMPDIR/mixed.c"
	cc -O1 -I"$ROOT/include" -c -DBSCOPE_NO_RUNTIME -o "$BATS_TEST_TMPDIR/other.o" "$BATS_TEST_TMPDIR/other.c"
	cc -O1 -I"$ROOT/include" -o "$BATS_TEST_TMPDIR/mixed" "$BATS_TEST_TMPDIR/mixed.c" "$BATS_TEST_TMPDIR/other.o" \
		"$BUILD/libbscope.a" -lpthread
	start "$BATS_TEST_TMPDIR/mixed"
	attached jump "$PID" -d 0.5 -s 2
	adds_up
	json '.verdicts == [] and any(.notes[]; test("what begins at 1 site lit by traps is not followed"))'
	attached jump "$PID" -d 0.5
	json 'all(.notes[]; test("is not followed") | not)'
	attached trap "$PID" -d 0.5 -s 2
	json 'all(.notes[]; test("is not followed") | not)'
}

@test "objects of signal handlers are chosen as others are" {
	cat >"$BATS_TEST_TMPDIR/handlers.c" <<-'END'
		#include <bscope/bscope.h>
		#include <signal.h>
		#include <stdio.h>
		#include <sys/time.h>
		#include <time.h>
		#include <unistd.h>
		static volatile unsigned long n;
		static void on_alarm(int sig)
		{
			(void)sig;
			BSCOPE_NEW(handler, 4096);
			BSCOPE_DROP(handler, 4096);
			n++;
		}
		int main(void)
		{
			struct itimerval often = {{0, 100}, {0, 100}}, never = {{0, 0}, {0, 0}};
			time_t end = time(NULL) + 4;
			uintptr_t id = 1 << 20;
			signal(SIGALRM, on_alarm);
			setitimer(ITIMER_REAL, &often, NULL);
			while (time(NULL) < end)
				for (int i = 0; i < 1000; i++, id += 16) {
					BSCOPE_NEW_SIZED(busy, id, 100);
					BSCOPE_DROP(busy, id);
				}
			setitimer(ITIMER_REAL, &never, NULL);
			printf("%lu\n", n);
			return 0;
		}
	END
	cc -O1 -I"$ROOT/include" -o "$BATS_TEST_TMPDIR/handlers" "$BATS_TEST_TMPDIR/handlers.c" "$BUILD/libbscope.a" -lpthread
	# One of 1,000 bytes: it was one of ten of them.
	ran --sample-bytes=1000 -- "$BATS_TEST_TMPDIR/handlers"
	json ".mode == \"jump\" and ([.classes[] | select(.class == \"handler\") | .created] | add // 0) < 20 + $(cat "$OUT") / 100"
}

@test "more classes than the table of a runtime can tell apart: by traps" {
	{
		echo '#include <bscope/bscope.h>'
		echo '#include <unistd.h>'
		echo 'int main(void) { for (int i = 0; i < 1000; i++) { usleep(20000);'
		seq 2100 | sed 's/.*/BSCOPE_NEW(c&, 4096); BSCOPE_DROP(c&, 4096);/'
		echo '} return 0; }'
	} >"$BATS_TEST_TMPDIR/many.c"
	cc -O0 -I"$ROOT/include" -o "$BATS_TEST_TMPDIR/many" "$BATS_TEST_TMPDIR/many.c" "$BUILD/libbscope.a" -lpthread
	start "$BATS_TEST_TMPDIR/many"
	run timeout 60 "$TRACE" -m jump -s 2 -p "$PID" -d 1
	echo "$output"
	[ "$status" -eq 1 ] && [[ $output = *"more than 2047 classes"* ]]
	attached auto "$PID" -s 2 -d 1
	adds_up
	json '.mode == "trap" and .objects.created > 100 and .objects.vanished == 0 and .verdicts == []'
	attached jump "$PID" -d 1
	json '.objects.created > 100'
	attached jump "$PID" -d 1 -s 2 -f class=c1
	json '.objects.created > 1 and .verdicts == []'
}

@test "threads and children that are not followed take no room, and their ends are no loss" {
	cat >"$BATS_TEST_TMPDIR/left.c" <<-'END'
		#include <bscope/bscope.h>
		#include <pthread.h>
		#include <stdlib.h>
		#include <sys/wait.h>
		#include <unistd.h>
		static void *mark(void *arg) { char *p = malloc(8); BSCOPE_NEW(buf, p); BSCOPE_DROP(buf, p); free(p); return arg; }
		static void *work(void *arg)
		{
			for (int i = 0; i < 200; i++) {
				pthread_t t;
				pid_t pid;
				pthread_create(&t, NULL, mark, NULL);
				pthread_join(t, NULL);
				if (!(pid = fork())) { mark(NULL); _exit(0); }
				waitpid(pid, NULL, 0);
			}
			return arg;
		}
		int main(void)
		{
			pthread_t t[4];
			for (int i = 0; i < 600; i++) { mark(NULL); usleep(1000); }
			for (int i = 0; i < 4; i++) pthread_create(&t[i], NULL, work, NULL);
			for (int i = 0; i < 4; i++) pthread_join(t[i], NULL);
			return 0;
		}
	END
	${CC:-cc} -O1 -pthread -I"$ROOT/include" -o "$BATS_TEST_TMPDIR/left" "$BATS_TEST_TMPDIR/left.c" "$BUILD/libbscope.a"
	ran -m jump -s 100 --buffer=1M -- "$BATS_TEST_TMPDIR/left"
	json '.mode == "jump" and .events.received > 0 and .events.lost == 0 and .verdicts == []'
}

# usage ARG...: refused, and in one line why.
usage() {
	run "$TRACE" "$@" -p 1
	echo "$*: $status: $output"
	[ "$status" -eq 64 ] && [ "${#lines[@]}" -eq 1 ] && [[ $output = bscope-trace:* ]]
}

@test "what is no sample is refused" {
	for n in 0 -1 x 1.5 1000000001 '' 10k 99999999999999999999; do
		usage "-s$n" || [ -z "$n" ]
		usage "--sample=$n"
	done
	for n in 0 -1 x '' 1025G 99999999999999999999; do
		usage "--sample-bytes=$n"
	done
	run "$TRACE" -s 10 --list --binary "$PROGRAMS/counted"
	[ "$status" -eq 64 ]
}

@test "a library that is loaded later: of what it made before it was noticed there may be any number" {
	cd "$BATS_TEST_TMPDIR"
	cat >plug.c <<-'END'
		#include <bscope/bscope.h>
		void work(long n);
		void work(long n) { for (long i = 0; i < n; i++) { BSCOPE_NEW(plug, i); BSCOPE_DROP(plug, i); } }
	END
	cat >host.c <<-'END'
		#include <bscope/bscope.h>
		#include <dlfcn.h>
		#include <unistd.h>
		int main(void)
		{
			for (long i = 0; i < 25000; i++) { BSCOPE_NEW(host, i); BSCOPE_DROP(host, i); }
			usleep(300000);
			void *h = dlopen("./plug.so", RTLD_NOW);
			if (!h) return 1;
			void (*work)(long) = (void (*)(long))dlsym(h, "work");
			work(50000);
			sleep(1);
			work(10000);
			usleep(300000);
			return 0;
		}
	END
	${CC:-cc} -O1 -fPIC -shared -I"$ROOT/include" -o plug.so plug.c -L"$BUILD" -lbscope -Wl,-rpath,"$BUILD"
	${CC:-cc} -O1 -I"$ROOT/include" -o host host.c -L"$BUILD" -lbscope -Wl,-rpath,"$BUILD" -ldl
	for mode in auto trap; do
		"$TRACE" -q -m "$mode" -s 10 --format=json -o report.json -- ./host
		json '[.classes[] | select(.class == "plug").estimated.created][0] | .low < 60000 and .high == null'
	done
}
