#include "control/learned_tables.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/log.h"
#include "base/mapped_file.h"
#include "base/pages.h"
#include "control/learned_file.h"
#include "control/state.h"

struct learned_table {
	struct learned cids;
	struct mapped_file file; /* none: they are in `pages` */
	void *pages;
	size_t octets; /* of `pages` */
};

static int keep_in_memory(struct learned_table *table, uint32_t max_cids)
{
	uint8_t secret[16];

	table->octets = learned_octets(max_cids);
	table->pages = pages_take(table->octets);
	if (!table->pages || getrandom(secret, sizeof secret, 0) != sizeof secret)
		return -ENOMEM;
	learned_begin(&table->cids, table->pages, max_cids, secret);
	return 0;
}

/* `state_file` NULL: in memory. */
static int table_new(struct learned_table **out, const char *state_file, const struct conf_pool *pool)
{
	struct learned_table *table = calloc(1, sizeof *table);

	if (!table)
		return -ENOMEM;
	table->file.fd = -1;
	if ((!state_file ||
	     learned_file_open(&table->file, &table->cids, state_file, pool->name, pool->max_cids) != 0) &&
	    keep_in_memory(table, pool->max_cids) != 0) {
		learned_table_free(table);
		return -ENOMEM;
	}
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

struct learned *learned_table_cids(struct learned_table *table)
{
	return &table->cids;
}

uint32_t learned_table_room(const struct learned_table *table)
{
	return learned_max_cids(&table->cids);
}

int learned_tables_give(struct control *control, const struct conf *conf, struct table_spec *spec)
{
	for (size_t i = 0; i < conf->pool_count; i++) {
		struct learned_table **table = &control->pools[spec->pools[i].uid].learned;

		if (conf->pools[i].layout.scheme != CID_LAYOUT_LEARNED)
			continue;
		if (!*table && table_new(table, control->began.state_file, &conf->pools[i]))
			return -ENOMEM;
		const uint32_t room = learned_table_room(*table);

		if (room != conf->pools[i].max_cids)
			log_fields(&(struct log_what){ LOG_LEVEL_INFO, "learned", conf->pools[i].name, NULL,
						       LOG_FIELDS(LOG_NUMBER("max_cids", room)) },
				   "cid.max_cids stays %" PRIu32 " until the next start", room);
		spec->learned[i] = &(*table)->cids;
	}
	return 0;
}

static uint64_t read_count(const _Atomic uint64_t *count)
{
	return atomic_load_explicit(count, memory_order_relaxed);
}

void learned_tables_watch(struct control *control)
{
	for (size_t i = 0; i < control->spec.pool_count; i++) {
		struct control_pool *known = &control->pools[control->spec.pools[i].uid];
		const char *name = control->conf->pools[i].name;
		struct learned *cids;

		if (!known->learned || control->conf->pools[i].layout.scheme != CID_LAYOUT_LEARNED)
			continue;
		cids = &known->learned->cids;
		learned_tidy(cids);
		shortage_tell(&known->learned_evicted, read_count(&cids->counts.evicted), "learned_evicted", name,
			      "more CIDs than cid.max_cids are in use: those that nobody asked for are forgotten, and "
			      "their devices lose their sessions when they come back");
		shortage_tell(&known->learned_refused, read_count(&cids->counts.refused), "learned_refused", name,
			      "servers give out CIDs of more than four lengths: those of a fifth are not learned, and "
			      "their sessions are lost behind the handshake");
	}
}
