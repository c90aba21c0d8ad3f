#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# overhead_samples.bats - --overhead: samples of programs of which it is known what they do, and the
# picture.  Whether the share is true is for `make bench-overhead-share`: that takes a quiet machine.

load common
load lit

setup() {
	need_bpf
	GUARDIANS=$(guardians)
}

report() { echo "$BATS_TEST_TMPDIR/report.json"; }
picture() { echo "$BATS_TEST_TMPDIR/cpu.svg"; }
trace() { "$TRACE" -q --format=json -o "$(report)" --overhead="$(picture)" "$@"; }

# The picture is XML, and says of tracking what the report says.
whole() {
	python3 -I - "$(picture)" "$(report)" <<'PYTHON'
import json, re, sys
import xml.etree.ElementTree as tree

svg = tree.parse(sys.argv[1]).getroot()
space = "{http://www.w3.org/2000/svg}"
assert svg.tag == space + "svg", svg.tag
sampled = json.load(open(sys.argv[2]))["overhead"]["sampled"]
notes = [t.text for t in svg.iter(space + "text") if t.get("class") == "note" and t.text]
if "against without" not in svg.find(space + "title").text:
    assert int(svg.get("data-total")) == sampled["samples"], svg.get("data-total")
share = [n for n in notes if n.startswith("tracking took")]
assert len(share) == 1, notes
percent = float(re.match(r"tracking took ([0-9.]+) ", share[0])[1])
assert abs(percent - sampled["percent"]) < 0.06, (percent, sampled)
legend = [n for n in notes if n.startswith("tracking: ")]
if legend and "under" not in legend[0]:
    percent = float(re.match(r"tracking: ([0-9.]+) % of all", legend[0])[1])
    assert abs(percent - sampled["percent"]) < 0.06, (percent, sampled)
PYTHON
}

nothing_left() { [ "$(find "$BATS_TEST_TMPDIR" -name 'cpu.svg*' | wc -l)" = "${1:-0}" ]; }

# drawn NAME: there is a frame of that name.
drawn() { grep -q "<title>$1\$" "$(picture)" || { grep -A1 '<title>' "$(picture)"; return 1; }; }

# says NAME TEXT: and that begins what is said of it.
says() { grep -A1 "<title>$1\$" "$(picture)" | grep -q "^$2" || { grep -A1 '<title>' "$(picture)"; return 1; }; }

@test "nothing but marks, by jumps: nearly all is tracking, in the functions that made them" {
	trace -m jump -- "$PROGRAMS/busy" marks 2
	json '.mode == "jump" and .overhead.sampled.hz == 997 and .overhead.sampled.lost == 0'
	json '.overhead.sampled | .samples > 300 and .percent > 80 and .error < 12'
	json '.overhead.sampled | .ns_per_sample > 0 and .sampling_percent > 0'
	whole
	drawn '\[stub\]'
	drawn marks
	"$ROOT/tests/validate-json" "$ROOT/tools/render/bscope-report-1.schema.json" "$(report)"
}

@test "nothing but marks, by traps: nearly all is tracking" {
	trace -m trap -- "$PROGRAMS/busy" marks 2
	json '.mode == "trap" and (.overhead.sampled | .samples > 300 and .percent > 95)'
	whole
	drawn '\[trap\]'
	drawn marks
}

# parent NAME: what frames of that name stand on.
parent() {
	python3 -I - "$(picture)" "$1" <<'PYTHON'
import sys
import xml.etree.ElementTree as tree

space = "{http://www.w3.org/2000/svg}"
frames = []
for g in tree.parse(sys.argv[1]).iter(space + "g"):
    if (g.get("class") or "").split()[:1] == ["f"]:
        name = g.find(space + "title").text.split("\n")[0]
        frames.append((name, int(g.get("data-s")), int(g.get("data-v")), int(g.get("data-d"))))
print("\n".join(sorted({below[0] for name, s, v, d in frames if name == sys.argv[2]
                        for below in frames
                        if below[3] == d - 1 and below[1] <= s < below[1] + below[2]})))
PYTHON
}

# kernel WORD CLASS: how many frames of the kernel with it in their names are of that class: m
# tracking, w not.
kernel() {
	grep -A1 "<title>[a-z0-9_.]*$1[a-z0-9_.]*_\\[k\\]\$" "$(picture)" | grep -c "rect class=\"$2" || true
}

@test "stacks of marks, by jumps: their trap is tracking, in the function that made them" {
	for how in fp dwarf; do
		trace -m jump --stacks=use,retain,release --call-graph=$how -- "$PROGRAMS/busy" marks 2
		json '.mode == "jump" and .stacks.taken > 1000'
		json '.overhead.sampled | .samples > 300 and .percent > 90'
		whole
		# The runtime's function that has bscope:stack, and its trap in the kernel.
		drawn stack
		parent stack
		[ "$(parent stack)" = marks ]
		[ "$(kernel uprobe_notify m)" -gt 0 ]
		[ "$(kernel uprobe_notify w)" = 0 ]
	done
}

@test "inlined functions have frames of their own, that of the site among them" {
	cat >"$BATS_TEST_TMPDIR/spin.c" <<-'END'
		#include <bscope/bscope.h>
		#define INLINE static inline __attribute__((always_inline))
		INLINE void mark(unsigned long id) { BSCOPE_USE(thing, id, 0); }
		INLINE void pair(unsigned long id) { mark(id), mark(id + 1); }
		__attribute__((noinline)) void spin(unsigned long n) { while (n--) pair(n); }
		int main(void) { for (;;) spin(1000000); }
	END
	gcc -O2 -g -fno-omit-frame-pointer -I"$ROOT/include" "$BATS_TEST_TMPDIR/spin.c" \
		-o "$BATS_TEST_TMPDIR/spin" "$BUILD/libbscope.a" -lpthread
	for mode in jump trap; do
		start "$BATS_TEST_TMPDIR/spin"
		trace -m $mode -p "$PID" -d 2
		kill "$PID"
		wait "$PID" || true
		json ".mode == \"$mode\" and .overhead.sampled.samples > 20"
		whole
		for name in mark_[i] pair_[i] '[stub]' '[trap]'; do
			echo "$name: on $(parent "$name")"
		done
		[ "$(parent 'mark_[i]')" = 'pair_[i]' ]
		[ "$(parent 'pair_[i]')" = spin ]
		[ $mode = trap ] || [ "$(parent '[stub]')" = 'mark_[i]' ]
		[ $mode = jump ] || [ "$(parent '[trap]')" = 'mark_[i]' ]
	done
}

@test "stacks of marks, by traps: tracking as well" {
	trace -m trap --stacks=use,retain,release -- "$PROGRAMS/busy" marks 2
	json '.mode == "trap" and .stacks.taken > 1000'
	json '.overhead.sampled | .samples > 300 and .percent > 95'
	whole
	drawn '\[trap\]'
	[ "$(kernel uprobe_notify m)" -gt 0 ]
	[ "$(kernel uprobe_notify w)" = 0 ]
}

# Whatever else the compiler makes of record.c and entries.c would count as the program's.
@test "all of the record path is in its section" {
	objdump -t "$BUILD/runtime/record.o" "$BUILD/runtime/entries.o" | awk '$3 == "F" {
		n[$4 == "bscope_text"]++
		if ($4 != "bscope_text" && $NF != "bscope_flush") { print; bad = 1 }
	} END { exit bad || n[1] < 10 }'
}

@test "work without marks, sites lit: no sample is tracking" {
	for mode in jump trap; do
		start "$PROGRAMS/busy" work 60
		sleep 0.2
		trace -m $mode -p "$PID" -d 2
		json '.overhead.sampled | .samples > 300 and .percent == 0 and .error > 0 and .error < 2'
		whole
		drawn work
		[ "$(grep -c 'rect class="m' "$(picture)")" = 0 ]
	done
}

@test "a stripped program: the record path and the stubs are found all the same" {
	strip -o "$BATS_TEST_TMPDIR/busy" "$PROGRAMS/busy"
	trace -m jump -- "$BATS_TEST_TMPDIR/busy" marks 2
	json '.overhead.sampled | .samples > 300 and .percent > 80'
	whole
	drawn '\[stub\]'
	drawn '\[busy\]'
}

@test "malloc and free under the preload library, and a program whose name is markup" {
	cp "$PROGRAMS/leaky-plain" "$BATS_TEST_TMPDIR/<b>&\"'%s"
	trace -m jump --preload -- "$BATS_TEST_TMPDIR/<b>&\"'%s" 3 1024 104857600
	json '.overhead.sampled.samples > 10 and .command.status == 0'
	whole
}

@test "forked children are sampled as well" {
	trace -m trap -- "$PROGRAMS/counted" 2 100000 2 fork
	json '(.processes | length == 2) and (.overhead.sampled | .samples > 10 and .percent > 0)'
	whole
}

@test "children that live some milliseconds: what nobody could look at is in no share" {
	cat >"$BATS_TEST_TMPDIR/kids.c" <<-'END'
		#include <stdlib.h>
		#include <sys/wait.h>
		#include <unistd.h>
		#include <bscope/bscope.h>
		int main(void)
		{
			for (int i = 0; i < 200; i++) {
				if (!fork()) {
					for (long k = 0; k < 4000; k++)
						BSCOPE_USE(thing, k, 0);
					_exit(0);
				}
				wait(NULL);
			}
			return 0;
		}
	END
	gcc -O2 -I"$ROOT/include" "$BATS_TEST_TMPDIR/kids.c" -o "$BATS_TEST_TMPDIR/kids" "$BUILD/libbscope.a" -lpthread
	trace -m trap -- "$BATS_TEST_TMPDIR/kids"
	# They do nothing else; counted as the program's, half of the samples would say so.
	json '.overhead.sampled | .samples > 20 and .percent + .error > 75'
	json '.notes | any(test("samples are of processes that had gone.*: they are not counted"))'
	whole
}

@test "--overhead-compare, attached: what tracking added is red" {
	start "$PROGRAMS/busy" marks 60
	sleep 0.2
	trace -m jump -p "$PID" --overhead-compare=1.5 -d 1.5
	json '.duration_ns | tonumber | . > 1.4e9 and . < 5e9'
	json '.overhead.sampled | .samples > 200 and .percent > 80'
	whole
	grep -q 'Without sites lit: ' "$(picture)"
	grep -q 'class="g4".*' "$(picture)"
	# Nothing of the runtime was at work before.
	says '\[stub\]' '0 % without, '
	says all '100.0 % without, 100.0 % with, +0.00 points</title>'
	within 5 text_same "$PID"
}

@test "--overhead-compare with a COMMAND: its first seconds are without" {
	trace -m trap --overhead-compare=1 -- "$PROGRAMS/busy" marks 2.5
	json '.mode == "trap" and .command.status == 0 and .overhead.sampled.percent > 95'
	whole
	says '\[trap\]' '0 % without, '
}

@test "--overhead-compare: who ends before sites are lit" {
	run trace --overhead-compare=5 -- "$PROGRAMS/busy" work 0.2
	echo "$output"
	[ "$status" = 1 ]
	[[ $output == *"--overhead-compare=5: all processes ended before sites were lit"* ]]
	nothing_left
}

@test "Ctrl-C while it compares: nothing was lit, nothing is left, an older picture stays" {
	start "$PROGRAMS/busy" work 60
	echo older >"$(picture)"
	"$TRACE" -p "$PID" --overhead="$(picture)" --overhead-compare=60 2>"$BATS_TEST_TMPDIR/said" 3>&- &
	tool=$!
	within 10 grep -q 'sampling for 60 s' "$BATS_TEST_TMPDIR/said"
	sleep 0.5
	kill -INT "$tool"
	status=0
	wait "$tool" || status=$?
	[ "$status" = 1 ]
	grep -q 'stopped before sites were lit' "$BATS_TEST_TMPDIR/said"
	[ "$(cat "$(picture)")" = older ]
	nothing_left 1
	text_same "$PID"
	within 10 no_guardians
}

@test "Ctrl-C while it samples: report and picture are whole" {
	start "$PROGRAMS/busy" marks 60
	"$TRACE" -p "$PID" --format=json -o "$(report)" --overhead="$(picture)" 2>"$BATS_TEST_TMPDIR/said" 3>&- &
	tool=$!
	within 10 grep -q attached "$BATS_TEST_TMPDIR/said"
	sleep 1
	# Under its own name there is nothing yet.
	[ ! -e "$(picture)" ]
	kill -INT "$tool"
	wait "$tool"
	json '.overhead.sampled.samples > 50'
	whole
	nothing_left 1
	within 5 text_same "$PID"
}

@test "SIGKILL of the tool: no picture under its name, and sites are no-ops again" {
	start "$PROGRAMS/busy" marks 60
	"$TRACE" -p "$PID" --overhead="$(picture)" -o /dev/null 2>"$BATS_TEST_TMPDIR/said" 3>&- &
	tool=$!
	within 10 grep -q attached "$BATS_TEST_TMPDIR/said"
	kill -KILL "$tool"
	wait "$tool" || true
	nothing_left
	within 5 text_same "$PID"
	within 10 no_guardians
}

@test "a full disk: status 1, the older picture stays, the report comes" {
	disk=$BATS_TEST_TMPDIR/disk
	mkdir "$disk"
	mount -t tmpfs -o size=16k none "$disk"
	echo older >"$disk/cpu.svg"
	dd if=/dev/zero of="$disk/fill" bs=1k count=64 2>/dev/null || true
	status=0
	"$TRACE" -q --format=json -o "$(report)" --overhead="$disk/cpu.svg" -- "$PROGRAMS/busy" work 0.5 \
		2>"$BATS_TEST_TMPDIR/said" || status=$?
	files=$(ls "$disk") older=$(cat "$disk/cpu.svg")
	umount "$disk"
	cat "$BATS_TEST_TMPDIR/said"
	[ "$status" = 1 ]
	grep -q 'cpu.svg: No space left on device' "$BATS_TEST_TMPDIR/said"
	[ "$files" = "cpu.svg
fill" ]
	[ "$older" = older ]
	json '.overhead.sampled.samples >= 0'
}

@test "-F: as often as asked, and no oftener than the kernel allows" {
	trace -F 100 -m trap -- "$PROGRAMS/busy" work 1.5
	json '.overhead.sampled | .hz == 100 and .samples > 30 and .samples < 200'
	allowed=$(cat /proc/sys/kernel/perf_event_max_sample_rate)
	[ "$allowed" -lt 100000 ] || sysctl -qw kernel.perf_event_max_sample_rate=50000
	run trace -F 100000 -- "$PROGRAMS/busy" work 1
	[ "$allowed" -lt 100000 ] || sysctl -qw kernel.perf_event_max_sample_rate="$allowed"
	echo "$output"
	[ "$status" = 1 ]
	[[ $output == *"--frequency=100000: this kernel allows "*"sysctl kernel.perf_event_max_sample_rate=100000"* ]]
	nothing_left 1
}

@test "usage errors, before anything needs root" {
	for wrong in "-F 0" "-F x" "-F 100001" "-F 997" "--overhead-compare=5" "--overhead=" \
		"--overhead=x.svg --overhead-compare=0" "--overhead=x.svg -l" "--overhead=x -o x" \
		"--overhead=x --flame=x" "--overhead=x --folded=x"; do
		# shellcheck disable=SC2086
		run "$TRACE" $wrong -p $$
		echo "$wrong: $status $output"
		[ "$status" -eq 64 ]
		[ "${#lines[@]}" -eq 1 ]
	done
	run "$TRACE" --overhead="$BATS_TEST_TMPDIR/no/where.svg" -- true
	[ "$status" = 1 ]
	[[ $output == *"where.svg: No such file"* ]]
}
