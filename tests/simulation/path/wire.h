/* Datagrams as they are on the wire: real records, but with a MAC in place of the ciphertext. Only the two ends of a
 * session can make it. */
#ifndef CIDLB_TESTS_SIMULATION_PATH_WIRE_H
#define CIDLB_TESTS_SIMULATION_PATH_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	WIRE_OCTETS = 1280,
	WIRE_CID_MAX = 8,
	WIRE_LEAST = 64 /* least octets of a protected record, which may have any size */
};

struct wire {
	size_t len;
	uint8_t data[WIRE_OCTETS];
};

struct wire_cid {
	uint8_t len;
	uint8_t octets[WIRE_CID_MAX];
};

enum wire_op { WIRE_FINISHED, WIRE_REQUEST, WIRE_ACK, WIRE_ANSWER, WIRE_NOTIFY };

struct wire_message {
	enum wire_op op;
	uint32_t number; /* of the exchange */
	uint16_t want;   /* REQUEST: octets of the answer */
};

/* Each appends one record. */
void wire_add_hello(struct wire *wire, uint64_t random, const uint64_t *cookie);
void wire_add_verify_request(struct wire *wire, uint64_t cookie);
void wire_add_server_hello(struct wire *wire, uint64_t random, const struct wire_cid *cid);
void wire_add_key_exchange(struct wire *wire, uint16_t identity);
void wire_add_change_cipher(struct wire *wire);

/* A record of epoch 1: type 25 if there is a CID, else of type `type`. `octets`: of the record, at least WIRE_LEAST. */
void wire_add_protected(struct wire *wire, uint8_t type, const struct wire_cid *cid, uint64_t key, uint64_t sequence,
			const struct wire_message *message, size_t octets);

/* A plain message of the UDP pool. */
void wire_add_plain(struct wire *wire, const struct wire_message *message, uint16_t identity, size_t octets);
bool wire_read_plain(const struct wire *wire, struct wire_message *message, uint16_t *identity);

struct wire_record {
	uint8_t type;
	uint16_t epoch;
	uint64_t sequence;
	const uint8_t *cid;  /* type 25 */
	const uint8_t *body; /* handshake: behind its header */
	size_t len;
	uint8_t handshake; /* msg_type, type 22 in epoch 0 */
};

/* Reads the record at *at, which then stands behind it. False: there is no whole record. */
bool wire_read(const struct wire *wire, size_t *at, size_t cid_len, struct wire_record *out);

/* True if the record was made with `key`. */
bool wire_open(const struct wire_record *record, uint64_t key, struct wire_message *out);

bool wire_read_hello(const struct wire_record *record, uint64_t *random, bool *has_cookie, uint64_t *cookie);
uint64_t wire_read_verify_request(const struct wire_record *record);
void wire_read_server_hello(const struct wire_record *record, uint64_t *random, struct wire_cid *cid);
uint16_t wire_read_key_exchange(const struct wire_record *record);

#endif
