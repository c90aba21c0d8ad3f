// SPDX-License-Identifier: GPL-2.0-only
/*
 * cycle.c - lights the switches of a process and darkens them again, over and over, as
 * bscope-trace does when it attaches and leaves, without its BPF programs.
 *
 * usage: cycle [-l] PID CYCLES [LIT_MS [EACH]]
 *
 * Each time the switches are lit for LIT_MS (1) on average.  EACH (100) cycles share one guardian.
 * -l: while they are lit the runtime is told that somebody listens, so that it writes events into
 * its buffers (nobody reads them).
 *
 * The process and its descendants are what ops.traced names.  A process that executes another
 * program is looked at anew.
 *
 * It prints one JSON line:
 *   cycles     in which the switches were lit and dark again
 *   timeouts, again, busy   tries that were refused so (patch.h), and not counted as cycles: it
 *              goes on until CYCLES are done, or four times as many tries are
 *   failed     tries that failed otherwise; "why" is the last reason of all
 *   stuck      processes that could not be darkened in time
 *   left       cycles after which the process had a switch that was not dark
 *   light_us, dark_us       pauses: avg, p99, max
 *   threads    most that were stopped at a time; switches, crossing (a page, not lit)
 *   layouts    how often the process was looked at: 1 + what it executed
 *   seconds    in all
 *   exited     the process has ended meanwhile
 * Exit status 1 if it could not do its work at all.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/num.h"
#include "target/guardian.h"
#include "target/process.h"
#include "tests/cycles/switches.h"

#define FAMILY_MAX 4096

struct pauses {
	uint64_t *v;
	size_t n, room;
};

/* Shared with the guardian. */
static struct shared {
	pid_t pid;
	uint32_t plan;
} * shared;

static struct totals {
	uint64_t cycles, tries, timeouts, again, busy, failed, stuck, left;
	uint32_t threads, layouts;
	char why[200];
} total;

static struct pauses light_pauses, dark_pauses;

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

static void sleep_us(uint64_t us)
{
	struct timespec ts = {(time_t)(us / 1000000), (long)(us % 1000000 * 1000)};

	nanosleep(&ts, NULL);
}

static void pause_add(struct pauses *p, uint64_t ns)
{
	if (p->n == p->room) {
		uint64_t *more = realloc(p->v, (p->room * 2 + 1024) * sizeof(*more));

		if (!more)
			abort();
		p->v = more;
		p->room = p->room * 2 + 1024;
	}
	p->v[p->n++] = ns;
}

static int by_size(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static void pauses_print(const char *name, struct pauses *p)
{
	double sum = 0;

	if (!p->n)
		pause_add(p, 0);
	qsort(p->v, p->n, sizeof(*p->v), by_size);
	for (size_t i = 0; i < p->n; i++)
		sum += (double)p->v[i];
	printf(", \"%s\": {\"avg\": %.0f, \"p99\": %.0f, \"max\": %.0f}", name,
	       sum / (double)p->n / 1e3, (double)p->v[(p->n - 1) * 99 / 100] / 1e3,
	       (double)p->v[p->n - 1] / 1e3);
}

/* In the middle of an exec by a thread there may be no thread to be seen for a moment. */
static bool alive(pid_t pid)
{
	for (int i = 0; i < 5; i++) {
		if (bs_process_alive(pid))
			return true;
		sleep_us(5000);
	}
	return false;
}

static size_t traced(void *ctx, struct bs_guarded *out, size_t max)
{
	static pid_t pids[FAMILY_MAX];
	size_t n;

	(void)ctx;
	n = switches_family(shared->pid, pids, max < FAMILY_MAX ? max : FAMILY_MAX);
	for (size_t i = 0; i < n; i++)
		out[i] = (struct bs_guarded){pids[i], shared->plan};
	return n;
}

static struct bs_guard *guard_new(void)
{
	struct bs_guard_ops ops = {.traced = traced};
	struct bs_error err = {0};
	struct bs_guard *g;

	if (bs_guard_new(&ops, &g, &err)) {
		fprintf(stderr, "cycle: %s\n", err.text);
		exit(1);
	}
	return g;
}

/* What is past its point of no return in an exec may be lit, since it never comes back to it. */
static bool stays_lit(pid_t pid, const struct switches *s)
{
	for (int i = 0; i < 50; i++) {
		if (switches_where(pid) != s->where || switches_lit(pid, s) <= 0)
			return false;
		sleep_us(20000);
	}
	return true;
}

/* One try.  False if there is no point in another. */
static bool cycle(struct bs_guard *g, struct switches *s, bool listen, uint64_t lit_us)
{
	struct bs_patch_result r = {0};
	struct bs_dark_result d = {0};
	pid_t pid = shared->pid;
	int ret;

	total.tries++;
	if (listen)
		switches_listen(pid, s, true);
	ret = bs_guard_light(g, shared->plan, pid, 0, s->v, s->n, false, &r);
	switch (ret) {
	case 0:
		total.cycles++;
		pause_add(&light_pauses, r.pause_ns);
		break;
	case -ETIMEDOUT:
		total.timeouts++;
		break;
	case -EAGAIN:
		total.again++;
		break;
	case -EBUSY:
		total.busy++;
		break;
	default:
		total.failed++;
	}
	if (r.why[0])
		snprintf(total.why, sizeof(total.why), "%s", r.why);
	if (r.threads > total.threads)
		total.threads = r.threads;
	sleep_us(lit_us);
	ret = bs_guard_dark(g);
	if (!ret)
		ret = bs_guard_dark_wait(g, &d);
	if (ret) {
		snprintf(total.why, sizeof(total.why), "darken: %s", strerror(-ret));
		return false;
	}
	pause_add(&dark_pauses, d.pause_ns);
	if (d.stuck) {
		total.stuck += d.stuck;
		snprintf(total.why, sizeof(total.why), "pid %d stuck: %.150s", d.stuck_pid, d.why);
	}
	if (listen)
		switches_listen(pid, s, false);
	if (stays_lit(pid, s))
		total.left++;
	return alive(pid);
}

int main(int argc, char **argv)
{
	uint64_t cycles, lit_ms = 1, each = 100, pid, random = 88172645463325252ull, start, seen;
	struct bs_guard *guard = NULL;
	struct switches s = {0};
	struct bs_error err = {0};
	bool listen = false, on = true;

	if (argc > 1 && !strcmp(argv[1], "-l")) {
		listen = true;
		argv++;
		argc--;
	}
	if (argc < 3 || bs_num_u64(argv[1], 1, INT32_MAX, &pid) ||
	    bs_num_u64(argv[2], 1, 1000000, &cycles) ||
	    (argc > 3 && bs_num_u64(argv[3], 0, 60000, &lit_ms)) ||
	    (argc > 4 && bs_num_u64(argv[4], 1, 1000000, &each))) {
		fprintf(stderr, "usage: cycle [-l] PID CYCLES [LIT_MS [EACH]]\n");
		return 64;
	}
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED)
		return 1;
	shared->pid = (pid_t)pid;
	/* Programs that are busy in another session let us starve for seconds; not the guardian. */
	sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &(struct sched_param){1});
	start = seen = now_ns();
	while (on && total.cycles < cycles && total.tries < cycles * 4) {
		if (!s.n || switches_where((pid_t)pid) != s.where) {
			switches_fini(&s);
			if (switches_find((pid_t)pid, &s, &err)) {
				/* In the middle of an exec: look again. */
				on = alive((pid_t)pid) && now_ns() - seen < 10000000000u;
				if (on)
					sleep_us(500);
				continue;
			}
			seen = now_ns();
			shared->plan++;
			total.layouts++;
		}
		if (!guard || total.tries % each == 0) {
			bs_guard_free(guard);
			guard = guard_new();
		}
		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		on = cycle(guard, &s, listen, lit_ms ? random % (2000 * lit_ms) : 0);
		sleep_us(random >> 40 & 1023);
	}
	bs_guard_free(guard);
	if (!total.layouts) {
		fprintf(stderr, "cycle: %s\n", err.text);
		return 1;
	}
	printf("{\"cycles\": %llu, \"timeouts\": %llu, \"again\": %llu, \"busy\": %llu, "
	       "\"failed\": %llu, \"stuck\": %llu, \"left\": %llu",
	       (unsigned long long)total.cycles, (unsigned long long)total.timeouts,
	       (unsigned long long)total.again, (unsigned long long)total.busy,
	       (unsigned long long)total.failed, (unsigned long long)total.stuck,
	       (unsigned long long)total.left);
	pauses_print("light_us", &light_pauses);
	pauses_print("dark_us", &dark_pauses);
	printf(", \"threads\": %u, \"switches\": %zu, \"crossing\": %zu, \"layouts\": %u, "
	       "\"seconds\": %.1f, \"exited\": %s, \"why\": \"",
	       total.threads, s.n, s.crossing, total.layouts, (double)(now_ns() - start) / 1e9,
	       alive((pid_t)pid) ? "false" : "true");
	for (const char *c = total.why; *c; c++)
		putchar(*c == '"' || *c == '\\' || *c < ' ' ? '\'' : *c);
	printf("\"}\n");
	switches_fini(&s);
	return 0;
}
