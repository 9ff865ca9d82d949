/* What the load sends: datagrams of one DTLS 1.2 record that bears a CID (RFC 9146, section 4), one for each source.
 *
 *   19 | fefd | epoch 1 | sequence number 1 | CID | length | filler for ciphertext
 *   CID, 8 octets: server id, little endian, 2 | source, big endian, 3 | b1d07b
 *
 * So a receiver can tell whether a datagram was for it. The first octet alone names up to 255 servers. Pure.
 */
#ifndef CIDLB_BENCH_LOAD_RECORD_H
#define CIDLB_BENCH_LOAD_RECORD_H

#include <stddef.h>
#include <stdint.h>

enum {
	RECORD_CID_OCTETS = 8,
	RECORD_MIN_OCTETS = 11 + RECORD_CID_OCTETS + 2 + 17, /* the least of CCM_8: explicit nonce, content type, tag */
	RECORD_MAX_OCTETS = 1400,
	RECORD_SOURCES = 1 << 24,
};

struct record {
	uint16_t server;
	uint32_t source; /* below RECORD_SOURCES */
};

/* Writes a whole datagram of `octets`, RECORD_MIN_OCTETS..RECORD_MAX_OCTETS. */
void record_write(uint8_t *out, size_t octets, const struct record *record);

/* Makes a datagram one of another source. */
void record_rename(uint8_t *out, const struct record *record);

/* Makes a datagram shorter, or as long again as it was written. It becomes what record_write() makes of so many
 * octets. */
void record_resize(uint8_t *out, size_t octets);

/* Returns 0, or -EINVAL for what record_write() does not make. The filler is not looked at. */
int record_read(struct record *out, const uint8_t *data, size_t len);

/* The time of sending, in the first octets of the filler: of this host's clock, and in its order of octets. */
void record_stamp(uint8_t *data, uint64_t sent_ns);
uint64_t record_sent_ns(const uint8_t *data);

#endif
