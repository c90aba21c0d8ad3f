/* SPDX-License-Identifier: MIT */
/*
 * site.h - one site: the place in a program where a mark stands, and everything a tool needs to
 * find it, read it and switch it on.
 *
 * Programs include <bscope/bscope.h>, whose macros are built from the four below.  Libraries
 * that make marks of their own kind of object (an allocator, a preload library) may use these
 * directly:
 *
 *   BSCOPE_SITE1(kind, spelling, flags, klass, name, id)
 *   BSCOPE_SITE2(kind, spelling, flags, klass, name, id, a1)
 *   BSCOPE_SITE3(kind, spelling, flags, klass, name, id, a1, a2)
 *   BSCOPE_SITE1_NEW(klass, name, id)      a new whose size is not said
 *
 *   kind        enum bscope_kind of abi.h
 *   spelling    the same as a string literal, "resize_end": the name of the USDT probe
 *   flags       BSCOPE_SITE_* of abi.h, or 0
 *   klass       class of the object, a string literal
 *   name        the object as the source calls it, a string literal
 *   id, a1, a2  operands: pointers (to functions too), arrays, integers, enums; abi.h says what
 *               they mean for each kind
 *
 * Each is one asm statement without its semicolon.  Operands are evaluated once; with
 * BSCOPE_DISABLE, or where there are no sites, not at all.
 *
 * What stands in the code on x86-64:
 *
 *   990:  90                  nop     the USDT probe: .note.stapsdt and the record name it
 *   991:  66 0f 1f 44 00 00   nopw    the switch: a tool writes "jmp stub" over its first 5 bytes
 *
 * and, in other sections: the note, the record (struct bscope_site) and the stub.  The macros
 * that may be defined before the first #include:
 *
 *   BSCOPE_DISABLE      no sites at all
 *   BSCOPE_NO_RUNTIME   sites without a stub, which need no libbscope: only trap mode sees them
 *   BSCOPE_ALIGNED      no site crosses a page, where a tool cannot write its jump: before three
 *                       of eight there is another nop, of up to six bytes
 */
#ifndef BSCOPE_SITE_H
#define BSCOPE_SITE_H

#include <bscope/abi.h>

/*
 * Sites are written for ELF and compilers that speak GNU.  Position-independent code for 32-bit
 * x86 has no way to name a string in an asm statement.
 */
#if defined(BSCOPE_DISABLE) || !defined(__ELF__) || !defined(__linux__) || !defined(__GNUC__) || \
	(defined(__i386__) && defined(__PIC__))
#define BSCOPE_HAS_SITES 0
#else
#define BSCOPE_HAS_SITES 1
#endif

/* An operand as a machine word.  C++ gets the functional form, which -Wold-style-cast lets be. */
typedef __UINTPTR_TYPE__ bscope_word;
#ifdef __cplusplus
#define BSCOPE_WORD(x) bscope_word(x)
#else
#define BSCOPE_WORD(x) ((bscope_word)(x))
#endif

#if BSCOPE_HAS_SITES

/*
 * Raised while a tracer is attached to sites of this binary, by the kernel, which lowers it
 * even when the tracer dies.  One for all sites of an executable or library.  The asm gets it
 * as an operand, so that link-time optimisation may rename it.
 */
#ifdef __cplusplus
extern "C" {
#endif
extern volatile unsigned short bscope_semaphore;
__attribute__((__weak__, __visibility__("hidden"),
	       __section__(".probes"))) volatile unsigned short bscope_semaphore = 0;
#ifdef __cplusplus
}
#endif

/*
 * asm inline: without it gcc takes the size of the site from the lines of the template, and
 * no longer inlines the function around it.
 */
#if defined(__clang__) ? __clang_major__ >= 11 : __GNUC__ >= 9
#define BSCOPE_ASM __asm__ __volatile__ __inline__
#else
#define BSCOPE_ASM __asm__ __volatile__
#endif

#if defined(__LP64__)
#define BSCOPE_ASM_ADDR ".8byte"
#define BSCOPE_ASM_SIZE "8@"
#else
#define BSCOPE_ASM_ADDR ".4byte"
#define BSCOPE_ASM_SIZE "4@"
#endif

/* A relocation that changes nothing: linkers keep `what` as long as they keep `where`. */
#if defined(__x86_64__)
#define BSCOPE_ASM_TIE(where, what) "\t.reloc " where ",R_X86_64_NONE," what "\n"
#elif defined(__aarch64__)
#define BSCOPE_ASM_TIE(where, what) "\t.reloc " where ",R_AARCH64_NONE," what "\n"
#elif defined(__i386__)
#define BSCOPE_ASM_TIE(where, what) "\t.reloc " where ",R_386_NONE," what "\n"
#else
#define BSCOPE_ASM_TIE(where, what)
#endif

#if defined(__x86_64__) && defined(__LP64__)

/*
 * The switch is a nop of 6 bytes because tracers and the kernel look for nops of 5 and 10 behind
 * a probe and rewrite them: nobody else's attaches here.  It stands there without a stub too
 * (BSCOPE_NO_RUNTIME), so that no alignment nop of the compiler's follows the probe.
 *
 * The .reloc ties the code to its record: functions that differ in their sites alone are not
 * folded into one by --icf, and --gc-sections keeps the records of what it keeps.
 *
 * Within 16 bytes there is no border of a page; functions mostly are aligned to as many anyway.
 *
 * Intel syntax would misread all of this; it is refused with a message.
 */
#ifdef BSCOPE_ALIGNED
#define BSCOPE_ASM_ALIGN "\t.p2align 4,,6\n"
#else
#define BSCOPE_ASM_ALIGN
#endif
#define BSCOPE_ASM_CODE                                                                                        \
	"{|.error \"bscope: sites need AT&T syntax; build this file without -masm=intel\"\n}" BSCOPE_ASM_ALIGN \
	"990:\tnop\n"                                                                                          \
	"991:\t.byte 0x66,0x0f,0x1f,0x44,0,0\n" BSCOPE_ASM_TIE("990b", "998f")

/*
 * Numbers, or a register that is not rsp.  Allowing memory makes clang spill; allowing rsp gives
 * a wrong value, because the stub has moved it.
 */
#define BSCOPE_ASM_IN "nl"

#ifndef BSCOPE_NO_RUNTIME
/*
 * The stub: steps over the red zone, saves what it uses, passes the record and the operands,
 * and comes back behind the switch.  It touches no flags.  Operands may sit in any register,
 * those of the arguments too: each is read while all registers are as the program left them, or
 * restored, and kept on the stack until all are read.  Constants of 64 bits go through mov,
 * since push takes 32.  The call goes through the GOT: a lazy PLT would resolve it with the
 * program's registers live.
 */
#define BSCOPE_ASM_STUB_REF "999f-."
#define BSCOPE_ASM_STUB(body)                                            \
	"\t.pushsection .text.bscope,\"ax?\",\"progbits\"\n"             \
	"999:\tlea -128(%%rsp),%%rsp\n"                                  \
	"\tpush %%rdi\n\tpush %%rsi\n" body "\tpop %%rsi\n\tpop %%rdi\n" \
	"\tlea 128(%%rsp),%%rsp\n"                                       \
	"\tjmp 991b+6\n"                                                 \
	"\t.popsection\n"
#define BSCOPE_ASM_CALL(entry)      \
	"\tlea 998b(%%rip),%%rdi\n" \
	"\tcall *" entry "@GOTPCREL(%%rip)\n"
#define BSCOPE_ASM_STUB1 \
	BSCOPE_ASM_STUB("\tmov %[bscope_0],%%rsi\n" BSCOPE_ASM_CALL("bscope_record"))
#define BSCOPE_ASM_STUB2                                                                 \
	BSCOPE_ASM_STUB("\tpush %%rdx\n"                                                 \
			"\tmov %[bscope_0],%%rdi\n\tpush %%rdi\n\tmov 24(%%rsp),%%rdi\n" \
			"\tmov %[bscope_1],%%rdx\n\tpop %%rsi\n" BSCOPE_ASM_CALL(        \
				"bscope_record2") "\tpop %%rdx\n")
#define BSCOPE_ASM_STUB3                                                                       \
	BSCOPE_ASM_STUB("\tpush %%rdx\n\tpush %%rcx\n"                                         \
			"\tmov %[bscope_0],%%rdi\n\tpush %%rdi\n\tmov 32(%%rsp),%%rdi\n"       \
			"\tmov %[bscope_1],%%rdi\n\tpush %%rdi\n\tmov 40(%%rsp),%%rdi\n"       \
			"\tmov %[bscope_2],%%rcx\n\tpop %%rdx\n\tpop %%rsi\n" BSCOPE_ASM_CALL( \
				"bscope_record3") "\tpop %%rcx\n\tpop %%rdx\n")
#endif

#else /* not x86-64 */

/*
 * The probe alone.  Where a switch is written (arm64: a second nop, patched to "b stub"), it
 * goes here, with its stub.
 */
#define BSCOPE_ASM_CODE "990:\tnop\n" BSCOPE_ASM_TIE("990b", "998f")
#define BSCOPE_ASM_IN	"nr"

#endif

#ifndef BSCOPE_ASM_STUB_REF
#define BSCOPE_ASM_STUB_REF "0"
#define BSCOPE_ASM_STUB1
#define BSCOPE_ASM_STUB2
#define BSCOPE_ASM_STUB3
#endif

/*
 * The note of systemtap's <sys/sdt.h>, version 3, which perf, gdb, bpftrace and libbpf read:
 * https://sourceware.org/systemtap/wiki/UserSpaceProbeImplementation
 *
 * Not SHF_LINK_ORDER ("o"), for notes, records or stubs: bfd and lld would then let --gc-sections
 * drop an uncalled function with its sites, but gold stops with "relocation refers to local
 * symbol, which is defined in a discarded section", and each site would get sections of its own.
 */
#define BSCOPE_ASM_NOTE(spelling, args)                                           \
	"\t.pushsection .note.stapsdt,\"?\",\"note\"\n"                           \
	"\t.balign 4\n"                                                           \
	"\t.4byte 993f-992f,995f-994f,3\n"                                        \
	"992:\t.asciz \"stapsdt\"\n"                                              \
	"993:\t.balign 4\n"                                                       \
	"994:\t" BSCOPE_ASM_ADDR " 990b\n"                                        \
	"\t" BSCOPE_ASM_ADDR " _.stapsdt.base\n"                                  \
	"\t" BSCOPE_ASM_ADDR " %c[bscope_sem]\n"                                  \
	"\t.asciz \"bscope\"\n"                                                   \
	"\t.asciz \"" spelling "\"\n"                                             \
	"\t.asciz \"" args "\"\n"                                                 \
	"995:\t.balign 4\n"                                                       \
	"\t.popsection\n"                                                         \
	"\t.ifndef _.stapsdt.base\n"                                              \
	"\t.pushsection .stapsdt.base,\"aG\",\"progbits\",.stapsdt.base,comdat\n" \
	"\t.weak _.stapsdt.base\n"                                                \
	"\t.hidden _.stapsdt.base\n"                                              \
	"_.stapsdt.base:\t.space 1\n"                                             \
	"\t.size _.stapsdt.base,1\n"                                              \
	"\t.popsection\n"                                                         \
	"\t.endif\n"

/*
 * struct bscope_site.  It holds on to what the note refers to: gold's --gc-sections does not look
 * into notes.  Strings are operands, never text: they may hold %, quotes and braces.  All numbers
 * travel in as few operands as can be: clang's inliner charges for each.  (gcc, whose does not,
 * has no way to print a constant of 64 bits without punctuation.)
 */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define BSCOPE_ASM_BYTES(kind, nargs, flags)                                      \
	(BSCOPE_WORD(kind) | BSCOPE_WORD(nargs) << 8 | BSCOPE_WORD(flags) << 16 | \
	 BSCOPE_WORD(BSCOPE_ABI_VERSION) << 24)
#define BSCOPE_ASM_PAIR(first, second) (BSCOPE_WORD(first) | (second) << 32)
#else
#define BSCOPE_ASM_BYTES(kind, nargs, flags)                                            \
	(BSCOPE_WORD(kind) << 24 | BSCOPE_WORD(nargs) << 16 | BSCOPE_WORD(flags) << 8 | \
	 BSCOPE_WORD(BSCOPE_ABI_VERSION))
#define BSCOPE_ASM_PAIR(first, second) (BSCOPE_WORD(first) << 32 | (second))
#endif
#if defined(__clang__) && defined(__LP64__)
#define BSCOPE_ASM_NUMBERS "\t.8byte %c[bscope_numbers]\n"
#define BSCOPE_ASM_NUMBERS_IN(kind, nargs, flags) \
	[bscope_numbers] "i"(BSCOPE_ASM_PAIR(__LINE__, BSCOPE_ASM_BYTES(kind, nargs, flags)))
#else
#define BSCOPE_ASM_NUMBERS "\t.4byte %c[bscope_line]\n\t.4byte %c[bscope_bytes]\n"
#define BSCOPE_ASM_NUMBERS_IN(kind, nargs, flags) \
	[bscope_line] "i"(__LINE__), [bscope_bytes] "i"(BSCOPE_ASM_BYTES(kind, nargs, flags))
#endif

#define BSCOPE_ASM_RECORD                                       \
	"\t.pushsection bscope_sites,\"aw?\",\"progbits\"\n"    \
	"\t.balign 4\n"                                         \
	"998:\t.4byte 990b-.\n"                                 \
	"\t.4byte " BSCOPE_ASM_STUB_REF "\n"                    \
	"\t.4byte %c[bscope_class]-.\n"                         \
	"\t.4byte %c[bscope_name]-.\n"                          \
	"\t.4byte %c[bscope_file]-.\n" BSCOPE_ASM_NUMBERS       \
	"\t.4byte 0\n" BSCOPE_ASM_TIE("998b", "%c[bscope_sem]") \
		BSCOPE_ASM_TIE("998b", "_.stapsdt.base") "\t.popsection\n"

#define BSCOPE_ASM_WHAT(kind, nargs, flags, klass, name)                                         \
	[bscope_sem] "i"(&bscope_semaphore), [bscope_class] "i"(klass), [bscope_name] "i"(name), \
		[bscope_file] "i"(__FILE__), BSCOPE_ASM_NUMBERS_IN(kind, nargs, flags)

#define BSCOPE_SITE1(kind, spelling, flags, klass, name, id)                                \
	BSCOPE_ASM(BSCOPE_ASM_CODE BSCOPE_ASM_NOTE(spelling, BSCOPE_ASM_SIZE "%[bscope_0]") \
			   BSCOPE_ASM_RECORD BSCOPE_ASM_STUB1                               \
		   :                                                                        \
		   : [bscope_0] BSCOPE_ASM_IN(BSCOPE_WORD(id)),                             \
		     BSCOPE_ASM_WHAT(kind, 1, flags, klass, name))

/* Every new has a size operand in its note, so that stock tools see one set of arguments. */
#define BSCOPE_SITE1_NEW(klass, name, id)                                                          \
	BSCOPE_ASM(BSCOPE_ASM_CODE BSCOPE_ASM_NOTE(                                                \
			   "new", BSCOPE_ASM_SIZE "%[bscope_0] " BSCOPE_ASM_SIZE "%[bscope_zero]") \
			   BSCOPE_ASM_RECORD BSCOPE_ASM_STUB1                                      \
		   :                                                                               \
		   : [bscope_0] BSCOPE_ASM_IN(BSCOPE_WORD(id)), [bscope_zero] "n"(0),              \
		     BSCOPE_ASM_WHAT(BSCOPE_KIND_NEW, 1, 0, klass, name))

#define BSCOPE_SITE2(kind, spelling, flags, klass, name, id, a1)                                 \
	BSCOPE_ASM(BSCOPE_ASM_CODE BSCOPE_ASM_NOTE(spelling, BSCOPE_ASM_SIZE                     \
						   "%[bscope_0] " BSCOPE_ASM_SIZE "%[bscope_1]") \
			   BSCOPE_ASM_RECORD BSCOPE_ASM_STUB2                                    \
		   :                                                                             \
		   : [bscope_0] BSCOPE_ASM_IN(BSCOPE_WORD(id)),                                  \
		     [bscope_1] BSCOPE_ASM_IN(BSCOPE_WORD(a1)),                                  \
		     BSCOPE_ASM_WHAT(kind, 2, flags, klass, name))

#define BSCOPE_SITE3(kind, spelling, flags, klass, name, id, a1, a2)                             \
	BSCOPE_ASM(BSCOPE_ASM_CODE BSCOPE_ASM_NOTE(spelling, BSCOPE_ASM_SIZE                     \
						   "%[bscope_0] " BSCOPE_ASM_SIZE                \
						   "%[bscope_1] " BSCOPE_ASM_SIZE "%[bscope_2]") \
			   BSCOPE_ASM_RECORD BSCOPE_ASM_STUB3                                    \
		   :                                                                             \
		   : [bscope_0] BSCOPE_ASM_IN(BSCOPE_WORD(id)),                                  \
		     [bscope_1] BSCOPE_ASM_IN(BSCOPE_WORD(a1)),                                  \
		     [bscope_2] BSCOPE_ASM_IN(BSCOPE_WORD(a2)),                                  \
		     BSCOPE_ASM_WHAT(kind, 3, flags, klass, name))

#else /* no sites */

/* Operands are named but not evaluated: a variable that only a mark uses draws no warning. */
#define BSCOPE_UNUSED(x) ((void)sizeof(BSCOPE_WORD(x)))

#define BSCOPE_SITE1(kind, spelling, flags, klass, name, id) BSCOPE_UNUSED(id)
#define BSCOPE_SITE1_NEW(klass, name, id)		     BSCOPE_UNUSED(id)
#define BSCOPE_SITE2(kind, spelling, flags, klass, name, id, a1) \
	(BSCOPE_UNUSED(id), BSCOPE_UNUSED(a1))
#define BSCOPE_SITE3(kind, spelling, flags, klass, name, id, a1, a2) \
	(BSCOPE_UNUSED(id), BSCOPE_UNUSED(a1), BSCOPE_UNUSED(a2))

#endif

#endif /* BSCOPE_SITE_H */
