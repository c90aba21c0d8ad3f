#!/bin/busybox sh
# shellcheck shell=dash
# SPDX-License-Identifier: GPL-2.0-only
# init.sh - process 1 of the machines that run.sh boots: mounts, runs the tests, says how they
# ended on the serial line, switches off.
/bin/busybox --install -s /bin
export PATH=/bin HOME=/
mount -t devtmpfs devtmpfs /dev
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t tmpfs tmpfs /tmp
# Not every kernel has these; whoever needs one says so.
mount -t debugfs debugfs /sys/kernel/debug
mount -t tracefs tracefs /sys/kernel/tracing
mount -t bpf bpf /sys/fs/bpf
cd /payload || poweroff -f
# A kernel that measured the time stamp counter while the host was busy takes it for many times as
# fast as it is, finds that out within seconds, and uses another clock: jump mode has none then.
seen=
for _ in $(seq 40); do
	clock=$(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)
	case $clock$seen in
	tsc....) break ;;
	tsc | tsc.*) seen=$seen. ;;
	tsc-early | jiffies*) ;;
	*) echo "guest: clock $clock" && poweroff -f ;;
	esac
	sleep 0.5
done
echo "guest: Linux $(uname -r)"
sh ./test.sh </dev/null
echo "guest: exit $?"
poweroff -f
