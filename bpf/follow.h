/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * follow.h - sampling by object for sites that are lit by traps: the same decisions as the
 * runtime's (include/bscope/follow.h, runtime/follow.h), in maps of our own.
 *
 * A process that is lit by jumps has its table in its own memory.  Its few sites that only a trap
 * can light cannot look there: what begins at one of them is not followed, and says so.
 */
#ifndef BS_BPF_FOLLOW_H
#define BS_BPF_FOLLOW_H

#include "bpf/state.h"
#include "bscope/abi.h"

/* Written by the tool; the epoch after the others. */
__u32 follow; /* 0: all objects are followed */
__u32 follow_bytes;
__u64 follow_gap;
__u64 follow_base;
__u32 follow_block; /* 0: by gaps */
__u32 follow_epoch;

#define FOLLOW_MAX	131072
#define FOLLOW_DEAD_MAX 16384

/* Alive. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, FOLLOW_MAX);
	__type(key, struct bs_follow_key);
	__type(value, __u32);
} followed SEC(".maps");

/*
 * Dropped, until another object has the id.  Where ids never come again the oldest make room: of
 * these only their misuse is forgotten.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, FOLLOW_DEAD_MAX);
	__type(key, struct bs_follow_key);
	__type(value, __u32);
} dropped SEC(".maps");

/* To the next object that is followed, of all threads on a CPU: gaps know nothing of the past. */
struct follow_gap {
	__s64 gap;
	__u32 epoch;
	__u32 pad;
};
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct follow_gap);
} gaps SEC(".maps");

/* Of all threads on a CPU, by stratum. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, BSCOPE_STRATA);
	__type(key, __u32);
	__type(value, struct bs_follow_block);
} blocks SEC(".maps");

/* By thread: a bit for each resize that has begun, the last one lowest.  Was it followed? */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, BS_THREADS_MAX);
	__type(key, __u32);
	__type(value, __u64);
} resizing SEC(".maps");

/* Where the table of a process is that is lit by jumps. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, BS_TRACED_MAX);
	__type(key, __u32);
	__type(value, __u64);
} tables SEC(".maps");

/* Objects that found no place in the map, or in the tables of processes that have gone. */
__u64 follow_full;

/* -log2 of a random number in (0, 1], 24 bits behind the point: bit by bit, by squaring. */
static __always_inline __u64 random_log(void)
{
	__u64 x = bpf_get_prandom_u32() | 1ull, log = 0;
	__u32 e = 0;

	for (int i = 0; i < 31 && !(x & 0x80000000u); i++) {
		x <<= 1;
		e++;
	}
	for (int i = 0; i < 24; i++) {
		x = x * x >> 32;
		log <<= 1;
		if (x & 0x80000000u)
			log |= 1;
		else
			x <<= 1;
	}
	return ((__u64)(e + 1) << 24) - log;
}

static __always_inline __s64 draw_gap(void)
{
	__u64 gap = follow_gap, log = random_log();

	/* log is below 2^30. */
	return gap < 1ull << 33	  ? log * gap >> 24
	       : gap < 1ull << 56 ? (log >> 8) * (gap >> 16)
				  : ~0ull >> 1;
}

static __always_inline __s64 follow_size(__u64 bytes)
{
	if (!follow_bytes)
		return (__s64)follow_base;
	if (!bytes)
		bytes = 1;
	return (__s64)(follow_base + ((bytes < 1ull << 46 ? bytes : 1ull << 46) << 16));
}

/*
 * An object begins in a stratum: is it the one of its block?  Where the kernel lets another task
 * come in between on the same CPU, one block may have a birth more or less, or none or two that are
 * followed.
 */
static __always_inline int chosen_of_block(__u32 stratum)
{
	struct bs_follow_block *b = bpf_map_lookup_elem(&blocks, &stratum);
	__u32 place;

	if (!b)
		return 0;
	if (b->epoch != follow_epoch) {
		b->epoch = follow_epoch;
		b->left = 0;
		b->behind = 0;
	}
	if (b->left > 1) {
		b->left--;
		return 0;
	}
	/* The first block begins with this birth, the next one behind it. */
	place = (__u64)bpf_get_prandom_u32() * follow_block >> 32;
	if (!b->left) {
		b->left = place;
		b->behind = follow_block - 1 - place;
		if (place)
			return 0;
		place = (__u64)bpf_get_prandom_u32() * follow_block >> 32;
	}
	b->left = b->behind + place + 1;
	b->behind = follow_block - 1 - place;
	return 1;
}

/* An object begins that counts for so much, in a stratum: is it followed? */
static __always_inline int chosen(__u64 bytes, __u32 stratum)
{
	__u32 zero = 0;
	struct follow_gap *g;

	if (follow_block)
		return chosen_of_block(stratum);
	g = bpf_map_lookup_elem(&gaps, &zero);
	if (!g)
		return 0;
	if (g->epoch != follow_epoch) {
		g->epoch = follow_epoch;
		g->gap = draw_gap();
	}
	g->gap -= follow_size(bytes);
	if (g->gap > 0)
		return 0;
	g->gap = draw_gap();
	return 1;
}

/*
 * Who owns the memory of this process: a vfork child has its parent's.  One whose parent is a vfork
 * child in turn has its grandparent's.
 */
static __always_inline __u32 memory_owner(void)
{
	struct task_struct *task = bpf_get_current_task_btf(), *owner = task;

	for (int i = 0; i < 2; i++) {
		struct task_struct *parent = owner->real_parent;

		if (!parent || parent->mm != task->mm)
			break;
		owner = parent;
	}
	return owner->tgid;
}

#define FOLLOW_MARK   1
#define FOLLOW_FORGET 2

/* What is known of an object when a mark on it comes. */
enum follow_state { FOLLOW_NOT, FOLLOW_DEAD, FOLLOW_ALIVE };

static __always_inline enum follow_state follow_find(const struct bs_follow_key *key)
{
	if (bpf_map_lookup_elem(&followed, key))
		return FOLLOW_ALIVE;
	return bpf_map_lookup_elem(&dropped, key) ? FOLLOW_DEAD : FOLLOW_NOT;
}

static __always_inline void follow_drop(const struct bs_follow_key *key)
{
	__u32 one = 1;

	bpf_map_delete_elem(&followed, key);
	bpf_map_update_elem(&dropped, key, &one, BPF_ANY);
}

static __always_inline int follow_begin(const struct bs_follow_key *key, enum follow_state was,
					int yes)
{
	__u32 one = 1;

	if (was == FOLLOW_DEAD)
		bpf_map_delete_elem(&dropped, key);
	if (!yes && was == FOLLOW_ALIVE)
		bpf_map_delete_elem(&followed, key);
	if (!yes)
		return was == FOLLOW_ALIVE ? FOLLOW_FORGET : 0;
	if (!bpf_map_update_elem(&followed, key, &one, BPF_ANY))
		return FOLLOW_MARK;
	__sync_fetch_and_add(&follow_full, 1);
	return FOLLOW_MARK | FOLLOW_FORGET;
}

static __always_inline int resize_begin(const struct bs_follow_key *key, enum follow_state was)
{
	__u32 tid = bpf_get_current_pid_tgid();
	const __u64 *bits = bpf_map_lookup_elem(&resizing, &tid);
	__u64 now = (bits ? *bits << 1 : 0) | (was == FOLLOW_ALIVE);

	if (was == FOLLOW_ALIVE)
		follow_drop(key);
	/* No entry: zeros all the way. */
	if (bits || now)
		bpf_map_update_elem(&resizing, &tid, &now, BPF_ANY);
	return was ? FOLLOW_MARK : 0;
}

static __always_inline int resize_end(const struct bs_follow_key *key, enum follow_state state,
				      __u64 bytes)
{
	__u32 tid = bpf_get_current_pid_tgid();
	const __u64 *bits = bpf_map_lookup_elem(&resizing, &tid);
	int was = bits && *bits & 1, yes = follow_bytes ? chosen(bytes, 0) : was;

	if (bits) {
		__u64 now = *bits >> 1;

		if (now)
			bpf_map_update_elem(&resizing, &tid, &now, BPF_ANY);
		else
			bpf_map_delete_elem(&resizing, &tid);
	}
	if (!was || yes)
		return follow_begin(key, state, yes);
	follow_begin(key, state, 0);
	return FOLLOW_MARK | FOLLOW_FORGET;
}

/* What is to be recorded of a mark, in a process that is lit by jumps or not. */
static __always_inline int follow_what(const struct bs_site_spec *spec, __u32 site, int jumps,
				       const __u64 args[3])
{
	__u64 id = args[0], bytes = args[1];
	struct bs_follow_key key = {.id = id, .klass = spec->klass};
	enum follow_state was;

	if (!follow)
		return FOLLOW_MARK;
	if (jumps)
		return spec->kind == BSCOPE_KIND_NEW || spec->kind == BSCOPE_KIND_RESIZE_BEGIN ||
				       spec->kind == BSCOPE_KIND_RESIZE_END
			       ? FOLLOW_FORGET
			       : FOLLOW_MARK;
	key.pid = memory_owner();
	was = follow_find(&key);
	switch (spec->kind) {
	case BSCOPE_KIND_NEW:
		return follow_begin(&key, was, chosen(bytes, BSCOPE_STRATUM(site, args[2])));
	case BSCOPE_KIND_RESIZE_BEGIN:
		return resize_begin(&key, was);
	case BSCOPE_KIND_RESIZE_END:
		return resize_end(&key, was, bytes);
	case BSCOPE_KIND_REGION_ENTER:
	case BSCOPE_KIND_REGION_EXIT:
		return FOLLOW_MARK;
	case BSCOPE_KIND_DROP:
		if (was == FOLLOW_ALIVE)
			follow_drop(&key);
		break;
	default:
		break;
	}
	return was ? FOLLOW_MARK : 0;
}

#endif
