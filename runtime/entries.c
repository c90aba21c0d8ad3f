/* SPDX-License-Identifier: MIT */
/*
 * entries.c - what the stubs of lit sites call: decides which way an event goes, before any
 * register is saved, since the ways need different ones.
 *
 * With sampling nearly all marks are of objects that are not followed, and end here.  What is done
 * here bs_sampled (record.c) could do as well, in more time: whatever is not the usual case goes
 * there, with nothing changed.
 *
 * The contract of the entries is said in record.c.
 */
#include <stddef.h>

#include "runtime/follow.h"
#include "runtime/runtime.h"

#if defined(__x86_64__)

#define OFFSET(type, member) [member] "i"(offsetof(struct type, member))

/*
 * The arguments are in rdi (the site), rsi (id), rdx and rcx, as far as there are any; the others
 * belong to the program.  follow_filter says that the object may be followed: bs_sampled.  If not,
 * and the kind is not one of BSCOPE_INDEX_KINDS, that was all.
 * Whose buffer it is need not be looked at: with an epoch it is this thread's, or was.
 * new: counts its object, as follow_size says, unless that is the last one of its gap; by blocks,
 * unless it is the one that is followed.  A handler that has come in between may have made it that
 * one after the look, or have emptied all blocks: then it is counted back, and bs_sampled decides.
 * resize_begin, resize_end: keep the book of resizes.
 * bytes: what to do for a new when gaps are in bytes; an object without a size counts for one.
 * stratum: makes rax the stratum of a new (BSCOPE_STRATUM).
 */
#define RESTORE         \
	"pop %%rcx\n\t" \
	"pop %%rax\n\t"
#define RETURN RESTORE "ret\n"
#define ENTRY(way, bytes, stratum)                                                                 \
	__asm__("cmpl $0,bs_control+%c[follow](%%rip)\n\t"                                         \
		"je bs_record" way "\n\t"                                                          \
		"testb %[chosen],bs_control+%c[follow](%%rip)\n\t"                                 \
		"je 8f\n\t"                                                                        \
		"push %%rax\n\t"                                                                   \
		"push %%rcx\n\t"                                                                   \
		"mov %c[index](%%rdi),%%eax\n\t"                                                   \
		"shl %[klass],%%rax\n\t"                                                           \
		"xor %%rsi,%%rax\n\t"                                                              \
		"movabs %[factor],%%rcx\n\t"                                                       \
		"imul %%rcx,%%rax\n\t"                                                             \
		"mov bs_control+%c[table](%%rip),%%rcx\n\t"                                        \
		"shr %[bits],%%rax\n\t"                                                            \
		"cmpb $0,%c[filter](%%rcx,%%rax)\n\t"                                              \
		"jne 9f\n\t"                                                                       \
		"cmpl $0,%c[index](%%rdi)\n\t" /* BSCOPE_INDEX_ALWAYS */                           \
		"js 2f\n\t" RETURN "2:\tmov bs_current@gottpoff(%%rip),%%rcx\n\t"                  \
		"mov %%fs:(%%rcx),%%rcx\n\t"                                                       \
		"mov bs_control+%c[follow_epoch](%%rip),%%eax\n\t"                                 \
		"cmp %%eax,%c[epoch](%%rcx)\n\t"                                                   \
		"jne 9f\n\t"                                                                       \
		"cmpb %[new],%c[kind](%%rdi)\n\t"                                                  \
		"jne 4f\n\t"                                                                       \
		"testb %[in_blocks],bs_control+%c[follow_flags](%%rip)\n\t"                        \
		"jne 7f\n\t"                                                                       \
		"testb %[in_bytes],bs_control+%c[follow_flags](%%rip)\n\t"                         \
		"jne 6f\n\t"                                                                       \
		"mov %c[gap](%%rcx),%%rax\n\t"                                                     \
		"sub bs_control+%c[follow_base](%%rip),%%rax\n\t"                                  \
		"jle 9f\n\t"                                                                       \
		"mov %%rax,%c[gap](%%rcx)\n\t" RETURN                                              \
		"4:\tcmpb %[resize_begin],%c[kind](%%rdi)\n\t"                                     \
		"jne 5f\n\t"                                                                       \
		"shlq %c[resizing](%%rcx)\n\t" RETURN "5:\tcmpb %[resize_end],%c[kind](%%rdi)\n\t" \
		"jne 9f\n\t"                                                                       \
		"testb $1,%c[resizing](%%rcx)\n\t"                                                 \
		"jne 9f\n\t"                                                                       \
		"testb %[in_bytes],bs_control+%c[follow_flags](%%rip)\n\t"                         \
		"jne 9f\n\t"                                                                       \
		"shrq %c[resizing](%%rcx)\n\t" RETURN "7:\t" stratum                               \
		"cmpl $1,%c[blocks](%%rcx,%%rax,8)\n\t"                                            \
		"jbe 9f\n\t"                                                                       \
		"subl $1,%c[blocks](%%rcx,%%rax,8)\n\t"                                            \
		"jbe 3f\n\t" RETURN "3:\taddl $1,%c[blocks](%%rcx,%%rax,8)\n\t"                    \
		"jmp 9f\n\t"                                                                       \
		"6:\t" bytes "9:\t" RESTORE "testb %[stacks],bs_control+%c[follow](%%rip)\n\t"     \
		"je bs_sampled\n\t"                                                                \
		"jmp bs_stacked\n"                                                                 \
		"8:\ttestb %[stacks],bs_control+%c[follow](%%rip)\n\t"                             \
		"je bs_coarse" way "\n\t"                                                          \
		"jmp bs_stacked"                                                                   \
		:                                                                                  \
		: OFFSET(bscope_control, follow), OFFSET(bscope_control, table),                   \
		  OFFSET(bscope_control, follow_epoch), OFFSET(bscope_control, follow_base),       \
		  OFFSET(bscope_control, follow_flags), OFFSET(bscope_site, index),                \
		  OFFSET(bscope_site, kind), OFFSET(bscope_follow, filter),                        \
		  OFFSET(bscope_buffer, epoch), OFFSET(bscope_buffer, gap),                        \
		  OFFSET(bscope_buffer, resizing),                                                 \
		  OFFSET(bscope_buffer, blocks), [klass] "i"(64 - BSCOPE_INDEX_SITE_SHIFT),        \
		  [bits] "i"(64 - BSCOPE_FOLLOW_FILTER_BITS), [factor] "i"(BSCOPE_FOLLOW_FACTOR),  \
		  [new] "i"(BSCOPE_KIND_NEW), [resize_begin] "i"(BSCOPE_KIND_RESIZE_BEGIN),        \
		  [resize_end] "i"(BSCOPE_KIND_RESIZE_END),                                        \
		  [unit_bits] "i"(BSCOPE_FOLLOW_UNIT_BITS), [size_bits] "i"(FOLLOW_BYTES_BITS),    \
		  [in_bytes] "i"(BSCOPE_FOLLOW_BYTES), [in_blocks] "i"(BSCOPE_FOLLOW_BLOCKS),      \
		  [site] "i"(BSCOPE_INDEX_SITE_SHIFT), [chosen] "i"(BSCOPE_FOLLOW_CHOSEN),         \
		  [stacks] "i"(BSCOPE_STACKS))

/* Without a size an object counts for one byte. */
#define NO_BYTES "mov $1,%%eax\n\t" COUNT_RAX
/* From 1 to the greatest that counts. */
#define BYTES_IN_RDX                 \
	"lea -1(%%rdx),%%rax\n\t"    \
	"shr %[size_bits],%%rax\n\t" \
	"jne 9f\n\t"                 \
	"mov %%rdx,%%rax\n\t" COUNT_RAX
#define COUNT_RAX                                         \
	"shl %[unit_bits],%%rax\n\t"                      \
	"add bs_control+%c[follow_base](%%rip),%%rax\n\t" \
	"neg %%rax\n\t"                                   \
	"add %c[gap](%%rcx),%%rax\n\t"                    \
	"jle 9f\n\t"                                      \
	"mov %%rax,%c[gap](%%rcx)\n\t" RETURN

/* The lowest bits of the number of the site; of the caller, which RESTORE would bring back. */
#define STRATUM_HERE                     \
	"mov %c[index](%%rdi),%%eax\n\t" \
	"shr %[site],%%eax\n\t"          \
	"movzbl %%al,%%eax\n\t"
#define STRATUM_OF_CALLER                \
	"mov (%%rsp),%%rax\n\t"          \
	"shr $4,%%eax\n\t"               \
	"xor (%%rsp),%%eax\n\t"          \
	"shl %[site],%%eax\n\t"          \
	"xor %c[index](%%rdi),%%eax\n\t" \
	"shr %[site],%%eax\n\t"          \
	"movzbl %%al,%%eax\n\t"
_Static_assert(BSCOPE_STRATA == 256, "a byte");

#define SITE __attribute__((unused)) const struct bscope_site *site
#define ARG  __attribute__((unused)) uint64_t

__attribute__((naked)) void bscope_record(SITE, ARG id)
{
	ENTRY("1", NO_BYTES, STRATUM_HERE);
}

__attribute__((naked)) void bscope_record2(SITE, ARG id, ARG a1)
{
	ENTRY("2", BYTES_IN_RDX, STRATUM_HERE);
}

__attribute__((naked)) void bscope_record3(SITE, ARG id, ARG a1, ARG a2)
{
	ENTRY("3", BYTES_IN_RDX, STRATUM_OF_CALLER);
}

/*
 * Where stacks are wanted.  The registers of which the compiler may make use are laid down as a
 * struct bs_frame, whose address is the fifth argument.
 */
_Static_assert(sizeof(struct bs_frame) == 48, "what is pushed here");
__attribute__((naked, used)) static BS_RECORD_PATH void bs_stacked(void)
{
	__asm__("push %rbx\n\t"
		"push %rbp\n\t"
		"push %r12\n\t"
		"push %r13\n\t"
		"push %r14\n\t"
		"push %r15\n\t"
		"push %r8\n\t"
		"lea 8(%rsp),%r8\n\t"
		"call bs_marked\n\t"
		"pop %r8\n\t"
		"lea 48(%rsp),%rsp\n\t"
		"ret");
}

#else /* no stub calls these */

static void unrecorded(void)
{
	__atomic_fetch_add(&bs_control.unrecorded, 1, __ATOMIC_RELAXED);
}

void bscope_record(const struct bscope_site *site, uint64_t id)
{
	(void)site;
	(void)id;
	unrecorded();
}

void bscope_record2(const struct bscope_site *site, uint64_t id, uint64_t a1)
{
	(void)site;
	(void)id;
	(void)a1;
	unrecorded();
}

void bscope_record3(const struct bscope_site *site, uint64_t id, uint64_t a1, uint64_t a2)
{
	(void)site;
	(void)id;
	(void)a1;
	(void)a2;
	unrecorded();
}

#endif
