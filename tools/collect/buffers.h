/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * buffers.h - what the threads of traced processes have recorded (include/bscope/buffer.h): takes
 * the halves that BPF sends, fetches from the processes' memory what was not sent yet, and sees
 * to it that each slot is passed on once or counted as lost.
 *
 * Nothing that is read is trusted: the processes may write there what they like.
 *
 * A look at all buffers has two parts, so that order between them can be told: read copies what
 * is in memory now; then the caller takes everything out of the ring (_record), which is older;
 * then take passes on what was copied and did not come by the ring.  One thread only.
 */
#ifndef BS_COLLECT_BUFFERS_H
#define BS_COLLECT_BUFFERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <bscope/buffer.h>

#include "bpf/event.h"

struct bs_buffers;

/*
 * n slots that follow each other, each committed, in the order of the thread.  An event and its
 * further operands come in one call.  tid 0: not known.  buffer: its number in the process: what
 * comes of one buffer is in order, whatever comes of others in between.  Negative ends what is
 * going on.
 */
typedef int (*bs_buffers_fn)(void *ctx, uint32_t pid, uint32_t tid, uint32_t buffer,
			     const struct bscope_slot *slots, size_t n);

/* What the kernel's programs know beyond their records, which may not fit into the ring. */
struct bs_buffers_ops {
	/* Takes slots. */
	bs_buffers_fn take;
	/* Whose is the buffer at this address?  0: nobody knows.  May be NULL. */
	uint32_t (*owner)(void *ctx, uint32_t pid, uint64_t buffer);
	/* With what counts did the last thread that ended leave it?  False: not known.  NULL:
	 * never. */
	bool (*end)(void *ctx, uint32_t pid, uint64_t buffer, struct bs_end *end);
	/* How many records has the ring lost so far?  May be NULL: none. */
	uint64_t (*lost)(void *ctx);
	/* Has it begun to execute another program, of which no record has come?  NULL: never. */
	bool (*executes)(void *ctx, uint32_t pid);
	void *ctx;
};

struct bs_buffers *bs_buffers_new(const struct bs_buffers_ops *ops);
void bs_buffers_free(struct bs_buffers *b);

/*
 * From now on the buffers of this pool (control.h) count: called before the first site of the
 * process is lit.  What is in them already is of earlier times.  0 (again for a pool that is
 * known), -EBUSY (another tool that runs has lit the process), -ENOMEM, or -errno of reading it.
 */
int bs_buffers_add(struct bs_buffers *b, pid_t pid, uint64_t pool, uint64_t nbuffers);

/* Another tool may light the processes: when all their sites are dark, and after the last look. */
void bs_buffers_release(struct bs_buffers *b);

/* The child begins with its parent's pools, wiped. */
int bs_buffers_fork(struct bs_buffers *b, pid_t parent, pid_t child);

/* The child runs in its parent's memory (vfork), until it is gone: what it records is the parent's.
 */
int bs_buffers_share(struct bs_buffers *b, pid_t parent, pid_t child);

/*
 * The memory of the process has gone (exit, exec), and everything it sent was passed to _record:
 * what its threads had beyond that and beyond the last look nobody will know.
 */
int bs_buffers_gone(struct bs_buffers *b, pid_t pid);

/* A record of the ring of type BS_RING_BATCH, BS_RING_BUFFER or BS_RING_LEFT; others are ignored.
 */
int bs_buffers_record(struct bs_buffers *b, const void *data, size_t size);

/*
 * A thread of the process is about to commit this slot of this buffer, and its event has this stack
 * (any number but 0), which is kept for it until then.  0 or -ENOMEM.
 */
int bs_buffers_stack(struct bs_buffers *b, uint32_t pid, uint64_t buffer, uint64_t slot,
		     uint32_t stack);
/*
 * While ops.take is called: the stacks of the slots that it was given, 0 where there is none; NULL
 * if no slot has one.
 */
const uint32_t *bs_buffers_stacks(const struct bs_buffers *b);

/*
 * Copies what is in memory; all: of buffers, too, that no record has told of (which is done in any
 * case when the ring has lost records since the last look, and now and then).  *tsc: the counter
 * before that.  0 or -ENOMEM.
 */
int bs_buffers_read(struct bs_buffers *b, bool all, uint64_t *tsc);

/*
 * With coarse stamps, after each look: what is recorded from now on has this stamp (time stamp
 * counter), or one of later.
 */
void bs_buffers_stamp(const struct bs_buffers *b, uint64_t tsc);

/*
 * Passes on what read has copied.  last: nobody writes any more, so a slot that is reserved and not
 * committed never will be.  *hold, lowered to the stamp (40 bits are enough for bs_tsc_widen) of
 * the event before the oldest that is on its way still, or of the last time that a process could be
 * read; untouched if there is none.  *waiting: how many events are on their way.
 */
int bs_buffers_take(struct bs_buffers *b, bool last, uint64_t reference, uint64_t *hold,
		    size_t *waiting);

/* Looks after threads that have ended; writes to the processes what they and others should know. */
void bs_buffers_settle(struct bs_buffers *b);

struct bs_buffers_counts {
	uint64_t written;   /* as the programs counted, as far as was seen */
	uint64_t received;  /* passed on */
	uint64_t no_buffer; /* of written: events for which a thread found no buffer */
	uint64_t abandoned; /* of written: slots reserved by somebody who never came back */
	uint64_t at_most;   /* beyond written: what processes that have gone may have written */
	bool no_bound;	    /* and more: such a process had more threads than buffers */
	uint64_t extra;	    /* slots that written took beyond one each */
	uint64_t buffers;   /* that somebody has had */
	uint64_t skipped;   /* slots that were jumped over so far: known to be lost */
};
void bs_buffers_counts(const struct bs_buffers *b, struct bs_buffers_counts *out);

#endif
