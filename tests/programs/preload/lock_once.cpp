// SPDX-License-Identifier: GPL-2.0-only
// lock_once.cpp - C++ locks; a routine of call_once that is left by an exception, and run again by
// another thread.
#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <shared_mutex>
#include <stdexcept>
#include <thread>

static std::once_flag flag;
static std::mutex lock;
static std::recursive_mutex again;
static std::shared_mutex shared;
static std::condition_variable changed;
static int step;

int main()
{
	for (int i = 0; i < 3; i++)
		std::thread([i] {
			try {
				std::call_once(flag, [i] {
					std::printf("run %d\n", i);
					if (i < 2)
						throw std::runtime_error("not yet");
				});
				std::printf("done %d\n", i);
			} catch (const std::runtime_error &e) {
				std::printf("left %d: %s\n", i, e.what());
			}
		}).join();
	std::thread waiter([] {
		std::unique_lock<std::mutex> l(lock);
		changed.wait(l, [] { return step == 3; });
		std::puts("waited");
	});
	for (int i = 0; i < 3; i++) {
		std::lock_guard<std::recursive_mutex> r(again);
		std::lock_guard<std::recursive_mutex> r2(again);
		std::shared_lock<std::shared_mutex> s(shared);
		std::lock_guard<std::mutex> l(lock);
		step++;
		changed.notify_all();
	}
	waiter.join();
	std::unique_lock<std::shared_mutex> w(shared);
	std::puts("end");
}
