/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * conflicting_borrow_guard.cc - guards in a template: a value is written while it is read, and read
 * while it is written, by closures that are called under the guards.
 *
 * expect: conflicting-borrow cell at=@write since=@read
 * expect: conflicting-borrow cell at=@read since=@write count=2
 */
#include "common.h"

namespace
{

template <typename T> class Cell
{
      public:
	template <typename F> void read(F f)
	{
		char reader;
		BSCOPE_BORROW_SCOPED(cell, this, &reader); // @read
		f(value);
	}
	template <typename F> void write(F f)
	{
		char writer;
		BSCOPE_BORROW_MUT_SCOPED(cell, this, &writer); // @write
		f(value);
	}

      private:
	T value{};
};

Cell<int> number;
Cell<double> fraction;

} // namespace

int main()
{
	wait_for_go();
	number.read([](int) { fraction.write([](double &d) { d = 1; }); });
	number.read([](int) { number.write([](int &i) { i = 1; }); });
	number.write([](int &) { number.read([](int) {}); });
	fraction.write([](double &) { fraction.read([](double) {}); });
	fraction.read([](double) { fraction.read([](double) {}); });
	return 0;
}
