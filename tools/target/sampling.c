// SPDX-License-Identifier: GPL-2.0-only
/* sampling.c - writes what runtimes are to follow into their control blocks. */
#include "target/sampling.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/sample.h"
#include "bscope/control.h"
#include "bscope/follow.h"
#include "target/jump.h"
#include "target/memory.h"

#define FIELD(pool, member) ((pool).control + offsetof(struct bscope_control, member))

/*
 * Is the runtime still where it was found?  A plugin that has brought its own may have been
 * unloaded since, and what is mapped there now is not ours.  Its pool stays.
 */
static int is_there(pid_t pid, const struct bs_jump_pool *pool, bool *there)
{
	struct bscope_control control;
	int ret = bs_memory_read(pid, pool->control, &control, sizeof(control));

	*there = !ret && control.abi == BSCOPE_CONTROL_ABI && control.size >= sizeof(control) &&
		 control.started && control.pool == pool->addr && control.buffers == pool->buffers;
	return ret == -EFAULT ? 0 : ret;
}

static int empty(pid_t pid, uint64_t table)
{
	struct bscope_follow *none;
	uint64_t used;
	int ret = bs_memory_read(pid, table, &used, sizeof(used));

	if (ret || !used)
		return ret;
	none = calloc(1, sizeof(*none));
	if (!none)
		return -ENOMEM;
	ret = bs_memory_write(pid, table, none, sizeof(*none));
	free(none);
	return ret;
}

static int tell(pid_t pid, const struct bs_jump_pool *pool, const struct bs_sample *s)
{
	uint64_t gap = bs_sample_gap(s), base = bs_sample_base(s);
	uint32_t flags = bs_sample_flags(s), block = bs_sample_block(s), epoch;
	int ret = bs_memory_read(pid, FIELD(*pool, follow_epoch), &epoch, sizeof(epoch));

	if (++epoch == 0)
		epoch = 1;
	if (!ret)
		ret = bs_memory_write(pid, FIELD(*pool, follow_gap), &gap, sizeof(gap));
	if (!ret)
		ret = bs_memory_write(pid, FIELD(*pool, follow_base), &base, sizeof(base));
	if (!ret)
		ret = bs_memory_write(pid, FIELD(*pool, follow_block), &block, sizeof(block));
	if (!ret)
		ret = bs_memory_write(pid, FIELD(*pool, follow_flags), &flags, sizeof(flags));
	/* Last: who sees it decides by the others. */
	if (!ret)
		ret = bs_memory_write(pid, FIELD(*pool, follow_epoch), &epoch, sizeof(epoch));
	return ret;
}

uint64_t bs_sampling_table(const struct bs_jump_pool *pools, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (pools[i].table)
			return pools[i].table;
	return 0;
}

/*
 * The table that all are to use: one that is in use already, which a runtime that was loaded since
 * may stand in front of.  0: there is none.
 */
static int table_find(pid_t pid, const struct bs_jump_pool *pools, size_t n, bool anew,
		      uint64_t *table)
{
	*table = 0;
	for (size_t i = 0; i < n && !anew; i++) {
		uint32_t follow;
		int ret = bs_memory_read(pid, FIELD(pools[i], follow), &follow, sizeof(follow));

		if (ret)
			return ret;
		if (follow && (*table = pools[i].table))
			return 0;
	}
	for (size_t i = 0; i < n && !*table; i++)
		*table = pools[i].table;
	return 0;
}

/* It has been told already, and what it has begun since goes on. */
static int is_told(pid_t pid, const struct bs_jump_pool *pool, bool anew, bool *told)
{
	uint32_t follow = 0;
	int ret = anew ? 0 : bs_memory_read(pid, FIELD(*pool, follow), &follow, sizeof(follow));

	*told = follow & BSCOPE_FOLLOW_CHOSEN;
	return ret;
}

int bs_sampling_begin(pid_t pid, const struct bs_jump_pool *pools, size_t n,
		      const struct bs_sample *s, bool coarse, uint32_t stack_kinds, bool anew,
		      struct bs_error *err)
{
	uint32_t chosen = s->by != BS_SAMPLE_NOT ? BSCOPE_FOLLOW_CHOSEN : 0;
	uint32_t plain = chosen | (coarse ? BSCOPE_STAMP_COARSE : 0);
	uint64_t table;
	int ret = table_find(pid, pools, n, anew, &table);

	if (!ret && chosen && n && !table)
		return bs_error_set(err, -ENOTSUP,
				    "pid %d: its libbscope got no memory for the table of followed "
				    "objects: it cannot sample",
				    (int)pid);
	if (!ret && chosen && anew && n)
		ret = empty(pid, table);
	for (size_t i = 0; i < n && !ret; i++) {
		uint32_t follow = plain | (stack_kinds && pools[i].stacks ? BSCOPE_STACKS : 0);
		bool there;

		ret = is_there(pid, &pools[i], &there);
		if (!ret && !there)
			ret = -EFAULT;
		if (!ret && chosen) {
			bool told;

			ret = bs_memory_write(pid, FIELD(pools[i], table), &table, sizeof(table));
			if (!ret)
				ret = is_told(pid, &pools[i], anew, &told);
			if (!ret && !told)
				ret = tell(pid, &pools[i], s);
		}
		if (!ret && follow & BSCOPE_STACKS)
			ret = bs_memory_write(pid, FIELD(pools[i], stacks), &stack_kinds,
					      sizeof(stack_kinds));
		if (!ret)
			ret = bs_memory_write(pid, FIELD(pools[i], follow), &follow,
					      sizeof(follow));
	}
	return ret ? bs_error_set(err, ret, "pid %d: cannot tell it what to follow: %s", (int)pid,
				  strerror(-ret))
		   : 0;
}

int bs_sampling_change(pid_t pid, const struct bs_jump_pool *pools, size_t n,
		       const struct bs_sample *s)
{
	int ret = 0;

	for (size_t i = 0; i < n && !ret; i++) {
		bool there;

		ret = is_there(pid, &pools[i], &there);
		if (there)
			ret = tell(pid, &pools[i], s);
	}
	return ret;
}

uint64_t bs_sampling_full(pid_t pid, const struct bs_jump_pool *pools, size_t n)
{
	uint64_t table = bs_sampling_table(pools, n), full = 0;

	if (!table ||
	    bs_memory_read(pid, table + offsetof(struct bscope_follow, full), &full, sizeof(full)))
		return 0;
	return full;
}
