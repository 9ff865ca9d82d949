/* The tables of the contenders: who gets which slots, and what moves. */
#include <string.h>

#include "bench/programs/churn/cidlb.h"
#include "bench/programs/churn/ketama.h"
#include "bench/programs/churn/maglev.h"
#include "bench/programs/churn/modulo.h"
#include "bench/programs/churn/sim_priv.h"
#include "common/siphash.h"
#include "tests/unit/suite.h"

enum { SERVERS = 100, THOUSAND = 1000, SESSIONS = 20000 };

static struct member members[MEMBERS_MAX];
static uint16_t before[MODULO_SLOTS], after[MODULO_SLOTS];

static void fill_both(const struct table *table, size_t count, size_t changed, enum member_state state)
{
	members_init(members, count);
	table->fill(table, before, members, count);
	members[changed].state = state;
	table->fill(table, after, members, count);
}

static size_t slots_of(const struct table *table, const uint16_t *owner, uint16_t member)
{
	size_t slots = 0;

	for (uint32_t i = 0; i < table->slots; i++)
		slots += owner[i] == member;
	return slots;
}

/* Slots that changed hands though they were not of `member` before. */
static size_t moved_needlessly(const struct table *table, uint16_t member)
{
	size_t moved = 0;

	for (uint32_t i = 0; i < table->slots; i++)
		moved += before[i] != member && after[i] != before[i];
	return moved;
}

/* Slots / servers, or one more: equal turns. */
START_TEST(maglev_is_full_and_even)
{
	members_init(members, THOUSAND);
	maglev_table.fill(&maglev_table, before, members, THOUSAND);
	for (uint16_t i = 0; i < THOUSAND; i++) {
		const size_t slots = slots_of(&maglev_table, before, i);
		ck_assert_uint_ge(slots, MAGLEV_SLOTS / THOUSAND);
		ck_assert_uint_le(slots, MAGLEV_SLOTS / THOUSAND + 1);
	}
	ck_assert_uint_eq(slots_of(&maglev_table, before, MEMBER_NONE), 0);
}
END_TEST

/* Who leaves has nothing left, and few others change: some, which is what sets it apart from the contenders that need
 * none. */
START_TEST(maglev_moves_little_else)
{
	fill_both(&maglev_table, THOUSAND, 500, MEMBER_DOWN);
	ck_assert_uint_eq(slots_of(&maglev_table, after, 500), 0);
	ck_assert_uint_gt(moved_needlessly(&maglev_table, 500), 0);
	ck_assert_uint_lt(moved_needlessly(&maglev_table, 500), MAGLEV_SLOTS / 100);
	members[500].state = MEMBER_UP;
	maglev_table.fill(&maglev_table, after, members, THOUSAND);
	ck_assert_mem_eq(before, after, MAGLEV_SLOTS * sizeof before[0]);
}
END_TEST

/* The algorithm of the paper (listing 1), once more: permutations written out. */
START_TEST(maglev_is_that_of_the_paper)
{
	enum { N = 7 };
	static uint32_t permutation[N][MAGLEV_SLOTS];
	uint32_t next[N] = { 0 }, filled = 0;

	members_init(members, N);
	for (uint32_t i = 0; i < N; i++) {
		const char *name = members[i].name;
		const uint64_t offset = siphash24(&(struct siphash_key){ 1, 0 }, name, strlen(name)) % MAGLEV_SLOTS;
		const uint64_t skip =
			siphash24(&(struct siphash_key){ 2, 0 }, name, strlen(name)) % (MAGLEV_SLOTS - 1) + 1;
		for (uint64_t j = 0; j < MAGLEV_SLOTS; j++)
			permutation[i][j] = (uint32_t)((offset + j * skip) % MAGLEV_SLOTS);
	}
	memset(after, 0xff, sizeof after);
	for (uint32_t i = 0; filled < MAGLEV_SLOTS; i = (i + 1) % N, filled++) {
		while (after[permutation[i][next[i]]] != MEMBER_NONE)
			next[i]++;
		after[permutation[i][next[i]]] = (uint16_t)i;
	}
	maglev_table.fill(&maglev_table, before, members, N);
	ck_assert_mem_eq(before, after, MAGLEV_SLOTS * sizeof before[0]);
}
END_TEST

START_TEST(maglev_keeps_to_weights)
{
	members_init(members, SERVERS);
	members[7].weight = 50;
	maglev_table.fill(&maglev_table, before, members, SERVERS);
	ck_assert_uint_le(slots_of(&maglev_table, before, 7), MAGLEV_SLOTS / (2 * SERVERS - 1) + 1);
	ck_assert_uint_ge(slots_of(&maglev_table, before, 7), MAGLEV_SLOTS / (2 * SERVERS - 1) - 1);
}
END_TEST

/* Points of "10.0.0.1:5684-0" and "10.0.0.1:5684-39", MD5 by another implementation, and who is there between them. */
START_TEST(ketama_has_these_points)
{
	static const uint32_t points[] = { 0xa4f85772, 0x27435395, 0x2fbc1d46, 0xce99274f,
					   0x5a7859e7, 0xf86d47ec, 0xa900fd6b, 0xa0d77405 };
	struct ketama *ketama;
	struct table table;

	members_init(members, SERVERS);
	ketama = ketama_new(members, SERVERS);
	ck_assert_ptr_nonnull(ketama);
	table = ketama_table(ketama);
	table.fill(&table, before, members, SERVERS);
	for (size_t i = 0; i < sizeof points / sizeof *points; i++) {
		const uint32_t slot = table.slot(&table, points[i]);
		ck_assert_uint_eq(before[slot], 0);
		ck_assert_uint_eq(table.slot(&table, UINT64_C(0xabcd000000000000) | points[i]), slot);
		ck_assert_uint_ne(table.slot(&table, points[i] + 1), slot);
	}
	/* Behind the last point is the first. */
	ck_assert_uint_eq(table.slot(&table, UINT32_MAX), 0);
	ck_assert_uint_eq(table.slot(&table, 0), 0);
	ketama_free(ketama);
}
END_TEST

START_TEST(ketama_moves_no_other)
{
	struct ketama *ketama;
	struct table table;

	members_init(members, SERVERS);
	ketama = ketama_new(members, SERVERS);
	table = ketama_table(ketama);
	fill_both(&table, SERVERS, 42, MEMBER_ABSENT);
	ck_assert_uint_gt(slots_of(&table, before, 42), KETAMA_DIGESTS * 4 - 1);
	ck_assert_uint_eq(slots_of(&table, after, 42), 0);
	ck_assert_uint_eq(slots_of(&table, after, MEMBER_NONE), 0);
	ck_assert_uint_eq(moved_needlessly(&table, 42), 0);
	/* Half the weight: it only gives. */
	members[42].state = MEMBER_UP;
	members[42].weight = 50;
	table.fill(&table, after, members, SERVERS);
	ck_assert_uint_eq(moved_needlessly(&table, 42), 0);
	ck_assert_uint_lt(slots_of(&table, after, 42), slots_of(&table, before, 42));
	ck_assert_uint_gt(slots_of(&table, after, 42), 0);
	ketama_free(ketama);
}
END_TEST

START_TEST(modulo_counts_who_is_there)
{
	fill_both(&modulo_table, SERVERS, 10, MEMBER_DOWN);
	for (uint32_t i = 0; i < MODULO_SLOTS; i++) {
		const uint32_t rest = i % (SERVERS - 1);
		ck_assert_uint_eq(before[i], i % SERVERS);
		ck_assert_uint_eq(after[i], rest < 10 ? rest : rest + 1);
	}
	members_init(members, 3);
	members[0].weight = 50;
	modulo_table.fill(&modulo_table, after, members, 3);
	for (uint32_t i = 0; i < MODULO_SLOTS; i++)
		ck_assert_uint_eq(after[i], (i % 5 + 1) / 2);
}
END_TEST

/* What is counted by slot is what route() decides, whoever is there. */
START_TEST(cidlb_table_is_what_is_routed)
{
	struct cidlb *cidlb;
	struct table table;

	ck_assert_int_eq(cidlb_new(&cidlb), 0);
	members_init(members, SERVERS);
	members[3].state = MEMBER_ABSENT;
	members[4].state = MEMBER_DOWN;
	members[5].state = MEMBER_DRAINING;
	ck_assert_int_eq(cidlb_publish(cidlb, members, SERVERS), 0);
	table = cidlb_table(cidlb);
	table.fill(&table, before, members, SERVERS);
	ck_assert_uint_eq(slots_of(&table, before, 3) + slots_of(&table, before, 4), 0);
	ck_assert_uint_gt(slots_of(&table, before, 5), 0);
	for (uint32_t session = 0; session < SESSIONS; session++) {
		const struct addr source = sim_source(session, 0);
		uint16_t to;
		cidlb_route_plain(cidlb, &to, &source, 1);
		ck_assert_uint_eq(to, before[table.slot(&table, cidlb_hash(cidlb, &source))]);
	}
	cidlb_free(cidlb);
}
END_TEST

START_TEST(cidlb_routes_cids_to_who_gave_them_out)
{
	const struct addr source = sim_source(1, 2);
	struct cidlb *cidlb;

	ck_assert_int_eq(cidlb_new(&cidlb), 0);
	members_init(members, MEMBERS_MAX);
	members[3].state = MEMBER_ABSENT;
	members[4].state = MEMBER_DOWN;
	members[5].state = MEMBER_DRAINING;
	ck_assert_int_eq(cidlb_publish(cidlb, members, MEMBERS_MAX), 0);
	for (uint16_t i = 0; i < MEMBERS_MAX; i++) {
		uint16_t to;
		const struct cidlb_records one = { &i, &(uint32_t){ 77 }, &source, 1 };
		cidlb_route_cids(cidlb, &to, &one);
		ck_assert_uint_eq(to, i == 3 ? MEMBER_NONE : i);
	}
	for (uint32_t session = 0; session < SESSIONS; session++) {
		const struct addr from = sim_source(session, 0);
		uint16_t to;
		cidlb_route_hellos(cidlb, &to, &from, 1);
		ck_assert_uint_lt(to, MEMBERS_MAX);
		ck_assert(to < 3 || to > 5);
	}
	cidlb_free(cidlb);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_test(tests, maglev_is_full_and_even);
	tcase_add_test(tests, maglev_moves_little_else);
	tcase_add_test(tests, maglev_is_that_of_the_paper);
	tcase_add_test(tests, maglev_keeps_to_weights);
	tcase_add_test(tests, ketama_has_these_points);
	tcase_add_test(tests, ketama_moves_no_other);
	tcase_add_test(tests, modulo_counts_who_is_there);
	tcase_add_test(tests, cidlb_table_is_what_is_routed);
	tcase_add_test(tests, cidlb_routes_cids_to_who_gave_them_out);
	tcase_set_timeout(tests, 60);
}
