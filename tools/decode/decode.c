/* SPDX-License-Identifier: GPL-2.0-only */
/* decode.c - raw ring records become events; a record that does not fit its site is refused. */
#include "decode/decode.h"

#include <errno.h>
#include <string.h>

#include "bpf/event.h"
#include "bscope/abi.h"
#include "bscope/buffer.h"
#include "decode/tsc.h"
#include "target/module.h"
#include "target/sites.h"

_Static_assert(sizeof(struct bs_event) == 48, "events are copied a lot: keep them small");

static uint32_t resolve(const struct bs_decoder *d, uint32_t pid, uint64_t addr)
{
	return d->code && addr ? d->code(d->code_ctx, pid, addr) : 0;
}

/*
 * What the operands are follows from kind, flags and number of operands of the site that was
 * lit, never from the record: an operand that the site has not is 0 there and means nothing.
 */
static void decode_operands(const struct bs_decoder *d, const struct bs_site *site,
			    const struct bs_ring_event *rec, struct bs_event *out)
{
	out->id = rec->args[0];
	switch (site->kind) {
	case BSCOPE_KIND_NEW:
		if (!(site->flags & BSCOPE_SITE_SIZED))
			break;
		/* fallthrough */
	case BSCOPE_KIND_RESIZE_END:
		if (site->nargs < 2)
			break;
		out->arg = rec->args[1];
		out->has |= BS_EVENT_HAS_BYTES;
		break;
	case BSCOPE_KIND_MOVE:
	case BSCOPE_KIND_BORROW:
	case BSCOPE_KIND_BORROW_MUT:
	case BSCOPE_KIND_UNBORROW:
	case BSCOPE_KIND_USE:
		if (site->nargs < 2)
			break;
		out->arg = rec->args[1];
		out->has |= BS_EVENT_HAS_OTHER;
		break;
	default:
		break;
	}

	if ((site->flags & BSCOPE_SITE_CALLER) && site->nargs >= 3 &&
	    (site->kind == BSCOPE_KIND_NEW || site->kind == BSCOPE_KIND_RESIZE_END)) {
		out->code = resolve(d, rec->pid, rec->args[2]);
		out->has |= BS_EVENT_HAS_CALLER;
	}
}

static int decode_mark(const struct bs_decoder *d, const struct bs_ring_event *rec,
		       struct bs_event *out)
{
	const struct bs_expansion *exp = bs_sites_get(d->sites, rec->site);
	const struct bs_place *place;

	if (!exp || !exp->chosen || !exp->site)
		return -EBADMSG;
	place = bs_places_get(d->sites, exp->place);
	if (!place || !place->klass_id)
		return -EBADMSG;
	if (exp->site->kind < BSCOPE_KIND_NEW || exp->site->kind >= BSCOPE_KIND_END)
		return -EBADMSG;

	out->type = BS_EVENT_MARK;
	out->kind = exp->site->kind;
	out->place = exp->place;
	out->klass_id = place->klass_id;
	decode_operands(d, exp->site, rec, out);
	return 0;
}

static int decode_record(const struct bs_decoder *d, const struct bs_ring_event *rec,
			 struct bs_event *out)
{
	memset(out, 0, sizeof(*out));
	out->ts_ns = rec->ts_ns;
	out->pid = rec->pid;
	out->tid = rec->tid;

	switch (rec->type) {
	case BS_RING_MARK:
		return decode_mark(d, rec, out);
	case BS_RING_FORK:
		/* Pids are positive ints; anything else would name no process. */
		if (!rec->args[0] || rec->args[0] > INT32_MAX)
			return -EBADMSG;
		out->type = BS_EVENT_FORK;
		out->arg = rec->args[0];
		out->id = rec->args[1];
		out->code = (uint32_t)rec->args[2];
		return 0;
	case BS_RING_EXEC:
		out->type = BS_EVENT_EXEC;
		out->id = rec->args[0];
		out->arg = rec->args[1];
		return 0;
	case BS_RING_EXIT:
		out->type = BS_EVENT_EXIT;
		out->arg = rec->args[0];
		return 0;
	default:
		return -EBADMSG;
	}
}

int bs_decode(struct bs_decoder *d, const void *data, size_t size, struct bs_event *out)
{
	struct bs_ring_event rec;
	int err = -EBADMSG;

	if (size == sizeof(rec)) {
		memcpy(&rec, data, sizeof(rec)); /* the source need not be aligned */
		err = decode_record(d, &rec, out);
	}
	if (err)
		d->bad++;
	return err;
}

/* It is spread over the head of the second slot. */
static uint64_t second_operand(uint64_t head)
{
	return head >> BSCOPE_SLOT_TIME_SHIFT | (head & BSCOPE_SLOT_INDEX_MASK)
							<< BSCOPE_SLOT_TIME_BITS;
}

int bs_decode_slots(struct bs_decoder *d, uint32_t pid, uint32_t tid,
		    const struct bscope_slot *slots, size_t n, const struct bs_tsc *tsc,
		    uint64_t reference, bs_decode_fn fn, void *ctx)
{
	int ret = 0;

	for (size_t i = 0; i < n && ret >= 0; i++) {
		uint64_t head = slots[i].head, stamp;
		struct bs_ring_event rec = {
			.pid = pid,
			.tid = tid,
			.type = BS_RING_MARK,
			.site = head & BSCOPE_SLOT_INDEX_MASK,
			.args = {slots[i].value},
		};
		const struct bs_expansion *e;
		struct bs_event ev;

		if (head & BSCOPE_SLOT_EXTRA || !rec.site)
			continue;
		e = bs_sites_get(d->sites, rec.site);
		if (e && e->site && e->site->nargs > 1) {
			if (i + 1 == n || !(slots[i + 1].head & BSCOPE_SLOT_EXTRA)) {
				d->bad++;
				continue;
			}
			i++;
			rec.args[1] = slots[i].value;
			rec.args[2] = second_operand(slots[i].head);
		}
		stamp = bs_tsc_widen(head >> BSCOPE_SLOT_TIME_SHIFT, BSCOPE_SLOT_TIME_BITS,
				     reference);
		rec.ts_ns = bs_tsc_ns(tsc, stamp);
		if (decode_record(d, &rec, &ev))
			d->bad++;
		else
			ret = fn(ctx, &ev);
	}
	return ret < 0 ? ret : 0;
}
