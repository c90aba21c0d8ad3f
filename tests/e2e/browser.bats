#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# browser.bats - what a reader sees of a flamegraph in Chromium (tests/browser), who clicks, types and
# hovers.  Expected widths are worked out by hand: 20 samples in a window of 1020 pixels, of which
# 10 are margin at each side, take 50 pixels each.
#
# Screenshots are kept in BUILD/tests/screenshots.

load common

SHOTS=$BUILD/tests/screenshots

setup_file() { rm -f "$BUILD"/tests/screenshots/*.png; }

setup() { cd "$BATS_TEST_TMPDIR" || return; }

# browse FILE < SCRIPT: from one window size to all tests.
browse() { { echo 'size 1020 400'; cat; } | timeout 120 "$ROOT/tests/browser" "$1" "$SHOTS"; }

sample() {
	cat <<-'END'
		main;work;malloc 4
		main;work 1
		main;idle 10
		main;work;operator<(A&) 1
		init 4
	END
}

# draw [OPTION...]: a.svg of the sample.
draw() { sample | "$FLAME" "$@" -o a.svg -; }

@test "what is shown: frames, their widths, labels, tooltips, colours" {
	draw --mark='^malloc$' --title='A title' --subtitle='of a program'
	browse a.svg <<-'END'
		open
		expect shown = all init main idle work malloc operator<(A&)
		expect left all = 10
		expect width all = 1000
		expect left init = 10
		expect width init = 200
		expect left main = 210
		expect width main = 800
		expect left idle = 210
		expect width idle = 500
		expect left work = 710
		expect width work = 300
		expect left malloc = 710
		expect width malloc = 200
		expect left operator<(A&) = 910
		expect width operator<(A&) = 50
		expect label main = main
		expect label operator<(A&) = opera…
		expect tooltip operator<(A&) = operator<(A&) | 1 samples, 5.0 % of all
		expect tooltip malloc = malloc | 4 samples, 20.0 % of all
		expect texts = A title | Search | of a program | 20 samples | ^malloc$: 20.0 % of all
		# The root at the bottom, each row 17 pixels above the other.
		expect js document.querySelectorAll("#frames rect")[0].getBoundingClientRect().bottom > 100 = true
		expect clash = none
		expect focus = none
		shot light
	END
}

@test "a click zooms; frames below stay; a click on them, Reset and Escape go back" {
	draw
	browse a.svg <<-'END'
		open
		click frame work
		expect shown = all main work malloc operator<(A&)
		expect width work = 1000
		expect width main = 1000
		expect width malloc = 666.67
		expect left operator<(A&) = 676.67
		expect width operator<(A&) = 166.67
		expect label operator<(A&) = operator<(A&)
		expect texts = Flamegraph | Reset | Search | 20 samples | work: 6 samples, 30.0 % of all
		expect js document.querySelectorAll(".up").length = 2
		expect clash = none
		shot zoomed
		click frame main
		expect shown = all main idle work malloc operator<(A&)
		expect width idle = 625
		click frame all
		expect width main = 800
		expect width malloc = 200
		expect shown-count = 7
		expect texts = Flamegraph | Search | 20 samples | all: 20 samples, 100.0 % of all
		click frame idle
		expect shown = all main idle
		click button Reset
		expect shown-count = 7
		click frame malloc
		expect width malloc = 1000
		press Escape
		expect width malloc = 200
	END
}

@test "a search: typed, its percentage, its colour; a match within a match counts once" {
	draw
	browse a.svg <<-'END'
		open
		click button Search
		expect focus = field
		type ^mal
		expect field = ^mal
		expect texts = Flamegraph | Reset | Search | 20 samples | matched: 20.0 % of all
		expect color malloc = #e58cf0
		shot search
		press Enter
		expect texts = Flamegraph | Reset | Search | 20 samples | matched: 20.0 % of all
		# It stays while the mouse goes elsewhere.
		hover frame idle
		expect texts = Flamegraph | Reset | Search | 20 samples | idle: 10 samples, 50.0 % of all | matched: 20.0 % of all
		expect clash = none
		# work 6, with an operator within; malloc is in work, too.
		press /
		expect field = ^mal
		type work|o.er|malloc|init
		expect texts = Flamegraph | Reset | Search | 20 samples | matched: 50.0 % of all
		press Escape
		expect texts = Flamegraph | Search | 20 samples | all: 20 samples, 100.0 % of all
		press Ctrl+f
		type nowhere
		expect texts = Flamegraph | Reset | Search | 20 samples | matched: 0 % of all
		press Escape
		press /
		type (
		expect texts = Flamegraph | Search | 20 samples | not a regular expression: (
		press Escape
		# The root is no match.
		press /
		type ^all$
		expect texts = Flamegraph | Reset | Search | 20 samples | matched: 0 % of all
		press Enter
		click frame work
		expect width work = 1000
		click button Reset
		expect texts = Flamegraph | Search | 20 samples | all: 20 samples, 100.0 % of all
	END
}

@test "the keyboard alone" {
	draw
	browse a.svg <<-'END'
		open
		press Tab
		expect focus = all
		expect texts = Flamegraph | Search | 20 samples | all: 20 samples, 100.0 % of all
		press ArrowUp
		expect focus = init
		press ArrowLeft
		expect focus = init
		press ArrowRight
		expect focus = main
		press ArrowRight
		expect focus = main
		press ArrowUp
		expect focus = idle
		press ArrowRight
		expect focus = work
		expect texts = Flamegraph | Search | 20 samples | work: 6 samples, 30.0 % of all
		shot focus
		press Enter
		expect width work = 1000
		press ArrowUp
		press ArrowUp
		expect focus = malloc
		press ArrowDown
		press ArrowDown
		press ArrowDown
		press ArrowDown
		expect focus = all
		press ArrowUp
		press Space
		expect width main = 1000
		press Tab
		expect focus = Search
		press Tab
		expect focus = Reset
		press Enter
		expect width main = 800
		expect focus = all
		press Tab
		press Space
		expect focus = field
		type main
		press Enter
		expect focus = all
		press Escape
		expect texts = Flamegraph | Search | 20 samples | all: 20 samples, 100.0 % of all
	END
}

@test "the root at the top" {
	draw --icicle
	browse a.svg <<-'END'
		open
		expect js document.querySelectorAll("#frames rect")[3].getBoundingClientRect().top > document.querySelector("#frames rect").getBoundingClientRect().top = true
		press Tab
		press ArrowDown
		expect focus = init
		press ArrowUp
		expect focus = all
		hover frame work
		expect texts = Flamegraph | Search | 20 samples | work: 6 samples, 30.0 % of all
		expect clash = none
		shot icicle
	END
}

@test "hover: the line of details, and it goes away" {
	draw --unit=bytes
	browse a.svg <<-'END'
		open
		hover frame operator<(A&)
		expect texts = Flamegraph | Search | 20 bytes | operator<(A&): 1 bytes, 5.0 % of all
		hover button Search
		expect texts = Flamegraph | Search | 20 bytes
	END
}

@test "another window: frames and texts fit anew" {
	draw --title="$(printf 'a long title, %.0s' 1 2 3 4 5 6 7 8)" --subtitle="$(seq -s ' ' 1 40)"
	browse a.svg <<-'END'
		size 520 400
		open
		expect width all = 500
		expect left work = 360
		expect width work = 150
		expect label work = work
		expect label malloc = malloc
		expect label operator<(A&) = 
		expect clash = none
		expect js document.querySelectorAll("text.note")[0].firstChild.data.endsWith("…") = true
		expect js document.querySelectorAll("text.note title")[0].textContent.endsWith(" 39 40") = true
		shot narrow-window
		size 1620 400
		expect width all = 1600
		expect width work = 480
		expect js document.querySelectorAll("text.note")[0].firstChild.data.endsWith(" 39 40") = true
		expect js document.querySelectorAll("text.title")[0].firstChild.data.endsWith("title, ") = true
		expect clash = none
		click frame work
		size 820 400
		expect width work = 800
		expect width malloc = 533.33
	END
}

# The deepest frame is 60 rows of 17 pixels above the root.
tall() { awk 'BEGIN { for (i = 1; i <= 60; i++) printf "f%d%s", i, i < 60 ? ";" : " 3\n"; print "f1 1" }'; }

@test "taller than the window: one scroll bar; the line of details stays in sight" {
	local o deeper
	for o in bottom top; do
		deeper=ArrowUp
		tall | "$FLAME" $([ $o = bottom ] || echo --icicle) -o a.svg -
		[ $o = bottom ] || deeper=ArrowDown
		browse a.svg <<-END
			open
			# 15 pixels are the scroll bar.
			expect js innerWidth - document.documentElement.clientWidth = 15
			expect js innerHeight - document.documentElement.clientHeight = 0
			expect left all = 10
			expect width all = 985
			expect width f2 = 738.75
			press Tab
			expect focus = all
			$(for _ in $(seq 40); do echo "press $deeper"; done)
			expect focus = f40
			settle
			shot tall-$o
			expect js document.activeElement.getBoundingClientRect().top >= 0 = true
			expect js document.activeElement.getBoundingClientRect().bottom <= innerHeight = true
			expect js document.getElementById("details").textContent.replace(/[^ -~]/g, "") = f40: 3 samples, 75.0 % of all
			expect js document.getElementById("details").getBoundingClientRect().top >= 0 = true
			expect js document.getElementById("details").getBoundingClientRect().bottom <= innerHeight = true
			press /
			type f1
			settle
			expect js document.activeElement.getBoundingClientRect().top >= 0 = true
			expect js document.activeElement.getBoundingClientRect().bottom <= innerHeight = true
		END
	done
}

@test "dark" {
	draw --mark='^malloc$'
	browse a.svg <<-'END'
		scheme dark
		open
		expect pixel 5 5 = #16181c
		expect clash = none
		click button Search
		type idle
		shot dark
	END
}

@test "without scripts: all but what needs them" {
	draw --mark='^malloc$'
	browse a.svg <<-'END'
		scripts off
		size 1200 400
		open
		expect shown = all init main idle work malloc operator<(A&)
		# As it was drawn: 1180 pixels for 20.
		expect width idle = 590
		expect left idle = 246
		expect label main = main
		expect tooltip idle = idle | 10 samples, 50.0 % of all
		expect texts = Flamegraph | 20 samples | ^malloc$: 20.0 % of all
		expect clash = none
		press Tab
		expect focus = all
		shot no-scripts
	END
}

@test "as a picture in a page" {
	draw --mark='^malloc$'
	# idle: from 10 + 59 * 4 to the middle; two rows above the root, of which the lower end is
	# 10 + 18 pixels above that of the picture.
	browse a.svg <<-'END'
		size 1200 400
		open img
		expect js document.images[0].naturalWidth = 1200
		expect pixel 5 5 = #ffffff
		shot img
	END
	local height y
	height=$(sed -n 's/.* height="\([0-9]*\)" viewBox.*/\1/p' a.svg)
	y=$((height - 10 - 18 - 17 * 2 - 8))
	browse a.svg <<-END
		size 1200 400
		open
		hover button Search
		expect color idle = $(color_of idle)
		open img
		expect pixel 800 $y = $(color_of idle)
	END
}

# color_of NAME: as the file has it.
color_of() {
	local class
	class=$(grep -A1 "<title>$1\$" a.svg | sed -n 's/.*rect class="\([wm][0-9]*\)".*/\1/p')
	sed -n "s/^\.$class { fill: \(#[0-9a-f]*\); }/\1/p" a.svg | head -1
}

@test "frames that are too narrow at first come with the zoom" {
	# In 1000 pixels, 120 samples are one; main has 400, b 40.
	printf '%s\n' 'other;x 119600' 'main;a 360' 'main;b;c;d;e;f 20' 'main;b;c;g 9' 'main;b 1' \
		'main;b;z 10' | "$FLAME" --mark='^g$' --min-width=1 -o a.svg -
	browse a.svg <<-'END'
		open
		expect shown = all main a other x
		expect texts = Flamegraph | Search | 120,000 samples; zooming shows 7 frames narrower than 1 pixel | ^g$: under 0.01 % of all
		expect js document.documentElement.getAttribute("height") = 152
		click frame main
		expect shown = all main a b c d e f g z
		expect width main = 1000
		expect width b = 100
		expect left b = 910
		expect width c = 72.5
		expect left d = 910
		expect width d = 50
		expect left g = 960
		expect width g = 22.5
		expect left z = 982.5
		expect width z = 25
		expect tooltip d = d | 20 samples, 0.02 % of all
		expect tooltip g = g | 9 samples, under 0.01 % of all
		expect js [...document.querySelectorAll("#frames g")].find(g => g.textContent.startsWith("g\n")).querySelector("rect").getAttribute("class")[0] = m
		# Four rows more than before, and the root is the lowest still.
		expect js document.documentElement.getAttribute("height") = 220
		expect clash = none
		shot narrow-frames
		click frame e
		expect width e = 1000
		expect width f = 1000
		press /
		type ^(d|g)$
		expect texts = Flamegraph | Reset | Search | 120,000 samples; zooming shows 7 frames narrower than 1 pixel | ^g$: under 0.01 % of all | matched: 0.02 % of all
		press Escape
		press Escape
		expect shown = all main a other x
		expect js document.documentElement.getAttribute("height") = 152
	END
	# Without scripts the sum says what is missing.
	browse a.svg <<-'END'
		scripts off
		open
		expect shown = all main a other x
		expect texts = Flamegraph | 120,000 samples; left out: 7 frames narrower than 1 pixel, 0.03 % of all | ^g$: under 0.01 % of all
	END
}

# 1200 pixels are the mean of both sides' parts: of 4,000 samples, and of 1,000.
@test "a comparison: colours, both parts, also of frames that come with the zoom" {
	"$PROGRAMS/compared" >a.svg
	{ echo 'size 1220 400'; cat; } <<-'END' | timeout 120 "$ROOT/tests/browser" a.svg "$SHOTS"
		open
		expect shown = all less more most same
		expect width same = 600
		expect width less = 419.85
		expect width more = 180.15
		expect color same = #d9d9d9
		expect color less = #4a88f0
		expect color more = #f04a2b
		expect tooltip all = all | 100.0 % before, 100.0 % after, +0.00 points
		expect tooltip less = less | 50.0 % before, 20.0 % after, -29.98 points
		expect clash = none
		shot comparison
		click frame more
		expect shown = all more most thin <b>
		expect width thin <b> = 8.99
		expect color thin <b> = #ffd5cc
		expect tooltip thin <b> = thin <b> | 0.03 % before, 0.20 % after, +0.18 points
		click frame thin <b>
		expect shown = all more thin <b> new old
		expect width new = 533.33
		expect width old = 666.67
		expect tooltip new = new | 0 % before, 0.10 % after, +0.10 points
		expect tooltip old = old | 0.03 % before, 0.10 % after, +0.08 points
		expect color new = #ffd5cc
		shot comparison-zoomed
		click button Search
		type ^less$
		expect js document.querySelector("text[text-anchor=end]").textContent = matched: 35.0 % of the width
		press Enter
		click button Reset
		expect shown = all less more most same
	END
}

@test "more narrow frames than the file carries: it says so, and a search is a lower bound" {
	# wide is 99.955 %.
	awk 'BEGIN { print "main;wide 100000000"; for (i = 0; i < 19999; i++) print "main;a" i " 2"
		for (i = 0; i < 5000; i++) print "main;b" i " 1" }' | "$FLAME" -o a.svg -
	[ "$(stat -c %s a.svg)" -lt 1000000 ]
	browse a.svg <<-'END'
		open
		expect texts = Flamegraph | Search | 100,044,998 samples; zooming shows 19,999 frames narrower than 0.1 pixels; not in this file: 5,000 frames, the largest under 0.01 % of all
		press /
		type ^(wide|b1)$
		expect texts = Flamegraph | Reset | Search | 100,044,998 samples; zooming shows 19,999 frames narrower than 0.1 pixels; not in this file: 5,000 frames, the largest under 0.01 % of all | matched: at least 99.9 % of all
		expect clash = none
		# 2 of 100 million.
		press Escape
		press /
		type ^a77$
		press Enter
		expect js document.querySelectorAll("svg > text.note")[document.querySelectorAll("svg > text.note").length - 1].textContent = matched: at least 0 % of all
	END
}

@test "values past 2^53: positions and numbers are exact" {
	# Nine times one percent of 9 * 10^18, at the right: where the last 9 begin, a double has steps
	# of 1024.
	local path=s0 rest=9000000000000000000 i
	{
		for i in 1 2 3 4 5 6 7 8 9; do
			echo "$path;left$i $((rest - rest / 100))"
			path="$path;s$i"
			rest=$((rest / 100))
		done
		printf '%s 3\n' "$path;x" "$path;y" "$path;y"
	} | "$FLAME" -o a.svg -
	browse a.svg <<-'END'
		open
		expect tooltip s0 = s0 | 9,000,000,000,000,000,000 samples, 100.0 % of all
		expect tooltip left1 = left1 | 8,910,000,000,000,000,000 samples, 99.0 % of all
		expect width s1 = 10
		expect left s1 = 1000
		click frame s1
		click frame s2
		click frame s3
		click frame s4
		click frame s5
		click frame s6
		click frame s7
		click frame s8
		expect left left9 = 10
		expect width left9 = 990
		click frame s9
		expect left x = 10
		expect width x = 333.33
		expect left y = 343.33
		expect width y = 666.67
		expect tooltip y = y | 6 samples, under 0.01 % of all
		expect clash = none
	END
}

# Names of which each is a trap for somebody: XML, the script, the folded format, a terminal, the
# order of letters; the text that flame.bats has, and lines of the format of narrow frames.
hostile() {
	printf 'main;%b 10\n' '<script>alert(1)</script>' '"><img src=x onerror=alert(1)>' \
		"' onload='alert(1)" ']]>' '<!--' '&lt;&#0;&bogus' '</metadata><g>' '@3' '=3 x' 'w0 0 1 1' \
		'\033]0;title\007\033[2J' '\0377\0376' '\0302\0233m' '\0342\0200\0256gnp' \
		'\0342\0201\0246x' '\0327\0220\0327\0221\0327\0222 5' '\0360\0237\0222\0251' 'a\0e\0314\0201' \
		'__proto__' '  spaces  ' '%s%n%d' 'a\tb\rc' '\0357\0277\0276' '$(id)`id`' '\\x41\\n'
}

# names FILE: of all frames, as a foreign XML parser reads them.
names() {
	python3 -c '
import sys, xml.etree.ElementTree as e
s = "{http://www.w3.org/2000/svg}"
for t in e.parse(sys.argv[1]).iter(s + "g"):
    if t.get("class", "").split(" ")[0] == "f":
        print(t.find(s + "title").text.split("\n")[0])' "$1"
}

# joined: lines, as the browser is asked for them.
joined() { awk '{ printf "%s%s", (NR > 1 ? " | " : ""), $0 }'; }

@test "hostile names: shown as text, wide or narrow, and nothing happens" {
	local list='[...document.querySelectorAll("#frames title")].map(t => t.textContent.split("\n")[0]).join(" | ")'
	hostile >h.folded
	"$FLAME" --title="$(tr -d "\\0" <h.folded)" --subtitle=$'line\nline<b>' --unit='<u>&' --mark='[<&]' -o h.svg h.folded
	names h.svg >want
	[ "$(wc -l <want)" -gt 25 ]
	grep -qxF '<script>alert(1)</script>' want
	grep -qxF '\u{202e}gnp' want
	LC_ALL=C no grep -q "$(printf '[\001-\010\013-\037\177]')" h.svg
	browse h.svg <<-END
		open
		expect js $list = $(joined <want)
		expect clash = none
		press Tab
		press ArrowUp
		press /
		type alert
		press Enter
		expect clash = none
		shot hostile
	END
	# The same frames, too narrow at first: the script draws them from their text.
	{ cat h.folded; echo 'other 7000'; } | "$FLAME" --mark='[<&]' --min-width=5 -o narrow.svg -
	names narrow.svg >few
	[ "$(paste -sd' ' few)" = "all main other" ]
	browse narrow.svg <<-END
		open
		expect shown = all main other
		click frame main
		expect js $list = $({ printf 'all\nmain\nother\n'; tail -n +3 want; } | joined)
		expect clash = none
		shot hostile-narrow
	END
}

@test "a name of 1 MB, a stack of 1,000,000 frames" {
	awk 'BEGIN { for (i = 0; i < 1000000; i++) printf "x"; print ";y 1" }' | "$FLAME" -o long.svg -
	browse long.svg <<-'END'
		open
		expect clash = none
		press Tab
		press ArrowUp
		expect js document.getElementById("details").textContent.replace(/x+/, "x") = ⁨x…⁩: 1 samples, 100.0 % of all
		expect clash = none
		press ArrowUp
		expect focus = y
	END
	awk 'BEGIN { for (i = 0; i < 999999; i++) printf "f%d;", i; print "leaf 1" }' >deep.folded
	"$FLAME" --folded deep.folded | cmp - deep.folded
	"$FLAME" -o deep.svg deep.folded
	browse deep.svg <<-'END'
		open
		# The root and 5000 rows.
		expect js document.querySelectorAll("#frames > g").length = 5001
		expect texts = Flamegraph | Search | 1 samples; not in this file: 995,000 frames, the largest 100.0 % of all
		press Tab
		press ArrowUp
		expect focus = f0
		press Enter
		press Escape
		expect focus = all
	END
}

# browse_fails PATTERN FILE < SCRIPT
browse_fails() {
	local SHOTS=$BATS_TEST_TMPDIR
	local status=0
	browse "$2" 2>stderr || status=$?
	cat stderr
	[ "$status" = 1 ]
	grep -Eq -- "$1" stderr
	[ "$(wc -l <stderr)" = 1 ]
}

# with_script TEXT: bad.svg, the sample and a script more.
with_script() {
	draw
	sed "s|^</svg>|<script>$1</script></svg>|" a.svg >bad.svg
	no cmp -s a.svg bad.svg
}

@test "what tests/browser would find: errors, dialogs, requests, wrong numbers, covered frames" {
	with_script 'nonsense()'
	browse_fails 'not clean: threw: ReferenceError: nonsense' bad.svg <<<open
	with_script 'console.error(\"oh\", 1)'
	browse_fails 'not clean: console: oh 1$' bad.svg <<<open
	with_script 'console.warn(\"hm\")'
	browse_fails 'not clean: console: hm$' bad.svg <<<open
	with_script 'Promise.reject(new Error(\"late\"))'
	browse_fails 'not clean: threw: Error: late' bad.svg <<<open
	with_script 'alert(1)'
	browse_fails 'not clean: dialog: 1$' bad.svg <<<open
	with_script 'new Image().src = \"none.png\"'
	browse_fails 'not clean: asked for file:.*none.png' bad.svg <<-'END'
		open
		settle
	END
	browse_fails 'line 3: expect width idle = 499: it is: 500$' a.svg <<-'END'
		open
		expect width idle = 499
	END
	browse_fails 'line 3: expect shown = all: it is: all init main' a.svg <<-'END'
		open
		expect shown = all
	END
	browse_fails 'line 3: click frame none: .*0 frames are shown with the name none' a.svg <<-'END'
		open
		click frame none
	END
	sed 's|^</svg>|<rect width="100%" height="100%" fill="none" pointer-events="all"/></svg>|' a.svg >bad.svg
	browse_fails 'line 3: click frame idle: .*something else is in the way.*rect' bad.svg <<-'END'
		open
		click frame idle
	END
	sed 's|>work</text>|>work work work work work work work work work work</text>|' a.svg >bad.svg
	browse_fails 'it is: out of its frame: work work' bad.svg <<-'END'
		scripts off
		open
		expect clash = none
	END
	echo '<svg' >bad.svg
	browse_fails 'line 3: expect shown' bad.svg <<-'END'
		open
		expect shown = all
	END
	browse_fails 'none.svg.*ERR_FILE_NOT_FOUND' none.svg <<<open
}

# Those of this test alone: others may run one of their own.
browsers() { pgrep -f -- "--user-data-dir=$BATS_TEST_TMPDIR" || true; }

@test "no browser is left behind: after success, failure, TERM and KILL" {
	local signal
	draw
	TMPDIR=$BATS_TEST_TMPDIR browse a.svg <<<open
	[ -z "$(browsers)" ]
	TMPDIR=$BATS_TEST_TMPDIR browse_fails 'no such command' a.svg <<<nonsense
	[ -z "$(browsers)" ]
	[ -z "$(ls -d bscope-browser-* 2>/dev/null)" ]
	for signal in TERM KILL; do
		TMPDIR=$BATS_TEST_TMPDIR "$ROOT/tests/browser" a.svg 3>&- >/dev/null 2>&1 <<<"$(
			echo open; for _ in $(seq 5000); do echo settle; done)" &
		for _ in $(seq 1200); do [ -z "$(browsers)" ] || break; sleep 0.05; done
		[ -n "$(browsers)" ]
		kill -$signal $!
		wait $! || true
		for _ in $(seq 1200); do [ -n "$(browsers)" ] || break; sleep 0.05; done
		[ -z "$(browsers)" ]
	done
}
