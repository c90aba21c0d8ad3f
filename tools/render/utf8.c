// SPDX-License-Identifier: GPL-2.0-only
/*
 * utf8.c - code points and their width.  wcwidth(3) is not used: it depends on the locale,
 * and the tool runs in the C locale as root more often than not.
 */
#include "render/utf8.h"

struct range {
	uint32_t first, last;
};

static bool range_find(const struct range *r, size_t n, uint32_t cp)
{
	for (size_t i = 0; i < n && r[i].first <= cp; i++)
		if (cp <= r[i].last)
			return true;
	return false;
}

#define RANGE_FIND(table, cp) range_find(table, sizeof(table) / sizeof((table)[0]), cp)

size_t bs_utf8_next(const char *str, uint32_t *cp)
{
	const unsigned char *s = (const unsigned char *)str;
	/* The second byte's range is narrower than 80..bf where that rules out overlong forms,
	 * surrogates and code points past U+10FFFF (Unicode 15, table 3-7). */
	unsigned char low = 0x80, high = 0xbf;
	uint32_t value;
	size_t len;

	*cp = BS_UTF8_BAD;
	if (s[0] < 0x80) {
		*cp = s[0];
		return 1;
	} else if (s[0] >= 0xc2 && s[0] <= 0xdf) {
		len = 2;
		value = s[0] & 0x1f;
	} else if (s[0] >= 0xe0 && s[0] <= 0xef) {
		len = 3;
		value = s[0] & 0x0f;
		if (s[0] == 0xe0)
			low = 0xa0;
		else if (s[0] == 0xed)
			high = 0x9f;
	} else if (s[0] >= 0xf0 && s[0] <= 0xf4) {
		len = 4;
		value = s[0] & 0x07;
		if (s[0] == 0xf0)
			low = 0x90;
		else if (s[0] == 0xf4)
			high = 0x8f;
	} else {
		return 1;
	}
	for (size_t i = 1; i < len; i++) {
		/* The NUL fails this test too, so nothing behind it is read. */
		if (s[i] < low || s[i] > high)
			return i;
		value = value << 6 | (s[i] & 0x3f);
		low = 0x80;
		high = 0xbf;
	}
	*cp = value;
	return len;
}

bool bs_utf8_invisible(uint32_t cp)
{
	static const struct range invisible[] = {
		{0x0000, 0x001f},   {0x007f, 0x009f},	{0x00ad, 0x00ad},   {0x034f, 0x034f},
		{0x0600, 0x0605},   {0x061c, 0x061c},	{0x06dd, 0x06dd},   {0x070f, 0x070f},
		{0x115f, 0x1160},   {0x17b4, 0x17b5},	{0x180b, 0x180f},   {0x200b, 0x200f},
		{0x2028, 0x202e},   {0x2060, 0x206f},	{0x3164, 0x3164},   {0xfdd0, 0xfdef},
		{0xfe00, 0xfe0f},   {0xfeff, 0xfeff},	{0xffa0, 0xffa0},   {0xfff0, 0xfffb},
		{0x1bca0, 0x1bca3}, {0x1d173, 0x1d17a}, {0xe0000, 0xe0fff},
	};

	return (cp & 0xfffe) == 0xfffe || RANGE_FIND(invisible, cp);
}

unsigned bs_utf8_width(uint32_t cp)
{
	/* Coarse on purpose: whole blocks of combining marks and of wide characters. */
	static const struct range zero[] = {
		{0x0300, 0x036f}, {0x0483, 0x0489}, {0x0591, 0x05bd},	{0x064b, 0x065f},
		{0x0816, 0x0819}, {0x093c, 0x093c}, {0x094d, 0x094d},	{0x0e31, 0x0e31},
		{0x0e34, 0x0e3a}, {0x0e47, 0x0e4e}, {0x1ab0, 0x1aff},	{0x1dc0, 0x1dff},
		{0x200b, 0x200f}, {0x20d0, 0x20f0}, {0x302a, 0x302d},	{0x3099, 0x309a},
		{0xfe00, 0xfe0f}, {0xfe20, 0xfe2f}, {0xe0100, 0xe01ef},
	};
	static const struct range wide[] = {
		{0x1100, 0x115f},   {0x231a, 0x231b},	{0x2329, 0x232a},   {0x23e9, 0x23ec},
		{0x25fd, 0x25fe},   {0x2614, 0x2615},	{0x26a1, 0x26a1},   {0x2705, 0x2705},
		{0x274c, 0x274c},   {0x2753, 0x2755},	{0x2795, 0x2797},   {0x2b1b, 0x2b1c},
		{0x2e80, 0x303e},   {0x3041, 0x4dbf},	{0x4e00, 0xa4cf},   {0xa960, 0xa97f},
		{0xac00, 0xd7a3},   {0xf900, 0xfaff},	{0xfe30, 0xfe6f},   {0xff01, 0xff60},
		{0xffe0, 0xffe6},   {0x16fe0, 0x18aff}, {0x1aff0, 0x1b2ff}, {0x1f004, 0x1f004},
		{0x1f0cf, 0x1f0cf}, {0x1f18e, 0x1f19a}, {0x1f200, 0x1f320}, {0x1f32d, 0x1f64f},
		{0x1f680, 0x1f6ff}, {0x1f7e0, 0x1f7eb}, {0x1f90c, 0x1faff}, {0x20000, 0x3fffd},
	};

	if (cp < 0x300)
		return 1;
	if (RANGE_FIND(zero, cp))
		return 0;
	return RANGE_FIND(wide, cp) ? 2 : 1;
}

size_t bs_utf8_columns(const char *s)
{
	size_t columns = 0;
	uint32_t cp;

	while (*s) {
		s += bs_utf8_next(s, &cp);
		columns += cp == BS_UTF8_BAD ? 1 : bs_utf8_width(cp);
	}
	return columns;
}
