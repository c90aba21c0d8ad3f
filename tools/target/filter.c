// SPDX-License-Identifier: GPL-2.0-only
/* filter.c - which sites to light: the language of -f. */
#include <errno.h>
#include <fnmatch.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "bscope/abi.h"
#include "target/filter.h"
#include "target/module.h"
#include "target/sites.h"

enum key { KEY_KIND, KEY_CLASS, KEY_FILE, KEY_NAME, KEY_COUNT };

static const char *const key_names[KEY_COUNT] = {"kind", "class", "file", "name"};

/* One call's worth: any of its values will do. */
struct clause {
	struct clause *next;
	enum key key;
	uint32_t kinds; /* bit per kind, of KEY_KIND */
	size_t n;
	char **globs;
};

/* All clauses must match. */
struct bs_filter {
	struct clause *clauses;
};

static void clause_free(struct clause *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->n; i++)
		free(c->globs[i]);
	free(c->globs);
	free(c);
}

static int unknown_kind(const char *expr, const char *value, struct bs_error *err)
{
	char all[256] = "";
	size_t at = 0;

	for (unsigned k = 1; k < BSCOPE_KIND_END; k++)
		at += (size_t)snprintf(all + at, sizeof(all) - at, " %s", bs_kind_name(k));
	return bs_error_set(err, -EINVAL, "filter '%s': no kind '%s'; kinds are%s", expr, value,
			    all);
}

static int add_value(struct clause *c, const char *expr, const char *value, struct bs_error *err)
{
	unsigned kind;
	char **globs;

	if (!*value)
		return bs_error_set(err, -EINVAL, "filter '%s': empty value", expr);
	if (c->key == KEY_KIND) {
		kind = bs_kind_find(value);
		if (!kind)
			return unknown_kind(expr, value, err);
		c->kinds |= 1u << kind;
		return 0;
	}
	globs = realloc(c->globs, (c->n + 1) * sizeof(*globs));
	if (!globs)
		return bs_error_set(err, -ENOMEM, "out of memory");
	c->globs = globs;
	globs[c->n] = strdup(value);
	if (!globs[c->n])
		return bs_error_set(err, -ENOMEM, "out of memory");
	c->n++;
	return 0;
}

static int parse(struct clause *c, const char *expr, struct bs_error *err)
{
	const char *eq = strchr(expr, '=');
	char *values, *rest, *value;
	int ret = 0;

	for (c->key = 0; c->key < KEY_COUNT; c->key++)
		if (eq && strlen(key_names[c->key]) == (size_t)(eq - expr) &&
		    !strncmp(expr, key_names[c->key], (size_t)(eq - expr)))
			break;
	if (!eq || c->key == KEY_COUNT)
		return bs_error_set(err, -EINVAL,
				    "filter '%s': give kind=KIND, class=GLOB, file=GLOB or "
				    "name=GLOB (several values: separate them by commas)",
				    expr);
	values = strdup(eq + 1);
	if (!values)
		return bs_error_set(err, -ENOMEM, "out of memory");
	rest = values;
	while (!ret && (value = strsep(&rest, ",")))
		ret = add_value(c, expr, value, err);
	free(values);
	return ret;
}

int bs_filter_add(struct bs_filter **f, const char *expr, struct bs_error *err)
{
	struct clause *c = calloc(1, sizeof(*c));
	int ret;

	if (!c)
		return bs_error_set(err, -ENOMEM, "out of memory");
	ret = parse(c, expr, err);
	if (!ret && !*f) {
		*f = calloc(1, sizeof(**f));
		if (!*f)
			ret = bs_error_set(err, -ENOMEM, "out of memory");
	}
	if (ret) {
		clause_free(c);
		return ret;
	}
	c->next = (*f)->clauses;
	(*f)->clauses = c;
	return 0;
}

void bs_filter_free(struct bs_filter *f)
{
	if (!f)
		return;
	while (f->clauses) {
		struct clause *next = f->clauses->next;

		clause_free(f->clauses);
		f->clauses = next;
	}
	free(f);
}

/* The whole path, or what follows any of its slashes. */
static bool file_match(const char *glob, const char *file)
{
	for (;;) {
		if (!fnmatch(glob, file, 0))
			return true;
		file = strchr(file, '/');
		if (!file)
			return false;
		file++;
	}
}

static bool clause_match(const struct clause *c, const struct bs_site *site)
{
	for (size_t i = 0; i < c->n; i++) {
		bool yes = false;

		switch (c->key) {
		case KEY_CLASS:
			yes = !fnmatch(c->globs[i], site->klass, 0);
			break;
		case KEY_FILE:
			yes = file_match(c->globs[i], site->file);
			break;
		case KEY_NAME:
			yes = !fnmatch(c->globs[i], site->name, 0);
			break;
		case KEY_KIND:
		case KEY_COUNT:
			break;
		}
		if (yes)
			return true;
	}
	return c->key == KEY_KIND && site->kind < 32 && (c->kinds >> site->kind & 1);
}

bool bs_filter_match(const struct bs_filter *f, const struct bs_site *site)
{
	if (!f)
		return true;
	for (const struct clause *c = f->clauses; c; c = c->next)
		if (!clause_match(c, site))
			return false;
	return true;
}
