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
echo "guest: Linux $(uname -r)"
sh ./test.sh </dev/null
echo "guest: exit $?"
poweroff -f
