#include "bench/programs/core/datagrams.h"

#include <stdlib.h>

#include "bench/lib/dice.h"
#include "bench/programs/core/measure.h"
#include "bench/programs/core/pools.h"

enum {
	LENGTH_AT = 11,
	TINY_OCTETS = 14,
	TINY_UNIFIED_OCTETS = 1 + 1 + 2 + DTLS_UNIFIED_CIPHERTEXT,
	TINY_LAST_OCTETS = 60,    /* of FORM_TINY_CID */
	CUT_OCTETS = DTLS_CID_AT, /* no CID */
};

/* Where a datagram is being written. */
struct pen {
	uint8_t *at;
	size_t left;
	const struct snapshot_pool *pool;
	struct dice *dice;
};

static void put(struct pen *pen, const void *octets, size_t count)
{
	memcpy(pen->at, octets, count);
	pen->at += count;
	pen->left -= count;
}

static void put_random(struct pen *pen, size_t count)
{
	(void)pools_random(pen->dice, pen->at, count);
	pen->at += count;
	pen->left -= count;
}

static void put_u16(uint8_t *at, size_t number)
{
	at[0] = (uint8_t)(number >> 8);
	at[1] = (uint8_t)number;
}

/* Type, version, epoch, sequence number. */
static void put_head(struct pen *pen, uint8_t type, uint8_t epoch)
{
	const uint8_t head[] = { type, 0xfe, 0xfd, 0x00, epoch, 0x00, 0x00, 0x00, 0x00 };

	put(pen, head, sizeof head);
	put_random(pen, 2);
}

/* A record that says it is as long as what is left, and `more`. */
static void put_last(struct pen *pen, uint8_t type, uint8_t epoch, size_t more)
{
	put_head(pen, type, epoch);
	put_u16(pen->at, pen->left - 2 + more);
	pen->at += 2;
	pen->left -= 2;
	put_random(pen, pen->left);
}

static void put_cid(struct pen *pen, uint64_t number)
{
	uint8_t cid[LBCID_MAX_OCTETS];

	put(pen, cid, pools_mint(cid, pen->pool, number, pen->dice));
}

static uint64_t known_id(struct pen *pen)
{
	return 1 + dice_roll(pen->dice) % pen->pool->backend_count;
}

/* Of nobody, in as many octets as there are. */
static uint64_t unknown_id(struct pen *pen)
{
	const uint64_t first = pen->pool->backend_count + 1, ids = cid_id_octets(&pen->pool->layout) == 1 ? 256 : 65536;

	return first + dice_roll(pen->dice) % (ids - first);
}

static void put_cid_record(struct pen *pen, uint64_t id, size_t more)
{
	put_head(pen, DTLS_TLS12_CID, 1);
	put_cid(pen, id);
	put_u16(pen->at, pen->left - 2 + more);
	pen->at += 2;
	pen->left -= 2;
	put_random(pen, pen->left);
}

static void put_unified(struct pen *pen)
{
	static const uint8_t first = 0x3f; /* with CID, two octets of sequence number, length; epoch 3 */

	put(pen, &first, 1);
	put_cid(pen, known_id(pen));
	put_random(pen, 2);
	put_u16(pen->at, pen->left - 2);
	pen->at += 2;
	pen->left -= 2;
	put_random(pen, pen->left);
}

/* Sent by Mbed TLS, PSK; with the tickets and extended master secret replaced by padding (RFC 7685). */
static void put_hello(struct pen *pen)
{
	static const uint8_t hello[DATAGRAM_LEAST_OCTETS] = {
		0x16, 0xfe, 0xfd,        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, /* record; length
													at 11 */
		0x01, 0x00, 0x00,        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, /* handshake; lengths at
												  15 and 23 */
		0xfe, 0xfd, [59] = 0x00, 0x00, /* random at 27; session id, cookie */
		0x00, 0x04, 0xc0,        0xa8, 0x00, 0xff, 0x01, 0x00, 0x00, 0x00, /* suites, compression; length at
										    * 69 */
		0x00, 0x0d, 0x00,        0x0e, 0x00, 0x0c, 0x06, 0x03, 0x06, 0x01, 0x05, 0x03, 0x05, 0x01,
		0x04, 0x03, 0x04,        0x01, 0x00, 0x36, 0x00, 0x01, 0x00, /* connection_id, empty */
		0x00, 0x15, 0x00,        0x00,                               /* padding; length at 96 */
	};
	const size_t octets = pen->left;
	uint8_t *start = pen->at;

	put(pen, hello, sizeof hello);
	put_u16(start + LENGTH_AT, octets - 13);
	put_u16(start + 15, octets - 25);
	put_u16(start + 23, octets - 25);
	put_u16(start + 69, octets - 71);
	put_u16(start + 96, octets - 98);
	(void)pools_random(pen->dice, start + 27, 32);
	memset(pen->at, 0, pen->left);
}

/* Seen of Mbed TLS, PSK with identity "dev-1": ClientKeyExchange, ChangeCipherSpec; then Finished. */
static void put_flight(struct pen *pen)
{
	static const uint8_t plain[] = {
		0x16, 0xfe, 0xfd, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x00, 0x13, 0x10, 0x00, 0x00,
		0x07, 0x00, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x07, 0x00, 0x05, 0x64, 0x65, 0x76, 0x2d, 0x31,
		0x14, 0xfe, 0xfd, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x03, 0x00, 0x01, 0x01,
	};

	put(pen, plain, sizeof plain);
	put_cid_record(pen, known_id(pen), 0);
}

static void put_tiny(struct pen *pen)
{
	static const uint8_t tail[] = { 0x00, 0x01, 0x01 };

	put_head(pen, DTLS_CHANGE_CIPHER_SPEC, 0);
	put(pen, tail, sizeof tail);
}

static void put_flight_cut(struct pen *pen)
{
	const size_t fragment = pen->left - DTLS_HEADER_OCTETS - TINY_OCTETS - CUT_OCTETS;

	put_head(pen, DTLS_HANDSHAKE, 0);
	put_u16(pen->at, fragment);
	pen->at[2] = 0x10; /* ClientKeyExchange */
	pen->at += 3;
	pen->left -= 3;
	put_random(pen, fragment - 1);
	put_tiny(pen);
	put_head(pen, DTLS_TLS12_CID, 1);
	put_random(pen, pen->left);
}

/* Any record that decides nothing. */
static void put_tiny_any(struct pen *pen)
{
	static const uint8_t types[] = { 20, 20, 21, 21, 22, 23, 26, 27 }, epochs[] = { 0, 1, 0, 1, 1, 1, 1, 0 };
	static const uint8_t unified[] = {
		0x26, 0x00, 0x00, DTLS_UNIFIED_CIPHERTEXT
	}; /* length, one octet of sequence number; epoch 2 */
	const uint64_t roll = dice_roll(pen->dice);
	uint8_t length[] = { 0x00, (uint8_t)(1 + (roll >> 8) % 4) };

	if (roll % 9 == 8) {
		put(pen, unified, sizeof unified);
		put_random(pen, DTLS_UNIFIED_CIPHERTEXT);
		return;
	}
	put_head(pen, types[roll % 9], epochs[roll % 9]);
	put(pen, length, sizeof length);
	put_random(pen, length[1]);
}

/* One record fewer than a datagram may have. */
static void put_tinies(struct pen *pen, bool mixed, size_t rest)
{
	for (size_t i = 1; i < DTLS_RECORDS_MAX; i++)
		if (pen->left >= rest + TINY_OCTETS + (mixed ? TINY_UNIFIED_OCTETS : TINY_OCTETS))
			(mixed ? put_tiny_any : put_tiny)(pen);
}

/* The first `count` of 16 records with one CID. */
static void put_cids(struct pen *pen, size_t count)
{
	const size_t octets = pen->left / DTLS_RECORDS_MAX;
	uint8_t cid[LBCID_MAX_OCTETS];
	const size_t cid_octets = pools_mint(cid, pen->pool, known_id(pen), pen->dice);

	for (size_t i = 0; i < count; i++) {
		struct pen record = { pen->at, i + 1 < DTLS_RECORDS_MAX ? octets : pen->left, pen->pool, pen->dice };

		pen->at += record.left;
		pen->left -= record.left;
		put_head(&record, DTLS_TLS12_CID, 1);
		put(&record, cid, cid_octets);
		put_u16(record.at, record.left - 2);
		record.at += 2;
		record.left -= 2;
		put_random(&record, record.left);
	}
}

static uint8_t not_first(struct dice *dice)
{
	uint8_t octet = (uint8_t)dice_roll(dice);

	return octet < 20 || octet > 63 ? octet : (uint8_t)(octet + 64);
}

static enum datagram_form any_form(struct dice *dice)
{
	static const enum datagram_form forms[] = { FORM_FLIGHT, FORM_HELLO, FORM_UNIFIED, FORM_PLAIN };
	const uint64_t roll = dice_roll(dice) % 10;

	return roll < 6 ? FORM_CID : forms[roll - 6];
}

static void write_good(struct pen *pen, enum datagram_form form)
{
	switch (form) {
	case FORM_CID:
		put_cid_record(pen, known_id(pen), 0);
		return;
	case FORM_FLIGHT:
		put_flight(pen);
		return;
	case FORM_HELLO:
		put_hello(pen);
		return;
	case FORM_UNIFIED:
		put_unified(pen);
		return;
	case FORM_MANY:
		put_tinies(pen, true, 0);
		put_last(pen, DTLS_APPLICATION_DATA, 1, 0);
		return;
	case FORM_CIDS:
		put_cids(pen, DTLS_RECORDS_MAX);
		return;
	default:
		put_last(pen, DTLS_APPLICATION_DATA, 1, 0);
		return;
	}
}

static void write_refused(struct pen *pen, enum datagram_form form)
{
	uint8_t *start = pen->at;

	switch (form) {
	case FORM_UNKNOWN:
		put_cid_record(pen, unknown_id(pen), 0);
		return;
	case FORM_TYPE_28:
		put_last(pen, 28, 1, 0);
		return;
	case FORM_CUT:
		put_last(pen, DTLS_APPLICATION_DATA, 1, 1 + dice_roll(pen->dice) % 1000);
		return;
	case FORM_CID_CUT:
		put_cid_record(pen, known_id(pen), 1 + dice_roll(pen->dice) % 1000);
		return;
	case FORM_FLIGHT_CUT:
		put_flight_cut(pen);
		return;
	case FORM_EPOCH0:
		put_last(pen, DTLS_APPLICATION_DATA, 0, 0);
		return;
	case FORM_TINY:
	case FORM_TINY_MIXED:
		put_tinies(pen, form == FORM_TINY_MIXED, 0);
		put_last(pen, DTLS_APPLICATION_DATA, 1, 1);
		return;
	case FORM_TINY_CID:
		put_tinies(pen, false, TINY_LAST_OCTETS);
		put_cid_record(pen, unknown_id(pen), 0);
		return;
	case FORM_MIXED:
		put_cids(pen, DTLS_RECORDS_MAX - 1);
		put_last(pen, DTLS_ALERT, 0, 0);
		return;
	default:
		put_random(pen, pen->left);
		if (form == FORM_FIRST_OCTET)
			*start = not_first(pen->dice);
		if (form == FORM_VERSION)
			memcpy(start, (uint8_t[]){ DTLS_APPLICATION_DATA, 0x03, 0x03 }, 3);
		return;
	}
}

static void write_form(struct pen *pen, enum datagram_form form)
{
	if (form == FORM_MIX)
		form = any_form(pen->dice);
	(form < FORM_MIX ? write_good : write_refused)(pen, form);
}

static struct addr any_source(bool v6, struct dice *dice)
{
	struct addr source = { .ip = { [10] = 0xff, 0xff } };

	if (v6)
		source = (struct addr){ .ip = { 0x20, 0x01, 0x0d, 0xb8 } };
	(void)pools_random(dice, source.ip + (v6 ? 4 : 12), v6 ? 12 : 4);
	if (!v6)
		source.ip[12] = 100; /* a carrier's network */
	source.port = (uint16_t)(1024 + dice_roll(dice) % 60000);
	return source;
}

static void shuffle(struct datagram *at, size_t count, struct dice *dice)
{
	for (size_t i = count - 1; i > 0; i--) {
		const size_t other = dice_roll(dice) % (i + 1);
		const struct datagram here = at[i];

		at[i] = at[other];
		at[other] = here;
	}
}

void datagrams_make(struct datagrams *out, enum datagram_form form, size_t octets, const struct snapshot_pool *pool,
		    bool v6)
{
	struct dice dice = { 6 };

	out->count = DATAGRAMS;
	out->memory = measure_alloc(out->count, octets);
	out->at = measure_alloc(out->count, sizeof *out->at);
	for (size_t i = 0; i < out->count; i++) {
		struct pen pen = { out->memory + i * octets, octets, pool, &dice };

		write_form(&pen, form);
		out->at[i] = (struct datagram){ out->memory + i * octets, octets, any_source(v6, &dice) };
	}
	shuffle(out->at, out->count, &dice);
}

void datagrams_free(struct datagrams *datagrams)
{
	free(datagrams->memory);
	free(datagrams->at);
}
