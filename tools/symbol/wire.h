/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * wire.h - how names come out of the process that looks them up.
 *
 * That process reads files of programs that nobody vouches for with libraries that trust them: what
 * it writes is not trusted.  It is a stream of structs bs_wire_msg; each string is sent once and
 * has the number of its place among the strings, from 1.  The frames of an address, the innermost
 * first, stand before the message that names it.
 */
#ifndef BS_SYMBOL_WIRE_H
#define BS_SYMBOL_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "symbol/dwarf.h"

enum bs_wire_kind {
	BS_WIRE_STRING = 1, /* a: bytes that follow, without a terminator */
	BS_WIRE_FRAME = 2,  /* a: function, b: file or 0, c: line, d: 1 if inlined */
	/* a: which one, has the frames since the last of these; b, c: lower and upper half of how
	 * far into its function it is, if d is 1 */
	BS_WIRE_ADDRESS = 3,
	BS_WIRE_FILE = 4, /* a: which one is begun */
	BS_WIRE_WORK = 5, /* nothing but a sign of life */
	BS_WIRE_END = 6,  /* all is done */
};

struct bs_wire_msg {
	uint32_t kind;
	uint32_t a, b, c, d;
};

_Static_assert(sizeof(struct bs_wire_msg) == 20, "sent from one process to another");

/* Longest string.  All of one process together are bounded as well. */
#define BS_WIRE_MAX_STRING 1024u
#define BS_WIRE_MAX_TEXT   (64u << 20)

struct bs_wire_frame {
	const char *function;
	const char *file; /* NULL: not known */
	uint32_t line;	  /* 0: not known */
	bool inlined;
};

/* What is known of an address. */
struct bs_wire_found {
	const struct bs_wire_frame *frames; /* the innermost first */
	size_t n;
	uint64_t offset; /* from the begin of the function that is not inlined */
	bool has_offset;
};

struct bs_wire_ops {
	/* n frames of an address, at least one; strings are borrowed until bs_wire_fini. */
	int (*address)(void *ctx, uint32_t at, const struct bs_wire_found *found);
	int (*file)(void *ctx, uint32_t at);
	void *ctx;
};

/* All zeros but for ops is a new one. */
struct bs_wire {
	const struct bs_wire_ops *ops;
	char **strings;
	size_t nstrings, room;
	size_t text; /* bytes of all */
	struct bs_wire_frame frames[BS_DWARF_FRAMES];
	size_t nframes;
	unsigned char rest[sizeof(struct bs_wire_msg) + BS_WIRE_MAX_STRING]; /* begun, not whole */
	size_t nrest;
	bool ended;
};

/*
 * Takes the next bytes of the stream.  0; -EPROTO (that was no message), -ENOMEM or what an
 * operation returned: nothing more may be taken then.
 */
int bs_wire_take(struct bs_wire *w, const void *bytes, size_t n);
void bs_wire_fini(struct bs_wire *w);

#endif
