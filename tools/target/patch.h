/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * patch.h - stops a process, writes the switches of its sites, lets it go.
 *
 * A switch is the 6-byte nop of a site (include/bscope/site.h).  Lit, its first five bytes are
 * "jmp stub"; dark, they are those of the nop.  All threads stand still while they are written,
 * so that nobody is in the middle of one; every state that can be left behind in between is a
 * valid program.
 */
#ifndef BS_TARGET_PATCH_H
#define BS_TARGET_PATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* What became of a switch. */
enum bs_patch_state {
	BS_PATCH_DARK = 0, /* the nop, as far as we know */
	BS_PATCH_LIT = 1,
	BS_PATCH_FOREIGN = 2, /* bytes that are neither nop nor our jump: left alone */
	BS_PATCH_GONE = 3,    /* its page cannot be read or written, or its number is not there */
};

/* One switch of one process. */
struct bs_patch {
	uint64_t addr;	/* its first byte, in the process */
	int32_t rel;	/* of the jump: stub - (addr + 5) */
	uint32_t state; /* enum bs_patch_state; written by those who patch */
	/*
	 * Where the number of its site was written, in the process; 0: nowhere.  It is lit only if
	 * that is still there: a library that was loaded anew in the meantime looks the same and
	 * has none.
	 */
	uint64_t number_at;
	uint32_t number;
};

/*
 * What a stop may take, from the first thread told to stop.  Not all stopped by then (a thread in
 * uninterruptible sleep): everybody is let go, nothing is written.
 */
#define BS_PATCH_STOP_NS 20000000ull

struct bs_patch_result {
	/*
	 * 0; -ETIMEDOUT (not stopped in time), -EAGAIN (a process that shares the memory appeared
	 * meanwhile): nothing was written, worth another try.
	 * -ESRCH (process gone), -EPERM (not permitted, or traced by a debugger), -EBUSY (a
	 * process shares its memory and cannot be stopped): no.
	 */
	int code;
	uint64_t pause_ns; /* from the first thread told to stop to the last let go */
	uint64_t at_ns;	   /* CLOCK_MONOTONIC when all was written and nobody let go yet */
	uint32_t threads;  /* that were stopped */
	uint32_t written;  /* switches changed */
	char why[160];	   /* a sentence for people, without the pid in front; "" if code is 0 */
};

/*
 * Lights (or darkens) n switches of a process, in one stop.  Switches that have the wanted state
 * already are left alone; v[i].state says what each is afterwards.  v is in order of addr and none
 * crosses a page.
 *
 * shares: NULL, or counts the processes that came to share memory with a traced one without being
 * a thread or a vfork child (a number that only grows); with it the search of /proc for such
 * processes need not be done while everybody stands still.
 *
 * To be called by a process that has no children but those it traces: see guardian_process.c.  No
 * memory is allocated while threads stand still.
 */
void bs_patch(pid_t pid, bool light, struct bs_patch *v, size_t n, uint64_t (*shares)(void *ctx),
	      void *ctx, struct bs_patch_result *result);

/* What else can be asked of a stop. */
struct bs_patch_how {
	bool light;
	/*
	 * A trap in front of each switch has counted until now who came by: a thread that stands
	 * right at a switch that is lit goes on behind it.
	 */
	bool trapped;
	uint64_t (*shares)(void *ctx); /* see bs_patch() */
	void *shares_ctx;
	/*
	 * NULL, or called while everybody stands still, before anything is written: false, and
	 * nothing is; the code is -EAGAIN then.
	 */
	bool (*fit)(void *ctx);
	/*
	 * NULL, or called while everybody stands still, after the writing.  With it there is a stop
	 * even if no switch is to change: whenever code is 0 it has been called.
	 */
	void (*done)(void *ctx);
	void *done_ctx; /* of fit, too */
};

/* As bs_patch(), which is this with neither trapped nor done. */
void bs_patch_as(pid_t pid, const struct bs_patch_how *how, struct bs_patch *v, size_t n,
		 struct bs_patch_result *result);

/*
 * Looks only: v[i].state says what each switch is now.  Returns how many bs_patch() would change,
 * or -ESRCH, -EPERM, -errno.  Stops nobody.
 */
ssize_t bs_patch_look(pid_t pid, bool light, struct bs_patch *v, size_t n);

#endif
