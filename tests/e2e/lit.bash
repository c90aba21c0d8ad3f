# SPDX-License-Identifier: GPL-2.0-only
# lit.bash - for tests of programs that are lit by jumps: their text, and who puts it right.  Load
# with `load lit`, after common; setup says GUARDIANS=$(guardians).

# text_same PID: its executable pages are those of its file; tells otherwise.
text_same() {
	local pid=$1 range perms offset rest start end
	while read -r range perms offset rest; do
		case $perms in r-xp) ;; *) continue ;; esac
		[[ $rest = */* ]] || continue
		start=$((16#${range%-*})) end=$((16#${range#*-}))
		cmp -s <(dd if="/proc/$pid/mem" bs=4096 skip=$((start / 4096)) count=$(((end - start) / 4096)) 2>/dev/null) \
			<(dd if="/proc/$pid/map_files/$range" bs=4096 skip=$((16#$offset / 4096)) count=$(((end - start) / 4096)) 2>/dev/null) && continue
		echo "pid $pid: $range ${rest##* } differs"
		return 1
	done <"/proc/$pid/maps"
}

# within SECONDS COMMAND...: true before they are over.
within() {
	local i seconds=$1
	shift
	for i in $(seq $((seconds * 20))); do
		"$@" >/dev/null 2>&1 && return 0
		sleep 0.05
	done
	"$@"
}
eventually() { within 1 "$@"; }

# Waits until the process has jumps in its text.
until_lit() {
	local i
	for i in $(seq 200); do
		text_same "$1" >/dev/null || return 0
		sleep 0.05
	done
	return 1
}

# The guardians that this test started have ended.
guardians() { pgrep -x bscope-guardian | sort; }
no_guardians() { [ -z "$(comm -13 <(echo "$GUARDIANS") <(guardians))" ]; }
