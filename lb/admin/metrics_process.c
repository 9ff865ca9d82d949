#include "admin/metrics_parts.h"
#include "admin/metrics_text.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { NUMBER_OCTETS = 16 };

static uint64_t cpu_us(void)
{
	struct timespec used;

	if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used) < 0)
		return 0;
	return (uint64_t)used.tv_sec * 1000000 + (uint64_t)used.tv_nsec / 1000;
}

/* Octets of virtual and of resident memory. False: they cannot be read. */
static bool memory_read(uint64_t *virtual, uint64_t *resident)
{
	const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	unsigned long long pages[2];
	FILE *file = fopen("/proc/self/statm", "re");
	bool good;

	if (!file)
		return false;
	good = fscanf(file, "%llu %llu", &pages[0], &pages[1]) == 2;
	fclose(file);
	*virtual = good ? pages[0] * page : 0;
	*resident = good ? pages[1] * page : 0;
	return good;
}

/* False: they cannot be counted. */
static bool descriptors_count(uint64_t *count)
{
	DIR *dir = opendir("/proc/self/fd");

	if (!dir)
		return false;
	*count = 0;
	for (const struct dirent *entry; (entry = readdir(dir));)
		*count += entry->d_name[0] != '.';
	closedir(dir);
	(*count)--; /* `dir` itself */
	return true;
}

static void write_memory(struct evbuffer *out)
{
	uint64_t virtual, resident;

	if (!memory_read(&virtual, &resident))
		return;
	metrics_single(out, "process_virtual_memory_bytes", "gauge", "Virtual memory size in bytes.", virtual);
	metrics_single(out, "process_resident_memory_bytes", "gauge", "Resident memory size in bytes.", resident);
}

static void write_descriptors(struct evbuffer *out)
{
	struct rlimit limit;
	uint64_t count;

	if (descriptors_count(&count))
		metrics_single(out, "process_open_fds", "gauge", "Number of open file descriptors.", count);
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
		metrics_single(out, "process_max_fds", "gauge", "Maximum number of open file descriptors.",
			       limit.rlim_cur);
}

static void write_workers(struct evbuffer *out, const struct view *view)
{
	static const char *const bounds[STATS_BATCH_SIZES] = { "1", "2", "4", "8", "16", "32" };
	uint64_t counts[STATS_BATCH_SIZES + 1] = { 0 };
	char number[NUMBER_OCTETS];

	metrics_head(out, "cidlb_worker_busy_seconds_total", "counter", "CPU time that a worker has used.");
	for (unsigned i = 0; i < view->workers; i++) {
		snprintf(number, sizeof number, "%u", i);
		metrics_sample_us(out, "cidlb_worker_busy_seconds_total", view->busy_us[i],
				  METRICS_LABELS({ "worker", number }));
	}
	for (size_t i = 0; i < STATS_BATCH_SIZES; i++)
		counts[i] = stats_read(&view->sum->batches[i]);
	metrics_head(out, "cidlb_batch_datagrams", "histogram", "Datagrams that a worker received at once.");
	metrics_histogram(out,
			  &(struct metrics_histogram){ .name = "cidlb_batch_datagrams",
						       .bounds = bounds,
						       .bound_count = STATS_BATCH_SIZES,
						       .counts = counts,
						       .sum = stats_read(&view->sum->batched) },
			  NULL);
}

void metrics_process(struct evbuffer *out, const struct view *view)
{
	metrics_head(out, "cidlb_build_info", "gauge", "Always 1; the label is the version.");
	METRICS_SAMPLE(out, "cidlb_build_info", 1, { "version", CIDLB_VERSION });
	write_workers(out, view);
	metrics_single(out, "process_start_time_seconds", "gauge",
		       "Start time of the process since unix epoch in seconds.", (uint64_t)view->started_at);
	metrics_head(out, "process_cpu_seconds_total", "counter", "Total user and system CPU time spent in seconds.");
	metrics_sample_us(out, "process_cpu_seconds_total", cpu_us(), NULL, 0);
	write_memory(out);
	write_descriptors(out);
}
