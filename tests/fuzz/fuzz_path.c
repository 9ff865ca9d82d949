/* Sequences of datagrams and replies through the whole packet path. Input: settings of the pools, the time to the wrap
 * of the clock, then steps: see enum step, and what each reads. A short input is followed by zeros.
 *
 * What is required is computed from the sequence alone. Whatever comes, received = sum of verdicts, routed = sent +
 * refused, replies + copies = sent down + refused down. Flows are bounded. Nothing leaves for an address that sent
 * nothing, or that cannot be answered. Nothing in the clear leaves beside a CID, but flights, which leave as
 * handshakes do. Through a session's endpoints an address that cannot be proven gets at most three times what it sent,
 * and its allowances. In a pool that learns, a CID leads nowhere but to a backend that has given it out. */
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz_path_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum {
	STEPS = 600,
	BUILDS = 8,
	ROOM = 900 /* octets of a datagram, before its last record */
};

enum step { STEP_UPLINK, STEP_UPLINK_MORE, STEP_REPLY, STEP_CLOCK, STEP_RELOAD, STEP_REFUSE, STEP_SWEEP, STEP_RESTART };
enum record {
	RECORD_HELLO,
	RECORD_HELLO_COOKIE,
	RECORD_HELLO_FRAGMENT,
	RECORD_KEY_EXCHANGE,
	RECORD_CHANGE_CIPHER,
	RECORD_NOISE,
	RECORD_CID,
	RECORD_CID_13,
	RECORD_RAW,
	RECORDS
};
enum answer {
	ANSWER_COOKIE,
	ANSWER_RETRY,
	ANSWER_HELLO,
	ANSWER_HELLO_REST, /* the second fragment alone */
	ANSWER_RESUMED,
	ANSWER_PROTECTED,
	ANSWER_PROTECTED_13,
	ANSWER_ALERT,
	ANSWER_RAW,
	ANSWERS
};

static unsigned take(void)
{
	if (fuzz.in.left == 0)
		return 0;
	fuzz.in.left--;
	return *fuzz.in.at++;
}

static void add_raw(struct wire *wire)
{
	for (unsigned i = take() % 64; i > 0; i--)
		wire->data[wire->len++] = (uint8_t)take();
}

static void add_record(struct wire *wire, int source)
{
	const unsigned kind = take() % RECORDS, detail = take();
	const struct wire_cid cid = cid_at(detail % CIDS), own = { 0 };
	const struct wire_message message = { WIRE_REQUEST, detail, 0 };
	struct wire_hello hello = {
		.v13 = detail & 1, .random = detail >> 2, .ticket = detail & 2 ? detail : 0, .has_cid = true, .cid = own
	};

	switch ((enum record)kind) {
	case RECORD_HELLO_COOKIE:
		hello.has_cookie = true;
		hello.cookie = fuzz.cookies[source];
		/* fall through */
	case RECORD_HELLO:
		wire_add_client_hello(wire, &hello);
		break;
	case RECORD_HELLO_FRAGMENT:
		wire_add_hello_fragment(wire, detail >> 6, detail % 64);
		break;
	case RECORD_KEY_EXCHANGE:
		wire_add_key_exchange(wire, (uint16_t)detail);
		break;
	case RECORD_CHANGE_CIPHER:
		wire_add_change_cipher(wire);
		break;
	case RECORD_NOISE:
		wire_add_noise(wire, (uint8_t)(20 + detail % 8), detail, detail / 8);
		break;
	case RECORD_CID:
	case RECORD_CID_13:
		wire_add_protected(wire,
				   &(struct wire_seal){ kind == RECORD_CID_13, WIRE_DATA, kind == RECORD_CID ? 1 : 3,
							&cid, 1, detail },
				   &message, WIRE_LEAST + detail / CIDS * 8);
		break;
	default:
		add_raw(wire);
		break;
	}
}

static void fly(struct flying *flying, const struct wire *wire)
{
	*flying = (struct flying){ .data = malloc(wire->len), .len = wire->len, .greets = -1 };
	require(flying->data || wire->len == 0);
	if (wire->len)
		memcpy(flying->data, wire->data, wire->len);
}

static void land(void)
{
	for (size_t i = 0; i < fuzz.batch_count; i++)
		free(fuzz.batch[i].data);
	fuzz.batch_count = 0;
}

/* Reads: source, service, number of records, the records. */
static void uplink_add(void)
{
	const int source = (int)(take() % SOURCES), service = (int)(take() % BED_SERVICES);
	struct flying *flying = &fuzz.batch[fuzz.batch_count++];
	unsigned records = 1 + take() % 20;
	struct wire wire = { 0 };

	if (bed_pool(service) == BED_UDP) {
		wire_add_plain(&wire, &(struct wire_message){ WIRE_REQUEST, records, 0 }, 0, WIRE_LEAST);
		records = 0;
	}
	for (unsigned i = 0; i < records && wire.len < ROOM; i++)
		add_record(&wire, source);
	fly(flying, &wire);
	flying->source = source;
	flying->service = service;
}

static int listener_of(int service)
{
	return service == 3 ? 2 : service > 0;
}

/* All of the batch that are of the first one's listener, as they wait at one socket. The others are not sent. */
static void uplink_fly(void)
{
	struct io_datagram datagrams[IO_BATCH];
	const int service = fuzz.batch_count ? fuzz.batch[0].service : 0;
	size_t count = 0;

	for (size_t i = 0; i < fuzz.batch_count; i++) {
		const struct flying *flying = &fuzz.batch[i];
		const struct addr to = bed_service(flying->service);

		if (listener_of(flying->service) != listener_of(service))
			continue;
		fuzz.addressed[flying->source] |= (uint8_t)(1U << flying->service);
		datagrams[count] = (struct io_datagram){ .data = flying->data,
							 .len = flying->len,
							 .from = source_addr(flying->source) };
		memcpy(datagrams[count++].local, to.ip, sizeof to.ip);
	}
	if (count == 0)
		return;
	fuzz.received[listener_of(service)] += count;
	bed_uplink(&fuzz.bed, service, datagrams, count);
	land();
}

static void write_hello(struct flying *flying, struct wire *wire, unsigned kind, unsigned detail)
{
	const int cid = (int)(detail % CIDS);
	const struct wire_hello hello = { .v13 = detail & 64,
					  .random = detail,
					  .ticket = kind == ANSWER_RESUMED,
					  .has_cid = !(detail & 128),
					  .cid = cid_at(cid) };
	struct wire wires[2] = { 0 };

	wire_add_server_hello(wires, &hello,
			      kind == ANSWER_HELLO_REST ? WIRE_FRAGMENTS : (enum wire_cut)(detail / CIDS % WIRE_CUTS));
	*wire = wires[kind == ANSWER_HELLO_REST];
	flying->greets = hello.has_cid ? cid : -1;
	flying->protected = kind == ANSWER_RESUMED;
	if (kind != ANSWER_RESUMED)
		return;
	wire_add_change_cipher(wire);
	wire_add_protected(wire, &(struct wire_seal){ .type = WIRE_HANDSHAKE, .epoch = 1 },
			   &(struct wire_message){ WIRE_FINISHED, 0, 0 }, WIRE_LEAST);
}

static void write_answer(struct flying *flying, struct wire *wire)
{
	const unsigned kind = take() % ANSWERS, detail = take();
	const struct wire_seal seal = {
		kind == ANSWER_PROTECTED_13, WIRE_DATA, kind == ANSWER_PROTECTED ? 1 : 2 + (detail & 1), NULL, 1, detail
	};

	switch ((enum answer)kind) {
	case ANSWER_COOKIE:
	case ANSWER_RETRY:
		wire_add_verify_request(wire, kind == ANSWER_RETRY, detail);
		break;
	case ANSWER_HELLO:
	case ANSWER_HELLO_REST:
	case ANSWER_RESUMED:
		write_hello(flying, wire, kind, detail);
		break;
	case ANSWER_PROTECTED:
	case ANSWER_PROTECTED_13:
		flying->protected = true;
		wire_add_protected(wire, &seal, &(struct wire_message){ WIRE_ANSWER, 0, 0 }, WIRE_LEAST + detail * 4);
		break;
	case ANSWER_ALERT:
		wire_add_noise(wire, WIRE_ALERT, detail, 2);
		break;
	default:
		/* No ServerHello, so that what proves an address is known. */
		add_raw(wire);
		if (wire->len && wire->data[0] == WIRE_HANDSHAKE)
			wire->data[0] = WIRE_DATA;
		flying->protected = true;
		break;
	}
}

static void note_cookie(const struct wire *wire)
{
	struct wire_record record;
	struct wire_part part;
	size_t at = 0, inside = 0;
	uint64_t cookie;

	if (!wire_read(wire, &at, 0, &record) || !wire_read_part(&record, &inside, &part) ||
	    !wire_read_verify_request(&part, &cookie))
		return;
	for (int i = 0; i < SOURCES; i++)
		if (fuzz.batch[0].sent_to[i])
			fuzz.cookies[i] = cookie;
}

/* Reads: which endpoint, who answers, with what. */
static void reply(void)
{
	const size_t which = take() | (size_t)take() << 8;
	const struct end *end = fuzz.end_count ? &fuzz.ends[which % fuzz.end_count] : NULL;
	struct io_datagram datagram;
	struct wire wire = { 0 };
	const unsigned from = take();

	if (!end)
		return;
	write_answer(&fuzz.batch[0], &wire);
	const int greets = fuzz.batch[0].greets;
	const bool protected = fuzz.batch[0].protected;
	fly(&fuzz.batch[0], &wire);
	fuzz.batch[0].greets = greets;
	fuzz.batch[0].protected = protected;
	fuzz.batch_count = 1;
	datagram = (struct io_datagram){ .data = fuzz.batch[0].data, .len = wire.len, .from = end->backend };
	if (from >= 240)
		datagram.from = source_addr((int)(from % SOURCES));
	else if (from >= 224)
		datagram.from = fuzz.bed.backends[from % BED_POOLS][from / 2 % BED_BACKENDS].addr;
	fuzz.batch[0].backend = bed_backend_at(&fuzz.bed, BED_DTLS, &datagram.from);
	fuzz.batch[0].end = end_at(&end->endpoint, &datagram.from);
	memcpy(datagram.local, end->endpoint.ip, sizeof datagram.local);
	fuzz.answered++;
	bed_reply(&fuzz.bed, end->endpoint.port, &datagram, 1);
	note_cookie(&wire);
	land();
}

static uint32_t max_flows_of(unsigned octet)
{
	static const uint32_t sizes[] = { 8, 16, 64, 300, 1000, 3000 };

	return sizes[octet % (sizeof sizes / sizeof sizes[0])];
}

/* Reads: the size of tables, the rate of allowances, a backend and what becomes of it. */
static void settings_read(void)
{
	static const uint32_t rates[] = { 1250000, 20000, 0 };
	struct bed *bed = &fuzz.bed;

	bed->max_flows = max_flows_of(take());
	bed->unproven_rate = rates[take() % 3];
	if (bed->max_flows > fuzz.most_flows)
		fuzz.most_flows = bed->max_flows;
	if (bed->unproven_rate > fuzz.most_rate)
		fuzz.most_rate = bed->unproven_rate;
}

/* A table takes long to build. */
static bool may_build(void)
{
	return fuzz.builds++ < BUILDS;
}

static void reload(void)
{
	const unsigned which = take(), what = take();
	struct bed_backend *backend = &fuzz.bed.backends[which % BED_POOLS][which / 2 % BED_BACKENDS];

	settings_read();
	backend->health = what & 1 ? BACKEND_DOWN : BACKEND_UP;
	backend->admin = what / 2 % 3 == 0 ? BACKEND_READY : what / 2 % 3 == 1 ? BACKEND_DRAIN : BACKEND_MAINT;
	/* The first one stays, because a pool has at least one backend. */
	backend->absent = which / 2 % BED_BACKENDS != 0 && what >= 240;
	bed_reload(&fuzz.bed);
}

static void restart(void)
{
	for (int i = 0; i < SOURCES; i++) {
		fuzz.addressed[i] = 0;
		for (int cid = 0; cid < CIDS; cid++) {
			struct account *account = &fuzz.accounts[i][cid];

			account->shown = account->greeted = account->ensued = account->proven = false;
			memset(account->given, 0, sizeof account->given);
			memset(account->shown_to, 0, sizeof account->shown_to);
		}
	}
	memset(fuzz.received, 0, sizeof fuzz.received);
	fuzz.answered = 0;
	fuzz.most_flows = fuzz.bed.max_flows;
	bed_restart(&fuzz.bed);
}

static void clock_step(void)
{
	const unsigned octet = take();

	fuzz.bed.now_ms += UINT64_C(1) << octet % 28;
	fuzz.bed.now_ms += octet / 28;
}

static void step(void)
{
	const unsigned octet = take();

	if (octet % 16 != STEP_UPLINK_MORE && fuzz.batch_count)
		uplink_fly();
	switch (octet % 16) {
	default:
	case STEP_UPLINK:
		uplink_add();
		uplink_fly();
		break;
	case STEP_UPLINK_MORE:
		uplink_add();
		if (fuzz.batch_count == IO_BATCH)
			uplink_fly();
		break;
	case STEP_REPLY:
	case STEP_RESTART + 1:
	case STEP_RESTART + 2:
	case STEP_RESTART + 3:
		reply();
		break;
	case STEP_CLOCK:
		clock_step();
		break;
	case STEP_RELOAD:
		if (may_build())
			reload();
		break;
	case STEP_REFUSE:
		fuzz.bed.refusals = take() % 8;
		break;
	case STEP_SWEEP:
		bed_sweep(&fuzz.bed);
		break;
	case STEP_RESTART:
		if (may_build())
			restart();
		break;
	}
	if (fuzz.batch_count == 0)
		check_counts();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	unsigned mode;

	memset(&fuzz, 0, sizeof fuzz);
	fuzz.in = (struct input){ data, len };
	fuzz.bed.up = check_up;
	fuzz.bed.down = check_down;
	mode = take();
	fuzz.bed.rebind = mode % 4 == 3 ? REBIND_BACKEND : REBIND_FOLLOW;
	fuzz.bed.contest = mode % 4 == 2 ? CONTEST_HOME : CONTEST_OWN;
	fuzz.bed.endpoint = mode % 4 == 2 && mode & 8 ? ENDPOINT_HANDSHAKE : ENDPOINT_CID;
	fuzz.bed.hello_rate = mode & 4 ? 2 : 0;
	fuzz.bed.learns = mode & 16;
	fuzz.bed.now_ms = (UINT64_C(1) << 32) - (UINT64_C(1) << take() % 20);
	settings_read();
	bed_begin(&fuzz.bed);
	for (unsigned i = 0; i < STEPS && fuzz.in.left; i++)
		step();
	if (fuzz.batch_count)
		uplink_fly();
	land();
	check_counts();
	bed_end(&fuzz.bed);
	return 0;
}
