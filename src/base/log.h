/* log.h - where a core's log lines go. One struct log lives in each core; workers' lines arrive through it too. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#define LOG_LINE 1024 /* bytes of the longest line; the rest is cut */

/* Levels are those of enum scry_log_level: 0 error, 1 warning, 2 information, 3 debug. */
enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

typedef void (*log_sink_fn)(void *user, int level, const char *line);

struct log {
	log_sink_fn sink;
	void *user;
};

/* Sends one line to the sink; control characters in it become '?'. */
void log_line(const struct log *log, enum log_level level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
