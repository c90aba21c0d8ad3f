/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * priority.h - the tool's work waits for everybody else's, unless it falls behind.
 *
 * The traced program comes first: on a machine whose CPUs are busy the tool does not take one away
 * for its own computing, but uses what is left (SCHED_IDLE, see sched(7)).  Events wait in the ring
 * meanwhile.  When a spell of work takes too long, or the ring fills, or a traced process forks,
 * executes or exits, it goes on for a while with the priority that it had.
 *
 * Between sessions the kernel may divide CPUs by session, whatever policies are in them (autogroup,
 * sched(7)), and between cgroups likewise: there it changes nothing.
 *
 * Only computing is done in such spells: whoever holds locks of a traced process, as when reading
 * its memory or its maps, must not be the one that waits.  Nor does it fork: children inherit it.
 */
#ifndef BS_BSCOPE_TRACE_PRIORITY_H
#define BS_BSCOPE_TRACE_PRIORITY_H

#include <stdbool.h>

struct bs_priority;

/*
 * For the calling thread.  ring_fd: poll(2) says when it fills; not owned.  NULL where it is not
 * allowed to get a priority back, or the thread has one of its own (chrt, real time): then all
 * calls do nothing.
 */
struct bs_priority *bs_priority_new(int ring_fd);
/* With the priority that the thread had. */
void bs_priority_free(struct bs_priority *p);

/*
 * A spell of computing begins, or goes on, and ends; by the thread that called new.  normal says
 * whether there was one.
 */
void bs_priority_low(struct bs_priority *p);
bool bs_priority_normal(struct bs_priority *p);

#endif
