#include "tests/oracle/fast/make.h"

#include <string.h>

enum { ETHERNET = 14, IP_AT = ETHERNET };

static void roll_octets(struct bed *bed, uint8_t *out, size_t len)
{
	for (size_t i = 0; i < len; i++)
		out[i] = (uint8_t)roll(bed, 256);
}

static struct addr rolled(struct bed *bed, bool v6)
{
	struct addr addr = { .ip = { [10] = 0xff, 0xff } };

	addr.port = (uint16_t)(1 + roll(bed, 65535));
	if (one_in(bed, 8))
		addr.port =
			(uint16_t)(FIRST_PORT + roll(bed, POOL_KINDS)); /* devices use the port of the service, too */
	if (v6) {
		roll_octets(bed, addr.ip, 16);
		addr.ip[0] = (uint8_t)(0x20 + roll(bed, 32));
		return addr;
	}
	roll_octets(bed, addr.ip + 12, 4);
	addr.ip[12] = (uint8_t)(20 + roll(bed, 90));
	return addr;
}

/* Where no device is. */
static struct addr odd_source(struct bed *bed, bool v6)
{
	static const uint8_t v6_begins[][3] = { { 0xff, 2, 0 }, { 0xfe, 0x80, 0 }, { 0, 0, 0 } };
	static const uint8_t v4_begins[] = { 0, 127, 224, 239, 240, 255 };
	struct addr addr = rolled(bed, v6);

	switch (roll(bed, 6)) {
	case 0:
		addr.port = 0;
		break;
	case 1:
		addr = bed_backend_addr(v6 ? POOL_NODE_ID_HASHED : POOL_NODE_ID, CAST_UP);
		break;
	case 2:
		addr.ip[v6 ? 0 : 12] = v6 ? 0 : v4_begins[roll(bed, sizeof v4_begins)];
		if (v6)
			memcpy(addr.ip, v6_begins[roll(bed, 3)], 3);
		break;
	case 3:
		addr = bed_service(bed, POOL_NODE_ID, v6);
		break;
	case 4: /* prefixes: endpoints of mode nat, and of this host */
		if (v6)
			memcpy(addr.ip, (const uint8_t[]){ 0x20, 0x01, 0x0d, 0xb8, 0, 0x64, 0, 0 }, 8);
		else
			memcpy(addr.ip + 12, (const uint8_t[]){ 10, one_in(bed, 2) ? 64 : 66 }, 2);
		break;
	default: /* an address of this host, with another port */
		addr = bed_service(bed, POOL_NODE_ID, v6);
		addr.port = 40000;
	}
	return addr;
}

static size_t put_cid(struct bed *bed, enum pool_kind pool, uint8_t *out)
{
	const enum pool_kind of = one_in(bed, 20) ? (enum pool_kind)roll(bed, POOL_KINDS) : pool;
	const struct session *session = &bed->sessions[of][roll(bed, SESSIONS)];

	memcpy(out, session->cid, session->len);
	if (one_in(bed, 8))
		roll_octets(bed, out, session->len);
	else if (one_in(bed, 8))
		out[roll(bed, session->len)] ^= (uint8_t)(1U << roll(bed, 8));
	return session->len;
}

static size_t put_unified(struct bed *bed, enum pool_kind pool, uint8_t first, uint8_t *out)
{
	const size_t body = one_in(bed, 10) ? roll(bed, 20) : 16 + roll(bed, 60);
	size_t n = 0;

	out[n++] = first;
	if (first & 0x10)
		n += put_cid(bed, pool, out + n);
	roll_octets(bed, out + n, 2);
	n += first & 8 ? 2 : 1;
	if (first & 4) {
		out[n++] = (uint8_t)(body >> 8);
		out[n++] = (uint8_t)body;
	}
	roll_octets(bed, out + n, body);
	return n + body;
}

static size_t put_record(struct bed *bed, enum pool_kind pool, uint8_t *out)
{
	static const uint8_t types[] = { 22, 20, 21, 23, 25, 25, 25, 25, 25, 25, 25,   26,   27,   24,   0x3f, 0x3c,
					 48, 52, 46, 32, 28, 64, 22, 0,  19, 31, 0x3b, 0x37, 0x33, 0x30, 0x38, 25 };
	const uint8_t type = types[roll(bed, sizeof types)];
	const size_t body = one_in(bed, 20) ? roll(bed, 3) : one_in(bed, 30) ? roll(bed, 1200) : roll(bed, 90);
	size_t n = 0;

	if (type >> 5 == 1)
		return put_unified(bed, pool, type, out);
	out[n++] = type;
	out[n++] = 0xfe;
	out[n++] = one_in(bed, 12) ? 0xff : 0xfd;
	out[n++] = 0;
	out[n++] = type == 25 ? !one_in(bed, 30) : (uint8_t)roll(bed, 2);
	roll_octets(bed, out + n, 6);
	n += 6;
	if (type == 25)
		n += put_cid(bed, pool, out + n);
	out[n++] = (uint8_t)(body >> 8);
	out[n++] = (uint8_t)body;
	roll_octets(bed, out + n, body);
	if (type == 22 && body)
		out[n] = one_in(bed, 2) ? 16 : 1;
	return n + body;
}

/* Sets `single` if it is one record as it was made. */
static size_t put_records(struct bed *bed, enum pool_kind pool, uint8_t *out, bool *single)
{
	const unsigned records = one_in(bed, 3) ? 2 + roll(bed, 4) : 1;
	size_t len = 0, first = 0;

	for (unsigned i = 0; i < records && len < 300; i++) {
		/* Records of one session stand together, as devices put them. */
		if (i > 0 && one_in(bed, 2)) {
			memcpy(out + len, out, first);
			len += first;
			continue;
		}
		len += put_record(bed, pool, out + len);
		first = first ? first : len;
	}
	*single = records == 1;
	if (one_in(bed, 10)) {
		len -= roll(bed, (unsigned)(len < 20 ? len + 1 : 20));
		*single = false;
	}
	for (unsigned i = one_in(bed, 8) ? 1 + roll(bed, 3) : 0; i > 0 && len > 0; i--) {
		out[one_in(bed, 2) ? roll(bed, (unsigned)(len < 30 ? len : 30)) : roll(bed, (unsigned)len)] =
			(uint8_t)roll(bed, 256);
		*single = false;
	}
	return len;
}

static void insert(struct frame *frame, size_t at, const uint8_t *octets, size_t len)
{
	memmove(frame->octets + at + len, frame->octets + at, frame->len - at);
	memcpy(frame->octets + at, octets, len);
	frame->len += len;
}

static void grow_ip(struct frame *frame, bool v6, size_t octets)
{
	uint8_t *length = frame->octets + IP_AT + (v6 ? 4 : 2);
	const size_t total = (size_t)(length[0] << 8 | length[1]) + octets;

	length[0] = (uint8_t)(total >> 8);
	length[1] = (uint8_t)total;
}

/* Makes the frame one that is none of the program's business. */
static void spoil(struct bed *bed, struct frame *frame)
{
	const bool v6 = frame->octets[12] == 0x86;
	uint8_t *ip = frame->octets + IP_AT;
	const size_t udp = frame_udp_at(frame);

	switch (roll(bed, 13)) {
	case 0:
		ip[v6 ? 7 : 8] = (uint8_t)roll(bed, 2);
		break;
	case 1: /* padding, as behind short frames */
		memset(frame->octets + frame->len, 0, 18);
		frame->len += 1 + roll(bed, 18);
		break;
	case 2:
		frame->len -= 1 + roll(bed, (unsigned)(frame->len - udp));
		break;
	case 3:
		insert(frame, 12, (const uint8_t[]){ 0x81, 0, 0, 7 }, 4);
		return;
	case 4: /* options; a hop-by-hop header */
		insert(frame, udp, (const uint8_t[8]){ v6 ? 17 : 1, v6 ? 0 : 1, 1, 1 }, v6 ? 8 : 4);
		ip[v6 ? 6 : 0] = v6 ? 0 : 0x46;
		grow_ip(frame, v6, v6 ? 8 : 4);
		break;
	case 5: /* the first, a middle one, the last */
		if (v6) {
			insert(frame, udp, (const uint8_t[8]){ 17, 0, 0, 1 }, 8);
			ip[6] = 44;
			grow_ip(frame, true, 8);
		} else {
			ip[6] = one_in(bed, 2) ? 0x20 : 0;
			ip[7] = ip[6] ? (uint8_t)roll(bed, 2) : (uint8_t)(1 + roll(bed, 200));
		}
		break;
	case 6: /* a checksum that is wrong, or that IPv6 must have */
		if (v6)
			memset(frame->octets + udp + 6, 0, 2);
		else
			ip[10] ^= (uint8_t)(1U << roll(bed, 8));
		return;
	case 7:
		frame->octets[roll(bed, 6)] ^= (uint8_t)(1U << roll(bed, 8));
		return;
	case 8:
		frame->octets[udp + 5] ^= (uint8_t)(1U << roll(bed, 8));
		return;
	case 9:
		ip[v6 ? 6 : 9] = 6;
		break;
	case 10: /* another service address */
		ip[v6 ? 39 : 19] ^= 0x40;
		break;
	case 11:
		frame->octets[udp + 2] ^= 0x80;
		break;
	default:
		ip[0] ^= 0x20;
	}
	if (!v6)
		frame_check_ip(frame);
}

/* What a router leaves as it is: number and "do not fragment", or the flow label. */
static void vary_ip(struct bed *bed, struct frame *frame)
{
	uint8_t *ip = frame->octets + IP_AT;

	if (ip[0] >> 4 == 6) {
		ip[1] |= (uint8_t)roll(bed, 16);
		roll_octets(bed, ip + 2, 2);
		return;
	}
	roll_octets(bed, ip + 4, 2);
	ip[6] = one_in(bed, 2) ? 0x40 : 0;
	frame_check_ip(frame);
}

static void finish_up(struct bed *bed, struct up *up, bool v6)
{
	struct datagram *datagram = &up->datagram;

	up->listener = bed_listener(up->pool, v6);
	datagram->to = bed_service(bed, up->pool, v6);
	if (up->pool == POOL_NODE_ID && !v6 && one_in(bed, 4)) {
		up->listener = 2 * POOL_KINDS;
		datagram->to.ip[13] = one_in(bed, 2) ? 1 : 9;
		datagram->to.port = WILDCARD_PORT;
	}
	datagram->payload = up->payload;
	datagram->hops = (uint8_t)(2 + roll(bed, 200));
	datagram->tos = (uint8_t)roll(bed, 256);
	datagram->check = one_in(bed, 20) ? CHECK_WRONG : one_in(bed, 4) && !v6 ? CHECK_ZERO : CHECK_RIGHT;
	memcpy(datagram->to_mac, bed_mac, 6);
	memcpy(datagram->from_mac, bed_gateway_mac, 6);
	frame_make(&up->frame, datagram);
	vary_ip(bed, &up->frame);
	up->unhandled |= !bed_listens(up->pool, v6);
	if (!up->unhandled && one_in(bed, 12)) {
		up->unhandled = true;
		spoil(bed, &up->frame);
	}
	/* In an IPv6 packet a mapped address is none. */
	if (!up->unhandled && v6 && one_in(bed, 30)) {
		up->unhandled = true;
		memcpy(up->frame.octets + IP_AT + 8, (const uint8_t[16]){ [10] = 0xff, 0xff, 20, 1, 2, 3 }, 16);
	}
}

static void begin_up(struct bed *bed, struct up *up, bool v6)
{
	up->may_be_odd = true;
	up->unhandled = one_in(bed, 12);
	up->datagram.source = up->unhandled ? odd_source(bed, v6) : rolled(bed, v6);
}

void make_up(struct bed *bed, struct up *up)
{
	bool v6 = one_in(bed, 3);

	up->pool = (enum pool_kind)(one_in(bed, 3) ? roll(bed, POOL_KINDS) : roll(bed, POOL_IPIP_V6 + 1));
	if (bed_is_dsr(up->pool) && !one_in(bed, 20))
		v6 = bed_outer_v6(up->pool);
	begin_up(bed, up, v6);
	up->datagram.len = put_records(bed, up->pool, up->payload, &up->single);
	finish_up(bed, up, v6);
}

void make_up_of(struct bed *bed, struct up *up, enum pool_kind pool, const uint8_t *payload, size_t len)
{
	const bool v6 = one_in(bed, 2);

	up->pool = pool;
	begin_up(bed, up, v6);
	up->single = false;
	memcpy(up->payload, payload, len);
	up->datagram.len = len;
	finish_up(bed, up, v6);
}

static void finish_down(struct bed *bed, struct down *down, const struct addr *to)
{
	struct datagram *datagram = &down->datagram;
	const enum cast cast = one_in(bed, 4) ? (enum cast)roll(bed, CASTS) : CAST_UP;

	datagram->source = bed_backend_addr(down->pool, cast == CAST_NOWHERE ? CAST_UP : cast);
	if (one_in(bed, 12))
		datagram->source.port ^= 1;
	datagram->to = *to;
	datagram->payload = down->payload;
	datagram->hops = (uint8_t)(2 + roll(bed, 200));
	datagram->tos = (uint8_t)roll(bed, 256);
	datagram->check = one_in(bed, 20)                               ? CHECK_WRONG
			  : one_in(bed, 4) && addr_is_v4(&datagram->to) ? CHECK_ZERO
									: CHECK_RIGHT;
	memcpy(datagram->to_mac, bed_mac, 6);
	memcpy(datagram->from_mac, bed_backend_mac, 6);
	frame_make(&down->frame, datagram);
	down->unhandled = one_in(bed, 12);
	if (down->unhandled)
		spoil(bed, &down->frame);
}

static struct addr rolled_device(struct bed *bed, struct down *down, bool v6)
{
	struct addr device = rolled(bed, v6);

	down->odd = one_in(bed, 20);
	if (down->odd)
		return odd_source(bed, v6);
	if (!v6 && one_in(bed, 8))
		memcpy(device.ip + 12,
		       one_in(bed, 2) ? (const uint8_t[]){ 203, 0, 113 } : (const uint8_t[]){ 198, 51, 100 }, 3);
	if (one_in(bed, 30))
		device.port = 0;
	return device;
}

/* The address of a device, as one of the keys writes it. */
static struct addr embedded(struct bed *bed, struct down *down)
{
	struct embed embed = bed->table->pools[POOL_STATELESS].stateless.embed;
	const struct addr device = rolled_device(bed, down, false);
	struct addr to = { .port = EMBED_PORT };

	embed.keys[0] = embed.keys[roll(bed, 2)];
	embed_write(to.ip, &embed, &device);
	down->untouched = !one_in(bed, 6);
	if (!down->untouched)
		to.ip[roll(bed, 15)] ^= (uint8_t)(1U << roll(bed, 8)); /* not where spoil() would mend it */
	return to;
}

static void make_reply(struct bed *bed, struct down *down)
{
	const struct addr to = embedded(bed, down);
	bool single;

	down->pool = POOL_STATELESS;
	down->datagram.len = put_records(bed, POOL_STATELESS, down->payload, &single);
	finish_down(bed, down, &to);
}

static void make_tunnelled(struct bed *bed, struct down *down)
{
	const bool v6 = one_in(bed, 2);
	struct proxy2_ends ends = { .version = one_in(bed, 8) ? PROXY2_V1 : PROXY2_V2, .key = (uint8_t)roll(bed, 2) };
	size_t head;
	bool single;

	do
		down->pool = (enum pool_kind)(one_in(bed, 4) ? roll(bed, POOL_KINDS) : roll(bed, POOL_LEARNED));
	while (down->pool == POOL_STATELESS);
	ends.source = bed_service(bed, one_in(bed, 12) ? (enum pool_kind)roll(bed, POOL_KINDS) : down->pool, v6);
	if (!v6 && one_in(bed, 8)) {
		ends.source.port = WILDCARD_PORT;
		ends.source.ip[13] = one_in(bed, 2) ? 1 : 9;
	}
	ends.destination = rolled_device(bed, down, v6);
	head = proxy2_write(down->payload, &bed->table->pools[down->pool].tunnel_keys,
			    one_in(bed, 20) ? PROXY2_UP : PROXY2_DOWN, &ends);
	down->datagram.len = head + put_records(bed, down->pool, down->payload + head, &single);
	down->untouched = !one_in(bed, 6);
	if (!down->untouched)
		down->payload[roll(bed, (unsigned)head)] ^= (uint8_t)(1U << roll(bed, 8));
	finish_down(bed, down, &bed->table->pools[down->pool].tunnel_local);
}

void make_down(struct bed *bed, struct down *down)
{
	if (one_in(bed, 4))
		make_reply(bed, down);
	else
		make_tunnelled(bed, down);
}

void make_down_of(struct bed *bed, struct down *down, enum pool_kind pool, const uint8_t *payload, size_t len)
{
	struct addr to = bed->table->pools[pool].tunnel_local;

	down->odd = false;
	if (pool == POOL_STATELESS)
		to = embedded(bed, down);
	down->pool = pool;
	down->untouched = false;
	memcpy(down->payload, payload, len);
	down->datagram.len = len;
	finish_down(bed, down, &to);
}
