// SPDX-License-Identifier: GPL-2.0-only
/* collect.c - life of the BPF programs: load, try out, trace, light, count, leave. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "base/clock.h"
#include "base/error.h"
#include "collect/collect.h"
#include "collect/light.h"
#include "trace.skel.h"

#define DEFAULT_RING  (64u << 20)
#define MAX_RING      (1u << 31)
#define DEFAULT_SITES 65536u

/* A record takes this much of the ring: the kernel puts 8 bytes in front of it. */
#define RECORD_BYTES (sizeof(struct bs_ring_event) + 8)

/*
 * The reader looks at the ring at least this often, woken or not: a wake-up can be missed (the
 * fill level is looked at now and then only), and few records are to be seen soon as well.
 */
#define LOOK_MS 50

/*
 * At most so many records in one call, and no more bytes than the ring has, so that the caller gets
 * its turn under endless load.
 */
#define MAX_RECORDS 65536

/*
 * The kernel keeps a semaphore as a signed 16-bit number, and every site adds one: the 32,768th
 * makes it negative, the next one is refused, and it never comes back to 0.  One site is enough
 * to raise it, so what comes after the first 30,000 leaves it alone.
 */
#define MAX_REF_CTR 30000

/*
 * With perf events one site alone raises it.  While such a probe leaves, the kernel has threads
 * that hit it take the breakpoint out themselves, and two that do so at once both lower the
 * semaphore.  It is 0 then before the last site has gone; the kernel refuses to lower it further
 * ("ref_ctr going negative") and leaves that site's breakpoint in the program for good: on Linux
 * 6.1, with two threads, one time in three.  Where one site holds the semaphore, the second thread
 * is refused and the first does all there is to do.
 */
#define MAX_REF_CTR_PERF 1

/* The pid namespace that the kernel starts with: PROC_PID_INIT_INO. */
#define INIT_PID_NS 0xeffffffcu

/* So many sites of a file hold its semaphore. */
struct holder {
	dev_t dev;
	ino_t ino;
	uint64_t semaphore;
	size_t sites;
};

struct links {
	struct bs_link *v;
	size_t n;
};

struct bs_collect {
	struct trace_bpf *skel;
	struct ring_buffer *ring;
	int wait_fd; /* epoll over the ring */
	bool multi;
	uint32_t max_sites;
	size_t ring_bytes;
	struct links traps[BS_TRAPS]; /* keep sites lit by traps */
	struct links batches;	      /* keep the probes of the runtime lit */
	struct holder *holders;
	size_t n_holders;

	/* what the tool itself caused while it tried out and measured */
	struct bs_counters base;
	uint64_t base_missed;
	double ns_per_hit;

	uint64_t received;
	bool more; /* the ring was not read to its end */
	/* of the poll that is running */
	bs_collect_fn fn;
	void *fn_ctx;
	int fn_ret;
	int handed;
	size_t handed_bytes;
	uint64_t consumed; /* so far */
};

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

/* --- reading ---------------------------------------------------------------------------------- */

static int on_record(void *ctx, void *data, size_t size)
{
	const struct bs_ring_event *event = data;
	struct bs_collect *c = ctx;

	c->handed++;
	c->handed_bytes += size;
	c->consumed += size;
	if (!c->fn)
		return 0;
	if (size >= sizeof(*event) && event->type == BS_RING_MARK)
		c->received++;
	c->fn_ret = c->fn(c->fn_ctx, data, size);
	if (c->fn_ret < 0)
		return c->fn_ret;
	return c->handed < MAX_RECORDS && c->handed_bytes < c->ring_bytes ? 0 : -E2BIG;
}

static int consume(struct bs_collect *c, bs_collect_fn fn, void *ctx)
{
	int ret;

	c->fn = fn;
	c->fn_ctx = ctx;
	c->fn_ret = 0;
	c->handed = 0;
	c->handed_bytes = 0;
	ret = ring_buffer__consume(c->ring);
	c->more = c->fn_ret < 0 || c->handed >= MAX_RECORDS || c->handed_bytes >= c->ring_bytes;
	if (c->fn_ret < 0)
		return c->fn_ret;
	return ret < 0 && !c->more ? ret : c->handed;
}

/*
 * The wait is edge triggered: it ends when a program wakes the reader, not because there is
 * something in the ring.  Otherwise a busy program would have its reader running all the time,
 * for a few records each.
 */
int bs_collect_poll(struct bs_collect *c, int timeout_ms, bs_collect_fn fn, void *ctx,
		    uint64_t *before_ns)
{
	uint64_t end = bs_now_ns() + (timeout_ms > 0 ? (uint64_t)timeout_ms * 1000000u : 0);
	uint64_t now = bs_now_ns();
	struct epoll_event event;
	int ret;

	for (;;) {
		if (!c->more && now < end) {
			uint64_t wait = (end - now + 999999) / 1000000;

			if (epoll_wait(c->wait_fd, &event, 1,
				       wait < LOOK_MS ? (int)wait : LOOK_MS) < 0)
				return -errno;
		}
		now = bs_now_ns();
		if (before_ns)
			*before_ns = now;
		ret = consume(c, fn, ctx);
		if (ret || now >= end)
			return ret;
	}
}

uint64_t bs_collect_consumed(const struct bs_collect *c)
{
	return c->consumed;
}

bool bs_collect_turned(const struct bs_collect *c, uint64_t since)
{
	return !c->more || c->consumed - since >= c->ring_bytes;
}

/* --- counters --------------------------------------------------------------------------------- */

static void read_counters(const struct bs_collect *c, struct bs_counters *sum)
{
	*sum = (struct bs_counters){0};
	for (size_t i = 0; i < BS_CPU_LINES; i++) {
		const struct bs_counters *line = &c->skel->bss->lines[i].c;

		sum->written += __atomic_load_n(&line->written, __ATOMIC_RELAXED);
		sum->lost_ring += __atomic_load_n(&line->lost_ring, __ATOMIC_RELAXED);
		sum->lost_spec += __atomic_load_n(&line->lost_spec, __ATOMIC_RELAXED);
		sum->life_lost += __atomic_load_n(&line->life_lost, __ATOMIC_RELAXED);
		sum->traced_full += __atomic_load_n(&line->traced_full, __ATOMIC_RELAXED);
		sum->batch_lost += __atomic_load_n(&line->batch_lost, __ATOMIC_RELAXED);
		sum->last_lost += __atomic_load_n(&line->last_lost, __ATOMIC_RELAXED);
	}
}

/*
 * Up to Linux 5.19 a uprobe's program is skipped when another program, or a change of a map,
 * is under way on its CPU.  The kernel counts that.
 */
static int read_missed(const struct bs_collect *c, uint64_t *missed)
{
	struct bpf_prog_info info = {0};
	__u32 size = sizeof(info);

	*missed = 0;
	if (bpf_obj_get_info_by_fd(bpf_program__fd(c->skel->progs.trap), &info, &size))
		return -errno;
	*missed = info.recursion_misses;
	return 0;
}

int bs_collect_counts(const struct bs_collect *c, struct bs_collect_counts *out)
{
	struct bs_counters sum;
	int ret;

	read_counters(c, &sum);
	out->sum.written = sum.written - c->base.written;
	out->sum.lost_ring = sum.lost_ring - c->base.lost_ring;
	out->sum.lost_spec = sum.lost_spec - c->base.lost_spec;
	out->sum.life_lost = sum.life_lost - c->base.life_lost;
	out->sum.traced_full = sum.traced_full - c->base.traced_full;
	out->sum.batch_lost = sum.batch_lost - c->base.batch_lost;
	out->sum.last_lost = sum.last_lost - c->base.last_lost;
	out->received = c->received;
	ret = read_missed(c, &out->missed);
	out->missed -= c->base_missed;
	return ret;
}

double bs_collect_ns_per_hit(const struct bs_collect *c)
{
	return c->ns_per_hit;
}

const char *bs_collect_method(const struct bs_collect *c)
{
	return c->multi ? "uprobe_multi" : "perf events";
}

/* --- loading ---------------------------------------------------------------------------------- */

static void unload(struct bs_collect *c)
{
	ring_buffer__free(c->ring);
	c->ring = NULL;
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
	int ret, fd;

	c->multi = multi;
	skel = c->skel = trace_bpf__open();
	if (!skel)
		return -errno;
	skel->rodata->wake_mask = wake_mask(c->ring_bytes);
	skel->rodata->wake_bytes = c->ring_bytes / 4;
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
	if (!ret)
		ret = trace_bpf__load(skel);
	if (ret)
		return ret;

	fd = bpf_map__fd(skel->maps.ring);
	c->ring = ring_buffer__new(fd, on_record, c, NULL);
	if (!c->ring)
		return -errno;
	c->wait_fd = epoll_create1(EPOLL_CLOEXEC);
	if (c->wait_fd < 0 || epoll_ctl(c->wait_fd, EPOLL_CTL_ADD, fd, &event))
		return -errno;
	return 0;
}

/* Runs the program at the probes, until links_close(). */
static int attach(struct bs_collect *c, const struct bpf_program *program, struct links *to,
		  const char *path, const struct bs_probe *probes, size_t n)
{
	int prog = bpf_program__fd(program), ret;
	struct bs_link *links;
	size_t more = c->multi ? 1 : n;

	links = realloc(to->v, (to->n + more) * sizeof(*links));
	if (!links)
		return -ENOMEM;
	to->v = links;
	links += to->n;
	if (c->multi) {
		links->group = -1;
		ret = bs_multi_attach(prog, path, probes, n, &links->fd);
	} else {
		ret = bs_perf_attach(prog, bpf_map__fd(c->skel->maps.places), path, probes, n,
				     links, &more);
	}
	if (!ret)
		to->n += more;
	return ret;
}

static void links_close(struct links *links)
{
	bs_links_close(links->v, links->n);
	links->n = 0;
}

/*
 * favourite is set before the map's member and cleared after it is gone, and the exit program
 * clears it as well: whoever dies in between is found dead by runs().
 */
static int remember(struct bs_collect *c, pid_t pid)
{
	__u32 key = (__u32)pid, plan = BS_TRACED_TRAP;

	if (!c->skel->bss->favourite) {
		c->skel->bss->favourite_plan = plan;
		__atomic_store_n(&c->skel->bss->favourite, key, __ATOMIC_RELEASE);
	}
	if (!bpf_map_update_elem(bpf_map__fd(c->skel->maps.traced), &key, &plan, BPF_ANY))
		return 0;
	return -errno;
}

static void forget(struct bs_collect *c, pid_t pid)
{
	__u32 key = (__u32)pid;

	bpf_map_delete_elem(bpf_map__fd(c->skel->maps.traced), &key);
	__atomic_compare_exchange_n(&c->skel->bss->favourite, &key, 0, false, __ATOMIC_RELAXED,
				    __ATOMIC_RELAXED);
}

/* --- the tool's own site ---------------------------------------------------------------------- */

static double hit_round(unsigned int hits)
{
	uint64_t start = bs_now_ns();

	for (unsigned int i = 0; i < hits; i++)
		bs_own_site_hit();
	return (double)(bs_now_ns() - start) / hits;
}

static double min_round(struct bs_collect *c, unsigned int hits)
{
	double least = hit_round(hits);

	for (int i = 0; i < 10; i++) {
		double ns = hit_round(hits);

		if (ns < least)
			least = ns;
		consume(c, NULL, NULL);
	}
	return least;
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
	double lit;
	int ret;

	ret = bs_own_site_find(&own);
	if (ret)
		return ret;
	ret = remember(c, getpid());
	if (ret)
		return ret;
	read_counters(c, &before);
	probe.offset = own.offset;
	ret = attach(c, c->skel->progs.trap, &c->traps[BS_TRAPS_ALL], own.path, &probe, 1);
	if (!ret) {
		bs_collect_start(c);
		bs_own_site_hit();
		read_counters(c, &after);
		ret = after.written == before.written + 1 ? 0 : -ENOSYS;
		if (!ret) {
			lit = min_round(c, hits);
			bs_collect_dark(c);
			c->ns_per_hit = lit - min_round(c, hits);
		}
	}
	bs_collect_dark(c);
	forget(c, getpid());
	consume(c, NULL, NULL);
	read_counters(c, &c->base);
	if (read_missed(c, &c->base_missed))
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
	size_t page = (size_t)sysconf(_SC_PAGESIZE), bytes;
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
	c->max_sites = opts->max_sites ? opts->max_sites : DEFAULT_SITES;
	for (c->ring_bytes = page; c->ring_bytes < bytes;)
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

/* --- processes -------------------------------------------------------------------------------- */

/* False as well for a zombie: its exit has been, nobody would take it out of the map again. */
static bool runs(pid_t pid)
{
	char path[64], state = 0;
	struct dirent *entry;
	size_t tasks = 0;
	FILE *file;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	file = fopen(path, "re");
	if (!file)
		return false;
	/* pid (comm) state, and comm may hold anything, ')' too */
	for (int ch, bracket = 0; (ch = fgetc(file)) != EOF;) {
		if (bracket && ch != ' ' && ch != ')')
			state = (char)ch;
		if (bracket && ch == ' ')
			continue;
		if (ch == ')') {
			bracket = 1;
			state = 0;
		} else if (bracket) {
			bracket = 0;
		}
	}
	fclose(file);
	if (state != 'Z' && state != 'X')
		return true;
	/* The first thread is dead; are there others? */
	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	dir = opendir(path);
	while (dir && (entry = readdir(dir)))
		tasks += entry->d_name[0] != '.';
	if (dir)
		closedir(dir);
	return tasks > 1;
}

int bs_collect_trace(struct bs_collect *c, pid_t pid, struct bs_error *err)
{
	int ret;

	if (pid <= 0 || (kill(pid, 0) && errno == ESRCH))
		return bs_error_set(err, -ESRCH, "pid %d: no such process", (int)pid);
	ret = remember(c, pid);
	if (ret) {
		forget(c, pid);
		return bs_error_set(err, ret, "pid %d: cannot be traced: %s", (int)pid,
				    ret == -E2BIG ? "too many processes" : strerror(-ret));
	}
	/* It may have died just before; a number left behind would trace its next owner. */
	if (!runs(pid)) {
		forget(c, pid);
		return bs_error_set(err, -ESRCH, "pid %d: has exited", (int)pid);
	}
	return 0;
}

void bs_collect_untrace(struct bs_collect *c, pid_t pid)
{
	forget(c, pid);
}

bool bs_collect_traces(const struct bs_collect *c, pid_t pid)
{
	__u32 key = (__u32)pid, value;

	return !bpf_map_lookup_elem(bpf_map__fd(c->skel->maps.traced), &key, &value);
}

size_t bs_collect_traced(const struct bs_collect *c, struct bs_traced *out, size_t max)
{
	int map = bpf_map__fd(c->skel->maps.traced);
	__u32 key, next;
	size_t n = 0;

	/* A key that goes meanwhile makes the walk start anew; the caller can tell doubles. */
	for (int ret = bpf_map_get_next_key(map, NULL, &next); !ret && n < max;
	     ret = bpf_map_get_next_key(map, &key, &next)) {
		key = next;
		out[n].pid = (pid_t)next;
		if (!bpf_map_lookup_elem(map, &key, &out[n].plan))
			n++;
	}
	return n;
}

/* --- sites ------------------------------------------------------------------------------------ */

static bool register_known(uint16_t offset)
{
#if defined(__x86_64__)
	/* r15 to rdi, and rsp */
	return !(offset % 8) && (offset / 8 <= 14 || offset / 8 == 19);
#else
	/* arm64: x0 to x30 and sp */
	return !(offset % 8) && offset / 8 <= 31;
#endif
}

static bool spec_valid(const struct bs_site_spec *spec)
{
	for (int i = 0; i < 3; i++) {
		if (spec->where[i] > BS_ARG_REG)
			return false;
		if (spec->where[i] == BS_ARG_REG && !register_known(spec->reg[i]))
			return false;
		if (spec->where[i] == BS_ARG_NONE && spec->value[i])
			return false;
	}
	return true;
}

static struct holder *holder_find(struct bs_collect *c, const struct stat *file, uint64_t semaphore)
{
	struct holder *holders;

	for (size_t i = 0; i < c->n_holders; i++) {
		struct holder *holder = &c->holders[i];

		if (holder->dev == file->st_dev && holder->ino == file->st_ino &&
		    holder->semaphore == semaphore)
			return holder;
	}
	holders = realloc(c->holders, (c->n_holders + 1) * sizeof(*holders));
	if (!holders)
		return NULL;
	c->holders = holders;
	holders += c->n_holders++;
	*holders =
		(struct holder){.dev = file->st_dev, .ino = file->st_ino, .semaphore = semaphore};
	return holders;
}

static int make_probes(struct bs_collect *c, const struct stat *file, const struct bs_light *sites,
		       size_t n, size_t max_ref_ctr, struct bs_probe *probes)
{
	for (size_t i = 0; i < n; i++) {
		struct holder *holder;

		probes[i].ref_ctr = 0;
		probes[i].offset = sites[i].probe_offset;
		probes[i].cookie = sites[i].index;
		if (!sites[i].semaphore_offset)
			continue;
		holder = holder_find(c, file, sites[i].semaphore_offset);
		if (!holder)
			return -ENOMEM;
		if (holder->sites >= max_ref_ctr)
			continue;
		holder->sites++;
		probes[i].ref_ctr = sites[i].semaphore_offset;
	}
	return 0;
}

static void release_probes(struct bs_collect *c, const struct stat *file,
			   const struct bs_probe *probes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct holder *holder =
			probes[i].ref_ctr ? holder_find(c, file, probes[i].ref_ctr) : NULL;

		if (holder)
			holder->sites--;
	}
}

int bs_collect_light(struct bs_collect *c, int fd, const char *path, enum bs_traps set,
		     const struct bs_light *sites, size_t n, struct bs_error *err)
{
	int map = bpf_map__fd(c->skel->maps.sites);
	struct bs_site_spec spec;
	struct bs_probe *probes;
	char self[32];
	struct stat file;
	int ret = 0;

	if (!n)
		return 0;
	if (fstat(fd, &file))
		return bs_error_set(err, -errno, "%s: %s", path, strerror(errno));
	probes = calloc(n, sizeof(*probes));
	if (!probes)
		return bs_error_set(err, -ENOMEM, "%s: out of memory", path);
	for (size_t i = 0; i < n; i++) {
		__u32 index = sites[i].index;

		if (!index || index > c->max_sites || !spec_valid(&sites[i].spec)) {
			ret = bs_error_set(err, -EINVAL, "%s: site %u cannot be lit", path, index);
			goto out;
		}
		spec = sites[i].spec;
		spec.always = set == BS_TRAPS_ALWAYS;
		if (bpf_map_update_elem(map, &index, &spec, BPF_ANY)) {
			ret = bs_error_set(err, -errno, "%s: site %u: %s", path, index,
					   strerror(errno));
			goto out;
		}
	}
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	ret = make_probes(c, &file, sites, n, c->multi ? MAX_REF_CTR : MAX_REF_CTR_PERF, probes);
	if (!ret)
		ret = attach(c, c->skel->progs.trap, &c->traps[set], self, probes, n);
	if (ret == -EINVAL && !c->multi) {
		/*
		 * The kernel wants every tracer of a site to name the same semaphore or none, and
		 * others name it at each site.
		 */
		release_probes(c, &file, probes, n);
		ret = make_probes(c, &file, sites, n, MAX_REF_CTR, probes);
		if (!ret)
			ret = attach(c, c->skel->progs.trap, &c->traps[set], self, probes, n);
	}
	if (!ret)
		goto out;
	release_probes(c, &file, probes, n);
	if (ret == -EINVAL)
		bs_error_set(err, ret,
			     "%s: the kernel does not take its sites (not a plain file, or another "
			     "tracer holds them with a different semaphore)",
			     path);
	else
		bs_caps_explain(err, ret, path);
out:
	free(probes);
	return ret;
}

uint64_t bs_collect_start(struct bs_collect *c)
{
	uint64_t now = bs_now_ns();

	__atomic_store_n(&c->skel->bss->interval_open, 1, __ATOMIC_RELAXED);
	return now;
}

uint64_t bs_collect_dark(struct bs_collect *c)
{
	uint64_t now;

	if (c->skel)
		__atomic_store_n(&c->skel->bss->interval_open, 0, __ATOMIC_RELAXED);
	now = bs_now_ns();
	for (int i = 0; i < BS_TRAPS; i++)
		links_close(&c->traps[i]);
	links_close(&c->batches);
	c->n_holders = 0;
	return now;
}

void bs_collect_dark_traps(struct bs_collect *c, enum bs_traps set)
{
	links_close(&c->traps[set]);
	c->n_holders = 0;
}

/* --- jumps ------------------------------------------------------------------------------------ */

int bs_collect_listen(struct bs_collect *c, int fd, const char *path,
		      const struct bs_listen *runtime, struct bs_error *err)
{
	struct bs_probe batch = {.offset = runtime->batch_offset,
				 .ref_ctr = runtime->semaphore_offset};
	/* One holder is enough (MAX_REF_CTR_PERF), and this one goes out first. */
	struct bs_probe buffer = {.offset = runtime->buffer_offset};
	char self[32];
	int ret;

	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	/* In this order: a thread takes a buffer only while the semaphore is up. */
	ret = attach(c, c->skel->progs.buffer, &c->batches, self, &buffer, 1);
	if (!ret)
		ret = attach(c, c->skel->progs.batch, &c->batches, self, &batch, 1);
	return ret ? bs_caps_explain(err, ret, path) : 0;
}

int bs_collect_set_plan(const struct bs_collect *c, pid_t pid, uint32_t plan)
{
	__u32 key = (__u32)pid;

	if (bpf_map_update_elem(bpf_map__fd(c->skel->maps.traced), &key, &plan, BPF_EXIST))
		return -errno;
	if (c->skel->bss->favourite == key)
		__atomic_store_n(&c->skel->bss->favourite_plan, plan, __ATOMIC_RELAXED);
	return 0;
}

uint64_t bs_collect_shares(const struct bs_collect *c)
{
	return __atomic_load_n(&c->skel->bss->shares, __ATOMIC_RELAXED);
}

uint32_t bs_collect_owner(const struct bs_collect *c, uint32_t pid, uint64_t buffer)
{
	int map = bpf_map__fd(c->skel->maps.buffers);
	__u32 key, next;

	for (int ret = bpf_map_get_next_key(map, NULL, &next); !ret;
	     ret = bpf_map_get_next_key(map, &key, &next)) {
		char path[64];
		__u64 value;

		key = next;
		if (bpf_map_lookup_elem(map, &key, &value) || value != buffer)
			continue;
		/* Other processes have buffers at the same address. */
		snprintf(path, sizeof(path), "/proc/%u/task/%u", pid, key);
		if (!access(path, F_OK))
			return key;
	}
	return 0;
}

bool bs_collect_end(const struct bs_collect *c, uint32_t pid, uint64_t buffer, struct bs_end *end)
{
	int map = bpf_map__fd(c->skel->maps.ends);
	struct bs_end_key key = {.buffer = buffer, .pid = pid};

	if (bpf_map_lookup_elem(map, &key, end))
		return false;
	bpf_map_delete_elem(map, &key);
	return true;
}
