/* A batch is routed as its datagrams are one by one, damaged ones among them. */
#include <stdlib.h>
#include <string.h>

#include "tests/fixtures/route_cases.h"
#include "tests/unit/suite.h"

static uint64_t dice_state = 2;

static uint32_t dice(uint32_t sides)
{
	dice_state = dice_state * 6364136223846793005 + 1442695040888963407;
	return (uint32_t)((dice_state >> 33) % sides);
}

/* One of the cases, or several in one datagram; every other one damaged. */
static struct octets random_datagram(const struct octets *whole)
{
	uint8_t octets[2048];
	size_t len = 0;

	for (uint32_t parts = 1 + dice(8) / 7 * dice(3); parts > 0; parts--) {
		const struct octets *part = &whole[dice(COUNT_OF(cases))];
		if (part->len)
			memcpy(octets + len, part->at, part->len);
		len += part->len;
	}
	if (len > 0 && dice(2)) {
		for (uint32_t flips = 1 + dice(3); flips > 0; flips--)
			octets[dice(dice(2) ? (uint32_t)len : 1 + (uint32_t)(len - 1) % 24)] = (uint8_t)dice(256);
		if (dice(4) == 0)
			len = dice((uint32_t)len);
	}
	return octets_copy(octets, len);
}

static void assert_consistent(const struct snapshot_pool *pool, const struct route_in *in, const struct route_out *out)
{
	const bool cid = out->verdict <= VERDICT_CID_DOWN || out->verdict == VERDICT_CID_HASHED;
	const bool routed = verdict_is_routed(out->verdict);

	if (out->verdict >= VERDICT_LIMITED ||
	    (routed ? out->backend >= pool->backend_count : out->backend != SNAPSHOT_NO_BACKEND))
		ck_abort_msg("verdict %d, backend %u", out->verdict, out->backend);
	if (cid != (out->cid_len > 0) || cid != (out->cid != NULL))
		ck_abort_msg("verdict %d, CID of %u octets", out->verdict, out->cid_len);
	if (cid && (!route_by_cid(pool, &in->view) || out->cid != in->data + in->view.cid_at ||
		    in->view.cid_at + out->cid_len > in->len))
		ck_abort_msg("CID outside the datagram");
}

/* Every datagram gets one verdict, and in a batch the same one. */
START_TEST(batch_is_one_by_one)
{
	enum { DATAGRAMS = 200000, BATCH_MAX = 100 };
	struct octets whole[COUNT_OF(cases)], datagrams[BATCH_MAX];
	struct route_in in[BATCH_MAX];
	struct route_out out[BATCH_MAX + 1], alone;
	size_t verdicts[VERDICTS] = { 0 }, sum = 0;

	for (int i = 0; i < COUNT_OF(cases); i++)
		whole[i] = octets_of(cases[i].hex);
	while (sum < DATAGRAMS) {
		const struct snapshot_pool *pool = &snapshot->pools[dice(POOLS)];
		const size_t count = dice(BATCH_MAX + 1);
		for (size_t i = 0; i < count; i++) {
			struct addr source = source_of(dice(2) ? "198.51.100.7:1" : "[2001:db8::7]:1");
			source.ip[15] = (uint8_t)dice(256);
			source.port = (uint16_t)(dice(50) ? dice(65536) : 0);
			datagrams[i] = random_datagram(whole);
			in[i] = in_of(&datagrams[i], &source,
				      dice(2) ? ROUTE_NO_HINT : (uint16_t)(UID_STEP * dice(CAST + 2)));
		}
		memset(out, 0xee, sizeof out);
		route_batch(out, pool, in, count);
		for (size_t i = 0; i < count; i++) {
			route(&alone, pool, &in[i]);
			if (alone.verdict != out[i].verdict || alone.backend != out[i].backend ||
			    alone.cid != out[i].cid || alone.cid_len != out[i].cid_len)
				ck_abort_msg("datagram %zu of %zu: %s, alone %s", i, count,
					     verdict_name(out[i].verdict), verdict_name(alone.verdict));
			assert_consistent(pool, &in[i], &alone);
			verdicts[alone.verdict]++;
			free(datagrams[i].at);
		}
		if (out[count].cid_len != 0xee)
			ck_abort_msg("written behind the batch");
		sum += count;
	}
	for (int i = 0; i < VERDICTS; i++) {
		if (i != VERDICT_LIMITED)
			ck_assert_msg(verdicts[i] > 100, "%s: %zu of %zu", verdict_name((enum verdict)i), verdicts[i],
				      sum);
		sum -= verdicts[i];
	}
	ck_assert_uint_eq(sum, 0);
	for (int i = 0; i < COUNT_OF(cases); i++)
		free(whole[i].at);
}
END_TEST

void suite(TCase *tests)
{
	tcase_set_timeout(tests, 60);
	tcase_add_unchecked_fixture(tests, setup, teardown);
	tcase_add_test(tests, batch_is_one_by_one);
}
