#include "bench/programs/churn/member.h"

#include <stdio.h>

void members_init(struct member *members, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		snprintf(members[i].name, sizeof members[i].name, "10.0.%u.%u:5684", (unsigned)(i / 250) & 0xff,
			 (unsigned)(i % 250) + 1);
		members[i].weight = 100;
		members[i].state = MEMBER_UP;
	}
}
