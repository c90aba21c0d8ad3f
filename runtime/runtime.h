/* SPDX-License-Identifier: MIT */
/* runtime.h - inside libbscope: what its files share. */
#ifndef BS_RUNTIME_H
#define BS_RUNTIME_H

#include <bscope/buffer.h>
#include <bscope/control.h>
#include <bscope/follow.h>
#include <bscope/site.h>

#define BS_PUBLIC   __attribute__((visibility("default")))
#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/* The code that only lit sites execute, in one place: tools tell by it what tracking costs. */
#define BS_RECORD_PATH __attribute__((section(BSCOPE_RECORD_SECTION)))

/*
 * Called from the middle of any function: preserves every register but those of its arguments,
 * assumes nothing about the alignment of the stack.
 */
#if defined(__x86_64__)
#define BS_ANYWHERE __attribute__((no_caller_saved_registers)) BS_RECORD_PATH
#else
#define BS_ANYWHERE BS_RECORD_PATH
#endif

/* entries.c: what stubs call. */
BS_PUBLIC BS_ANYWHERE void bscope_record(const struct bscope_site *site, uint64_t id);
BS_PUBLIC BS_ANYWHERE void bscope_record2(const struct bscope_site *site, uint64_t id, uint64_t a1);
BS_PUBLIC BS_ANYWHERE void bscope_record3(const struct bscope_site *site, uint64_t id, uint64_t a1,
					  uint64_t a2);

/* The buffer of this thread, or one that nobody owns. */
extern __thread struct bscope_buffer *bs_current
	__attribute__((visibility("hidden"), tls_model("initial-exec")));

/* Where the entries go from there: by number of operands, by stamps, or with sampling. */
#define BS_HERE BS_ANYWHERE __attribute__((used, visibility("hidden"), aligned(64)))
BS_HERE void bs_record1(const struct bscope_site *site, uint64_t id);
BS_HERE void bs_record2(const struct bscope_site *site, uint64_t id, uint64_t a1);
BS_HERE void bs_record3(const struct bscope_site *site, uint64_t id, uint64_t a1, uint64_t a2);
BS_HERE void bs_coarse1(const struct bscope_site *site, uint64_t id);
BS_HERE void bs_coarse2(const struct bscope_site *site, uint64_t id, uint64_t a1);
BS_HERE void bs_coarse3(const struct bscope_site *site, uint64_t id, uint64_t a1, uint64_t a2);
BS_HERE void bs_sampled(const struct bscope_site *site, uint64_t id, uint64_t a1, uint64_t a2);

/*
 * The program's registers that a stack is unwound from, as bs_stacked (entries.c) lays them down
 * below its return address into the stub.
 */
struct bs_frame {
	uint64_t r15, r14, r13, r12, rbp, rbx;
};
/* All of the above in one, where stacks are wanted. */
BS_HERE void bs_marked(const struct bscope_site *site, uint64_t id, uint64_t a1, uint64_t a2,
		       const struct bs_frame *frame);

/* control.c.  Hidden, so that the note of the probe can name its address in this very file. */
extern struct bscope_control bs_control __attribute__((visibility("hidden")));

/* pool.c: fills in the pool's members of bs_control, or leaves them 0. */
void bs_pool_reserve(void);

#endif
