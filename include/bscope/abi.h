/* SPDX-License-Identifier: MIT */
/*
 * abi.h - what the traced program, the BPF programs and the tools agree on: mark kinds and
 * the site record.
 *
 * Plain constants and structs only, so that it can be included from C, C++ and BPF code.
 * Every value here is stored in binaries that stay in production for years: a number, once
 * given, is never reused; retired ones stay as holes.
 */
#ifndef BSCOPE_ABI_H
#define BSCOPE_ABI_H

/*
 * Version of the site record.  It is stored in every record, so that a tool can tell a
 * record it does not understand from a damaged one.
 */
#define BSCOPE_ABI_VERSION 1

/*
 * ELF section of the site records.  The name is a C identifier on purpose: linkers then
 * offer __start_bscope_sites and __stop_bscope_sites to the program itself.
 */
#define BSCOPE_SITE_SECTION "bscope_sites"

/* USDT provider of every site; the probe's name is the spelling of its kind. */
#define BSCOPE_PROVIDER "bscope"

/* What a mark says.  The values are stored; 0 is never used. */
enum bscope_kind {
	BSCOPE_KIND_NEW = 1,
	BSCOPE_KIND_DROP = 2,
	BSCOPE_KIND_RESIZE_BEGIN = 3,
	BSCOPE_KIND_RESIZE_END = 4,
	BSCOPE_KIND_MOVE = 5,
	BSCOPE_KIND_BORROW = 6,
	BSCOPE_KIND_BORROW_MUT = 7,
	BSCOPE_KIND_UNBORROW = 8,
	BSCOPE_KIND_RETAIN = 9,
	BSCOPE_KIND_RELEASE = 10,
	BSCOPE_KIND_USE = 11,
	BSCOPE_KIND_REGION_ENTER = 12,
	BSCOPE_KIND_REGION_EXIT = 13,
	BSCOPE_KIND_END = 14, /* one past the last; not stored */
};

/*
 * What the operands of a mark are.  Operand 0 is always the object's id.  The others:
 *
 *   new          1: size in bytes if SITE_SIZED, else the constant 0   2: caller if SITE_CALLER
 *   resize_end   1: size in bytes                                      2: caller if SITE_CALLER
 *   drop         none; 1: see SITE_TRIES, else 0                       2: caller if SITE_CALLER
 *   move         1: the new owner
 *   borrow, borrow_mut                   1: by whom                    2: caller if SITE_CALLER
 *   unborrow, use                        1: by whom
 *   all others   none
 */
#define BSCOPE_MAX_ARGS 3

/* struct bscope_site.flags */
#define BSCOPE_SITE_SIZED  0x01u /* operand 1 is the object's size in bytes */
#define BSCOPE_SITE_CALLER 0x02u /* operand 2 is a return address: the code that asked */
/*
 * drop: whether there is anything to be dropped turns out when it is tried.  Operand 1 is 0 in the
 * mark before it, and 1 in a second one after it, made where nothing was there.  The ids of the
 * class are then the kernel's: numbers that a vfork child has for itself.
 */
#define BSCOPE_SITE_TRIES 0x04u
/*
 * borrow, borrow_mut: of a lock, for which the thread has waited.  That makes locks of all objects
 * of the class: who holds one while it waits for another is remembered, and what begins without a
 * new is none that was dropped before (there are static initialisers).
 */
#define BSCOPE_SITE_WAITS 0x08u

/*
 * struct bscope_site.index, which a tool writes: bits 11 to 30 the number of the site; bits 0 to 10
 * that of its class, its low bits; bit 31 of kinds whose marks matter though nobody follows their
 * object (follow.h): new, resize_begin, resize_end, region_enter, region_exit.
 */
#define BSCOPE_INDEX_SITE_SHIFT 11
#define BSCOPE_INDEX_KLASSES	(1u << BSCOPE_INDEX_SITE_SHIFT)
#define BSCOPE_INDEX_ALWAYS	(1u << 31)
#define BSCOPE_INDEX_KINDS                                                                       \
	(1u << BSCOPE_KIND_NEW | 1u << BSCOPE_KIND_RESIZE_BEGIN | 1u << BSCOPE_KIND_RESIZE_END | \
	 1u << BSCOPE_KIND_REGION_ENTER | 1u << BSCOPE_KIND_REGION_EXIT)
#define BSCOPE_INDEX(number, klass, kind)                                                         \
	((uint32_t)(number) << BSCOPE_INDEX_SITE_SHIFT | ((klass) & (BSCOPE_INDEX_KLASSES - 1)) | \
	 (BSCOPE_INDEX_KINDS >> (kind)&1 ? BSCOPE_INDEX_ALWAYS : 0))
/* One that no tool has numbered. */
#define BSCOPE_SITE_NO_INDEX 0u

#if !defined(__bpf__)
#include <stdint.h>

/*
 * One site, as the assembler lays it down in BSCOPE_SITE_SECTION.  32 bytes, aligned to 4,
 * no relocations at run time: each offset is relative to the address of its own member,
 * so that target = (char *)&member + member.
 *
 * Tools read records from ELF files as untrusted input.
 */
struct bscope_site {
	int32_t probe; /* the one-byte nop; .note.stapsdt names the same address */
	int32_t stub;  /* the cold stub that the switch (probe + 1) is patched to jump to */
	int32_t klass; /* class, NUL-terminated: "conn" */
	int32_t name;  /* the object as it is written in the source: "c->next" */
	int32_t file;  /* __FILE__ */
	uint32_t line; /* __LINE__ */
	uint8_t kind;  /* enum bscope_kind */
	uint8_t nargs; /* operands that say something: 1 to BSCOPE_MAX_ARGS */
	uint8_t flags; /* BSCOPE_SITE_* */
	uint8_t abi;   /* BSCOPE_ABI_VERSION */
	uint32_t
		index; /* written by the tool that lights the site; BSCOPE_SITE_NO_INDEX in files */
};

#if defined(__cplusplus) && __cplusplus >= 201103L
static_assert(sizeof(struct bscope_site) == 32, "the site record is 32 bytes");
#elif defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
_Static_assert(sizeof(struct bscope_site) == 32, "the site record is 32 bytes");
#endif
#endif /* !__bpf__ */

#endif /* BSCOPE_ABI_H */
