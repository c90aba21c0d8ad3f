/* SPDX-License-Identifier: GPL-2.0-only */
/* recent.c - marks of the last moment, that another thread's may give another meaning. */
#include "model/state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int bs_recent_add(struct bs_recent *r, const struct bs_event *ev, uint64_t to)
{
	if (ev->has & BS_EVENT_IN_ORDER)
		return 0;
	while (r->begin < r->n && ev->ts_ns > r->v[r->begin].ts_ns + BS_MODEL_SKEW_NS)
		r->begin++;
	if (r->begin == r->n)
		r->begin = r->n = 0;
	/* Moved only when at least half are old, so that each is moved about once. */
	if (r->n == r->cap && r->begin > r->cap / 2) {
		r->n -= r->begin;
		memmove(r->v, r->v + r->begin, r->n * sizeof(*r->v));
		r->begin = 0;
	} else if (r->n == r->cap) {
		uint32_t cap = r->cap ? r->cap * 2 : 16;
		struct bs_moment *v = reallocarray(r->v, cap, sizeof(*v));

		if (!v)
			return -ENOMEM;
		r->v = v;
		r->cap = cap;
	}
	if (ev->ts_ns > r->latest_ns)
		r->latest_ns = ev->ts_ns;
	r->v[r->n++] = (struct bs_moment){
		.key = {.id = ev->id, .klass = ev->klass_id},
		.pid = ev->pid,
		.tid = ev->tid,
		.ts_ns = ev->ts_ns,
		.to = to,
	};
	return 0;
}

struct bs_moment *bs_recent_search(const struct bs_recent *r, const struct bs_event *ev)
{
	for (uint32_t i = r->n; i-- > r->begin;) {
		struct bs_moment *at = &r->v[i];

		if (at->key.id == ev->id && at->key.klass == ev->klass_id && at->pid == ev->pid &&
		    bs_no_order(ev, at->tid, at->ts_ns))
			return at;
	}
	return NULL;
}

bool bs_recent_search_any(const struct bs_recent *r, const struct bs_event *ev, uint64_t ns)
{
	for (uint32_t i = r->n; i-- > r->begin;) {
		const struct bs_moment *at = &r->v[i];

		if (at->key.id == ev->id && at->key.klass == ev->klass_id && at->pid == ev->pid &&
		    (ev->ts_ns < at->ts_ns || ev->ts_ns - at->ts_ns <= ns))
			return true;
	}
	return false;
}

bool bs_recent_take(struct bs_recent *r, const struct bs_event *ev)
{
	struct bs_moment *at = bs_recent_find(r, ev);

	if (!at)
		return false;
	r->n--;
	memmove(at, at + 1, (size_t)(&r->v[r->n] - at) * sizeof(*at));
	return true;
}
