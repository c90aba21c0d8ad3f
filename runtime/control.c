/* SPDX-License-Identifier: MIT */
/* control.c - the control block, and what happens when the library is loaded. */
#include <errno.h>

#include "runtime/runtime.h"

struct bscope_control bs_control = {
	.abi = BSCOPE_CONTROL_ABI,
	.size = sizeof(struct bscope_control),
	.follow_base = 1 << BSCOPE_FOLLOW_UNIT_BITS,
	.entries = {(uintptr_t)bscope_record, (uintptr_t)bscope_record2, (uintptr_t)bscope_record3},
};

BS_PUBLIC const struct bscope_control *bscope_control(void)
{
	return &bs_control;
}

__attribute__((constructor(101))) static void start(void)
{
	int saved = errno; /* of whoever calls dlopen */

	bs_pool_reserve();
	__atomic_store_n(&bs_control.started, 1, __ATOMIC_RELEASE);
	errno = saved;
}
