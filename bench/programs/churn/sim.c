#include "bench/programs/churn/sim_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bench/programs/churn/maglev.h"
#include "bench/programs/churn/modulo.h"

/* A schedule of more events is too long for a full pass at each of them. Then 20 of them get one. */
enum { LONG_EVENTS = 50, FULL_PASSES = 20 };

static bool table_init(struct sim_table *table, const struct table *of)
{
	table->table = *of;
	table->owner = calloc(of->slots, sizeof *table->owner);
	table->before = calloc(of->slots, sizeof *table->before);
	table->sessions = calloc(of->slots, sizeof *table->sessions);
	table->broken = calloc(of->slots, sizeof *table->broken);
	return table->owner && table->before && table->sessions && table->broken;
}

static void table_end(struct sim_table *table)
{
	free(table->owner);
	free(table->before);
	free(table->sessions);
	free(table->broken);
}

static bool tables_init(struct sim *sim)
{
	const struct table own = cidlb_table(sim->cidlb), ketama = ketama_table(sim->ketama);

	return table_init(&sim->tables[SIM_BY_ADDRESS], &own) && table_init(&sim->tables[SIM_MAGLEV], &maglev_table) &&
	       table_init(&sim->tables[SIM_KETAMA], &ketama) && table_init(&sim->tables[SIM_MODULO], &modulo_table);
}

static void tables_count(struct sim *sim)
{
	for (uint32_t session = 0; session < sim->settings.sessions; session++) {
		const struct addr source = sim_source(session, 0);
		const uint64_t hash = cidlb_hash(sim->cidlb, &source);
		for (enum sim_contender i = 0; i < SIM_CONTENDERS; i++) {
			const struct sim_table *table = &sim->tables[i];
			if (table->owner)
				table->sessions[table->table.slot(&table->table, hash)]++;
		}
	}
}

int sim_new(struct sim **out, const struct sim_settings *settings)
{
	struct sim *sim = calloc(1, sizeof *sim);

	*out = sim;
	if (!sim)
		return -ENOMEM;
	sim->settings = *settings;
	members_init(sim->members, settings->members);
	sim->broken = calloc(settings->sessions, sizeof *sim->broken);
	sim->ketama = ketama_new(sim->members, settings->members);
	if (!sim->broken || !sim->ketama || cidlb_new(&sim->cidlb) ||
	    cidlb_publish(sim->cidlb, sim->members, settings->members) || !tables_init(sim))
		goto fail;
	for (enum sim_contender i = 0; i < SIM_CONTENDERS; i++) {
		sim->homes[i] = calloc(settings->sessions, sizeof *sim->homes[i]);
		if (!sim->homes[i])
			goto fail;
	}
	tables_count(sim);
	return 0;
fail:
	sim_free(sim);
	*out = NULL;
	return -ENOMEM;
}

void sim_free(struct sim *sim)
{
	if (!sim)
		return;
	for (enum sim_contender i = 0; i < SIM_CONTENDERS; i++) {
		table_end(&sim->tables[i]);
		free(sim->homes[i]);
	}
	free(sim->broken);
	ketama_free(sim->ketama);
	cidlb_free(sim->cidlb);
	free(sim);
}

/* All contenders learn what the members are. */
static int publish(struct sim *sim, const struct schedule *schedule)
{
	const int err = cidlb_publish(sim->cidlb, sim->members, sim->settings.members);

	if (err)
		return err;
	for (uint32_t i = 0; i < sim->settings.members; i++) {
		const enum member_state state = sim->members[i].state;
		sim->gone[i] = state == MEMBER_ABSENT || (state == MEMBER_DOWN && !schedule->saved);
		sim->serves[i] = member_is_there(&sim->members[i]);
	}
	for (enum sim_contender i = 0; i < SIM_CONTENDERS; i++) {
		struct sim_table *table = &sim->tables[i];
		if (!table->owner)
			continue;
		memcpy(table->before, table->owner, table->table.slots * sizeof *table->owner);
		table->table.fill(&table->table, table->owner, sim->members, sim->settings.members);
	}
	return 0;
}

static int begin(struct sim *sim, struct sim_result *result, const struct schedule *schedule,
		 enum sim_addresses addresses)
{
	int err;

	memset(result, 0, sizeof *result);
	memset(sim->broken, 0, sim->settings.sessions);
	for (enum sim_contender i = 0; i < SIM_CONTENDERS; i++) {
		if (sim->tables[i].broken)
			memset(sim->tables[i].broken, 0, sim->tables[i].table.slots);
	}
	result->events = schedule_begin(schedule, result->event, sim->members, sim->settings.members);
	err = publish(sim, schedule);
	if (!err)
		sim_pass_first(sim, addresses);
	return err;
}

static void count_ever(const struct sim *sim, struct sim_result *result)
{
	for (uint32_t session = 0; session < sim->settings.sessions; session++) {
		for (enum sim_contender i = 0; i < SIM_CONTENDERS; i++)
			result->ever[i] += sim->broken[session] >> i & 1;
	}
	for (enum sim_contender i = 0; i < SIM_CONTENDERS; i++) {
		const struct sim_table *table = &sim->tables[i];
		for (uint32_t slot = 0; slot < table->table.slots; slot++)
			result->ever[i] += table->broken[slot] ? table->sessions[slot] : 0;
	}
}

int sim_run(struct sim *sim, struct sim_result *result, const struct schedule *schedule, enum sim_addresses addresses)
{
	const bool moves = addresses == SIM_ADDRESSES_MOVE;
	int err = begin(sim, result, schedule, addresses);
	const size_t every = result->events > LONG_EVENTS ? (result->events + FULL_PASSES - 1) / FULL_PASSES : 1;

	for (size_t at = 0; !err && at < result->events; at++) {
		const struct sim_pass pass = {
			.epoch = moves ? (uint32_t)at + 1 : 0,
			.moves = moves,
			.all = (at + 1) % every == 0 || at + 1 == result->events,
			.node = result->event[at].change == SCHEDULE_NODE,
		};
		schedule_happen(schedule, result->event, result->events, at, sim->members);
		err = publish(sim, schedule);
		if (err)
			break;
		result->routed += sim_pass_sessions(sim, result->of[at], &pass);
		if (!moves)
			sim_pass_slots(sim, result->of[at]);
	}
	if (!err)
		count_ever(sim, result);
	return err;
}

const char *sim_contender_name(enum sim_contender contender)
{
	static const char *const names[SIM_CONTENDERS] = {
		[SIM_BY_CID] = "cidlb by CID", [SIM_BY_ADDRESS] = "cidlb by address",
		[SIM_MAGLEV] = "Maglev",       [SIM_CONNECTIONS] = "Maglev with connections",
		[SIM_KETAMA] = "ketama",       [SIM_MODULO] = "modulo",
	};
	return names[contender];
}
