/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * leak_region_exception.cc - an exception leaves two regions, and what was not in a destructor's
 * care stays behind in the inner one.
 *
 * expect: leak temp at=@inner since=@temp count=2
 */
#include "common.h"

namespace
{

int temps[3], requests[3], steps[3];

void step(int i)
{
	BSCOPE_REGION_SCOPED(step, &steps[i]); // @inner
	BSCOPE_NEW(temp, &temps[i]);	       // @temp
	if (i)
		throw i;
	BSCOPE_DROP(temp, &temps[i]);
}

void request(int i)
{
	BSCOPE_REGION_SCOPED(request, &requests[i]);
	step(i);
}

} // namespace

int main()
{
	wait_for_go();
	for (int i = 0; i < 3; i++) {
		try {
			request(i);
		} catch (int) {
		}
	}
	return 0;
}
