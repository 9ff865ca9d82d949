/* What the parts of the configuration reader share. Private to conf/ and its tests.
 *
 * A file is read in two passes. The first knows only the text, and the key files and the user that it names. The second
 * holds what was read against each other and against this host (machine.h). Sources, workers and descriptors that the
 * text leaves open come from there.
 *
 * Tables list all options that a file may have: name, type, range, default, unit. The generic reader checks a group
 * against its table. The part that owns the group checks what one option means for another.
 *
 * To add an option: a row in its table, a field in conf.h, a line in conf/cidlb.conf and in settings.c, and a line in
 * control/fingerprint.c if all nodes of a service must agree on it.
 */
#ifndef CIDLB_CONF_READ_H
#define CIDLB_CONF_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <libconfig.h>

#include "conf/access.h"
#include "conf/conf.h"
#include "conf/machine.h"

enum conf_type {
	CONF_NUMBER, /* min..max */
	CONF_WORD,   /* one of `words` */
	CONF_BOOL,   /* true or false */
	CONF_TEXT,
	CONF_GROUP, /* { … } */
	CONF_LIST,  /* ( … ) or [ … ] */
	CONF_ANY,   /* checked by the owner of the group */
};

struct conf_option {
	const char *name;
	enum conf_type type;
	bool required;
	int64_t min, max, fallback; /* CONF_NUMBER; CONF_WORD: fallback is an index in words; CONF_BOOL: 0 or 1 */
	const char *unit;           /* CONF_NUMBER; NULL: a count */
	const char *words[6];       /* accepted, NULL-ended; the value is the index */
	const char *later[3];       /* designed but not built yet, NULL-ended: refused, and said so */
	const char *gone;           /* it does nothing any more: what a warning says instead */
};

struct conf_section {
	const char *path; /* as in messages, without indices: "pools.nat"; "" is the file itself */
	const struct conf_option *options;
	size_t count;
};

/* What a message points at: a setting, or a member that is not there. Valid as long as the parsed file. */
struct conf_place {
	const config_setting_t *setting;
	const char *absent; /* name of the missing member of `setting`; NULL: the setting itself */
};

enum conf_found { CONF_ABSENT, CONF_WRONG /* reported */, CONF_GOOD };

struct conf_value {
	enum conf_found found;
	struct conf_place place;
	int64_t number;   /* CONF_NUMBER, CONF_WORD, CONF_BOOL: the default unless CONF_GOOD */
	const char *text; /* CONF_TEXT: NULL unless CONF_GOOD */
};

/* The texts in quotes of a file, one after another, each with a final NUL. Keys are among them. libconfig leaves copies
 * of texts in memory, so it is only given the number where each text begins. */
struct conf_strings {
	char *octets;
	size_t len, room;
};

/* What the text says of a pool's sources and ports, for the second pass. All zero: nothing. */
struct conf_nat_said {
	bool sources_known; /* no mistake; none at all: this host is to tell them */
	bool ports_known;
	enum conf_found max_flows_found;
	struct conf_place sources, ports, max_flows;
};

struct conf_reader {
	const char *file;
	struct conf_strings strings;
	struct conf_access access; /* to the file itself */
	struct conf_user user;
	struct conf *conf;                             /* being filled */
	struct conf_nat_said nat_said[CONF_MAX_POOLS]; /* by the index of the pool */
	struct conf_report *report;
	const struct conf_machine *machine;
	bool no_memory;
};

/* report.c: lines of the report, and the user's text in them. */
void conf_error(struct conf_reader *reader, struct conf_place place, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void conf_warn(struct conf_reader *reader, struct conf_place place, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void conf_advise(struct conf_reader *reader, struct conf_place place, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void conf_error_line(struct conf_reader *reader, int line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

enum { CONF_QUOTE_OCTETS = 64 };
/* `text` in quotes for a message: printable, shortened. Returns `out`. */
const char *conf_quote(char out[static CONF_QUOTE_OCTETS], const char *text);

static inline struct conf_place conf_at(const config_setting_t *setting)
{
	return (struct conf_place){ .setting = setting };
}

/* read.c: one group against its table. */

/* Fills values[section->count]. Reports unknown members, wrong types and ranges, and missing members that are required.
 * A group that is absent altogether gives the defaults, all with its own place. */
void conf_read_section(struct conf_reader *reader, struct conf_place group, const struct conf_section *section,
		       struct conf_value *values);

/* Element `index` of a list as a place; false (reported): it is not a group. */
bool conf_read_element(struct conf_reader *reader, const config_setting_t *list, int index, struct conf_place *out);

/* The number of elements, 1..max, or 0 (reported). */
size_t conf_read_count(struct conf_reader *reader, const struct conf_value *list, size_t max);

/* A copy of a name that CONF_TEXT gave; NULL if there is none or (reported) it is not one. */
char *conf_read_name(struct conf_reader *reader, const struct conf_value *value);

/* zone.c: writes the text of an address with the number of its interface in place of the name: fe80::1%3 for
 * fe80::1%eth0. Any other text is copied, or cut. False (reported): there is no such interface, or no name where one is
 * needed. */
bool conf_address_text(struct conf_reader *reader, struct conf_place place, const char *text,
		       char out[static ADDR_TEXT_OCTETS]);

/* ADDRESS:PORT. False: absent, or (reported) something else. */
bool conf_read_addr(struct conf_reader *reader, const struct conf_value *value, struct addr *out);
/* The same for an address that cidlb is to bind. */
bool conf_read_own_addr(struct conf_reader *reader, const struct conf_value *value, struct addr *out);

/* Reports what is wrong with a text that is no address with port, where that can be told: brackets or a port is
 * missing, or the port is out of range. False: nothing is reported. */
bool conf_addr_report(struct conf_reader *reader, struct conf_place place, const char *text);

/* text.c: the source. */

/* Reads `file` whole, NUL-terminated, at most 4 MiB. Returns 0 or -errno; -EILSEQ: has a NUL in it. */
int conf_text_read(const char *file, char **out, struct conf_access *access);

/* Where the text begins: behind the byte order mark that some editors put there. */
const char *conf_text_begin(const char *text);

/* Wipes what it frees; NULL: nothing. */
void conf_text_free(char *text, size_t octets);

/* Makes a copy for libconfig, with lines where they were. The parser leaves copies of what it reads in memory, so keys
 * must be gone before it. The copy has nothing that may be a part of a key:
 * - A text in quotes becomes a number: where it begins in *strings. Texts that follow and belong to it are joined.
 *   conf_text_of() reads it.
 * - A word that is neither a setting's name nor true or false is a mistake, and becomes "x". A float, which no option
 *   takes, becomes 0.5, and a comment a blank.
 * - An integer becomes a decimal 64-bit one: libconfig 1.5 silently wraps wider ones, and those without an L beyond 32
 *   bits. What is beyond 64 bits becomes INT64_MIN or INT64_MAX; what runs into a word becomes 0. So an array may mix
 *   widths.
 * *include_line is the first line with an @include, or 0. NULL: out of memory. */
char *conf_text_rewrite(const char *text, struct conf_strings *strings, int *include_line);

/* Wipes them, too. */
void conf_strings_free(struct conf_strings *strings);

/* Returns what config_setting_get_string() was meant to return. NULL: it is no text. Valid as long as reader->strings.
 */
const char *conf_text_of(const struct conf_reader *reader, const config_setting_t *setting);

/* text_hint.c: says what is likely wrong where libconfig finds a syntax error, and what is accepted. NULL: nothing
 * stands out. No text of the file is in it, because that may be a key. */
const char *conf_text_hint(const char *text, int error_line);

/* A file that was read already. */
struct conf_source {
	const char *file; /* its name */
	const char *text;
	struct conf_access access;
};

/* Both passes: everything conf_load() does after reading the file. */
struct conf *conf_parse(const struct conf_source *source, const struct conf_machine *machine,
			struct conf_report *report);

/* key.c: secrets. */

/* Finds out who will run. False (reported): there is no such user, or cidlb cannot become that user. */
bool conf_user_find(struct conf_reader *reader, const struct conf_value *user);

/* Reads sixteen octets from "HEX" or "@FILE" (relative to the configuration file). False (reported): refused. */
bool conf_key_read(struct conf_reader *reader, const struct conf_value *value, uint8_t key[static 16]);

/* Reads 1..CONF_PSK_OCTETS octets in the same way. */
bool conf_psk_read(struct conf_reader *reader, const struct conf_value *value, uint8_t octets[static CONF_PSK_OCTETS],
		   uint8_t *len);

/* Reads a password of 1..CONF_PASSWORD_OCTETS printable octets in the same way; white space at its end is not of it. */
bool conf_password_read(struct conf_reader *reader, const struct conf_value *value,
			uint8_t octets[static CONF_PASSWORD_OCTETS], uint8_t *len);

/* How many octets at the beginning are printable ASCII, blanks included. */
size_t conf_password_span(const char *text);

/* True: the key is in the file itself, and others can access that (reported). */
bool conf_key_is_exposed(struct conf_reader *reader, const struct conf_value *value);

/* pool.c */
extern const struct conf_section conf_section_pool, conf_section_hello_rate;

/* Fills `pool`, which is zero before, from the group at `place`. */
void conf_pool_read(struct conf_reader *reader, struct conf_place place, struct conf_pool *pool);

/* cid.c: fills pool->layout. True: it is known, so that server ids can be held against it. */
extern const struct conf_section conf_section_cid, conf_section_cid_config;
bool conf_cid_read(struct conf_reader *reader, const struct conf_value *protocol, const struct conf_value *cid,
		   struct conf_pool *pool);

/* health.c: fills pool->health and pool->all_down. */
extern const struct conf_section conf_section_health;
void conf_health_read(struct conf_reader *reader, const struct conf_value *health, struct conf_pool *pool);

/* backend.c: fills pool->backends. Server ids are held against `layout`; if that is NULL, they are not read. */
extern const struct conf_section conf_section_backend;
void conf_backends_read(struct conf_reader *reader, const struct conf_value *list, const struct cid_layout *layout,
			struct conf_pool *pool);

/* True: a name as the DNS has them. */
bool conf_is_host(const char *text, size_t len);

/* backend_ids.c: server ids, held against `layout`. */

/* Fills backend->id. */
void conf_id_read(struct conf_reader *reader, const struct conf_value *id, const struct cid_layout *layout,
		  struct conf_backend *backend);

/* Fills the ids of the `count` backends of a numbered set. */
void conf_id_base_read(struct conf_reader *reader, const struct conf_value *base, const struct cid_layout *layout,
		       struct conf_backend *first, size_t count);

/* Fills what the `count` backends of an entry may claim. */
void conf_may_claim_read(struct conf_reader *reader, const struct conf_value *value, const struct cid_layout *layout,
			 struct conf_backend *first, size_t count);

/* nat.c */
extern const struct conf_section conf_section_nat;

/* Fills pool->nat, except for sources that only this host can tell, and nat_said for the second pass. The listeners and
 * the pool's backends have been read. Those with port 0 are wrong and were reported. */
void conf_nat_read(struct conf_reader *reader, struct conf_place group, struct conf_pool *pool);

/* False: it is a name, and where that leads nobody knows yet. */
bool conf_backend_has_address(const struct conf_backend *backend);

/* nat_source.c: fills nat->sources. False: some source is wrong (reported). */
bool conf_nat_sources_read(struct conf_reader *reader, const struct conf_value *list, struct conf_nat *nat);

/* nat_check.c: the second pass. Adds sources that this host tells. */
void conf_nats_check(struct conf_reader *reader, const struct conf_machine *machine);

/* Whether a backend has, or will have, an address of that family. */
bool conf_pool_uses(const struct conf_pool *pool, bool v4);

/* descriptors.c: the second pass. */

/* Counts the sockets that `count` pools from `first` on may open for ports of single addresses. */
uint64_t conf_address_ports(const struct conf *conf, size_t first, size_t count);

/* Tells how many descriptors the limit leaves for what pools need. UINT64_MAX: there is no limit. */
uint64_t conf_descriptors_left(const struct conf *conf, const struct conf_machine *machine);

/* Holds what a good configuration may need in all, once it runs, against the limit. During a reload both need theirs
 * for a moment. */
void conf_descriptors_check(struct conf_reader *reader, const struct conf_machine *machine);

/* tunnel.c */
extern const struct conf_section conf_section_tunnel, conf_section_tunnel_key;

/* Fills pool->tunnel. */
void conf_tunnel_read(struct conf_reader *reader, struct conf_place group, struct conf_pool *pool);

/* The second pass. Holds the tunnels of the pools in `list` against their workers and backends, each other, the
 * listeners and the endpoints of mode nat. */
void conf_tunnels_check(struct conf_reader *reader, const config_setting_t *list);

/* dsr.c */
extern const struct conf_section conf_section_dsr;

/* Fills pool->dsr, but for the version. */
void conf_dsr_read(struct conf_reader *reader, struct conf_place group, struct conf_pool *pool);

/* Once listeners are tied to pools: fills that in. Holds the pools of mode dsr against their listeners and backends. */
void conf_dsrs_check(struct conf_reader *reader, const config_setting_t *listeners, const config_setting_t *pools);

/* direct.c */

/* How the file says that a pool's servers answer devices themselves. */
const char *conf_direct_name(const struct conf_pool *pool);

/* Once listeners are tied to pools. Holds such pools against what it takes. */
void conf_direct_check(struct conf_reader *reader, const config_setting_t *listeners, const config_setting_t *pools);

/* loops.c: the second pass. Refuses backends of the pools in `pools` whose address is cidlb's own. */
void conf_loops_check(struct conf_reader *reader, const config_setting_t *pools, const struct conf_machine *machine);

/* redis.c: fills conf->redis. The pools have been read. */
extern const struct conf_section conf_section_redis;
void conf_redis_read(struct conf_reader *reader, const struct conf_value *redis);

/* fast.c: fills conf->fast. */
extern const struct conf_section conf_section_fast;
void conf_fast_read(struct conf_reader *reader, const struct conf_value *fast);

/* root.c: the two passes. */
extern const struct conf_section conf_section_root, conf_section_admin, conf_section_listener;
void conf_root_read(struct conf_reader *reader, const config_setting_t *root);
void conf_root_check(struct conf_reader *reader, const config_setting_t *root, const struct conf_machine *machine);

#endif
