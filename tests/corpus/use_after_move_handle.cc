/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * use_after_move_handle.cc - a move constructor leaves its source as it was, and the source is
 * used.
 *
 * expect: use-after-move handle at=@use since=@move
 */
#include <utility>

#include "common.h"

namespace
{

int resource;

class Handle
{
      public:
	Handle() : raw(&resource)
	{
		BSCOPE_NEW(handle, raw);
		BSCOPE_MOVE(handle, raw, this);
	}
	Handle(Handle &&other) : raw(other.raw)
	{
		BSCOPE_MOVE(handle, raw, this); // @move
		other.owns = false;
	}
	~Handle()
	{
		if (owns)
			BSCOPE_DROP(handle, raw);
	}
	void write()
	{
		BSCOPE_USE(handle, raw, this); // @use
		++*raw;
	}

      private:
	int *raw;
	bool owns = true;
};

} // namespace

int main()
{
	wait_for_go();
	Handle first;
	first.write();
	Handle second(std::move(first));
	second.write();
	first.write();
	return 0;
}
