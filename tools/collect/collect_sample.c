// SPDX-License-Identifier: GPL-2.0-only
/*
 * collect_sample.c - which objects' marks count at sites that are lit by traps, and what becomes of
 * that when a process is lit by jumps from then on, and has a table of its own.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stddef.h>

#include "base/sample.h"
#include "bpf/event.h"
#include "bscope/follow.h"
#include "collect/collect.h"
#include "collect/collect_state.h"
#include "target/memory.h"

#include "trace.skel.h"

/* Its process stands still meanwhile.  Who is lit by jumps after a while has few. */
#define MOVE_MAX 8192

void bs_collect_sample(struct bs_collect *c, const struct bs_sample *sample)
{
	struct trace_bpf__bss *to = c->skel->bss;

	to->follow_gap = bs_sample_gap(sample);
	to->follow_base = bs_sample_base(sample);
	to->follow_bytes = bs_sample_bytes(sample);
	__atomic_store_n(&to->follow_epoch, to->follow_epoch + 1, __ATOMIC_RELEASE);
	__atomic_store_n(&to->follow, sample->by != BS_SAMPLE_NOT, __ATOMIC_RELEASE);
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
static int table_add(pid_t pid, uint64_t table, uint64_t hash)
{
	uint64_t ways[BSCOPE_FOLLOW_WAYS], key = bscope_follow_key(hash), used = 1;
	uint64_t bucket = table + offsetof(struct bscope_follow, keys) +
			  (hash >> (64 - BSCOPE_FOLLOW_BUCKET_BITS)) * sizeof(ways);
	uint64_t filter = table + offsetof(struct bscope_follow, filter) +
			  (hash >> (64 - BSCOPE_FOLLOW_FILTER_BITS));
	uint8_t count;
	int ret = bs_memory_read(pid, bucket, ways, sizeof(ways));

	if (!ret)
		ret = bs_memory_read(pid, filter, &count, sizeof(count));
	if (!ret)
		ret = bs_memory_write(pid, table + offsetof(struct bscope_follow, used), &used,
				      sizeof(used));
	if (ret)
		return ret;
	for (size_t i = 0; i < BSCOPE_FOLLOW_WAYS; i++) {
		if (ways[i] != BSCOPE_FOLLOW_FREE)
			continue;
		ret = bs_memory_write(pid, bucket + i * sizeof(key), &key, sizeof(key));
		count += count < UINT8_MAX;
		return ret ? ret : bs_memory_write(pid, filter, &count, sizeof(count));
	}
	return -ENOSPC;
}

void bs_collect_sample_move(const struct bs_collect *c, pid_t pid)
{
	int map = bpf_map__fd(c->skel->maps.followed), ret;
	struct bs_follow_key key, next;
	__u32 pid_key = (__u32)pid;
	unsigned moved = 0;
	__u64 table;

	if (!c->skel->bss->follow ||
	    bpf_map_lookup_elem(bpf_map__fd(c->skel->maps.tables), &pid_key, &table) || !table)
		return;
	ret = bpf_map_get_next_key(map, NULL, &next);
	while (!ret && moved < MOVE_MAX) {
		key = next;
		ret = bpf_map_get_next_key(map, &key, &next);
		if (key.pid != pid_key)
			continue;
		if (table_add(pid, table, bscope_follow_hash(key.klass, key.id)))
			return;
		bpf_map_delete_elem(map, &key);
		moved++;
	}
}

void bs_collect_sample_tidy(const struct bs_collect *c)
{
	int map = bpf_map__fd(c->skel->maps.followed);
	unsigned most = 2 * bpf_map__max_entries(c->skel->maps.followed);
	struct bs_follow_key key, next;
	int ret = bpf_map_get_next_key(map, NULL, &next);

	/* A key that goes meanwhile makes the walk start anew. */
	for (unsigned i = 0; !ret && i < most; i++) {
		key = next;
		ret = bpf_map_get_next_key(map, &key, &next);
		if (!bs_collect_traces(c, (pid_t)key.pid))
			bpf_map_delete_elem(map, &key);
	}
}
