/* SPDX-License-Identifier: MIT */
/*
 * record.c - records events, in the middle of any function of the program and of its signal
 * handlers: an event goes into the buffer of its thread (include/bscope/buffer.h), if its object is
 * followed.
 *
 * Contract of the entries (entries.c) and of all that they go to: they preserve every register,
 * those of vectors too, but the flags and the registers of the entry's own arguments, which the
 * stub has saved; they assume nothing about the alignment of the stack; they lock nothing, allocate
 * nothing, make no system call and call nothing of the C library.  Compiled with
 * -mgeneral-regs-only and without LTO, so that the attribute can keep that promise.
 *
 * Signal handlers.  A handler may come between any two instructions here, record events of its
 * own, and return or jump away for good.  Therefore nothing is ever unlocked, counted back or left
 * set: a slot is reserved by one instruction and is then nobody else's, whoever is interrupted.
 * What is jumped away from stays uncommitted, which readers see.
 *
 * Threads.  Nobody but the owner adds to a buffer, so additions need no lock prefix.  A buffer is
 * taken with one, once in the life of a thread.
 *
 * On arm64 compilers ignore the attribute, and no stub refers to these functions there; an
 * assembly shim that saves x0-x18, x30 and the flags belongs in front of them.
 */
#include <bscope/bscope.h>

#include "runtime/follow.h"
#include "runtime/runtime.h"

#if defined(__x86_64__)

/* One instruction, so that a signal handler on the same thread loses nothing. */
static inline void add(uint64_t *to, uint64_t n)
{
	__asm__ __volatile__("addq %1,%0" : "+m"(*to) : "er"(n) : "cc");
}

/* A search that found every buffer taken is not repeated for so many ticks: about a millisecond. */
#define FULL_TICKS (1u << 22)

/* The buffer of a thread that has none: owned by nobody.  Never written. */
static const uint64_t nobody[BSCOPE_BUFFER_HEAD_BYTES / sizeof(uint64_t)];

/*
 * One pointer of static TLS: an array there would keep the library from being dlopened.  After
 * fork it points to memory that was wiped, whose owner is nobody too.
 */
__thread struct bscope_buffer *bs_current __attribute__((tls_model("initial-exec"))) =
	(struct bscope_buffer *)(uintptr_t)nobody;

/* System V psABI, x86-64: the thread pointer, at the address to which it points. */
static inline uint64_t thread_pointer(void)
{
	uint64_t tp;

	__asm__("movq %%fs:0,%0" : "=r"(tp));
	return tp;
}

/* Whole registers, of which the instruction clears the upper halves: nothing need be widened. */
static inline void rdtsc(uint64_t *low, uint64_t *high)
{
	__asm__ __volatile__("rdtsc" : "=a"(*low), "=d"(*high));
}

static inline uint64_t now(void)
{
	uint64_t low, high;

	rdtsc(&low, &high);
	return high << 32 | low;
}

/* The time of a slot's head, in place: what now() << BSCOPE_SLOT_TIME_SHIFT is, in fewer steps. */
static inline uint64_t head_now(void)
{
	uint64_t low, high;

	rdtsc(&low, &high);
	return high << (32 + BSCOPE_SLOT_TIME_SHIFT) | low << BSCOPE_SLOT_TIME_SHIFT;
}

/*
 * The probes of the library itself, with their operands in fixed registers.  They are fired
 * only while somebody listens.
 */
#define FIRE(spelling, buffer, end)                                                           \
	__asm__ __volatile__("990:\tnop\n" BSCOPE_ASM_NOTE(spelling, "8@%%rdi 8@%%rsi")       \
			     :                                                                \
			     : "D"(buffer), "S"(end), [bscope_sem] "i"(&bs_control.semaphore) \
			     : "memory")

/* Each probe is one place in the code, where tools listen: not inlined, not copied. */
#ifdef __clang__
#define BS_PROBE static BS_ANYWHERE __attribute__((noinline))
#else
#define BS_PROBE static BS_ANYWHERE __attribute__((noinline, noclone))
#endif

/* The stamp of events to come, where it is not taken for each. */
static inline void stamp(struct bscope_buffer *b)
{
	b->coarse = (uint32_t)(now() >> 8);
}

/* In place, as head_now(). */
static inline uint64_t head_coarse(const struct bscope_buffer *b)
{
	return (uint64_t) * (const volatile uint32_t *)&b->coarse << (8 + BSCOPE_SLOT_TIME_SHIFT);
}

static inline uint64_t head_time(const struct bscope_buffer *b, int coarse)
{
	return coarse ? head_coarse(b) : head_now();
}

/* All slots up to the end are reserved, and committed but for those of interrupted events. */
BS_PROBE void batch(struct bscope_buffer *b, uint64_t end)
{
	/* Nobody there: the slots are written over when their turn comes. */
	if (bs_control.semaphore)
		FIRE("batch", b, end);
	stamp(b);
}

/* The thread has taken the buffer, or has it still. */
BS_PROBE void announce(struct bscope_buffer *b)
{
	stamp(b);
	if (bs_control.semaphore)
		FIRE("buffer", b, b->next);
}

/*
 * The stack of an event, whose slot has this number and is not committed yet.  For the moment in
 * which the probe fires the registers are the program's; ours wait on the stack, below the
 * program's own.  rdi: buffer, rsi: number, rdx: the site's address, rcx: its stack pointer, r8:
 * the struct bs_frame.
 */
__attribute__((naked, used)) static BS_ANYWHERE void
stack(__attribute__((unused)) struct bscope_buffer *b, __attribute__((unused)) uint64_t number,
      __attribute__((unused)) uint64_t site, __attribute__((unused)) uint64_t sp,
      __attribute__((unused)) const struct bs_frame *frame)
{
	__asm__ __volatile__(
		"push %%rbx\n\tpush %%rbp\n\tpush %%r12\n\tpush %%r13\n\tpush %%r14\n\tpush %%r15\n\t"
		"mov 0(%%r8),%%r15\n\tmov 8(%%r8),%%r14\n\tmov 16(%%r8),%%r13\n\t"
		"mov 24(%%r8),%%r12\n\tmov 32(%%r8),%%rbp\n\tmov 40(%%r8),%%rbx\n"
		"990:\tnop\n" BSCOPE_ASM_NOTE(
			"stack",
			"8@%%rdi 8@%%rsi 8@%%rdx 8@%%rcx") "\t"
							   "pop %%r15\n\tpop %%r14\n\tpop %%r13\n\tpop %%r12\n\tpop %%rbp\n\tpop %%rbx\n\t"
							   "ret"
		:
		: [bscope_sem] "i"(&bs_control.semaphore));
}

/*
 * The stack pointer at the site: above the frame lie the way back into the stub, what the stub has
 * pushed, a register for each operand and one more, and the red zone (site.h).
 */
#define RED_ZONE 128
static inline void take_stack(const struct bscope_site *site, struct bscope_buffer *b,
			      uint64_t number, const struct bs_frame *frame)
{
	uint64_t at = (uint64_t)(uintptr_t)&site->probe + (uint64_t)(int64_t)site->probe;

	stack(b, number, at,
	      (uint64_t)(uintptr_t)(frame + 1) + 8 + 8 * (site->nargs + 1ull) + RED_ZONE, frame);
}

static inline uint64_t reserve(struct bscope_buffer *b, uint64_t n)
{
	__asm__ __volatile__("xaddq %0,%1" : "+r"(n), "+m"(b->next) : : "memory", "cc");
	return n;
}

/* Head of a slot that is left empty: a time, so that it is not 0 in any lap, and no site. */
#define EMPTY (1ull << BSCOPE_SLOT_TIME_SHIFT)

static inline struct bscope_slot *slot_at(struct bscope_buffer *b, uint64_t number)
{
	return &b->slots[number % BSCOPE_BUFFER_SLOTS];
}

/* x86 makes the two stores visible in this order; the compiler must not change it. */
static inline void commit(struct bscope_buffer *b, uint64_t number, uint64_t head, uint64_t value)
{
	struct bscope_slot *slot = slot_at(b, number);

	slot->value = value;
	__asm__ __volatile__("" : : : "memory");
	*(volatile uint64_t *)&slot->head = head | BSCOPE_SLOT_LAP(number);
}

static inline int ends_half(uint64_t end)
{
	return end % BSCOPE_BATCH_SLOTS == 0;
}

/*
 * Numbers begin anew where the memory is, or was wiped by fork.  A handler that comes in between
 * may have begun them, and recorded: then nothing is changed here.
 */
static inline void begin_numbers(struct bscope_buffer *b)
{
	uint64_t extra = b->extra, next = *(volatile uint64_t *)&b->next;

	if (next >= BSCOPE_BUFFER_FIRST)
		return;
	if (extra)
		__atomic_compare_exchange_n(&b->extra, &extra, 0, 0, __ATOMIC_RELAXED,
					    __ATOMIC_RELAXED);
	__atomic_compare_exchange_n(&b->next, &next, BSCOPE_BUFFER_FIRST, 0, __ATOMIC_RELAXED,
				    __ATOMIC_RELAXED);
}

/* Makes a buffer the thread's, if it is still that owner's. */
static inline int claim(struct bscope_buffer *b, uint64_t owner, uint64_t tp)
{
	return __atomic_compare_exchange_n(&b->owner, &owner, tp, 0, __ATOMIC_ACQ_REL,
					   __ATOMIC_RELAXED);
}

/*
 * The thread has no buffer yet, or has been forked, or a tool wants to know whose its buffer is.
 * NULL where nobody would read it, or none is free; the event is counted then.
 *
 * The pool is a hash table by thread pointer.  No two threads that live have the same, so a buffer
 * of that owner is a dead thread's, and what a C library does with the stacks of threads makes that
 * the usual case: ten thousand threads one after another use one buffer.  Others that are free no
 * longer have nobody, or a dead thread that a tool found, for owner.
 */
static BS_ANYWHERE __attribute__((noinline)) struct bscope_buffer *take(uint64_t tp)
{
	struct bscope_pool *pool = (struct bscope_pool *)(uintptr_t)bs_control.pool;
	uint64_t mask = bs_control.buffers - 1; /* a power of two */
	struct bscope_buffer *had = bs_current;
	uint64_t owner = had->owner;
	uint32_t at;

	if (!pool || !bs_control.semaphore) {
		add(&bs_control.unrecorded, 1);
		return 0;
	}
	/* The flags are a tool's; whoever thinks the thread dead may have let another one in. */
	if ((owner & ~BSCOPE_OWNER_FLAGS) == tp && claim(had, owner, tp)) {
		announce(had);
		return had;
	}
	if (now() - pool->full_at < FULL_TICKS)
		goto full;
	at = (uint32_t)(tp * 0x9e3779b97f4a7c15ull >> 40);
	for (uint64_t i = 0; i <= mask; i++, at++) {
		struct bscope_buffer *b = &pool->buffers[at & mask];
		uint32_t used;

		owner = b->owner;
		if ((owner & ~BSCOPE_OWNER_FLAGS) != tp && owner && !(owner & BSCOPE_OWNER_DEAD))
			continue;
		if (owner != tp && !claim(b, owner, tp))
			continue;
		begin_numbers(b);
		used = pool->used;
		while (used <= (at & mask) &&
		       !__atomic_compare_exchange_n(&pool->used, &used, (at & mask) + 1, 0,
						    __ATOMIC_RELEASE, __ATOMIC_RELAXED))
			;
		/* A handler that came by meanwhile has found the same. */
		bs_current = b;
		announce(b);
		return b;
	}
	pool->full_at = now();
full:
	__atomic_fetch_add(&pool->no_buffer, 1, __ATOMIC_RELAXED);
	return 0;
}

static inline struct bscope_buffer *mine(void)
{
	struct bscope_buffer *b = bs_current;
	uint64_t tp = thread_pointer();

	return likely(b->owner == tp) ? b : take(tp);
}

/* Do n slots from this one on lie in two halves? */
static inline int is_split(uint64_t number, uint64_t n)
{
	return number / BSCOPE_BATCH_SLOTS != (number + n - 1) / BSCOPE_BATCH_SLOTS;
}

/*
 * The slots of an event are neighbours in one half: where they are not, all are left empty and
 * others taken.  Handlers may use up the next half meanwhile, so once more may not do.
 */
static BS_ANYWHERE __attribute__((noinline)) uint64_t reserve_anew(struct bscope_buffer *b,
								   uint64_t number, uint64_t n)
{
	do {
		add(&b->extra, n);
		for (uint64_t i = 0; i < n; i++)
			commit(b, number + i, EMPTY, 0);
		batch(b, (number + n) / BSCOPE_BATCH_SLOTS * BSCOPE_BATCH_SLOTS);
		number = reserve(b, n);
	} while (is_split(number, n));
	return number;
}

static inline uint32_t site_number(const struct bscope_site *site)
{
	return site->index >> BSCOPE_INDEX_SITE_SHIFT & BSCOPE_SLOT_INDEX_MASK;
}

#define ALWAYS_INLINE inline __attribute__((always_inline))

/* frame: of an event whose stack is wanted, else NULL. */
static ALWAYS_INLINE void record_single(const struct bscope_site *site, uint64_t id, int coarse,
					const struct bs_frame *frame)
{
	struct bscope_buffer *b = mine();
	uint64_t number;

	if (unlikely(!b))
		return;
	number = reserve(b, 1);
	if (frame)
		take_stack(site, b, number, frame);
	commit(b, number, head_time(b, coarse) | site_number(site), id);
	if (unlikely(ends_half(number + 1)))
		batch(b, number + 1);
}

static inline void commit_second(struct bscope_buffer *b, uint64_t number, uint64_t a1, uint64_t a2)
{
	commit(b, number,
	       a2 << BSCOPE_SLOT_TIME_SHIFT | BSCOPE_SLOT_EXTRA |
		       (a2 >> BSCOPE_SLOT_TIME_BITS & BSCOPE_SLOT_INDEX_MASK),
	       a1);
}

static ALWAYS_INLINE void record_pair(const struct bscope_site *site, uint64_t id, uint64_t a1,
				      uint64_t a2, int coarse, const struct bs_frame *frame)
{
	struct bscope_buffer *b = mine();
	uint64_t number, time;

	if (unlikely(!b))
		return;
	number = reserve(b, 2);
	if (unlikely(ends_half(number + 1)))
		number = reserve_anew(b, number, 2);
	/* At once: who dies in between has two events that are lost, instead of one. */
	add(&b->extra, 1);
	if (frame)
		take_stack(site, b, number, frame);
	time = head_time(b, coarse);
	commit_second(b, number + 1, a1, a2);
	commit(b, number, time | site_number(site), id);
	if (unlikely(ends_half(number + 2)))
		batch(b, number + 2);
}

/* --- sampling --------------------------------------------------------------------------------- */

/* What is to be recorded of a mark. */
#define MARK   1
#define FORGET 2 /* that its object is not followed to its end */

/* Does an object begin by this mark, as far as gaps are concerned? */
static inline int counts(const struct bscope_site *site)
{
	return site->kind == BSCOPE_KIND_NEW || (site->kind == BSCOPE_KIND_RESIZE_END &&
						 bs_control.follow_flags & BSCOPE_FOLLOW_BYTES);
}

/* Of a site with one operand the others are the program's registers. */
static inline uint64_t bytes_of(const struct bscope_site *site, uint64_t a1)
{
	return site->nargs > 1 ? a1 : 0;
}

/* An object begins, and is followed if chosen: what is to be recorded. */
static inline int begin(struct bscope_follow *t, uint64_t *entry, uint64_t hash, int chosen)
{
	/* Another one is alive, as far as we know: its end went unmarked. */
	if (!chosen)
		return entry && follow_alive(entry, hash) ? FORGET : 0;
	if (entry && follow_revive(entry, hash))
		return MARK;
	return follow_add(t, hash) ? MARK : MARK | FORGET;
}

static inline int resize_end(struct bscope_follow *t, uint64_t *entry, uint64_t hash,
			     struct bscope_buffer *b, int chosen)
{
	int followed = b->resizing & 1;

	b->resizing >>= 1;
	if (!(bs_control.follow_flags & BSCOPE_FOLLOW_BYTES))
		chosen = followed;
	if (!followed || chosen)
		return begin(t, entry, hash, chosen);
	return MARK | FORGET;
}

/*
 * What is to be recorded of this mark?  What begins by it is in the table then, if it was chosen.
 */
static inline int followed(struct bscope_follow *t, const struct bscope_site *site,
			   struct bscope_buffer *b, uint64_t *entry, uint64_t hash, int chosen)
{
	switch (site->kind) {
	case BSCOPE_KIND_NEW:
		return begin(t, entry, hash, chosen);
	case BSCOPE_KIND_RESIZE_END:
		return resize_end(t, entry, hash, b, chosen);
	case BSCOPE_KIND_REGION_ENTER:
	case BSCOPE_KIND_REGION_EXIT:
		return MARK;
	default:
		return entry ? MARK : 0;
	}
}

/*
 * What ends by this mark, of which that has been recorded.  In this order: a handler that jumps
 * away in between leaves an entry of an object that has ended, which does no harm.  The other way
 * round nobody would ever be told of its end.
 */
static inline void ended(struct bscope_follow *t, const struct bscope_site *site,
			 struct bscope_buffer *b, uint64_t *entry, uint64_t hash, int what)
{
	switch (site->kind) {
	case BSCOPE_KIND_NEW:
	case BSCOPE_KIND_RESIZE_END:
		if (entry && what != MARK)
			follow_remove(t, entry, hash);
		break;
	case BSCOPE_KIND_DROP:
		if (entry)
			follow_drop(entry, hash);
		break;
	case BSCOPE_KIND_RESIZE_BEGIN:
		/* Meanwhile the id may be given to another object. */
		b->resizing = b->resizing << 1 | (entry && follow_drop(entry, hash));
		break;
	default:
		break;
	}
}

/*
 * That an object is not followed from here on: the slot that is left empty names it, the other one
 * the site.  mark: after this mark, whose slots are reserved together with these: a handler that
 * jumps away leaves all of it behind, or a hole, which readers see.
 */
static inline BS_RECORD_PATH void record_forgotten(struct bscope_buffer *b,
						   const struct bscope_site *site, uint64_t id,
						   uint64_t a1, uint64_t a2, int mark, int coarse,
						   const struct bs_frame *frame)
{
	uint64_t two = site->nargs > 1, own = mark ? 1 + two : 0, number = reserve(b, own + 2);
	uint64_t time;

	if (unlikely(is_split(number, own + 2)))
		number = reserve_anew(b, number, own + 2);
	add(&b->extra, mark ? two + 2 : 2);
	if (mark && frame)
		take_stack(site, b, number, frame);
	time = head_time(b, coarse);
	commit_second(b, number + own + 1, site_number(site), 0);
	commit(b, number + own, time, id);
	if (mark && two)
		commit_second(b, number + 1, a1, a2);
	if (mark)
		commit(b, number, time | site_number(site), id);
	if (unlikely(ends_half(number + own + 2)))
		batch(b, number + own + 2);
}

static ALWAYS_INLINE void mark_sampled(const struct bscope_site *site, uint64_t id, uint64_t a1,
				       uint64_t a2, int chosen, const struct bs_frame *frame)
{
	struct bscope_follow *t = (struct bscope_follow *)(uintptr_t)bs_control.table;
	uint64_t hash = follow_hash(site->index, id), *entry = follow_find(t, hash);
	struct bscope_buffer *b = mine();
	int what, coarse = bs_control.follow & BSCOPE_STAMP_COARSE;

	if (!b)
		return;
	what = followed(t, site, b, entry, hash, chosen);
	if (what & FORGET)
		record_forgotten(b, site, id, a1, a2, what & MARK, coarse, frame);
	else if (what & MARK && site->nargs > 1)
		record_pair(site, id, a1, a2, coarse, frame);
	else if (what & MARK)
		record_single(site, id, coarse, frame);
	ended(t, site, b, entry, hash, what);
}

/* Marks of objects that are followed, or may be from here on. */
static BS_ANYWHERE __attribute__((noinline)) void
sampled(const struct bscope_site *site, uint64_t id, uint64_t a1, uint64_t a2, int chosen)
{
	mark_sampled(site, id, a1, a2, chosen, 0);
}

static BS_ANYWHERE __attribute__((noinline)) int
begins_in_block(struct bscope_buffer *b, const struct bscope_site *site, uint64_t a2)
{
	return follow_block(b, BSCOPE_STRATUM(site_number(site), site->nargs > 2 ? a2 : 0));
}

/* An object begins by this mark, and is counted: is it chosen? */
static inline int begins(struct bscope_buffer *b, const struct bscope_site *site, uint64_t a1,
			 uint64_t a2)
{
	if (follow_by_blocks())
		return begins_in_block(b, site, a2);
	return follow_chosen(b, follow_size(bytes_of(site, a1)));
}

/* What a mark may be of: an object that is not followed, one that may be, one that is from now on.
 */
enum { OTHERS, PERHAPS, CHOSEN };

/*
 * The thread's first such mark since a tool has changed what it asks for.  OTHERS: it has no
 * buffer.
 */
static BS_ANYWHERE __attribute__((noinline)) int first(const struct bscope_site *site, uint64_t a1,
						       uint64_t a2)
{
	struct bscope_buffer *b = mine();

	if (!b)
		return OTHERS;
	if (b->epoch != bs_control.follow_epoch)
		follow_begin(b);
	return counts(site) && begins(b, site, a1, a2) ? CHOSEN : PERHAPS;
}

/*
 * Most objects are not chosen, and then most marks are done here: they are counted, and that is
 * all.  Is this another one?
 */
static ALWAYS_INLINE int may_be_followed(const struct bscope_site *site, uint64_t id, uint64_t a1,
					 uint64_t a2)
{
	struct bscope_follow *t = (struct bscope_follow *)(uintptr_t)bs_control.table;
	int unknown = !*follow_filter(t, follow_hash(site->index, id));
	struct bscope_buffer *b = bs_current;

	/* With an epoch it is this thread's, or was; others' gaps and blocks do as well. */
	if (unlikely(b->epoch != bs_control.follow_epoch))
		return first(site, a1, a2);
	if (counts(site) && unlikely(begins(b, site, a1, a2)))
		return CHOSEN;
	if (site->kind == BSCOPE_KIND_NEW && likely(unknown))
		return OTHERS;
	if (site->kind == BSCOPE_KIND_RESIZE_BEGIN && likely(unknown)) {
		b->resizing <<= 1;
		return OTHERS;
	}
	if (site->kind == BSCOPE_KIND_RESIZE_END && likely(unknown && !(b->resizing & 1))) {
		b->resizing >>= 1;
		return OTHERS;
	}
	return PERHAPS;
}

/* Kinds that the entries do not decide. */
void bs_sampled(const struct bscope_site *site, uint64_t id, uint64_t a1, uint64_t a2)
{
	int who = may_be_followed(site, id, a1, a2);

	if (who != OTHERS)
		sampled(site, id, a1, a2, who == CHOSEN);
}

/* --- with stacks ------------------------------------------------------------------------------ */

void bs_marked(const struct bscope_site *site, uint64_t id, uint64_t a1, uint64_t a2,
	       const struct bs_frame *frame)
{
	int coarse = bs_control.follow & BSCOPE_STAMP_COARSE, who;

	if (!(bs_control.stacks >> site->kind & 1))
		frame = 0;
	if (bs_control.follow & BSCOPE_FOLLOW_CHOSEN) {
		who = may_be_followed(site, id, a1, a2);
		if (who != OTHERS)
			mark_sampled(site, id, a1, a2, who == CHOSEN, frame);
	} else if (site->nargs > 1) {
		record_pair(site, id, a1, a2, coarse, frame);
	} else {
		record_single(site, id, coarse, frame);
	}
}

/* --- without sampling ------------------------------------------------------------------------- */

void bs_record1(const struct bscope_site *site, uint64_t id)
{
	record_single(site, id, 0, 0);
}

void bs_record2(const struct bscope_site *site, uint64_t id, uint64_t a1)
{
	record_pair(site, id, a1, 0, 0, 0);
}

void bs_record3(const struct bscope_site *site, uint64_t id, uint64_t a1, uint64_t a2)
{
	record_pair(site, id, a1, a2, 0, 0);
}

void bs_coarse1(const struct bscope_site *site, uint64_t id)
{
	record_single(site, id, 1, 0);
}

void bs_coarse2(const struct bscope_site *site, uint64_t id, uint64_t a1)
{
	record_pair(site, id, a1, 0, 1, 0);
}

void bs_coarse3(const struct bscope_site *site, uint64_t id, uint64_t a1, uint64_t a2)
{
	record_pair(site, id, a1, a2, 1, 0);
}

BS_PUBLIC void bscope_flush(void)
{
	struct bscope_buffer *b = bs_current;

	/* At the end of a half it has been sent. */
	if (b->owner == thread_pointer() && !ends_half(b->next))
		batch(b, b->next);
}

#else /* no stub records */

BS_PUBLIC void bscope_flush(void)
{
}

#endif
