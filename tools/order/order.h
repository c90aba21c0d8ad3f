/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * order.h - events of all threads in the order of their clocks, up to a watermark.
 *
 * Events come decoded, one by one, or as slots of a thread's buffer, many at once, which are held
 * as they are: what they mean is nobody's business here but for their time.
 *
 * What one thread sends comes in streams, each in order: events that come one by one, and slots of
 * each of its buffers.  A stream keeps the order in which it was pushed.  Between streams the
 * timestamp decides; where timestamps are equal no order is promised between them, but the same
 * pushes and releases give the same one.
 */
#ifndef BS_ORDER_ORDER_H
#define BS_ORDER_ORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "decode/decode.h"

struct bs_order;

/*
 * max_held: a release leaves at most so many events behind; the oldest beyond that are let go
 * early, whatever the watermark.  Between two releases memory grows with what is pushed: whoever
 * cannot tell how much that will be asks bs_order_full.  NULL when out of memory.
 */
struct bs_order *bs_order_new(size_t max_held);
void bs_order_free(struct bs_order *o);

/*
 * 0 or -ENOMEM.  An event older than what was already let go is passed on at the next release
 * and counted late.  An event whose stamp is older than that of its stream's event before it
 * counts as being of the same time; its ts_ns is passed on as it was.
 */
int bs_order_push(struct bs_order *o, const struct bs_event *ev);

/*
 * The same for prepared slots (decode.h), of which so many are events' own.  Copied.
 */
int bs_order_push_slots(struct bs_order *o, const struct bs_slots *slots, size_t events);

/* Events or slots in a piece, at most. */
#define BS_ORDER_PIECE 31u

/* Where held events go: pieces of one thread each, n > 0.  Whoever is called must not use o. */
struct bs_order_ops {
	int (*events)(void *ctx, const struct bs_event *v, size_t n);
	int (*slots)(void *ctx, const struct bs_slots *piece);
	void *ctx;
};

/*
 * Hands every held event with a time up to watermark_ns to ops, in order.  A negative return of
 * theirs ends the call; what was handed out so far is gone, the rest stays.  Returns 0 or that.
 */
int bs_order_release(struct bs_order *o, uint64_t watermark_ns, const struct bs_order_ops *ops);

/*
 * An eighth more than max_held events are held: time for a release, which looks at every thread and
 * should have something to do.
 */
bool bs_order_full(const struct bs_order *o);

size_t bs_order_held(const struct bs_order *o);
uint64_t bs_order_late(const struct bs_order *o);

#endif
