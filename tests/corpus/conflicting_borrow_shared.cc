/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * conflicting_borrow_shared.cc - a shared_mutex, and a setter that forgot about it, in two threads
 * of which each leaves its guard behind by return.
 *
 * expect: conflicting-borrow settings at=@set since=@get count=2 thread=other
 */
#include <shared_mutex>
#include <thread>

#include "common.h"

namespace
{

class Settings
{
      public:
	Settings()
	{
		BSCOPE_NEW(settings, this);
	}
	~Settings()
	{
		BSCOPE_DROP(settings, this);
	}
	void get(sem_t *began, sem_t *end)
	{
		std::shared_lock hold(mutex);
		BSCOPE_BORROW_SCOPED(settings, this, pthread_self()); // @get
		pass(began);
		take(end);
	}
	void set()
	{
		BSCOPE_BORROW_MUT_SCOPED(settings, this, pthread_self()); // @set
	}

      private:
	std::shared_mutex mutex;
};

} // namespace

int main()
{
	Settings *settings;
	sem_t began, end;

	sem_init(&began, 0, 0);
	sem_init(&end, 0, 0);
	wait_for_go();
	settings = new Settings;
	std::thread setter([&] {
		for (int i = 0; i < 2; i++) {
			take(&began);
			settings->set();
			pass(&end);
		}
	});
	for (int i = 0; i < 2; i++)
		settings->get(&began, &end);
	setter.join();
	delete settings;
	return 0;
}
