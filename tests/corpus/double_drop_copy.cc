/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * double_drop_copy.cc - a class with a destructor and the copy constructor that the compiler made:
 * each of three copies closes the file.
 *
 * expect: double-drop net::file at=@drop since=@drop count=2
 */
#include "common.h"

namespace
{

int handles[1];

class File
{
      public:
	File() : handle(&handles[0])
	{
		BSCOPE_NEW(net::file, handle);
	}
	~File()
	{
		BSCOPE_DROP(net::file, handle); // @drop
	}

      private:
	int *handle;
};

void print(File)
{
}

} // namespace

int main()
{
	wait_for_go();
	File file;
	File copy = file;
	print(copy);
	return 0;
}
