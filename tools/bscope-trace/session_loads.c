/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * session_loads.c - libraries that are loaded, and programs that are executed, while they are
 * traced.
 *
 * Who looks some times a second finds them some time after they have begun to work.  What they do
 * until then is not seen, and what others do with the same objects looks wrong: one that a plugin
 * has made anew is dropped twice.  So the model is told before it gets the marks.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uthash.h>

#include "base/clock.h"
#include "base/error.h"
#include "bscope-trace/options.h"
#include "bscope-trace/session_state.h"
#include "collect/collect.h"
#include "collect/loads.h"
#include "model/model.h"
#include "target/module.h"
#include "target/process.h"
#include "target/sites.h"

/* Roots of processes in which a file is searched for by its path. */
#define ROOTS_MAX 8
/* Longer than marks of the program before an exec, or of a process that has ended, are held. */
#define HELD_NS NS_PER_S
/* A process is looked at for a tenth of the time at most; what it has done since has to wait. */
#define LOOK_SHARE  10u
#define LOOK_MAX_NS (200 * NS_PER_MS)

struct file_key {
	dev_t dev;
	ino_t ino;
	uint64_t generation;
};
_Static_assert(sizeof(struct file_key) == 24, "no padding between what is compared");

/* One that was looked at. */
struct file {
	struct file_key key;
	UT_hash_handle hh;
};

/* Somebody has mapped a file, and what its sites say may be missing. */
struct load {
	pid_t pid;
	struct bs_process *p; /* NULL: it is to be asked for after the next reading of the ring */
	struct file_key key;
	char *path;
};

struct bs_session_loads {
	struct bs_loads *loads;
	struct file *files;
	struct load *v;
	size_t n, cap;
	uint64_t read_ns; /* when the records were read last; CLOCK_MONOTONIC */
	uint64_t hold_ns; /* nothing from then on may be judged; 0: all may */
};

static bool file_looked_at(const struct bs_session *s, const struct file_key *key)
{
	struct file *f;

	HASH_FIND(hh, s->loads->files, key, sizeof(*key), f);
	return f;
}

static int file_add(struct bs_session *s, const struct load *load)
{
	struct file *f;

	if (file_looked_at(s, &load->key))
		return 0;
	f = calloc(1, sizeof(*f));
	if (!f)
		return -ENOMEM;
	f->key = load->key;
	HASH_ADD(hh, s->loads->files, key, sizeof(f->key), f);
	return 0;
}

static const struct bs_module *module_of(const struct bs_session *s, const struct file_key *key)
{
	for (size_t i = 0; i < s->nmodules; i++) {
		const struct bs_module *m = s->modules[i];

		if (m->nsites && m->ino == key->ino && !bs_file_is(m->fd, key->dev, key->ino))
			return m;
	}
	return NULL;
}

int bs_session_loads_new(struct bs_session *s)
{
	struct bs_session_loads *l = calloc(1, sizeof(*l));
	int ret;

	if (!l)
		return -ENOMEM;
	ret = bs_loads_new(&l->loads);
	if (ret) {
		free(l);
		s->no_loads = strerror(-ret);
		return ret == -ENOMEM ? ret : 0;
	}
	l->read_ns = bs_now_ns();
	s->loads = l;
	return 0;
}

static void loads_clear(struct bs_session_loads *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->v[i].path);
	l->n = 0;
}

void bs_session_loads_free(struct bs_session *s)
{
	struct bs_session_loads *l = s->loads;
	struct file *f, *next;

	if (!l)
		return;
	HASH_ITER (hh, l->files, f, next) {
		HASH_DEL(l->files, f);
		free(f);
	}
	loads_clear(l);
	free(l->v);
	bs_loads_free(l->loads);
	free(l);
	s->loads = NULL;
}

/*
 * Of what is not lit there are no marks, and when it is lit all that it has is looked at first.
 * Traps are in the file, for whoever maps it; jumps in the process.  A file that another process
 * brought in, or that had gone when it was looked at, may have no traps yet.
 */
static bool may_miss(const struct bs_session *s, enum bs_lit how, const struct bs_module *m,
		     bool looked_at)
{
	if (how == BS_LIT_NONE)
		return false;
	if (how == BS_LIT_TRAP && m)
		return bs_lighting_lacks_traps(&s->lighting, m);
	/* A program comes with an exec, which ends jumps. */
	return m ? how == BS_LIT_JUMP && !m->program : !looked_at;
}

static bool may_be_missing(const struct bs_session *s, const struct bs_process *p,
			   const struct file_key *key)
{
	const struct bs_module *m = module_of(s, key);
	bool looked_at = file_looked_at(s, key);

	return may_miss(s, p->how, m, looked_at) ||
	       (bs_now_ns() - p->how_last_ns < HELD_NS && may_miss(s, p->how_last, m, looked_at));
}

/* Memory that has an inode, and no name by which anybody could load it. */
static bool is_no_file(const char *path)
{
	return !strcmp(path, "/dev/zero (deleted)") || !strncmp(path, "/SYSV", 5) ||
	       !strncmp(path, "/anon_hugepage", 14);
}

static int load_skip(void *ctx, const struct bs_load *load)
{
	(void)ctx;
	(void)load;
	return 0;
}

int bs_session_loads_skip(struct bs_session *s)
{
	bool lost;

	return s->loads ? bs_loads_read(s->loads->loads, load_skip, NULL, &lost) : 0;
}

static int load_add(struct bs_session_loads *l, pid_t pid, struct bs_process *p,
		    const struct file_key *key, const char *path)
{
	if (l->n == l->cap) {
		size_t cap = l->cap ? l->cap * 2 : 16;
		struct load *v = reallocarray(l->v, cap, sizeof(*v));

		if (!v)
			return -ENOMEM;
		l->v = v;
		l->cap = cap;
	}
	l->v[l->n] = (struct load){pid, p, *key, strdup(path)};
	return l->v[l->n].path ? (l->n++, 0) : -ENOMEM;
}

static int load_note(void *ctx, const struct bs_load *load)
{
	const struct file_key key = {load->dev, load->ino, load->generation};
	struct bs_session *s = ctx;
	struct bs_process *p = bs_followed_find(&s->followed, load->pid);

	if (is_no_file(load->path) || (p && !may_be_missing(s, p, &key)))
		return 0;
	return load_add(s->loads, load->pid, p, &key, load->path);
}

/* Those whose fork had not been read yet: now it has, or they are nobody's that is followed. */
static void loads_resolve(struct bs_session *s)
{
	struct bs_session_loads *l = s->loads;
	size_t kept = 0;

	for (size_t i = 0; i < l->n; i++) {
		struct load *load = &l->v[i];
		bool known = load->p;

		if (!known)
			load->p = bs_followed_find(&s->followed, load->pid);
		if (known || (load->p && may_be_missing(s, load->p, &load->key)))
			l->v[kept++] = *load;
		else
			free(load->path);
	}
	l->n = kept;
}

static bool is_mapped(const struct bs_maps *maps, const struct load *load)
{
	for (size_t i = 0; i < maps->n; i++)
		if (maps->v[i].dev == load->key.dev && maps->v[i].ino == load->key.ino)
			return true;
	return false;
}

/* The process has gone, or the library again: the file by its path, as a process sees it. */
static int path_open(const struct load *load, pid_t pid)
{
	int root = pid ? bs_process_root(pid) : open("/", O_PATH | O_DIRECTORY | O_CLOEXEC), fd;

	if (root < 0)
		return -errno;
	fd = bs_root_open(root, load->path);
	close(root);
	if (fd >= 0 && bs_file_is(fd, load->key.dev, load->key.ino)) {
		close(fd);
		fd = -ESTALE;
	}
	return fd;
}

static int path_open_anywhere(const struct bs_session *s, const struct load *load)
{
	int fd = path_open(load, 0);
	unsigned roots = 0;

	for (size_t i = s->followed.n; fd < 0 && i-- > 0 && roots < ROOTS_MAX;) {
		if (!s->followed.v[i]->alive)
			continue;
		roots++;
		fd = path_open(load, s->followed.v[i]->pid);
	}
	return fd;
}

/* What its sites said was not seen.  1: it is known now; 0: it is not; or -ENOMEM. */
static int path_look(struct bs_session *s, const struct load *load, bool light)
{
	uint32_t first = bs_sites_count(s->sites) + 1;
	int fd = path_open_anywhere(s, load), ret;
	struct bs_module *m = NULL;
	struct bs_error err = {0};

	if (fd < 0)
		return 0;
	ret = bs_module_read(fd, load->path, &m, &err);
	if (ret) {
		close(fd);
		/* It is no ELF file, say: then it has no sites. */
		return ret == -ENOMEM ? ret : 1;
	}
	if (!m->nsites) {
		bs_module_free(m);
		return 1;
	}
	ret = bs_session_late(s, m, &err);
	/* It may come back.  If that fails it lacks traps, and is looked at again then. */
	if (!ret && light && s->lighting.trapped && bs_lighting_traps(&s->lighting, &err))
		bs_session_trouble(s, &err);
	return ret ? ret : (bs_session_classes(s, first, bs_now_ns()) ? -ENOMEM : 1);
}

/* It does not run any more.  0 or -ENOMEM. */
static int gone_look(struct bs_session *s, const struct load *load, bool light)
{
	int ret;

	/* They were dark in that process. */
	if (module_of(s, &load->key))
		return bs_session_classes(s, 1, bs_now_ns());
	ret = path_look(s, load, light);
	if (ret > 0)
		return file_add(s, load);
	if (!ret) {
		bs_model_loss(s->model, bs_now_ns(), 0);
		s->nunread++;
	}
	return ret;
}

enum { NOT_LIT = 1, NOT_LOOKED = 2 };

static bool too_soon(const struct bs_process *p)
{
	uint64_t pause_ns = p->look_cost_ns * LOOK_SHARE;

	return bs_now_ns() - p->looked_ns < (pause_ns < LOOK_MAX_NS ? pause_ns : LOOK_MAX_NS);
}

/* Those of one process, n of them.  0; NOT_LIT, NOT_LOOKED: not yet; or -ENOMEM. */
static int loads_look(struct bs_session *s, const struct load *v, size_t n, bool light)
{
	struct bs_maps maps = {0};
	int looked = -ESRCH, ret = 0;

	if (v->p->alive && bs_collect_traces(s->collect, v->p->pid)) {
		if (light && too_soon(v->p))
			return NOT_LOOKED;
		looked = bs_session_look(s, v->p, light);
	}
	if (looked == -ENOMEM)
		return looked;
	if (looked > 0) {
		bs_model_loss(s->model, bs_now_ns(), 0);
		return NOT_LIT;
	}
	/* Who has looked at all that it maps has seen what is mapped still. */
	if (!looked && bs_maps_read(v->p->pid, &maps, NULL))
		memset(&maps, 0, sizeof(maps));
	for (size_t i = 0; i < n && !ret; i++)
		ret = light && is_mapped(&maps, &v[i]) ? file_add(s, &v[i])
						       : gone_look(s, &v[i], light);
	bs_maps_fini(&maps);
	return ret;
}

/* Some were not told of, of whatever process. */
static int all_look(struct bs_session *s, bool light)
{
	const struct file_key key = {0};
	int ret = 0;

	bs_model_loss(s->model, bs_now_ns(), 0);
	s->nloads_lost++;
	for (size_t i = 0; i < s->followed.n && ret != -ENOMEM; i++) {
		struct bs_process *p = s->followed.v[i];

		if (!p->alive || p->how == BS_LIT_NONE || p->how == BS_LIT_SHARES)
			continue;
		ret = bs_session_look(s, p, light);
		/* What could not be lit just now: until it is. */
		if (ret > 0)
			ret = load_add(s->loads, p->pid, p, &key, "");
	}
	return ret == -ENOMEM ? ret : 0;
}

int bs_session_loads(struct bs_session *s, bool light)
{
	struct bs_session_loads *l = s->loads;
	bool lost = false, waits = false;
	uint64_t before_ns;
	size_t kept = 0;
	int ret;

	if (!l)
		return 0;
	loads_resolve(s);
	before_ns = l->read_ns;
	l->read_ns = bs_now_ns();
	ret = bs_loads_read(l->loads, load_note, s, &lost);
	for (size_t i = 0, n; i < l->n; i += n) {
		int done = ret;

		for (n = 1; i + n < l->n && l->v[i + n].p == l->v[i].p;)
			n++;
		if (!ret)
			done = l->v[i].p ? loads_look(s, &l->v[i], n, light) : NOT_LIT;
		waits |= done == NOT_LOOKED;
		for (size_t k = i; k < i + n; k++) {
			if (done > 0)
				l->v[kept++] = l->v[k];
			else
				free(l->v[k].path);
		}
		ret = done < 0 ? done : ret;
	}
	l->n = kept;
	/* What is told of now was mapped after what had been told of by then. */
	if (!waits)
		l->hold_ns = 0;
	else if (!l->hold_ns)
		l->hold_ns = before_ns;
	return ret || !lost ? ret : all_look(s, light);
}

uint64_t bs_session_loads_hold(const struct bs_session *s)
{
	return s->loads && s->loads->hold_ns ? s->loads->hold_ns : UINT64_MAX;
}
