#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# trace-events.sh - do the kernel's trace events answer?  Prints yes or stuck.
#
# perf, bpftrace and the perf events of bscope-trace on older kernels all take one lock in the
# kernel.  A task that died inside (an oops, see dmesg) holds it until the next boot, and whoever
# asks then hangs and cannot be killed.  So it is asked here, once, by a process that is left alone
# when it does not come back.
set -u
dir=$(mktemp -d)
# shellcheck disable=SC2016
unshare --mount sh -c 'mount -t tracefs tracefs "$1" && head -n 1 "$1/dynamic_events" >/dev/null; : >"$2"' \
	sh "$dir" "$dir.done" </dev/null >/dev/null 2>&1 3>&- &
tries=0
until [ -e "$dir.done" ] || [ $tries -ge 100 ]; do
	sleep 0.1
	tries=$((tries + 1))
done
if [ -e "$dir.done" ]; then
	echo yes
else
	echo "trace-events: a task died in this kernel's trace events (see dmesg): tests with perf, bpftrace and" \
		"perf events are skipped until it is rebooted" >&2
	echo stuck
fi
rm -f "$dir.done"
rmdir "$dir" 2>/dev/null || true
