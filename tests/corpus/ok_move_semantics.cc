/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ok_move_semantics.cc - handles are moved by constructor, by assignment, by swap and by a vector
 * that grows; each is used by the handle that has it.
 *
 * expect: nothing
 */
#include <utility>
#include <vector>

#include "common.h"

namespace
{

class Handle
{
      public:
	Handle() : raw(new int())
	{
		BSCOPE_NEW_SIZED(handle, raw, sizeof(*raw));
		BSCOPE_MOVE(handle, raw, this);
	}
	Handle(Handle &&other) noexcept : raw(std::exchange(other.raw, nullptr))
	{
		if (raw)
			BSCOPE_MOVE(handle, raw, this);
	}
	Handle &operator=(Handle &&other) noexcept
	{
		if (this != &other) {
			drop();
			raw = std::exchange(other.raw, nullptr);
			if (raw)
				BSCOPE_MOVE(handle, raw, this);
		}
		return *this;
	}
	~Handle()
	{
		drop();
	}
	void use()
	{
		if (!raw)
			return;
		BSCOPE_USE(handle, raw, this);
		++*raw;
	}

      private:
	void drop()
	{
		if (!raw)
			return;
		BSCOPE_DROP(handle, raw);
		delete raw;
	}
	int *raw;
};

} // namespace

int main()
{
	std::vector<Handle> handles;

	wait_for_go();
	for (int i = 0; i < 20; i++) {
		handles.emplace_back();
		for (Handle &h : handles)
			h.use();
	}
	std::swap(handles[0], handles[7]);
	handles[3] = std::move(handles[12]);
	handles.erase(handles.begin() + 5);
	for (Handle &h : handles)
		h.use();
	return 0;
}
