/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * stop.h - makes all who execute a process's text stand still, has something done, lets them go.
 *
 * For patch.c, guardian_process.c and tests.
 */
#ifndef BS_TARGET_STOP_H
#define BS_TARGET_STOP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "target/patch.h"

struct bs_stop_ask {
	pid_t pid;
	uint64_t (*shares)(void *ctx); /* see bs_patch(); may be NULL */
	void *ctx;
	/*
	 * What to do: called once, and only when nobody runs; tids are the stopped threads, at
	 * least one.  In the thread that traces, so it may use ptrace.
	 */
	void (*still)(void *arg, const pid_t *tids, size_t n);
	void *arg;
};

/*
 * Stops, does, lets go.  Fills code, why, pause_ns and threads of the result; codes as bs_patch().
 * Nobody is traced any more when it returns, whatever happened.  Children of the calling process
 * are not waited for, unless they are to be stopped.
 */
void bs_stop_and(const struct bs_stop_ask *ask, struct bs_patch_result *result);

/*
 * Whether a system call (x86-64 number) that returned -EINTR may be started again: see
 * stop_eintr.c.
 */
bool bs_stop_restartable(long nr);

/*
 * Where bs_stop_and says since when it holds threads (CLOCK_MONOTONIC; 0: it does not), for
 * whoever watches over this process.  NULL: nowhere.
 */
extern _Atomic uint64_t *bs_stop_held_since;

/* For tests: called while everybody stands still, before ask->still. */
extern void (*bs_stop_test_hook)(void);
/* For tests: called after each thread that was seized; n: how many have been. */
extern void (*bs_stop_test_seized)(size_t n);
/* For tests: bs_patch writes as if /proc/PID/mem refused to. */
extern bool bs_patch_test_no_mem;

#endif
