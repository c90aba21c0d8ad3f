// SPDX-License-Identifier: GPL-2.0-only
/* wire.c - reads what the process that looks names up has found. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "symbol/wire.h"

static int take_string(struct bs_wire *w, const unsigned char *text, size_t n)
{
	char *s;

	if (!n || w->text + n + 1 > BS_WIRE_MAX_TEXT || memchr(text, '\0', n))
		return -EPROTO;
	if (w->nstrings == w->room) {
		size_t more = w->room ? w->room * 2 : 256;
		char **grown = reallocarray(w->strings, more, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		w->strings = grown;
		w->room = more;
	}
	s = malloc(n + 1);
	if (!s)
		return -ENOMEM;
	memcpy(s, text, n);
	s[n] = '\0';
	w->strings[w->nstrings++] = s;
	w->text += n + 1;
	return 0;
}

static int take_frame(struct bs_wire *w, const struct bs_wire_msg *m)
{
	if (!m->a || m->a > w->nstrings || m->b > w->nstrings || m->d > 1 || (m->c && !m->b) ||
	    w->nframes == BS_DWARF_FRAMES)
		return -EPROTO;
	w->frames[w->nframes++] = (struct bs_wire_frame){
		.function = w->strings[m->a - 1],
		.file = m->b ? w->strings[m->b - 1] : NULL,
		.line = m->c,
		.inlined = m->d,
	};
	return 0;
}

static int take_address(struct bs_wire *w, const struct bs_wire_msg *m)
{
	const struct bs_wire_found found = {
		.frames = w->frames,
		.n = w->nframes,
		.offset = (uint64_t)m->c << 32 | m->b,
		.has_offset = m->d,
	};

	w->nframes = 0;
	return found.n && m->d <= 1 ? w->ops->address(w->ops->ctx, m->a, &found) : -EPROTO;
}

static int take_message(struct bs_wire *w, const struct bs_wire_msg *m)
{
	if (w->ended)
		return -EPROTO;
	switch (m->kind) {
	case BS_WIRE_FRAME:
		return take_frame(w, m);
	case BS_WIRE_ADDRESS:
		return take_address(w, m);
	case BS_WIRE_FILE:
		w->nframes = 0;
		return w->ops->file(w->ops->ctx, m->a);
	case BS_WIRE_WORK:
		return 0;
	case BS_WIRE_END:
		w->ended = true;
		return 0;
	}
	return -EPROTO;
}

/* How long the message at its begin is as a whole; 0 if it cannot be. */
static size_t length(const struct bs_wire_msg *m)
{
	if (m->kind != BS_WIRE_STRING)
		return sizeof(*m);
	return m->a <= BS_WIRE_MAX_STRING ? sizeof(*m) + m->a : 0;
}

/* Takes whole messages; *used: their bytes. */
static int take_whole(struct bs_wire *w, const unsigned char *b, size_t n, size_t *used)
{
	struct bs_wire_msg m;
	int ret = 0;

	for (*used = 0; !ret && n - *used >= sizeof(m);) {
		size_t len;

		memcpy(&m, b + *used, sizeof(m));
		len = length(&m);
		if (!len)
			return -EPROTO;
		if (n - *used < len)
			break;
		ret = m.kind == BS_WIRE_STRING
			      ? (w->ended ? -EPROTO : take_string(w, b + *used + sizeof(m), m.a))
			      : take_message(w, &m);
		*used += len;
	}
	return ret;
}

int bs_wire_take(struct bs_wire *w, const void *bytes, size_t n)
{
	const unsigned char *b = bytes;
	size_t used;
	int ret = 0;

	/* What was begun is completed first, with no more than may belong to it. */
	while (w->nrest && n && !ret) {
		size_t add = sizeof(w->rest) - w->nrest;

		if (add > n)
			add = n;
		memcpy(w->rest + w->nrest, b, add);
		ret = take_whole(w, w->rest, w->nrest + add, &used);
		if (used > w->nrest) {
			b += used - w->nrest;
			n -= used - w->nrest;
			w->nrest = 0;
		} else {
			w->nrest += add;
			b += add;
			n -= add;
		}
	}
	if (ret || !n)
		return ret;
	ret = take_whole(w, b, n, &used);
	if (!ret && used < n) {
		memcpy(w->rest, b + used, n - used);
		w->nrest = n - used;
	}
	return ret;
}

void bs_wire_fini(struct bs_wire *w)
{
	for (size_t i = 0; i < w->nstrings; i++)
		free(w->strings[i]);
	free(w->strings);
	memset(w, 0, sizeof(*w));
}
