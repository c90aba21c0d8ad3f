/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * drop_while_borrowed_iterator.cc - an iterator, a scoped borrow in a template, outlives the
 * container by a line.
 *
 * expect: drop-while-borrowed list at=@drop since=@begin count=2
 */
#include <optional>

#include "common.h"

namespace
{

template <typename T> class List
{
      public:
	List()
	{
		BSCOPE_NEW(list, this);
	}
	~List()
	{
		BSCOPE_DROP(list, this); // @drop
	}
	T items[4] = {};
};

template <typename T> T sum()
{
	std::optional<List<T>> list(std::in_place);
	T total = 0;

	BSCOPE_BORROW_SCOPED(list, &*list, &total); // @begin
	for (T item : list->items)
		total += item;
	list.reset();
	return total;
}

} // namespace

int main()
{
	wait_for_go();
	return sum<int>() != 0 || sum<double>() != 0;
}
