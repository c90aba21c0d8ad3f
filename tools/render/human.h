/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * human.h - numbers as people read them.  One system throughout: bytes in powers of 1024
 * (B, KiB, MiB, ...), counts in powers of 1000 (M, G, ...), independent of the locale.
 *
 * Each function writes into a buffer of BS_FMT bytes and returns it.
 */
#ifndef BS_RENDER_HUMAN_H
#define BS_RENDER_HUMAN_H

#include <stdint.h>

#define BS_FMT 96

/* 1234567: "1,234,567" */
char *bs_fmt_count(char *buf, uint64_t v);
/* The same below a million, then three digits: "1.23 M" */
char *bs_fmt_short(char *buf, uint64_t v);
/* Of a rate or another number that is no exact count: "0.52", "12.3 k", "1.23 M" */
char *bs_fmt_si(char *buf, double v);
/* "812 B", "30.4 KiB", "3.20 MiB" */
char *bs_fmt_bytes(char *buf, double v);
/* "812 ns", "1.2 ms", "3 s", "4.5 min" */
char *bs_fmt_ns(char *buf, double ns);
/* "0.42 %", "3.1 %"; more than nothing is never "0 %" */
char *bs_fmt_percent(char *buf, double percent);
/* A share and its error: "3.12 ± 0.21 %" */
char *bs_fmt_share(char *buf, double percent, double error);
/* Slope and its error in one unit: "1.02 ± 0.03 KiB/s" */
char *bs_fmt_bytes_rate(char *buf, double v, double error);
/* "0.52 ± 0.04 objects/s", "3.1 ± 0.2 k objects/s" */
char *bs_fmt_objects_rate(char *buf, double v, double error);

/* Makes the locale's decimal separator in a formatted number a point. */
void bs_fmt_point(char *number);

#endif
