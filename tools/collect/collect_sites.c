// SPDX-License-Identifier: GPL-2.0-only
/*
 * collect_sites.c - what is lit by traps: sites of the programs, probes of their runtime; and the
 * interval in which hits count.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "base/clock.h"
#include "base/error.h"
#include "collect/collect.h"
#include "collect/collect_state.h"
#include "collect/light.h"
#include "trace.skel.h"

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

/* So many sites of a file hold its semaphore. */
struct holder {
	dev_t dev;
	ino_t ino;
	uint64_t semaphore;
	size_t sites[BS_TRAPS];
};

int bs_collect_attach(struct bs_collect *c, const struct bpf_program *program, struct links *to,
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

static size_t held(const struct holder *holder)
{
	size_t sum = 0;

	for (int i = 0; i < BS_TRAPS; i++)
		sum += holder->sites[i];
	return sum;
}

static int make_probes(struct bs_collect *c, const struct stat *file, enum bs_traps set,
		       const struct bs_light *sites, size_t n, size_t max_ref_ctr,
		       struct bs_probe *probes)
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
		if (held(holder) >= max_ref_ctr)
			continue;
		holder->sites[set]++;
		probes[i].ref_ctr = sites[i].semaphore_offset;
	}
	return 0;
}

static void release_probes(struct bs_collect *c, const struct stat *file, enum bs_traps set,
			   const struct bs_probe *probes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct holder *holder =
			probes[i].ref_ctr ? holder_find(c, file, probes[i].ref_ctr) : NULL;

		if (holder)
			holder->sites[set]--;
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
	ret = make_probes(c, &file, set, sites, n, c->multi ? MAX_REF_CTR : MAX_REF_CTR_PERF,
			  probes);
	if (!ret)
		ret = bs_collect_attach(c, c->skel->progs.trap, &c->traps[set], self, probes, n);
	if (ret == -EINVAL && !c->multi) {
		/*
		 * The kernel wants every tracer of a site to name the same semaphore or none, and
		 * others name it at each site.
		 */
		release_probes(c, &file, set, probes, n);
		ret = make_probes(c, &file, set, sites, n, MAX_REF_CTR, probes);
		if (!ret)
			ret = bs_collect_attach(c, c->skel->progs.trap, &c->traps[set], self,
						probes, n);
	}
	if (!ret)
		goto out;
	release_probes(c, &file, set, probes, n);
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
	for (size_t i = 0; i < c->n_holders; i++)
		c->holders[i].sites[set] = 0;
}

int bs_collect_listen(struct bs_collect *c, int fd, const char *path,
		      const struct bs_listen *runtime, struct bs_error *err)
{
	struct bs_probe batch = {.offset = runtime->batch_offset,
				 .ref_ctr = runtime->semaphore_offset};
	/* One holder is enough (MAX_REF_CTR_PERF), and this one goes out first. */
	struct bs_probe buffer = {.offset = runtime->buffer_offset};
	struct bs_probe stack = {.offset = runtime->stack_offset};
	char self[32];
	int ret;

	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	/* In this order: a thread takes a buffer only while the semaphore is up. */
	ret = bs_collect_attach(c, c->skel->progs.buffer, &c->batches, self, &buffer, 1);
	if (!ret)
		ret = bs_collect_attach(c, c->skel->progs.batch, &c->batches, self, &batch, 1);
	if (!ret && c->stack_kinds && runtime->stack_offset)
		ret = bs_collect_attach(c, c->skel->progs.stack, &c->batches, self, &stack, 1);
	return ret ? bs_caps_explain(err, ret, path) : 0;
}
