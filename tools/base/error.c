// SPDX-License-Identifier: GPL-2.0-only
/* error.c - one error with the sentence that the user will read. */
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"

/*
 * Length of the valid, printable UTF-8 sequence at s, 0 if there is none.  Overlong forms,
 * surrogates and C1 controls (U+0080 to U+009F) are refused: a terminal may act on them.
 * Unicode 15, table 3-7.
 */
static size_t printable(const unsigned char *s)
{
	unsigned char low = 0x80, high = 0xbf;
	size_t len;

	if (s[0] >= 0x20 && s[0] < 0x7f)
		return 1;
	if (s[0] >= 0xc2 && s[0] <= 0xdf) {
		len = 2;
		if (s[0] == 0xc2)
			low = 0xa0;
	} else if (s[0] >= 0xe0 && s[0] <= 0xef) {
		len = 3;
		if (s[0] == 0xe0)
			low = 0xa0;
		if (s[0] == 0xed)
			high = 0x9f;
	} else if (s[0] >= 0xf0 && s[0] <= 0xf4) {
		len = 4;
		if (s[0] == 0xf0)
			low = 0x90;
		if (s[0] == 0xf4)
			high = 0x8f;
	} else {
		return 0;
	}
	if (s[1] < low || s[1] > high)
		return 0;
	/* The terminator is no continuation byte, so this never reads past it. */
	for (size_t i = 2; i < len; i++)
		if (s[i] < 0x80 || s[i] > 0xbf)
			return 0;
	return len;
}

void bs_text_clean(char *dst, size_t size, const char *src)
{
	static const char hex[] = "0123456789abcdef";
	const unsigned char *s = (const unsigned char *)src;
	size_t at = 0;

	if (!size)
		return;
	while (*s) {
		size_t len = printable(s);

		/* Only whole characters and whole escapes: a cut one would be a new one. */
		if (len) {
			if (len >= size - at)
				break;
			memcpy(dst + at, s, len);
			at += len;
			s += len;
			continue;
		}
		if (4 >= size - at)
			break;
		dst[at++] = '\\';
		dst[at++] = 'x';
		dst[at++] = hex[*s >> 4];
		dst[at++] = hex[*s & 15];
		s++;
	}
	dst[at] = '\0';
}

int bs_error_set(struct bs_error *err, int code, const char *fmt, ...)
{
	char raw[BS_ERROR_TEXT];
	va_list ap;

	if (!err)
		return code;
	va_start(ap, fmt);
	if (vsnprintf(raw, sizeof(raw), fmt, ap) < 0)
		raw[0] = '\0';
	va_end(ap);
	/* Names of a traced process may be part of it. */
	bs_text_clean(err->text, sizeof(err->text), raw);
	err->code = code;
	return code;
}
