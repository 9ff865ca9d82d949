#include "control/cid_hint.h"

#include <stdio.h>

#include "base/log.h"
#include "control/state.h"

enum { HINT_TICKS = 40 }; /* ten seconds */

static void sample_log(const struct path_sample *sample, const struct conf_pool *pool)
{
	char lengths[256] = "";
	size_t used = 0;

	if (pool->layout.scheme == CID_LAYOUT_LEARNED) {
		log_fields(&(struct log_what){ LOG_LEVEL_WARNING, "unknown_cid", pool->name, NULL,
					       LOG_FIELDS(LOG_TEXT("reason", "no server was seen to give it out")) },
			   "a CID that no server was seen to give out: its session is older than cidlb, or it was "
			   "agreed in secret (DTLS 1.3)");
		return;
	}
	if (pool->layout.rotations && !cid_config(&pool->layout, sample->first >> 5)) {
		log_fields(&(struct log_what){ LOG_LEVEL_WARNING, "unknown_cid", pool->name, NULL,
					       LOG_FIELDS(LOG_NUMBER("rotation", sample->first >> 5),
							  LOG_TEXT("reason",
								   "no entry of cid.configs has that rotation")) },
			   "a CID has rotation %u, which no entry of cid.configs has", sample->first >> 5);
		return;
	}
	if (sample->fits) {
		log_fields(
			&(struct log_what){
				LOG_LEVEL_WARNING, "unknown_cid", pool->name, NULL,
				LOG_FIELDS(LOG_TEXT("reason", pool->layout.rotations
								      ? "no backend has its server id: is one missing, "
									"or a key or a length in cid.configs wrong?"
								      : "no backend has its server id: is one missing, "
									"or is cid.offset or cid.size wrong?")) },
			"a CID carries a server id that no backend has: is a backend missing, or is %s wrong?",
			pool->layout.rotations ? "a key or a length in cid.configs" : "cid.offset or cid.size");
		return;
	}
	for (unsigned n = 1; n <= LBCID_MAX_OCTETS; n++)
		if (sample->lengths >> n & 1)
			used += (size_t)snprintf(lengths + used, sizeof lengths - used, "%s%u", used ? ", " : "", n);
	log_fields(&(struct log_what){ LOG_LEVEL_WARNING, "unknown_cid", pool->name, NULL,
				       LOG_FIELDS(LOG_NUMBER("length", cid_length(&pool->layout, sample->first)),
						  LOG_TEXT("fits", used ? lengths : "none"),
						  LOG_TEXT("reason", "the CID has another length")) },
		   "a record does not fit %s %u; lengths that would fit: %s",
		   pool->layout.rotations ? "1 + server_id_length + nonce_length =" : "cid.length",
		   cid_length(&pool->layout, sample->first), used ? lengths : "none");
}

void cid_hint_tick(struct control *control)
{
	if (control->hint_in > 0) {
		control->hint_in--;
		return;
	}
	for (unsigned i = 0; i < control->worker_count; i++) {
		struct path_sample *sample = &control->workers[i]->path.sample;

		if (!atomic_load_explicit(&sample->full, memory_order_acquire))
			continue;
		for (size_t j = 0; j < control->spec.pool_count; j++) {
			if (control->spec.pools[j].uid == sample->pool && control->hint_in == 0) {
				sample_log(sample, &control->conf->pools[j]);
				control->hint_in = HINT_TICKS;
			}
		}
		atomic_store_explicit(&sample->full, false, memory_order_release);
	}
}
