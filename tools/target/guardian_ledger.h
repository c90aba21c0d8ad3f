/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * guardian_ledger.h - what the tool (guardian.c), the guardian and its surgeon (guardian_process.c)
 * share: memory and messages.
 *
 * Three processes:
 *
 *   the tool      says what to light; keeps the plans
 *   the guardian  its child, in a session of its own, deaf to signals; idle but for commands
 *   the surgeon   the guardian's child, for one stop of one process
 *
 * They share one piece of memory (struct ledger), which every one of them has from fork.  Who
 * writes what:
 *
 *   plans, processes  the tool alone.  Only appended to, and the count is raised last, so that
 *                     whoever reads at any moment, after any death, sees whole entries.
 *   ask               by turns: the tool before its command, the surgeon until the answer.
 *   scratch           the guardian, and the surgeon while the guardian waits for it.
 *   stop              the surgeon; the guardian before it starts and after it has ended.
 *
 * Deaths.  The tool's: its end of the socket closes, its pidfd reports; everything is darkened.
 * The guardian's: the tool sees the end of the socket, starts another one, and asks again; the
 * surgeon of the old one finishes its stop and ends by itself, and the new guardian waits for that
 * (it would find the process traced).  Both at once, the surgeon included: that is beyond us.  The
 * surgeon's: the kernel lets go of whom it traces, and the switches are valid programs one by one;
 * they are looked at again.
 *
 * A surgeon that holds a stop too long is killed by the guardian; a guardian that does nothing for
 * too long by the tool.
 */
#ifndef BS_TARGET_GUARDIAN_LEDGER_H
#define BS_TARGET_GUARDIAN_LEDGER_H

#include <poll.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include "target/guardian.h"

#define NSEC_PER_MSEC 1000000ull
#define NSEC_PER_SEC  1000000000ull

#define MAX_SWITCHES  (1u << 20)
#define MAX_PROCESSES (1u << 16)

/* From SIGKILL to being gone. */
#define KILLED_MS 1000

/* A process and its plan in one word, so that an entry is written at once. */
static inline uint64_t pair_of(pid_t pid, uint32_t plan)
{
	return (uint64_t)plan << 32 | (uint32_t)pid;
}

static inline pid_t pid_of(uint64_t pair)
{
	return (pid_t)(uint32_t)pair;
}

static inline uint32_t plan_of(uint64_t pair)
{
	return (uint32_t)(pair >> 32);
}

struct ledger {
	/* The tool's.  In a plan's switch the member state is the number of the plan. */
	_Atomic uint32_t nswitches, nprocesses;
	_Atomic uint64_t process[MAX_PROCESSES];
	struct bs_patch plan[MAX_SWITCHES];

	/* The guardian's sign of life. */
	_Atomic uint32_t beat;

	/* The stop that is being done. */
	_Atomic int32_t surgeon;     /* 0: none */
	_Atomic uint64_t held_since; /* see bs_stop_held_since */
	_Atomic uint32_t finished;
	struct bs_patch_result result;

	struct bs_patch ask[MAX_SWITCHES];
	struct bs_patch scratch[MAX_SWITCHES];
};

enum { LIGHT = 1, DARK = 2, DARKEN = 3 };

struct command {
	uint32_t op, seq;
	uint32_t plan, n;
	uint32_t execs;
	pid_t pid;
	bool trapped;
};

struct answer {
	uint32_t op, seq;
	struct bs_patch_result result;
	struct bs_dark_result dark;
};

static inline int pidfd_of(pid_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

/* Waits for fd (-1: only for time) to become readable; whether it did. */
static inline bool wait_readable(int fd, int ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, ms) > 0;
}

/* Switches by address, for qsort and bsearch. */
static inline int by_addr(const void *a, const void *b)
{
	const struct bs_patch *x = a, *y = b;

	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

struct guardian {
	struct ledger *l;
	struct bs_guard_ops ops;
	int sock, tool; /* the tool's pidfd, -1 if the kernel has none */
	bool orphaned;
	/* Processes to darken, and what scratch holds now. */
	uint64_t *pair;
	struct bs_guarded *traced;
	uint32_t scratch_plan, scratch_of;
	size_t scratch_n;
	bool scratch_valid;
};

/*
 * The guardian's process from its first instruction to its end; of g, l, ops, sock and tool = -1
 * are given.  tool: its parent.
 */
_Noreturn void bs_guardian(struct guardian *g, pid_t tool);

#endif
