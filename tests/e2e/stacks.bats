#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# Stacks of events, and the flamegraphs that are made of them: against programs whose call trees and
# costs are known.

load common

setup() {
	need_bpf
	cd "$BATS_TEST_TMPDIR"
}

teardown() {
	stop_all
	if [ -e probed ]; then perf probe -q -d 'sdt_bscope:*' || true; fi
	if [ -e mounted ]; then umount /sys/kernel/tracing; fi
}

# wait_for PATTERN FILE: up to ten seconds.
wait_for() {
	for _ in $(seq 500); do
		grep -q "$1" "$2" 2>/dev/null && return 0
		sleep 0.02
	done
	cat "$2"
	return 1
}

# start_tree PROGRAM ROUNDS: it waits for its signal then.
start_tree() {
	rm -f "$BATS_TEST_TMPDIR/err"
	start "$PROGRAMS/$1" "$2"
	wait_for ready "$BATS_TEST_TMPDIR/err"
}

# tree PROGRAM ARG...: runs it for 400 rounds from when it is attached to; what it says is in truth,
# what bscope-trace says in o.folded, o.svg and report.json.
tree() {
	local program=$1 tracer
	shift
	start_tree "$program" 400
	"$TRACE" -p "$PID" --stacks --folded=o.folded --flame=o.svg --format=json -o report.json "$@" \
		2>messages 3>&- &
	tracer=$!
	STARTED="$STARTED $tracer"
	wait_for attached messages
	[ -z "${NAP-}" ] || kill -STOP "$tracer"
	kill -USR1 "$PID"
	sleep "${NAP-0}"
	kill -CONT "$tracer"
	kill -TERM "$PID"
	wait "$PID"
	mv "$OUT" truth
	if ! wait "$tracer"; then
		cat messages
		return 1
	fi
}

# widths COLUMN POINTS: the share of each path in o.folded is that of the column in truth, within so
# many points; and there is nothing else in it.
widths() {
	awk -v column="$1" -v points="$2" '
		NR == FNR { want[$1] = $column; all += $column; next }
		{
			value = $NF
			sub(/ [0-9]+$/, "")
			n = split($0, frames, ";")
			path = ""
			for (i = 1; i <= n && frames[i] != "main"; i++)
				;
			for (i++; i < n; i++) {
				name = frames[i]
				# As the linker has them, or as people read them.
				if (name ~ /^_ZL?[0-9]/) {
					sub(/^_ZL?[0-9]+/, "", name)
					sub(/[vm]$/, "", name)
				}
				sub(/\(.*/, "", name)
				path = path (path ? ";" : "") name
			}
			if (frames[n] != "[tree]" || !(path in want)) {
				print "not known: " $0
				bad = 1
			}
			got[path] += value
			sum += value
		}
		END {
			for (path in want) {
				w = all ? 100 * want[path] / all : 0
				g = sum ? 100 * got[path] / sum : 0
				printf "%-20s %7.3f %% of the truth, %7.3f %% of the graph\n", path, w, g
				if (g - w > points || w - g > points)
					bad = 1
			}
			exit bad || !sum
		}' truth o.folded
}

# All events of the kind have their stack, or are counted as having none.
stacks_agree() {
	json '.events.written == .events.received + .events.lost
		and .stacks.taken + .stacks.missing == .events.by_kind.new
		and .stacks.truncated == 0 and .stacks.broken == 0' report.json
}

# one PROGRAM MODE WEIGHT COLUMN
one() {
	echo "$1 -m $2 --weight=$3"
	tree "$1" -m "$2" --weight="$3"
	widths "$4" 2
	stacks_agree
	json '.mode == "'"$2"'" and .events.lost == 0 and .events.by_kind.new == 40000
		and .stacks.missing == 0 and .stacks.no_event == 0 and .stacks.distinct == 4
		and .stacks.ns_per_stack > 0' report.json
	"$ROOT/tests/validate-json" "$ROOT/tools/render/bscope-report-1.schema.json" report.json
}

@test "gcc, jumps: widths are the truth" {
	one tree jump events 2
	one tree jump live 3
	one tree jump live-bytes 4
	one tree jump lifetime 5
}

@test "gcc, traps: widths are the truth" {
	one tree trap events 2
	one tree trap live 3
	one tree trap live-bytes 4
	one tree trap lifetime 5
}

@test "clang: widths are the truth" {
	one tree-clang jump live-bytes 4
	one tree-clang jump lifetime 5
	one tree-clang trap events 2
	one tree-clang trap live 3
}

@test "C++: widths are the truth" {
	one tree-cxx jump events 2
	one tree-cxx jump live 3
	one tree-cxx trap live-bytes 4
	one tree-cxx trap lifetime 5
}

@test "with coarse stamps the same" {
	tree tree -m jump --clock=coarse --weight=live-bytes
	widths 4 2
	stacks_agree
}

@test "with sampling, widths are estimates" {
	tree tree -m jump -s 5 --weight=events
	widths 2 3
	json '.events.by_kind.new < 10000 and .stacks.taken == .events.by_kind.new' report.json
	grep -q 'estimates' o.svg
	# Scaled: some 40,000.
	awk '{ sum += $NF } END { exit !(sum > 36000 && sum < 44000) }' o.folded
	tree tree -m trap -s 5 --weight=live-bytes
	widths 4 6
	stacks_agree
}

@test "a command, from traps to jumps" {
	TREE_AT_ONCE=1 "$TRACE" --stacks --folded=o.folded --flame=o.svg --weight=live-bytes \
		--format=json -o report.json -- "$PROGRAMS/tree" 1000 >truth
	widths 4 2
	stacks_agree
	# Changed to jumps while it ran, if the machine was quick enough.
	jq -r .mode report.json
	json '.stacks.missing == 0 and .objects.live == 0' report.json
}

@test "with too small a ring stacks are lost, and none goes to a wrong event" {
	# The tool is asleep for a while: too short, and nothing is lost; too long, and everything is.
	local some='.stacks.missing > 0 and .stacks.lost > 0 and .events.received > 1000' nap
	for nap in 0.01 0.02 0.03 0.05 0.08 0.12 0.2 0.4; do
		NAP=$nap tree tree -m jump --buffer=64K --weight=events || continue
		! jq -e "$some" report.json >/dev/null || break
	done
	jq -c '.events | {written, received, lost}' report.json
	jq -c .stacks report.json
	stacks_agree
	json "$some" report.json
	grep -v '^\[no stack\];leaf_[a-e]* (.*tree.c:[0-9]*);\[tree\] [0-9]*$' o.folded >joined
	mv joined o.folded
	# What is shown is of the known paths: nothing was put together that does not belong together.
	widths 2 100
	NAP=1 tree tree -m trap --buffer=64K --weight=events
	stacks_agree
	json '.stacks.missing == 0 and .events.lost > 0' report.json
}

@test "stacks of other kinds" {
	tree tree -m jump --stacks=drop --weight=events
	jq -c .stacks report.json
	json '.stacks.taken == .events.by_kind.new + .events.by_kind.drop and .stacks.missing == 0' report.json
	awk '/;main;run;(drop[^;]*;)?\[tree drop\] / { sum += $NF } END { print sum }' o.folded >drops
	[ "$(cat drops)" = "$(jq .events.by_kind.drop report.json)" ]
}

@test "without stacks: by class, site and caller" {
	start_tree tree 100
	"$TRACE" -p "$PID" -d 1 --folded=o.folded --weight=events --format=json -o report.json \
		2>messages 3>&- &
	tracer=$!
	wait_for attached messages
	kill -USR1 "$PID"
	wait "$tracer"
	grep -Eq '^tree;leaf_ab \(.*tree.c:[0-9]+\) 5000$' o.folded
	grep -Eq '^tree;leaf_e \(.*tree.c:[0-9]+\) 500$' o.folded
	json 'has("stacks") | not' report.json
}

# picture_intact FILE...: they are XML, and have no element that we did not make, no script that we did
# not write, no byte that a terminal acts on; and "alert(1)" is there, as text.
picture_intact() {
	python3 - "$@" <<-'EOF'
		import sys, xml.etree.ElementTree as e
		for name in sys.argv[1:]:
		    tree = e.parse(name)
		    tags = {t.tag.split("}")[1] for t in tree.iter()}
		    assert tags <= {"svg", "style", "script", "title", "rect", "text", "g", "metadata"}, tags
		    assert not any(len(t) for t in tree.iter() if t.tag.endswith("}metadata"))
		    scripts = [t for t in tree.iter() if t.tag.endswith("}script")]
		    assert len(scripts) == 1 and "alert(1)" not in scripts[0].text
		    text = "".join(tree.getroot().itertext())
		    assert "\x1b" not in text and "alert(1)" in text, name
	EOF
	text_intact "$@"
}

# text_intact FILE...: UTF-8, and nothing that a terminal acts on or that turns text round.
text_intact() {
	local file
	for file; do
		LC_ALL=C no grep -qP '[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80\xae' "$file"
		iconv -f UTF-8 -t UTF-8 "$file" >/dev/null
	done
}

@test "hostile names leave picture, stacks, report and terminal intact" {
	for mode in jump trap; do
		"$TRACE" -m "$mode" --stacks --folded=o.folded --flame=o.svg --weight=events -f kind=new \
			--format=json -o report.json -- "$PROGRAMS/hostile" 2>messages
		# One stack, one line, and what a folded file means is unchanged.
		[ "$(wc -l <o.folded)" = 1 ]
		[ "$(sed 's/.* //' o.folded)" = 100 ]
		[ "$(awk -F';' '{ print NF }' o.folded)" -ge 5 ]
		grep -q '^<i>"' o.folded
		grep -q ';main;' o.folded
		LC_ALL=C no grep -q '[[:cntrl:]]' o.folded
		text_intact o.folded
		"$FLAME" o.folded >again.svg
		picture_intact o.svg again.svg
		jq -e '.stacks.taken == 100' report.json
		"$ROOT/tests/validate-json" "$ROOT/tools/render/bscope-report-1.schema.json" report.json
		"$TRACE" --stacks -m "$mode" -- "$PROGRAMS/hostile" >text 2>&1
		text_intact text
	done
}

@test "under the preload library the caller of malloc is there" {
	cat >keep.c <<-'EOF'
		#include <stdlib.h>
		#include <unistd.h>
		void *volatile kept[1000];
		__attribute__((noinline)) void keep(int i) { kept[i] = malloc(1000); }
		__attribute__((noinline)) void some(int i) { keep(i); __asm__ volatile("" ::: "memory"); }
		__attribute__((noinline)) void other(int i) { kept[i] = calloc(1, 500); __asm__ volatile(""); }
		int main(void) { for (int i = 0; i < 1000; i++) i % 4 ? some(i) : other(i); usleep(300000); return 0; }
	EOF
	${CC:-cc} -O2 -fno-omit-frame-pointer -fno-optimize-sibling-calls -o keep keep.c
	"$TRACE" --preload --stacks --folded=o.folded --flame=o.svg --format=json -o report.json -- ./keep
	cat o.folded
	"$TRACE" --preload --stacks -- ./keep >text
	grep -q '^  stacks   1,0[0-9][0-9] taken, ' text
	grep -Eq '^keep;.*;main;some;keep;malloc;\[malloc\] 750000$' o.folded
	grep -Eq '^keep;.*;main;other;calloc;\[malloc\] 125000$' o.folded
	# And the report names it as without stacks.
	json '[.origins[] | select(.caller | startswith("keep+0x"))] | length == 1 and .[0].created == 750' report.json
}

@test "redis-server, unmodified" {
	mkdir r
	start env LD_PRELOAD="$BUILD/libbscope-preload.so" redis-server --port 0 --unixsocket "$PWD/r/s" \
		--dir "$PWD/r" --save '' --appendonly no
	until redis-cli -s r/s ping 2>/dev/null | grep -q PONG; do sleep 0.05; done
	"$TRACE" -p "$PID" -d 3 --stacks --flame=o.svg --folded=o.folded --weight=live-bytes \
		--format=json -o report.json 2>messages &
	tracer=$!
	wait_for attached messages
	redis-benchmark -s r/s -q -t set -n 20000 -r 100000 -d 200 >/dev/null
	wait "$tracer"
	python3 -c 'import sys, xml.etree.ElementTree as e; e.parse(sys.argv[1])' o.svg
	jq -c '.events | {written, received, lost}' report.json
	jq -c .stacks report.json
	json '.stacks.taken > 10000 and .stacks.taken + .stacks.missing == .events.by_kind.new
		and .events.written == .events.received + .events.lost' report.json
	grep -q '^redis-server;.*;malloc;\[malloc\] [0-9]*$' o.folded
	"$ROOT/tests/validate-json" "$ROOT/tools/render/bscope-report-1.schema.json" report.json
	redis-cli -s r/s shutdown nosave || true
	wait "$PID"
}

# dwarf_one PROGRAM MODE WEIGHT COLUMN
dwarf_one() {
	echo "$1 -m $2 --weight=$3"
	# Enough for these, and so little that all of them fit into the ring.
	tree "$1" -m "$2" --weight="$3" --call-graph=dwarf --stack-size=1024
	widths "$4" 2
	stacks_agree
	json '.mode == "'"$2"'" and .events.lost == 0 and .events.by_kind.new == 40000
		and .stacks.missing == 0 and .stacks.no_event == 0 and .stacks.distinct == 4
		and .stacks.call_graph == "dwarf" and .stacks.stack_size == 1024' report.json
	# To where the program begins.
	awk -F';' '$2 != "_start" { exit 1 }' o.folded
	"$ROOT/tests/validate-json" "$ROOT/tools/render/bscope-report-1.schema.json" report.json
}

@test "without frame pointers, by call frame information: widths are the truth" {
	dwarf_one tree-omit-gcc jump events 2
	dwarf_one tree-omit-gcc trap live-bytes 4
	dwarf_one tree-omit-clang jump live-bytes 4
	dwarf_one tree-omit-clang trap events 2
	dwarf_one tree-omit-cxx jump live 3
	dwarf_one tree-omit-static jump lifetime 5
	# These have none indeed.
	tree tree-omit-gcc -m jump --weight=events
	if widths 2 2; then return 1; fi
}

@test "stacks that are longer than what is copied are truncated, and say so" {
	tree tree-omit-gcc -m jump --call-graph=dwarf --stack-size=256 --weight=events
	jq -c .stacks report.json
	json '.stacks.truncated == .stacks.taken and .stacks.taken == 40000
		and .stacks.broken == 0 and .stacks.stack_size == 256' report.json
	# Innermost frames are right, and no other is there.
	awk '{ sub(/ [0-9]+$/, "") }
		!/^tree-omit-gcc;\[truncated\];.*leaf_(ab|ac|d|e);\[tree\]$/ || /;_start;/ { print; bad = 1 }
		END { exit bad }' o.folded
	grep -q ';run;a;b;leaf_ab;' o.folded
	grep -q 'truncated 40000' o.svg
	TREE_AT_ONCE=1 "$TRACE" --stacks --call-graph=dwarf --stack-size=256 -o text \
		-- "$PROGRAMS/tree-omit-gcc" 10 >truth
	tr -s ' \n' ' ' <text | grep '; 1,000 truncated, deeper than what was copied of them'
}

@test "code without call frame information breaks stacks off, and they say so" {
	gcc -std=gnu11 -I"$ROOT/include" -O2 -fomit-frame-pointer -fno-asynchronous-unwind-tables \
		-o none "$ROOT/tests/programs/tree.c" "$BUILD/libbscope.a" -lpthread
	TREE_AT_ONCE=1 "$TRACE" --stacks --call-graph=dwarf --folded=o.folded --weight=events \
		--format=json -o report.json -- ./none 25 >truth
	jq -c .stacks report.json
	json '.stacks.stack_size == 16384' report.json
	json '.stacks.broken == .stacks.taken and .stacks.taken == 2500' report.json
	awk '!/^none;\[broken\];leaf_(ab|ac|d|e);\[tree\] / { print; bad = 1 } END { exit bad }' o.folded
}

@test "who reads call frame information stands still: events go on, stacks end early and say why" {
	start_tree tree-omit-gcc 400
	"$TRACE" -p "$PID" --stacks --call-graph=dwarf --stack-size=1024 --format=json \
		-o report.json 2>messages 3>&- &
	tracer=$!
	STARTED="$STARTED $tracer"
	wait_for attached messages
	kill -STOP "$(pgrep -P "$tracer" -x bscope-cfi)"
	kill -USR1 "$PID"
	kill -TERM "$PID"
	wait "$PID"
	wait "$tracer"
	jq -c '.stacks, .notes' report.json
	json '.events.by_kind.new == 40000 and .events.lost == 0 and .stacks.missing == 0
		and .stacks.broken > 0
		and (.notes | any(test("[0-9]+ stacks? end early, since the process that reads call")))' \
		report.json
}

@test "redis-server, unmodified, by call frame information: stacks reach main" {
	mkdir r
	start env LD_PRELOAD="$BUILD/libbscope-preload.so" redis-server --port 0 --unixsocket "$PWD/r/s" \
		--dir "$PWD/r" --save '' --appendonly no
	until redis-cli -s r/s ping 2>/dev/null | grep -q PONG; do sleep 0.05; done
	"$TRACE" -p "$PID" -d 3 -s 50 --stacks --call-graph=dwarf --folded=o.folded --weight=events \
		--format=json -o report.json 2>messages &
	tracer=$!
	wait_for attached messages
	redis-benchmark -s r/s -q -t set -n 20000 -r 100000 -d 200 >/dev/null
	wait "$tracer"
	jq -c .stacks report.json
	json '.stacks.taken > 500 and .stacks.truncated == 0 and .stacks.broken == 0
		and .stacks.missing == 0 and (.notes | all(contains("was lost") | not))' report.json
	# All of them: the server's own thread, which starts at _start.
	awk '!/^redis-server;_start;.*;main;aeMain;.*malloc|^redis-server;_start;.*;main;aeMain;.*calloc/ { print; bad = 1 }
		END { exit bad }' o.folded
	redis-cli -s r/s shutdown nosave || true
	wait "$PID"
}

# Sites in functions that are inlined, and calls from such.
inlined_source() {
	cat <<-'EOF'
		#include <signal.h>
		#include <stdint.h>
		#include <unistd.h>
		#include <bscope/bscope.h>
		#define INLINE static inline __attribute__((always_inline))
		#define APART  __attribute__((noinline))
		/* What calls nothing has no frame of its own. */
		APART void nothing(void) { __asm__ volatile(""); }
		INLINE void mark(uintptr_t id) { BSCOPE_NEW_SIZED(thing, id, 16); }
		INLINE void init(uintptr_t id) { mark(id); }
		APART void make(uintptr_t id) { nothing(); init(id); __asm__ volatile(""); }
		INLINE void wrap(uintptr_t id) { make(id); __asm__ volatile(""); }
		INLINE void twice(uintptr_t id) { wrap(id); __asm__ volatile(""); }
		APART void work(uintptr_t id) { twice(id); __asm__ volatile(""); }
		APART void bare(uintptr_t id) { nothing(); mark(id); __asm__ volatile(""); }
		int main(void)
		{
			sigset_t set;
			int sig;
			sigemptyset(&set);
			sigaddset(&set, SIGUSR1);
			sigprocmask(SIG_BLOCK, &set, 0);
			if (write(2, "ready\n", 6) == 6)
				sigwait(&set, &sig);
			for (uintptr_t i = 1; i <= 100; i++) {
				work(16 * i);
				if (i % 4 == 0)
					bare(16 * i + 8);
			}
			usleep(300000);
			return 0;
		}
	EOF
}

# inlined ARG...: traces the program until it ends.
inlined() {
	local tracer
	rm -f err o.* report.*
	start ./inlined
	wait_for ready err
	"$TRACE" -p "$PID" --weight=events --folded=o.folded --flame=o.svg "$@" 2>messages 3>&- &
	tracer=$!
	STARTED="$STARTED $tracer"
	wait_for attached messages
	kill -USR1 "$PID"
	wait "$tracer"
	cat o.folded
}

@test "inlined functions have frames of their own, those of the site's function among them" {
	inlined_source >inlined.c
	for cc in "${CC:-cc}" "${CLANG:-clang}"; do
		for how in fp dwarf; do
			$cc -std=gnu11 -I"$ROOT/include" -O2 -g $(flags_for $how) -o inlined inlined.c \
				"$BUILD/libbscope.a" -lpthread
			for mode in jump trap; do
				echo "$cc $how $mode"
				inlined -m $mode --stacks --call-graph=$how --format=json -o report.json
				sed 's/^inlined;.*;main;/main;/' o.folded >got
				cat >want <<-'EOF'
					main;bare;mark_[i];[thing] 25
					main;work;twice_[i];wrap_[i];make;init_[i];mark_[i];[thing] 100
				EOF
				cmp got want
				grep -q '<title>wrap_\[i\]$' o.svg
				json '.stacks.distinct == 2 and .stacks.taken == 125'
			done
		done
	done
}

@test "without stacks the caller's inlined functions have frames, too, from the site outwards" {
	cat >keep.c <<-'EOF'
		#include <stdlib.h>
		#include <unistd.h>
		void *volatile kept[1000];
		static inline __attribute__((always_inline)) void *get(size_t n) { return malloc(n); }
		__attribute__((noinline)) void keep(int i) { kept[i] = get(1000); }
		int main(void) { for (int i = 0; i < 1000; i++) keep(i); usleep(300000); return 0; }
	EOF
	${CC:-cc} -O2 -g -o keep keep.c
	"$TRACE" --preload --folded=o.folded --weight=events -q -o report.txt -- ./keep
	cat o.folded
	grep -Eq '^malloc;malloc[^;]*;get_\[i\];keep 1000$' o.folded
	# In the report it is the function, at the line of the call.
	grep -q 'keep at keep.c:5' report.txt
}

# What a program is built with for either way of unwinding.
flags_for() {
	case $1 in
	fp) echo -fno-omit-frame-pointer -fno-optimize-sibling-calls ;;
	dwarf) echo -fomit-frame-pointer ;;
	esac
}

# hostile_source: a program, and with -DLIBRARY a library that it loads, whose functions and file get
# their names when they are built.  Makes 500 objects in each, works for a while in both.
hostile_source() {
	cat <<-'EOF'
		#include <dlfcn.h>
		#include <stdint.h>
		#include <stdio.h>
		#include <unistd.h>
		#include <bscope/bscope.h>
		#define INLINE static inline __attribute__((always_inline))
		#define APART  __attribute__((noinline))
		#define BEHIND __asm__ volatile("")
		APART static void nothing(void) { BEHIND; }
		INLINE void name_of_inlined_with_the_site_________________________(uintptr_t id)
		{
			BSCOPE_NEW_SIZED(thing, id, 16);
			/* All of the time goes by here, so that samples are. */
			for (volatile int i = 0; i < 200000; i++)
				;
		}
		APART void name_of_function_with_the_site________________________(uintptr_t id)
		{
			nothing();
			name_of_inlined_with_the_site_________________________(id);
		}
		INLINE void name_of_inlined_caller________________________________(uintptr_t id)
		{
			name_of_function_with_the_site________________________(id);
			BEHIND;
		}
		APART void name_of_caller________________________________________(uintptr_t id)
		{
			name_of_inlined_caller________________________________(id);
			BEHIND;
		}
		#ifdef LIBRARY
		#define make there
		#endif
		#ifdef __cplusplus
		extern "C"
		#endif
		__attribute__((visibility("default"), noinline)) void make(uintptr_t id);
		void make(uintptr_t id)
		{
			name_of_caller________________________________________(id);
			BEHIND;
		}
		#ifndef LIBRARY
		int main(int argc, char **argv)
		{
			void *library = dlopen(argv[argc - 1], RTLD_NOW);
			void (*other)(uintptr_t) = library ? (void (*)(uintptr_t))dlsym(library, "there") : 0;
			if (!other)
				return puts(dlerror());
			usleep(1500000);
			for (uintptr_t i = 1; i <= 500; i++) {
				make(32 * i);
				other(32 * i + 16);
			}
			usleep(300000);
			return 0;
		}
		#endif
	EOF
}

# Markup, quotes, what separates frames and values, control characters, invalid UTF-8, right to left.
# The kernel's short name of the process is the first 15 bytes.
EVIL=$'<i>";\n\e[7m\xff&`\'\\ 7\r\t\xc2\x9b1m\e]0;x\a]]>\xe2\x80\xae--><script>alert(1) #%s'

# hostile_build COMPILER OPTION...: "$EVIL/$EVIL" and the library beside it, compiled in that folder.
hostile_build() {
	mkdir -p "$EVIL"
	hostile_source >"$EVIL/name_of_source_file____________________.c"
	(
		cd "$EVIL"
		"$@" -I"$ROOT/include" -O2 -o "$EVIL" name_of_source_file____________________.c \
			-x none "$BUILD/libbscope.a" -ldl -lpthread
		"$@" -I"$ROOT/include" -O2 -DLIBRARY -fPIC -shared -fvisibility=hidden -o "$EVIL.so" \
			name_of_source_file____________________.c -x none "$BUILD/libbscope.a" -lpthread
		# As long as the names were, in symbols, debug information and records of sites.
		perl -0pi -e '
			sub as_long { substr($_[1] . "x" x 99, 0, length $_[0]) }
			s{name_of_inlined_with_the_site_+}{as_long($&, "</title><script>alert(1)</script>\n#")}ge;
			s{name_of_function_with_the_site_+}{as_long($&, "f<g>&\"\x27;\\ 9\n\e[35m\xff\e]0;y\a]]>\xe2\x80\xae")}ge;
			s{name_of_inlined_caller_+}{as_long($&, "--><b>\r\t\x01\x7f\xc0\x80\xed\xa0\x80 5\n")}ge;
			s{name_of_caller_+}{as_long($&, "`;\$(id)\e[2J\xc2\x9b2J\xf4\x90\x80\x80%n&#10;")}ge;
			s{name_of_source_file_+\.c}{as_long($&, "s<u>\";\n\e[5m\xfe.c")}ge;
		' "$EVIL" "$EVIL.so"
	)
	no grep -q name_of_ "$EVIL/$EVIL" "$EVIL/$EVIL.so"
}

# hostile_intact DISTINCT OPTION...: all outputs of a trace of it; so many lines in the folded file.
hostile_intact() {
	local distinct=$1 format
	shift
	echo "$*"
	"$TRACE" --stacks --folded=o.folded --flame=o.svg --overhead=cpu.svg --weight=events --format=json \
		-o report.json "$@" -- "$EVIL/$EVIL" "$EVIL/$EVIL.so" 2>messages || { cat -v messages; return 1; }
	json '.stacks.taken == 1000 and .stacks.missing == 0 and .overhead.sampled.samples > 20'
	"$ROOT/tests/validate-json" "$ROOT/tools/render/bscope-report-1.schema.json" report.json
	cat -v o.folded
	[ "$(wc -l <o.folded)" = "$distinct" ]
	awk '!/ [0-9]+$/ { exit 1 } { sum += $NF } END { exit sum != 1000 }' o.folded
	"$FLAME" o.folded >again.svg
	"$FLAME" --folded o.folded | cmp - o.folded
	picture_intact o.svg again.svg
	text_intact o.folded cpu.svg messages report.json
	"$TRACE" --stacks "$@" -- "$EVIL/$EVIL" "$EVIL/$EVIL.so" >text 2>&1
	grep -q '^By site' text
	text_intact text
	for format in text json; do
		"$TRACE" -l --binary="$EVIL/$EVIL.so" --format=$format >list
		text_intact list
	done
	"$ROOT/tests/validate-json" "$ROOT/tools/render/bscope-sites-1.schema.json" list
}

@test "hostile names in debug information, of files, folders and libraries leave all of it intact" {
	hostile_build "${CC:-cc}" -std=gnu11 -g -fno-omit-frame-pointer
	for mode in jump trap; do
		for how in fp dwarf; do
			hostile_intact 2 -m $mode --call-graph=$how
			picture_intact cpu.svg
			# The inlined ones among them: debug information was read.
			[ "$(grep -c '^<i>"\\x3b\\x0a\\x1b\[7m\\xff&`.*;<\/title><script>alert(1)<\/script>\\x0a#x*_\[i\];\[thing\] 500$' o.folded)" = 2 ]
			grep -q '<title>--&gt;&lt;b&gt;.*_\[i\]$' cpu.svg
		done
	done
}

@test "hostile names as C++ mangles them, and of stripped files, do as well" {
	hostile_build "${CXX:-g++}" -x c++ -g -fno-omit-frame-pointer
	readelf --debug-dump=info "$EVIL/$EVIL" | grep -q 'DW_AT_linkage_name.*: _Z[0-9]*f<g>'
	hostile_intact 2 -m jump --call-graph=fp
	picture_intact cpu.svg
	[ "$(grep -c ';f<g>&"'\''[^;]*;<\/title><script>alert(1)<\/script>\\x0a#x*_\[i\];\[thing\] 500$' o.folded)" = 2 ]
	hostile_intact 2 -m trap --call-graph=dwarf
	picture_intact cpu.svg
	# They have the names of their files.
	strip -s "$EVIL/$EVIL" "$EVIL/$EVIL.so"
	hostile_intact 2 -m jump --call-graph=dwarf
	grep -q ';\[<i>"[^;]*<script>alert(1) #%s.so+0x[0-9a-f]*\];\[thing\] 500$' o.folded
	hostile_intact 2 -m trap --call-graph=fp
}

# refused PATTERN ARG...: a usage error of one line.
refused() {
	local pattern=$1 status=0
	shift
	"$TRACE" "$@" >stdout 2>stderr || status=$?
	echo "status $status: $(cat stderr)"
	[ "$status" = 64 ]
	grep -Eq -- "^bscope-trace: $pattern" stderr
	[ "$(wc -l <stderr)" = 1 ]
	[ ! -s stdout ]
}

@test "what makes no sense is refused" {
	refused '--stacks=nwe: no kind' -p 1 --stacks=nwe
	refused '--stacks=,: no kind in it' -p 1 --stacks=,
	refused '--weight=size: no such weight' -p 1 --flame=x --weight=size
	refused '--weight: of what' -p 1 --weight=live
	refused '--flame: an empty' -p 1 --flame=
	refused '--flame and --folded: two things' -p 1 --flame=x --folded=x
	refused '-o and --flame: two things' -p 1 --flame=x -o x
	refused '--call-graph=lbr: no such way: use fp or dwarf' -p 1 --stacks --call-graph=lbr
	refused '--call-graph=dwarf: of which stacks' -p 1 --call-graph=dwarf
	refused '--call-graph=fp: of which stacks' -p 1 --call-graph=fp --flame=x
	refused '--call-graph=fp: of which stacks' -l -p 1 --call-graph=fp
	refused '--stack-size is for --call-graph=dwarf' -p 1 --stacks --stack-size=1024
	for size in 0 1001 255 65536 1T x; do
		refused "--stack-size=$size: not a multiple of 8 from 256 to 65528" \
			-p 1 --stacks --call-graph=dwarf --stack-size="$size"
	done
	refused '--max-overhead does not know' -p 1 --stacks --max-overhead=1
	refused '--list prints' -l -p 1 --stacks
	[ ! -e x ]
}

@test "one file for two things is refused, by whatever names" {
	refused '--flame and --folded: two things in one file: name two: ./x$' -p 1 --flame=x --folded=./x
	refused '-o and --overhead: two things' -p 1 -o "$PWD/x" --overhead=x
	refused '--folded and --overhead: two things' -p 1 --folded=x --overhead=.//x
	[ ! -e x ]
	echo older >x
	ln x hard
	ln -s x soft
	refused '--flame and --overhead: two things' -p 1 --flame=x --overhead=soft
	refused '-o and --folded: two things' -p 1 -o hard --folded=soft
	[ "$(cat x)" = older ]
	# Standard output, too: it would lose the file that it goes to.
	status=0
	"$TRACE" -p 1 --folded=out >out 2>stderr || status=$?
	[ "$status" = 64 ]
	grep -q '^bscope-trace: standard output and --folded: two things' stderr
	# Names that are one in two directories, and a device, are fine.
	mkdir d
	start_tree tree 10
	"$TRACE" -q -p "$PID" -d 0.2 -o /dev/null --folded=y --overhead=d/y >/dev/null
	[ -e y ]
	[ -e d/y ]
	"$TRACE" -q -p "$PID" -d 0.2 -o /dev/null --folded=/dev/null >/dev/null
}

@test "a name that cannot be written fails before anything is traced; nothing is left" {
	run "$TRACE" --flame=no/such/place.svg -- "$PROGRAMS/hostile"
	[ "$status" = 1 ]
	[[ $output == "bscope-trace: no/such/place.svg: No such file or directory"* ]]
	# Nothing to draw: said, with what to do, and no file.
	mkdir empty
	start_tree tree 10
	run "$TRACE" -q -o report.txt --flame=empty/o.svg -p "$PID" -d 0.2
	[ "$status" = 1 ]
	[[ $output == "bscope-trace: --flame=empty/o.svg: nothing to draw: "* ]]
	[ -z "$(ls empty)" ]
}

@test "a second signal leaves nothing of a file that is not whole" {
	mkdir out
	start_tree tree 10
	for _ in 1 2 3 4 5; do
		: >messages
		"$TRACE" -o out/report -p "$PID" --stacks --flame=out/o.svg --folded=out/o.folded \
			2>messages 3>&- &
		tracer=$!
		wait_for attached messages
		kill -INT "$tracer"
		kill -INT "$tracer" || true
		wait "$tracer" || true
		ls out
		no compgen -G "out/o.*.*" >/dev/null
		no compgen -G "out/report.*" >/dev/null
	done
}

# fold: perf's stacks from main on, as folded stacks without process and class.
fold() {
	awk '
		function flush() {
			if (!n)
				return
			for (i = n; i > 0 && frame[i] != "main"; i--)
				;
			path = ""
			for (; i > 0; i--)
				path = path (path ? ";" : "") frame[i]
			print path
			n = 0
		}
		/^[^ \t]/ { flush(); next }
		NF >= 2 { frame[++n] = $2 }
		END { flush() }' | sort | uniq -c | awk '{ print $2, $1 }'
}

# as_perf PROGRAM MODE PERF_CALL_GRAPH OPTION...: perf and bscope-trace take stacks of the same events
# of one process, perf's uprobes first; total variation is at most 0.05, of at least 20,000 each.
as_perf() {
	local program=$1 mode=$2 how=$3 recorder tracer
	shift 3
	echo "$program -m $mode $* and perf --call-graph $how"
	need_trace_events
	if [ ! -e /sys/kernel/tracing/uprobe_events ]; then
		mount -t tracefs tracefs /sys/kernel/tracing
		touch mounted
	fi
	export HOME=$PWD # perf keeps its cache there, and looks for sites in all that is in it
	touch probed
	perf buildid-cache --add "$PROGRAMS/$program"
	# Of a run that was killed.
	perf probe -q -d 'sdt_bscope:*' 2>/dev/null || true
	perf probe -q sdt_bscope:new
	rm -f perf.data
	start_tree "$program" 400
	# Enough for all that is copied of stacks.
	perf record -q -m 128M -e 'sdt_bscope:new*' --call-graph "$how" -p "$PID" -o perf.data \
		2>perf.err 3>&- &
	recorder=$!
	STARTED="$STARTED $recorder"
	"$TRACE" -m "$mode" -p "$PID" --stacks --folded=o.folded --weight=events --format=json \
		-o report.json "$@" 2>messages 3>&- &
	tracer=$!
	STARTED="$STARTED $tracer"
	wait_for attached messages
	for _ in $(seq 100); do [ -s perf.data ] && break || sleep 0.05; done
	sleep 0.5
	kill -USR1 "$PID"
	kill -TERM "$PID"
	wait "$PID" "$tracer" "$recorder"
	perf probe -q -d 'sdt_bscope:*'
	json '.mode == "'"$mode"'"'
	perf script -i perf.data -F comm,ip,sym 2>/dev/null | fold >perf.folded
	sed -E 's/^.*;(main;.*);\[tree\] /\1 /' o.folded >ours.folded
	cat perf.folded ours.folded
	awk '
		NR == FNR { a[$1] += $2; na += $2; next }
		{ b[$1] += $2; nb += $2 }
		END {
			for (s in a) all[s]
			for (s in b) all[s]
			for (s in all) { d = a[s] / na - b[s] / nb; tv += (d < 0 ? -d : d) / 2 }
			printf "%d and %d stacks, total variation %.4f\n", na, nb, tv
			exit !(na >= 20000 && nb >= 20000 && tv <= 0.05)
		}' perf.folded ours.folded
}

@test "perf's stacks of the same events in the same process are the same" {
	as_perf tree jump fp
}

@test "perf's stacks by call frame information are the same, too" {
	as_perf tree-omit-gcc jump dwarf,1024 --call-graph=dwarf --stack-size=1024
	as_perf tree-omit-gcc trap dwarf,1024 --call-graph=dwarf --stack-size=1024
	as_perf tree-omit-clang jump dwarf,1024 --call-graph=dwarf --stack-size=1024
}
