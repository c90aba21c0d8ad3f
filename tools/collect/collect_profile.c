// SPDX-License-Identifier: GPL-2.0-only
/*
 * collect_profile.c - samples of the CPU clock: a timer on each CPU, the records it leaves, and
 * what a sample costs whom it finds.
 *
 * perf_event_open(2): PERF_COUNT_SW_CPU_CLOCK is a timer of the kernel's own, so that it is there
 * in virtual machines without counters, too.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/perf_event.h>

#include "base/clock.h"
#include "base/error.h"
#include "collect/collect.h"
#include "collect/collect_state.h"
#include "collect/light.h"
#include "trace.skel.h"

/*
 * Room in the ring for each CPU: the reader comes ten times a second, and a deep stack takes two
 * kilobytes.
 */
#define ROOM_PER_HZ 512u
#define ROOM_MIN    (1u << 20)
#define ROOM_MAX    (1u << 28)

/* What a sample costs: rounds of work, with a timer that ticks this often and without. */
#define COST_HZ	      20000u
#define COST_HZ_LEAST 1000u
#define COST_ROUNDS   16
#define COST_TURNS    2500000u
#define COST_SAMPLES  10 /* so many must be in a round */

#define RATE_FILE "/proc/sys/kernel/perf_event_max_sample_rate"

int bs_profile_size(struct bs_collect *c)
{
	uint64_t want =
		(uint64_t)c->profile_hz * ROOM_PER_HZ * (uint64_t)sysconf(_SC_NPROCESSORS_CONF);
	__u32 bytes = ROOM_MIN;
	int ret;

	if (!c->profile_hz) {
		ret = bpf_program__set_autoload(c->skel->progs.profile, false);
		if (!ret)
			ret = bpf_map__set_autocreate(c->skel->maps.samples, false);
		if (!ret)
			ret = bpf_map__set_autocreate(c->skel->maps.sample_room, false);
		return ret;
	}
	while (bytes < want && bytes < ROOM_MAX)
		bytes *= 2;
	return bpf_map__set_max_entries(c->skel->maps.samples, bytes);
}

static int on_sample(void *ctx, void *data, size_t size)
{
	const struct bs_sample_room *s = data;
	struct bs_collect *c = ctx;
	size_t words;

	if (!c->profile_fn || size < sizeof(s->head))
		return 0;
	words = (size_t)s->head.user + s->head.kernel + s->head.near;
	if (size < sizeof(s->head) + words * sizeof(s->at[0]))
		return 0;
	c->profile_ret = c->profile_fn(c->profile_ctx, s);
	return c->profile_ret < 0 ? c->profile_ret : 0;
}

int bs_profile_init(struct bs_collect *c)
{
	if (!c->profile_hz)
		return 0;
	c->samples = ring_buffer__new(bpf_map__fd(c->skel->maps.samples), on_sample, c, NULL);
	return c->samples ? 0 : -errno;
}

void bs_profile_fini(struct bs_collect *c)
{
	for (size_t i = 0; i < c->n_timers; i++)
		bpf_link__destroy(c->timers[i]);
	free(c->timers);
	c->timers = NULL;
	c->n_timers = 0;
	ring_buffer__free(c->samples);
	c->samples = NULL;
}

/* A timer on a CPU (pid -1), or where this thread runs (pid 0, cpu -1).  0 or -errno. */
static int timer_start(const struct bs_collect *c, uint32_t hz, pid_t pid, int cpu,
		       struct bpf_link **out)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_CPU_CLOCK,
		.sample_freq = hz,
		.freq = 1,
		.exclude_idle = 1,
	};
	int fd = (int)syscall(SYS_perf_event_open, &attr, pid, cpu, -1, PERF_FLAG_FD_CLOEXEC), ret;

	if (fd < 0)
		return -errno;
	*out = bpf_program__attach_perf_event(c->skel->progs.profile, fd);
	if (*out)
		return 0;
	ret = -errno;
	close(fd);
	return ret;
}

/* --- what a sample costs ---------------------------------------------------------------------- */

static void lines_sum(const struct bs_collect *c, struct bs_profile_line *sum)
{
	*sum = (struct bs_profile_line){0};
	for (size_t i = 0; i < BS_CPU_LINES; i++) {
		const struct bs_profile_line *line = &c->skel->bss->profile_lines[i];

		sum->taken += __atomic_load_n(&line->taken, __ATOMIC_RELAXED);
		sum->lost += __atomic_load_n(&line->lost, __ATOMIC_RELAXED);
		sum->ns += __atomic_load_n(&line->ns, __ATOMIC_RELAXED);
	}
}

static __attribute__((noinline, aligned(64))) uint64_t work(void)
{
	uint64_t h = 1;

	for (uint32_t i = 0; i < COST_TURNS; i++) {
		h = h * 0x9e3779b97f4a7c15ull + 1;
		__asm__ __volatile__("" : "+r"(h));
	}
	return h;
}

/* Of this thread, so that what others do meanwhile does not count. */
static double work_ns(void)
{
	uint64_t began = bs_clock_ns(CLOCK_THREAD_CPUTIME_ID);

	work();
	return (double)(bs_clock_ns(CLOCK_THREAD_CPUTIME_ID) - began);
}

/* A round with a timer, without what the program itself took; *taken: the samples in it.  < 0:
 * none. */
static double round_ns(struct bs_collect *c, uint32_t hz, double *taken)
{
	struct bs_profile_line before, after;
	struct bpf_link *timer = NULL;
	double ns;

	if (timer_start(c, hz, 0, -1, &timer))
		return -1;
	lines_sum(c, &before);
	ns = work_ns();
	lines_sum(c, &after);
	bpf_link__destroy(timer);
	ring_buffer__consume(c->samples);
	*taken = (double)(after.taken - before.taken);
	return ns - (double)(after.ns - before.ns);
}

/*
 * The interrupt of the timer, and what the kernel does until the program runs and after: from the
 * least of rounds with and without, one after the other.  What the program itself takes depends on
 * the stacks, and is measured all the time.
 */
static double fixed_ns(struct bs_collect *c, uint32_t hz)
{
	double with = INFINITY, without = INFINITY, taken = 0;

	for (int i = 0; i < COST_ROUNDS; i++) {
		double n, ns = round_ns(c, hz, &n), plain = work_ns();

		if (ns >= 0 && n >= COST_SAMPLES && ns < with) {
			with = ns;
			taken = n;
		}
		without = fmin(without, plain);
	}
	return taken > 0 && with > without ? (with - without) / taken : 0;
}

static int cost_measure(struct bs_collect *c)
{
	uint32_t hz = COST_HZ;
	struct bpf_link *timer = NULL;
	int ret;

	while ((ret = timer_start(c, hz, 0, -1, &timer)) == -EINVAL && hz > COST_HZ_LEAST)
		hz /= 2;
	if (ret)
		return ret;
	bpf_link__destroy(timer);
	ret = bs_collect_remember(c, getpid());
	if (ret)
		return ret;
	c->skel->bss->profile_phase = BS_PHASE_WITHOUT;
	c->profile_fixed_ns = fixed_ns(c, hz);
	c->skel->bss->profile_phase = BS_PHASE_NONE;
	bs_collect_forget(c, getpid());
	ring_buffer__consume(c->samples);
	lines_sum(c, &c->profile_base);
	return 0;
}

/* --- phases ----------------------------------------------------------------------------------- */

static unsigned long rate_allowed(void)
{
	FILE *file = fopen(RATE_FILE, "re");
	unsigned long rate = 0;

	if (!file)
		return 0;
	if (fscanf(file, "%lu", &rate) != 1)
		rate = 0;
	fclose(file);
	return rate;
}

static int timers_explain(const struct bs_collect *c, int ret, struct bs_error *err)
{
	unsigned long allowed = rate_allowed();

	if (ret == -EINVAL && allowed && c->profile_hz > allowed)
		return bs_error_set(err, ret,
				    "--frequency=%u: this kernel allows %lu samples a second at "
				    "most: use fewer, or sysctl "
				    "kernel.perf_event_max_sample_rate=%u",
				    c->profile_hz, allowed, c->profile_hz);
	if (ret == -ENOENT || ret == -ENOSYS || ret == -EOPNOTSUPP)
		return bs_error_set(err, -ENOSYS,
				    "--overhead: this kernel has no perf events "
				    "(CONFIG_PERF_EVENTS): leave it out");
	return bs_caps_explain(err, ret, "--overhead: sampling the CPU clock");
}

static int timers_start(struct bs_collect *c)
{
	long cpus = sysconf(_SC_NPROCESSORS_CONF);

	if (c->timers)
		return 0;
	c->timers = calloc(cpus > 0 ? (size_t)cpus : 1, sizeof(struct bpf_link *));
	if (!c->timers)
		return -ENOMEM;
	for (int cpu = 0; cpu < cpus; cpu++) {
		int ret = timer_start(c, c->profile_hz, -1, cpu, &c->timers[c->n_timers]);

		/* One that is off line runs nobody. */
		if (ret && ret != -ENODEV)
			return ret;
		c->n_timers += !ret;
	}
	return c->n_timers ? 0 : -ENODEV;
}

int bs_collect_profile(struct bs_collect *c, enum bs_phase phase, struct bs_error *err)
{
	int ret = 0;

	if (!c->timers) {
		ret = cost_measure(c);
		if (!ret)
			ret = timers_start(c);
		if (ret)
			return timers_explain(c, ret, err);
	}
	__atomic_store_n(&c->skel->bss->profile_phase, phase, __ATOMIC_RELAXED);
	return 0;
}

int bs_collect_profile_read(struct bs_collect *c, bs_profile_fn fn, void *ctx)
{
	int ret;

	c->profile_fn = fn;
	c->profile_ctx = ctx;
	c->profile_ret = 0;
	ret = ring_buffer__consume(c->samples);
	c->profile_fn = NULL;
	if (c->profile_ret < 0)
		return c->profile_ret;
	return ret < 0 ? ret : 0;
}

void bs_collect_profile_counts(const struct bs_collect *c, struct bs_profile_counts *out)
{
	struct bs_profile_line sum;

	lines_sum(c, &sum);
	out->taken = sum.taken - c->profile_base.taken;
	out->lost = sum.lost - c->profile_base.lost;
	out->ns_per_sample = 0;
	if (out->taken && c->profile_fixed_ns > 0)
		out->ns_per_sample = c->profile_fixed_ns +
				     (double)(sum.ns - c->profile_base.ns) / (double)out->taken;
}

/* --- our own programs ------------------------------------------------------------------------- */

#define PIECES 32 /* of one program: a function each */

size_t bs_collect_programs(const struct bs_collect *c, struct bs_kernel_code *out, size_t max)
{
	struct bpf_program *p;
	size_t n = 0;

	bpf_object__for_each_program(p, c->skel->obj)
	{
		struct bpf_prog_info info = {0};
		__u32 size = sizeof(info), lens[PIECES];
		__u64 starts[PIECES];

		if (!bpf_program__autoload(p) || p == c->skel->progs.profile)
			continue;
		info.nr_jited_ksyms = info.nr_jited_func_lens = PIECES;
		info.jited_ksyms = (uintptr_t)starts;
		info.jited_func_lens = (uintptr_t)lens;
		if (bpf_obj_get_info_by_fd(bpf_program__fd(p), &info, &size))
			continue;
		for (__u32 i = 0; i < info.nr_jited_ksyms && i < info.nr_jited_func_lens &&
				  i < PIECES && n < max;
		     i++)
			if (starts[i])
				out[n++] = (struct bs_kernel_code){starts[i], starts[i] + lens[i]};
	}
	return n;
}
