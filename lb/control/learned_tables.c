#include "control/learned_tables.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/log.h"
#include "base/mapped_file.h"
#include "base/pages.h"
#include "common/learned_news.h"
#include "control/state.h"

struct learned_table {
	struct learned learned;
	struct mapped_file file;  /* a copy; none: it is in `pages` alone */
	void *pages;              /* where it is looked up; NULL: in the file */
	size_t octets;            /* of `pages` */
	struct learned_news news; /* of CIDs, for other nodes */
};

static int keep_in_memory(struct learned_table *table, uint32_t max)
{
	uint8_t secret[16];

	table->octets = learned_octets(max);
	table->pages = pages_take_large(table->octets);
	if (!table->pages || getrandom(secret, sizeof secret, 0) != sizeof secret)
		return -ENOMEM;
	learned_begin(&table->learned, table->pages, max, secret);
	return 0;
}

static int keep_in_file(struct learned_table *table, const struct learned_file *file)
{
	const int err = learned_file_open(&table->file, &table->learned, file);

	if (err)
		return err;
	table->octets = table->file.octets;
	table->pages = pages_take_large(table->octets);
	if (table->pages)
		learned_load(&table->learned, table->pages);
	return 0;
}

/* `file->state_file` NULL: in memory. */
static int table_new(struct learned_table **out, const struct learned_file *file)
{
	struct learned_table *table = calloc(1, sizeof *table);

	if (!table)
		return -ENOMEM;
	table->file.fd = -1;
	if ((!file->state_file || keep_in_file(table, file) != 0) && keep_in_memory(table, file->max) != 0) {
		learned_table_free(table);
		return -ENOMEM;
	}
	table->learned.news = &table->news;
	*out = table;
	return 0;
}

void learned_table_free(struct learned_table *table)
{
	if (!table)
		return;
	mapped_file_close(&table->file);
	pages_return(table->pages, table->octets);
	free(table);
}

uint32_t learned_table_room(const struct learned_table *table)
{
	return learned_max_cids(&table->learned);
}

/* How much the pool is to keep; 0: nothing. */
static uint32_t wanted(const struct conf_pool *pool, enum learned_kind kind)
{
	if (kind == LEARNED_SESSIONS)
		return pool->max_resumable;
	return pool->layout.scheme == CID_LAYOUT_LEARNED ? pool->max_cids : 0;
}

static int give(struct control *control, const struct conf *conf, struct table_spec *spec, size_t at)
{
	static const char *const options[LEARNED_KINDS] = { "cid.max_cids", "max_resumable" };
	static const char *const fields[LEARNED_KINDS] = { "max_cids", "max_resumable" };
	struct learned_table **tables = control->pools[spec->pools[at].uid].learned;
	const char *name = conf->pools[at].name;

	for (enum learned_kind kind = 0; kind < LEARNED_KINDS; kind++) {
		const struct learned_file file = { kind, control->began.state_file, name,
						   wanted(&conf->pools[at], kind) };

		if (file.max == 0)
			continue;
		if (!tables[kind] && table_new(&tables[kind], &file))
			return -ENOMEM;
		const uint32_t room = learned_table_room(tables[kind]);

		if (room != file.max)
			log_fields(&(struct log_what){ LOG_LEVEL_INFO, "learned", name, NULL,
						       LOG_FIELDS(LOG_NUMBER(fields[kind], room)) },
				   "%s stays %" PRIu32 " until the next start", options[kind], room);
		spec->learned[at].of[kind] = &tables[kind]->learned;
	}
	return 0;
}

int learned_tables_give(struct control *control, const struct conf *conf, struct table_spec *spec)
{
	int err = 0;

	for (size_t i = 0; !err && i < conf->pool_count; i++)
		err = give(control, conf, spec, i);
	return err;
}

static uint64_t read_count(const _Atomic uint64_t *count)
{
	return atomic_load_explicit(count, memory_order_relaxed);
}

static void watch_cids(struct control_pool *known, const char *name, struct learned *cids)
{
	learned_tidy(cids);
	shortage_tell(&known->learned_evicted, read_count(&cids->counts.evicted), "learned_evicted", name,
		      "more CIDs than cid.max_cids are in use: those that nobody asked for are forgotten, and "
		      "their devices lose their sessions when they come back");
	shortage_tell(&known->learned_refused, read_count(&cids->counts.refused), "learned_refused", name,
		      "servers give out CIDs of more than four lengths: those of a fifth are not learned, and "
		      "their sessions are lost behind the handshake");
}

void learned_tables_watch(struct control *control)
{
	for (size_t i = 0; i < control->spec.pool_count; i++) {
		struct control_pool *known = &control->pools[control->spec.pools[i].uid];
		struct learned_table *cids = known->learned[LEARNED_CIDS];

		if (cids && wanted(&control->conf->pools[i], LEARNED_CIDS))
			watch_cids(known, control->conf->pools[i].name, &cids->learned);
	}
}
