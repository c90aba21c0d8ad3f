/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * order.h - events of all threads in the order of their clocks, up to a watermark.
 *
 * Events of one thread keep the order in which they were pushed.  Between threads the
 * timestamp decides, and the order of pushing where timestamps are equal.
 */
#ifndef BS_ORDER_ORDER_H
#define BS_ORDER_ORDER_H

#include <stddef.h>
#include <stdint.h>

#include "decode/decode.h"

struct bs_order;

typedef int (*bs_order_fn)(void *ctx, const struct bs_event *ev);

/* max_held: at most so many events are held back; beyond that the oldest are let go early. */
struct bs_order *bs_order_new(size_t max_held);
void bs_order_free(struct bs_order *o);

/* 0 or -ENOMEM.  An event older than what was already let go is passed on at the next release
 * and counted late. */
int bs_order_push(struct bs_order *o, const struct bs_event *ev);

/* Hands every held event with ts_ns <= watermark_ns to fn, in order.  A negative return of fn ends
 * the call; the events handed out so far are gone, the others stay. */
int bs_order_release(struct bs_order *o, uint64_t watermark_ns, bs_order_fn fn, void *ctx);

size_t bs_order_held(const struct bs_order *o);
uint64_t bs_order_late(const struct bs_order *o);

#endif
