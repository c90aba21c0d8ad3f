/* SPDX-License-Identifier: MIT */
/*
 * record.c - the entries that the stubs of lit sites call, in the middle of any function of the
 * program and of its signal handlers.
 *
 * Contract of all three: they preserve every register, those of vectors too, but the flags and
 * the registers of their own arguments, which the stub has saved; they assume nothing about the
 * alignment of the stack; they call nothing, lock nothing and make no system call.  Compiled with
 * -mgeneral-regs-only and without LTO, so that the attribute below can keep that promise.
 *
 * Version 0.1 has no buffers yet: the marks of lit sites travel by their USDT probe (trap mode),
 * and what comes here anyway is counted and dropped.
 *
 * On arm64 compilers ignore the attribute, and no stub refers to these functions there; an
 * assembly shim that saves x0-x18, x30 and the flags belongs in front of them.
 */
#include <bscope/abi.h>
#include <bscope/control.h>

#define BS_PUBLIC __attribute__((visibility("default")))

#if defined(__x86_64__)
#define BS_ENTRY BS_PUBLIC __attribute__((no_caller_saved_registers))
#else
#define BS_ENTRY BS_PUBLIC
#endif

BS_ENTRY void bscope_record(const struct bscope_site *site, uint64_t id);
BS_ENTRY void bscope_record2(const struct bscope_site *site, uint64_t id, uint64_t a1);
BS_ENTRY void bscope_record3(const struct bscope_site *site, uint64_t id, uint64_t a1, uint64_t a2);

BS_PUBLIC struct bscope_control bscope_control = {
	.abi = BSCOPE_CONTROL_ABI,
	.size = sizeof(struct bscope_control),
};

/* One instruction, so that a signal handler on the same thread loses nothing. */
static inline void count_unrecorded(void)
{
#if defined(__x86_64__)
	__asm__ __volatile__("addq $1,%0" : "+m"(bscope_control.unrecorded) : : "cc");
#else
	bscope_control.unrecorded++;
#endif
}

void bscope_record(const struct bscope_site *site, uint64_t id)
{
	(void)site;
	(void)id;
	count_unrecorded();
}

void bscope_record2(const struct bscope_site *site, uint64_t id, uint64_t a1)
{
	(void)site;
	(void)id;
	(void)a1;
	count_unrecorded();
}

void bscope_record3(const struct bscope_site *site, uint64_t id, uint64_t a1, uint64_t a2)
{
	(void)site;
	(void)id;
	(void)a1;
	(void)a2;
	count_unrecorded();
}
