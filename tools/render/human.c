// SPDX-License-Identifier: GPL-2.0-only
/* human.c - numbers as people read them. */
#include "render/human.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

struct unit {
	const char *name;
	double size;
};

/* Room for a bare number; what is too large for it is caught before. */
#define NUMBER 32

#define LAST(table) (sizeof(table) / sizeof((table)[0]) - 1)

static const struct unit bytes_units[] = {
	{"B", 1},
	{"KiB", 1024.0},
	{"MiB", 1048576.0},
	{"GiB", 1073741824.0},
	{"TiB", 1099511627776.0},
	{"PiB", 1125899906842624.0},
	{"EiB", 1152921504606846976.0},
};

static const struct unit si_units[] = {
	{"", 1}, {"k", 1e3}, {"M", 1e6}, {"G", 1e9}, {"T", 1e12}, {"P", 1e15}, {"E", 1e18},
};

void bs_fmt_point(char *number)
{
	char *from = number, *to = number;
	int separator = 0;

	/* The separator may be several bytes long; all others of a number are known. */
	for (; *from; from++) {
		if (strchr("0123456789+-e", *from)) {
			*to++ = *from;
			separator = 0;
		} else if (!separator) {
			*to++ = '.';
			separator = 1;
		}
	}
	*to = '\0';
}

/* A number below 1e24 with so many decimals, in NUMBER bytes. */
static char *fixed(char *buf, double v, int decimals)
{
	snprintf(buf, NUMBER, "%.*f", decimals, v);
	bs_fmt_point(buf);
	return buf;
}

/* Decimals that leave three digits. */
static int decimals3(double v)
{
	v = fabs(v);
	return v < 9.995 ? 2 : v < 99.95 ? 1 : 0;
}

/* The largest unit that leaves at least 1, and less than `limit` after rounding. */
static const struct unit *unit_of(const struct unit *units, size_t last, double v, double limit)
{
	size_t i = 0;

	v = fabs(v);
	while (i < last && round(v / units[i].size) >= limit)
		i++;
	return &units[i];
}

char *bs_fmt_count(char *buf, uint64_t v)
{
	char digits[24];
	size_t n, out = 0;

	snprintf(digits, sizeof(digits), "%" PRIu64, v);
	n = strlen(digits);
	for (size_t i = 0; i < n; i++) {
		if (i && (n - i) % 3 == 0)
			buf[out++] = ',';
		buf[out++] = digits[i];
	}
	buf[out] = '\0';
	return buf;
}

char *bs_fmt_short(char *buf, uint64_t v)
{
	return v < 1000000 ? bs_fmt_count(buf, v) : bs_fmt_si(buf, (double)v);
}

char *bs_fmt_si(char *buf, double v)
{
	const struct unit *u;
	char number[NUMBER];

	if (!isfinite(v) || fabs(v) >= 1e24) {
		strcpy(buf, "?");
		return buf;
	}
	u = unit_of(si_units, LAST(si_units), v, 1000);
	v /= u->size;
	fixed(number, v, u == si_units && v == floor(v) ? 0 : decimals3(v));
	snprintf(buf, BS_FMT, "%s%s%s", number, *u->name ? " " : "", u->name);
	return buf;
}

char *bs_fmt_bytes(char *buf, double v)
{
	const struct unit *u;
	char number[NUMBER];

	if (!isfinite(v) || fabs(v) >= 1e24) {
		strcpy(buf, "?");
		return buf;
	}
	u = unit_of(bytes_units, LAST(bytes_units), v, 1024);
	v /= u->size;
	fixed(number, v, u == bytes_units ? 0 : decimals3(v));
	snprintf(buf, BS_FMT, "%s %s", number, u->name);
	return buf;
}

char *bs_fmt_ns(char *buf, double ns)
{
	/*
	 * Each unit holds until its number would read as the limit; -d 90 is 90 s to who
	 * typed it.
	 */
	static const struct {
		const char *name;
		double size, limit;
	} units[] = {
		{"ns", 1, 1000},    {"µs", 1e3, 1000}, {"ms", 1e6, 1000},	 {"s", 1e9, 120},
		{"min", 60e9, 120}, {"h", 3600e9, 48}, {"d", 86400e9, INFINITY},
	};
	char number[NUMBER];
	size_t i = 0;
	int decimals;

	if (!isfinite(ns) || ns < 0 || ns >= 1e24) {
		strcpy(buf, "?");
		return buf;
	}
	while (round(ns / units[i].size) >= units[i].limit)
		i++;
	ns /= units[i].size;
	/* One decimal below ten, where it says something. */
	decimals = i && ns < 9.95 && fabs(ns - round(ns)) >= 0.05;
	fixed(number, ns, decimals);
	snprintf(buf, BS_FMT, "%s %s", number, units[i].name);
	return buf;
}

char *bs_fmt_percent(char *buf, double percent)
{
	char number[NUMBER];

	if (!isfinite(percent) || fabs(percent) >= 1e9)
		strcpy(buf, "? %");
	else if (percent == 0)
		strcpy(buf, "0 %");
	else if (percent > 0 && percent < 0.01)
		strcpy(buf, "under 0.01 %");
	else
		snprintf(buf, BS_FMT, "%s %%",
			 fixed(number, percent, fabs(percent) < 0.995 ? 2 : 1));
	return buf;
}

char *bs_fmt_share(char *buf, double percent, double error)
{
	char number[NUMBER], half[NUMBER];
	int digits = error < 0.0995 ? 3 : error < 0.995 ? 2 : 1;

	snprintf(buf, BS_FMT, "%s ± %s %%", fixed(number, percent, digits),
		 fixed(half, error, digits));
	return buf;
}

static char *rate(char *buf, double v, double error, const struct unit *units, size_t last,
		  double limit, const char *per)
{
	double size = fabs(v) > fabs(error) ? v : error;
	char number[NUMBER], spread[NUMBER];
	const struct unit *u;
	int decimals;

	if (!isfinite(v) || !isfinite(error) || fabs(size) >= 1e21) {
		snprintf(buf, BS_FMT, "? %s", per);
		return buf;
	}
	u = unit_of(units, last, size, limit);
	decimals = decimals3(size / u->size);
	/* A small error must not read as none. */
	while (decimals < 4 && error > 0 && error / u->size * pow(10, decimals) < 0.5)
		decimals++;
	snprintf(buf, BS_FMT, "%s ± %s%s%s%s", fixed(number, v / u->size, decimals),
		 fixed(spread, error / u->size, decimals), *u->name ? " " : "", u->name, per);
	return buf;
}

char *bs_fmt_bytes_rate(char *buf, double v, double error)
{
	return rate(buf, v, error, bytes_units, LAST(bytes_units), 1024, "/s");
}

char *bs_fmt_objects_rate(char *buf, double v, double error)
{
	return rate(buf, v, error, si_units, LAST(si_units), 1000, " objects/s");
}
