// SPDX-License-Identifier: GPL-2.0-only
/*
 * threads.c - threads by the ten-thousand, one after another, and many at once.
 *
 * usage: threads [ONE_BY_ONE [AT_ONCE [LAPS [ROUNDS]]]]
 *
 * A round: ONE_BY_ONE (10000) threads, each of which makes LAPS (4) laps of marks and exits before
 * the next starts; then AT_ONCE (500) at the same time, which live for half a second.  Rounds go on
 * until SIGTERM, or for ROUNDS (0: no limit).
 *
 * It prints one JSON line: threads (started and joined), rounds, laps (unhurt.h), the marks of each
 * kind, and VmRSS and VmSize in KiB at the start, after the first round (of one by one), and at the
 * end, without threads.
 */
#define _GNU_SOURCE
#include "unhurt.h"

#define AT_ONCE_MAX 4096
#define STACK	    65536

static uint64_t laps_each, live_ns;
static uint64_t started;
static unsigned hung;
static pthread_attr_t attr;

static void *short_life(void *arg)
{
	for (uint64_t n = 0; n < laps_each; n++)
		unhurt_lap((uintptr_t)arg + n);
	return NULL;
}

static void *long_life(void *arg)
{
	uint64_t until = unhurt_now_ns() + live_ns;

	do {
		short_life(arg);
		unhurt_sleep_us(5000);
	} while (unhurt_now_ns() < until);
	return NULL;
}

static void create(pthread_t *thread, void *(*run)(void *))
{
	if (pthread_create(thread, &attr, run, (void *)(uintptr_t)started)) {
		perror("pthread_create");
		abort();
	}
	started++;
}

/* A line "Name: number kB" of /proc/self/status. */
static unsigned long status_kb(const char *name)
{
	char line[256];
	unsigned long kb = 0;
	FILE *f = fopen("/proc/self/status", "r");

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, name, strlen(name)))
			sscanf(line + strlen(name), ": %lu", &kb);
	if (f)
		fclose(f);
	return kb;
}

static void memory(unsigned long *to)
{
	to[0] = status_kb("VmRSS");
	to[1] = status_kb("VmSize");
}

int main(int argc, char **argv)
{
	static const char *const kinds[] = {"region_enter", "new",	    "move",	  "borrow",
					    "use",	    "unborrow",	    "borrow_mut", "retain",
					    "release",	    "resize_begin", "resize_end", "drop",
					    "region_exit"};
	static pthread_t threads[AT_ONCE_MAX];
	unsigned long before[2], first[2] = {0}, after[2];
	unsigned one_by_one, at_once;
	long rounds, round = 0;

	unhurt_begin();
	one_by_one = (unsigned)unhurt_arg(argc, argv, 1, 10000);
	at_once = (unsigned)unhurt_arg(argc, argv, 2, 500);
	laps_each = (uint64_t)unhurt_arg(argc, argv, 3, 4);
	rounds = unhurt_arg(argc, argv, 4, 0);
	if (at_once > AT_ONCE_MAX)
		return 64;
	live_ns = 500000000;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK);
	memory(before);
	do {
		for (unsigned i = 0; i < one_by_one && !unhurt_term(0) && !hung; i++) {
			create(&threads[0], short_life);
			hung += unhurt_join(threads, 1);
		}
		if (!round)
			memory(first);
		for (unsigned i = 0; i < at_once; i++)
			create(&threads[i], long_life);
		hung += unhurt_join(threads, at_once);
		round++;
	} while (!unhurt_term(0) && round != rounds && !hung);
	memory(after);
	printf("{\"threads\": %llu, \"hung\": %u, \"rounds\": %ld, \"laps\": %llu, \"marks\": {",
	       (unsigned long long)started, hung, round, (unsigned long long)unhurt_laps);
	for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		printf("%s\"%s\": %llu", i ? ", " : "", kinds[i],
		       (unsigned long long)unhurt_laps * UNHURT_ROUNDS);
	printf("}, \"rss_kb\": [%lu, %lu, %lu], \"size_kb\": [%lu, %lu, %lu], "
	       "\"results\": \"%s\", \"text\": \"%s\"}\n",
	       before[0], first[0], after[0], before[1], first[1], after[1], unhurt_results(),
	       unhurt_text());
	fflush(stdout);
	_exit(0);
}
