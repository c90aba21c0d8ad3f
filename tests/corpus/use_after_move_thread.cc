/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * use_after_move_thread.cc - a buffer is moved into a thread's lambda; its first owner kept the
 * pointer.
 *
 * expect: use-after-move buf at=@peek since=@move count=2
 */
#include <memory>
#include <thread>
#include <utility>

#include "common.h"

namespace
{

struct Buf {
	int used = 0;
	Buf()
	{
		BSCOPE_NEW_SIZED(buf, this, sizeof(*this));
	}
	~Buf()
	{
		BSCOPE_DROP(buf, this);
	}
};

} // namespace

int main()
{
	sem_t filled, done;
	char writer, owner;

	sem_init(&filled, 0, 0);
	sem_init(&done, 0, 0);
	wait_for_go();
	auto buf = std::make_unique<Buf>();
	Buf *kept = buf.get();
	BSCOPE_USE(buf, kept, &owner);
	BSCOPE_MOVE(buf, kept, &writer); // @move
	std::thread thread([buf = std::move(buf), &writer, &filled, &done] {
		BSCOPE_USE(buf, buf.get(), &writer);
		buf->used = 1;
		pass(&filled);
		take(&done);
	});
	take(&filled);
	for (int i = 0; i < 2; i++)
		BSCOPE_USE(buf, kept, &owner); // @peek
	pass(&done);
	thread.join();
	return 0;
}
