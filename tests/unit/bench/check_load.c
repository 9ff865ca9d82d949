#include <errno.h>
#include <stdlib.h>

#include "bench/programs/load/histogram.h"
#include "bench/programs/load/pace.h"
#include "bench/programs/load/record.h"
#include "common/cid.h"
#include "common/dtls.h"
#include "tests/unit/suite.h"

enum { LEAST = 38 };

/* Server 0x0203, source 0x010205, in the least size. */
static const uint8_t least[LEAST] = {
	0x19, 0xfe, 0xfd, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, /* type, version, epoch, sequence number */
	0x03, 0x02, 0x01, 0x02, 0x05, 0xb1, 0xd0, 0x7b,                   /* CID */
	0x00, 0x11,                                                       /* length 17 */
	0xa3, 0xc8, 0xed, 0x12, 0x37, 0x5c, 0x81, 0xa6, 0xcb, 0xf0, 0x15, 0x3a, /* filler */
	0x5f, 0x84, 0xa9, 0xce, 0xf3,
};

START_TEST(writes_these_octets)
{
	uint8_t out[LEAST];

	ck_assert_uint_eq(RECORD_MIN_OCTETS, LEAST);
	record_write(out, sizeof out, &(struct record){ .server = 0x0203, .source = 0x010205 });
	ck_assert_mem_eq(out, least, sizeof least);
	record_write(out, sizeof out, &(struct record){ .server = 0xffff, .source = RECORD_SOURCES - 1 });
	record_rename(out, &(struct record){ .server = 0x0203, .source = 0x010205 });
	ck_assert_mem_eq(out, least, sizeof least);
}
END_TEST

/* cidlb takes them for what they are meant to be: one whole record with a CID whose first octet is the server. */
START_TEST(every_size_is_a_record_of_its_server)
{
	struct cid_layout layout = { .scheme = CID_LAYOUT_ID,
				     .lbcid = { .size = 1, .length = RECORD_CID_OCTETS },
				     .length = RECORD_CID_OCTETS };

	for (size_t octets = RECORD_MIN_OCTETS; octets <= RECORD_MAX_OCTETS; octets++) {
		uint8_t *data = malloc(octets);
		struct dtls_view view;
		struct cid_opened opened;

		record_write(data, octets, &(struct record){ .server = 200, .source = RECORD_SOURCES - 2 });
		dtls_walk(&view, data, octets);
		ck_assert_int_eq(view.kind, DTLS_CID);
		cid_open(&opened, &layout, &view, data, octets);
		ck_assert_int_eq(opened.result, CID_OPENED);
		ck_assert_uint_eq(opened.id.len, 1);
		ck_assert_uint_eq(opened.id.octets[0], 200);
		/* The record ends where the datagram does. */
		ck_assert(dtls_cid_lengths(&view, data, octets) & UINT64_C(1) << RECORD_CID_OCTETS);
		free(data);
	}
}
END_TEST

START_TEST(reads_what_it_wrote)
{
	static const struct record records[] = { { 1, 0 }, { 255, RECORD_SOURCES - 1 }, { 1000, 0x020304 } };
	static const size_t sizes[] = { RECORD_MIN_OCTETS, 100, 276, 277, 278, 1200, RECORD_MAX_OCTETS };

	for (size_t i = 0; i < sizeof records / sizeof *records; i++) {
		for (size_t j = 0; j < sizeof sizes / sizeof *sizes; j++) {
			uint8_t data[RECORD_MAX_OCTETS];
			struct record record;

			record_write(data, sizes[j], &records[i]);
			ck_assert_int_eq(record_read(&record, data, sizes[j]), 0);
			ck_assert_uint_eq(record.server, records[i].server);
			ck_assert_uint_eq(record.source, records[i].source);
			/* Cut or padded on the way. */
			ck_assert_int_eq(record_read(&record, data, sizes[j] - 1), -EINVAL);
		}
	}
}
END_TEST

START_TEST(refuses_any_changed_octet_but_server_and_source)
{
	for (size_t at = 0; at < 21; at++) {
		uint8_t data[LEAST];
		struct record record;

		memcpy(data, least, sizeof data);
		data[at] ^= 0x40;
		if (at >= 11 && at < 16)
			ck_assert_int_eq(record_read(&record, data, sizeof data), 0);
		else
			ck_assert_int_eq(record_read(&record, data, sizeof data), -EINVAL);
	}
}
END_TEST

/* One buffer serves for every size. */
START_TEST(resized_is_as_written)
{
	uint8_t data[RECORD_MAX_OCTETS], written[RECORD_MAX_OCTETS];
	const struct record record = { .server = 2, .source = 77 };

	record_write(data, sizeof data, &record);
	for (size_t octets = RECORD_MIN_OCTETS; octets <= RECORD_MAX_OCTETS; octets++) {
		record_resize(data, octets);
		record_write(written, octets, &record);
		ck_assert_mem_eq(data, written, octets);
	}
}
END_TEST

START_TEST(bears_the_time_of_sending)
{
	uint8_t data[LEAST];
	struct record record;

	record_write(data, sizeof data, &(struct record){ .server = 0x0203, .source = 0x010205 });
	record_stamp(data, UINT64_MAX - 1);
	ck_assert(record_sent_ns(data) == UINT64_MAX - 1);
	/* And still is what it was. */
	ck_assert_mem_eq(data, least, 21);
	ck_assert_mem_eq(data + 29, least + 29, sizeof least - 29);
	ck_assert_int_eq(record_read(&record, data, sizeof data), 0);
	ck_assert_uint_eq(record.source, 0x010205);
}
END_TEST

START_TEST(durations_have_these_cells)
{
	static const struct {
		uint64_t ns;
		uint32_t cell;
	} known[] = {
		{ 0, 0 },
		{ 1, 1 },
		{ 127, 127 },
		{ 128, 128 },
		{ 129, 128 },
		{ 130, 129 },
		{ 255, 191 },
		{ 256, 192 },
		{ 259, 192 },
		{ 260, 193 },
		{ 1000, 317 },
		{ (UINT64_C(1) << 34) - 1, HISTOGRAM_CELLS - 1 },
		{ UINT64_C(1) << 34, HISTOGRAM_CELLS - 1 },
		{ UINT64_MAX, HISTOGRAM_CELLS - 1 },
	};

	ck_assert_uint_eq(HISTOGRAM_CELLS, 1856);
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		ck_assert_uint_eq(histogram_cell(known[i].ns), known[i].cell);
}
END_TEST

/* Without a gap, and none wider than 1/64 of what it holds. */
START_TEST(cells_cover_everything)
{
	ck_assert_uint_eq(histogram_least_ns(0), 0);
	for (uint32_t cell = 1; cell < HISTOGRAM_CELLS; cell++) {
		uint64_t least_ns = histogram_least_ns(cell);

		ck_assert_uint_eq(histogram_cell(least_ns), cell);
		ck_assert_uint_eq(histogram_cell(least_ns - 1), cell - 1);
		if (cell > 128)
			ck_assert_uint_le((least_ns - histogram_least_ns(cell - 1)) * 64, least_ns);
	}
}
END_TEST

START_TEST(rate_is_kept_to_the_datagram)
{
	const struct pace pace = { .start_ns = 5, .rate = 3 };
	const struct pace fast = { .start_ns = 0, .rate = PACE_MAX_RATE };

	ck_assert_uint_eq(pace_due(&pace, 5), 0);
	ck_assert_uint_eq(pace_at_ns(&pace, 0), 5);
	ck_assert_uint_eq(pace_at_ns(&pace, 1), 5 + 333333334);
	ck_assert_uint_eq(pace_due(&pace, 5 + 333333333), 0);
	ck_assert_uint_eq(pace_due(&pace, 5 + 333333334), 1);
	ck_assert_uint_eq(pace_at_ns(&pace, 3), 5 + (uint64_t)PACE_SECOND_NS);
	/* A day at the greatest rate, without an overflow. */
	ck_assert_uint_eq(pace_due(&fast, UINT64_C(86400) * PACE_SECOND_NS + 100), UINT64_C(86400) * PACE_MAX_RATE + 1);
	ck_assert_uint_eq(pace_at_ns(&fast, UINT64_C(86400) * PACE_MAX_RATE + 1),
			  UINT64_C(86400) * PACE_SECOND_NS + 100);
}
END_TEST

/* What is waited for has come then, and not a nanosecond before. */
START_TEST(due_when_it_says)
{
	static const uint64_t rates[] = { 1, 3, 7, 16667, 50000, 100000, 999983, PACE_MAX_RATE };

	for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
		const struct pace pace = { .start_ns = 123456789, .rate = rates[i] };

		for (uint64_t count = 1; count < 1000; count++) {
			ck_assert_uint_eq(pace_due(&pace, pace_at_ns(&pace, count)), count);
			ck_assert_uint_eq(pace_due(&pace, pace_at_ns(&pace, count) - 1), count - 1);
		}
	}
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_test(tests, writes_these_octets);
	tcase_add_test(tests, every_size_is_a_record_of_its_server);
	tcase_add_test(tests, reads_what_it_wrote);
	tcase_add_test(tests, refuses_any_changed_octet_but_server_and_source);
	tcase_add_test(tests, resized_is_as_written);
	tcase_add_test(tests, bears_the_time_of_sending);
	tcase_add_test(tests, durations_have_these_cells);
	tcase_add_test(tests, cells_cover_everything);
	tcase_add_test(tests, rate_is_kept_to_the_datagram);
	tcase_add_test(tests, due_when_it_says);
}
