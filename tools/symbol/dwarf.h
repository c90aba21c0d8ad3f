/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * dwarf.h - functions, inlined ones among them, and lines of addresses, from a file with DWARF.
 *
 * It stands on libdw, which trusts what it reads more than this tool may: only to be called in a
 * process that may crash, hang and run out of memory (look.h).
 */
#ifndef BS_SYMBOL_DWARF_H
#define BS_SYMBOL_DWARF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bs_elf;

/* More functions inlined into one another are left out, the outer ones. */
#define BS_DWARF_FRAMES 64u

/* One function at an address.  Strings are borrowed until the next address. */
struct bs_dwarf_frame {
	const char *function; /* as the linker knows it, where it does; NULL: without a name */
	const char *file;     /* below the directory of compilation, or whole; NULL: not known */
	uint32_t line;	      /* 0: not known */
	bool inlined;
};

struct bs_dwarf_ops {
	/*
	 * The frames of addrs[at], the innermost first, the last one not inlined and without a
	 * name where only a symbol table may know it; the addresses in any order.
	 */
	void (*frames)(void *ctx, size_t at, const struct bs_dwarf_frame *f, size_t n);
	/* Some work is done. */
	void (*progress)(void *ctx);
	void *ctx;
};

/*
 * Looks at n addresses as linked, ascending.  fd: the file with DWARF; alt_fd: its dwz file, or -1;
 * program: the file that runs, whose code is where functions can be.  Addresses of which the file
 * knows nothing are left out.  0, -ENOEXEC (no DWARF that can be read) or -ENOMEM.
 */
int bs_dwarf_look(int fd, int alt_fd, const struct bs_elf *program, const uint64_t *addrs, size_t n,
		  const struct bs_dwarf_ops *ops);

#endif
