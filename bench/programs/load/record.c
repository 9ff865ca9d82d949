#include "bench/programs/load/record.h"

#include <errno.h>
#include <string.h>

enum {
	CID_AT = 11,
	LENGTH_AT = CID_AT + RECORD_CID_OCTETS,
	BODY_AT = LENGTH_AT + 2,
	SOURCE_OCTETS = 3,
};

static const uint8_t head[CID_AT] = { 0x19, 0xfe, 0xfd, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01 };
static const uint8_t tail[3] = { 0xb1, 0xd0, 0x7b };

void record_rename(uint8_t *out, const struct record *record)
{
	out[CID_AT] = (uint8_t)record->server;
	out[CID_AT + 1] = (uint8_t)(record->server >> 8);
	for (size_t i = 0; i < SOURCE_OCTETS; i++)
		out[CID_AT + 2 + i] = (uint8_t)(record->source >> 8 * (SOURCE_OCTETS - 1 - i));
}

void record_resize(uint8_t *out, size_t octets)
{
	size_t body = octets - BODY_AT;

	out[LENGTH_AT] = (uint8_t)(body >> 8);
	out[LENGTH_AT + 1] = (uint8_t)body;
}

void record_write(uint8_t *out, size_t octets, const struct record *record)
{
	size_t body = octets - BODY_AT;

	memcpy(out, head, sizeof head);
	record_rename(out, record);
	memcpy(out + CID_AT + 5, tail, sizeof tail);
	record_resize(out, octets);
	for (size_t i = 0; i < body; i++)
		out[BODY_AT + i] = (uint8_t)(0xa3 + 0x25 * i);
}

int record_read(struct record *out, const uint8_t *data, size_t len)
{
	uint32_t source = 0;

	if (len < RECORD_MIN_OCTETS || memcmp(data, head, sizeof head) != 0 ||
	    memcmp(data + CID_AT + 5, tail, sizeof tail) != 0)
		return -EINVAL;
	if ((size_t)data[LENGTH_AT] << 8 != ((len - BODY_AT) & ~(size_t)0xff) ||
	    data[LENGTH_AT + 1] != (uint8_t)(len - BODY_AT))
		return -EINVAL;
	for (size_t i = 0; i < SOURCE_OCTETS; i++)
		source = source << 8 | data[CID_AT + 2 + i];
	*out = (struct record){ .server = (uint16_t)(data[CID_AT] | data[CID_AT + 1] << 8), .source = source };
	return 0;
}

void record_stamp(uint8_t *data, uint64_t sent_ns)
{
	memcpy(data + BODY_AT, &sent_ns, sizeof sent_ns);
}

uint64_t record_sent_ns(const uint8_t *data)
{
	uint64_t sent_ns;

	memcpy(&sent_ns, data + BODY_AT, sizeof sent_ns);
	return sent_ns;
}
