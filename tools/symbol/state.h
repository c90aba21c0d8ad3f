/* SPDX-License-Identifier: GPL-2.0-only */
/* state.h - what symbol.c knows of processes and files, and names.c of their names. */
#ifndef BS_SYMBOL_STATE_H
#define BS_SYMBOL_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "symbol/index.h"
#include "symbol/mapped.h"
#include "symbol/symbol.h"
#include "target/elf.h"
#include "target/process.h"

#define MAX_OPEN 512u
/* Nor are more kept than so many, open or not: a process can map new ones for ever. */
#define MAX_FILES 16384u
/* Root directories of traced processes that are kept: containers. */
#define MAX_ROOTS 64u
/* Callers are few and come again and again: 16 kB of them are found at once. */
#define HOT_BITS 10
/* What all names together may be: frames, and bytes of text. */
#define MAX_FRAMES (2u << 20)
#define MAX_TEXT   (64u << 20)

struct file {
	dev_t dev;
	ino_t ino;
	int fd; /* -1: could not be opened */
	bool elf_tried, symbols_tried;
	bool failed; /* looking up its names crashed or took too long: not again */
	struct bs_elf elf;
	struct bs_elf_symbols *symbols;
	char *path; /* as its process knows it */
	int root;   /* of the process, in roots; -1: not kept */
};

struct code {
	uint32_t file; /* 0: addr is an address of pid */
	uint32_t pid;
	uint64_t addr; /* else offset in the file */
};

struct root {
	dev_t dev;
	ino_t ino;
	int fd;
};

/* What was found for a code; n 0: nothing. */
struct found {
	uint32_t first, n; /* frames */
	uint64_t offset;   /* in its function */
	bool has_offset;
};

struct text; /* see names.c */

struct bs_code {
	struct file **files; /* from 1 */
	size_t nfiles, nopen;
	bool full;		 /* there were more than MAX_FILES */
	struct bs_mapped mapped; /* files of its spaces: in files; 0: not looked at, or none */
	struct code *codes;	 /* from 1 */
	size_t ncodes, codes_room;
	struct bs_index by_file; /* (dev, ino) -> file */
	struct bs_index by_code; /* (file or pid, addr) -> code */
	struct bs_index cache;	 /* (space, address) -> code */
	struct hot {
		uint64_t addr;
		uint32_t space, number;
	} hot[1u << HOT_BITS]; /* in front of the cache; of no space: free */

	struct root roots[MAX_ROOTS];
	size_t nroots;
	int sysroot, host; /* directories; -1: none */
	struct found *found;
	size_t nfound, found_room; /* from 1 */
	struct bs_index by_ask;	   /* (code, is it a return address) -> found */
	struct bs_frame *frames;
	size_t nframes, frames_room;
	struct text *texts;
	size_t text_bytes;
	size_t nfailed; /* files that the names could not be read of */
	const struct file *failed;
	char name[4096];
};

/* Reads the headers of a file, or its symbols too, once. */
void bs_code_file_elf(struct file *f);
void bs_code_file_symbols(struct file *f);
/* The last part of its path. */
const char *bs_code_file_base(const struct file *f);

/* Frees what names.c holds. */
void bs_code_names_fini(struct bs_code *c);

#endif
