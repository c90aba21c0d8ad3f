// SPDX-License-Identifier: GPL-2.0-only
/*
 * careless.c - attaches to a process and does it harm: shows that the programs which say that they
 * were not hurt would notice.
 *
 * usage: careless HOW PID [CYCLES]
 *
 * It stops all threads of the process and lets them go, CYCLES (200) times, and while they stand
 * still it does:
 *
 *   nothing   nothing wrong: signals are passed on, interrupted calls restarted
 *   signals   lets go of threads without the signal that they stopped for
 *   eintr     lets interrupted calls return EINTR
 *   rewind    restarts them by hand: rip back to the system call, whatever came meanwhile
 *   leave     lights the switches, and leaves them so
 *   child     lights them, darkens them in the process, and forgets its children
 *   running   lights and darkens them byte by byte while a process that shares the memory runs
 *   sloppy    lights them by jumps that miss the stub's first instructions
 *   call      makes the process do a system call (getpid) of ours
 *   cont      sends SIGCONT to be sure that it runs again
 *   onebyone  seizes thread by thread and never reaps: hangs with an exec (needs a kill)
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/num.h"
#include "tests/cycles/switches.h"

#define THREADS_MAX 2048

static const char *how;
static pid_t pid;
static struct switches sw;
static struct thread {
	pid_t tid;
	int sig;
} threads[THREADS_MAX];
static size_t nthreads;

static bool is(const char *name)
{
	return !strcmp(how, name);
}

static bool known(pid_t tid)
{
	for (size_t i = 0; i < nthreads; i++)
		if (threads[i].tid == tid)
			return true;
	return false;
}

static bool stop_new(void)
{
	size_t first = nthreads;
	char path[64];
	struct dirent *d;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	while (dir && (d = readdir(dir))) {
		uint64_t tid;

		if (bs_num_u64(d->d_name, 1, INT32_MAX, &tid) || known((pid_t)tid) ||
		    nthreads == THREADS_MAX || ptrace(PTRACE_SEIZE, (pid_t)tid, 0, 0))
			continue;
		threads[nthreads++] = (struct thread){(pid_t)tid, 0};
	}
	if (dir)
		closedir(dir);
	for (size_t i = first; i < nthreads; i++)
		ptrace(PTRACE_INTERRUPT, threads[i].tid, 0, 0);
	for (size_t i = first; i < nthreads; i++) {
		int status;

		if (waitpid(threads[i].tid, &status, __WALL) < 0 || !WIFSTOPPED(status)) {
			threads[i].tid = 0;
			continue;
		}
		threads[i].sig = status >> 16 ? 0 : WSTOPSIG(status);
	}
	return nthreads > first;
}

static void fix_call(pid_t tid)
{
	struct user_regs_struct regs;

	if (is("eintr") || ptrace(PTRACE_GETREGS, tid, 0, &regs) || (long)regs.orig_rax < 0 ||
	    (long)regs.rax != -EINTR)
		return;
	if (is("rewind")) {
		regs.rax = regs.orig_rax;
		regs.orig_rax = (unsigned long)-1;
		regs.rip -= 2;
	} else {
		regs.rax = (unsigned long)-514; /* ERESTARTNOHAND */
	}
	ptrace(PTRACE_SETREGS, tid, 0, &regs);
}

static void write_switches(bool light, bool slowly)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	fd = open(path, O_RDWR | O_CLOEXEC);
	for (size_t i = 0; fd >= 0 && i < sw.n; i++) {
		unsigned char bytes[6];

		memcpy(bytes, switches_nop, 6);
		if (light)
			switches_jump(&sw.v[i], bytes);
		if (light && is("sloppy"))
			bytes[1] += 6; /* behind lea and push */
		for (int b = 0; b < 5; b += slowly ? 1 : 5) {
			if (pwrite(fd, bytes + b, slowly ? 1 : 5, (off_t)sw.v[i].addr + b) < 0)
				break;
			if (slowly)
				usleep(20);
		}
	}
	close(fd);
}

/* A system call of ours, in the first thread: at the first 0f 05 in its text, or the vDSO's. */
static void inject_call(void)
{
	static const unsigned char syscall_insn[2] = {0x0f, 0x05};
	struct user_regs_struct old, regs;
	pid_t tid = threads[0].tid;
	long word;
	int status;

	if (!tid || ptrace(PTRACE_GETREGS, tid, 0, &old))
		return;
	regs = old;
	word = ptrace(PTRACE_PEEKTEXT, tid, regs.rip, 0);
	regs.rax = SYS_getpid;
	regs.orig_rax = (unsigned long)-1;
	ptrace(PTRACE_POKETEXT, tid, regs.rip,
	       (word & ~0xffffl) | syscall_insn[0] | syscall_insn[1] << 8);
	ptrace(PTRACE_SETREGS, tid, 0, &regs);
	if (!ptrace(PTRACE_SINGLESTEP, tid, 0, 0) && waitpid(tid, &status, __WALL) == tid &&
	    WIFSTOPPED(status)) {
		ptrace(PTRACE_POKETEXT, tid, old.rip, word);
		ptrace(PTRACE_SETREGS, tid, 0, &old);
	}
}

static void let_go(void)
{
	for (size_t i = 0; i < nthreads; i++) {
		if (!threads[i].tid)
			continue;
		fix_call(threads[i].tid);
		ptrace(PTRACE_DETACH, threads[i].tid, 0, is("signals") ? 0 : threads[i].sig);
	}
	nthreads = 0;
}

int main(int argc, char **argv)
{
	uint64_t number, cycles = 200;
	struct bs_error err = {0};
	bool writes;

	if (argc < 3 || bs_num_u64(argv[2], 1, INT32_MAX, &number) ||
	    (argc > 3 && bs_num_u64(argv[3], 1, 1000000, &cycles)))
		return 64;
	how = argv[1];
	pid = (pid_t)number;
	writes = is("leave") || is("child") || is("running") || is("sloppy");
	if (writes && switches_find(pid, &sw, &err)) {
		fprintf(stderr, "careless: %s\n", err.text);
		return 1;
	}
	for (uint64_t n = 0; n < cycles && !kill(pid, 0); n++) {
		if (is("onebyone")) {
			/* The one after the other, with time in between. */
			char path[64];
			struct dirent *d;
			DIR *dir;

			snprintf(path, sizeof(path), "/proc/%d/task", pid);
			dir = opendir(path);
			while (dir && (d = readdir(dir))) {
				if (!bs_num_u64(d->d_name, 1, INT32_MAX, &number) &&
				    !ptrace(PTRACE_SEIZE, (pid_t)number, 0, 0))
					threads[nthreads++] = (struct thread){(pid_t)number, 0};
				usleep(2000);
			}
			if (dir)
				closedir(dir);
			for (size_t i = 0; i < nthreads; i++) {
				ptrace(PTRACE_INTERRUPT, threads[i].tid, 0, 0);
				waitpid(threads[i].tid, NULL, __WALL);
			}
			let_go();
			continue;
		}
		while (stop_new())
			;
		if (writes)
			write_switches(true, is("running"));
		if (is("call"))
			inject_call();
		let_go();
		if (is("cont"))
			kill(pid, SIGCONT);
		usleep(1000);
		if (writes && !is("leave")) {
			while (stop_new())
				;
			write_switches(false, is("running"));
			let_go();
			usleep(1000);
		}
	}
	switches_fini(&sw);
	return 0;
}
