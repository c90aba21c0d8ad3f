// SPDX-License-Identifier: GPL-2.0-only
/* plugin.c - a library to open and close: allocates for its host, frees what the host gives. */
#include <stdlib.h>
#include <string.h>

char *plugin_make(const char *text);
char *plugin_grow(char *p);
void plugin_free(void *p);

static char *state;
static __thread char local[64];

__attribute__((constructor)) static void start(void)
{
	state = malloc(1000);
}

__attribute__((destructor)) static void stop(void)
{
	free(state);
}

char *plugin_make(const char *text)
{
	strncpy(local, text, sizeof(local) - 1);
	return strdup(local);
}

char *plugin_grow(char *p)
{
	return realloc(p, 3000);
}

void plugin_free(void *p)
{
	free(p);
}
