#include "tests/simulation/path/tally.h"

#include <stdio.h>

#include "tests/simulation/path/world.h"

struct row {
	unsigned long proven, proven_missed;   /* downlinks to a device that is where its handshake was */
	unsigned long moved, moved_missed;     /* … to one that has moved, and was heard since */
	unsigned long unheard, unheard_missed; /* … and was not */
	unsigned long downlinks, sends;
	unsigned long moves, changes;
	unsigned long answered, failed, acknowledged, ignored, unregistered;
};

enum { ATTACKS = 2 };

static struct row rows[POOLS][SERVER_KINDS][ATTACKS];
static const char *const kinds[SERVER_KINDS] = { "verifies", "leshan", "rrc", "stays", "premature", "rejects" };
static const char *const pools[POOLS] = { "own", "backend", "hash", "plain", "home", "learned" };

/* NULL: this world is not counted. */
static struct row *row_of(const struct world *world, const struct session *session)
{
	int pool = session->member / POOL_MEMBERS;

	if (world->invariants.class > WORLD_ATTACKED || world->traits.hasty ||
	    world->traits.unproven_rate < ENOUGH_RATE)
		return NULL;
	return &rows[pool][world->traits.kinds[pool]][world->traits.forgers > 0];
}

static struct row *row_of_device(const struct world *world, const struct device *device)
{
	if (device->session == NOBODY || device->insider)
		return NULL;
	return row_of(world, &world->sessions[device->session]);
}

/* A flow that is idle so long may be gone. */
static uint32_t forgets_s(const struct world *world)
{
	const struct traits *traits = &world->traits;

	return traits->cid_idle_s < traits->idle_s ? traits->cid_idle_s : traits->idle_s;
}

void tally_downlink(struct world *world, const struct session *session, const struct datagram *datagram)
{
	const struct device *device = &world->devices[session->device];
	struct row *row = row_of_device(world, device);
	bool got;

	if (!row || datagram->probe || device->state != DEVICE_READY || &world->sessions[device->session] != session ||
	    !world->balancer.running)
		return;
	got = invariants_was_sent(world, datagram, device->address, device->service);
	if (!got)
		trace_event(world, "device %d misses it", session->device);
	row->downlinks++;
	row->sends += world->invariants.sends[datagram - world->network.datagrams];
	if (limits_is_proven(world, device) && limits_is_home(world, datagram)) {
		row->proven++;
		row->proven_missed += !got;
	} else if (device->spoke && world->now_ms - device->heard_ms < UINT64_C(1000) * forgets_s(world)) {
		row->moved++;
		row->moved_missed += !got;
	} else {
		row->unheard++;
		row->unheard_missed += !got;
	}
}

void tally_change(struct world *world, const struct session *session)
{
	struct row *row = row_of(world, session);

	if (row)
		row->changes++;
}

void tally_move(struct world *world, const struct device *device)
{
	struct row *row = row_of_device(world, device);

	if (row)
		row->moves++;
}

void tally_push(struct world *world, const struct session *session, bool acknowledged)
{
	struct row *row = row_of_device(world, &world->devices[session->device]);

	if (!row || &world->sessions[world->devices[session->device].session] != session)
		return;
	row->acknowledged += acknowledged;
	row->ignored += !acknowledged;
}

void tally_unregistered(struct world *world, const struct session *session)
{
	struct row *row = row_of(world, session);

	if (row)
		row->unregistered++;
}

void tally_exchange(struct world *world, const struct device *device, bool answered)
{
	struct row *row = row_of_device(world, device);

	if (!row)
		return;
	row->answered += answered;
	row->failed += !answered;
}

static double percent(unsigned long part, unsigned long all)
{
	return all ? 100.0 * (double)part / (double)all : 0;
}

static void row_print(int pool, int kind, int attack)
{
	const struct row *row = &rows[pool][kind][attack];

	printf("%-9s %-8s %-7s | %5.2f%% of %-7lu %5.2f%% of %-7lu %5.1f%% of %-6lu | %5lu of %-7lu %5lu of %-6lu "
	       "%5lu | %.2f %.2f\n",
	       kinds[kind], pools[pool], attack ? "forgers" : "none", percent(row->proven_missed, row->proven),
	       row->proven, percent(row->moved_missed, row->moved), row->moved,
	       percent(row->unheard_missed, row->unheard), row->unheard, row->failed, row->failed + row->answered,
	       row->ignored, row->ignored + row->acknowledged, row->unregistered,
	       row->moves ? (double)row->changes / (double)row->moves : 0.0,
	       row->downlinks ? (double)row->sends / (double)row->downlinks : 0.0);
}

void tally_print(void)
{
	printf("%-9s %-8s %-7s | %-17s %-17s %-17s | %-16s %-16s %s | %s\n", "server", "contest", "attack",
	       "proven missed", "moved missed", "unheard missed", "requests failed", "pushes ignored", "unreg",
	       "changes/move sends/downlink");
	for (int pool = 0; pool < POOLS; pool++)
		for (int kind = 0; kind < SERVER_KINDS; kind++)
			for (int attack = 0; attack < ATTACKS; attack++)
				if (rows[pool][kind][attack].downlinks)
					row_print(pool, kind, attack);
}

/* What must hold in pools where nobody has an endpoint of his own for the asking: promise b of common/ownership.h, and
 * how little devices that have moved may miss. */
const char *tally_judge(void)
{
	for (int pool = 0; pool < POOLS; pool++) {
		for (int kind = 0; kind < SERVER_KINDS; kind++) {
			const struct row *none = &rows[pool][kind][0], *forgers = &rows[pool][kind][1];

			if (pool != POOL_FOLLOW && pool != POOL_HOME)
				continue;
			if (none->proven_missed + forgers->proven_missed)
				return "a proven device missed a downlink";
			if (percent(none->moved_missed, none->moved) > 5)
				return "moved devices miss more than 5 % without attack";
			if (percent(forgers->moved_missed, forgers->moved) > 15)
				return "moved devices miss more than 15 % under attack";
			if (percent(forgers->failed, forgers->failed + forgers->answered) > 1)
				return "more than 1 % of requests fail under attack";
			if (none->failed)
				return "a request fails without attack";
		}
	}
	return NULL;
}
