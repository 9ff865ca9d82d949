/* Who owns which id, as told by stories. */
#include "tests/fixtures/claims_cast.h"
#include "tests/unit/suite.h"

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
	    { { "1", "2:2,1", "-", "-" }, "1a? 2b", "m1ba c1ab" },
	    { { "1", "2:2,1", "-", "-" }, "1a? 2b", "" },
	    { { "1", "2", "-", "-" }, "1a 2b", "s1a" } } },
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
	{ "the configured owner comes back and gets its id, which one that is up has taken",
	  { { { "-", ":1", "-", "-" }, "1b", "m1-b" },
	    { { "1", ":1", "-", "-" }, "1a?", "m1ba c1ab" },
	    { { "1!", ":1", "-", "-" }, "1b", "m1ab s1b" },
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
	    { { "1~", "2~", "-", "-" }, "1b 2b", "" },
	    { { "1~", "2~:1", "-", "-" }, "1b 2b", "" },
	    { { "1!", "2~", "3:1", "-" }, "1b 2b 3c", "" },
	    { { "1", "2~", "-", "-" }, "1a 2b", "m1ba" } } },
	{ "one unheard of takes nothing, and contests nothing",
	  { { { "1", "2~:1,9", "~:9", "-" }, "1a 2b", "" },
	    { { "1", "2:1,9", "~:9", "-" }, "1a? 2b 9b", "c1ab m9-b" } } },
	{ "one unheard of is no party to a contest",
	  { { { "1", "2:1", "-", "-" }, "1a? 2b", "c1ab" }, { { "1", "2~:1", "-", "-" }, "1a 2b", "s1a" } } },
	{ "an owner unheard of, and two who claim",
	  { { { "1~", ":1", ":1", "-" }, "1a?", "c1bc" }, { { "1!", ":1", ":1", "-" }, "1a?", "" } } },
	{ "a new backend unheard of, whose id another claims",
	  { { { "-", ":1", "-", "-" }, "1b", "m1-b" }, { { "1~", "-", ":1", "-" }, "1a", "m1ba" } } },
	{ "a claim that is not allowed changes nothing",
	  { { { "1!", "2:2,1/", "-", "-" }, "1a 2b", "" },
	    { { "1!", "2:1/3", "-", "-" }, "1a 2b", "" },
	    { { "1", "2:1/3", "-", "-" }, "1a 2b", "" },
	    { { "1!", "2:1/3,1", "-", "-" }, "1b 2b", "m1ab" } } },
	{ "who says nothing but what it may not claims its own id",
	  { { { "1!", "2:1/", "3:2", "-" }, "1a 2b? 3c", "c2bc" } } },
	{ "its own id is always allowed", { { { "1:1/", "2:1/", "-", "-" }, "1a 2b", "" } } },
	{ "one of two claims is not allowed, so there is one",
	  { { { "1!", "2:2,1/", "3:3,1/1", "-" }, "1c 2b 3c", "m1ac" } } },
	{ "an id of nobody, which nobody may claim", { { { "1", "2:2,9/8", "-", "-" }, "1a 2b", "" } } },
	{ "a right that is taken away",
	  { { { "1!", "2:2,1/1", "-", "-" }, "1b 2b", "m1ab" },
	    { { "1!", "2:2,1/", "-", "-" }, "1b 2b", "" },
	    { { "1!", "2:2,1/", "3:3,1/1", "-" }, "1c 2b 3c", "m1bc" },
	    { { "1", "2:2,1/", "3:3,1/1", "-" }, "1a? 2b 3c", "m1ca c1ac" },
	    { { "1", "2:2,1/", "3:3,1/", "-" }, "1a 2b 3c", "s1a" } } },
	{ "the configured owner claims other ids, and not its own",
	  { { { "1:5/5", "2:2,1/1", "-", "-" }, "1b 2b 5a", "m1ab m5-a" },
	    { { "1:1,5/5", "2:2,1/1", "-", "-" }, "1a? 2b 5a", "m1ba c1ab" } } },
	{ "the configured owner gets its id back in a contest",
	  { { { "1!", "2:2,1", "3:3", "-" }, "1b 2b 3c", "m1ab" },
	    { { "1", "2:2,1", "3:3,1", "-" }, "1a? 2b 3c", "m1ba c1ab" } } },
	{ "an empty pool",
	  { { { "-", "-", "-", "-" }, "", "" },
	    { { "1", "-", "-", "-" }, "1a", "" },
	    { { "-", "-", "-", "-" }, "", "" } } },
};

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

/* By length before octets: with another layout an id is another id. */
START_TEST(ids_of_all_lengths)
{
	static struct server_id ids[] = { { 2, { 0, 1 } },
					  { 1, { 1 } },
					  { 15, { 0xff, [14] = 1 } },
					  { 15, { 0xff, [14] = 2 } },
					  { 3, { 0, 0, 1 } } };
	const struct claims_backend backend = {
		.uid = 0, .serves = true, .claims = ids, .claim_count = 5, .may_claim_any = true
	};

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
	tcase_add_test(tests, ids_of_all_lengths);
	tcase_add_test(tests, an_empty_one);
}
