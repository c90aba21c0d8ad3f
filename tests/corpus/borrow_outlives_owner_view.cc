/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * borrow_outlives_owner_view.cc - views of a container do not end their borrows when they are
 * destroyed; the container goes with these borrows in force.
 *
 * expect: borrow-outlives-owner net::table at=@view since=@borrow count=2
 * expect: drop-while-borrowed net::table at=@table since=@borrow
 */
#include "common.h"

namespace
{

class Table
{
      public:
	Table()
	{
		BSCOPE_NEW(net::table, this);
	}
	~Table()
	{
		BSCOPE_DROP(net::table, this); // @table
	}
};

class View
{
      public:
	explicit View(const Table &table)
	{
		BSCOPE_NEW(net::view, this);
		BSCOPE_BORROW(net::table, &table, this); // @borrow
	}
	~View()
	{
		BSCOPE_DROP(net::view, this); // @view
	}
};

} // namespace

int main()
{
	wait_for_go();
	Table table;
	View one(table), two(table);
	return 0;
}
