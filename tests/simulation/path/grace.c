#include "tests/simulation/path/grace.h"

#include <stddef.h>

#include <urcu-qsbr.h>

static struct rcu_head *first, **last = &first;

void call_rcu(struct rcu_head *head, void (*function)(struct rcu_head *head))
{
	head->func = function;
	head->next.next = NULL;
	*last = head;
	last = (struct rcu_head **)(void *)&head->next.next;
}

void grace_end(void)
{
	struct rcu_head *at = first;

	first = NULL;
	last = &first;
	while (at) {
		struct rcu_head *next = (struct rcu_head *)(void *)at->next.next;

		at->func(at);
		at = next;
	}
}

void rcu_barrier(void)
{
	grace_end();
}
