/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * leak_owner_container.cc - containers of pointers are destroyed, and what they point to is not,
 * for two kinds of elements.
 *
 * expect: leak element at=@drop since=@add count=4
 */
#include <vector>

#include "common.h"

namespace
{

template <typename T> class Bag
{
      public:
	Bag()
	{
		BSCOPE_NEW(bag, this);
	}
	~Bag()
	{
		BSCOPE_DROP(bag, this); // @drop
	}
	void add(T *element)
	{
		BSCOPE_MOVE(element, element, this); // @add
		elements.push_back(element);
	}

      private:
	std::vector<T *> elements;
};

template <typename T> void fill()
{
	static T values[2];
	Bag<T> bag;

	for (T &value : values) {
		BSCOPE_NEW(element, &value);
		bag.add(&value);
	}
}

} // namespace

int main()
{
	wait_for_go();
	fill<int>();
	fill<double>();
	return 0;
}
