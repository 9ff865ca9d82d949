#include "bench/programs/churn/sim_priv.h"

#include "bench/lib/dice.h"

/* Sessions in a row, settled together. */
struct block {
	uint32_t first, count;
	uint32_t sessions[CIDLB_BATCH];
	struct addr sources[CIDLB_BATCH];
	uint64_t hashes[CIDLB_BATCH];
};

struct addr sim_source(uint32_t session, uint32_t epoch)
{
	struct dice dice = { (uint64_t)session << 32 | epoch };
	const uint64_t roll = dice_roll(&dice);
	struct addr source = { .ip = { [10] = 0xff, [11] = 0xff },
			       .port = (uint16_t)(1024 + (roll >> 32) % (UINT16_MAX - 1023)) };

	for (int i = 0; i < 4; i++)
		source.ip[12 + i] = (uint8_t)(roll >> 8 * i);
	source.ip[12] = (uint8_t)(1 + source.ip[12] % 223); /* no multicast */
	return source;
}

static void block_begin(struct block *block, const struct sim *sim, uint32_t first)
{
	const uint32_t left = sim->settings.sessions - first;

	block->first = first;
	block->count = left < CIDLB_BATCH ? left : CIDLB_BATCH;
}

static void block_fill(struct block *block, uint32_t epoch)
{
	for (uint32_t i = 0; i < block->count; i++) {
		block->sessions[i] = block->first + i;
		block->sources[i] = sim_source(block->first + i, epoch);
	}
}

/* For contenders that decide by the source. */
static void block_hash(struct block *block, const struct sim *sim)
{
	for (uint32_t i = 0; i < block->count; i++)
		block->hashes[i] = cidlb_hash(sim->cidlb, &block->sources[i]);
}

static inline uint16_t by_table(const struct sim_table *table, uint64_t hash)
{
	return table->owner[table->table.slot(&table->table, hash)];
}

/* Where new sessions go. */
static void block_new(uint16_t *to, const struct block *block, const struct sim *sim, enum sim_contender contender)
{
	const struct sim_table *table = &sim->tables[contender == SIM_CONNECTIONS ? SIM_MAGLEV : contender];

	if (contender == SIM_BY_CID) {
		cidlb_route_hellos(sim->cidlb, to, block->sources, block->count);
		return;
	}
	for (uint32_t i = 0; i < block->count; i++)
		to[i] = by_table(table, block->hashes[i]);
}

/* Where the sessions go that are there. */
static void block_known(uint16_t *to, const struct block *block, const struct sim *sim, enum sim_contender contender,
			const struct sim_pass *pass)
{
	const uint16_t *homes = sim->homes[contender] + block->first;

	if (contender == SIM_BY_CID) {
		const struct cidlb_records records = { homes, block->sessions, block->sources, block->count };
		cidlb_route_cids(sim->cidlb, to, &records);
		return;
	}
	block_new(to, block, sim, contender);
	if (contender != SIM_CONNECTIONS || pass->moves || pass->node)
		return;
	/* The table has the connection, as long as its server is there. */
	for (uint32_t i = 0; i < block->count; i++) {
		if (sim->serves[homes[i]])
			to[i] = homes[i];
	}
}

static void block_settle(const struct block *block, struct sim *sim, enum sim_contender contender,
			 const struct sim_pass *pass, struct sim_count *count)
{
	uint16_t *homes = sim->homes[contender] + block->first;
	uint8_t *broken = sim->broken + block->first;
	uint16_t to[CIDLB_BATCH], anew[CIDLB_BATCH];
	const bool differs = contender == SIM_BY_CID || contender == SIM_CONNECTIONS; /* new sessions from known ones */
	bool have_new = false;

	block_known(to, block, sim, contender, pass);
	for (uint32_t i = 0; i < block->count; i++) {
		const bool gone = sim->gone[homes[i]];
		if (!gone && to[i] == homes[i])
			continue;
		count->unavoidable += gone;
		count->needless += !gone;
		if (!gone)
			broken[i] = (uint8_t)(broken[i] | 1u << contender);
		if (differs && !have_new)
			block_new(anew, block, sim, contender);
		have_new = true;
		homes[i] = differs ? anew[i] : to[i];
	}
}

/* True if something may change for a session of the block whose address is what it was. */
static bool block_changes(const struct block *block, const struct sim *sim, enum sim_contender contender,
			  const struct sim_pass *pass)
{
	const uint16_t *homes = sim->homes[contender] + block->first;
	bool changes = false;

	if (contender == SIM_CONNECTIONS ? pass->node : pass->all)
		return true;
	for (uint32_t i = 0; i < block->count; i++)
		changes |= contender == SIM_CONNECTIONS ? !sim->serves[homes[i]]
							: sim->gone[homes[i]] || !sim->led[homes[i]];
	return changes;
}

void sim_pass_first(struct sim *sim, enum sim_addresses addresses)
{
	struct block block;

	for (uint32_t first = 0; first < sim->settings.sessions; first += CIDLB_BATCH) {
		block_begin(&block, sim, first);
		block_fill(&block, 0);
		block_hash(&block, sim);
		for (enum sim_contender i = 0; i < SIM_CONTENDERS; i++) {
			if (addresses == SIM_ADDRESSES_MOVE || i == SIM_BY_CID || i == SIM_CONNECTIONS)
				block_new(sim->homes[i] + first, &block, sim, i);
		}
	}
}

/* Notes whether a CID of each server leads to it. The decision depends on the server id in it alone, so that is true of
 * all sessions of the server. */
static uint64_t pass_ids(struct sim *sim)
{
	const struct addr source = sim_source(0, 0);

	for (uint16_t i = 0; i < sim->settings.members; i++) {
		uint16_t to;
		const struct cidlb_records one = { &i, &(uint32_t){ i }, &source, 1 };
		cidlb_route_cids(sim->cidlb, &to, &one);
		sim->led[i] = to == i;
	}
	return sim->settings.members;
}

uint64_t sim_pass_sessions(struct sim *sim, struct sim_count count[SIM_CONTENDERS], const struct sim_pass *pass)
{
	uint64_t routed = pass_ids(sim);
	struct block block;

	for (uint32_t first = 0; first < sim->settings.sessions; first += CIDLB_BATCH) {
		block_begin(&block, sim, first);
		const bool by_cid = pass->moves || block_changes(&block, sim, SIM_BY_CID, pass);
		const bool others = pass->moves || block_changes(&block, sim, SIM_CONNECTIONS, pass);
		if (!by_cid && !others)
			continue;
		block_fill(&block, pass->epoch);
		if (others)
			block_hash(&block, sim);
		if (by_cid) {
			block_settle(&block, sim, SIM_BY_CID, pass, &count[SIM_BY_CID]);
			routed += block.count;
		}
		for (enum sim_contender i = 0; others && i < SIM_CONTENDERS; i++) {
			if (i == SIM_CONNECTIONS || (pass->moves && i != SIM_BY_CID))
				block_settle(&block, sim, i, pass, &count[i]);
		}
	}
	return routed;
}

/* With addresses that stay, each session is where its slot led before the event. If it had been elsewhere, its last
 * datagram would have broken it. */
void sim_pass_slots(struct sim *sim, struct sim_count count[SIM_CONTENDERS])
{
	for (enum sim_contender i = 0; i < SIM_CONTENDERS; i++) {
		struct sim_table *table = &sim->tables[i];
		for (uint32_t slot = 0; slot < table->table.slots; slot++) {
			if (sim->gone[table->before[slot]]) {
				count[i].unavoidable += table->sessions[slot];
			} else if (table->owner[slot] != table->before[slot]) {
				count[i].needless += table->sessions[slot];
				table->broken[slot] = 1;
			}
		}
	}
}
