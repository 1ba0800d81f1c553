/* eye.c - see eye.h. What the eye says about a frame is checked here against the ring before anyone else sees it. */
#include "eye/eye.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "scry.h"

/* Sides that a source picture may claim; the eye refuses more than 64 megapixels, this is for one that lies. */
#define SOURCE_SIDE_MAX 1000000u

struct eye {
	struct jobs *jobs;
	struct slots *ring;
	uint32_t lent; /* bit per slot that somebody outside the eye holds */
};

#define eye_job_of(member) ((struct eye_job *)((char *)(member)-offsetof(struct eye_job, job)))

static int
on_hello(void *user, struct worker *worker, struct why *why)
{
	struct eye *eye = user;
	struct proto_ring ring = {.ring = EYE_RING, .slots = slots_count(eye->ring), .slot_bytes = slots_bytes(eye->ring)};
	int fd = slots_open_fd(eye->ring, true);
	if (fd < 0)
		return why_set(why, SCRY_E_SYSTEM, "cannot hand the frame memory to the eye: %s", strerror(-fd));
	worker_send(worker, PROTO_RING, 0, &ring, sizeof(ring), fd);
	close(fd);
	return 0;
}

static bool
may_send(void *user)
{
	struct eye *eye = user;
	return eye->lent != (1u << slots_count(eye->ring)) - 1;
}

static bool
is_lent(const struct eye *eye, unsigned slot)
{
	return (eye->lent >> slot & 1) != 0;
}

/* The eye died: whatever it had claimed is free again, what others hold is not. */
static void
on_gone(void *user)
{
	struct eye *eye = user;
	for (unsigned slot = 0; slot < slots_count(eye->ring); slot++) {
		if (!is_lent(eye, slot))
			slots_release(eye->ring, slot);
	}
}

static int
check_frame(const struct eye *eye, const struct proto_frame *told, struct eye_frame *out)
{
	struct slot_head head;
	if (told->ring != EYE_RING || told->slot >= slots_count(eye->ring) || is_lent(eye, told->slot))
		return -EPROTO;
	if (slots_head(eye->ring, told->slot, told->generation, &head) < 0)
		return -EPROTO;
	if (head.width != told->width || head.height != told->height)
		return -EPROTO;
	if (told->source_width == 0 || told->source_height == 0 || told->source_width > SOURCE_SIDE_MAX ||
	    told->source_height > SOURCE_SIDE_MAX)
		return -EPROTO;
	*out = (struct eye_frame){.slot = told->slot,
	                          .generation = told->generation,
	                          .width = told->width,
	                          .height = told->height,
	                          .source_width = told->source_width,
	                          .source_height = told->source_height,
	                          .hash = head.hash,
	                          .decode_us = told->decode_us};
	return 0;
}

/* A frame that nobody waits for any more. */
static int
on_stray(void *user, struct msg *msg)
{
	struct eye *eye = user;
	struct eye_frame frame;
	if (msg->head.type == PROTO_FAILED || msg->head.type == PROTO_PROBED)
		return 0;
	if (msg->head.type != PROTO_FRAME)
		return -EPROTO;
	if (check_frame(eye, &msg->body.frame, &frame) < 0)
		return -EPROTO;
	slots_release(eye->ring, frame.slot);
	return 0;
}

static const struct jobs_ops eye_jobs_ops = {
	.on_hello = on_hello, .may_send = may_send, .on_stray = on_stray, .on_gone = on_gone};

static int
send_decode(struct job *member, struct worker *worker, struct why *why)
{
	struct eye_job *job = eye_job_of(member);
	uint64_t now = clock_us();
	struct proto_decode body = {.ring = EYE_RING,
	                            .max_width = job->max_width,
	                            .max_height = job->max_height,
	                            .flags = PROTO_DECODE_FAST,
	                            .deadline_ms =
	                                member->deadline_us > now ? (uint32_t)((member->deadline_us - now) / 1000) + 1 : 1,
	                            .input_bytes = job->bytes};
	(void)why;
	return worker_send(worker, PROTO_DECODE, member->id, &body, sizeof(body), job->fd);
}

static int
take_frame(struct job *member, struct msg *msg)
{
	struct eye_job *job = eye_job_of(member);
	if (msg->head.type != PROTO_FRAME || check_frame(job->eye, &msg->body.frame, &job->frame) < 0)
		return -EPROTO;
	job->eye->lent |= 1u << job->frame.slot;
	return JOB_OVER;
}

static void
end_decode(struct job *member, int error, const char *sentence)
{
	struct eye_job *job = eye_job_of(member);
	job->done(job, error, sentence, error == 0 ? &job->frame : NULL);
}

static const struct job_ops decode_ops = {.send = send_decode, .message = take_frame, .end = end_decode};

int
eye_create(uv_loop_t *loop, const struct log *log, const struct worker_spec *spec, uint64_t slot_bytes,
           struct eye **out)
{
	struct eye *eye = calloc(1, sizeof(*eye));
	if (eye == NULL)
		return SCRY_E_MEMORY;
	if (slots_create(SLOTS_DEFAULT, slot_bytes, &eye->ring) < 0) {
		free(eye);
		return SCRY_E_SYSTEM;
	}
	int error = jobs_create(loop, log, spec, &eye_jobs_ops, eye, &eye->jobs);
	if (error < 0) {
		slots_destroy(eye->ring);
		free(eye);
		return error;
	}
	*out = eye;
	return 0;
}

void
eye_destroy(struct eye *eye)
{
	if (eye == NULL)
		return;
	jobs_destroy(eye->jobs);
	slots_destroy(eye->ring);
	free(eye);
}

int
eye_decode(struct eye *eye, struct eye_job *job, struct why *why)
{
	if (job->bytes > EYE_INPUT_MAX)
		return why_set(why, SCRY_E_LIMIT, "%llu bytes are over the limit of %llu MiB for a picture",
		               (unsigned long long)job->bytes, (unsigned long long)(EYE_INPUT_MAX >> 20));
	job->eye = eye;
	job->job.ops = &decode_ops;
	return jobs_offer(eye->jobs, &job->job, why);
}

void
eye_cancel(struct eye *eye, struct eye_job *job, int error, const char *sentence)
{
	jobs_cancel(eye->jobs, &job->job, error, sentence);
}

void
eye_release(struct eye *eye, const struct eye_frame *frame)
{
	eye->lent &= ~(1u << frame->slot);
	slots_release(eye->ring, frame->slot);
	jobs_poke(eye->jobs);
}

const struct slots *
eye_slots(const struct eye *eye)
{
	return eye->ring;
}

struct jobs *
eye_jobs(struct eye *eye)
{
	return eye->jobs;
}
