/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * module.h - the sites of one ELF file.
 *
 * The file is untrusted: every offset, size and string in it is checked, and a file that lies
 * gives an error or fewer sites, never a crash or an endless loop.
 */
#ifndef BS_TARGET_MODULE_H
#define BS_TARGET_MODULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "bpf/event.h"

struct bs_error;

/* One expansion of a macro in the machine code.  Strings live as long as the module. */
struct bs_site {
	uint64_t probe_vaddr;	   /* link-time address of the USDT nop */
	uint64_t probe_offset;	   /* its offset in the file: what uprobes want */
	uint64_t stub_vaddr;	   /* link-time address of the stub; 0 if the site has none */
	uint64_t record_vaddr;	   /* link-time address of the site record */
	uint64_t semaphore_offset; /* file offset of the probe's semaphore, 0 if it has none */
	const char *klass;
	const char *name;
	const char *file;
	const char *function; /* symbol that contains the probe; NULL if unknown */
	uint32_t line;
	uint8_t kind;		  /* enum bscope_kind */
	uint8_t nargs;		  /* 1 to BSCOPE_MAX_ARGS */
	uint8_t flags;		  /* BSCOPE_SITE_* */
	struct bs_site_spec spec; /* where its operands are, from the stapsdt note */
};

/*
 * A copy of the runtime (libbscope) in the file: the probes by which it hands over its buffers, as
 * offsets in the file, and the link-time address of its struct bscope_control.
 */
struct bs_runtime {
	uint64_t batch_offset; /* 0: no runtime here */
	uint64_t buffer_offset;
	uint64_t stack_offset; /* 0: it has no stacks to offer */
	uint64_t semaphore_offset;
	uint64_t control_vaddr;
	/* The code that only lit sites execute (BSCOPE_RECORD_SECTION); 0, 0: not known. */
	uint64_t code_vaddr, code_bytes;
};

struct bs_module {
	char *path;   /* for people */
	bool program; /* it names a dynamic linker: nobody loads it, but executes it */
	int fd;	      /* kept open: the file that is mapped, even if it was replaced since */
	dev_t dev;
	ino_t ino;
	struct bs_site *sites; /* by probe_vaddr */
	size_t nsites;
	struct bs_runtime runtime;
	size_t nskipped;   /* records that could not be understood; why is in skipped */
	char skipped[256]; /* the first reason, for -v */
	void *priv;	   /* strings and symbols */
};

/*
 * Reads the sites of the ELF file open at fd (taken over by the module on success, left to
 * the caller on failure).  path is for messages and is copied.
 * A file without sites is a success with nsites == 0; it may have a runtime.
 * Errors: -ENOEXEC (no ELF, or damaged), -EXDEV (ELF of another architecture or word size),
 * -EIO, -ENOMEM; err says which file and what to do.
 */
int bs_module_read(int fd, const char *path, struct bs_module **out, struct bs_error *err);
void bs_module_free(struct bs_module *m);

/*
 * The function (ELF STT_FUNC, .symtab else .dynsym) that contains the file offset, borrowed;
 * *start is its file offset.  NULL if none.  Names are as in the file: not demangled.
 */
const char *bs_module_function_find(const struct bs_module *m, uint64_t offset, uint64_t *start);

/* The link-time address of an offset in the file, in an executable segment; false if none. */
bool bs_module_vaddr_find(const struct bs_module *m, uint64_t offset, uint64_t *vaddr);
/* n bytes of the file at a link-time address.  0, -ENOEXEC (not in the file) or -EIO. */
int bs_module_read_at(const struct bs_module *m, uint64_t vaddr, void *buf, size_t n);

#endif
