/* registry.c - see registry.h. The figures of the table are those of the system that scry replaces. */
#include "backend/registry.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "scry.h"

/* Frames for engines that read text keep their pixels; a page of 2048 rows still has letters of 16 pixels. */
#define LITE_SIDE 2048

static const struct backend table[BACKEND_COUNT] = {
	[BACKEND_QWEN08B] = {.name = "qwen08b",
                         .title = "Qwen3.5-0.8B captions through llama.cpp",
                         .ram_mb = 800,
                         .can = CAN_CAPTION | CAN_PROMPT | CAN_CHOOSE,
                         .runner = RUN_ENGINE,
                         .program = "scry-llama",
                         .idle_s = 300,
                         .private_runtime = true,
                         .max_width = 512,
                         .max_height = 288,
                         .max_tokens = 100,
                         .prompt = "Describe what you see in this picture in 2 sentences.",
                         .model_files = {"Qwen3.5-0.8B-UD-Q4_K_XL.gguf", "qwen08b/Qwen3.5-0.8B-UD-Q4_K_XL.gguf"},
                         .mmproj_files = {"qwen08b/mmproj-BF16.gguf", "qwen08b/mmproj-F16.gguf"},
                         .model_env = "SCRY_QWEN08B_MODEL",
                         .mmproj_env = "SCRY_QWEN08B_MMPROJ"},
	[BACKEND_QWEN3VL] = {.name = "qwen3vl",
                         .title = "Qwen3-VL on an OpenAI-compatible server",
                         .ram_mb = 4000,
                         .needs_gpu = true,
                         .can = CAN_CAPTION | CAN_PROMPT},
	[BACKEND_MINICPM] = {.name = "minicpm",
                         .title = "MiniCPM-V as HTTP sidecar or GGUF pair",
                         .ram_mb = 4000,
                         .needs_gpu = true,
                         .can = CAN_CAPTION | CAN_PROMPT | CAN_CHOOSE,
                         .runner = RUN_ENGINE,
                         .program = "scry-llama",
                         .idle_s = 300,
                         .private_runtime = true,
                         .max_width = 1344,
                         .max_height = 1344,
                         .max_tokens = 100,
                         .prompt = "Describe what you see in this image.",
                         .model_files = {"minicpm/ggml-model-Q4_K_M.gguf", "minicpm/model.gguf"},
                         .mmproj_files = {"minicpm/mmproj-model-f16.gguf", "minicpm/mmproj.gguf"},
                         .model_env = "SCRY_MINICPM_MODEL",
                         .mmproj_env = "SCRY_MINICPM_MMPROJ"},
	[BACKEND_MOBILEVLM] = {.name = "mobilevlm",
                           .title = "a small vision-language model on ONNX Runtime",
                           .ram_mb = 300,
                           .can = CAN_CAPTION | CAN_PROMPT},
	[BACKEND_CLIP] = {.name = "clip",
                      .title = "CLIP labels with probabilities, and embeddings",
                      .ram_mb = 400,
                      .can = CAN_CLASSIFY | CAN_EMBED},
	[BACKEND_LITE] = {.name = "lite",
                      .title = "things, faces, text and colours, from packages alone",
                      .ram_mb = 120,
                      .can = CAN_CAPTION | CAN_DETECT | CAN_READ,
                      .runner = RUN_ENGINE,
                      .program = "scry-lite",
                      .private_runtime = true,
                      .max_width = LITE_SIDE,
                      .max_height = LITE_SIDE},
	[BACKEND_NONE] = {.name = "none",
                      .title = "frames only, no description",
                      .runner = RUN_NOTHING,
                      .max_width = LITE_SIDE,
                      .max_height = LITE_SIDE},
	[BACKEND_DEMO] = {.name = "demo-vlm",
                      .title = "the small captioner of drawn scenes that comes with scry",
                      .ram_mb = 60,
                      .can = CAN_CAPTION | CAN_PROMPT | CAN_CHOOSE,
                      .runner = RUN_ENGINE,
                      .program = "scry-llama",
                      .idle_s = 300,
                      .private_runtime = true,
                      .max_width = 512,
                      .max_height = 288,
                      .max_tokens = 100,
                      .model_files = {"demo-vlm/demo-vlm-F16.gguf", "demo-vlm/demo-vlm.gguf"},
                      .mmproj_files = {"demo-vlm/mmproj-demo-vlm-F16.gguf", "demo-vlm/mmproj-demo-vlm.gguf"},
                      .model_env = "SCRY_DEMO_VLM_MODEL",
                      .mmproj_env = "SCRY_DEMO_VLM_MMPROJ"},
	[BACKEND_GGUF] = {.name = "gguf",
                      .title = "any GGUF vision model, by its two files",
                      .ram_mb = 800,
                      .can = CAN_CAPTION | CAN_PROMPT | CAN_CHOOSE,
                      .runner = RUN_ENGINE,
                      .program = "scry-llama",
                      .idle_s = 300,
                      .private_runtime = true,
                      .max_width = 1024,
                      .max_height = 1024,
                      .max_tokens = 100,
                      .model_env = "SCRY_GGUF_MODEL",
                      .mmproj_env = "SCRY_GGUF_MMPROJ"},
	[BACKEND_FAKE] = {.name = "fake",
                      .title = "the test double",
                      .can = CAN_CAPTION | CAN_PROMPT,
                      .runner = RUN_ENGINE,
                      .program = "scry-fake",
                      .max_width = LITE_SIDE,
                      .max_height = LITE_SIDE,
                      .max_tokens = 100},
};

const struct backend *
backend_get(enum backend_id id)
{
	assert((unsigned)id < BACKEND_COUNT);
	return &table[id];
}

int
backend_find(const char *name)
{
	for (int i = 0; i < BACKEND_COUNT; i++) {
		if (strcmp(name, table[i].name) == 0)
			return i;
	}
	return -1;
}

static bool
lite_available(const struct backend_facts *facts, struct why *why)
{
	bool sees = facts->lite_objects || facts->lite_faces;
	if (!facts->worker[BACKEND_LITE]) {
		why_set(why, 0, "its worker scry-lite is not installed; build it with `make`");
		return false;
	}
	if (sees && facts->lite_text && facts->lite_objects && facts->lite_faces)
		why_set(why, 0, "ready: things, faces and text");
	else if (!sees && !facts->lite_text)
		why_set(why, 0,
		        "neither models nor Tesseract's data are there; `scry pull lite` brings the models, the package "
		        "tesseract-ocr-eng the text");
	else if (!facts->lite_text)
		why_set(why, 0, "sees but does not read: the package tesseract-ocr-eng brings the text");
	else
		why_set(why, 0, "reads%s%s, the rest is missing: `scry pull lite` brings the models",
		        facts->lite_objects ? " and sees things" : "", facts->lite_faces ? " and sees faces" : "");
	return sees || facts->lite_text;
}

/* The two files of a backend that runs in scry-llama. */
static bool
pair_available(enum backend_id id, const struct backend_facts *facts, struct why *why)
{
	const struct backend *backend = &table[id];
	const char *missing = !facts->model[id] ? backend->model_files[0] : backend->mmproj_files[0];
	if (!facts->worker[id])
		why_set(why, 0, "its worker scry-llama is not installed; build it with `make`");
	else if (facts->model[id] && facts->mmproj[id])
		why_set(why, 0, "ready: the model and its mmproj are there");
	else if (missing == NULL)
		why_set(why, 0, "name its files: --gguf MODEL.gguf --mmproj MMPROJ.gguf, or %s and %s", backend->model_env,
		        backend->mmproj_env);
	else
		why_set(why, 0, "%s is in no folder of models; put it there, or set %s", missing,
		        !facts->model[id] ? backend->model_env : backend->mmproj_env);
	return facts->worker[id] && facts->model[id] && facts->mmproj[id];
}

bool
backend_available(enum backend_id id, const struct backend_facts *facts, struct why *why)
{
	switch (id) {
	case BACKEND_LITE:
		return lite_available(facts, why);
	case BACKEND_QWEN08B:
	case BACKEND_MINICPM:
	case BACKEND_DEMO:
	case BACKEND_GGUF:
		return pair_available(id, facts, why);
	case BACKEND_NONE:
		why_set(why, 0, "always there");
		return true;
	case BACKEND_FAKE:
		why_set(why, 0, "%s", facts->worker[id] ? "for tests" : "its worker scry-fake is not built");
		return facts->worker[id];
	default:
		why_set(why, 0, "not built yet: this version of scry (" SCRY_VERSION ") runs lite, GGUF models and none");
		return false;
	}
}

/* --- the choice ------------------------------------------------------------------------------------------ */

static struct backend_step *
add_step(struct backend_choice *choice, const char *rule)
{
	assert(choice->step_count < BACKEND_STEPS);
	struct backend_step *step = &choice->steps[choice->step_count++];
	step->chosen = false;
	step->reason[0] = '\0';
	str_copy(step->rule, sizeof(step->rule), rule);
	return step;
}

/* One rule of the automatic order: holds when `fits` (or `misfit` says why not) and the backend is available. */
static bool
try_rule(struct backend_choice *choice, const char *rule, enum backend_id id, bool fits, const char *misfit,
         const struct backend_facts *facts)
{
	struct backend_step *step = add_step(choice, rule);
	struct why why;
	if (!fits) {
		str_copy(step->reason, sizeof(step->reason), misfit);
		return false;
	}
	step->chosen = backend_available(id, facts, &why);
	str_copy(step->reason, sizeof(step->reason), why.text);
	if (step->chosen)
		choice->id = id;
	return step->chosen;
}

static int
unknown_name(const char *name, struct why *why)
{
	char names[128] = "";
	for (int i = 0; i < BACKEND_ROWS; i++) {
		size_t used = strlen(names);
		snprintf(names + used, sizeof(names) - used, "%s%s", i == 0 ? "" : ", ", table[i].name);
	}
	return why_set(why, SCRY_E_ARGUMENT, "no backend is called \"%.40s\"; there are %s, and auto", name, names);
}

/* A backend somebody named is used or refused; nothing else takes its place silently. */
static int
take_named(struct backend_choice *choice, const char *rule, const char *name, const struct backend_facts *facts,
           struct why *why)
{
	int id = backend_find(name);
	struct why reason;
	if (id < 0) {
		int error = unknown_name(name, why);
		str_copy(add_step(choice, rule)->reason, WHY_BYTES, why->text);
		return error;
	}
	if (try_rule(choice, rule, (enum backend_id)id, true, "", facts))
		return 0;
	str_copy(reason.text, sizeof(reason.text), choice->steps[choice->step_count - 1].reason);
	return why_set(why, SCRY_E_UNAVAILABLE, "backend %s cannot be used: %s", name, reason.text);
}

static bool
is_auto(const char *name)
{
	return name == NULL || name[0] == '\0' || strcmp(name, "auto") == 0;
}

int
backend_select(const char *wanted, const struct backend_facts *facts, struct backend_choice *out, struct why *why)
{
	char misfit_ram[64], misfit_vram[64], rule[96];
	bool gb1 = facts->ram_mb >= 1024, gb2 = facts->ram_mb >= 2048, vram4 = facts->vram_mb >= 4096;
	out->step_count = 0;
	if (!is_auto(wanted)) {
		snprintf(rule, sizeof(rule), "named: %.40s", wanted);
		return take_named(out, rule, wanted, facts, why);
	}
	if (!is_auto(facts->wanted_by_env)) {
		snprintf(rule, sizeof(rule), "%s=%.40s", facts->env_name, facts->wanted_by_env);
		return take_named(out, rule, facts->wanted_by_env, facts, why);
	}
	snprintf(misfit_ram, sizeof(misfit_ram), "this machine has %llu MB of RAM", (unsigned long long)facts->ram_mb);
	snprintf(misfit_vram, sizeof(misfit_vram), "this machine has %llu MB of VRAM", (unsigned long long)facts->vram_mb);
	if (try_rule(out, "qwen08b", BACKEND_QWEN08B, true, "", facts) ||
	    try_rule(out, "qwen3vl", BACKEND_QWEN3VL, true, "", facts) ||
	    try_rule(out, "VRAM >= 4 GB: minicpm", BACKEND_MINICPM, vram4, misfit_vram, facts) ||
	    try_rule(out, "RAM >= 2 GB: mobilevlm", BACKEND_MOBILEVLM, gb2, misfit_ram, facts) ||
	    try_rule(out, "RAM >= 1 GB: clip", BACKEND_CLIP, gb1, misfit_ram, facts) ||
	    try_rule(out, "minicpm", BACKEND_MINICPM, true, "", facts) ||
	    try_rule(out, "lite", BACKEND_LITE, true, "", facts))
		return 0;
	try_rule(out, "none", BACKEND_NONE, true, "", facts);
	return 0;
}
