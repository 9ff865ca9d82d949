/* New sessions that a backend does not answer at all, whatever its probes say: many in a row are told of, until one is
 * answered. Control thread, which looks about once a second. */
#ifndef CIDLB_CONTROL_UNANSWERED_H
#define CIDLB_CONTROL_UNANSWERED_H

#include <stdbool.h>
#include <stdint.h>

enum {
	UNANSWERED_MANY = 10,
	UNANSWERED_S = 5, /* so long they are waited for: servers may be far away, or slow */
};

/* All zero: it has not been looked at. */
struct unanswered {
	bool looked;
	bool told;
	uint64_t before;   /* sessions begun up to the last look that saw an answer */
	uint64_t in_a_row; /* begun since then */
	uint64_t answered;
	int64_t many_s; /* the last look that saw less than many, monotonic */
};

enum unanswered_news { UNANSWERED_NO_NEWS, UNANSWERED_BEGINS, UNANSWERED_ENDS };

/* The counters never fall. */
enum unanswered_news unanswered_look(struct unanswered *unanswered, uint64_t begun, uint64_t answered, int64_t now_s);

#endif
