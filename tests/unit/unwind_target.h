/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * unwind_target.h - a program under ptrace, its registers and a copy of its stack: for
 * test_unwind.c and test_unwind_hostile.c, which include cmocka.h and what that needs before.
 */
#ifndef BS_TEST_UNWIND_TARGET_H
#define BS_TEST_UNWIND_TARGET_H

#include <elf.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unwind/unwind.h"
#include "unwind_program.h"

#define STACK_MAX (256u << 10)
#define FRAMES	  256

/* --- a program under ptrace --------------------------------------------------------------------
 */

struct target {
	char name[64]; /* of its file */
	pid_t pid;
	pid_t tid; /* which thread has stopped */
	struct user_regs_struct user;
	struct bs_unwind_regs regs;
	struct bs_unwind_stack stack;
	uint8_t *bytes;
	struct unwind_truth truth;
};

static struct bs_unwind *unwind;

static const char *program(const char *name)
{
	static char path[512];
	const char *build = getenv("BUILD");

	snprintf(path, sizeof(path), "%s/tests/unit/unwind-%s", build ? build : "build", name);
	return path;
}

/* preload: a library that it is started with, or NULL. */
static void start(struct target *t, const char *name, const char *preload)
{
	const char *path = program(name);
	int status;

	memset(t, 0, sizeof(*t));
	snprintf(t->name, sizeof(t->name), "unwind-%s", name);
	t->bytes = malloc(STACK_MAX);
	assert_non_null(t->bytes);
	t->pid = fork();
	if (!t->pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (preload)
			setenv("LD_PRELOAD", preload, 1);
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		execl(path, path, (char *)NULL);
		_exit(127);
	}
	assert_true(t->pid > 0);
	assert_int_equal(waitpid(t->pid, &status, 0), t->pid);
	if (!WIFSTOPPED(status))
		fail_msg("%s does not start", path);
	assert_int_equal(
		ptrace(PTRACE_SETOPTIONS, t->pid, NULL, PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL),
		0);
	t->tid = t->pid;
}

static void finish(struct target *t)
{
	kill(t->pid, SIGKILL);
	while (waitpid(t->pid, NULL, __WALL) > 0)
		;
	free(t->bytes);
}

static int read_memory(pid_t pid, uint64_t addr, void *to, size_t size)
{
	struct iovec local = {to, size}, remote = {(void *)(uintptr_t)addr, size};

	return (int)process_vm_readv(pid, &local, 1, &remote, 1, 0);
}

/* Registers by DWARF number: System V ABI, AMD64 supplement, figure 3.36. */
static void fetch(struct target *t)
{
	const struct user_regs_struct *u = &t->user;
	struct iovec iov = {&t->user, sizeof(t->user)};

	assert_int_equal(ptrace(PTRACE_GETREGSET, t->tid, (void *)NT_PRSTATUS, &iov), 0);
	t->regs = (struct bs_unwind_regs){
		.v = {u->rax, u->rdx, u->rcx, u->rbx, u->rsi, u->rdi, u->rbp, u->rsp, u->r8, u->r9,
		      u->r10, u->r11, u->r12, u->r13, u->r14, u->r15, u->rip},
		.known = (1u << BS_UNWIND_NREGS) - 1,
	};
	t->stack = (struct bs_unwind_stack){u->rsp - BS_UNWIND_RED_ZONE, t->bytes, 0};
	/* As much as there is: the stack of a process ends where nothing is mapped. */
	while (t->stack.size < STACK_MAX) {
		uint64_t at = t->stack.start + t->stack.size;
		size_t step = 4096 - at % 4096;

		if (step > STACK_MAX - t->stack.size)
			step = STACK_MAX - t->stack.size;
		if (read_memory(t->pid, at, t->bytes + t->stack.size, step) != (int)step)
			break;
		t->stack.size += step;
	}
}

/* Runs to the next stop.  False when the program has ended. */
static bool next(struct target *t)
{
	int sig = 0;

	for (;;) {
		int status;
		pid_t tid;

		assert_int_equal(ptrace(PTRACE_CONT, t->tid, NULL, sig), 0);
		/* Of a new thread and of the one that makes it, one or the other first. */
		for (;;) {
			tid = waitpid(-1, &status, __WALL);
			assert_true(tid > 0);
			if (WIFSTOPPED(status) && status >> 16 == PTRACE_EVENT_CLONE)
				ptrace(PTRACE_CONT, tid, NULL, 0);
			else if (WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP)
				ptrace(PTRACE_CONT, tid, NULL, 0);
			else if (WIFSTOPPED(status) || tid == t->pid)
				break;
		}
		if (!WIFSTOPPED(status)) {
			assert_true(WIFEXITED(status));
			assert_int_equal(WEXITSTATUS(status), 0);
			return false;
		}
		t->tid = tid;
		sig = WSTOPSIG(status);
		if (sig == SIGTRAP)
			break;
	}
	fetch(t);
	assert_int_equal(read_memory(t->pid, t->regs.v[BS_UNWIND_RDI], &t->truth, sizeof(t->truth)),
			 sizeof(t->truth));
	assert_in_range(t->truth.n, 1, UNWIND_MAX_TRUTH);
	return true;
}

/* However busy the machine is: who reads CFI has the time that it needs. */
static size_t walk_most(const struct target *t, const struct bs_unwind_stack *stack, uint64_t *out,
			size_t max, enum bs_unwind_end *end)
{
	struct bs_unwind_stats before, after;
	size_t n;

	for (;;) {
		bs_unwind_stats(unwind, &before);
		n = bs_unwind(unwind, (uint32_t)t->pid, &t->regs, stack, out, max, end);
		bs_unwind_stats(unwind, &after);
		if (after.late == before.late)
			return n;
		usleep(1000);
	}
}

static size_t walk(struct target *t, uint64_t *out, enum bs_unwind_end *end)
{
	return walk_most(t, &t->stack, out, FRAMES, end);
}

#endif
