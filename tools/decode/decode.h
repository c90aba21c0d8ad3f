/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * decode.h - raw ring records become events that the model understands; nothing in a record
 * is trusted.
 */
#ifndef BS_DECODE_DECODE_H
#define BS_DECODE_DECODE_H

#include <stddef.h>
#include <stdint.h>

struct bs_sites;
struct bs_tsc;
struct bscope_slot;

enum bs_event_type {
	BS_EVENT_MARK = 1,
	BS_EVENT_FORK = 2, /* arg: pid of the child; id: 1 if it shares its parent's memory; code:
			      by what plan its text is lit, as inherited, or 0 */
	BS_EVENT_EXEC = 3, /* id, arg: the 16 bytes of the new short name */
	BS_EVENT_EXIT = 4, /* arg: wait status */
	/* From here on the object is not followed (bscope/follow.h); id, place and klass_id as of a
	 * mark.  klass_id 0, which is never decoded: no object of the process that began so far.
	 * Nothing that is counted. */
	BS_EVENT_FORGOTTEN = 5,
};

/* struct bs_event.has */
#define BS_EVENT_HAS_BYTES  0x01u /* arg is a size in bytes */
#define BS_EVENT_HAS_OTHER  0x02u /* arg is `by` or `to` */
#define BS_EVENT_HAS_CALLER 0x04u /* code is a caller */

/* One decoded event. */
struct bs_event {
	uint64_t ts_ns; /* CLOCK_MONOTONIC */
	uint64_t id;
	uint64_t arg; /* bytes, by, to, or as bs_event_type says */
	uint32_t pid;
	uint32_t tid;
	uint32_t place;	   /* bs_places_get; 0 unless a mark, or forgotten */
	uint32_t klass_id; /* likewise */
	uint32_t code;	   /* who called, as numbered by the resolver; 0: unknown or not said */
	uint8_t type;	   /* enum bs_event_type */
	uint8_t kind;	   /* enum bscope_kind; 0 unless a mark */
	uint8_t has;	   /* BS_EVENT_HAS_* */
};

/* Turns the address of code in a process into a small number that outlives the process. */
typedef uint32_t (*bs_decode_code_fn)(void *ctx, uint32_t pid, uint64_t addr);

struct bs_decoder {
	const struct bs_sites *sites;
	bs_decode_code_fn code; /* NULL: code stays 0 */
	void *code_ctx;
	uint64_t bad; /* records refused so far */

	/* What is known of sites, by index; its own, {0} at first. */
	struct bs_mark *marks;
	uint32_t nmarks;
};
void bs_decoder_fini(struct bs_decoder *d);

/*
 * 0, or -EBADMSG (wrong size or type, no such site, a site that was not chosen): counted in
 * bad, *out undefined.  Out of memory is a site that does not exist.
 */
int bs_decode(struct bs_decoder *d, const void *data, size_t size, struct bs_event *out);

/*
 * Slots of one thread that are understood: each of an event is followed by that of its further
 * operands, if its kind has any; the rest is objects that are forgotten (bscope/follow.h).  As in
 * include/bscope/buffer.h but that the time in the heads is in ns since base_ns, and a caller is
 * the number that the resolver gave.
 */
struct bs_slots {
	uint32_t pid, tid;
	uint64_t base_ns; /* CLOCK_MONOTONIC */
	const struct bscope_slot *v;
	size_t n;
};

/*
 * Slots of a thread's buffer, in order, each committed, become such slots in out, which has room
 * for n.  Those that were left empty, and those of further operands without their event before
 * them, are passed over; events that do not fit their site are counted in bad.
 * reference: a stamp not before theirs.  Returns the number of events, and of objects forgotten.
 */
size_t bs_decode_prepare(struct bs_decoder *d, uint32_t pid, uint32_t tid,
			 const struct bscope_slot *slots, size_t n, const struct bs_tsc *tsc,
			 uint64_t reference, struct bscope_slot *out, struct bs_slots *prepared);

/*
 * The events of slots that this decoder has prepared, into out, which has room for slots->n.
 * Returns how many.
 */
size_t bs_decode_slots(const struct bs_decoder *d, const struct bs_slots *slots,
		       struct bs_event *out);

#endif
