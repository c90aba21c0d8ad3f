/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * debugfile.h - the file that knows more about a program than the program's own: its separate
 * debug file, or the same program before it was stripped.
 *
 * Sources: build ids are ELF notes (NT_GNU_BUILD_ID in <elf.h>); where their debug files lie, and
 * what .gnu_debuglink holds (name, padding to 4, CRC-32 of the file), is in GDB's manual,
 * "Debugging Information in Separate Files"; .gnu_debugaltlink (name, build id) is in dwz(1).
 *
 * A file is taken only if it is of the very same build: by build id, by CRC where there is none.
 */
#ifndef BS_SYMBOL_DEBUGFILE_H
#define BS_SYMBOL_DEBUGFILE_H

#include <stdbool.h>
#include <stdint.h>

struct bs_elf;

#define BS_BUILD_ID_MAX 64u

struct bs_build_id {
	uint8_t size; /* 0: none */
	uint8_t bytes[BS_BUILD_ID_MAX];
};

/* Directories to look in, in this order, each taken for a root; -1: none. */
struct bs_debug_roots {
	int fds[3]; /* borrowed */
};

/* The build id of a file; of size 0 where it has none that can be read. */
void bs_build_id_read(const struct bs_elf *e, struct bs_build_id *id);

/* Has it functions with their lines in it (DWARF)? */
bool bs_elf_has_dwarf(const struct bs_elf *e);

/*
 * Opens the file that has debug information, or at least a symbol table, for e, which the process
 * knows as path: by build id, by debug link, or under its own path.  A descriptor, or -ENOENT.
 */
int bs_debug_open(const struct bs_elf *e, const char *path, const struct bs_debug_roots *roots);

/* The file that dwz(1) moved what several have in common to, of a file with DWARF; or -ENOENT. */
int bs_debug_alt_open(const struct bs_elf *e, const struct bs_debug_roots *roots);

#endif
