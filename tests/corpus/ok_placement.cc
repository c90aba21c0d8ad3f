/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ok_placement.cc - objects are made again in the same place: by placement new, in an optional, in
 * a variant, and of another class.
 *
 * expect: nothing
 */
#include <new>
#include <optional>
#include <variant>

#include "common.h"

namespace
{

template <int kind> struct Thing {
	Thing()
	{
		BSCOPE_NEW(thing, this);
	}
	~Thing()
	{
		BSCOPE_DROP(thing, this);
	}
	char bytes[16];
};

struct Other {
	Other()
	{
		BSCOPE_NEW(other, this);
	}
	~Other()
	{
		BSCOPE_DROP(other, this);
	}
};

} // namespace

int main()
{
	alignas(Thing<0>) static char storage[sizeof(Thing<0>)];
	std::optional<Thing<1>> maybe;
	std::variant<Thing<2>, Other> either;

	wait_for_go();
	for (int i = 0; i < 10; i++) {
		auto *thing = new (storage) Thing<0>;
		BSCOPE_USE(thing, thing, &i);
		thing->~Thing();
		maybe.emplace();
		if (i % 3)
			maybe.reset();
		either.emplace<Other>();
		either.emplace<Thing<2>>();
	}
	return 0;
}
