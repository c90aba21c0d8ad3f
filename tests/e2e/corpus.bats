#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# corpus.bats - programs whose ownership errors are known: all of them are found, and nothing else.
#
# tests/corpus/NAME.c and NAME.cc are small programs that make marks, wrong ones and right ones.  No
# program really touches what it has freed: the errors are in its marks alone.  Each begins with
# wait_for_go() (common.h), where it waits for a line on its standard input, so that a tool can attach;
# then it does its work, prints nothing and exits with 0.  Marks of different threads that belong to
# one error are at least a millisecond apart, and the order of threads is forced, so that what is to
# be found is always the same.
#
# In its first comment a program says what that is, one row of the report's `verdicts` in a line:
#
#   expect: VERDICT CLASS at=@TAG since=@TAG [count=N] [thread=other] [id=0xN]
#   expect: nothing
#
# @TAG        the line that ends in the comment @TAG; @refs.h:TAG is one in that header
# count       1 if not said
# thread      whose mark `at` is: of the main thread of what was started if not said, else of any other
# id          said, and compared, where it is below 0x10000; other ids are addresses
#
# A program that exists to show that something is legal is called ok_*.

load common

CORPUS=$BUILD/tests/corpus
SOURCES=tests/corpus
setup() {
	cd "$ROOT"
	REPORT=$BATS_TEST_TMPDIR/report.json
}

source_of() { ls "$SOURCES/$1".c "$SOURCES/$1".cc 2>/dev/null; }
names() { ls "$SOURCES" | sed -nE 's/\.(c|cc)$//p'; }
names_ok() { names | grep '^ok_'; }
names_wrong() { names | grep -v '^ok_'; }

# expected NAME: what its source says, a row in a line, tags as file:line; "?..." is none.
expected() {
	awk -v program="$(source_of "$1")" '
		FNR == 1 {
			prefix = FILENAME
			sub(".*/", "", prefix)
			prefix = FILENAME == program ? "" : prefix ":"
		}
		match($0, "(/[*]|//) @[a-z_]+( [*]/)?$") {
			tag = substr($0, RSTART)
			gsub("[^a-z_]", "", tag)
			if (prefix tag in place)
				print "? tag twice: " prefix tag
			place[prefix tag] = FILENAME ":" FNR
			if (prefix == "")
				unused[tag] = 1
		}
		FILENAME == program && match($0, "^[ */]*expect: ") {
			row[n++] = substr($0, RLENGTH + 1)
		}
		END {
			for (i = 0; i < n; i++) {
				if (row[i] == "nothing" && n == 1)
					continue
				fields = split(row[i], field, " ")
				is["at"] = is["since"] = ""
				is["count"] = 1
				is["thread"] = "main"
				is["id"] = "address"
				for (f = 3; f <= fields; f++) {
					split(field[f], pair, "=")
					if (!(pair[1] in is))
						print "? what is " field[f]
					is[pair[1]] = pair[2]
				}
				for (key in is) {
					if (key != "at" && key != "since")
						continue
					tag = substr(is[key], 2)
					if (!(tag in place))
						print "? no such tag: " key "=" is[key]
					is[key] = place[tag]
					delete unused[tag]
				}
				print field[1], field[2], "at " is["at"], "since " is["since"], \
					"count " is["count"], "thread " is["thread"], "id " is["id"]
			}
			if (!n)
				print "? it does not say what to expect"
			for (tag in unused)
				print "? nobody expects @" tag
		}' "$SOURCES"/*.h "$(source_of "$1")" | sort
}

# found PID: the rows of the report in the same form.
found() {
	jq -r --argjson pid "$1" '
		if .verdicts == null then "? the report has no verdicts" else .verdicts[]
		| "\(.verdict) \(.class) at \(.at.file):\(.at.line) since \(.since.file):\(.since.line) count \(.count)"
			+ " thread \(if .thread == $pid then "main" else "other" end)"
			+ " id \(if .id | length > 6 then "address" else .id end)" end' "$REPORT" | sort
}

# agrees NAME PID MODE: the report is what the source says, lossless and of this mode.
agrees() {
	local right=0
	if ! diff "$BATS_TEST_TMPDIR/expected" "$BATS_TEST_TMPDIR/found" >"$BATS_TEST_TMPDIR/diff"; then
		echo "$(source_of "$1"), mode $3 (< expected, > found):"
		grep '^[<>]' "$BATS_TEST_TMPDIR/diff"
		jq -c '"undecided: \(.objects.undecided)", .notes' "$REPORT"
		right=1
	fi
	jq -e --arg mode "$3" '.mode == $mode and (.events | .lost == 0 and .written == .received and .received > 0)
		and all(.processes[]; .exited)' "$REPORT" >/dev/null || {
		echo "$(source_of "$1"), mode $3:"
		jq -c '.mode, .events, .processes, .notes' "$REPORT"
		right=1
	}
	if [ -s "$OUT" ]; then
		echo "$(source_of "$1"), mode $3, printed:"
		cat "$OUT"
		right=1
	fi
	return $right
}

# Whether $PID, started with this program, waits for its line.
waits() {
	local comm state rest
	read -r _ comm state rest <"/proc/$PID/stat" && [[ $comm = "(${1:0:15})" && $state = S ]]
}

# traced NAME MODE: attached while it waits, then let go.
traced() {
	local name=$1 mode=$2 tool line said='' i status wrong=0
	rm -f "$BATS_TEST_TMPDIR"/{go,said} "$REPORT"
	mkfifo "$BATS_TEST_TMPDIR/go" "$BATS_TEST_TMPDIR/said"
	OUT=$BATS_TEST_TMPDIR/out
	"$CORPUS/$name" <"$BATS_TEST_TMPDIR/go" >"$OUT" 2>&1 3>&- &
	PID=$!
	STARTED=$PID
	exec 4>"$BATS_TEST_TMPDIR/go"
	for ((i = 0; i < 1000; i++)); do
		waits "$name" && break
		sleep 0.01
	done
	timeout -s INT 60 "$TRACE" -m "$mode" ${SAMPLE:+-s "$SAMPLE"} --clock="${CLOCK:-precise}" -p "$PID" --format=json -o "$REPORT" 2>"$BATS_TEST_TMPDIR/said" 3>&- 4>&- &
	tool=$!
	STARTED="$PID $tool"
	exec 5<"$BATS_TEST_TMPDIR/said"
	while read -r line <&5; do
		said+=$line$'\n'
		[[ $line != *attached* ]] || break
	done
	# It goes on in any case: the tool may have ended.
	echo >&4
	exec 4>&-
	status=0
	wait "$PID" || status=$?
	[ "$status" -eq 0 ] || wrong=1
	said+="exit status $status"$'\n'
	wait "$tool" || wrong=1
	said+=$(cat <&5)
	exec 5<&-
	STARTED=
	[ "$wrong" -eq 0 ] || printf '%s, mode %s:\n%s\n' "$(source_of "$name")" "$mode" "$said"
	return $wrong
}

# begun NAME MODE: started by the tool, and let go when it is lit in this mode.
begun() {
	local name=$1 mode=$2 tool i wrong=0 m=trap lit='lit by traps'
	rm -f "$BATS_TEST_TMPDIR"/{go,said} "$REPORT"
	mkfifo "$BATS_TEST_TMPDIR/go"
	OUT=$BATS_TEST_TMPDIR/out
	[ "$mode" = trap ] || { m=auto lit='switches lit'; }
	timeout -s INT 60 "$TRACE" -v -m "$m" ${SAMPLE:+-s "$SAMPLE"} --clock="${CLOCK:-precise}" --format=json -o "$REPORT" -- "$CORPUS/$name" \
		<"$BATS_TEST_TMPDIR/go" >"$OUT" 2>"$BATS_TEST_TMPDIR/said" 3>&- &
	tool=$!
	STARTED=$tool
	exec 4>"$BATS_TEST_TMPDIR/go"
	for ((i = 0; i < 2000; i++)); do
		! grep -q "$lit" "$BATS_TEST_TMPDIR/said" || break
		sleep 0.01
	done
	echo >&4
	exec 4>&-
	wait "$tool" || wrong=1
	STARTED=
	PID=$(jq '.processes[0].pid' "$REPORT")
	[ "$wrong" -eq 0 ] || printf '%s, mode %s, as a COMMAND:\n%s\n' "$(source_of "$name")" "$mode" "$(cat "$BATS_TEST_TMPDIR/said")"
	return $wrong
}

# about_owners NAME: what is wrong with it is known only of a program that is seen from its start.
about_owners() { [[ $1 = borrow_outlives_owner* || $1 = leak_owner* || $1 = leak_exec ]]; }

# all_agree MODE NAME...: every program is looked at, whatever the others do.
all_agree() {
	local mode=$1 name how wrong=0 n=0
	shift
	for name in "$@"; do
		expected "$name" >"$BATS_TEST_TMPDIR/expected"
		how=traced
		! about_owners "$name" || how=begun
		if $how "$name" "$mode"; then
			found "$PID" >"$BATS_TEST_TMPDIR/found"
			agrees "$name" "$PID" "$mode" || wrong=$((wrong + 1))
		else
			wrong=$((wrong + 1))
		fi
		n=$((n + 1))
	done
	echo "$wrong of $n programs differ"
	[ "$n" -gt 0 ] && [ "$wrong" -eq 0 ]
}

@test "the sources say what to expect: every verdict in at least three programs, and enough that is right" {
	local name
	[ "$(names_ok | wc -l)" -ge 14 ]
	[ "$(ls "$SOURCES"/*.cc | wc -l)" -ge 12 ]
	[ "$(grep -lE 'spawn\(|std::thread' "$SOURCES"/*.c "$SOURCES"/*.cc | wc -l)" -ge 14 ]
	for name in $(names); do
		expected "$name" >"$BATS_TEST_TMPDIR/$name.expected"
		if grep '^?' "$BATS_TEST_TMPDIR/$name.expected"; then
			echo "in $(source_of "$name")"
			false
		fi
		# ok_ says so, the others do not.
		if [[ $name = ok_* ]]; then
			[ ! -s "$BATS_TEST_TMPDIR/$name.expected" ]
		else
			[ -s "$BATS_TEST_TMPDIR/$name.expected" ]
		fi
	done
	for name in double-drop use-after-drop use-after-move drop-while-borrowed conflicting-borrow \
		unbalanced-count borrow-outlives-owner leak; do
		echo "$name"
		[ "$(grep -l "^$name " "$BATS_TEST_TMPDIR"/*.expected | wc -l)" -ge 3 ]
	done
}

@test "jump mode: all errors are found, and nothing else" {
	need_bpf
	all_agree jump $(names_wrong)
}

@test "jump mode: nothing is found in what is right" {
	need_bpf
	all_agree jump $(names_ok)
}

# has_threads NAME: its marks may come from several threads or processes.
has_threads() { grep -qE 'spawn\(|pthread_|std::thread|fork\(' "$(source_of "$1")"; }

@test "coarse stamps: programs of one thread have all their verdicts" {
	local name names=()
	need_bpf
	for name in $(names); do has_threads "$name" || names+=("$name"); done
	[ ${#names[@]} -ge 30 ]
	CLOCK=coarse all_agree jump "${names[@]}"
}

@test "coarse stamps: programs of several threads are accused of nothing that they did not do" {
	local name names=() n=0 wrong=0
	need_bpf
	for name in $(names); do ! has_threads "$name" || names+=("$name"); done
	[ ${#names[@]} -ge 14 ]
	for name in "${names[@]}"; do
		expected "$name" >"$BATS_TEST_TMPDIR/expected"
		CLOCK=coarse traced "$name" jump
		found "$PID" >"$BATS_TEST_TMPDIR/found"
		if [ -n "$(comm -13 "$BATS_TEST_TMPDIR/expected" "$BATS_TEST_TMPDIR/found")" ]; then
			echo "$(source_of "$name"): found, and not expected:"
			comm -13 "$BATS_TEST_TMPDIR/expected" "$BATS_TEST_TMPDIR/found"
			wrong=$((wrong + 1))
		fi
		# Where something was left out, the report says why.
		if ! cmp -s "$BATS_TEST_TMPDIR/expected" "$BATS_TEST_TMPDIR/found"; then
			json 'any(.notes[]; startswith("--clock=coarse: several threads"))' "$REPORT"
			n=$((n + 1))
		fi
	done
	echo "$wrong programs wrongly accused; $n with fewer verdicts"
	[ "$wrong" -eq 0 ] && [ "$n" -gt 0 ]
}

@test "trap mode: all errors are found, and nothing else" {
	need_bpf
	all_agree trap $(names_wrong)
}

@test "trap mode: nothing is found in what is right" {
	need_bpf
	all_agree trap $(names_ok)
}

# none_beyond MODE: with sampling, of the errors of each program some are found or none, as often or
# less; and nothing that is not expected.
none_beyond() {
	local name wrong=0 found=0
	for name in $(names); do
		expected "$name" >"$BATS_TEST_TMPDIR/expected"
		traced "$name" "$1" || { wrong=$((wrong + 1)); continue; }
		found "$PID" >"$BATS_TEST_TMPDIR/found"
		# Of several objects the first that was followed may be another thread's.
		if ! awk '{ count = 0; for (i = 1; i < NF; i++) if ($i == "count") count = $(i + 1)
				sub(" count .*", "") }
			FNR == NR { most[$0] = count; next }
			!($0 in most) || count > most[$0] { print; bad = 1 }
			END { exit bad }' "$BATS_TEST_TMPDIR/expected" "$BATS_TEST_TMPDIR/found"; then
			echo "in $(source_of "$name"), mode $1"
			wrong=$((wrong + 1))
		fi
		found=$((found + $(wc -l <"$BATS_TEST_TMPDIR/found")))
		jq -e '(.events | .lost == 0 and .written == .received) and (.objects
			| .created + .adopted == .dropped + .vanished + .live + .exited)' "$REPORT" >/dev/null || {
			echo "$(source_of "$name"), mode $1:"
			jq -c '.events, .objects' "$REPORT"
			wrong=$((wrong + 1))
		}
	done
	echo "$wrong differ, $found found"
	# Of some 60 errors about half; a tenth is less than chance ever leaves.
	[ "$wrong" -eq 0 ] && [ "$found" -ge 6 ]
}

@test "jump mode, one object in two: nothing that is not expected" {
	need_bpf
	SAMPLE=2 none_beyond jump
}

@test "trap mode, one object in two: nothing that is not expected" {
	need_bpf
	SAMPLE=2 none_beyond trap
}

@test "as a COMMAND, seen from its first mark: the same" {
	local name wrong=0
	need_bpf
	OUT=$BATS_TEST_TMPDIR/out
	for name in $(names); do
		expected "$name" >"$BATS_TEST_TMPDIR/expected"
		rm -f "$REPORT"
		if ! timeout -s INT 60 "$TRACE" -q -m trap --format=json -o "$REPORT" -- "$CORPUS/$name" </dev/null >"$OUT" 2>&1; then
			echo "$(source_of "$name"), as a COMMAND: $(cat "$OUT")"
			wrong=$((wrong + 1))
			continue
		fi
		PID=$(jq '.processes[0].pid' "$REPORT")
		found "$PID" >"$BATS_TEST_TMPDIR/found"
		agrees "$name" "$PID" trap || wrong=$((wrong + 1))
	done
	echo "$wrong programs differ"
	[ "$wrong" -eq 0 ]
}
