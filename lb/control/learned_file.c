#include "control/learned_file.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/log.h"
#include "base/state_file.h"

/* How the files differ. */
static const struct kind {
	const char *suffix;
	const char *has;     /* what is in it, as messages say it */
	const char *counted; /* the same, as a field of the log */
	const char *lost;    /* what a damaged file costs */
} kinds[LEARNED_KINDS] = {
	[LEARNED_CIDS] = { "cids", "CIDs", "cids", "devices whose CIDs are in it need a new handshake" },
	[LEARNED_SESSIONS] = { "sessions", "session ids, tickets and addresses", "resumable",
			       "devices without CIDs that resume may be led to a server that cannot" },
};

/* FILE and its temporary successor. */
struct names {
	const struct kind *kind;
	const char *pool;
	char file[PATH_MAX], next[PATH_MAX];
};

static int names_make(struct names *names, const struct learned_file *of)
{
	const int directory = (int)(strrchr(of->state_file, '/') - of->state_file);
	const struct kind *kind = &kinds[of->kind];
	const int octets = snprintf(names->next, sizeof names->next, "%.*s/%s.%s.tmp", directory, of->state_file,
				    of->pool, kind->suffix);

	if (octets >= (int)sizeof names->next)
		return -ENAMETOOLONG;
	names->kind = kind;
	names->pool = of->pool;
	snprintf(names->file, sizeof names->file, "%.*s/%s.%s", directory, of->state_file, of->pool, kind->suffix);
	return 0;
}

/* Makes a file with what is in `from` (NULL: nothing) in the place of the one that is there. */
static int replace(struct mapped_file *out, struct learned *cids, const struct names *names, uint32_t max_cids,
		   const struct learned *from)
{
	uint8_t secret[16];
	int err = getrandom(secret, sizeof secret, 0) == sizeof secret ? 0 : -EIO;

	if (!err)
		err = mapped_file_make(out, names->next, learned_octets(max_cids));
	if (err)
		return err;
	learned_begin(cids, out->memory, max_cids, from ? learned_secret(from) : secret);
	if (from)
		learned_copy(cids, from);
	if (rename(names->next, names->file) == 0)
		return 0;
	err = -errno;
	mapped_file_close(out);
	(void)remove(names->next);
	return err;
}

static void set_aside(const struct names *names, const char *fault)
{
	char aside[PATH_MAX];
	const int err = state_file_set_aside(names->file, aside);

	log_fields(&(struct log_what){ LOG_LEVEL_ERROR, "learned_file", names->pool, NULL,
				       LOG_FIELDS(LOG_TEXT("file", names->file), LOG_TEXT("reason", fault),
						  LOG_TEXT("aside", err ? "" : aside)) },
		   "%s is refused (%s)%s%s: %s", names->file, fault, err ? " and replaced" : ": set aside as ",
		   err ? "" : aside, names->kind->lost);
}

/* The file is there, and `file` has it. */
static int take_up(struct mapped_file *file, struct learned *cids, const struct names *names, uint32_t max_cids)
{
	const char *fault = learned_resume(cids, file->memory, file->octets);
	struct mapped_file old = *file;
	struct learned from;
	int err;

	if (!fault && learned_max_cids(cids) == max_cids)
		return 0;
	if (fault) {
		set_aside(names, fault);
		mapped_file_close(file);
		return replace(file, cids, names, max_cids, NULL);
	}
	(void)learned_resume(&from, old.memory, old.octets);
	err = replace(file, cids, names, max_cids, &from);
	mapped_file_close(&old);
	return err;
}

int learned_file_open(struct mapped_file *out, struct learned *learned, const struct learned_file *file)
{
	struct names names;
	int err = names_make(&names, file);

	*out = (struct mapped_file){ .fd = -1 };
	if (!err)
		err = mapped_file_open(out, names.file);
	if (!err) {
		err = take_up(out, learned, &names, file->max);
	} else if (err == -ENOENT) {
		err = replace(out, learned, &names, file->max, NULL);
	} else if (err == -EINVAL) {
		set_aside(&names, "it is no file, or empty");
		err = replace(out, learned, &names, file->max, NULL);
	}
	if (err)
		log_fields(&(struct log_what){ LOG_LEVEL_WARNING, "learned_file", file->pool, NULL,
					       LOG_FIELDS(LOG_TEXT("file", names.file),
							  LOG_TEXT("error", err == -EAGAIN ? "another process has it"
											   : strerror(-err))) },
			   "what is learned will not outlive a restart: %s: %s", names.file,
			   err == -EAGAIN ? "another process has it" : strerror(-err));
	else
		log_fields(&(struct log_what){ LOG_LEVEL_INFO, "learned_file", file->pool, NULL,
					       LOG_FIELDS(LOG_TEXT("file", names.file),
							  LOG_NUMBER(names.kind->counted, learned_count(learned))) },
			   "%s: %" PRIu32 " %s", names.file, learned_count(learned), names.kind->has);
	return err;
}
