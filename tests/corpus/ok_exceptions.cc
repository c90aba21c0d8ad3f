/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ok_exceptions.cc - exceptions go through scoped borrows, regions and owners of objects, are
 * caught, thrown again and nested: all ends as it should.
 *
 * expect: nothing
 */
#include <memory>

#include "common.h"

namespace
{

struct Thing {
	Thing()
	{
		BSCOPE_NEW(thing, this);
	}
	~Thing()
	{
		BSCOPE_DROP(thing, this);
	}
};

void work(Thing *table, int depth, int fail_at)
{
	auto thing = std::make_unique<Thing>();
	BSCOPE_REGION_SCOPED(work, &depth);
	BSCOPE_BORROW_SCOPED(thing, table, &depth);
	auto inside = std::make_unique<Thing>();

	if (depth == fail_at)
		throw depth;
	if (depth == 6)
		return;
	try {
		work(table, depth + 1, fail_at);
	} catch (int at) {
		BSCOPE_BORROW_SCOPED(thing, inside.get(), &at);
		if (at - depth > 2)
			throw;
		if (at % 2)
			throw at + 1;
	}
}

} // namespace

int main()
{
	wait_for_go();
	Thing table;
	for (int i = 0; i < 8; i++) {
		try {
			work(&table, 0, i);
		} catch (int) {
		}
		BSCOPE_BORROW_MUT_SCOPED(thing, &table, &i);
	}
	return 0;
}
