#include "bench/programs/backend/cid_option.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench/lib/options.h"

enum { ROTATION, ID_LENGTH, NONCE_LENGTH, NUMBERS, KEY = NUMBERS, SETTINGS };

static const struct {
	const char *name, *whole; /* as in messages */
	uint8_t min, max;
} settings[SETTINGS] = {
	[ROTATION] = { "rotation", "quic-lb rotation", 0, LBCID_ROTATIONS - 1 },
	[ID_LENGTH] = { "server_id_length", "quic-lb server_id_length", 1, LBCID_MAX_ID_OCTETS },
	[NONCE_LENGTH] = { "nonce_length", "quic-lb nonce_length", LBCID_MIN_NONCE_OCTETS, LBCID_MAX_TEXT_OCTETS - 1 },
	[KEY] = { "key", "quic-lb key", 0, 0 },
};

/* Its first line, without what an editor leaves at the end. NULL, or why not. */
static const char *read_file(char *out, size_t size, const char *name)
{
	const char *why = NULL;
	struct stat stat;
	ssize_t len = 0;

	int fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return strerror(errno);
	if (fstat(fd, &stat) || !S_ISREG(stat.st_mode))
		why = "not a file";
	else if (stat.st_mode & S_IRWXO)
		why = "others can access it; chmod o-rwx it";
	else if ((len = read(fd, out, size - 1)) < 0)
		why = strerror(errno);
	close(fd);
	out[len > 0 ? len : 0] = '\0';
	out[strcspn(out, " \t\r\n")] = '\0';
	return why;
}

static int read_key(struct lbcid_key **out, const char *text)
{
	uint8_t key[LBCID_KEY_OCTETS];
	char line[2 * LBCID_KEY_OCTETS + 2] = "";
	const char *why = NULL;
	size_t len = 0;
	int err = -EINVAL;

	if (*text == '@')
		why = read_file(line, sizeof line, text + 1);
	if (why)
		fprintf(stderr, "--quic-lb key: %s: %s\n", text + 1, why);
	else if (option_hex(key, sizeof key, &len, *text == '@' ? line : text) || len != sizeof key)
		fputs("--quic-lb key: accepted: 32 hex digits, or @FILE with them; make them with: openssl rand -hex "
		      "16\n",
		      stderr);
	else
		err = (*out = lbcid_key_new(key)) ? 0 : -ENOMEM;
	explicit_bzero(key, sizeof key);
	explicit_bzero(line, sizeof line);
	return err;
}

/* The setting that `word` begins with, and its value; SETTINGS: none. */
static int find_setting(const char *word, const char **value)
{
	const size_t len = strcspn(word, "=");
	int i = 0;

	while (i < SETTINGS &&
	       (word[len] != '=' || strlen(settings[i].name) != len || strncmp(word, settings[i].name, len) != 0))
		i++;
	*value = word + len + 1;
	return i;
}

static int read_words(uint64_t numbers[static NUMBERS], struct lbcid_key **key, char *text)
{
	bool given[SETTINGS] = { false };
	const char *value;
	char *word;

	while ((word = strsep(&text, ","))) {
		int i = find_setting(word, &value);
		if (i == SETTINGS || given[i]) {
			fprintf(stderr,
				"--quic-lb: \"%.*s\" is %s; accepted: "
				"rotation=0..6,server_id_length=1..15,nonce_length=4..18"
				"[,key=@FILE|HEX]\n",
				(int)strcspn(word, "="), word, i == SETTINGS ? "unknown" : "there twice");
			return -EINVAL;
		}
		given[i] = true;
		int err = i == KEY ? read_key(key, value)
				   : option_number(&numbers[i], settings[i].whole, value, settings[i].min,
						   settings[i].max);
		if (err)
			return err;
	}
	for (int i = 0; i < NUMBERS; i++)
		if (!given[i]) {
			fprintf(stderr, "--quic-lb: %s is missing; accepted: %u..%u\n", settings[i].name,
				settings[i].min, settings[i].max);
			return -EINVAL;
		}
	return 0;
}

int cid_option_read(struct lbcid_config *out, struct lbcid_key **key, const char *text)
{
	const size_t size = strlen(text) + 1;
	uint64_t numbers[NUMBERS];
	char *words = strdup(text);

	*key = NULL;
	if (!words)
		return -ENOMEM;
	int err = read_words(numbers, key, words);
	explicit_bzero(words, size);
	free(words);
	if (!err && numbers[ID_LENGTH] + numbers[NONCE_LENGTH] > LBCID_MAX_TEXT_OCTETS) {
		fprintf(stderr, "--quic-lb: server_id_length %u + nonce_length %u is more than %d\n",
			(unsigned)numbers[ID_LENGTH], (unsigned)numbers[NONCE_LENGTH], LBCID_MAX_TEXT_OCTETS);
		err = -EINVAL;
	}
	if (err) {
		lbcid_key_free(*key);
		*key = NULL;
		return err;
	}
	*out = (struct lbcid_config){
		.scheme = LBCID_QUIC_LB,
		.length = (uint8_t)(1 + numbers[ID_LENGTH] + numbers[NONCE_LENGTH]),
		.size = (uint8_t)numbers[ID_LENGTH],
		.rotation = (uint8_t)numbers[ROTATION],
		.key = *key,
	};
	return 0;
}
