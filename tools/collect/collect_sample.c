// SPDX-License-Identifier: GPL-2.0-only
/*
 * collect_sample.c - which objects' marks count at sites that are lit by traps, and what becomes of
 * that when a process is lit by jumps from then on, and has a table of its own.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

#include "base/sample.h"
#include "bpf/event.h"
#include "bscope/follow.h"
#include "collect/collect.h"
#include "collect/collect_state.h"
#include "target/memory.h"

#include "trace.skel.h"

/*
 * Its process stands still meanwhile: for some 5 us for each, and less for each of others that is
 * passed over.  Who is lit by jumps after a while has few; what is left is forgotten.
 */
#define MOVE_MAX  1024u
#define LOOKS_MAX 8192u

void bs_collect_sample(struct bs_collect *c, const struct bs_sample *sample)
{
	struct trace_bpf__bss *to = c->skel->bss;

	to->follow_gap = bs_sample_gap(sample);
	to->follow_base = bs_sample_base(sample);
	to->follow_bytes = bs_sample_bytes(sample);
	to->follow_block = bs_sample_block(sample);
	__atomic_store_n(&to->follow_epoch, to->follow_epoch + 1, __ATOMIC_RELEASE);
	__atomic_store_n(&to->follow, sample->by != BS_SAMPLE_NOT, __ATOMIC_RELEASE);
}

_Static_assert(BS_FOLLOW_FULL == offsetof(struct bscope_follow, full), "read by BPF");

unsigned bs_collect_sample_places(const struct bs_collect *c)
{
	int map = bpf_map__fd(c->skel->maps.blocks), cpus = libbpf_num_possible_cpus();
	struct bs_follow_block *v = cpus > 0 ? calloc((size_t)cpus, sizeof(*v)) : NULL;
	bool *begun = v ? calloc((size_t)cpus, sizeof(*begun)) : NULL;
	unsigned n = 0;

	for (__u32 i = 0; begun && i < BSCOPE_STRATA; i++) {
		if (bpf_map_lookup_elem(map, &i, v)) {
			n = (unsigned)cpus;
			break;
		}
		for (int k = 0; k < cpus; k++) {
			n += v[k].left && !begun[k];
			begun[k] |= v[k].left;
		}
	}
	/* Out of memory: all of them, or too many. */
	if (!begun)
		n = cpus > 0 ? (unsigned)cpus : UINT32_MAX;
	free(begun);
	free(v);
	return n;
}

uint64_t bs_collect_sample_full(const struct bs_collect *c)
{
	return __atomic_load_n(&c->skel->bss->follow_full, __ATOMIC_RELAXED);
}

int bs_collect_sample_table(struct bs_collect *c, pid_t pid, uint64_t table)
{
	__u32 key = (__u32)pid;

	return bpf_map_update_elem(bpf_map__fd(c->skel->maps.tables), &key, &table, BPF_ANY)
		       ? -errno
		       : 0;
}

/* Into the first way of its bucket that is free.  Nobody else writes there now. */
static int table_add(pid_t pid, uint64_t table, uint64_t hash, uint32_t alive)
{
	uint64_t ways[BSCOPE_FOLLOW_WAYS], key = bscope_follow_key(hash);
	uint64_t bucket = table + offsetof(struct bscope_follow, keys) +
			  (hash >> (64 - BSCOPE_FOLLOW_BUCKET_BITS)) * sizeof(ways);
	uint64_t filter = table + offsetof(struct bscope_follow, filter) +
			  (hash >> (64 - BSCOPE_FOLLOW_FILTER_BITS));
	uint8_t count;
	struct iovec local[2] = {{ways, sizeof(ways)}, {&count, sizeof(count)}};
	struct iovec remote[2] = {{(void *)(uintptr_t)bucket, sizeof(ways)},
				  {(void *)(uintptr_t)filter, sizeof(count)}};
	int ret = bs_memory_readv(pid, local, remote, 2);
	size_t i = 0;

	if (ret)
		return ret;
	while (i < BSCOPE_FOLLOW_WAYS && ways[i] != BSCOPE_FOLLOW_FREE)
		i++;
	if (i == BSCOPE_FOLLOW_WAYS)
		return -ENOSPC;
	if (!alive)
		key |= BSCOPE_FOLLOW_DEAD;
	count += count < UINT8_MAX;
	local[0] = (struct iovec){&key, sizeof(key)};
	remote[0] = (struct iovec){(void *)(uintptr_t)(bucket + i * sizeof(key)), sizeof(key)};
	return bs_memory_writev(pid, local, remote, 2);
}

void bs_collect_sample_move(const struct bs_collect *c, pid_t pid)
{
	int map = bpf_map__fd(c->skel->maps.followed), ret;
	struct bs_follow_key key, next;
	__u32 pid_key = (__u32)pid, alive;
	unsigned moved = 0, looks = 0;
	uint64_t used = 1;
	__u64 table;

	if (!c->skel->bss->follow ||
	    bpf_map_lookup_elem(bpf_map__fd(c->skel->maps.tables), &pid_key, &table) || !table ||
	    bs_memory_write(pid, table + offsetof(struct bscope_follow, used), &used, sizeof(used)))
		return;
	ret = bpf_map_get_next_key(map, NULL, &next);
	while (!ret && moved < MOVE_MAX && looks++ < LOOKS_MAX) {
		key = next;
		ret = bpf_map_get_next_key(map, &key, &next);
		if (key.pid != pid_key || bpf_map_lookup_and_delete_elem(map, &key, &alive))
			continue;
		if (table_add(pid, table, bscope_follow_hash(key.klass, key.id), alive)) {
			bpf_map_update_elem(map, &key, &alive, BPF_ANY);
			return;
		}
		moved++;
	}
}

/* --- what is left in the map ------------------------------------------------------------------ */

#define BATCH 1024u

typedef int (*each_fn)(void *ctx, const struct bs_follow_key *key);

/*
 * Calls fn for what is in the map; what comes or goes meanwhile may be missed.  A key for which it
 * returns 1 is deleted, a negative value ends it and is returned.
 */
static int followed_each(const struct bs_collect *c, each_fn fn, void *ctx)
{
	int map = bpf_map__fd(c->skel->maps.followed), ret = 0;
	struct bs_follow_key *keys = malloc(BATCH * sizeof(*keys));
	__u32 *values = malloc(BATCH * sizeof(*values)), n, at = 0;
	bool more = true;

	if (!keys || !values)
		ret = -ENOMEM;
	for (void *from = NULL; !ret && more; from = &at) {
		n = BATCH;
		more = !bpf_map_lookup_batch(map, from, &at, keys, values, &n, NULL);
		if (!more && errno != ENOENT)
			ret = -errno;
		for (__u32 i = 0; i < n && ret >= 0; i++) {
			ret = fn(ctx, &keys[i]);
			if (ret > 0)
				bpf_map_delete_elem(map, &keys[i]);
		}
		ret = ret < 0 ? ret : 0;
	}
	free(values);
	free(keys);
	return ret;
}

struct left {
	pid_t pid;
	bs_sample_left_fn fn;
	void *ctx;
};

static int left_of(void *ctx, const struct bs_follow_key *key)
{
	const struct left *l = ctx;
	int ret;

	if ((pid_t)key->pid != l->pid)
		return 0;
	ret = l->fn(l->ctx, key->klass, key->id);
	return ret < 0 ? ret : 1;
}

int bs_collect_sample_left(const struct bs_collect *c, pid_t pid, bs_sample_left_fn fn, void *ctx)
{
	struct left left = {pid, fn, ctx};

	return followed_each(c, left_of, &left);
}

struct gone {
	const struct bs_collect *c;
	__u32 pid; /* the last one that was looked at */
	bool gone;
};

static int gone_with(void *ctx, const struct bs_follow_key *key)
{
	struct gone *g = ctx;

	if (key->pid != g->pid) {
		g->pid = key->pid;
		g->gone = !bs_collect_traces(g->c, (pid_t)key->pid);
	}
	return g->gone;
}

void bs_collect_sample_gone(const struct bs_collect *c)
{
	struct gone gone = {.c = c};

	followed_each(c, gone_with, &gone);
}
