/* registry.h - the backends, as one table, and how one of them is chosen.
 *
 * Pure functions over facts that the core collects (core/facts.c): no file, process or network is touched here, so every
 * branch of the choice can be tested with facts made up for the purpose.
 */
#ifndef BACKEND_REGISTRY_H
#define BACKEND_REGISTRY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/why.h"

enum backend_id {
	BACKEND_QWEN08B,
	BACKEND_QWEN3VL,
	BACKEND_MINICPM,
	BACKEND_MOBILEVLM,
	BACKEND_CLIP,
	BACKEND_LITE,
	BACKEND_NONE,
	BACKEND_DEMO, /* never chosen by itself */
	BACKEND_GGUF, /* never chosen by itself */
	BACKEND_FAKE, /* the tests' double; never listed, never chosen by itself */
	BACKEND_COUNT,
};
#define BACKEND_ROWS BACKEND_FAKE /* rows that people see */

enum backend_runner {
	RUN_NOT_BUILT, /* this version of scry does not have it yet */
	RUN_ENGINE,    /* a worker of our own */
	RUN_NOTHING,   /* frames only */
};

/* What a backend can give. */
enum backend_capability {
	CAN_CAPTION = 1, /* describes in words */
	CAN_PROMPT = 2,  /* heeds a prompt */
	CAN_DETECT = 4,  /* things with boxes */
	CAN_READ = 8,    /* text in the picture */
	CAN_CLASSIFY = 16,
	CAN_EMBED = 32,
	CAN_CHOOSE = 64, /* answers with probabilities, and by a schema */
};

struct backend {
	const char *name;
	const char *title;
	unsigned ram_mb;
	bool needs_gpu;
	unsigned can; /* enum backend_capability */
	enum backend_runner runner;
	const char *program;            /* RUN_ENGINE: the worker */
	bool private_runtime;           /* it links the libraries that tools/fetch-runtime brings */
	uint32_t max_width, max_height; /* frames are scaled down to fit */
	unsigned max_tokens;            /* 0: does not count in tokens */
	const char *prompt;             /* what is asked when nobody says; NULL: the engine's own */
	/* GGUF pair of scry-llama: names below a folder of models, first to last, NULL at the end; and the settings that
	 * name the files themselves. */
	const char *model_files[4], *mmproj_files[4];
	const char *model_env, *mmproj_env;
	unsigned idle_s; /* its worker is ended after so long without a question; 0: it is kept */
};

/* What is there on this machine. Collected anew for each question. */
struct backend_facts {
	uint64_t ram_mb;
	uint64_t vram_mb;
	bool worker[BACKEND_COUNT]; /* its program is installed */
	bool lite_objects, lite_faces, lite_text;
	bool model[BACKEND_COUNT], mmproj[BACKEND_COUNT]; /* its files are there */
	const char *wanted_by_env;                        /* NULL, or the name that the environment asks for ... */
	const char *env_name;                             /* ... and the variable that did */
};

/* One step of the choice, for `scry select --explain`. */
struct backend_step {
	char rule[96]; /* "explicit name", "RAM >= 2 GB: mobilevlm" */
	char reason[WHY_BYTES];
	bool chosen;
};
#define BACKEND_STEPS 16

struct backend_choice {
	enum backend_id id;
	unsigned step_count;
	struct backend_step steps[BACKEND_STEPS];
};

const struct backend *backend_get(enum backend_id id);
/* The backend of that name (the fake included), or -1. */
int backend_find(const char *name);

/* Whether it can be used now; `why` always gets the reason, and when not what would make it so. */
bool backend_available(enum backend_id id, const struct backend_facts *facts, struct why *why);

/* Chooses: `wanted` (NULL or "auto": nobody named one), then the environment, then by what is there. 0; or
 * SCRY_E_ARGUMENT (unknown name, `why` lists the names) or SCRY_E_UNAVAILABLE. out->steps is filled in either case. */
int backend_select(const char *wanted, const struct backend_facts *facts, struct backend_choice *out, struct why *why);

#endif
