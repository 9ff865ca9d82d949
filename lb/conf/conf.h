/* The configuration file (libconfig), read, checked and turned into one value. Control thread only.
 *
 * Every mistake is one line "FILE:LINE: pools[0].backends[1].id: 300 does not fit size 1; accepted: 0..255". All
 * mistakes are reported at once, but a syntax error or a duplicate key comes alone.
 */
#ifndef CIDLB_CONF_H
#define CIDLB_CONF_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/addr.h"
#include "common/cid.h"
#include "common/pool.h"
#include "common/proxy2.h"
#include "common/snapshot.h"

enum {
	CONF_MAX_LISTENERS = 64,
	CONF_MAX_POOLS = 64,
	CONF_MAX_BACKENDS = 1024 /* per pool */,
	CONF_MAX_MAY_CLAIM = 256 /* per backend */,
	CONF_MAX_SOURCES = 8,
	CONF_MAX_WORKERS = 64,
	CONF_MAX_HOSTS = 16,
	CONF_MAX_INTERFACES = 8,  /* of the fast path */
	CONF_SOCKET_CLIENTS = 32, /* at once, of admin.socket: one more ends another (admin/socket.h) */
	CONF_HTTP_CLIENTS = 32,   /* the same of admin.http */
};

#define CONF_SOCKET       "/run/cidlb/admin.sock"
#define CONF_STATE_FILE   "/var/lib/cidlb/state.json"
#define CONF_REDIS_PREFIX "cidlb"

enum conf_forward { FORWARD_NAT, FORWARD_TUNNEL, FORWARD_DSR };
enum conf_reply { REPLY_NODE, REPLY_DIRECT }; /* where the server's end of a tunnel sends answers */
enum conf_encap { ENCAP_L2, ENCAP_IPIP };
enum conf_rebind { REBIND_FOLLOW, REBIND_BACKEND };
enum conf_contest { CONTEST_OWN, CONTEST_HOME };
enum conf_endpoint { ENDPOINT_CID, ENDPOINT_HANDSHAKE };
enum conf_attach { ATTACH_AUTO, ATTACH_NATIVE, ATTACH_GENERIC };
enum conf_probe { PROBE_DTLS, PROBE_COAP, PROBE_COAPS, PROBE_HTTP, PROBE_NONE };

enum { CONF_PSK_OCTETS = 32, CONF_IDENTITY_OCTETS = 128, CONF_PASSWORD_OCTETS = 128, CONF_REDIS_WORD_OCTETS = 64 };

struct conf_prefix {
	struct addr addr; /* host bits and port are 0 */
	uint8_t bits;     /* of the address family: 0..32 or 0..128 */
};

struct conf_nat {
	enum conf_rebind rebind;
	struct conf_prefix sources[CONF_MAX_SOURCES];
	bool single;                    /* the sources are addresses, at most one of a family: a port per endpoint */
	size_t source_count;            /* >= 1 after conf_load(), defaults filled in */
	uint16_t port_first, port_last; /* inclusive */
	uint32_t idle_s;                /* flows without CID */
	uint32_t cid_idle_s;
	uint32_t max_flows;
	enum conf_contest contest;
	enum conf_endpoint endpoint; /* ENDPOINT_HANDSHAKE: with REBIND_FOLLOW and CONTEST_HOME */
	uint32_t unproven_rate;      /* octets a second */
};

static inline size_t conf_nat_ports(const struct conf_nat *nat)
{
	return (size_t)nat->port_last - nat->port_first + 1;
}

struct conf_tunnel {
	struct addr local; /* of the first worker; the others have the next ports, and probes the one after these */
	struct proxy2_keys keys;
	enum conf_reply reply;
	uint32_t cid_idle_s; /* so long a session may be silent: of a server that drains */
};

struct conf_dsr {
	enum conf_encap encap;
	bool v6;             /* the version of its listeners and backends */
	uint32_t cid_idle_s; /* as in conf_tunnel */
};

struct conf_health {
	enum conf_probe probe;
	uint32_t interval_ms, timeout_ms;
	uint8_t rise, fall;
	uint16_t port;      /* of the probe; 0: the backend's own */
	char *path;         /* coaps, http; else NULL */
	char *psk_identity; /* coaps; else NULL */
	uint8_t psk_key[CONF_PSK_OCTETS];
	uint8_t psk_key_len; /* octets */
};

/* ClientHellos per second; 0: unlimited. */
struct conf_hello_rate {
	uint32_t pool, backend, prefix;
};

struct conf_backend {
	char *name;
	bool has_id; /* exactly if the pool's layout carries ids */
	struct server_id id;
	bool may_claim_any;          /* else its own id and those in may_claim: claims.h */
	struct server_id *may_claim; /* in the order of claims_id_compare(); NULL: none */
	size_t may_claim_count;
	struct addr addr; /* of a name: only the port */
	char *host;       /* a name for the DNS, in small letters; NULL: addr is the address */
	size_t entry;     /* the index of its entry in the file, where a numbered set is one */
	uint16_t weight;  /* 0..256 */
	enum backend_admin admin;
};

struct conf_pool {
	char *name;
	enum pool_protocol protocol;
	enum pool_affinity affinity;
	enum unknown_cid unknown_cid;
	enum all_down all_down;
	struct cid_layout layout;
	uint32_t max_cids;      /* scheme "learned": so many are kept; else 0 */
	uint32_t max_resumable; /* session ids and tickets that are kept; 0: none, and in udp pools */
	bool only_sockets;      /* fast = false: the fast path leaves it alone */
	enum conf_forward forward;
	struct conf_nat nat;       /* FORWARD_NAT; else all zero */
	struct conf_tunnel tunnel; /* FORWARD_TUNNEL; else all zero */
	struct conf_dsr dsr;       /* FORWARD_DSR; else all zero */
	struct conf_health health;
	struct conf_hello_rate hello_rate;
	struct conf_backend *backends;
	size_t backend_count;
};

struct conf_listener {
	char *name;
	struct addr addr;
	bool freebind; /* this host may not have the address yet */
	size_t pool;   /* index in conf->pools */
};

/* Where nodes share what they learn. */
struct conf_redis {
	struct addr addr;
	char *user; /* NULL: the default one */
	uint8_t password[CONF_PASSWORD_OCTETS];
	uint8_t password_len; /* octets; 0: none */
	char *prefix;         /* of its keys */
};

/* The fast path (xdp/). */
struct conf_fast {
	char interfaces[CONF_MAX_INTERFACES][IF_NAMESIZE]; /* names */
	size_t interface_count;                            /* 0: there is no fast path */
	enum conf_attach attach;
	uint32_t linger_s; /* so long it goes on without cidlb; 0: not at all */
};

struct conf {
	char *file;
	unsigned workers; /* threads, >= 1: 0 in the file became the number of CPUs */
	uint32_t rcvbuf_octets;
	char *user;           /* NULL: cidlb */
	uint8_t hash_key[16]; /* decides all that is new */
	bool has_previous_key;
	uint8_t previous_key[16]; /* what was made with it is good still; another than hash_key */
	bool has_http;
	struct addr http;
	char **hosts; /* names that admin.http is asked by, besides addresses and localhost */
	size_t host_count;
	char *socket;        /* of commands, an absolute path; NULL: none */
	bool socket_default; /* not in the file: where it cannot be made, cidlb does without */
	char *state_file;    /* of saved.h, an absolute path; NULL: none */
	bool has_redis;
	struct conf_redis redis; /* else all zero */
	struct conf_fast fast;
	struct conf_listener *listeners;
	size_t listener_count;
	struct conf_pool *pools;
	size_t pool_count;
};

/* Whether the names of the pool's backends are asked for IPv6 addresses. In mode nat they are asked for IPv4 if there
 * is a source for it; in mode tunnel they have the tunnel's family, in mode dsr that of the listeners. */
bool conf_pool_asks_v6(const struct conf_pool *pool);

/* Its servers answer devices themselves. No answer passes cidlb. */
bool conf_pool_is_direct(const struct conf_pool *pool);

/* Each entry is one line without its newline. They stand in the order of the file. Warnings never refuse a file.
 * Advice is for those who check one: what is good, but may not be meant. */
struct conf_report {
	char **errors;
	size_t error_count;
	char **warnings;
	size_t warning_count;
	char **advice;
	size_t advice_count;
};

/* Reads and checks `file`. NULL: it is refused, and `report` has at least one error. The report is filled in any case.
 */
struct conf *conf_load(const char *file, struct conf_report *report);
void conf_free(struct conf *conf);
void conf_report_free(struct conf_report *report);

#endif
