/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * verdict_random.h - what tests of random marks share: numbers, and which objects are followed
 * where not all are.
 */
#ifndef VERDICT_RANDOM_H
#define VERDICT_RANDOM_H

#include "verdict_check.h"

#include "base/sample.h"

static uint64_t seed;

static inline uint32_t below(uint32_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)((seed * 0x2545f4914f6cdd1dull) >> 33) % n;
}

/* --- which objects are followed, as a runtime does it (include/bscope/follow.h) --------------- */

enum { F_IDS = 16, F_THREADS = 8 };

enum { ABSENT, FALLEN, FOLLOWED };
static int followed[CLASSES + 1][F_IDS];
static uint64_t follow_resizes[F_THREADS];
static unsigned follow_mean;
/* By thread and class: births up to the one of the block that is followed, and behind it. */
static unsigned follow_blocks[F_THREADS][CLASSES + 1][2];

enum { MARK = 1, FORGET = 2 };

static inline void follow_begin(unsigned mean)
{
	memset(followed, 0, sizeof(followed));
	memset(follow_resizes, 0, sizeof(follow_resizes));
	memset(follow_blocks, 0, sizeof(follow_blocks));
	follow_mean = mean;
}

/* One of each block, in any place. */
static inline bool follow_chosen(unsigned thread, unsigned klass)
{
	unsigned *b = follow_blocks[thread][klass], place;

	if (!b[0]) {
		place = below(follow_mean);
		b[0] = b[1] + place + 1;
		b[1] = follow_mean - 1 - place;
	}
	return !--b[0];
}

static inline int follow_birth(int *state, bool chosen)
{
	bool alive = *state == FOLLOWED;

	*state = ABSENT;
	if (!chosen)
		return alive ? FORGET : 0;
	/* Now and then there is no room in the table. */
	if (!alive && !below(20))
		return MARK | FORGET;
	*state = FOLLOWED;
	return MARK;
}

/* What is recorded of this mark. */
static inline int follow(const struct bs_event *ev)
{
	int *state = &followed[ev->klass_id][ev->id / 0x10000];
	uint64_t *resizes = &follow_resizes[ev->tid];
	bool alive = *state == FOLLOWED, was;

	switch (ev->kind) {
	case BSCOPE_KIND_NEW:
		return follow_birth(state, follow_chosen(ev->tid, ev->klass_id));
	case BSCOPE_KIND_RESIZE_BEGIN:
		*resizes = *resizes << 1 | alive;
		break;
	case BSCOPE_KIND_RESIZE_END:
		was = *resizes & 1;
		*resizes >>= 1;
		return follow_birth(state, was);
	case BSCOPE_KIND_REGION_ENTER:
	case BSCOPE_KIND_REGION_EXIT:
		return MARK;
	}
	/* One that is dead may have had to make room. */
	if (*state == FALLEN && !below(10))
		*state = ABSENT;
	was = *state != ABSENT;
	if (alive && (ev->kind == BSCOPE_KIND_DROP || ev->kind == BSCOPE_KIND_RESIZE_BEGIN))
		*state = FALLEN;
	return was ? MARK : 0;
}

static inline struct bs_event forgotten(const struct bs_event *ev)
{
	return (struct bs_event){.ts_ns = ev->ts_ns,
				 .id = ev->id,
				 .pid = ev->pid,
				 .tid = ev->tid,
				 .place = ev->place,
				 .klass_id = ev->klass_id,
				 .type = BS_EVENT_FORGOTTEN};
}

static inline void model_sample(unsigned mean)
{
	const struct bs_sample sample = {BS_SAMPLE_OBJECTS, mean, 0};

	assert_int_equal(bs_model_sample(m, 1000, &sample), 0);
}

/* --- events on their way ---------------------------------------------------------------------- */

/* Those of equal stamps in the order in which they were made. */
static inline void order_by_stamps(struct bs_event *v, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		struct bs_event ev = v[i];
		size_t k = i;

		for (; k && v[k - 1].ts_ns > ev.ts_ns; k--)
			v[k] = v[k - 1];
		v[k] = ev;
	}
}

/*
 * Hands them on, but for some in a row now and then, which is said some time after the last one:
 * who finds a loss does not know when it was.
 */
static inline void hand_on(const struct bs_event *v, size_t n, bool lossy)
{
	size_t lost = 0;

	for (size_t i = 0; i < n; i++) {
		if (lossy && !lost && !below(200))
			lost = 2 + below(60);
		if (lost > 1) {
			lost--;
			continue;
		}
		if (lost)
			bs_model_loss(m, v[i].ts_ns + BS_MODEL_SKEW_NS, 1);
		lost = 0;
		assert_int_equal(bs_model_event(m, &v[i]), 0);
	}
	if (lost)
		bs_model_loss(m, v[n - 1].ts_ns + BS_MODEL_SKEW_NS, 1);
}

/* Every object is somewhere. */
static inline void model_adds_up(void)
{
	struct bs_model_totals t;

	bs_model_totals(m, &t);
	assert_int_equal(t.created + t.adopted, t.dropped + t.vanished + t.live + t.exited);
}

#endif
