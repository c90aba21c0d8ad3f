/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * order.h - events of all threads in the order of their clocks, up to a watermark.
 *
 * Events of one thread keep the order in which they were pushed.  Between threads the
 * timestamp decides, and the order of pushing where timestamps are equal.
 */
#ifndef BS_ORDER_ORDER_H
#define BS_ORDER_ORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "decode/decode.h"

struct bs_order;

typedef int (*bs_order_fn)(void *ctx, const struct bs_event *ev);

/*
 * max_held: a release leaves at most so many events behind; the oldest beyond that are let go
 * early, whatever the watermark.  Between two releases memory grows with what is pushed: whoever
 * cannot tell how much that will be asks bs_order_full.  NULL when out of memory.
 */
struct bs_order *bs_order_new(size_t max_held);
void bs_order_free(struct bs_order *o);

/*
 * 0 or -ENOMEM.  An event older than what was already let go is passed on at the next release
 * and counted late.  An event whose stamp is older than that of its thread's event before it
 * counts as being of the same time; its ts_ns is passed on as it was.
 */
int bs_order_push(struct bs_order *o, const struct bs_event *ev);

/* Hands every held event with ts_ns <= watermark_ns to fn, in order.  A negative return of fn ends
 * the call; the events handed out so far are gone, the others stay.  fn must not use o.
 * Returns 0 or what fn returned. */
int bs_order_release(struct bs_order *o, uint64_t watermark_ns, bs_order_fn fn, void *ctx);

/*
 * An eighth more than max_held events are held: time for a release, which looks at every thread and
 * should have something to do.
 */
bool bs_order_full(const struct bs_order *o);

size_t bs_order_held(const struct bs_order *o);
uint64_t bs_order_late(const struct bs_order *o);

#endif
