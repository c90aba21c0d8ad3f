/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * session_state.h - what the files of a session share: session.c runs it, session_targets.c knows
 * its files and processes, session_events.c takes events from the collectors to the model.
 */
#ifndef BS_TRACE_SESSION_STATE_H
#define BS_TRACE_SESSION_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bscope-trace/session.h"

struct bs_end;
struct bs_event;
struct bs_module;
struct bs_process;
struct bscope_slot;

#define NS_PER_MS 1000000ull
#define NS_PER_S  1000000000ull

/* Coarse stamps are no older than this, or verdicts are undecided. */
#define BS_COARSE_NS NS_PER_S

/* After an exec the dynamic linker maps libraries: look more often for a while. */
#define SCAN_EXEC_NS (5 * NS_PER_MS)

/* --- session_targets.c --- */

/* To standard error, with our name. */
void bs_session_log(const char *line);
/* The first is kept for the report; with -v all are printed. */
void bs_session_trouble(struct bs_session *s, const struct bs_error *err);
/*
 * The model is told of the sites from first on: whose classes say when their objects begin, and
 * up to when marks may be missing.  What is not chosen by the filter is missing for good.
 */
int bs_session_classes(struct bs_session *s, uint32_t first, uint64_t gap_ns);
/* Takes a module over and numbers its sites.  0 or -ENOMEM with err. */
int bs_session_module(struct bs_session *s, struct bs_module *m, struct bs_error *err);
/* The same of one that a process has run already, which the report says. */
int bs_session_late(struct bs_session *s, struct bs_module *m, struct bs_error *err);
/*
 * Finds what a process has mapped that nobody had before, and lights whatever of it is not lit
 * (light; else those sites are missing for good).  0; 1: it is lit, but for some sites that will be
 * soon; -ENOMEM, or why it cannot be read: -ESRCH, -EACCES...
 */
int bs_session_look(struct bs_session *s, struct bs_process *p, bool light);
/* The file of a COMMAND, or the preload library, before anything runs it. */
int bs_session_file(struct bs_session *s, const char *path, bool must, struct bs_error *err);
/*
 * The COMMAND's file, or if it is a script the program that interprets it, and its libraries;
 * preload as bs_command_start.
 */
int bs_session_command(struct bs_session *s, const char *path, const char *preload,
		       struct bs_error *err);
/* Are the given processes there, and may they be traced? */
int bs_session_check(struct bs_session *s, struct bs_error *err);
/* Reads all modules of the given processes; unlike in a scan, errors end it. */
int bs_session_take(struct bs_session *s, struct bs_error *err);
/* Lights them.  Errors end it here, too: nothing is half attached. */
int bs_session_light(struct bs_session *s, struct bs_error *err);
bool bs_session_any_chosen(const struct bs_session *s);
/* Counts other processes that have a lit file mapped. */
void bs_session_bystanders(struct bs_session *s);
/* From now on the kernel's programs know the processes. */
int bs_session_trace(struct bs_session *s, struct bs_error *err);
/* A fork, exec or exit. */
void bs_session_life(struct bs_session *s, const struct bs_event *ev);
/*
 * Children whose fork record did not fit into the ring: the kernel's programs trace them all the
 * same, so they are asked for.  And those of vfork that have executed a program since.  0 or
 * -ENOMEM.
 */
int bs_session_lost_lives(struct bs_session *s);
/*
 * Between two readings of the ring from end to end: processes that had executed a program before
 * the first one, whose record did not come.  0 or -ENOMEM.
 */
int bs_session_lost_execs(struct bs_session *s);
/*
 * At the end, when the ring was read: processes whose exit record did not fit into it have ended.
 * 0 or what reading gave.
 */
int bs_session_ended(struct bs_session *s);
/*
 * Looks for libraries that were loaded since and for processes whose exit was not seen.  0 or
 * -ENOMEM.
 */
int bs_session_scan(struct bs_session *s, uint64_t now);

/* --- session_loads.c --- */

/* From now on the kernel tells what is loaded; where it does not, s->no_loads says why.  0 or
 * -ENOMEM. */
int bs_session_loads_new(struct bs_session *s);
void bs_session_loads_free(struct bs_session *s);
/* What was loaded until now will be looked at in another way.  0. */
int bs_session_loads_skip(struct bs_session *s);
/*
 * Between reading events and handing them to the model: of each file that a process had mapped when
 * it made them, the model then knows what of its classes may be missing.  light: as
 * bs_session_look.  0 or -ENOMEM.
 */
int bs_session_loads(struct bs_session *s, bool light);
/* Events from then on have to wait for a look; UINT64_MAX: none. */
uint64_t bs_session_loads_hold(const struct bs_session *s);

/* --- session_budget.c --- */

/* With --max-overhead: 0, or -ENOMEM. */
int bs_session_steering_new(struct bs_session *s);
void bs_session_steering_free(struct bs_session *s);
/* When a period is over: what is followed and lit may change.  0 or -ENOMEM. */
int bs_session_steer(struct bs_session *s, uint64_t now);
/* All events have been given.  0 or -ENOMEM. */
int bs_session_steering_end(struct bs_session *s);

/* --- session_stacks.c --- */

/* With --stacks: 0, -ENOMEM, or as bs_unwind_new(). */
int bs_session_stacks_new(struct bs_session *s, struct bs_error *err);
void bs_session_stacks_free(struct bs_session *s);
/* The number of the stack in a record (struct bs_ring_stack), 0 if there is none. */
uint32_t bs_session_stack(struct bs_session *s, const void *data, size_t size);
/* Time has come to now. */
void bs_session_unwind_tick(struct bs_session *s, uint64_t now);
/* The caller that an event with this code had. */
uint32_t bs_session_caller(void *ctx, uint32_t code);

/* --- session_overhead.c --- */

/* With --overhead: starts the timers, which sample nothing yet.  0 or -errno with err. */
int bs_session_overhead_new(struct bs_session *s, struct bs_error *err);
void bs_session_overhead_free(struct bs_session *s);
/* Samples for --overhead-compare, with nothing lit.  -EINTR: *stop. */
int bs_session_compare(struct bs_session *s, const volatile sig_atomic_t *stop,
		       struct bs_error *err);
/* Everything is lit, and what is sampled from now on counts. */
int bs_session_overhead_begin(struct bs_session *s, struct bs_error *err);
/* Takes what was sampled since.  0 or -errno. */
int bs_session_overhead_read(struct bs_session *s);
/* The process has executed another program. */
void bs_session_overhead_forget(struct bs_session *s, uint32_t pid);
/* Before anything goes dark. */
int bs_session_overhead_end(struct bs_session *s);

/* --- session_events.c --- */

/* Events up to there go to the model. */
int bs_session_release(struct bs_session *s, uint64_t watermark);
/* One raw record: decoded and put in line.  What cannot be decoded is counted by the decoder. */
int bs_session_record(void *ctx, const void *data, size_t size);
/* The process is looked at with normal priority: the reader of its maps can hold it up. */
uint32_t bs_session_code(void *ctx, uint32_t pid, uint64_t addr);
/* Is there a static variable at that address?  Likewise. */
bool bs_session_lasting(void *ctx, uint32_t pid, uint64_t addr);
/*
 * Slots of a thread's buffer, from the ring or from its memory.  What only their process knows is
 * asked for now; the rest of their meaning can wait.
 */
int bs_session_slots(void *ctx, uint32_t pid, uint32_t tid, uint32_t buffer,
		     const struct bscope_slot *slots, size_t n);
/* For buffers.h, each. */
uint32_t bs_session_owner(void *ctx, uint32_t pid, uint64_t buffer);
uint64_t bs_session_batch_lost(void *ctx);
bool bs_session_executes(void *ctx, uint32_t pid);
bool bs_session_buffer_end(void *ctx, uint32_t pid, uint64_t buffer, struct bs_end *end);
/* It runs, and is to end. */
bool bs_session_over(const struct bs_session *s);

/*
 * Looks at all buffers: copies what is in memory, takes what the ring has, which is older, and
 * then the copies.  Everything up to the moment before has been seen then, but for events whose
 * threads were interrupted on the way: they hold the watermark back, not for ever.
 * Where the session is to end before the ring was read so far, it returns, and the next call goes
 * on from there: a busy program fills the ring faster than it is read, and is waiting for its end.
 */
int bs_session_drain(struct bs_session *s, bool last, size_t *waiting);
/* While sites are being darkened the program goes on, and so does the ring. */
int bs_session_drain_meanwhile(void *ctx);

#endif
