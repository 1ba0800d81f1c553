/* scry.h - see with the best local vision model that this machine carries.
 *
 *     struct scry *eyes;
 *     struct scry_result *seen;
 *     if (scry_open(NULL, &eyes) == SCRY_OK) {
 *         if (scry_describe(eyes, scry_image_path("cat.jpg"), NULL, &seen) == SCRY_OK) {
 *             puts(scry_result_text(seen));
 *             scry_result_free(seen);
 *         } else {
 *             fprintf(stderr, "%s\n", scry_error(eyes));
 *         }
 *         scry_close(eyes);
 *     }
 *
 * One `struct scry` is one core: an event loop that runs only inside the calls below, on the thread that makes
 * them. It starts worker processes (a sandboxed decoder, a model engine) when the first picture needs them.
 * Nothing here parses media or models in the caller's process, and nothing is sent to another machine unless a
 * backend that is a remote endpoint was chosen.
 *
 * Threads: a `struct scry` belongs to one thread at a time; two of them may live on two threads.
 * Signals and children: no signal handler is installed; the caller's SIGCHLD disposition is left alone.
 * Errors: functions return SCRY_OK (0) or a negative `enum scry_error`; scry_error() then holds one sentence for
 * people. Out-parameters are untouched on failure. Every *_free() and scry_close() accepts NULL.
 */
#ifndef SCRY_H
#define SCRY_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define SCRY_API __attribute__((visibility("default")))
#else
#define SCRY_API
#endif

/** Version of this header; scry_version() tells the library's. */
#define SCRY_VERSION "0.1.0"

enum scry_error {
	SCRY_OK = 0,
	SCRY_E_ARGUMENT = -1,    /**< the call itself is wrong: a NULL, an unknown name, a number out of range */
	SCRY_E_MEMORY = -2,      /**< out of memory */
	SCRY_E_INPUT = -3,       /**< the picture is missing, unreadable, truncated or of no known type */
	SCRY_E_LIMIT = -4,       /**< the picture or the request is over a limit that protects this machine */
	SCRY_E_TIMEOUT = -5,     /**< the deadline passed */
	SCRY_E_WORKER = -6,      /**< a worker process is missing, died, or spoke nonsense */
	SCRY_E_UNAVAILABLE = -7, /**< the backend cannot be used here; the sentence says why */
	SCRY_E_CANCELLED = -8,   /**< cancelled by the caller */
	SCRY_E_BUSY = -9,        /**< more requests are waiting than the queue holds */
	SCRY_E_MODEL = -10,      /**< a model file is missing, damaged or of the wrong kind */
	SCRY_E_SYSTEM = -11,     /**< the operating system refused (descriptors, processes, shared memory) */
};

/** Short name of an error code: "timeout", "worker", ...; "unknown" for anything else. Never NULL. */
SCRY_API const char *scry_error_name(int error);

/** The library's version, "MAJOR.MINOR.PATCH". */
SCRY_API const char *scry_version(void);

struct scry;         /**< one core; owned by the caller from scry_open() to scry_close() */
struct scry_request; /**< a picture under way; owned by the core, valid until its callback has returned */
struct scry_result;  /**< what was seen; owned by whoever received it, freed with scry_result_free() */

enum scry_log_level { SCRY_LOG_ERROR, SCRY_LOG_WARN, SCRY_LOG_INFO, SCRY_LOG_DEBUG };

/** Called for each line of the core's and its workers' log. `line` has no newline and lives during the call. */
typedef void (*scry_log_fn)(void *user, enum scry_log_level level, const char *line);

/** Options of scry_open(). Zero-initialise it; a zero or NULL field means its default. */
struct scry_options {
	const char *backend; /**< backend to use unless a request names one; NULL or "auto": chosen by scry_select() */
	const char *models;  /**< folder of models; NULL: $SCRY_MODELS, else $XDG_DATA_HOME/scry/models */
	const char *workers; /**< folder of worker programs; NULL: $SCRY_WORKERS, else the installed or build folder */
	unsigned threads;    /**< threads an engine may use; 0: the processors this process may run on */
	scry_log_fn log;     /**< where log lines go; NULL: warnings and errors to standard error */
	void *log_user;      /**< handed to `log` */
	const char *gguf;    /**< model file of backend "gguf"; NULL: $SCRY_GGUF_MODEL */
	const char *mmproj;  /**< its vision tower; NULL: $SCRY_GGUF_MMPROJ */
};

/** Opens a core. `options` may be NULL and is copied. Starts no process and does not block.
 * On success *out is to be closed with scry_close(). */
SCRY_API int scry_open(const struct scry_options *options, struct scry **out);

/** Cancels what is under way (callbacks run with SCRY_E_CANCELLED), ends all workers and frees the core.
 * Blocks until the workers are gone, at most about a second. Not to be called from a callback. */
SCRY_API void scry_close(struct scry *scry);

/** The sentence of the last call that failed on this core; "" when none did. Valid until the next call. */
SCRY_API const char *scry_error(const struct scry *scry);

/* --- backends ------------------------------------------------------------------------------------------- */

/** One row of the table of backends. All strings live as long as the core. */
struct scry_backend {
	const char *name;  /**< "lite", "clip", ... */
	const char *title; /**< what it is, for people */
	unsigned ram_mb;   /**< memory it needs */
	int needs_gpu;     /**< 1 when it is not sensible without a GPU */
	int available;     /**< 1 when it can be used now, tested when the row was asked for */
	const char *why;   /**< the reason, and when not available what would make it so */
};

/** Fills `rows` (room for `count`) in order of preference; returns how many rows there are, or an error.
 * Tests each backend's parts on disk; does not block on any network. */
SCRY_API int scry_backends(struct scry *scry, struct scry_backend *rows, size_t count);

/** Writes the chosen backend's name to *name (lives as long as the core). `wanted`: a name, or NULL for the
 * automatic choice. SCRY_E_ARGUMENT for an unknown name, SCRY_E_UNAVAILABLE when it cannot be used. */
SCRY_API int scry_select(struct scry *scry, const char *wanted, const char **name);

/* --- pictures ------------------------------------------------------------------------------------------- */

/** A picture to look at. Make one with the functions below; it borrows what it is given. */
struct scry_image {
	const char *path; /**< a file; or NULL */
	const void *data; /**< encoded bytes (JPEG, PNG, ...); or NULL */
	size_t size;      /**< of `data` */
	int fd;           /**< a readable regular file or memfd, read from its start; or -1. Not closed. */
	const char *name; /**< what sentences call it; NULL: `path`, or "the picture" */
};

/** A picture in a file. The string must live until the call that takes the picture returns. */
SCRY_API struct scry_image scry_image_path(const char *path);
/** A picture as encoded bytes; they are copied before the call that takes the picture returns. */
SCRY_API struct scry_image scry_image_bytes(const void *data, size_t size);
/** A picture behind a descriptor of a regular file or memfd; duplicated before the call returns. */
SCRY_API struct scry_image scry_image_fd(int fd);

/** What to ask. Zero-initialise it; a zero or NULL field means its default. All strings are copied. */
struct scry_query {
	const char *backend;    /**< backend for this picture; NULL: the core's */
	const char *prompt;     /**< what to say about the picture; NULL: the backend's own wording */
	const char *language;   /**< Tesseract language(s) of text in the picture, "eng+deu"; NULL: "eng" */
	unsigned max_tokens;    /**< most tokens of the answer; 0: the backend's own limit */
	unsigned deadline_ms;   /**< the answer or an error comes within this time; 0: 60,000 */
	unsigned no_text : 1;   /**< 1: do not read the text in the picture (faster; for backends that could) */
	unsigned no_drafts : 1; /**< 1: do not try the words of the last answer first; greedy answers never do */
	unsigned greedy : 1;    /**< 1: always the likeliest word, so that the same picture gets the same words */
	float temperature;      /**< how freely words are chosen, to 2; 0: the backend's own (0.1) */
	int keep_alive_s;       /**< the model stays loaded so long after this picture; 0: $SCRY_IDLE_UNLOAD, else the
	                           backend's own (300 for GGUF models); negative: for good */
	unsigned unload : 1;    /**< 1: the model is unloaded when this picture is done and no other waits */
	unsigned seed;          /**< of that choice; the same seed makes the same choice */
	/** 2 to 64 answers, one a line ("Yes\nNo"): the answer is one of them, and each has its probability as a label.
	 * Nothing is generated. NULL: free words. For backends that can choose. */
	const char *choices;
	/** A JSON Schema: the answer is a JSON document that obeys it. NULL: free words. For backends that can choose. */
	const char *schema;
};

/** A piece of the answer as it is made; `text` is UTF-8, complete characters, and lives during the call. */
typedef void (*scry_piece_fn)(void *user, const char *text);

/** The end of a request: `error` is SCRY_OK and `result` is the caller's to free, or `error` says what happened,
 * `result` is NULL and `sentence` tells it to people (lives during the call). Runs exactly once per request. */
typedef void (*scry_done_fn)(void *user, int error, const char *sentence, struct scry_result *result);

/** Describes a picture and waits for the answer (or the deadline). `query` may be NULL.
 * On success *out is to be freed with scry_result_free(). Not from a callback. */
SCRY_API int scry_describe(struct scry *scry, struct scry_image image, const struct scry_query *query,
                           struct scry_result **out);

/** Starts describing a picture and returns at once. `piece` may be NULL. Callbacks run inside scry_dispatch().
 * When this fails, no callback will run. *out (which may be NULL) is valid until `done` has returned. */
SCRY_API int scry_submit(struct scry *scry, struct scry_image image, const struct scry_query *query,
                         scry_piece_fn piece, scry_done_fn done, void *user, struct scry_request **out);

/** Cancels a request; its callback runs with SCRY_E_CANCELLED inside a later scry_dispatch(). Does not block. */
SCRY_API void scry_cancel(struct scry_request *request);

/** A descriptor that polls readable when scry_dispatch() has something to do, timers included. Not to be read or
 * closed; lives as long as the core. */
SCRY_API int scry_fd(const struct scry *scry);

/** Runs what is due; waits up to `timeout_ms` for something to be (0: not at all, -1: without limit).
 * Returns the number of requests still under way. Not from a callback. */
SCRY_API int scry_dispatch(struct scry *scry, int timeout_ms);

/** Writes a JSON document about the core to *json, to be freed with free(): version, workers with state, process id,
 * sandbox parts and last words. With `probe`, starts each worker that can be started, waits (at most 30 s) and has it try
 * what its sandbox forbids; the document then tells what was possible. */
SCRY_API int scry_status(struct scry *scry, int probe, char **json);

/** The automatic choice (or that of `wanted`) with every step and its reason, as a JSON document to be freed with free(). */
SCRY_API int scry_explain(struct scry *scry, const char *wanted, char **json);

/* --- results -------------------------------------------------------------------------------------------- */

/** The description, UTF-8, no trailing newline; "" from backend "none". Lives as long as the result. */
SCRY_API const char *scry_result_text(const struct scry_result *result);
/** The backend that answered. */
SCRY_API const char *scry_result_backend(const struct scry_result *result);
/** The whole result as one JSON document (the fields are in scry(1)); owned by the result. NULL without memory. */
SCRY_API const char *scry_result_json(struct scry_result *result);

/** A thing found in the picture. Boxes are in pixels of the picture as it is shown (after EXIF orientation). */
struct scry_label {
	const char *label;         /**< "Cat", "face", ...; lives as long as the result */
	float p;                   /**< 0 to 1 */
	float x, y, width, height; /**< the box, from the top left; all 0 for a label of the whole picture */
};

/** Fills *out with label number `index`; SCRY_E_ARGUMENT past the last. Best first. */
SCRY_API int scry_result_label(const struct scry_result *result, size_t index, struct scry_label *out);

SCRY_API void scry_result_free(struct scry_result *result);

#ifdef __cplusplus
}
#endif
#endif
