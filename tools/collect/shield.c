// SPDX-License-Identifier: GPL-2.0-only
/*
 * shield.c - system calls that a signal must not cut short.
 *
 * Lighting and darkening write to the text of other processes page by page, and the kernel does
 * that on behalf of whoever asked.  Is that one killed meanwhile (SIGKILL, the second Ctrl-C, a
 * lack of memory), the writing fails, the undoing fails for the same reason, and the kernel gives
 * up: "uprobe: failed to unregister, leaking uprobe".  The breakpoints stay where they are until
 * another tracer lights and darkens the same sites.  (Tried on Linux 6.18: a tool killed while it
 * lit 2,000 sites left up to 1,505 of them behind.)
 *
 * So these calls are made by somebody else: a process for the one call, in a session of its own
 * with all signals blocked, which shares memory and open files with the tool, as a vfork child
 * that takes the files, too.  Whoever kills the tool does not kill it: it ends the call and then
 * itself, and with it goes the last user of the open files, which puts the sites out.
 *
 * For uprobe_multi links only: what a kill does to perf events of many probes is not known well
 * enough.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "collect/light.h"

#define STACK_BYTES 65536

struct call {
	int (*fn)(void *ctx);
	void *ctx;
	int ret;
};

static int run(void *arg)
{
	struct call *call = arg;

	setsid();
	call->ret = call->fn(call->ctx);
	return 0;
}

int bs_shielded(int (*fn)(void *ctx), void *ctx)
{
	struct call call = {.fn = fn, .ctx = ctx, .ret = -EINTR};
	_Alignas(64) char stack[STACK_BYTES];
	sigset_t all, before;
	pid_t pid;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	/* Held by CLONE_VFORK until the call is over: nothing is used by both at once. */
	pid = clone(run, stack + sizeof(stack), CLONE_VM | CLONE_FILES | CLONE_VFORK | SIGCHLD,
		    &call);
	sigprocmask(SIG_SETMASK, &before, NULL);
	if (pid < 0)
		return fn(ctx);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return call.ret;
}
