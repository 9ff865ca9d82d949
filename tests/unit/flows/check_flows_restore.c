/* Flows of one table are put into another one, and refused if they cannot be. */
#include "flows/flows_restore.h"
#include "tests/fixtures/flows_bed.h"
#include "tests/unit/suite.h"

enum { MOST = 32 };

/* What is taken out of the table before it goes. */
static struct flow images[MOST];
static struct ownership_place places[OWNERSHIP_PLACES_HOME];
static size_t image_count;

static void take(void *ctx, const struct flow *flow)
{
	(void)ctx;
	ck_assert_uint_lt(image_count, MOST);
	memcpy(&images[image_count], flow, sizeof *flow);
	if (flow->kind == FLOW_CID && flow->session.has_many) {
		memcpy(places, flow->session.many, sizeof places);
		images[image_count].session.many = NULL;
	}
	image_count++;
}

/* Takes the flows out, and begins with an empty table, whose secret is another. */
static void renew(void)
{
	static const uint8_t secret[16] = { 9, 9, 9 };

	image_count = 0;
	flows_visit(flows, take, NULL);
	flows_free(flows);
	flows = flows_new(secret);
	ck_assert_ptr_nonnull(flows);
	ck_assert_int_eq(flows_set_limits(flows, POOL, &limits), 0);
}

static bool restore(const struct flow *image)
{
	const bool many = image->kind == FLOW_CID && image->session.has_many;

	ck_assert(flows_is_sound(image));
	return flows_restore(flows, image, many ? places : NULL, now_ms);
}

static struct ownership_pair pair_of(unsigned n)
{
	return (struct ownership_pair){ .device = addr_of(n), .service = 4 };
}

START_TEST(test_every_kind)
{
	struct flow *session = make(FLOW_CID, 1), *address = make(FLOW_ADDRESS, 2), *source = make(FLOW_SOURCE, 3),
		    *hello = make(FLOW_HELLO, 4), *found;
	struct ownership_pair proven = pair_of(5);
	struct addr ends[5] = {
		[1] = session->endpoint, [2] = address->endpoint, [3] = source->endpoint, [4] = hello->endpoint
	};

	ck_assert(flow_lock(session));
	ownership_prove(&session->session, &proven);
	ownership_expand(&session->session, flows_many_places());
	flow_unlock(session);
	promote(session, FLOW_CLASS_CID);
	promote(address, FLOW_CLASS_ADDRESS);
	pass_up(source);
	renew();
	assert_count(0, 0, 0);
	for (size_t i = 0; i < image_count; i++)
		ck_assert(restore(&images[i]));
	assert_count(2, 1, 1);
	assert_evicted(0, 0, 0);
	ck_assert_uint_eq(flows_of_backend(flows, BACKEND), 2);
	static const enum flow_kind kinds[5] = { [1] = FLOW_CID, FLOW_ADDRESS, FLOW_SOURCE, FLOW_HELLO };

	for (unsigned n = 1; n < 5; n++) {
		const struct addr backend = addr_of(60000);

		found = find(kinds[n], n);
		ck_assert_ptr_nonnull(found);
		ck_assert(addr_equal(&found->endpoint, &ends[n]));
		ck_assert_ptr_eq(flows_find_end(flows, &ends[n], &backend), found);
	}
	found = find(FLOW_CID, 1);
	ck_assert(ownership_is_proven(&found->session, &proven));
	ck_assert(found->session.has_many);
	/* They end as others do. */
	now_ms += CID_IDLE_MS;
	sweep();
	assert_count(0, 0, 0);
	ck_assert_uint_eq(flows_of_backend(flows, BACKEND), 0);
}
END_TEST

START_TEST(test_what_is_there_stays)
{
	struct flow *there;

	ck_assert_ptr_nonnull(make(FLOW_CID, 1));
	renew();
	there = make(FLOW_CID, 1);
	ck_assert(!restore(&images[0]));
	ck_assert_ptr_eq(find(FLOW_CID, 1), there);
	/* Its endpoint is another flow's. */
	flows_end(flows, there);
	there = make(FLOW_ADDRESS, 1);
	ck_assert(addr_equal(&there->endpoint, &images[0].endpoint));
	ck_assert(!restore(&images[0]));
	ck_assert_ptr_null(find(FLOW_CID, 1));
	assert_count(1, 0, 0);
}
END_TEST

/* One that has handed its endpoint on is found by its key alone. */
START_TEST(test_handed)
{
	struct flow *from = make(FLOW_ADDRESS, 1), *heir;
	const struct addr backend = addr_of(60000);
	struct what what;

	what_of(&what, FLOW_CID, POOL, 2);
	ck_assert_ptr_nonnull(flows_make_heir(flows, from, &what.made));
	renew();
	ck_assert_uint_eq(image_count, 2);
	for (size_t i = 0; i < image_count; i++)
		ck_assert(restore(&images[i]));
	heir = find(FLOW_CID, 2);
	from = find(FLOW_ADDRESS, 1);
	ck_assert(from->handed && addr_equal(&from->endpoint, &heir->endpoint));
	ck_assert_ptr_eq(flows_find_end(flows, &heir->endpoint, &backend), heir);
}
END_TEST

START_TEST(test_no_more_than_there_is_room_for)
{
	const struct flows_limits few = { .max_flows = 3, .idle_ms = IDLE_MS, .cid_idle_ms = CID_IDLE_MS };

	for (unsigned n = 0; n < 8; n++)
		promote(make(FLOW_CID, n), FLOW_CLASS_CID);
	renew();
	ck_assert_int_eq(flows_set_limits(flows, POOL, &few), 0);
	for (size_t i = 0; i < image_count; i++)
		(void)restore(&images[i]);
	assert_count(0, 0, 3);
	ck_assert_uint_eq(flows_of_backend(flows, BACKEND), 3);
}
END_TEST

/* A ClientHello that was seen with another secret says nothing; the rest of the handshake does. */
START_TEST(test_handshake_under_way)
{
	struct flow *flow = make(FLOW_ADDRESS, 1);

	ck_assert(flow_lock(flow));
	flow->handshake.hello = (struct hello){ .known = 1, .random = 7 };
	flow->handshake.given = true;
	flow->handshake.cid = (struct hello_cid){ .len = 2, .octets = { 1, 2 } };
	flow_unlock(flow);
	renew();
	ck_assert(restore(&images[0]));
	flow = find(FLOW_ADDRESS, 1);
	ck_assert(!flow->handshake.hello.known);
	ck_assert(flow->handshake.given && flow->handshake.cid.len == 2);
}
END_TEST

START_TEST(test_unsound)
{
	struct flow good, bad;

	ck_assert_ptr_nonnull(make(FLOW_CID, 1));
	renew();
	memcpy(&good, &images[0], sizeof good);
	ck_assert(flows_is_sound(&good));
#define WITH(member, value)                                                                                            \
	memcpy(&bad, &good, sizeof bad);                                                                               \
	bad.member = (value);                                                                                          \
	ck_assert(!flows_is_sound(&bad))
	WITH(kind, FLOW_SOURCE + 1);
	WITH(class, FLOW_CLASSES);
	WITH(cid_len, LBCID_MAX_OCTETS + 1);
	WITH(cid_len, 0);
	WITH(rounds, FLOW_ROUNDS + 1);
	WITH(dead, true);
#undef WITH
	/* A pointer of another process. */
	memcpy(&bad, &good, sizeof bad);
	bad.session.has_many = true;
	bad.session.many = places;
	ck_assert(!flows_is_sound(&bad));
	memcpy(&bad, &good, sizeof bad);
	bad.kind = FLOW_ADDRESS;
	bad.handshake.cid.len = HELLO_CID_MAX + 1;
	ck_assert(!flows_is_sound(&bad));
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, test_every_kind);
	tcase_add_test(tests, test_what_is_there_stays);
	tcase_add_test(tests, test_handed);
	tcase_add_test(tests, test_no_more_than_there_is_room_for);
	tcase_add_test(tests, test_handshake_under_way);
	tcase_add_test(tests, test_unsound);
}
