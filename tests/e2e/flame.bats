#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# flame.bats - bscope-flame: folded stacks drawn, merged, refused.

load common

setup() { cd "$BATS_TEST_TMPDIR"; }

# fails STATUS PATTERN ARG...: the exit status, one line on standard error that matches, nothing on
# standard output.
fails() {
	local want=$1 pattern=$2 status=0
	shift 2
	"$FLAME" "$@" >stdout 2>stderr </dev/null || status=$?
	echo "status $status: $(cat stderr)"
	[ "$status" = "$want" ]
	grep -Eq -- "$pattern" stderr
	[ "$(wc -l <stderr)" = 1 ]
	grep -q '^bscope-flame: ' stderr
	[ ! -s stdout ]
}

# refuses PATTERN TEXT: as input.
refuses() {
	printf "$2" >bad.folded
	fails 1 "^bscope-flame: bad.folded: $1" bad.folded
}

# well_formed FILE: a foreign XML parser takes it; prints the names that it has as tooltips.
well_formed() {
	python3 -c '
import sys, xml.etree.ElementTree as e
s = "{http://www.w3.org/2000/svg}"
for t in e.parse(sys.argv[1]).iter(s + "g"):
    if t.get("class", "").split(" ")[0] == "f":
        print(t.find(s + "title").text.split("\n")[0])' "$1"
}

sample() {
	printf 'main;work;malloc 3\nmain;idle 5\n\n# comment\r\nmain;work 2\r\nmain;work;malloc 1\n'
}

@test "a picture: from a file, from standard input, to a file, to standard output" {
	sample >a.folded
	"$FLAME" a.folded >a.svg
	sample | "$FLAME" -o b.svg -
	cmp a.svg b.svg
	[ "$(well_formed a.svg | tr '\n' ' ')" = "all main idle work malloc " ]
	grep -q '^malloc$' <<<"$(well_formed a.svg)"
	grep -A1 '<title>malloc$' a.svg | grep -q '^4 samples, 36.4 % of all'
}

@test "options of the picture are seen in it" {
	sample | "$FLAME" --title='T <1>' --subtitle='S & s' --unit=bytes --width=800 --icicle \
		--mark='^malloc$' - >a.svg
	well_formed a.svg
	grep -q '>T &lt;1&gt;</text>' a.svg
	grep -q '>S &amp; s</text>' a.svg
	grep -q '^4 bytes, ' a.svg
	grep -q ' width="800" ' a.svg
	grep -q 'data-root="top"' a.svg
	grep -q '\^malloc\$: 36.4 % of all' a.svg
	{ sample; echo 'main;tiny 1'; } | "$FLAME" --width=1000 --min-width=100 - >a.svg
	grep -q 'left out: 1 frame narrower than 100 pixels, 8.3 % of all' a.svg
}

@test "nothing foreign: no address that a browser would load" {
	sample | "$FLAME" - >a.svg
	sed 's|http://www.w3.org/[0-9]*/svg||; s|http://www.w3.org/1999/xhtml||' a.svg >b.svg
	no grep -E 'https?:|url\(|@import|eval\(|src=' b.svg
}

@test "--folded merges and sorts, and its output is its own" {
	sample | "$FLAME" --folded - >a.folded
	printf 'main;idle 5\nmain;work 2\nmain;work;malloc 4\n' | cmp - a.folded
	"$FLAME" --folded a.folded | cmp - a.folded
	: | "$FLAME" --folded - | cmp - /dev/null
}

@test "names of anybody: markup, quotes, escapes, invalid UTF-8, NUL, bidirectional" {
	printf '<script>alert(1)</script>;"q'"'"' ]]> &amp;;\033[31mred\007;\377\376x;a\000b;\342\200\256abc;\357\277\277;é漢 7\n' >h.folded
	"$FLAME" --title="$(cat h.folded)" --unit='<u>' -o h.svg h.folded
	well_formed h.svg >names
	cat -v names
	cat >want <<-'END'
		all
		<script>alert(1)</script>
		"q' ]]> &amp
		[empty]
		\x1b[31mred\x07
		\xff\xfex
		a\x00b
		\u{202e}abc
		\u{ffff}
		é漢
	END
	cmp want names
	no grep -q '<script>alert' h.svg
	LC_ALL=C no grep -q "$(printf '[\001-\010\013-\037\177\377]')" h.svg
	"$FLAME" --folded h.folded >a.folded
	"$FLAME" --folded a.folded | cmp - a.folded
	LC_ALL=C no grep -q "$(printf '[\001-\010\013-\037\177\377]')" a.folded
	# Names are as the picture has them, and the picture of one is that of the other.
	"$FLAME" h.folded >h.svg
	"$FLAME" a.folded | cmp - h.svg
	grep -q ';\\u{202e}abc;' a.folded
}

@test "messages leave the terminal intact: file names, patterns, input" {
	local odd=$'\e]0;x\a\xff\u202e\n'
	sample >a.folded
	fails 1 'x1b\]0;x.x07.xff.*x0a: No such file' "$odd"
	LC_ALL=C no grep -q "$(printf '[\001-\011\013-\037\177-\377]')" stderr
	fails 64 'mark=.x1b\]0;x.*no regular expression' --mark="$odd(" a.folded
	LC_ALL=C no grep -q "$(printf '[\001-\011\013-\037\177-\377]')" stderr
	fails 1 'x1b\]0;x.*: No such file' -o "none/$odd" a.folded
	LC_ALL=C no grep -q "$(printf '[\001-\011\013-\037\177-\377]')" stderr
	printf 'a;\033[2J\n' >"$odd"
	fails 1 'x1b\]0;x.*: line 1: no count' "$odd"
	LC_ALL=C no grep -q "$(printf '[\001-\011\013-\037\177-\377]')" stderr
}

@test "input that is none: file, line and remedy" {
	refuses 'line 2: no count: write' 'a 1\na;b\n'
	refuses 'line 1: no count: write' 'a;b \n'
	refuses 'line 1: what follows the last space is no count: use a whole number' 'a 1.5\n'
	refuses 'line 1: what follows the last space' 'a -1\n'
	refuses 'line 1: what follows the last space' 'a 0x10\n'
	refuses 'line 3: what follows the last space' '# c\n\na b\n'
	refuses 'line 1: a count without a stack' ' 5\n'
	refuses 'line 1: the count is past 64 bits' 'a 18446744073709551616\n'
	refuses 'line 2: the sum of all counts is past 64 bits' 'a 18446744073709551615\nb 1\n'
	refuses 'no stack with a count above 0' 'a 0\n'
	refuses 'no stack with a count above 0' ''
	fails 1 'none.folded: No such file' none.folded
	fails 1 'Is a directory' .
}

@test "the command line: status 64" {
	sample >a.folded
	fails 64 'name a FILE'
	fails 64 'one FILE at a time' a.folded b.folded
	fails 64 'use 200 to 10000' --width=199 a.folded
	fails 64 'use 200 to 10000' --width=10001 a.folded
	fails 64 'use 200 to 10000' --width=wide a.folded
	fails 64 'min-width=0: ' --min-width=0 a.folded
	fails 64 'min-width=-1: ' --min-width=-1 a.folded
	fails 64 'no regular expression' --mark='(' a.folded
	fails 64 'given twice' --mark=a --mark=b a.folded
	fails 64 'empty name' --unit= a.folded
	fails 64 'empty file name' -o '' a.folded
	fails 64 'only -o goes with it' --folded --icicle a.folded
	run "$FLAME" --nonsense
	[ "$status" = 64 ]
	run "$FLAME" -h
	[ "$status" = 0 ]
	[[ $output = *--min-width=PIXELS* ]]
	run "$FLAME" -V
	[ "$status" = 0 ]
	[[ $output = 'bscope-flame '[0-9]* ]]
}

@test "output that cannot be written; never a part of a file" {
	sample >a.folded
	fails 1 'No such file or directory: choose' -o none/a.svg a.folded
	fails 1 'is a directory' -o . a.folded
	fails 1 'cannot write the picture to /dev/full: No space left' -o /dev/full a.folded
	run bash -c '"$1" a.folded >/dev/full' _ "$FLAME"
	[ "$status" = 1 ]
	[[ $output = *'cannot write the picture to standard output: No space left'* ]]
	run bash -c '"$1" a.folded >&-' _ "$FLAME"
	[ "$status" = 1 ]
	# An older file stays as it is, and nothing lies beside it.
	mkdir d
	echo old >d/a.svg
	printf 'a\n' >bad.folded
	fails 1 'no count' -o d/a.svg bad.folded
	[ "$(cat d/a.svg)" = old ]
	[ "$(ls d)" = a.svg ]
}

# ended SIGNAL [VARIABLE]: while it writes d/a.svg, whose names meanwhile are in names.
ended() {
	env ${2-} "$FLAME" -o d/a.svg fifo 3>&- &
	# It opens what it reads after what it writes.
	exec 5>fifo
	ls d >names
	kill "-$1" $!
	wait $! || true
	exec 5>&-
	[ -z "$(ls d)" ]
}

@test "a signal leaves nothing behind, whatever it is" {
	mkdir d
	mkfifo fifo
	ended TERM
	ended KILL
	[ ! -s names ]
}

@test "a file system without files that have no name" {
	mkdir d
	mkfifo fifo
	echo '#define _GNU_SOURCE
		#include <errno.h>
		#include <fcntl.h>
		#include <stdarg.h>
		#include <sys/syscall.h>
		#include <unistd.h>
		int open(const char *path, int flags, ...)
		{
			va_list ap;
			va_start(ap, flags);
			int mode = va_arg(ap, int);
			va_end(ap);
			if ((flags & O_TMPFILE) == O_TMPFILE)
				return errno = EOPNOTSUPP, -1;
			return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
		}' >none.c
	${CC:-cc} -shared -fPIC -o none.so none.c
	none=$PWD/none.so
	ended TERM LD_PRELOAD="$none"
	grep -q '^a[.]svg[.]......$' names
	sample >in.folded
	"$FLAME" -o d/a.svg in.folded
	LD_PRELOAD=$none "$FLAME" -o d/b.svg in.folded
	cmp d/a.svg d/b.svg
	[ "$(stat -c %a d/a.svg)" = "$(stat -c %a d/b.svg)" ]
	[ "$(ls d | wc -l)" = 2 ]
	longest
}

# A name as long as names can be has a temporary one, too; a longer one fails before the work.
longest() {
	local name
	name=$(printf 'n%.0s' $(seq 255))
	sample >in.folded
	mkdir l
	LD_PRELOAD=${none:-} "$FLAME" -o "l/$name" in.folded
	LD_PRELOAD=${none:-} "$FLAME" -o "$PWD/l/$name" in.folded
	[ "$(ls l)" = "$name" ]
	# It does not come to what it would read.
	run timeout 10 "$FLAME" -o "l/${name}n" /dev/zero
	[ "$status" -eq 1 ]
	[[ $output = *"the file name is too long"* ]]
	[ "$(ls l)" = "$name" ]
}

@test "names of files may be as long as the file system has it" { longest; }

@test "a file may be merged into itself" {
	sample >a.folded
	"$FLAME" --folded -o a.folded a.folded
	[ "$(wc -l <a.folded)" = 3 ]
}

@test "long names, deep stacks, many lines" {
	awk 'BEGIN { for (i = 0; i < 1000000; i++) printf "x"; print ";y 1" }' | "$FLAME" -o long.svg -
	well_formed long.svg | grep -qx y
	awk 'BEGIN { for (i = 0; i < 4999; i++) printf "f%d;", i; print "leaf 1" }' | "$FLAME" -o deep.svg -
	[ "$(well_formed deep.svg | wc -l)" = 5001 ]
	no grep -q 'left out' deep.svg
	awk 'BEGIN { for (i = 0; i < 999999; i++) printf "f%d;", i; print "leaf 1" }' >deep.folded
	"$FLAME" -o deep.svg deep.folded
	[ "$(well_formed deep.svg | wc -l)" = 5001 ]
	grep -q 'left out: 995,000 frames narrower than 0.1 pixels or too deep, 100.0 % of all' deep.svg
	"$FLAME" --folded deep.folded | cmp - deep.folded
	awk 'BEGIN { for (i = 0; i < 200000; i++) print "main;a" i % 100 ";b" i % 7919 " 1" }' >many
	"$FLAME" -o many.svg many
	well_formed many.svg | grep -qx a99
	[ "$("$FLAME" --folded many | awk '{ n += $2 } END { print n }')" = 200000 ]
}
