/* SPDX-License-Identifier: GPL-2.0-only */
/* verdict_marks.h - marks of one process at given times, each at a place of its own. */
#ifndef VERDICT_MARKS_H
#define VERDICT_MARKS_H

#include "verdict_check.h"

static uint32_t place;

static inline int setup(void **state)
{
	(void)state;
	model_new();
	started();
	place = 0;
	return 0;
}

static inline int teardown(void **state)
{
	(void)state;
	bs_model_free(m);
	return 0;
}

/* Returns its place. */
static inline uint32_t mark_at(uint64_t ts, unsigned kind, uint32_t tid, uint32_t klass,
			       uint64_t id, uint64_t arg)
{
	struct bs_event ev = {
		.ts_ns = ts,
		.id = id,
		.arg = arg,
		.pid = PID,
		.tid = tid,
		.place = ++place,
		.klass_id = klass,
		.type = BS_EVENT_MARK,
		.kind = (uint8_t)kind,
		.has = BS_EVENT_HAS_OTHER,
	};

	if (kind == BSCOPE_KIND_NEW || kind == BSCOPE_KIND_RESIZE_END)
		ev.has = BS_EVENT_HAS_BYTES;
	now = ts > now ? ts : now;
	assert_int_equal(bs_model_event(m, &ev), 0);
	return place;
}

#endif
