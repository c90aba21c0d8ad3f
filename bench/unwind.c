// SPDX-License-Identifier: GPL-2.0-only
/*
 * unwind.c - stacks per second that tools/unwind walks, against an aim of 10,000, and against
 * libdwfl's own walk over the same registers and the same copy of the stack.
 *
 *	unwind PROGRAM [MILLISECONDS]
 *
 * PROGRAM is one of the tests' (tests/unit/unwind_program.c), stopped at some depths; -O2 without
 * frame pointers.  Copies are of 16 KiB as --stack-size has it, or as much as there is.  "first"
 * is a stack all of whose addresses libdw has to be asked for.
 */
#define _GNU_SOURCE
#include <elfutils/libdwfl.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/num.h"
#include "tests/unit/unwind_program.h"
#include "unwind/unwind.h"

#define FRAMES	   127
#define STACK_SIZE 16384

static uint8_t bytes[STACK_SIZE];
static struct bs_unwind_stack stack = {.bytes = bytes};
static struct bs_unwind_regs regs;
static uint64_t budget_ns = 500 * 1000000ull;

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

/* --- libdwfl -----------------------------------------------------------------------------------
 */

static size_t dwfl_frames;

static bool dwfl_memory(Dwfl *dwfl, Dwarf_Addr addr, Dwarf_Word *result, void *arg)
{
	(void)dwfl;
	(void)arg;
	if (addr < stack.start || addr - stack.start > stack.size - sizeof(*result))
		return false;
	memcpy(result, bytes + (addr - stack.start), sizeof(*result));
	return true;
}

static bool dwfl_registers(Dwfl_Thread *thread, void *arg)
{
	Dwarf_Word v[BS_UNWIND_NREGS];

	(void)arg;
	for (int i = 0; i < BS_UNWIND_NREGS; i++)
		v[i] = regs.v[i];
	return dwfl_thread_state_registers(thread, 0, BS_UNWIND_NREGS, v);
}

static pid_t dwfl_thread(Dwfl *dwfl, void *arg, void **thread)
{
	(void)arg;
	if (*thread)
		return 0;
	*thread = dwfl;
	return dwfl_pid(dwfl);
}

static int dwfl_frame(Dwfl_Frame *frame, void *arg)
{
	Dwarf_Addr pc;

	(void)arg;
	dwfl_frame_pc(frame, &pc, NULL);
	dwfl_frames++;
	return dwfl_frames < FRAMES ? DWARF_CB_OK : DWARF_CB_ABORT;
}

static Dwfl *dwfl_of(pid_t pid)
{
	static const Dwfl_Callbacks files = {
		.find_elf = dwfl_linux_proc_find_elf,
		.find_debuginfo = dwfl_standard_find_debuginfo,
	};
	static const Dwfl_Thread_Callbacks threads = {
		.next_thread = dwfl_thread,
		.memory_read = dwfl_memory,
		.set_initial_registers = dwfl_registers,
	};
	Dwfl *dwfl = dwfl_begin(&files);

	if (!dwfl || dwfl_linux_proc_report(dwfl, pid) || dwfl_report_end(dwfl, NULL, NULL) ||
	    !dwfl_attach_state(dwfl, NULL, pid, &threads, NULL))
		return NULL;
	return dwfl;
}

/* --- the program -------------------------------------------------------------------------------
 */

static pid_t start(const char *path)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		execl(path, path, (char *)NULL);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status)) {
		fprintf(stderr, "unwind: cannot start %s\n", path);
		exit(1);
	}
	return pid;
}

static int copy_memory(pid_t pid, uint64_t addr, void *to, size_t size)
{
	struct iovec local = {to, size}, remote = {(void *)(uintptr_t)addr, size};

	return (int)process_vm_readv(pid, &local, 1, &remote, 1, 0);
}

/* To its next stop: registers, stack and which scene it is; 0 when it has ended. */
static uint64_t next(pid_t pid)
{
	struct unwind_truth truth;
	struct user_regs_struct u;
	int status, sig = 0;

	do {
		ptrace(PTRACE_CONT, pid, NULL, sig);
		if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status))
			return 0;
		sig = WSTOPSIG(status);
	} while (sig != SIGTRAP);
	ptrace(PTRACE_GETREGS, pid, NULL, &u);
	/* System V ABI, AMD64 supplement, figure 3.36. */
	regs = (struct bs_unwind_regs){
		.v = {u.rax, u.rdx, u.rcx, u.rbx, u.rsi, u.rdi, u.rbp, u.rsp, u.r8, u.r9, u.r10,
		      u.r11, u.r12, u.r13, u.r14, u.r15, u.rip},
		.known = (1u << BS_UNWIND_NREGS) - 1,
	};
	stack.start = u.rsp - BS_UNWIND_RED_ZONE;
	for (stack.size = STACK_SIZE; stack.size; stack.size -= 256)
		if (copy_memory(pid, stack.start, bytes, stack.size) == (int)stack.size)
			break;
	if (copy_memory(pid, u.rdi, &truth, sizeof(truth)) != (int)sizeof(truth))
		return 0;
	return truth.scene;
}

static void measure(pid_t pid, const char *what)
{
	uint64_t out[FRAMES], from, first, walks = 0, took, dwfl_took, dwfl_walks = 0;
	enum bs_unwind_end end;
	struct bs_unwind *unwind;
	struct bs_error err;
	size_t n;
	Dwfl *dwfl;

	if (bs_unwind_new(&unwind, now_ns(), &err)) {
		fprintf(stderr, "unwind: %s\n", err.text);
		exit(1);
	}
	bs_unwind_invalidate(unwind, (uint32_t)pid);
	from = now_ns();
	n = bs_unwind(unwind, (uint32_t)pid, &regs, &stack, out, FRAMES, &end);
	first = now_ns() - from;
	from = now_ns();
	do {
		for (unsigned i = 0; i < 100; i++)
			bs_unwind(unwind, (uint32_t)pid, &regs, &stack, out, FRAMES, &end);
		walks += 100;
		took = now_ns() - from;
	} while (took < budget_ns);
	bs_unwind_free(unwind);

	dwfl = dwfl_of(pid);
	if (!dwfl) {
		fprintf(stderr, "unwind: libdwfl: %s\n", dwfl_errmsg(-1));
		exit(1);
	}
	dwfl_getthread_frames(dwfl, pid, dwfl_frame, NULL);
	from = now_ns();
	do {
		for (unsigned i = 0; i < 10; i++) {
			dwfl_frames = 0;
			dwfl_getthread_frames(dwfl, pid, dwfl_frame, NULL);
		}
		dwfl_walks += 10;
		dwfl_took = now_ns() - from;
	} while (dwfl_took < budget_ns);
	dwfl_end(dwfl);

	printf("%-10s %6zu  %-9s %8.0f  %10.0f  %8.0f  %6zu  %10.0f  %7.0f\n", what, n,
	       end == BS_UNWIND_COMPLETE ? "complete" : "cut", (double)first / 1e3,
	       (double)walks * 1e9 / (double)took, (double)took / (double)walks / (double)n,
	       dwfl_frames, (double)dwfl_walks * 1e9 / (double)dwfl_took,
	       (double)dwfl_took / (double)dwfl_walks / (double)dwfl_frames);
}

int main(int argc, char **argv)
{
	uint64_t ms, scene;
	pid_t pid;

	if (argc < 2 || argc > 3 || (argc == 3 && bs_num_u64(argv[2], 1, 100000, &ms))) {
		fprintf(stderr, "usage: unwind PROGRAM [MILLISECONDS]\n");
		return 64;
	}
	if (argc == 3)
		budget_ns = ms * 1000000ull;
	pid = start(argv[1]);
	printf("%-10s %6s  %-9s %8s  %10s  %8s  %6s  %10s  %7s\n", "stack", "frames", "",
	       "first/us", "stacks/s", "ns/frame", "dwfl", "stacks/s", "ns/frame");
	while ((scene = next(pid)))
		if (scene == UNWIND_CHAIN)
			measure(pid, "chain");
		else if (scene == UNWIND_CALLBACK)
			measure(pid, "callback");
		else if (scene == UNWIND_SIGNAL)
			measure(pid, "signal");
		else if (scene == UNWIND_RECURSION)
			measure(pid, "recursion");
		else if (scene == UNWIND_STEP)
			break;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return 0;
}
