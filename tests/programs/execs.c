// SPDX-License-Identifier: GPL-2.0-only
/*
 * execs.c - a program that all the time makes processes which share its memory, or replace it.
 *
 * usage: execs [all|fork|vfork|spawn|true|vm|vmvfork [THREADS]]
 *        execs self
 *
 * THREADS (4) threads, of which the first makes marks only; the others start one child after the
 * other in the named way (all: in turn) and wait for it:
 *
 *   fork, vfork  a child that executes this program, which computes a little and exits
 *   spawn, true  posix_spawn of this program, of /bin/true
 *   vm           clone(CLONE_VM): a process, not a thread, that makes marks in the same memory
 *                while its maker goes on doing so
 *   vmvfork      clone(CLONE_VM | CLONE_VFORK): the same while its maker stands still
 *
 * SIGTERM ends it.  It prints one JSON line: started, right (children that ended as they should),
 * killed (by a signal), bad (another status), hung (not over within 30 s).
 *
 * self: three threads make marks, then one of them or the main thread replaces the program by
 * itself, some 100 times a second, until SIGTERM.  It prints how often ("started"), whether all
 * was right in every life, and the longest one ("slowest_ms": to its end the last exec is over).
 */
#define _GNU_SOURCE
#include "unhurt.h"

#include <sched.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define THREADS_MAX 32
#define STACK	    65536
/* What a child that did all right exits with. */
#define RIGHT 42

enum how { FORK, VFORK, SPAWN, TRUE, VM, VMVFORK, HOWS };
static const char *const names[HOWS] = {"fork", "vfork", "spawn", "true", "vm", "vmvfork"};

extern char **environ;

struct maker {
	pthread_t thread;
	uint64_t started[HOWS], right, killed, bad;
	char *stack;
	int signal;
};

static struct maker makers[THREADS_MAX];
static int only = HOWS;
static atomic_bool quit;
static char self[] = "/proc/self/exe", child_word[] = "child", execs_word[] = "execs";
static char *child_argv[] = {execs_word, child_word, NULL};
static char *true_argv[] = {execs_word, NULL};

/*
 * In the memory of its maker, and with its thread pointer: no libc here.  What is wrong is counted
 * for all by unhurt_lap.
 */
static int shares_memory(void *arg)
{
	bool right = true;

	for (uint64_t n = 0; n < (uint64_t)(uintptr_t)arg; n++)
		right = unhurt_lap(n) && right;
	syscall(SYS_exit, right ? RIGHT : 1);
	return 1;
}

static pid_t start(enum how how, struct maker *m, uint64_t random)
{
	pid_t pid = -1;

	switch (how) {
	case FORK:
		pid = fork();
		if (!pid) {
			execve(self, child_argv, environ);
			_exit(1);
		}
		break;
	case VFORK:
		pid = vfork();
		if (!pid) {
			execve(self, child_argv, environ);
			_exit(1);
		}
		break;
	case SPAWN:
		if (posix_spawn(&pid, self, NULL, NULL, child_argv, environ))
			pid = -1;
		break;
	case TRUE:
		if (posix_spawn(&pid, "/bin/true", NULL, NULL, true_argv, environ))
			pid = -1;
		break;
	case VM:
		pid = clone(shares_memory, m->stack + STACK, CLONE_VM | SIGCHLD,
			    (void *)(uintptr_t)(random % 2000));
		break;
	case VMVFORK:
		pid = clone(shares_memory, m->stack + STACK, CLONE_VM | CLONE_VFORK | SIGCHLD,
			    (void *)(uintptr_t)(random % 200));
		break;
	default:
		break;
	}
	return pid;
}

static void *make(void *arg)
{
	struct maker *m = arg;
	uint64_t random = 88172645463325252ull ^ (uint64_t)(m - makers + 1) << 20;

	for (unsigned n = 0; !atomic_load(&quit); n++) {
		enum how how = only < HOWS ? (enum how)only : n % HOWS;
		int status, r = 0;
		pid_t pid;

		m->started[how]++;
		pid = start(how, m, unhurt_random(&random));
		if (pid < 0) {
			perror(names[how]);
			abort();
		}
		/* Beside a child that shares our memory we go on. */
		while (how == VM && (r = waitpid(pid, &status, WNOHANG)) == 0)
			unhurt_lap(n);
		while (r <= 0 && (r = waitpid(pid, &status, 0)) < 0 && errno == EINTR)
			;
		if (r != pid)
			m->bad++;
		else if (WIFSIGNALED(status)) {
			m->killed++;
			m->signal = WTERMSIG(status);
		} else if (WEXITSTATUS(status) != (how == TRUE ? 0 : RIGHT))
			m->bad++;
		else
			m->right++;
	}
	return NULL;
}

static void *compute(void *arg)
{
	(void)arg;
	for (uint64_t n = 0; !atomic_load(&quit); n++)
		unhurt_lap(n);
	return NULL;
}

/* --- the program that replaces itself --- */

/* Which of its threads executes the next, and what was right so far, in the environment. */
static uint64_t lives, born_ns, slowest_ns;
static pthread_barrier_t ready;
static unsigned executes;

static void replace(void)
{
	char count[24], born[24], slowest[24];
	char *argv[] = {execs_word, (char[]){"self"}, count, born, slowest, NULL};
	uint64_t now = unhurt_now_ns();

	if (now - born_ns > slowest_ns)
		slowest_ns = now - born_ns;
	snprintf(count, sizeof(count), "%llu", (unsigned long long)lives + 1);
	snprintf(born, sizeof(born), "%llu", (unsigned long long)now);
	snprintf(slowest, sizeof(slowest), "%llu", (unsigned long long)slowest_ns);
	if (atomic_load(&unhurt_wrong))
		snprintf(count, sizeof(count), "%s", "wrong");
	execve(self, argv, environ);
	perror("execve");
	abort();
}

static void *compute_and_replace(void *arg)
{
	uint64_t random = unhurt_now_ns() | 1;

	pthread_barrier_wait(&ready);
	if ((uintptr_t)arg != executes) {
		for (uint64_t n = 0;; n++)
			unhurt_lap(n);
	}
	for (uint64_t until = unhurt_now_ns() + unhurt_random(&random) % 10000000, n = 0;
	     unhurt_now_ns() < until; n++)
		unhurt_lap(n);
	replace();
	return NULL;
}

/* argv: execs self [LIVES BORN_NS SLOWEST_NS] */
static int replaces_itself(int argc, char **argv)
{
	bool right = argc < 5 || strcmp(argv[2], "wrong") != 0;
	pthread_t thread;

	lives = argc < 5 ? 0 : strtoull(argv[2], NULL, 10);
	born_ns = argc < 5 ? unhurt_now_ns() : strtoull(argv[3], NULL, 10);
	slowest_ns = argc < 5 ? 0 : strtoull(argv[4], NULL, 10);
	/* SIGTERM stays blocked, and pending, when a program is executed. */
	if (!right || unhurt_term(0)) {
		uint64_t age_ns = unhurt_now_ns() - born_ns; /* the last exec may be what hung */

		slowest_ns = age_ns > slowest_ns ? age_ns : slowest_ns;
		printf("{\"started\": %llu, \"slowest_ms\": %.1f, \"results\": \"%s\", \"text\": "
		       "\"%s\"}\n",
		       (unsigned long long)lives, (double)slowest_ns / 1e6,
		       right ? "right" : "wrong", unhurt_text());
		return 0;
	}
	executes = (unsigned)(lives % 4);
	pthread_barrier_init(&ready, NULL, 4);
	for (uintptr_t i = 1; i < 4; i++)
		unhurt_start(&thread, compute_and_replace, (void *)i);
	compute_and_replace((void *)0);
	return 1;
}

int main(int argc, char **argv)
{
	unsigned nthreads, hung = 0;
	uint64_t started[HOWS] = {0}, all = 0, right = 0, killed = 0, bad = 0;
	pthread_t threads[THREADS_MAX];
	int signal = 0;

	if (argc > 1 && !strcmp(argv[1], child_word)) {
		unhurt_begin();
		for (uint64_t n = 0; n < 20; n++)
			unhurt_lap(n);
		/* Nobody lights what is executed here: its text is what the file says. */
		return !atomic_load(&unhurt_wrong) && unhurt_text_same() ? RIGHT : 1;
	}
	unhurt_begin();
	if (argc > 1 && !strcmp(argv[1], "self"))
		return replaces_itself(argc, argv);
	for (int how = 0; argc > 1 && how < HOWS; how++)
		if (!strcmp(argv[1], names[how]))
			only = how;
	if (argc > 1 && only == HOWS && strcmp(argv[1], "all") != 0)
		return 64;
	nthreads = (unsigned)unhurt_arg(argc, argv, 2, 4);
	if (nthreads < 1 || nthreads > THREADS_MAX)
		return 64;
	for (unsigned i = 0; i < nthreads; i++) {
		makers[i].stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE,
				       MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
		if (makers[i].stack == MAP_FAILED)
			abort();
		unhurt_start(&threads[i], i ? make : compute, &makers[i]);
	}
	while (!unhurt_term(1000))
		;
	atomic_store(&quit, true);
	hung = unhurt_join(threads, nthreads);
	for (unsigned i = 0; i < nthreads; i++) {
		for (int how = 0; how < HOWS; how++) {
			started[how] += makers[i].started[how];
			all += makers[i].started[how];
		}
		right += makers[i].right;
		killed += makers[i].killed;
		bad += makers[i].bad;
		signal = makers[i].signal ? makers[i].signal : signal;
	}
	printf("{\"started\": %llu, \"right\": %llu, \"killed\": %llu, \"signal\": %d, "
	       "\"bad\": %llu, \"hung\": %u, \"by_how\": {",
	       (unsigned long long)all, (unsigned long long)right, (unsigned long long)killed,
	       signal, (unsigned long long)bad, hung);
	for (int how = 0; how < HOWS; how++)
		printf("%s\"%s\": %llu", how ? ", " : "", names[how],
		       (unsigned long long)started[how]);
	printf("}, \"laps\": %llu, \"results\": \"%s\", \"text\": \"%s\"}\n",
	       (unsigned long long)atomic_load(&unhurt_laps), unhurt_results(), unhurt_text());
	fflush(stdout);
	_exit(0);
}
