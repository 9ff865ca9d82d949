/* The program of the fast path against the C core: random frames, and the corpora of the fuzz targets. Verdict,
 * backend, headers, tags, checksums, payload and counts must be the same, and what is passed up must be unchanged.
 *
 * usage: fast_oracle [--frames N] [--seed N] [--race SECONDS] [--torn SECONDS] [CORPUS…]
 *   --race  tables are published meanwhile, for so many seconds; no frames and corpora then
 *   --torn  the same, but the table that is read is written over: that is found out, so the exit status is 1
 * Exit status: 0 good, 1 a difference, 2 usage, 77 there is no bpf() here (skipped). */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/oracle/fast/make.h"
#include "tests/oracle/fast/race.h"

enum { SKIPPED = 77, FRAMES = 40000 };

static struct bed bed;
static struct tally tally;

static void replay(const uint8_t *octets, size_t len)
{
	static struct up up;
	static struct down down;

	for (int pool = 0; pool < POOL_KINDS; pool++) {
		make_up_of(&bed, &up, (enum pool_kind)pool, octets, len);
		judge_up(&bed, &up, &tally);
		make_down_of(&bed, &down, (enum pool_kind)pool, octets, len);
		judge_down(&bed, &down, &tally);
	}
}

/* Returns how many files were replayed. */
static unsigned long replay_all(const char *path)
{
	DIR *dir = opendir(path);
	const struct dirent *entry;
	unsigned long count = 0;

	while (dir && (entry = readdir(dir))) {
		char name[4096];
		uint8_t octets[PAYLOAD_MAX];
		FILE *file;

		snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
		file = entry->d_name[0] == '.' ? NULL : fopen(name, "rb");
		if (!file)
			continue;
		replay(octets, fread(octets, 1, sizeof octets, file));
		fclose(file);
		count++;
	}
	if (dir)
		closedir(dir);
	return count;
}

static void random_frames(unsigned long frames)
{
	static struct up up;
	static struct down down;

	for (unsigned long i = 0; i < frames; i++) {
		if (one_in(&bed, 3)) {
			make_down(&bed, &down);
			judge_down(&bed, &down, &tally);
		} else {
			make_up(&bed, &up);
			judge_up(&bed, &up, &tally);
		}
	}
}

/* Each verdict that the program may give was given, and replies of each kind were sent. Returns how many were not. */
static unsigned missing(void)
{
	static const struct {
		enum pool_kind pool;
		enum verdict verdict;
	} wanted[] = {
		{ POOL_NODE_ID, VERDICT_CID },
		{ POOL_NODE_ID, VERDICT_CID_DRAINING },
		{ POOL_NODE_ID, VERDICT_CID_DOWN },
		{ POOL_NODE_ID, VERDICT_MIXED },
		{ POOL_NODE_ID, VERDICT_UNKNOWN_CID },
		{ POOL_NODE_ID, VERDICT_TYPE },
		{ POOL_NODE_ID, VERDICT_MALFORMED },
		{ POOL_NODE_ID, VERDICT_EPOCH0_DATA },
		{ POOL_NODE_ID_HASHED, VERDICT_CID },
		{ POOL_NODE_ID_HASHED, VERDICT_MIXED },
		{ POOL_QUIC_LB, VERDICT_CID },
		{ POOL_QUIC_LB, VERDICT_CID_DRAINING },
		{ POOL_LEARNED, VERDICT_CID },
		{ POOL_LEARNED, VERDICT_CID_DOWN },
		{ POOL_L2, VERDICT_CID },
		{ POOL_L2, VERDICT_CID_DRAINING },
		{ POOL_L2, VERDICT_UNKNOWN_CID },
		{ POOL_L2_V6, VERDICT_CID },
		{ POOL_L2_V6, VERDICT_CID_DOWN },
		{ POOL_IPIP, VERDICT_CID },
		{ POOL_IPIP, VERDICT_MIXED },
		{ POOL_IPIP, VERDICT_MALFORMED },
		{ POOL_IPIP_V6, VERDICT_CID },
		{ POOL_IPIP_V6, VERDICT_CID_DRAINING },
		{ POOL_STATELESS, VERDICT_CID },
		{ POOL_STATELESS, VERDICT_CID_DRAINING },
		{ POOL_STATELESS, VERDICT_UNKNOWN_CID },
		{ POOL_NONE, VERDICT_TYPE },
		{ POOL_HASHED, VERDICT_MALFORMED },
		{ POOL_NAT, VERDICT_TYPE },
	};
	static const enum pool_kind reply[] = { POOL_NODE_ID, POOL_NODE_ID_HASHED, POOL_QUIC_LB, POOL_STATELESS };
	unsigned count = 0;

	for (size_t i = 0; i < sizeof reply / sizeof *reply; i++)
		if (tally.replies[reply[i]] == 0) {
			printf("no reply of pool %d\n", reply[i]);
			count++;
		}
	for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
		if (tally.handled[wanted[i].pool][wanted[i].verdict] == 0) {
			printf("no %s in pool %d\n", verdict_name(wanted[i].verdict), wanted[i].pool);
			count++;
		}
	return count;
}

static int report(unsigned long files)
{
	printf("%lu frames, %lu files: %lu sent, %lu dropped, %lu passed up, %lu of these by an odd bit; %lu wrong\n",
	       tally.frames, files, tally.sent, tally.dropped, tally.passed, tally.odd, tally.wrong);
	for (int pool = 0; pool < POOL_KINDS; pool++) {
		printf("pool %d: %lu replies,", pool, tally.replies[pool]);
		for (int verdict = 0; verdict < VERDICTS; verdict++)
			if (tally.by[pool][verdict])
				printf(" %s %lu of %lu", verdict_name((enum verdict)verdict),
				       tally.handled[pool][verdict], tally.by[pool][verdict]);
		printf("\n");
	}
	/* Of 100,000 addresses about one has both bits in common with odd ones. */
	if (tally.odd > 10 + tally.frames / 20000) {
		printf("too many are passed up\n");
		tally.wrong++;
	}
	return tally.wrong || missing() ? EXIT_FAILURE : EXIT_SUCCESS;
}

static unsigned long number(const char *text)
{
	char *end;
	const unsigned long n = strtoul(text, &end, 10);

	if (*end || n == 0) {
		fprintf(stderr, "fast_oracle: %s: no number\n", text);
		exit(2);
	}
	return n;
}

int main(int argc, char **argv)
{
	unsigned long frames = FRAMES, files = 0, race_s = 0;
	bool publishes = true;
	uint64_t seed = 1;
	char why[EBPF_WHY_OCTETS];
	int at = 1, err, status;

	for (; at + 1 < argc && argv[at][0] == '-'; at += 2) {
		if (strcmp(argv[at], "--frames") == 0)
			frames = number(argv[at + 1]);
		else if (strcmp(argv[at], "--seed") == 0)
			seed = number(argv[at + 1]);
		else if (strcmp(argv[at], "--race") == 0 || strcmp(argv[at], "--torn") == 0)
			publishes = argv[at][2] == 'r', race_s = number(argv[at + 1]);
		else
			return 2;
	}
	err = bed_open(&bed, seed, why);
	if (err == -ENOTSUP || err == -EPERM || err == -ENOSYS) {
		printf("skipped: %s: %s %s\n", fast_program_is_built() ? "no bpf() here" : "not built", strerror(-err),
		       why);
		return SKIPPED;
	}
	if (err) {
		printf("the kernel refuses the program: %s %s\n", strerror(-err), why);
		return EXIT_FAILURE;
	}
	if (race_s)
		return race_run(&bed, (unsigned)race_s, publishes) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
	for (; at < argc; at++)
		files += replay_all(argv[at]);
	random_frames(frames);
	status = report(files);
	bed_close(&bed);
	return status;
}
