// SPDX-License-Identifier: GPL-2.0-only
/*
 * collect.c - life of the BPF programs: load, try out on a site of the tool's own, follow fork,
 * exec and exit, leave.
 *
 * What they send and count: collect_poll.c; what is lit: collect_sites.c; who is traced:
 * collect_traced.c; samples of the CPU clock: collect_profile.c.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "base/clock.h"
#include "base/error.h"
#include "collect/collect.h"
#include "collect/collect_state.h"
#include "collect/light.h"
#include "trace.skel.h"

#define DEFAULT_RING  (64u << 20)
#define MAX_RING      (1u << 31)
#define DEFAULT_SITES 65536u
/* What a frame costs is told from stacks that differ by so many. */
#define MORE_FRAMES 16

/* A record takes this much of the ring: the kernel puts 8 bytes in front of it. */
#define RECORD_BYTES (sizeof(struct bs_ring_event) + 8)

/* The pid namespace that the kernel starts with: PROC_PID_INIT_INO. */
#define INIT_PID_NS 0xeffffffcu

/* libbpf has one print function for the whole process. */
static void (*log_line)(const char *line);

static int print(enum libbpf_print_level level, const char *format, va_list args)
{
	char *text, *line, *next;

	(void)level;
	if (!log_line || vasprintf(&text, format, args) < 0)
		return 0;
	for (line = text; line && *line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		log_line(line);
	}
	free(text);
	return 0;
}

double bs_collect_ns_per_hit(const struct bs_collect *c)
{
	return c->ns_per_hit;
}

double bs_collect_ns_per_stack(const struct bs_collect *c, double frames)
{
	return frames > 2 ? c->ns_per_stack + (frames - 2) * c->ns_per_frame : c->ns_per_stack;
}

double bs_collect_spread_per_hit(const struct bs_collect *c)
{
	return c->spread_per_hit;
}

const char *bs_collect_method(const struct bs_collect *c)
{
	return c->multi ? "uprobe_multi" : "perf events";
}

/* --- loading ---------------------------------------------------------------------------------- */

static void unload(struct bs_collect *c)
{
	bs_profile_fini(c);
	ring_buffer__free(c->ring);
	c->ring = NULL;
	if (c->places)
		munmap((void *)c->places, 2 * c->page);
	c->places = NULL;
	if (c->wait_fd >= 0)
		close(c->wait_fd);
	c->wait_fd = -1;
	trace_bpf__destroy(c->skel);
	c->skel = NULL;
}

static uint64_t wake_mask(size_t ring_bytes)
{
	long cpus = sysconf(_SC_NPROCESSORS_CONF);
	uint64_t step = 1024;

	/* All CPUs together may not fill another quarter between two looks at the level. */
	while (step > 1 && step * RECORD_BYTES * (uint64_t)(cpus > 0 ? cpus : 1) > ring_bytes / 4)
		step /= 2;
	return step - 1;
}

static int set_multi(struct trace_bpf *skel)
{
	enum bpf_attach_type type = (enum bpf_attach_type)BS_ATTACH_UPROBE_MULTI;
	int ret = bpf_program__set_expected_attach_type(skel->progs.trap, type);

	if (!ret)
		ret = bpf_program__set_expected_attach_type(skel->progs.batch, type);
	if (!ret)
		ret = bpf_program__set_expected_attach_type(skel->progs.buffer, type);
	if (!ret)
		ret = bpf_program__set_expected_attach_type(skel->progs.stack, type);
	return ret;
}

/* A type that the running kernel's BTF names. */
static bool kernel_has(const char *type)
{
	struct btf *btf = btf__load_vmlinux_btf();
	bool has = btf && btf__find_by_name(btf, type) > 0;

	btf__free(btf);
	return has;
}

static int load(struct bs_collect *c, bool multi)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET};
	struct trace_bpf *skel;
	void *places;
	int ret, fd;

	c->multi = multi;
	skel = c->skel = trace_bpf__open();
	if (!skel)
		return -errno;
	skel->rodata->wake_mask = wake_mask(c->ring_bytes);
	skel->rodata->wake_bytes = c->ring_bytes / 4;
	skel->rodata->full_bytes = c->ring_bytes / 8 * 7;
	skel->rodata->stack_kinds = c->stack_kinds;
	skel->rodata->stack_bytes = c->stack_bytes;
	ret = bpf_map__set_max_entries(skel->maps.ring, (__u32)c->ring_bytes);
	if (!ret)
		ret = bpf_map__set_max_entries(skel->maps.sites, c->max_sites + 1);
	/* and one for the tool's own site */
	if (!ret && !multi)
		ret = bpf_map__set_max_entries(skel->maps.places, c->max_sites + 1);
	if (!ret && multi)
		ret = set_multi(skel);
	/* From Linux 6.10 on. */
	if (!ret && !kernel_has("btf_trace_sched_prepare_exec"))
		ret = bpf_program__set_autoload(skel->progs.on_prepare_exec, false);
	if (!ret && !c->stack_kinds)
		ret = bpf_program__set_autoload(skel->progs.stack, false);
	if (!ret)
		ret = bs_profile_size(c);
	if (!ret)
		ret = trace_bpf__load(skel);
	if (ret)
		return ret;

	fd = bpf_map__fd(skel->maps.ring);
	c->ring = ring_buffer__new(fd, bs_ring_on_record, c, NULL);
	if (!c->ring)
		return -errno;
	places = mmap(NULL, 2 * c->page, PROT_READ, MAP_SHARED, fd, 0);
	if (places == MAP_FAILED)
		return -errno;
	c->places = places;
	c->wait_fd = epoll_create1(EPOLL_CLOEXEC);
	if (c->wait_fd < 0 || epoll_ctl(c->wait_fd, EPOLL_CTL_ADD, fd, &event))
		return -errno;
	return bs_profile_init(c);
}

/* --- the tool's own site ---------------------------------------------------------------------- */

/* frames: that the site lies below; 0: it is called from here. */
static double hit_round(unsigned int hits, unsigned int frames)
{
	uint64_t start = bs_now_ns();

	for (unsigned int i = 0; i < hits; i++)
		frames ? bs_own_site_hit_deep(frames) : bs_own_site_hit();
	return (double)(bs_now_ns() - start) / hits;
}

#define ROUNDS 11

static int compare(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* The least of all rounds, and their median where that is asked for. */
static double min_round(struct bs_collect *c, unsigned int hits, unsigned int frames,
			double *median)
{
	double rounds[ROUNDS];

	for (int i = 0; i < ROUNDS; i++) {
		rounds[i] = hit_round(hits, frames);
		if (i)
			bs_ring_consume(c, NULL, NULL);
	}
	qsort(rounds, ROUNDS, sizeof(rounds[0]), compare);
	if (median)
		*median = rounds[ROUNDS / 2];
	return rounds[0];
}

/* With as much of a stack above it as can be copied. */
static __attribute__((noinline)) double min_round_below(struct bs_collect *c, unsigned int hits,
							unsigned int frames)
{
	uint8_t above[BS_STACK_BYTES_MAX];
	double ns;

	memset(above, 1, sizeof(above));
	__asm__ __volatile__("" : : "r"(above) : "memory");
	ns = min_round(c, hits, frames, NULL);
	__asm__ __volatile__("" : : "r"(above) : "memory");
	return ns;
}

/* The same site, now of a kind whose stacks are taken, below one frame and below some more. */
static int try_stacks(struct bs_collect *c, const struct bs_own_site *own,
		      const struct bs_probe *probe)
{
	struct bs_site_spec spec = {.kind = (__u8)__builtin_ctz(c->stack_kinds)}, none = {0};
	size_t bytes = c->stack_bytes ? sizeof(struct bs_ring_copy) + c->stack_bytes
				      : sizeof(struct bs_ring_stack);
	size_t room = c->ring_bytes / bytes / 2;
	unsigned int hits = room < 500 ? (unsigned int)room : 500;
	int map = bpf_map__fd(c->skel->maps.sites), ret;
	__u32 index = 0;
	double lit[2];

	if (bpf_map_update_elem(map, &index, &spec, BPF_ANY))
		return -errno;
	ret = bs_collect_attach(c, c->skel->progs.trap, &c->traps[BS_TRAPS_ALL], own->path, probe,
				1);
	if (ret)
		return ret;
	bs_collect_start(c);
	lit[0] = min_round_below(c, hits, 1);
	lit[1] = min_round_below(c, hits, 1 + MORE_FRAMES);
	bs_collect_dark(c);
	c->ns_per_stack = lit[0] - min_round_below(c, hits, 1);
	c->ns_per_frame = (lit[1] - min_round_below(c, hits, 1 + MORE_FRAMES) - c->ns_per_stack) /
			  MORE_FRAMES;
	/* What is copied is as long below any number of frames. */
	if (c->stack_bytes || c->ns_per_frame < 0)
		c->ns_per_frame = 0;
	return bpf_map_update_elem(map, &index, &none, BPF_ANY) ? -errno : 0;
}

/*
 * Lights the tool's own site and hits it, because a kernel may take a link and deliver nothing;
 * and times it.  Everything this leaves in counters is subtracted from what users see, what it
 * leaves in the ring is thrown away.
 */
static int try_out(struct bs_collect *c)
{
	size_t room = c->ring_bytes / RECORD_BYTES / 2;
	unsigned int hits = room < 500 ? (unsigned int)room : 500;
	struct bs_counters before, after;
	struct bs_own_site own = {0};
	struct bs_probe probe = {0};
	double lit, median;
	int ret;

	ret = bs_own_site_find(&own);
	if (ret)
		return ret;
	ret = bs_collect_remember(c, getpid());
	if (ret)
		return ret;
	bs_collect_read_counters(c, &before);
	probe.offset = own.offset;
	ret = bs_collect_attach(c, c->skel->progs.trap, &c->traps[BS_TRAPS_ALL], own.path, &probe,
				1);
	if (!ret) {
		bs_collect_start(c);
		bs_own_site_hit();
		bs_collect_read_counters(c, &after);
		ret = after.written == before.written + 1 ? 0 : -ENOSYS;
		if (!ret) {
			lit = min_round(c, hits, 0, &median);
			bs_collect_dark(c);
			c->ns_per_hit = lit - min_round(c, hits, 0, NULL);
			c->spread_per_hit = median - lit;
		}
	}
	if (!ret && c->stack_kinds)
		ret = try_stacks(c, &own, &probe);
	bs_collect_dark(c);
	bs_collect_forget(c, getpid());
	bs_ring_consume(c, NULL, NULL);
	bs_collect_read_counters(c, &c->base);
	if (bs_collect_read_missed(c, &c->base_missed))
		c->base_missed = 0;
	return ret;
}

static int follow_life(struct bs_collect *c)
{
	struct trace_bpf *skel = c->skel;

	skel->links.on_fork = bpf_program__attach(skel->progs.on_fork);
	if (!skel->links.on_fork)
		return -errno;
	skel->links.on_exec = bpf_program__attach(skel->progs.on_exec);
	if (!skel->links.on_exec)
		return -errno;
	skel->links.on_exit = bpf_program__attach(skel->progs.on_exit);
	if (!skel->links.on_exit)
		return -errno;
	skel->links.on_newtask = bpf_program__attach(skel->progs.on_newtask);
	if (!skel->links.on_newtask)
		return -errno;
	skel->links.on_signal = bpf_program__attach(skel->progs.on_signal);
	if (!skel->links.on_signal)
		return -errno;
	if (!bpf_program__autoload(skel->progs.on_prepare_exec))
		return 0;
	skel->links.on_prepare_exec = bpf_program__attach(skel->progs.on_prepare_exec);
	return skel->links.on_prepare_exec ? 0 : -errno;
}

static int start(struct bs_collect *c, bool no_multi, struct bs_error *err)
{
	int ret;

	if (!no_multi) {
		ret = load(c, true);
		if (!ret)
			ret = try_out(c);
		if (!ret)
			return 0;
		if (ret == -ENOMEM)
			return bs_caps_explain(err, ret, "ring buffer");
		unload(c);
	}
	ret = load(c, false);
	if (ret)
		return bs_caps_explain(err, ret, "loading BPF programs");
	ret = try_out(c);
	if (ret == -ENOSYS)
		return bs_error_set(err, ret,
				    "uprobes do not reach BPF programs on this kernel "
				    "(CONFIG_UPROBE_EVENTS, CONFIG_BPF_EVENTS)");
	if (ret)
		return bs_caps_explain(err, ret, "attaching a uprobe");
	return 0;
}

int bs_collect_new(const struct bs_collect_opts *opts, struct bs_collect **out,
		   struct bs_error *err)
{
	size_t bytes;
	struct bs_collect *c;
	struct stat ns;
	int ret;

	*out = NULL;
	log_line = opts->log;
	libbpf_set_print(print);
	if (!stat("/proc/self/ns/pid", &ns) && ns.st_ino != INIT_PID_NS)
		return bs_error_set(err, -ENOSYS,
				    "inside a pid namespace the kernel's process numbers are not "
				    "known: run on the host, or in a container with --pid=host");
	bytes = opts->ring_bytes ? opts->ring_bytes : DEFAULT_RING;
	if (bytes > MAX_RING)
		return bs_error_set(err, -EINVAL, "ring buffer of %zu bytes: at most %u", bytes,
				    MAX_RING);
	c = calloc(1, sizeof(*c));
	if (!c)
		return bs_error_set(err, -ENOMEM, "out of memory");
	c->wait_fd = -1;
	c->page = (size_t)sysconf(_SC_PAGESIZE);
	c->stack_kinds = opts->stack_kinds;
	c->stack_bytes = opts->stack_bytes;
	c->profile_hz = opts->profile_hz;
	c->max_sites = opts->max_sites ? opts->max_sites : DEFAULT_SITES;
	for (c->ring_bytes = c->page; c->ring_bytes < bytes;)
		c->ring_bytes *= 2;

	ret = start(c, opts->no_multi, err);
	if (!ret) {
		ret = follow_life(c);
		if (ret)
			bs_caps_explain(err, ret, "following fork, exec and exit");
	}
	if (ret) {
		bs_collect_free(c);
		return ret;
	}
	*out = c;
	return 0;
}

void bs_collect_free(struct bs_collect *c)
{
	if (!c)
		return;
	bs_collect_dark(c);
	unload(c);
	for (int i = 0; i < BS_TRAPS; i++)
		free(c->traps[i].v);
	free(c->batches.v);
	free(c->holders);
	free(c);
}
