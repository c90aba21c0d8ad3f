/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * use_after_drop_view.cc - a view of a temporary is read after the temporary is gone.
 *
 * expect: use-after-drop text at=@use since=@drop count=2
 */
#include "common.h"

namespace
{

char storage[2][16];

class Text
{
      public:
	explicit Text(int n) : chars(storage[n])
	{
		BSCOPE_NEW_SIZED(text, chars, sizeof(storage[n]));
	}
	~Text()
	{
		BSCOPE_DROP(text, chars); // @drop
	}
	const char *chars;
};

struct View {
	const char *chars;
	explicit View(const Text &text) : chars(text.chars)
	{
	}
	char first() const
	{
		BSCOPE_USE(text, chars, this); // @use
		return *chars;
	}
};

} // namespace

int main()
{
	wait_for_go();
	for (int i = 0; i < 2; i++) {
		View view{Text(i)};
		if (view.first())
			return 1;
	}
	return 0;
}
