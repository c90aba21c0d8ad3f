#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# redis.sh - what redis-server gets done plain, under the idle preload library ("detached"), and
# with bscope-trace attached to that in jump mode.
#   BUILD: build folder (default: build); ROUNDS: rounds (default: 9); LIMIT: seconds after which no
#   new round begins (default: 150); PIN=0: servers and load on any CPU
# Servers run on CPU 0, the load on CPU 1, the tool where it likes.  Left to the scheduler, server
# and client sometimes share a CPU while the other one idles, and sometimes do not, for seconds:
# that changes throughput by half, traced or not.
# Two servers, started once, on unix sockets: one plain, one preloaded, which the tool attaches to
# and leaves again.  Each round runs the same loads, without (P1) and with (P16) pipelining, on each
# of the three, in rotated order, and gives one ratio for each; printed are medians and quartiles.
# The servers, the load and the tool share the machine's CPUs, so the tool's own work counts; what
# tracing does to the server alone is the ratio of its CPU times, for the same requests.
set -eu
# shellcheck source=bench/common.sh
. "$(dirname "$0")/common.sh"
rounds=${ROUNDS:-9}
limit=${LIMIT:-150}
pin=${PIN:-1}
tests=set,get,lpush,lpop,hset
# on CPU COMMAND...
on() {
	cpu=$1
	shift
	[ "$pin" = 0 ] || set -- taskset -c "$cpu" "$@"
	"$@"
}

# serve NAME: a server that keeps nothing; the environment is the caller's
serve() {
	[ "$pin" = 0 ] || taskset -cp 0 "$(exec sh -c 'echo $PPID')" >/dev/null
	exec redis-server --port 0 --unixsocket "$dir/$1.sock" --save '' --appendonly no --dir "$dir" \
		--logfile "$dir/$1.log"
}

leave_server() {
	echo "$round attached tool $(cpu_ns "$tool")" >>"$dir/results"
	leave
	# One line of what may be several.
	awk '/^  objects/ { exit } /^  events/ { on = 1; $1 = "" } on { gsub(/^ +/, ""); printf "%s ", $0 }
		END { print "" }' "$dir/report" >>"$dir/events"
}

# cpu_ns PID: CPU time of all its threads
cpu_ns() {
	cat /proc/"$1"/task/*/schedstat | awk '{ ns += $1 } END { printf "%.0f", ns }'
}

# load CASE SOCKET PID: lines "ROUND CASE LOAD REQUESTS/S" and "ROUND CASE cpu NS P1"
load() {
	redis-cli -s "$2" flushall >/dev/null
	for depth in 1 16; do
		before=$(cpu_ns "$3")
		on 1 redis-benchmark -s "$2" -q --csv -n $((50000 + 10000 * depth)) -c 20 -r 10000 -d 200 \
			-P $depth -t "$tests" 2>/dev/null |
			awk -F '"' -v r="$round" -v c="$1" -v p="$depth" \
				'$4 + 0 > 0 { print r, c, $2 "/P" p, $4 }' >>"$dir/results"
		echo "$round $1 cpu $(($(cpu_ns "$3") - before)) P$depth" >>"$dir/results"
	done
}

one() {
	case $1 in
	plain) load plain "$dir/plain.sock" "$plain" ;;
	detached) load detached "$dir/preloaded.sock" "$preloaded" ;;
	attached)
		attach "$build/bscope-trace" -m jump -p "$preloaded" -o "$dir/report"
		load attached "$dir/preloaded.sock" "$preloaded"
		leave_server
		;;
	esac
}

[ "$pin" = 0 ] || taskset -c 0,1 true 2>/dev/null || die "CPUs 0 and 1 are not both there: PIN=0"
command -v redis-benchmark >/dev/null || die "no redis-server: make setup-demo"
serve plain &
plain=$!
LD_PRELOAD=$build/libbscope-preload.so serve preloaded &
preloaded=$!
until_ok redis-cli -s "$dir/plain.sock" ping
until_ok redis-cli -s "$dir/preloaded.sock" ping

# Once for nothing: memory and caches.
round=0
one plain
one detached
one attached
: >"$dir/results"
: >"$dir/events"
start=$(date +%s)
while [ "$round" -lt "$rounds" ] && [ $(($(date +%s) - start)) -lt "$limit" ]; do
	round=$((round + 1))
	case $((round % 3)) in
	0) order="plain detached attached" ;;
	1) order="detached attached plain" ;;
	2) order="attached plain detached" ;;
	esac
	for c in $order; do one "$c"; done
done

awk '
function sort(v, n,    i, j, t) {
	for (i = 2; i <= n; i++)
		for (j = i; j > 1 && v[j] < v[j - 1]; j--) { t = v[j]; v[j] = v[j - 1]; v[j - 1] = t }
}
# Median and quartiles of v[1..n], at least so much wanted if aim is not 0.
function show(name, aim, v, n,    m) {
	sort(v, n)
	m = v[int((n + 1) / 2)]
	printf "  %-24s median %.3f (quartiles %.3f to %.3f, %d)", name, m, v[int((n + 3) / 4)],
		v[int((3 * n + 1) / 4)], n
	if (aim)
		printf "  aim at least %.2f: %s", aim, (m >= aim ? "met" : "MISSED")
	printf "\n"
}
# Of each round: the time that all its loads of that depth take, one request each.
function together(depth, over, under, aim,    r, i, a, b, all) {
	for (r = 1; r <= rounds; r++) {
		a = b = 0
		for (i = 1; i <= nloads; i++) {
			if (depth && loads[i] !~ "/" depth "$")
				continue
			a += 1 / rps[r, under, loads[i]]
			b += 1 / rps[r, over, loads[i]]
		}
		all[r] = a / b
	}
	show("all" (depth ? "/" depth : ""), aim, all, rounds)
}
function ratios(over, under, aim,    i, r, v, n, all) {
	printf "%s / %s, requests per second\n", over, under
	for (i = 1; i <= nloads; i++) {
		n = 0
		for (r = 1; r <= rounds; r++)
			if ((r, over, loads[i]) in rps && (r, under, loads[i]) in rps)
				v[++n] = rps[r, over, loads[i]] / rps[r, under, loads[i]]
		show(loads[i], 0, v, n)
	}
	together("P1", over, under, aim)
	together("P16", over, under, aim)
	together("", over, under, aim)
	server("P1", over, under)
	server("P16", over, under)
}
function server(depth, over, under,    r, all) {
	for (r = 1; r <= rounds; r++)
		all[r] = cpu[r, over, depth] / cpu[r, under, depth]
	show("server\047s CPU time/" depth, 0, all, rounds)
}
$3 == "cpu" { cpu[$1, $2, $5] = $4; next }
$3 == "tool" { tool[$1] = $4; next }
!($3 in seen) { seen[$3] = 1; loads[++nloads] = $3 }
{ rps[$1, $2, $3] = $4; if ($1 > rounds) rounds = $1 }
END {
	ratios("detached", "plain", 0.98)
	ratios("attached", "detached", 0.9)
	for (r = 1; r <= rounds; r++)
		all[r] = tool[r] / (cpu[r, "attached", "P1"] + cpu[r, "attached", "P16"])
	show("CPU time, tool / server", 0, all, rounds)
}' "$dir/results"
echo "events of each time attached:"
sed 's/^/  /' "$dir/events"
