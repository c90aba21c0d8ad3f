// SPDX-License-Identifier: GPL-2.0-only
/*
 * seccomp.c - a program under strict seccomp: a system call other than read, write, exit and the
 * return from a signal kills the thread that makes it, and reading the time stamp counter (TSC) is
 * SIGSEGV.
 *
 * usage: seccomp [THREADS]
 *
 * THREADS (2) threads and the main thread make marks at full speed, one more sits in read() on an
 * empty pipe, which the main thread fills now and then; all of them in strict mode.  SIGTERM ends
 * it.  It prints one JSON line: alive, the threads that came to their end, of "threads"; reads,
 * those that were answered, of "writes"; eintr, reads that came back for nothing.
 */
#define _GNU_SOURCE
#include "unhurt.h"

#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#define THREADS_MAX 32
/* Strict mode forbids rdtsc as well, and with it the clock of the vDSO: some seconds, in laps. */
#define PATIENCE_LAPS 10000000

static atomic_bool quit;
static atomic_uint strict, alive;
static _Atomic uint64_t reads, writes, eintr;
static int pipe_fds[2];

static void on_term(int sig)
{
	(void)sig;
	unhurt_lap(1);
	unhurt_termed = 1;
}

static void enter_strict(void)
{
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT, 0, 0, 0)) {
		perror("strict seccomp");
		abort();
	}
	atomic_fetch_add(&strict, 1);
}

static void leave(void)
{
	atomic_fetch_add(&alive, 1);
	syscall(SYS_exit, 0); /* exit_group is forbidden */
	__builtin_unreachable();
}

static void *compute(void *arg)
{
	enter_strict();
	for (uint64_t n = (uintptr_t)arg; !atomic_load(&quit); n++)
		unhurt_lap(n);
	leave();
	return NULL;
}

static void *sit_in_read(void *arg)
{
	char byte = 0;

	(void)arg;
	enter_strict();
	while (byte != 'q') {
		if (read(pipe_fds[0], &byte, 1) == 1)
			atomic_fetch_add(&reads, 1);
		else
			atomic_fetch_add(&eintr, 1);
		unhurt_lap((unsigned char)byte);
	}
	leave();
	return NULL;
}

static void tell(char byte)
{
	if (write(pipe_fds[1], &byte, 1) == 1)
		atomic_fetch_add(&writes, 1);
}

/* snprintf into memory of our own makes no system call. */
static void print(unsigned nthreads)
{
	char line[512];
	int n = snprintf(line, sizeof(line),
			 "{\"threads\": %u, \"alive\": %u, \"writes\": %llu, \"reads\": %llu, "
			 "\"eintr\": %llu, \"laps\": %llu, \"results\": \"%s\", \"text\": "
			 "\"%s\"}\n",
			 nthreads, alive, (unsigned long long)writes, (unsigned long long)reads,
			 (unsigned long long)eintr, (unsigned long long)unhurt_laps,
			 unhurt_results(), unhurt_text());

	if (write(STDOUT_FILENO, line, (size_t)n) != n)
		syscall(SYS_exit, 1);
}

int main(int argc, char **argv)
{
	struct sigaction sa = {.sa_handler = on_term};
	pthread_t thread;
	unsigned nthreads;
	sigset_t set;

	unhurt_begin();
	nthreads = (unsigned)unhurt_arg(argc, argv, 1, 2);
	if (nthreads > THREADS_MAX || pipe(pipe_fds))
		return 64;
	for (uintptr_t i = 0; i < nthreads; i++)
		unhurt_start(&thread, compute, (void *)i);
	unhurt_start(&thread, sit_in_read, NULL);
	while (atomic_load(&strict) < nthreads + 1)
		unhurt_sleep_us(100);
	/* SIGTERM comes by a handler here, and in this thread: nobody may wait for it. */
	sigaction(SIGTERM, &sa, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	enter_strict();
	for (uint64_t n = 0; !unhurt_termed; n++) {
		unhurt_lap(n);
		if (n % 4096 == 0 && writes == reads)
			tell('x');
	}
	atomic_store(&quit, true);
	tell('q');
	for (uint64_t n = 0; n < PATIENCE_LAPS && atomic_load(&alive) < nthreads + 1; n++)
		unhurt_lap(n);
	atomic_fetch_add(&alive, 1);
	print(nthreads + 2);
	syscall(SYS_exit, 0);
	return 1;
}
