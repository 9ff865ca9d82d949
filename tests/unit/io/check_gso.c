#include <stdio.h>

#include "io/gso.h"
#include "tests/fixtures/octets.h"
#include "tests/unit/suite.h"

static struct io_pmtu path_a = { .most = UINT16_MAX }, path_b = { .most = UINT16_MAX }, small = { .most = 100 },
		      never = { .most = 0 };

/* Queued: a letter for the path, a letter for the stream, and the octets. Leaving: the groups in order, each with the
 * indices of its members and its segment. */
struct item {
	struct io_pmtu *path;
	uint64_t stream;
	size_t octets;
};

static const struct {
	const char *name;
	struct item items[10]; /* 0 octets: the end */
	const char *groups;
} rows[] = {
	{ "nothing", { { 0 } }, "" },
	{ "one", { { &path_a, 1, 100 } }, "0/0" },
	{ "one that asks", { { &path_a, 1, GSO_ASK + 1 } }, "0/509" },
	{ "one that is just too short to ask", { { &path_a, 1, GSO_ASK } }, "0/0" },
	{ "without a path", { { NULL, 1, 600 }, { NULL, 1, 600 } }, "0/0 1/0" },
	{ "of one size", { { &path_a, 1, 100 }, { &path_a, 2, 100 }, { &path_a, 3, 100 } }, "0,1,2/100" },
	{ "of one stream", { { &path_a, 1, 100 }, { &path_a, 1, 100 } }, "0,1/100" },
	{ "two paths in turn",
	  { { &path_a, 1, 100 }, { &path_b, 2, 100 }, { &path_a, 3, 100 }, { &path_b, 4, 100 } },
	  "0,2/100 1,3/100" },
	{ "a shorter one ends it", { { &path_a, 1, 100 }, { &path_a, 2, 90 } }, "0,1/100" },
	{ "a longer one does not", { { &path_a, 1, 100 }, { &path_a, 2, 101 } }, "0/0 1/0" },
	{ "one shorter one only", { { &path_a, 1, 100 }, { &path_a, 2, 90 }, { &path_a, 3, 80 } }, "0,1/100 2/0" },
	{ "of one size before the shorter one",
	  { { &path_a, 1, 100 }, { &path_a, 2, 90 }, { &path_a, 3, 100 }, { &path_a, 4, 90 } },
	  "0,2,1/100 3/0" },
	{ "passing over longer ones",
	  { { &path_a, 1, 100 }, { &path_a, 2, 200 }, { &path_a, 3, 100 }, { &path_a, 4, 200 } },
	  "0,2/100 1,3/200" },
	{ "not past its own stream",
	  { { &path_a, 1, 100 }, { &path_a, 2, 200 }, { &path_a, 2, 100 }, { &path_a, 3, 100 } },
	  "0,3/100 1,2/200" },
	{ "nor does the shorter one", { { &path_a, 1, 100 }, { &path_a, 2, 200 }, { &path_a, 2, 90 } }, "0/0 1,2/200" },
	{ "nor anything behind the shorter one",
	  { { &path_a, 1, 100 }, { &path_a, 2, 90 }, { &path_a, 2, 100 }, { &path_a, 2, 90 } },
	  "0,1/100 2,3/100" },
	{ "its own stream, shorter, then of the size again",
	  { { &path_a, 1, 100 }, { &path_a, 1, 90 }, { &path_a, 1, 100 } },
	  "0,1/100 2/0" },
	{ "too large for the path",
	  { { &small, 1, 101 }, { &small, 2, 101 }, { &small, 3, 100 }, { &small, 4, 100 } },
	  "0/0 1/0 2,3/100" },
	{ "a path that is done with it", { { &never, 1, 600 }, { &never, 2, 600 } }, "0/0 1/0" },
	{ "as many as fit",
	  { { &path_a, 1, 32500 }, { &path_a, 2, 32500 }, { &path_a, 3, 32500 } },
	  "0,1/32500 2/32500" },
	{ "no room for a second", { { &path_a, 1, 32501 }, { &path_a, 2, 32501 } }, "0/32501 1/32501" },
	{ "nor for a shorter one", { { &path_a, 1, 32501 }, { &path_a, 2, 100 } }, "0/32501 1/0" },
	{ "the longest", { { &path_a, 1, 65535 }, { &path_a, 2, 65535 } }, "0/65535 1/65535" },
	{ "longer than any", { { &path_a, 1, 65536 } }, "0/0" },
};

static const char *text_of(const struct gso *groups)
{
	static char text[4096];
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; i < groups->count; i++) {
		const struct gso_send *group = &groups->sends[i];

		for (size_t j = 0; j < group->count; j++)
			used += (size_t)sprintf(text + used, "%s%u",
						j   ? ","
						: i ? " "
						    : "",
						groups->order[group->at + j]);
		used += (size_t)sprintf(text + used, "/%u", group->segment);
	}
	return text;
}

START_TEST(planned)
{
	struct io_send sends[IO_OUTBOX] = { 0 };
	uint8_t pending[IO_OUTBOX];
	struct gso groups;
	size_t count = 0;

	for (const struct item *item = rows[_i].items; item->octets; item++, count++) {
		/* The head counts, too. */
		sends[count] = (struct io_send){
			.pmtu = item->path, .stream = item->stream, .head_len = 41, .len = item->octets - 41
		};
		pending[count] = (uint8_t)count;
	}
	gso_group(&groups, sends, pending, count);
	ck_assert_msg(strcmp(text_of(&groups), rows[_i].groups) == 0, "%s: %s", rows[_i].name, text_of(&groups));
}
END_TEST

/* Only what is pending is grouped, by its own indices. */
START_TEST(some_of_them)
{
	struct io_send sends[6];
	const uint8_t pending[] = { 1, 3, 5 };
	struct gso groups;

	for (int i = 0; i < COUNT_OF(sends); i++)
		sends[i] = (struct io_send){ .pmtu = &path_a, .len = 100 };
	gso_group(&groups, sends, pending, COUNT_OF(pending));
	ck_assert_str_eq(text_of(&groups), "1,3,5/100");
}
END_TEST

/* Whatever is queued leaves once. It leaves in groups that the kernel takes, and each stream stays in order. */
START_TEST(random_queues)
{
	static struct io_pmtu *const paths[] = { &path_a, &path_b, &small, &never, NULL };
	struct io_send sends[IO_OUTBOX];
	uint8_t pending[IO_OUTBOX];
	struct gso groups;
	uint64_t random = 1;
	const int rounds = getenv("CIDLB_SANITIZE") ? 5000 : 20000;

	for (int round = 0; round < rounds; round++) {
		size_t members = 0;
		int last[4] = { -1, -1, -1, -1 };

		for (int i = 0; i < IO_OUTBOX; i++) {
			random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
			const uint64_t stream = random >> 60 & 3;
			/* A stream has one path only. */
			sends[i] = (struct io_send){ .pmtu = paths[(stream + (unsigned)round) % 5],
						     .stream = stream,
						     .len = 99 + (random >> 50 & 3) };
			pending[i] = (uint8_t)i;
		}
		gso_group(&groups, sends, pending, IO_OUTBOX);
		for (size_t i = 0; i < groups.count; i++) {
			const struct gso_send *group = &groups.sends[i];

			ck_assert_uint_eq(group->at, members);
			members += group->count;
			for (int j = 0; j < group->count; j++) {
				const struct io_send *send = &sends[groups.order[group->at + j]];
				ck_assert_int_lt(last[send->stream], groups.order[group->at + j]);
				last[send->stream] = groups.order[group->at + j];
				ck_assert_ptr_eq(send->pmtu, sends[groups.order[group->at]].pmtu);
				ck_assert(group->count == 1 || (send->pmtu && group->segment <= send->pmtu->most));
				ck_assert(group->count == 1 || send->len == group->segment ||
					  (j == group->count - 1 && send->len < group->segment));
			}
		}
		ck_assert_uint_eq(members, IO_OUTBOX);
	}
}
END_TEST

void suite(TCase *tests)
{
	tcase_set_timeout(tests, 60);
	tcase_add_loop_test(tests, planned, 0, COUNT_OF(rows));
	tcase_add_test(tests, some_of_them);
	tcase_add_test(tests, random_queues);
}
