// SPDX-License-Identifier: GPL-2.0-only
/*
 * forks.c - a program that forks all the time; its children must end with the text of the file.
 *
 * usage: forks [FORKERS [HELD [PATIENCE_MS]]]
 *
 * FORKERS (2) threads fork one child after the other, and a third makes marks.  Each child, and
 * the grandchild that every third has, makes marks for up to 20 ms.  Then it waits for its text to
 * be what its file says, at most PATIENCE_MS (10000; more than the longest time that a tool has it
 * lit), and reports.  HELD (4) children of the first half second, each with a grandchild, go on
 * marking now and then until the program ends.
 *
 * SIGTERM ends it: the tool should have let go before.  It prints one JSON line:
 *   children, ended, killed, hung     and
 *   changed        children whose text did not become that of the file
 *   wrong          children with wrong results
 *   lit            children that saw their text changed at some time: that it was a test at all
 */
#define _GNU_SOURCE
#include "unhurt.h"

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define FORKERS_MAX 16
#define HELD_MAX    64

/* Shared with all descendants. */
static struct shared {
	_Atomic uint64_t children, ended, killed, changed, wrong, lit, laps;
	atomic_bool release;
} * shared;

static atomic_bool quit;
static uint64_t patience_ns;

static void mark_for(uint64_t us)
{
	uint64_t until = unhurt_now_ns() + us * 1000;

	for (uint64_t n = 0; unhurt_now_ns() < until; n++)
		unhurt_lap(n);
}

static void reap(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFSIGNALED(status))
		atomic_fetch_add(&shared->killed, 1);
	else
		atomic_fetch_add(&shared->ended, 1);
}

static pid_t child(bool held, unsigned generations, uint64_t random);

/* What a child does; never returns. */
static void live(bool held, unsigned generations, uint64_t random)
{
	uint64_t until;
	pid_t pid = 0;
	bool lit;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	atomic_store(&unhurt_laps, 0);
	atomic_store(&unhurt_wrong, 0);
	mark_for(random % 10000);
	lit = !unhurt_text_same();
	if (generations)
		pid = child(held, generations - 1, random >> 8);
	mark_for(random / 7 % 10000);
	while (held && !atomic_load(&shared->release)) {
		mark_for(100);
		unhurt_sleep_us(20000);
		lit = lit || !unhurt_text_same();
	}
	if (pid)
		reap(pid);
	until = unhurt_now_ns() + patience_ns;
	while (!unhurt_text_same()) {
		lit = true;
		if (unhurt_now_ns() > until) {
			atomic_fetch_add(&shared->changed, 1);
			break;
		}
		unhurt_sleep_us(500);
	}
	atomic_fetch_add(&shared->lit, lit);
	atomic_fetch_add(&shared->wrong, atomic_load(&unhurt_wrong) != 0);
	atomic_fetch_add(&shared->laps, atomic_load(&unhurt_laps));
	_exit(0);
}

static pid_t child(bool held, unsigned generations, uint64_t random)
{
	pid_t pid;

	atomic_fetch_add(&shared->children, 1);
	pid = fork();
	if (pid < 0)
		abort();
	if (!pid)
		live(held, generations, random);
	return pid;
}

static void *forker(void *arg)
{
	uint64_t random = 88172645463325252ull + (uintptr_t)arg;

	for (unsigned n = 0; !atomic_load(&quit); n++) {
		pid_t pid = child(false, n % 3 == 0, unhurt_random(&random));

		mark_for(unhurt_random(&random) % 1000);
		reap(pid);
	}
	return NULL;
}

static void *compute(void *arg)
{
	(void)arg;
	while (!atomic_load(&quit))
		mark_for(10000);
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t threads[FORKERS_MAX + 1];
	pid_t held[HELD_MAX];
	unsigned nforkers, nheld, hung, started = 0;
	uint64_t random = 362436069;

	unhurt_begin();
	nforkers = (unsigned)unhurt_arg(argc, argv, 1, 2);
	nheld = (unsigned)unhurt_arg(argc, argv, 2, 4);
	patience_ns = (uint64_t)unhurt_arg(argc, argv, 3, 10000) * 1000000;
	if (nforkers > FORKERS_MAX || nheld > HELD_MAX)
		return 64;
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED)
		abort();
	for (unsigned i = 0; i < nforkers; i++)
		unhurt_start(&threads[i], forker, (void *)(uintptr_t)(i + 1));
	unhurt_start(&threads[nforkers], compute, NULL);
	while (!unhurt_term(started < nheld ? 500 / nheld : 1000)) {
		if (started < nheld)
			held[started++] = child(true, 1, unhurt_random(&random));
	}
	atomic_store(&shared->release, true);
	atomic_store(&quit, true);
	for (unsigned i = 0; i < started; i++)
		reap(held[i]);
	hung = unhurt_join(threads, nforkers + 1);
	printf("{\"children\": %llu, \"ended\": %llu, \"killed\": %llu, \"hung\": %u, "
	       "\"changed\": %llu, \"wrong\": %llu, \"lit\": %llu, \"laps\": %llu, "
	       "\"results\": \"%s\", \"text\": \"%s\"}\n",
	       (unsigned long long)shared->children, (unsigned long long)shared->ended,
	       (unsigned long long)shared->killed, hung, (unsigned long long)shared->changed,
	       (unsigned long long)shared->wrong, (unsigned long long)shared->lit,
	       (unsigned long long)(shared->laps + unhurt_laps),
	       shared->wrong ? "wrong" : unhurt_results(), unhurt_text());
	fflush(stdout);
	_exit(0);
}
