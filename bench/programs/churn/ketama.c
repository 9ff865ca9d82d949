#include "bench/programs/churn/ketama.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mbedtls/md5.h>

enum { POINTS_OF_DIGEST = 4, MD5_OCTETS = 16, INDEX_BITS = 16 };

struct point {
	uint32_t at;
	uint16_t member, digest;
};

struct ketama {
	uint32_t count;
	uint32_t first[(1 << INDEX_BITS) +
		       1];     /* by the upper bits of a hash: the first point that is not before all with these bits */
	struct point points[]; /* in order */
};

static int compare(const void *left, const void *right)
{
	const struct point *a = left, *b = right;

	if (a->at != b->at)
		return a->at < b->at ? -1 : 1;
	return a->member - b->member;
}

static void digest_points(struct point out[POINTS_OF_DIGEST], const char *name, uint16_t member, uint16_t digest)
{
	char text[MEMBER_NAME_OCTETS + 8];
	uint8_t octets[MD5_OCTETS];
	const int len = snprintf(text, sizeof text, "%s-%u", name, digest);

	mbedtls_md5((const uint8_t *)text, (size_t)len, octets);
	for (size_t i = 0; i < POINTS_OF_DIGEST; i++) {
		const uint8_t *at = &octets[4 * i];
		out[i] = (struct point){ .at = (uint32_t)at[3] << 24 | (uint32_t)at[2] << 16 | (uint32_t)at[1] << 8 |
					       at[0],
					 .member = member,
					 .digest = digest };
	}
}

struct ketama *ketama_new(const struct member *members, size_t count)
{
	const size_t points = count * KETAMA_DIGESTS_MOST * POINTS_OF_DIGEST;
	struct ketama *ketama = malloc(sizeof *ketama + points * sizeof ketama->points[0]);
	uint32_t at = 0;

	if (!ketama)
		return NULL;
	ketama->count = (uint32_t)points;
	for (size_t i = 0; i < count; i++) {
		for (uint16_t digest = 0; digest < KETAMA_DIGESTS_MOST; digest++, at += POINTS_OF_DIGEST)
			digest_points(&ketama->points[at], members[i].name, (uint16_t)i, digest);
	}
	qsort(ketama->points, points, sizeof ketama->points[0], compare);
	at = 0;
	for (uint32_t bits = 0; bits <= 1 << INDEX_BITS; bits++) {
		while (at < points && (uint64_t)ketama->points[at].at < (uint64_t)bits << (32 - INDEX_BITS))
			at++;
		ketama->first[bits] = at;
	}
	return ketama;
}

void ketama_free(struct ketama *ketama)
{
	free(ketama);
}

/* The arc that ends at the first point at or after the hash. */
static uint32_t slot(const struct table *table, uint64_t hash)
{
	const struct ketama *ketama = table->own;
	const uint32_t at = (uint32_t)hash;
	uint32_t point = ketama->first[at >> (32 - INDEX_BITS)];

	while (point < ketama->count && ketama->points[point].at < at)
		point++;
	return point < ketama->count ? point : 0;
}

/* How many digests' points each has now. */
static void digests_of(uint16_t digests[MEMBERS_MAX], const struct member *members, size_t count)
{
	uint32_t weights = 0, there = 0;

	for (size_t i = 0; i < count; i++) {
		if (!member_is_there(&members[i]))
			continue;
		weights += members[i].weight;
		there++;
	}
	for (size_t i = 0; i < count; i++) {
		const uint32_t wanted =
			member_is_there(&members[i]) ? KETAMA_DIGESTS * there * members[i].weight / weights : 0;
		digests[i] = (uint16_t)(wanted < KETAMA_DIGESTS_MOST ? wanted : KETAMA_DIGESTS_MOST);
	}
}

static void fill(const struct table *table, uint16_t *owner, const struct member *members, size_t count)
{
	const struct ketama *ketama = table->own;
	uint16_t digests[MEMBERS_MAX], next = MEMBER_NONE;

	digests_of(digests, members, count);
	/* Backwards, so that the next point is known; twice, since behind the last comes the first. */
	for (size_t i = 2 * (size_t)ketama->count; i-- > 0;) {
		const size_t at = i % ketama->count;
		const struct point *point = &ketama->points[at];
		if (point->digest < digests[point->member])
			next = point->member;
		owner[at] = next;
	}
}

struct table ketama_table(const struct ketama *ketama)
{
	return (struct table){ .slots = ketama->count, .slot = slot, .fill = fill, .own = ketama };
}
