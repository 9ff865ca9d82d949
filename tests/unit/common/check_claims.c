#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/claims.h"
#include "common/steering.h"
#include "tests/unit/suite.h"

enum { CAST = 4 };

/* A backend, "a" to "d", in some words: "1" its configured id (absent: none), then "down" or "maint" as "!", unheard of
 * as "~", then what it claims. "-": not there. Examples: "1" "1!" "1:2,3" "!:7" "". */
struct step {
	const char *say[CAST];
	const char *owners; /* after it: id and owner, '?' contested; "1a 2b?"; "-" for nobody */
	const char *events; /* in between: m from to, c, s, each with its id; "m1ab c2ab s2a" */
};

static struct claims claims;
static struct claims_backend backends[CAST];
static struct server_id named[CAST][STEERING_IDS + 1];
static char events[256];

static void setup(void)
{
	claims = (struct claims){ 0 };
}

static void teardown(void)
{
	claims_free(&claims);
}

static char letter(uint16_t uid)
{
	return uid == CLAIMS_NOBODY ? '-' : (char)('a' + uid - 10);
}

static void on_event(void *ctx, enum claims_event event, const struct server_id *id, uint16_t a, uint16_t b)
{
	const size_t len = strlen(events);

	ck_assert_ptr_eq(ctx, events);
	ck_assert_uint_eq(id->len, 1);
	if (event == CLAIMS_SETTLED)
		ck_assert_uint_eq(b, CLAIMS_NOBODY);
	snprintf(events + len, sizeof events - len, event == CLAIMS_SETTLED ? "%s%c%u%c" : "%s%c%u%c%c", len ? " " : "",
		 "mcs"[event], id -> octets[0], letter(a), letter(b));
}

static struct server_id id_of(unsigned number)
{
	return (struct server_id){ 1, { (uint8_t)number } };
}

/* Takes in what the cast says, in the order of its names or against it. */
static bool settle(const char *const say[CAST], bool backwards)
{
	size_t count = 0;
	bool changed, failed = true;

	for (size_t i = 0; i < CAST; i++) {
		const size_t who = backwards ? CAST - 1 - i : i;
		const char *text = say[who];
		struct claims_backend *backend = &backends[count];
		char *next;

		if (strcmp(text, "-") == 0)
			continue;
		*backend = (struct claims_backend){ .uid = (uint16_t)(10 + who), .serves = true, .claims = named[who] };
		backend->has_id = *text >= '0' && *text <= '9';
		backend->id = id_of((unsigned)strtoul(text, &next, 10));
		if (*next == '!') {
			backend->serves = false;
			next++;
		}
		if (*next == '~') {
			backend->unheard = true;
			next++;
		}
		while (*next == ':' || *next == ',')
			named[who][backend->claim_count++] = id_of((unsigned)strtoul(next + 1, &next, 10));
		ck_assert_int_eq(*next, '\0');
		count++;
	}
	*events = '\0';
	changed = claims_settle(&claims, backends, count, on_event, events, &failed);
	ck_assert(!failed);
	return changed;
}

static const char *owners(void)
{
	static char text[256];
	size_t len = 0;

	*text = '\0';
	for (size_t i = 0; i < claims.count; i++) {
		const struct claims_entry *entry = &claims.entries[i];
		len += (size_t)snprintf(text + len, sizeof text - len, "%s%u%c%s", len ? " " : "", entry->id.octets[0],
					letter(entry->owner), entry->contested ? "?" : "");
		ck_assert_uint_eq(claims_owner(&claims, &entry->id), entry->owner);
	}
	return text;
}

/* Who owns what, of owners(): no contests, and no ids of nobody. */
static void owned_of(char out[static 256], const char *text)
{
	size_t len = 0;

	for (size_t word; *text; text += word + (text[word] == ' ')) {
		word = strcspn(text, " ");
		if (!memchr(text, '-', word))
			len += (size_t)snprintf(out + len, 256 - len, "%.*s ", (int)strcspn(text, " ?"), text);
	}
	out[len] = '\0';
}

static bool owners_are_same(const char *before, const char *after)
{
	char left[256], right[256];

	owned_of(left, before);
	owned_of(right, after);
	return strcmp(left, right) == 0;
}

static const struct {
	const char *what;
	struct step steps[7]; /* the last has no owners */
} stories[] = {
	{ "configured ids are nothing to report",
	  { { { "1", "2", "", "-" }, "1a 2b", "" }, { { "1!", "2!", "", "-" }, "1a 2b", "" } } },
	{ "nobody configured for an id: who alone claims it", { { { "1", "2:2,9", "-", "-" }, "1a 2b 9b", "m9-b" } } },
	{ "a successor takes over from one that is down",
	  { { { "1", "2", "-", "-" }, "1a 2b", "" },
	    { { "1!", "2", "-", "-" }, "1a 2b", "" },
	    { { "1!", "2:2,1", "-", "-" }, "1b 2b", "m1ab" },
	    { { "1", "2:2,1", "-", "-" }, "1b? 2b", "c1ba" },
	    { { "1", "2:2,1", "-", "-" }, "1b? 2b", "" },
	    { { "1", "2", "-", "-" }, "1a 2b", "m1ba s1a" } } },
	{ "a successor announces itself while the predecessor is up",
	  { { { "1", "2:2,1", "-", "-" }, "1a? 2b", "c1ab" }, { { "1!", "2:2,1", "-", "-" }, "1b 2b", "m1ab s1b" } } },
	{ "who claims other ids claims its own no more",
	  { { { "1", "2:1", "-", "-" }, "1a? 2b", "c1ab" },
	    { { "1:3", "2:1", "-", "-" }, "1b 2b 3a", "m1ab s1b m3-a" } } },
	{ "nobody claims the id of one that gives it up",
	  { { { "1:3", "2", "-", "-" }, "1a 2b 3a", "m3-a" }, { { "1!:3", "2", "-", "-" }, "1a 2b 3a", "" } } },
	{ "two claims of one that is down change nothing",
	  { { { "1!", "2:2,1", "3:3,1", "-" }, "1a? 2b 3c", "c1bc" },
	    { { "1", "2:2,1", "3:3,1", "-" }, "1a? 2b 3c", "" },
	    { { "1!", "2:2,1", "3!:3,1", "-" }, "1b 2b 3c", "m1ab s1b" } } },
	{ "two claims of an id of nobody",
	  { { { ":9", ":9", "-", "-" }, "9-?", "c9ab" },
	    { { ":9", ":9", ":9", "-" }, "9-?", "" },
	    { { "", ":9", ":9", "-" }, "9-?", "" },
	    { { "", ":9", "", "-" }, "9b", "m9-b s9b" } } },
	{ "two claims of an id of nobody, both withdrawn",
	  { { { ":9", ":9", "-", "-" }, "9-?", "c9ab" }, { { "", "", "-", "-" }, "", "s9-" } } },
	{ "the owner is named first",
	  { { { "", ":9", "-", "-" }, "9b", "m9-b" }, { { ":9", ":9", ":9", "-" }, "9b?", "c9ba" } } },
	{ "an id once claimed is kept, also by one that is down",
	  { { { ":9", "", "-", "-" }, "9a", "m9-a" },
	    { { "", "", "-", "-" }, "9a", "" },
	    { { "!", "", "-", "-" }, "9a", "" },
	    { { "", ":9", "-", "-" }, "9b", "m9ab" } } },
	{ "who is down claims nothing",
	  { { { "!:9", "2", "-", "-" }, "2b", "" }, { { "!:9", "2:2,9", "-", "-" }, "2b 9b", "m9-b" } } },
	{ "an owner that leaves: to whom it is configured for",
	  { { { "1!", "2:2,1", "-", "-" }, "1b 2b", "m1ab" }, { { "1!", "-", "-", "-" }, "1a", "m1ba" } } },
	{ "an owner that leaves: to who alone claims it",
	  { { { ":9", "", "-", "-" }, "9a", "m9-a" }, { { "-", ":9", "!:9", "-" }, "9b", "m9ab" } } },
	{ "an owner that leaves: contested by two",
	  { { { ":9", "", "-", "-" }, "9a", "m9-a" }, { { "-", ":9", ":9", "-" }, "9-?", "c9bc" } } },
	{ "an owner that leaves: forgotten",
	  { { { "1:1,9", "", "-", "-" }, "1a 9a", "m9-a" }, { { "-", "", "-", "-" }, "", "" } } },
	{ "an owner that leaves in a contest",
	  { { { "1!", "2:1", "3:1", "-" }, "1a? 2b 3c", "c1bc" },
	    { { "-", "2:1", "3:1", "-" }, "1-? 2b 3c", "" },
	    { { "-", "2:1", "3:1", "1!" }, "1d? 2b 3c", "m1-d" } } },
	{ "a backend comes back and finds its id taken by one that is up",
	  { { { "-", ":1", "-", "-" }, "1b", "m1-b" },
	    { { "1", ":1", "-", "-" }, "1b?", "c1ba" },
	    { { "1!", ":1", "-", "-" }, "1b", "s1b" },
	    { { "1", "!:1", "-", "-" }, "1a", "m1ba" } } },
	{ "an id that is new to the pool goes to its claimant at once, if its own is down",
	  { { { "1!", ":1", "-", "-" }, "1b", "m1ab" } } },
	{ "ids of two change places",
	  { { { "1", "2", "-", "-" }, "1a 2b", "" }, { { "2", "1", "-", "-" }, "1b 2a", "m1ab m2ba" } } },
	{ "a backend gets another id, and its sessions go on",
	  { { { "1", "2", "-", "-" }, "1a 2b", "" }, { { "3", "2", "-", "-" }, "1a 2b 3a", "" } } },
	{ "an id named twice is one claim", { { { "1:1,9,9,1", "2", "-", "-" }, "1a 2b 9a", "m9-a" } } },
	{ "nothing is heard yet: ids are where the configuration has them",
	  { { { "1~", "2~", "~", "-" }, "1a 2b", "" }, { { "1", "2~", "~", "-" }, "1a 2b", "" } } },
	{ "an owner unheard of keeps its id until it is heard",
	  { { { "1~", "2:2,1", "-", "-" }, "1a 2b", "" }, { { "1!", "2:2,1", "-", "-" }, "1b 2b", "m1ab" } } },
	{ "an owner unheard of keeps its id, and claims it as before",
	  { { { "1~", "2:2,1", "-", "-" }, "1a 2b", "" }, { { "1", "2:2,1", "-", "-" }, "1a? 2b", "c1ab" } } },
	{ "an heir unheard of keeps what it took",
	  { { { "1!", "2:2,1", "-", "-" }, "1b 2b", "m1ab" },
	    { { "1", "2~", "-", "-" }, "1b 2b", "" },
	    { { "1", "2~:1", "-", "-" }, "1b 2b", "" },
	    { { "1", "2", "-", "-" }, "1a 2b", "m1ba" } } },
	{ "one unheard of takes nothing, and contests nothing",
	  { { { "1", "2~:1,9", "~:9", "-" }, "1a 2b", "" },
	    { { "1", "2:1,9", "~:9", "-" }, "1a? 2b 9b", "c1ab m9-b" } } },
	{ "one unheard of is no party to a contest",
	  { { { "1", "2:1", "-", "-" }, "1a? 2b", "c1ab" }, { { "1", "2~:1", "-", "-" }, "1a 2b", "s1a" } } },
	{ "an owner unheard of, and two who claim",
	  { { { "1~", ":1", ":1", "-" }, "1a?", "c1bc" }, { { "1!", ":1", ":1", "-" }, "1a?", "" } } },
	{ "a new backend unheard of, whose id another claims",
	  { { { "-", ":1", "-", "-" }, "1b", "m1-b" }, { { "1~", "-", ":1", "-" }, "1a", "m1ba" } } },
	{ "an empty pool",
	  { { { "-", "-", "-", "-" }, "", "" },
	    { { "1", "-", "-", "-" }, "1a", "" },
	    { { "-", "-", "-", "-" }, "", "" } } },
};

/* What comes first: ids as "3c 1b" of before a restart. */
static const struct {
	const char *what, *seeds;
	struct step steps[5];
} restarts[] = {
	{ "an heir, and a predecessor that is back empty and heard first",
	  "1b",
	  { { { "1~", "2~", "-", "-" }, "1b 2b", "" },
	    { { "1", "2~", "-", "-" }, "1b 2b", "" },
	    { { "1", "2:2,1", "-", "-" }, "1b? 2b", "c1ba" },
	    { { "1!", "2:2,1", "-", "-" }, "1b 2b", "s1b" } } },
	{ "an heir, and a predecessor that is dead",
	  "1b",
	  { { { "1~", "2:2,1", "-", "-" }, "1b 2b", "" }, { { "1!", "2:2,1", "-", "-" }, "1b 2b", "" } } },
	{ "an heir that died as well",
	  "1b",
	  { { { "1", "2~", "-", "-" }, "1b 2b", "" }, { { "1", "2!", "-", "-" }, "1a 2b", "m1ba" } } },
	{ "ids of no configuration, out of order",
	  "9c 8a 7c",
	  { { { "1~", "2~", "3~", "-" }, "1a 2b 3c 7c 8a 9c", "" },
	    { { "1", "2", "3!", "-" }, "1a 2b 3c 7c 8a 9c", "" } } },
	{ "an owner that is gone", "1d 9d", { { { "1~", "2~", "-", "-" }, "1a 2b", "m1da" } } },
};

START_TEST(restart)
{
	for (const char *at = restarts[_i].seeds; *at; at += strcspn(at, " "), at += *at == ' ') {
		const struct server_id id = id_of((unsigned)(*at - '0'));
		const uint16_t uid = (uint16_t)(10 + at[1] - 'a');

		ck_assert_int_eq(claims_seed(&claims, &id, uid), 0);
		ck_assert_int_eq(claims_seed(&claims, &id, 11), -EEXIST);
		ck_assert_uint_eq(claims_owner(&claims, &id), uid);
	}
	for (const struct step *step = restarts[_i].steps; step->owners; step++) {
		(void)settle(step->say, false);
		ck_assert_msg(strcmp(owners(), step->owners) == 0, "%s: %s, expected %s", restarts[_i].what, owners(),
			      step->owners);
		ck_assert_msg(strcmp(events, step->events) == 0, "%s: %s, expected %s", restarts[_i].what, events,
			      step->events);
		ck_assert(!settle(step->say, true));
	}
}
END_TEST

static void ignore(void *ctx, enum claims_event event, const struct server_id *id, uint16_t a, uint16_t b)
{
	(void)ctx, (void)event, (void)id, (void)a, (void)b;
}

/* What a file has in it is not to be believed. */
START_TEST(more_seeds_than_anybody_could_claim)
{
	const struct claims_backend backend = { .uid = 10, .unheard = true, .has_id = true, .id = id_of(200) };

	for (unsigned i = 0; i < 3 * STEERING_IDS; i++)
		ck_assert_int_eq(claims_seed(&claims, &(struct server_id){ 1, { (uint8_t)i } }, 10), 0);
	claims_settle(&claims, &backend, 1, ignore, NULL, NULL);
	ck_assert_uint_eq(claims.count, 1 + STEERING_IDS);
	ck_assert_uint_eq(claims_owner(&claims, &(struct server_id){ 1, { 0 } }), 10);
	ck_assert_uint_eq(claims_owner(&claims, &(struct server_id){ 1, { 200 } }), 10);
}
END_TEST

static void story_run(size_t at, bool backwards)
{
	char before[256] = "";

	for (const struct step *step = stories[at].steps; step->owners; step++) {
		const bool changed = settle(step->say, backwards);

		ck_assert_msg(strcmp(owners(), step->owners) == 0, "%s: %s, expected %s", stories[at].what, owners(),
			      step->owners);
		ck_assert_msg(strcmp(events, step->events) == 0, "%s: %s, expected %s", stories[at].what, events,
			      step->events);
		ck_assert_msg(changed != owners_are_same(before, step->owners), "%s: at %s", stories[at].what,
			      step->owners);
		strcpy(before, step->owners);
		ck_assert(!settle(step->say, !backwards));
		ck_assert_str_eq(owners(), step->owners);
		ck_assert_str_eq(events, "");
	}
}

START_TEST(story)
{
	story_run((size_t)_i, false);
}
END_TEST

START_TEST(story_backwards)
{
	story_run((size_t)_i, true);
}
END_TEST

/* Claims `count` ids from `first` on. */
static void claim_range(struct claims_backend *backend, unsigned first, size_t count)
{
	for (size_t i = 0; i < count; i++)
		named[0][i] = id_of(first + (unsigned)i);
	backend->claims = named[0];
	backend->claim_count = count;
	claims_settle(&claims, backend, 1, ignore, NULL, NULL);
}

START_TEST(what_was_heard_of_last_is_kept)
{
	struct claims_backend backend = { .uid = 10, .serves = true, .has_id = true, .id = id_of(200) };

	claim_range(&backend, 50, STEERING_IDS);
	ck_assert_uint_eq(claims.count, 1 + STEERING_IDS);
	claim_range(&backend, 10, 2);
	claim_range(&backend, 100, 0);
	ck_assert_uint_eq(claims.count, 1 + STEERING_IDS); /* two of the first are gone: those of the highest numbers */
	ck_assert_uint_eq(claims_owner(&claims, &named[0][0]), 10);
	ck_assert_uint_eq(claims_owner(&claims, &(struct server_id){ 1, { 50 + STEERING_IDS - 3 } }), 10);
	ck_assert_uint_eq(claims_owner(&claims, &(struct server_id){ 1, { 50 + STEERING_IDS - 2 } }), CLAIMS_NOBODY);
	claim_range(&backend, 100, STEERING_IDS - 1);
	ck_assert_uint_eq(claims.count, 1 + STEERING_IDS);
	ck_assert_uint_eq(claims_owner(&claims, &(struct server_id){ 1, { 10 } }), 10);
	ck_assert_uint_eq(claims_owner(&claims, &(struct server_id){ 1, { 11 } }), CLAIMS_NOBODY);
	ck_assert_uint_eq(claims_owner(&claims, &(struct server_id){ 1, { 200 } }), 10);
}
END_TEST

START_TEST(forgetting_is_a_change)
{
	struct claims_backend backend = { .uid = 10, .serves = true, .claims = named[0], .claim_count = STEERING_IDS };

	for (unsigned i = 0; i < STEERING_IDS; i++)
		named[0][i] = id_of(i);
	ck_assert(claims_settle(&claims, &backend, 1, ignore, NULL, NULL));
	ck_assert(!claims_settle(&claims, &backend, 1, ignore, NULL, NULL));
	named[0][3] = id_of(99);
	ck_assert(claims_settle(&claims, &backend, 1, ignore, NULL, NULL));
	ck_assert_uint_eq(claims.count, STEERING_IDS);
	ck_assert_uint_eq(claims_owner(&claims, &(struct server_id){ 1, { 3 } }), CLAIMS_NOBODY);
}
END_TEST

/* By length before octets: with another layout an id is another id. */
START_TEST(ids_of_all_lengths)
{
	static struct server_id ids[] = { { 2, { 0, 1 } },
					  { 1, { 1 } },
					  { 15, { 0xff, [14] = 1 } },
					  { 15, { 0xff, [14] = 2 } },
					  { 3, { 0, 0, 1 } } };
	const struct claims_backend backend = { .uid = 0, .serves = true, .claims = ids, .claim_count = 5 };

	ck_assert(claims_settle(&claims, &backend, 1, ignore, NULL, NULL));
	ck_assert_uint_eq(claims.count, 5);
	for (size_t i = 0; i < 5; i++)
		ck_assert_uint_eq(claims_owner(&claims, &ids[i]), 0);
	for (size_t i = 1; i < 5; i++)
		ck_assert_uint_le(claims.entries[i - 1].id.len, claims.entries[i].id.len);
	ck_assert_uint_eq(claims_owner(&claims, &(struct server_id){ 2, { 1, 0 } }), CLAIMS_NOBODY);
}
END_TEST

START_TEST(an_empty_one)
{
	ck_assert_uint_eq(claims_owner(&claims, &(struct server_id){ 1, { 0 } }), CLAIMS_NOBODY);
	ck_assert(!claims_settle(&claims, NULL, 0, ignore, NULL, NULL));
	claims_free(&claims);
	claims_free(&claims);
	ck_assert_uint_eq(claims.count, 0);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_loop_test(tests, story, 0, sizeof stories / sizeof *stories);
	tcase_add_loop_test(tests, story_backwards, 0, sizeof stories / sizeof *stories);
	tcase_add_loop_test(tests, restart, 0, sizeof restarts / sizeof *restarts);
	tcase_add_test(tests, more_seeds_than_anybody_could_claim);
	tcase_add_test(tests, what_was_heard_of_last_is_kept);
	tcase_add_test(tests, forgetting_is_a_change);
	tcase_add_test(tests, ids_of_all_lengths);
	tcase_add_test(tests, an_empty_one);
}
