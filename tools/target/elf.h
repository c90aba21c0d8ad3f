/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * elf.h - a reader for ELF files that nobody vouches for: 64-bit, little endian.
 *
 * Everything is read with pread into memory of ours: a mapped file could be cut short while we
 * look at it, which is SIGBUS.  Sizes are bounded by the file's size and by the limits below,
 * arithmetic is checked, and work is linear in the size of the file but for sorting.
 */
#ifndef BS_TARGET_ELF_H
#define BS_TARGET_ELF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct bs_error;

/* Far above what linkers make (a browser with all its symbols has some 2 million of them). */
#define BS_ELF_MAX_SECTIONS (1u << 20)
#define BS_ELF_MAX_SEGMENTS 256u
#define BS_ELF_MAX_LOAD	    (256u << 20)
#define BS_ELF_MAX_SYMBOLS  (16u << 20)
/* Longer names of symbols are cut: C++ has some of 100 KB. */
#define BS_ELF_MAX_NAME 1024u

struct bs_elf_section {
	uint64_t addr;
	uint64_t offset;
	uint64_t size;
	uint64_t flags;
	uint64_t entsize;
	uint32_t name; /* in the table of section names */
	uint32_t type;
	uint32_t link;
};

/* A PT_LOAD; filesz is cut to what the file really holds. */
struct bs_elf_segment {
	uint64_t vaddr;
	uint64_t memsz;
	uint64_t offset;
	uint64_t filesz;
	uint32_t flags; /* PF_* */
};

struct bs_elf {
	int fd; /* borrowed */
	uint64_t size;
	dev_t dev;
	ino_t ino;
	uint16_t machine;
	struct bs_elf_section *sections;
	size_t nsections;
	char *names; /* of sections, terminated */
	size_t names_size;
	struct bs_elf_segment *segments; /* by vaddr */
	size_t nsegments;
};

/*
 * Reads the headers.  e needs no preparation, and on failure no fini.  path is for messages.
 * Errors: -ENOEXEC (no ELF executable or shared object, or damaged), -EXDEV (another word size,
 * byte order or architecture than this program's), -EIO, -ENOMEM.
 */
int bs_elf_init(struct bs_elf *e, int fd, const char *path, struct bs_error *err);
void bs_elf_fini(struct bs_elf *e);

/* "x86-64", "32-bit x86", "arm64" ...; for messages.  Constant. */
const char *bs_elf_machine_name(uint16_t machine);
/* What bs_elf_init accepts: e_machine of this program. */
uint16_t bs_elf_machine_native(void);

/* Exactly n bytes at offset.  0, -ENOEXEC (past the end of the file) or -EIO. */
int bs_elf_read(const struct bs_elf *e, uint64_t offset, void *buf, size_t n);

bool bs_elf_section_is(const struct bs_elf *e, const struct bs_elf_section *s, const char *name);
/* The first of that name, borrowed; NULL if there is none. */
const struct bs_elf_section *bs_elf_section_find(const struct bs_elf *e, const char *name);

/*
 * The contents of a section, with a 0 byte behind them; *data for free().
 * 0, -ENOEXEC (not in the file, or larger than BS_ELF_MAX_LOAD), -EIO, -ENOMEM.
 */
int bs_elf_section_load(const struct bs_elf *e, const struct bs_elf_section *s, char **data);

/*
 * Where in the file the byte at a link-time address is, in a segment that has all of flags
 * (PF_X; 0: any).  *room, if not NULL: bytes from there to the end of the segment's part of the
 * file, at least 1.  False if that byte is in no such segment or not in the file.
 */
bool bs_elf_offset_find(const struct bs_elf *e, uint64_t vaddr, uint32_t flags, uint64_t *offset,
			uint64_t *room);
/* The other way round. */
bool bs_elf_vaddr_find(const struct bs_elf *e, uint64_t offset, uint32_t flags, uint64_t *vaddr);

/*
 * The functions of a file by address: STT_FUNC with a size, from .symtab or, where that names
 * none, .dynsym.  Names stay in the file until asked for: e->fd must stay open.
 */
struct bs_elf_symbols;
int bs_elf_symbols_new(const struct bs_elf *e, struct bs_elf_symbols **out);
void bs_elf_symbols_free(struct bs_elf_symbols *s);
size_t bs_elf_symbols_count(const struct bs_elf_symbols *s);
/*
 * The tightest function around vaddr, borrowed; at most BS_ELF_MAX_NAME bytes.  Of aliases the
 * one with the fewest leading underscores.  *start, if not NULL: its address.  NULL if none.
 */
const char *bs_elf_symbols_find(struct bs_elf_symbols *s, uint64_t vaddr, uint64_t *start);

#endif
