/* A process that learns CIDs is killed at every instruction. What it had learned is there, and leads where it did.
 *
 * It goes on by single steps, and the memory that would be the file is looked at whenever a step has changed it. */
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/fixtures/learned_bed.h"
#include "tests/unit/suite.h"

enum { SMALL = LEARNED_MIN_CIDS, MANY = 1840, MADE_ROOM = 10 /* at the end of them */ };

static const uint8_t secret[16] = { 1, 2, 3 };
static struct learned learned;
static struct bed_members members;
static uint8_t *file, *loaded, *seen, *copy;
static size_t octets;
static bool before[MANY], after[MANY];
static unsigned moments;

static void set_up(void)
{
	octets = learned_octets(SMALL);
	file = mmap(NULL, octets, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(file, MAP_FAILED);
	loaded = bed_memory(octets);
	seen = bed_memory(octets);
	copy = bed_memory(octets);
	learned_begin(&learned, file, SMALL, secret);
	members = bed_name(&learned);
}

static void tear_down(void)
{
	munmap(file, octets);
	free(loaded);
	free(seen);
	free(copy);
}

/* Takes up a copy of what is in the file now. */
static void take_up(struct learned *again)
{
	memcpy(copy, file, octets);
	ck_assert_ptr_null(learned_resume(again, copy, octets));
}

static void look(bool there[static MANY])
{
	struct learned again;

	take_up(&again);
	for (uint32_t i = 0; i < MANY; i++)
		there[i] = bed_check(&again, &members, i);
}

/* What is there now: of one moment only while it is not known what will be there in the end. */
static bool moment[128][MANY];

static void look_at_moment(void)
{
	ck_assert_uint_lt(moments, sizeof moment / sizeof moment[0]);
	look(moment[moments++]);
}

typedef void change(uint32_t number);

/* Runs `what` in a process of its own, step by step. */
static void step_through(change *what, uint32_t number)
{
	int status;
	const pid_t child = fork();

	ck_assert_int_ge(child, 0);
	if (child == 0) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
			_exit(1);
		raise(SIGSTOP);
		what(number);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_msg(WIFSTOPPED(status), "it cannot be traced");
	memcpy(seen, file, octets);
	for (;;) {
		ck_assert_int_eq(ptrace(PTRACE_SINGLESTEP, child, NULL, NULL), 0);
		ck_assert_int_eq(waitpid(child, &status, 0), child);
		if (!WIFSTOPPED(status))
			break;
		ck_assert_int_eq(WSTOPSIG(status), SIGTRAP);
		if (memcmp(seen, file, octets) == 0)
			continue;
		memcpy(seen, file, octets);
		look_at_moment();
	}
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* At every moment there is all that was there before and is in the end. */
static void kill_in(change *what, uint32_t number)
{
	moments = 0;
	look(before);
	step_through(what, number);
	look(after);
	for (unsigned at = 0; at < moments; at++)
		for (uint32_t i = 0; i < MANY; i++) {
			ck_assert(moment[at][i] || !before[i] || !after[i]);
			ck_assert(!moment[at][i] || before[i] || after[i]);
		}
}

static void learn_one(uint32_t number)
{
	bed_learn(&learned, &members, number);
}

static uint32_t count_of(const bool there[static MANY])
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < MANY; i++)
		count += there[i];
	return count;
}

/* The parent takes it up as the child left it. */
static void go_on(bool with_load)
{
	ck_assert_ptr_null(learned_resume(&learned, file, octets));
	if (with_load)
		learned_load(&learned, loaded);
}

/* A CID where there is room; one that a second server gives out, too. */
START_TEST(added)
{
	for (uint32_t i = 0; i < 300; i++)
		bed_learn(&learned, &members, i);
	go_on(_i);
	for (uint32_t number = 300; number < 302; number++) {
		kill_in(learn_one, number);
		ck_assert(after[number] && moments >= 2);
		go_on(_i);
	}
}
END_TEST

/* A CID in a table that is nearly full: others are moved on, and some forgotten. */
START_TEST(made_room)
{
	uint32_t evicted = 0, number = MANY - MADE_ROOM;

	for (uint32_t i = 0; i < number; i++)
		bed_learn(&learned, &members, i);
	go_on(_i);
	for (; number < MANY; number++) {
		kill_in(learn_one, number);
		ck_assert(after[number]);
		evicted += count_of(before) + 1 - count_of(after);
		go_on(_i);
	}
	ck_assert_uint_gt(evicted, 0);
	ck_assert_uint_lt(evicted, MADE_ROOM);
}
END_TEST

static void forget_some(uint32_t number)
{
	bool keep[LEARNED_MEMBERS] = { false };

	keep[members.of[number]] = keep[members.of[number + 1]] = true;
	learned_forget_members(&learned, keep);
}

/* Servers that are forgotten, with what they alone have given out. Names that are given out anew are not theirs. */
START_TEST(forgot)
{
	struct bed_members anew;

	for (uint32_t i = 0; i < 20; i++)
		bed_learn(&learned, &members, i);
	go_on(_i);
	look(before);
	step_through(forget_some, 3);
	go_on(_i);
	anew = bed_name(&learned);
	for (uint32_t i = 0; i < 20; i++) {
		struct learned_by by;
		const bool kept = i % BED_SERVERS == 3 || i % BED_SERVERS == 4;

		ck_assert(before[i]);
		ck_assert_int_eq(bed_find(&learned, i, &by), kept);
		ck_assert(!kept || by.last == anew.of[bed_server(i)]);
	}
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_set_timeout(tests, 60);
	tcase_add_loop_test(tests, added, 0, 2);
	/* Instrumented code has many times the instructions, and each is two switches of context. */
	if (getenv("CIDLB_SANITIZE"))
		return;
	tcase_add_loop_test(tests, made_room, 1, 2);
	tcase_add_loop_test(tests, forgot, 1, 2);
}
