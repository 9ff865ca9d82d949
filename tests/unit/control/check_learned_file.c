/* The file of learned CIDs, whose process is killed again and again while its threads learn: no session is lost, none
 * leads to a server that is not its own, and nothing is set aside. */
#include <dirent.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/pages.h"
#include "control/learned_file.h"
#include "tests/fixtures/learned_bed.h"
#include "tests/unit/suite.h"

enum { KILLS = 60, THREADS = 2, OF_A_LIFE = 1500, MANY = KILLS * THREADS * OF_A_LIFE, SMALL = LEARNED_MIN_CIDS };

static char directory[] = "/tmp/cidlb-learned-XXXXXX", state_file[64], file[64];
static uint32_t max_cids;

/* Shared with the process that is killed. */
static struct progress {
	_Atomic uint32_t learned[THREADS]; /* in this life, by each thread */
	_Atomic bool ready;
} * progress;

static void set_up(void)
{
	strcpy(directory + strlen(directory) - 6, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(state_file, sizeof state_file, "%s/state.json", directory);
	snprintf(file, sizeof file, "%s/p.cids", directory);
	progress = mmap(NULL, sizeof *progress, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(progress, MAP_FAILED);
}

/* How many files there are whose names begin so. */
static unsigned files(const char *name)
{
	DIR *in = opendir(directory);
	unsigned count = 0;

	ck_assert_ptr_nonnull(in);
	for (struct dirent *one; (one = readdir(in));)
		count += strncmp(one->d_name, name, strlen(name)) == 0;
	closedir(in);
	return count;
}

static void tear_down(void)
{
	static const char *const names[] = { "p.cids", "p.cids.tmp", "p.cids.bad" };
	char name[128];

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		snprintf(name, sizeof name, "%s/%s", directory, names[i]);
		(void)unlink(name);
	}
	ck_assert_int_eq(rmdir(directory), 0);
	munmap(progress, sizeof *progress);
}

struct life {
	struct mapped_file file;
	struct learned cids;
	struct bed_members members;
	void *pages;
	uint32_t first;
};

/* As control/learned_tables.c does it. */
static void life_begin(struct life *life)
{
	const struct learned_file file_of = { LEARNED_CIDS, state_file, "p", max_cids };

	ck_assert_int_eq(learned_file_open(&life->file, &life->cids, &file_of), 0);
	life->pages = pages_take_large(life->file.octets);
	ck_assert_ptr_nonnull(life->pages);
	learned_load(&life->cids, life->pages);
	life->members = bed_name(&life->cids);
}

static void life_end(struct life *life)
{
	pages_return(life->pages, life->file.octets);
	mapped_file_close(&life->file);
}

struct worker {
	struct life *life;
	uint32_t number;
};

static void *work(void *ctx)
{
	const struct worker *worker = ctx;
	const uint32_t first = worker->life->first + worker->number * OF_A_LIFE;

	for (uint32_t i = 0; i < OF_A_LIFE; i++) {
		bed_learn(&worker->life->cids, &worker->life->members, first + i);
		atomic_store(&progress->learned[worker->number], i + 1);
	}
	return NULL;
}

/* With so many threads that learn. */
static void live(uint32_t first, uint32_t count)
{
	struct life life = { .first = first };
	struct worker workers[THREADS];
	pthread_t threads[THREADS];

	life_begin(&life);
	atomic_store(&progress->ready, true);
	for (uint32_t i = 0; i < count; i++) {
		workers[i] = (struct worker){ &life, i };
		if (pthread_create(&threads[i], NULL, work, &workers[i]) != 0)
			_exit(1);
	}
	for (;;)
		pause();
}

static uint32_t learned_so_far(void)
{
	uint32_t count = 0;

	for (int i = 0; i < THREADS; i++)
		count += atomic_load(&progress->learned[i]);
	return count;
}

/* A process that learns CIDs from `first` on, until it has learned `enough` or a few more. */
static void live_and_be_killed(uint32_t first, uint32_t enough)
{
	int status;
	pid_t child;

	memset(progress, 0, sizeof *progress);
	child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0)
		live(first, THREADS);
	while (learned_so_far() < enough && waitpid(child, &status, WNOHANG) == 0)
		usleep(20);
	kill(child, SIGKILL);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

/* All that was learned, in all lives so far, if the table has room for it. */
static bool learned_once[MANY];

static void note(uint32_t first)
{
	for (uint32_t i = 0; i < THREADS; i++)
		for (uint32_t j = 0; j < atomic_load(&progress->learned[i]); j++)
			learned_once[first + i * OF_A_LIFE + j] = true;
}

static uint32_t missing(const struct life *life, uint32_t until)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < until; i++)
		count += !bed_check(&life->cids, &life->members, i) && learned_once[i];
	return count;
}

/* In a table that has room for all, and in one that has to forget most. */
START_TEST(killed)
{
	uint32_t roll = 7, until = 0, gone;

	max_cids = _i ? SMALL : MANY;
	for (int kills = 0; kills < KILLS; kills++) {
		struct life life;

		roll = roll * 1664525 + 1013904223;
		live_and_be_killed(until, 1 + (roll >> 16) % (THREADS * OF_A_LIFE));
		note(until);
		until += THREADS * OF_A_LIFE;
		life_begin(&life);
		ck_assert_uint_eq(files("p.cids.bad"), 0);
		ck_assert_uint_gt(learned_count(&life.cids), 0);
		gone = missing(&life, until);
		ck_assert(_i || gone == 0);
		life_end(&life);
	}
}
END_TEST

/* While it takes up a file for another number of CIDs, too. */
START_TEST(killed_at_the_beginning)
{
	const uint32_t kept = 500;
	struct life life = { .first = 0 };
	uint32_t roll = 7;
	int status;

	max_cids = SMALL;
	life_begin(&life);
	for (uint32_t i = 0; i < kept; i++)
		bed_learn(&life.cids, &life.members, i);
	life_end(&life);
	for (int kills = 0; kills < KILLS; kills++) {
		const pid_t child = fork();

		ck_assert_int_ge(child, 0);
		max_cids = kills % 2 ? SMALL : 5000;
		if (child == 0)
			live(0, 0);
		roll = roll * 1664525 + 1013904223;
		usleep((roll >> 16) % 1500);
		kill(child, SIGKILL);
		ck_assert_int_eq(waitpid(child, &status, 0), child);
		life_begin(&life);
		ck_assert_uint_eq(files("p.cids.bad"), 0);
		for (uint32_t i = 0; i < kept; i++)
			ck_assert(bed_check(&life.cids, &life.members, i));
		life_end(&life);
	}
}
END_TEST

/* Refused, named and set aside; and there is a new one. */
START_TEST(damaged)
{
	struct life life;
	struct stat of;

	max_cids = SMALL;
	life_begin(&life);
	bed_learn(&life.cids, &life.members, 1);
	life_end(&life);
	ck_assert_int_eq(truncate(file, 5000), 0);
	life_begin(&life);
	ck_assert_uint_eq(learned_count(&life.cids), 0);
	ck_assert_uint_eq(files("p.cids.bad"), 1);
	ck_assert_int_eq(stat(file, &of), 0);
	ck_assert_int_eq(of.st_size, (off_t)learned_octets(SMALL));
	ck_assert_int_eq(of.st_mode & 0777, 0600);
	life_end(&life);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_set_timeout(tests, 60);
	tcase_add_loop_test(tests, killed, 0, 2);
	tcase_add_test(tests, killed_at_the_beginning);
	tcase_add_test(tests, damaged);
}
