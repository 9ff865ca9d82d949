/* Datagrams as they are on the wire, of DTLS 1.2 (RFC 6347, RFC 9146) and 1.3 (RFC 9147): real records and real hellos,
 * but with a MAC in place of the ciphertext. Only the two ends of a session can make it. Nothing here is shared with
 * the code under test. */
#ifndef CIDLB_TESTS_SIMULATION_PATH_WIRE_H
#define CIDLB_TESTS_SIMULATION_PATH_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	WIRE_OCTETS = 1280,
	WIRE_CID_MAX = 8,
	WIRE_COOKIE = 8,    /* octets */
	WIRE_TICKET = 8,    /* octets of the name of a session that can be resumed */
	WIRE_LEAST = 64,    /* least octets of a protected record, which may have any size */
	WIRE_HELLO_MAX = 96 /* octets of a ServerHello's body, at most */
};

enum wire_type {
	WIRE_CHANGE_CIPHER = 20,
	WIRE_ALERT = 21,
	WIRE_HANDSHAKE = 22,
	WIRE_DATA = 23,
	WIRE_CID_TYPE = 25,
	WIRE_ACK_TYPE = 26
};

enum wire_handshake {
	WIRE_CLIENT_HELLO = 1,
	WIRE_SERVER_HELLO = 2,
	WIRE_VERIFY_REQUEST = 3,
	WIRE_CERTIFICATE = 11,
	WIRE_HELLO_DONE = 14,
	WIRE_KEY_EXCHANGE = 16
};

struct wire {
	size_t len;
	uint8_t data[WIRE_OCTETS];
};

struct wire_cid {
	uint8_t len;
	uint8_t octets[WIRE_CID_MAX];
};

enum wire_op {
	WIRE_FINISHED,
	WIRE_REQUEST,
	WIRE_ACK,
	WIRE_ANSWER,
	WIRE_NOTIFY,
	WIRE_CHALLENGE,
	WIRE_RESPONSE /* of a return routability check: RFC 9853 */
};

struct wire_message {
	enum wire_op op;
	uint32_t number; /* of the exchange */
	uint16_t want;   /* REQUEST: octets of the answer */
};

/* A hello of either side. */
struct wire_hello {
	bool v13;
	uint64_t random;
	bool has_cookie;
	uint64_t cookie;
	uint64_t ticket; /* 0: none */
	bool has_cid;
	struct wire_cid cid;
	bool retry; /* a HelloRetryRequest */
};

void wire_add_client_hello(struct wire *wire, const struct wire_hello *hello);
/* A HelloVerifyRequest, or in DTLS 1.3 a HelloRetryRequest. */
void wire_add_verify_request(struct wire *wire, bool v13, uint64_t cookie);
/* How the first flight of a server is cut into records and datagrams. */
enum wire_cut { WIRE_PLAIN, WIRE_ONE_RECORD, WIRE_FRAGMENTS, WIRE_CUTS };
/* The first datagram, and the second if it needs one (its len is 0 otherwise). */
void wire_add_server_hello(struct wire wires[static 2], const struct wire_hello *hello, enum wire_cut cut);
void wire_add_key_exchange(struct wire *wire, uint16_t identity);
void wire_add_change_cipher(struct wire *wire);
/* Any record of epoch 0, with `len` octets of noise; of type 22 it is a lone fragment of a message. */
void wire_add_noise(struct wire *wire, uint8_t type, uint64_t noise, size_t len);
/* The first `len` octets of a ClientHello, as the fragment that it says it is. */
void wire_add_hello_fragment(struct wire *wire, uint64_t random, size_t len);

/* How a record is protected. */
struct wire_seal {
	bool v13;
	uint8_t type;               /* 1.2 without a CID */
	uint8_t epoch;              /* 1.2: 1; 1.3: 2 or 3 */
	const struct wire_cid *cid; /* NULL or empty: none */
	uint64_t key, sequence;
};

/* `octets`: of the record, at least WIRE_LEAST. */
void wire_add_protected(struct wire *wire, const struct wire_seal *seal, const struct wire_message *message,
			size_t octets);

/* A plain message of the UDP pool. */
void wire_add_plain(struct wire *wire, const struct wire_message *message, uint16_t identity, size_t octets);
bool wire_read_plain(const struct wire *wire, struct wire_message *message, uint16_t *identity);

struct wire_record {
	uint8_t type;      /* 1.3: WIRE_DATA */
	bool v13;          /* a unified header */
	uint16_t epoch;    /* 1.3: its low bits */
	uint64_t sequence; /* 1.3: 16 bits of it */
	const uint8_t *cid;
	const uint8_t *body;
	size_t len;
};

/* A handshake message, or a fragment of one. */
struct wire_part {
	uint8_t type;
	uint16_t message_seq;
	size_t whole, offset, len; /* octets of the message, of the fragment */
	const uint8_t *body;
};

/* Reads the record at *at, which then stands behind it. False: there is no whole record. */
bool wire_read(const struct wire *wire, size_t *at, size_t cid_len, struct wire_record *out);

/* Reads the handshake message at *at of a record of epoch 0. */
bool wire_read_part(const struct wire_record *record, size_t *at, struct wire_part *out);

/* True if the record was made with `key`. */
bool wire_open(const struct wire_record *record, uint64_t key, struct wire_message *out);

bool wire_read_client_hello(const struct wire_part *part, struct wire_hello *out);
bool wire_read_server_hello(const struct wire_part *part, struct wire_hello *out);
bool wire_read_verify_request(const struct wire_part *part, uint64_t *cookie);
uint16_t wire_read_key_exchange(const struct wire_part *part);

/* What an uplink datagram consists of, for whoever judges where it may go. */
struct wire_shape {
	bool whole;        /* all of it is records that any receiver takes for such */
	bool hello_first;  /* a ClientHello, or a fragment of one */
	bool hello_begins; /* … its first, and of no cookie: message_seq 0 */
	bool hello;        /* there is a ClientHello anywhere */
	bool plain_before; /* records of epoch 0 stand before the first one with a CID */
	bool flight;       /* … and all of them may: handshake messages but ClientHellos, and ChangeCipherSpec */
	bool plain_behind; /* records of epoch 0 stand behind it */
	bool mixed;        /* CIDs differ, or others than CID records stand behind one */
	unsigned records, cid_records;
	bool has_cid;
	struct wire_cid cid; /* the first one */
};

struct wire_shape wire_shape(const struct wire *wire, size_t cid_len);

#endif
