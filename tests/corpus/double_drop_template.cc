/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * double_drop_template.cc - a template whose move constructor forgets to empty what it moves from;
 * two of its instances have one place in the source.
 *
 * expect: double-drop box at=@drop since=@drop count=3
 */
#include <utility>

#include "common.h"

namespace
{

template <typename T> class Box
{
      public:
	explicit Box(T &object) : held(&object)
	{
		BSCOPE_NEW(box, held);
	}
	Box(Box &&other) : held(other.held)
	{
	}
	~Box()
	{
		BSCOPE_DROP(box, held); // @drop
	}

      private:
	T *held;
};

int numbers[2];
double fraction;

template <typename T> void pass_on(T &object)
{
	Box<T> box(object);
	Box<T> next(std::move(box));
}

} // namespace

int main()
{
	wait_for_go();
	pass_on(numbers[0]);
	pass_on(numbers[1]);
	pass_on(fraction);
	return 0;
}
