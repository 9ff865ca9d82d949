#include "tests/oracle/fast/judge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/bpf.h>

enum { SHOWN = 5 /* mistakes */, ETHERNET = 14, IP_ID_AT = ETHERNET + 4, READ_OCTETS = 24 };

static void print_hex(const char *what, const uint8_t *octets, size_t len)
{
	printf("  %s ", what);
	for (size_t i = 0; i < len; i++)
		printf("%02x", octets[i]);
	printf("\n");
}

struct seen {
	const struct frame *in;
	struct outcome out;
	struct tally *tally;
	const char *who;
	enum verdict verdict;
};

static void wrong(struct seen *seen, const char *what)
{
	if (seen->tally->wrong++ >= SHOWN)
		return;
	printf("%s: %s (action %u, verdict %s)\n", seen->who, what, seen->out.action, verdict_name(seen->verdict));
	print_hex("in ", seen->in->octets, seen->in->len);
	print_hex("out", seen->out.frame, seen->out.octets);
}

static bool is_unchanged(const struct seen *seen)
{
	return seen->out.octets == seen->in->len && memcmp(seen->out.frame, seen->in->octets, seen->in->len) == 0;
}

/* The frame that should have left, but for the number of the IPv4 packet and a checksum that is wrong in both. */
static void compare(struct seen *seen, const struct datagram *datagram, bool tunnelled)
{
	static struct frame expected, got;
	struct datagram right = *datagram;

	right.check = datagram->check == CHECK_WRONG ? CHECK_RIGHT : datagram->check;
	frame_make(&expected, &right);
	memcpy(got.octets, seen->out.frame, seen->out.octets);
	got.len = seen->out.octets;
	if (got.len != expected.len) {
		wrong(seen, "another length");
		return;
	}
	if (addr_is_v4(&datagram->source)) {
		memcpy(expected.octets + IP_ID_AT, got.octets + IP_ID_AT, 2);
		frame_check_ip(&expected);
	}
	if (datagram->check == CHECK_WRONG) {
		/* The tunnel's header is of odd length, so what was wrong in one octet is wrong in the other. */
		if (frame_check_error(&got) != (uint32_t)frame_check_error(seen->in) * (tunnelled ? 256 : 1) % 0xffff)
			wrong(seen, "another error of the checksum");
		memcpy(got.octets + frame_udp_at(&got) + 6, expected.octets + frame_udp_at(&got) + 6, 2);
	}
	if (memcmp(got.octets, expected.octets, got.len) != 0) {
		print_hex("exp", expected.octets, expected.len);
		wrong(seen, "another frame");
	}
}

/* As the packet path asks (path/batch.c). */
static void route_up(struct bed *bed, const struct up *up, struct route_out *out, struct route_in *in)
{
	static struct batch batch;

	memset(&batch, 0, sizeof batch);
	batch.pool = &bed->table->snapshot->pools[up->pool];
	batch.settings = &bed->table->pools[up->pool];
	batch.count = 1;
	batch.in[0] = (struct route_in){
		.data = up->payload, .len = up->datagram.len, .source = up->datagram.source, .hint = ROUTE_NO_HINT
	};
	if (batch.pool->protocol == POOL_DTLS)
		dtls_walk(&batch.in[0].view, up->payload, up->datagram.len);
	if (batch.settings->learned)
		learned_cids_recall(&batch);
	route(out, batch.pool, &batch.in[0]);
	*in = batch.in[0];
}

static bool is_drop(enum verdict verdict)
{
	return verdict == VERDICT_TYPE || verdict == VERDICT_MALFORMED || verdict == VERDICT_EPOCH0_DATA ||
	       verdict == VERDICT_MIXED || verdict == VERDICT_UNKNOWN_CID;
}

static bool is_by_cache(const struct bed *bed, const struct up *up)
{
	const struct snapshot_pool *pool = &bed->table->snapshot->pools[up->pool];

	return up->pool == POOL_LEARNED ||
	       (bed_has_rotations(up->pool) && cid_config(&pool->layout, 1)->rotation != 0 &&
		up->payload[up->payload[0] == DTLS_TLS12_CID ? DTLS_CID_AT : DTLS_UNIFIED_CID_AT] >> 5 != 0);
}

static bool has_tunnel(enum pool_kind pool)
{
	return pool != POOL_STATELESS && !bed_is_dsr(pool);
}

static bool is_sent(enum pool_kind pool, enum cast cast)
{
	return cast != CAST_MAINT && cast != CAST_NOWHERE && (cast != CAST_OLD || !has_tunnel(pool));
}

static size_t header_octets(const struct up *up)
{
	if (bed_wraps(up->pool))
		return bed_outer_v6(up->pool) ? 40 : 20;
	if (!has_tunnel(up->pool))
		return 0;
	return addr_is_v4(&up->datagram.source) ? PROXY2_V4_OCTETS : PROXY2_V6_OCTETS;
}

static size_t outer_octets(const struct up *up)
{
	return (bed_outer_v6(up->pool) ? 48U : 28U) + header_octets(up) + up->datagram.len;
}

/* Two of the lengths of learned CIDs fit. */
static bool is_ambiguous(const struct up *up, const struct route_in *in)
{
	return up->pool == POOL_LEARNED && dtls_cid_octets(&in->view, in->data, in->len, 5) != 0 &&
	       dtls_cid_octets(&in->view, in->data, in->len, 8) != 0;
}

/* A record of a session, which its source alone leads. */
static bool is_of_session(const struct up *up)
{
	const uint8_t first = up->payload[0];

	return first >> 5 == 1
		       ? (first & 0x13) != 2 && !(first & 0x10)
		       : (first == DTLS_ALERT || first == DTLS_APPLICATION_DATA) && (up->payload[3] || up->payload[4]);
}

/* Modes with flows know more of a source than its address. */
static bool goes_by_hash(enum pool_kind pool)
{
	return pool != POOL_NAT && pool != POOL_PLAIN;
}

static bool must_be_hashed(const struct up *up, const struct route_out *out)
{
	const enum cast cast = (enum cast)out->backend;

	return !up->unhandled && up->single && out->verdict == VERDICT_HASH && goes_by_hash(up->pool) &&
	       is_of_session(up) && is_sent(up->pool, cast) &&
	       !(up->datagram.check == CHECK_ZERO && bed_outer_v6(up->pool)) &&
	       outer_octets(up) <= (cast == CAST_NARROW ? NARROW_MTU : MTU);
}

/* It is one of those that the program is for. */
static bool must_be_sent(const struct bed *bed, const struct up *up, const struct route_in *in,
			 const struct route_out *out, bool cached)
{
	const enum cast cast = (enum cast)out->backend;
	const size_t read_from = in->view.cid_at + (up->pool == POOL_NODE_ID_HASHED ? 3U : 0U);

	return !up->unhandled && up->single && up->pool <= POOL_IPIP_V6 && out->verdict <= VERDICT_CID_DOWN &&
	       in->view.record_at == 0 && read_from + READ_OCTETS <= in->len && is_sent(up->pool, cast) &&
	       !(up->datagram.check == CHECK_ZERO && bed_outer_v6(up->pool)) &&
	       outer_octets(up) <= (cast == CAST_NARROW ? NARROW_MTU : MTU) && (cached || !is_by_cache(bed, up)) &&
	       !is_ambiguous(up, in);
}

static bool must_be_dropped(const struct up *up, const struct route_out *out, const struct route_in *in)
{
	if (up->unhandled || up->pool == POOL_PLAIN || !is_drop(out->verdict) || out->verdict == VERDICT_MIXED)
		return false;
	if (in->len == 0 || in->data[0] < 20 || in->data[0] > 63 || (in->data[0] >= 28 && in->data[0] < 32))
		return true;
	if (out->verdict == VERDICT_UNKNOWN_CID)
		return up->single &&
		       (up->pool == POOL_NODE_ID || up->pool == POOL_STATELESS || up->pool == POOL_L2 ||
			up->pool == POOL_IPIP) &&
		       in->len >= in->view.cid_at + (size_t)READ_OCTETS;
	return up->single;
}

/* Writes where it should have come from, and its payload. */
static void expect_tunnelled(const struct bed *bed, const struct up *up, struct datagram *expected, uint8_t *payload)
{
	const struct proxy2_ends ends = { .source = up->datagram.source,
					  .destination = up->datagram.to,
					  .version = PROXY2_V2 };

	expected->source = bed->table->pools[up->pool].tunnel_local;
	expected->hops = 64;
	expected->len = proxy2_write(payload, &bed->table->pools[up->pool].tunnel_keys, PROXY2_UP, &ends);
	memcpy(payload + expected->len, up->payload, up->datagram.len);
	expected->len += up->datagram.len;
}

static void expect_embedded(const struct bed *bed, const struct up *up, struct datagram *expected, uint8_t *payload)
{
	embed_write(expected->source.ip, &bed->table->pools[up->pool].stateless.embed, &up->datagram.source);
	expected->source.port = EMBED_PORT;
	expected->hops = (uint8_t)(up->datagram.hops - 1);
	expected->len = up->datagram.len;
	memcpy(payload, up->payload, up->datagram.len);
}

/* The frame that came, one hop further on. */
static void expect_sent_on(struct frame *out, const struct frame *in)
{
	uint8_t *ip = out->octets + ETHERNET;

	*out = *in;
	memcpy(out->octets, bed_backend_mac, 6);
	memcpy(out->octets + 6, bed_mac, 6);
	ip[ip[0] >> 4 == 6 ? 7 : 8]--;
	if (ip[0] >> 4 == 4)
		frame_check_ip(out);
}

/* RFC 2003, RFC 2473: in a packet of the same version, with an own number. */
static void expect_wrapped(struct frame *frame, enum pool_kind pool, enum cast cast, const uint8_t *id)
{
	const struct addr source = bed_outer_source(pool), to = bed_backend_addr(pool, cast);
	const size_t octets = frame->len - ETHERNET, head = bed_outer_v6(pool) ? 40 : 20;
	uint8_t *ip = frame->octets + ETHERNET;

	memmove(ip + head, ip, octets);
	memset(ip, 0, head);
	frame->len += head;
	if (bed_outer_v6(pool)) {
		memcpy(ip, (const uint8_t[]){ 0x60, 0, 0, 0, (uint8_t)(octets >> 8), (uint8_t)octets, 41, 64 }, 8);
		memcpy(ip + 8, source.ip, 16);
		memcpy(ip + 24, to.ip, 16);
		return;
	}
	memcpy(ip, (const uint8_t[]){ 0x45, 0, (uint8_t)((octets + 20) >> 8), (uint8_t)(octets + 20) }, 4);
	memcpy(ip + 4, id, 2);
	memcpy(ip + 8, (const uint8_t[]){ 64, 4 }, 2);
	memcpy(ip + 12, source.ip + 12, 4);
	memcpy(ip + 16, to.ip + 12, 4);
	frame_check_ip(frame);
}

static void check_sent_on(const struct up *up, struct seen *seen, enum cast cast)
{
	static struct frame expected;

	expect_sent_on(&expected, &up->frame);
	if (bed_wraps(up->pool))
		expect_wrapped(&expected, up->pool, cast, seen->out.frame + IP_ID_AT);
	if (seen->out.octets == expected.len && memcmp(seen->out.frame, expected.octets, expected.len) == 0)
		return;
	print_hex("exp", expected.octets, expected.len);
	wrong(seen, "another frame");
}

static void check_sent_up(struct bed *bed, const struct up *up, struct seen *seen, const struct route_out *out)
{
	static uint8_t payload[FRAME_MAX];
	const enum cast cast = (enum cast)out->backend;
	const unsigned action = cast == CAST_BROKEN ? XDP_ABORTED : cast == CAST_ANOTHER ? XDP_REDIRECT : XDP_TX;
	const bool tunnelled = up->pool != POOL_STATELESS;
	struct datagram expected = {
		.to = bed_backend_addr(up->pool, cast),
		.payload = payload,
		.check = up->datagram.check,
	};

	const bool hashed = out->verdict == VERDICT_HASH && goes_by_hash(up->pool) && is_of_session(up);

	if (up->unhandled || (out->verdict > VERDICT_CID_DOWN && !hashed) || !is_sent(up->pool, cast)) {
		wrong(seen, "sent what must be passed up");
		return;
	}
	if (seen->out.action != action)
		wrong(seen, "another way out");
	if (seen->out.action == XDP_ABORTED)
		return;
	if (bed_is_dsr(up->pool)) {
		check_sent_on(up, seen, cast);
		return;
	}
	if (tunnelled)
		expect_tunnelled(bed, up, &expected, payload);
	else
		expect_embedded(bed, up, &expected, payload);
	memcpy(expected.to_mac, bed_backend_mac, 6);
	memcpy(expected.from_mac, bed_mac, 6);
	compare(seen, &expected, tunnelled);
}

/* What the counts must have become. */
static void check_counts(struct bed *bed, const struct up *up, struct seen *seen, const struct fast_counts *before,
			 const struct route_out *out)
{
	static struct fast_counts expected;
	const struct fast_counts *now = bed_counts(bed);
	const uint16_t uid = out->backend == SNAPSHOT_NO_BACKEND ? 0 : bed_uid(up->pool, (enum cast)out->backend);

	memcpy(&expected, before, sizeof expected);
	if (seen->out.action != XDP_PASS)
		expected.verdicts[up->listener][out->verdict]++;
	if (seen->out.action == XDP_ABORTED)
		expected.refused_up[up->pool]++;
	if (seen->out.action == XDP_TX || seen->out.action == XDP_REDIRECT) {
		struct fast_sent *sent =
			out->verdict == VERDICT_HASH ? &expected.hashed_up[uid] : &expected.sent_up[uid];

		sent->datagrams++;
		sent->octets += up->datagram.len;
	}
	memcpy(expected.passed, now->passed, sizeof expected.passed);
	if (memcmp(&expected, now, offsetof(struct fast_counts, sample_at)) != 0)
		wrong(seen, "other counts");
}

static uint64_t passed_for(const struct fast_counts *counts, const struct up *up, enum fast_passed why)
{
	return counts->passed[up->listener][why];
}

void judge_up(struct bed *bed, const struct up *up, struct tally *tally)
{
	static struct fast_counts before;
	static bool cached[POOL_KINDS][SESSIONS];
	struct seen seen = { .in = &up->frame, .tally = tally, .who = "uplink" };
	struct route_out out;
	struct route_in in;
	bool known = false;
	size_t session = SESSIONS;

	route_up(bed, up, &out, &in);
	seen.verdict = out.verdict;
	for (size_t i = 0; out.verdict <= VERDICT_CID_DOWN && i < SESSIONS; i++)
		if (bed->sessions[up->pool][i].len == out.cid_len &&
		    memcmp(bed->sessions[up->pool][i].cid, out.cid, out.cid_len) == 0)
			known = cached[up->pool][session = i];
	memcpy(&before, bed_counts(bed), sizeof before);
	bed_run(bed, up->frame.octets, up->frame.len, &seen.out);
	tally->frames++;
	tally->by[up->pool][out.verdict]++;
	if (seen.out.action == XDP_PASS) {
		const struct fast_counts *now = bed_counts(bed);

		tally->passed++;
		if (!is_unchanged(&seen))
			wrong(&seen, "passed up, but changed");
		if (up->may_be_odd && !up->unhandled &&
		    passed_for(now, up, FAST_PASSED_SOURCE) != passed_for(&before, up, FAST_PASSED_SOURCE))
			tally->odd++;
		else if (must_be_sent(bed, up, &in, &out, known) || must_be_hashed(up, &out))
			wrong(&seen, "passed up what it is for");
		else if (must_be_dropped(up, &out, &in) &&
			 passed_for(now, up, FAST_PASSED_SAMPLE) == passed_for(&before, up, FAST_PASSED_SAMPLE))
			wrong(&seen, "passed up what it should drop");
	} else if (seen.out.action == XDP_DROP) {
		tally->dropped++;
		tally->handled[up->pool][out.verdict]++;
		if (up->unhandled || !is_drop(out.verdict) || up->pool == POOL_PLAIN)
			wrong(&seen, "dropped what must be passed up");
	} else {
		tally->sent++;
		tally->handled[up->pool][out.verdict]++;
		check_sent_up(bed, up, &seen, &out);
	}
	check_counts(bed, up, &seen, &before, &out);
	/* As the packet path does with what is passed up to it. */
	if (seen.out.action == XDP_PASS && session < SESSIONS && !known && is_by_cache(bed, up) && one_in(bed, 2)) {
		fast_cids_put(&bed->cids, (uint16_t)up->pool, out.cid, out.cid_len,
			      bed_uid(up->pool, (enum cast)out.backend));
		cached[up->pool][session] = true;
	}
}

static bool is_plain_reply(const uint8_t *payload, size_t len)
{
	const bool epoch0 = len >= 5 && payload[3] == 0 && payload[4] == 0;

	if (len < DTLS_HEADER_OCTETS)
		return false;
	return payload[0] >> 5 == 1 || (payload[0] >= DTLS_CHANGE_CIPHER_SPEC && payload[0] <= DTLS_RRC && !epoch0);
}

static bool is_narrow(const struct addr *device)
{
	return addr_is_v4(device) && device->ip[12] == 203 && device->ip[13] == 0 && device->ip[14] == 113;
}

/* Nobody knows the way, or no device is there. */
static bool is_unreachable(const struct addr *device)
{
	return device->port == 0 ||
	       (addr_is_v4(device) ? device->ip[12] == 198 && device->ip[13] == 51 : device->ip[0] >> 5 != 1);
}

static void check_sent_down(struct bed *bed, const struct down *down, struct seen *seen, const struct proxy2_ends *ends,
			    size_t head)
{
	const bool tunnelled = down->pool != POOL_STATELESS;
	struct datagram expected = {
		.source = ends->source,
		.to = ends->destination,
		.payload = down->payload + head,
		.len = down->datagram.len - head,
		.check = down->datagram.check,
		.hops = tunnelled ? 64 : (uint8_t)(down->datagram.hops - 1),
	};

	(void)bed;
	memcpy(expected.to_mac, is_narrow(&ends->destination) ? bed_backend_mac : bed_gateway_mac, 6);
	memcpy(expected.from_mac, bed_mac, 6);
	if (seen->out.action != XDP_TX)
		wrong(seen, "another way out");
	compare(seen, &expected, tunnelled);
}

static bool of_pool(const struct bed *bed, const struct down *down, const struct addr *service)
{
	const struct addr v4 = bed_service(bed, down->pool, false), v6 = bed_service(bed, down->pool, true);

	return addr_equal(service, &v4) || addr_equal(service, &v6) ||
	       (down->pool == POOL_NODE_ID && service->port == WILDCARD_PORT && addr_is_v4(service) &&
		service->ip[12] == 10 && (service->ip[13] == 1 || service->ip[13] == 9) && service->ip[14] == 0 &&
		service->ip[15] == 1);
}

/* What the C core makes of the header, or of the address. False: it is none of ours. */
static bool read_ends(const struct bed *bed, const struct down *down, struct proxy2_ends *ends, size_t *head)
{
	const struct table_pool *pool = &bed->table->pools[down->pool];

	if (down->pool == POOL_STATELESS) {
		*ends = (struct proxy2_ends){ .source = bed_service(bed, POOL_STATELESS, false), .version = PROXY2_V2 };
		return down->datagram.to.port == EMBED_PORT &&
		       embed_contains(&pool->stateless.embed, down->datagram.to.ip) &&
		       embed_read(&ends->destination, &pool->stateless.embed, down->datagram.to.ip);
	}
	return proxy2_read(ends, head, &pool->tunnel_keys, PROXY2_DOWN, down->payload, down->datagram.len) ==
		       PROXY2_GOOD &&
	       of_pool(bed, down, &ends->source) && down->pool != POOL_LEARNED && down->pool != POOL_PLAIN &&
	       down->pool != POOL_NAT && !bed_is_dsr(down->pool);
}

void judge_down(struct bed *bed, const struct down *down, struct tally *tally)
{
	static struct fast_counts before;
	const uint16_t backend =
		backend_by_addr_find(bed->table->pools[down->pool].backend_by_addr, &down->datagram.source);
	struct seen seen = { .in = &down->frame, .tally = tally, .who = "downlink", .verdict = VERDICTS - 1 };
	struct proxy2_ends ends = { .version = PROXY2_V1 };
	size_t head = 0;
	const bool good = read_ends(bed, down, &ends, &head) && !down->unhandled && backend != SNAPSHOT_NO_BACKEND &&
			  backend != CAST_ELSEWHERE;
	const bool reachable = good && !down->odd && !is_unreachable(&ends.destination) &&
			       (addr_is_v4(&ends.destination) ? 28U : 48U) + down->datagram.len - head <=
				       (is_narrow(&ends.destination) ? NARROW_MTU : MTU);

	memcpy(&before, bed_counts(bed), sizeof before);
	bed_run(bed, down->frame.octets, down->frame.len, &seen.out);
	tally->frames++;
	if (seen.out.action == XDP_PASS) {
		const bool needs_check = down->datagram.check == CHECK_ZERO && !addr_is_v4(&ends.destination);
		const bool plain = good && is_plain_reply(down->payload + head, down->datagram.len - head);

		tally->passed++;
		if (!is_unchanged(&seen))
			wrong(&seen, "passed up, but changed");
		/* The device may have a bit in common with an odd address. */
		if (reachable && plain && down->untouched && ends.version == PROXY2_V2 && !needs_check)
			tally->odd++;
		return;
	}
	tally->sent++;
	tally->replies[down->pool]++;
	if (!reachable || ends.version != PROXY2_V2 || !is_plain_reply(down->payload + head, down->datagram.len - head))
		wrong(&seen, "sent what must be passed up");
	else
		check_sent_down(bed, down, &seen, &ends, head);
	before.replies[down->pool]++;
	before.sent_down[bed_uid(down->pool, (enum cast)backend)].datagrams++;
	before.sent_down[bed_uid(down->pool, (enum cast)backend)].octets += down->datagram.len - head;
	if (memcmp(&before, bed_counts(bed), offsetof(struct fast_counts, sample_at)) != 0)
		wrong(&seen, "other counts");
}
