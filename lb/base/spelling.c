#include "base/spelling.h"

#include <string.h>

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Optimal string alignment: distance[i][j] is that of the first i octets of `a` and the first j of `b`. */
size_t spelling_distance(const char *a, const char *b)
{
	size_t distance[SPELLING_OCTETS + 1][SPELLING_OCTETS + 1];
	const size_t rows = strlen(a), columns = strlen(b);

	if (rows > SPELLING_OCTETS || columns > SPELLING_OCTETS)
		return SPELLING_OCTETS;
	for (size_t i = 0; i <= rows; i++) {
		for (size_t j = 0; j <= columns; j++) {
			size_t *here = &distance[i][j];

			*here = i > j ? i : j;
			if (i == 0 || j == 0)
				continue;
			*here = distance[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
			*here = least(*here, least(distance[i - 1][j], distance[i][j - 1]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				*here = least(*here, distance[i - 2][j - 2] + 1);
		}
	}
	return distance[rows][columns];
}
