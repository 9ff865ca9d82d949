/* Feeds every file of a directory to a fuzz target. So the corpus is a regression test without a fuzzer. */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static int replay_file(const char *path, size_t len)
{
	FILE *file = fopen(path, "rb");
	uint8_t *data = malloc(len); /* exactly sized, so that AddressSanitizer sees a read behind it */
	int err = 0;

	if (!file || (!data && len > 0) || fread(data, 1, len, file) != len)
		err = -EIO;
	else
		LLVMFuzzerTestOneInput(data, len);
	free(data);
	if (file)
		fclose(file);
	return err;
}

int main(int argc, char **argv)
{
	DIR *dir = argc == 2 ? opendir(argv[1]) : NULL;
	const struct dirent *entry;
	unsigned count = 0;
	int err = 0;

	if (!dir) {
		fprintf(stderr, "usage: %s DIRECTORY\n", argv[0]);
		return 2;
	}
	while (!err && (entry = readdir(dir))) {
		struct stat info;
		char path[4096];

		snprintf(path, sizeof path, "%s/%s", argv[1], entry->d_name);
		if (stat(path, &info) != 0 || !S_ISREG(info.st_mode))
			continue;
		err = replay_file(path, (size_t)info.st_size);
		if (err)
			fprintf(stderr, "%s: %s\n", path, strerror(-err));
		count++;
	}
	closedir(dir);
	printf("%u inputs\n", count);
	return err || count == 0 ? 1 : 0;
}
