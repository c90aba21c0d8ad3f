// SPDX-License-Identifier: GPL-2.0-only
/* kind.c - the spelling of mark kinds, in notes, reports and -f. */
#include <stddef.h>
#include <string.h>

#include "bscope/abi.h"
#include "target/sites.h"

static const char *const names[BSCOPE_KIND_END] = {
	[BSCOPE_KIND_NEW] = "new",
	[BSCOPE_KIND_DROP] = "drop",
	[BSCOPE_KIND_RESIZE_BEGIN] = "resize_begin",
	[BSCOPE_KIND_RESIZE_END] = "resize_end",
	[BSCOPE_KIND_MOVE] = "move",
	[BSCOPE_KIND_BORROW] = "borrow",
	[BSCOPE_KIND_BORROW_MUT] = "borrow_mut",
	[BSCOPE_KIND_UNBORROW] = "unborrow",
	[BSCOPE_KIND_RETAIN] = "retain",
	[BSCOPE_KIND_RELEASE] = "release",
	[BSCOPE_KIND_USE] = "use",
	[BSCOPE_KIND_REGION_ENTER] = "region_enter",
	[BSCOPE_KIND_REGION_EXIT] = "region_exit",
};

const char *bs_kind_name(unsigned kind)
{
	return kind < BSCOPE_KIND_END ? names[kind] : NULL;
}

unsigned bs_kind_find(const char *name)
{
	for (unsigned kind = 0; kind < BSCOPE_KIND_END; kind++)
		if (names[kind] && !strcmp(names[kind], name))
			return kind;
	return 0;
}
