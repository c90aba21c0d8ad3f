/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * use_after_drop_thread.cc - a thread is given a plain pointer to what a unique_ptr owns; the owner
 * does not wait for it.
 *
 * expect: use-after-drop config at=@borrow since=@drop thread=other
 * expect: use-after-drop config at=@unborrow since=@drop thread=other
 */
#include <future>
#include <memory>
#include <thread>

#include "common.h"

namespace
{

char settings[8];

struct Config {
	char *id = settings;
	Config()
	{
		BSCOPE_NEW(config, id);
	}
	~Config()
	{
		BSCOPE_DROP(config, id); // @drop
	}
};

} // namespace

int main()
{
	std::promise<void> gone;

	wait_for_go();
	auto config = std::make_unique<Config>();
	std::thread reader([id = config->id, &gone] {
		gone.get_future().wait();
		BSCOPE_BORROW(config, id, &gone);   // @borrow
		BSCOPE_UNBORROW(config, id, &gone); // @unborrow
	});
	config.reset();
	apart();
	gone.set_value();
	reader.join();
	return 0;
}
