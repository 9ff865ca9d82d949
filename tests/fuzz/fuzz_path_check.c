#include "tests/fuzz/fuzz_path_check.h"

#include <stdlib.h>
#include <string.h>

enum { TIMES = 3, ALLOWANCE = 2560, WAYS = 33 };

struct fuzz fuzz;

void require(bool holds)
{
	if (!holds)
		abort();
}

struct addr source_addr(int source)
{
	struct addr addr = { .ip = { [10] = 0xff, 0xff, 198, 51, 100, (uint8_t)(source / 4) },
			     .port = (uint16_t)(20000 + source) };

	if (source % 5 == 4)
		addr = (struct addr){ .ip = { 0x20, 1, 0x0d, 0xb8, [15] = (uint8_t)source },
				      .port = (uint16_t)(20000 + source) };
	switch (source - BAD_SOURCES) {
	case 0:
		return bed_service(0);
	case 1:
		return fuzz.bed.backends[BED_DTLS][0].addr;
	case 2:
		return (struct addr){ .ip = { [10] = 0xff, 0xff, 127, 64, 0, 1 }, .port = 40684 };
	case 3:
		addr.port = 0;
		return addr;
	default:
		return addr;
	}
}

static int source_at(const struct addr *addr)
{
	for (int i = 0; i < BAD_SOURCES; i++) {
		const struct addr there = source_addr(i);

		if (addr_equal(&there, addr))
			return i;
	}
	return -1;
}

struct wire_cid cid_at(int cid)
{
	return (struct wire_cid){
		(uint8_t)(BED_CID_OCTETS - (fuzz.bed.learns ? cid % 4 : 0)),
		{ bed_server_id(cid % BED_BACKENDS), (uint8_t)cid, 0xc1, 0xc1, 0xc1, 0xc1, 0xc1, 0xc1 },
	};
}

/* How long the CID is that the first record with one shows. */
static uint8_t cid_len_of(const struct wire *wire)
{
	for (int i = 0; i < CIDS && fuzz.bed.learns; i++) {
		const struct wire_cid cid = cid_at(i);
		const struct wire_shape shape = wire_shape(wire, cid.len);

		if (shape.has_cid && memcmp(shape.cid.octets, cid.octets, cid.len) == 0)
			return cid.len;
	}
	return BED_CID_OCTETS;
}

static int cid_index(const struct wire_cid *cid)
{
	for (int i = 0; i < CIDS; i++) {
		const struct wire_cid there = cid_at(i);

		if (memcmp(there.octets, cid->octets, there.len) == 0)
			return i;
	}
	return -1;
}

struct end *end_at(const struct addr *endpoint, const struct addr *backend)
{
	for (size_t i = 0; i < fuzz.end_count; i++)
		if (addr_equal(&fuzz.ends[i].endpoint, endpoint) && addr_equal(&fuzz.ends[i].backend, backend))
			return &fuzz.ends[i];
	return NULL;
}

static struct end *end_give(const struct addr *endpoint, const struct addr *backend)
{
	struct end *end = end_at(endpoint, backend);

	if (end || fuzz.end_count == ENDS)
		return end;
	end = &fuzz.ends[fuzz.end_count++];
	*end = (struct end){ .endpoint = *endpoint, .backend = *backend, .cid = -1 };
	return end;
}

static struct flying *flying_of(const uint8_t *data)
{
	for (size_t i = 0; i < fuzz.batch_count; i++)
		if (fuzz.batch[i].data == data)
			return &fuzz.batch[i];
	abort();
}

static struct wire wire_of(const struct flying *flying)
{
	struct wire wire = { .len = flying->len };

	memcpy(wire.data, flying->data, flying->len);
	return wire;
}

/* A CID that is learned leads to one that has given it out, in a handshake whose device has shown it and was answered
 * under keys. Until then only its own source is led there. */
static void check_learned(const struct flying *flying, int cid, int backend)
{
	struct account *account;

	require(cid >= 0);
	account = &fuzz.accounts[flying->source][cid];
	require(fuzz.may_learn[cid][backend] || account->given[backend]);
	account->shown_to[backend] |= account->given[backend];
}

static void check_given(int source, const struct flying *flying)
{
	require(flying->backend >= 0);
	if (flying->greets >= 0)
		fuzz.accounts[source][flying->greets].given[flying->backend] = true;
	for (int i = 0; i < CIDS && flying->protected; i++)
		fuzz.may_learn[i][flying->backend] |= fuzz.accounts[source][i].shown_to[flying->backend];
}

/* What leaves beside a CID, and through which endpoint. */
static void check_shape(const struct flying *flying, struct end *end, int backend)
{
	const struct wire wire = wire_of(flying);
	const struct wire_shape shape = wire_shape(&wire, cid_len_of(&wire));
	const int cid = shape.has_cid ? cid_index(&shape.cid) : -1;
	struct account *account;

	if (shape.has_cid)
		require(!shape.plain_behind && !shape.mixed && (!shape.plain_before || shape.flight));
	if (!shape.has_cid || shape.plain_before) {
		require(!end->session || fuzz.bed.endpoint == ENDPOINT_HANDSHAKE);
		end->greets = true;
	} else if (!end->greets) {
		end->session = true;
		end->cid = cid;
	}
	if (shape.has_cid && fuzz.bed.learns)
		check_learned(flying, cid, backend);
	if (cid < 0)
		return;
	account = &fuzz.accounts[flying->source][cid];
	account->shown = true;
	account->ensued |= account->greeted;
	if (end->greets)
		return;
	account->sent += flying->len;
	account->datagrams++;
}

void check_up(struct bed *bed, const struct io_send *send, const struct addr *endpoint, bool sent)
{
	struct flying *flying = flying_of(send->data);
	const int pool = bed_pool(flying->service), backend = bed_backend_at(bed, pool, &send->to);
	struct end *end = end_give(endpoint, &send->to);

	(void)sent;
	require(flying->sends++ == 0 && send->len == flying->len);
	require(flying->source < BAD_SOURCES);
	require(backend >= 0 && !bed->backends[pool][backend].absent);
	if (end && pool == BED_DTLS)
		check_shape(flying, end, backend);
}

void check_down(struct bed *bed, const struct io_send *send, int service, bool sent)
{
	struct flying *flying = flying_of(send->data);
	const struct end *end = flying->end;
	const int source = source_at(&send->to);
	struct account *account;

	(void)sent;
	require(source >= 0 && service >= 0 && send->len == flying->len);
	require(fuzz.addressed[source] & 1U << service);
	require(!(flying->sent_to[source] & 1U << service));
	flying->sent_to[source] |= (uint8_t)(1U << service);
	require(++flying->sends <= WAYS && end);
	if (end->greets && bed_pool(service) == BED_DTLS) {
		check_given(source, flying);
		if (flying->greets >= 0)
			fuzz.accounts[source][flying->greets].greeted = true;
		for (int i = 0; i < CIDS && flying->protected; i++)
			fuzz.accounts[source][i].proven |= fuzz.accounts[source][i].ensued;
		return;
	}
	if (end->cid < 0 || bed->rebind != REBIND_FOLLOW)
		return;
	account = &fuzz.accounts[source][end->cid];
	require(account->shown || account->greeted);
	if (account->proven)
		return;
	account->got += flying->len;
	require(account->got <= TIMES * account->sent + (fuzz.most_rate ? ALLOWANCE : 0) * account->datagrams);
}

static uint64_t sum_of(const stats_counter *counters, size_t count)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < count; i++)
		sum += stats_read(&counters[i]);
	return sum;
}

static uint64_t check_pool(int pool)
{
	const struct stats *stats = &fuzz.bed.path->stats;
	const uint16_t uid = fuzz.bed.pool_uids[pool];
	const struct flows_count count = flows_count(fuzz.bed.path->flows, uid);
	uint64_t routed = 0, up = 0, down = 0, replies = stats_read(&stats->replies[uid]);

	for (int i = 0; i < BED_LISTENERS; i++)
		if ((i == 2) == (pool == BED_UDP))
			routed += sum_of(stats->verdicts[fuzz.bed.listener_uids[i]], VERDICT_FIRST_DROP);
	for (int i = 0; i < BED_BACKENDS; i++) {
		up += stats_read(&stats->sent_up[fuzz.bed.backends[pool][i].uid].datagrams);
		down += stats_read(&stats->sent_down[fuzz.bed.backends[pool][i].uid].datagrams);
	}
	require(routed == up + sum_of(stats->refused_up[uid], REFUSED_REASONS));
	require(replies + stats_read(&stats->copies[uid]) == down + sum_of(stats->refused_down[uid], REFUSED_REASONS));
	require(count.flows[FLOW_CLASS_ADDRESS] + count.flows[FLOW_CLASS_CID] <= fuzz.most_flows);
	require(count.flows[FLOW_CLASS_HANDSHAKE] <= (fuzz.most_flows + 7) / 8);
	return replies;
}

static void check_cids(void)
{
	const struct learned *learned = &fuzz.bed.learned;
	uint32_t most = 0;

	for (int i = 0; i < CIDS; i++)
		most += fuzz.may_learn[i][0] || fuzz.may_learn[i][1] || fuzz.may_learn[i][2];
	require(learned_count(learned) <= most && learned->counts.evicted == 0 && learned->counts.refused == 0);
}

void check_counts(void)
{
	const struct stats *stats = &fuzz.bed.path->stats;
	uint64_t answered = stats_read(&stats->strays);

	for (int i = 0; i < BED_LISTENERS; i++) {
		const uint16_t uid = fuzz.bed.listener_uids[i];

		require(stats_read(&stats->received[uid]) == fuzz.received[i]);
		require(sum_of(stats->verdicts[uid], VERDICTS) == fuzz.received[i]);
	}
	for (int pool = 0; pool < BED_POOLS; pool++)
		answered += check_pool(pool);
	require(answered == fuzz.answered);
	check_cids();
}
