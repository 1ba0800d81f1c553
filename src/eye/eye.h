/* eye.h - the core's half of scry-eye: hands it encoded pictures, gets frames in slots back.
 *
 * One eye a core. It owns the worker and the slot ring; a frame is lent to whoever asked until eye_release(). Runs on
 * the core's loop, never blocks, and never looks at a pixel.
 */
#ifndef EYE_EYE_H
#define EYE_EYE_H

#include "run/jobs.h"
#include "wire/slots.h"

#define EYE_INPUT_MAX ((uint64_t)64 << 20) /* bytes of an encoded picture */
#define EYE_RING 0                         /* the ring of single pictures */

/* A frame as the eye announced it, checked against the ring. */
struct eye_frame {
	uint32_t slot, generation;
	uint32_t width, height;               /* of the pixels in the slot */
	uint32_t source_width, source_height; /* of the picture as it is shown */
	uint64_t hash;
	uint32_t decode_us;
};

struct eye;

/* One picture to decode; embedded in the owner's request. Fill the first four fields. */
struct eye_job {
	int fd; /* the encoded picture, borrowed until `done` */
	uint64_t bytes;
	uint32_t max_width, max_height;
	/* 0 and a frame that is lent until eye_release(); or a negative scry_error and its sentence. */
	void (*done)(struct eye_job *job, int error, const char *sentence, const struct eye_frame *frame);
	struct job job; /* set deadline_us; the rest is the eye's */
	struct eye *eye;
	struct eye_frame frame;
};

/* `slot_bytes`: pixels of the largest frame that will be asked for. `spec` as for worker_create(). */
int eye_create(uv_loop_t *loop, const struct log *log, const struct worker_spec *spec, uint64_t slot_bytes,
               struct eye **out);
void eye_destroy(struct eye *eye);

/* Queues a picture; errors as jobs_offer(). */
int eye_decode(struct eye *eye, struct eye_job *job, struct why *why);
void eye_cancel(struct eye *eye, struct eye_job *job, int error, const char *sentence);
/* Gives a frame's slot back. */
void eye_release(struct eye *eye, const struct eye_frame *frame);

const struct slots *eye_slots(const struct eye *eye);
struct jobs *eye_jobs(struct eye *eye);

#endif
