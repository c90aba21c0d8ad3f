// SPDX-License-Identifier: GPL-2.0-only
/* live.c - the line that is redrawn while the tool runs. */
#include "render/report.h"

#include <math.h>
#include <string.h>

#include "render/human.h"

void bs_render_live(char *buf, size_t size, const struct bs_live *l, unsigned width)
{
	char seconds[BS_FMT], rate[BS_FMT], live[BS_FMT], bytes[BS_FMT], lost[BS_FMT];
	const char *lost_word = l->lost ? "LOST" : "lost";
	char line[6 * BS_FMT];
	double s = l->seconds;

	if (!size)
		return;
	if (!width)
		width = 80;
	if (isfinite(s) && s >= 0 && s < 1e9) {
		snprintf(seconds, sizeof(seconds), "%6.1f", s);
		/* The blanks that align it are no part of the number. */
		bs_fmt_point(seconds + strspn(seconds, " "));
	} else {
		strcpy(seconds, "     ?");
	}
	bs_fmt_si(rate, l->events_per_s);
	bs_fmt_count(live, l->live);
	bs_fmt_bytes(bytes, (double)l->live_bytes);
	bs_fmt_count(lost, l->lost);

	/* The widest form that fits; what was lost is the last thing to go. */
	for (int form = 0; form < 5; form++) {
		switch (form) {
		case 0:
			snprintf(line, sizeof(line), "%s s   %s events/s   %s live (%s)   %s %s",
				 seconds, rate, live, bytes, lost, lost_word);
			break;
		case 1:
			snprintf(line, sizeof(line), "%s s  %s events/s  %s live  %s %s", seconds,
				 rate, live, lost, lost_word);
			break;
		case 2:
			snprintf(line, sizeof(line), "%s s  %s live  %s %s", seconds, live, lost,
				 lost_word);
			break;
		case 3:
			snprintf(line, sizeof(line), "%s s  %s %s", seconds, lost, lost_word);
			break;
		default:
			snprintf(line, sizeof(line), "%s %s", lost, lost_word);
			break;
		}
		if (strlen(line) <= width && strlen(line) < size)
			break;
	}
	/* All of it is ASCII: a byte is a column, and a cut leaves nothing broken. */
	if (width < size - 1)
		size = (size_t)width + 1;
	snprintf(buf, size, "%s", line);
}
