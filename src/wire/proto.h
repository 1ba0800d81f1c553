/* proto.h - every message between the core and a worker, as it stands on the socket.
 *
 * Both ends are built from this file and run on one machine, so numbers are in host order; the version in each
 * head guards against a worker left over from another build. A message is one SOCK_SEQPACKET datagram: a
 * `struct proto_head`, then exactly the body of its type, then at most PROTO_FDS descriptors by SCM_RIGHTS.
 * No body has a pointer, a variable length or implicit padding; text fields are NUL-terminated UTF-8.
 * Pixels never travel here: they stand in the slot ring (slots.h).
 *
 * The life of a worker, seen from the core:
 *
 *     exec -> HELLO, FILE* RING* START -> READY | FAILED(request 0)
 *     then any number of   DECODE -> FRAME | FAILED             (eye)
 *                          ENCODE -> ENCODED | FAILED           (eye)
 *                          DESCRIBE -> PIECE* ITEM* DONE | FAILED  (engine)
 *                          PING -> PONG, PROBE -> PROBED, LOG at any time
 *     STOP (or end of file) -> exit 0
 *
 * A worker works on one request at a time; the core sends the next one when the last one ended.
 */
#ifndef WIRE_PROTO_H
#define WIRE_PROTO_H

#include <assert.h>
#include <stdint.h>

#define PROTO_MAGIC 0x59524353u /* "SCRY" in memory on a little-endian machine */
#define PROTO_VERSION 1
#define PROTO_FD 3     /* the worker's end of the socket, from exec on */
#define PROTO_FDS 1    /* descriptors with one message */
#define PROTO_MAX 4096 /* bytes of the largest message */
#define PROTO_SENTENCE 512
#define PROTO_PIECE 1024
#define PROTO_NAME 64
#define PROTO_TEXT 128

/* Which program is at the other end. */
enum proto_role { PROTO_ROLE_EYE = 1, PROTO_ROLE_ENGINE = 2 };

enum proto_type {
	/* core -> worker */
	PROTO_FILE = 1, /* one file the worker may read: 1 descriptor, read-only */
	PROTO_RING,     /* a slot ring: 1 descriptor (the eye's is writable, an engine's read-only) */
	PROTO_START,    /* all files and rings are there: load */
	PROTO_DECODE,   /* eye: 1 descriptor, the encoded picture */
	PROTO_ENCODE,   /* eye: a slot to JPEG */
	PROTO_DESCRIBE, /* engine: 0 or 1 descriptor, a sealed memfd with the prompt and what follows it */
	PROTO_CANCEL,
	PROTO_PING,
	PROTO_PROBE, /* try what the sandbox forbids and report: for tests and `scry status` */
	PROTO_STOP,
	/* worker -> core */
	PROTO_HELLO = 64,
	PROTO_READY,
	PROTO_FAILED,
	PROTO_FRAME,
	PROTO_ENCODED, /* 1 descriptor: a sealed memfd with the JPEG */
	PROTO_PIECE_OF_TEXT,
	PROTO_ITEM,
	PROTO_DONE,
	PROTO_PONG,
	PROTO_PROBED,
	PROTO_LOG,
};

struct proto_head {
	uint32_t magic;
	uint16_t version;
	uint16_t type;
	uint32_t size;    /* of the body that follows */
	uint32_t request; /* the request this belongs to; 0: the worker as a whole */
};

/* What a file is for. The name in the message is the file's own, for error sentences. */
enum proto_file_kind {
	PROTO_FILE_OBJECTS = 1, /* lite: SSD detector, TensorFlow Lite */
	PROTO_FILE_LABELS,      /* lite: its label map, one name a line */
	PROTO_FILE_FACE,        /* lite: face detector, TensorFlow Lite */
	PROTO_FILE_TESSDATA,    /* lite: NAME.traineddata; the name field holds NAME, "eng" */
	PROTO_FILE_MODEL = 16,  /* llama: the language model, GGUF */
	PROTO_FILE_MMPROJ,      /* llama: its vision tower, GGUF */
};

struct proto_file {
	uint32_t kind;
	uint32_t reserved;
	uint64_t size;
	char name[PROTO_NAME];
};

struct proto_ring {
	uint32_t ring;       /* number that DECODE, FRAME and DESCRIBE use for it; 0 .. PROTO_RINGS-1 */
	uint32_t slots;      /* how many */
	uint64_t slot_bytes; /* pixels that one slot holds, in bytes */
};
#define PROTO_RINGS 16

struct proto_start {
	uint32_t threads; /* that the worker may use, >= 1 */
	uint32_t reserved;
};

enum proto_decode_flags {
	PROTO_DECODE_FAST = 1, /* reduced-size JPEG decoding is welcome where the wanted size allows it */
};

struct proto_decode {
	uint32_t ring;
	uint32_t max_width; /* the frame is scaled down, aspect kept, until both sides fit; never scaled up */
	uint32_t max_height;
	uint32_t flags;
	uint32_t deadline_ms; /* from now; the worker ends itself when it is past */
	uint32_t reserved;
	uint64_t input_bytes; /* of the descriptor */
};

struct proto_encode {
	uint32_t ring;
	uint32_t slot;
	uint32_t generation;
	uint32_t quality; /* JPEG quality, 1..100 */
	uint32_t deadline_ms;
	uint32_t reserved;
};

enum proto_describe_flags {
	PROTO_DESCRIBE_STREAM = 1,   /* pieces are wanted as they are made */
	PROTO_DESCRIBE_NO_TEXT = 2,  /* do not read the text in the picture */
	PROTO_DESCRIBE_NO_DRAFT = 4, /* do not try the last answer's words first */
};

/* What kind of answer is wanted, and what stands behind the prompt in the memfd. */
enum proto_task {
	PROTO_TASK_TEXT = 0,    /* free words; nothing */
	PROTO_TASK_CHOICES = 1, /* a probability for each answer, as PROTO_ITEM_LABEL; the answers, one a line */
	PROTO_TASK_GRAMMAR = 2, /* words that follow a grammar; the grammar, GBNF */
};

struct proto_describe {
	uint32_t ring;
	uint32_t slot;
	uint32_t generation;
	uint32_t flags;
	uint32_t max_tokens;   /* 0: the engine's own limit */
	uint32_t deadline_ms;  /* from now */
	uint32_t prompt_bytes; /* of the descriptor; 0: the engine's own prompt */
	uint32_t extra_bytes;  /* that follow the prompt in the descriptor; what they are says `task` */
	uint32_t task;         /* enum proto_task */
	uint32_t seed;         /* of the sampler */
	float temperature;     /* of the sampler; 0: always the likeliest token; negative: the engine's own */
	uint32_t reserved;
	char language[PROTO_NAME]; /* Tesseract languages, "eng+deu"; "": "eng" */
};

/* Parts of the sandbox that hold in a worker. */
enum proto_sandbox {
	PROTO_SANDBOX_NO_NEW_PRIVS = 1,
	PROTO_SANDBOX_LIMITS = 2,    /* rlimits */
	PROTO_SANDBOX_FILES = 4,     /* Landlock: no file but those given */
	PROTO_SANDBOX_NETWORK = 8,   /* no socket can be made */
	PROTO_SANDBOX_SYSCALLS = 16, /* seccomp filter */
};

struct proto_hello {
	uint32_t role;
	uint32_t sandbox; /* enum proto_sandbox: what holds */
	int32_t landlock; /* ABI version, 0 when the kernel has none */
	uint32_t reserved;
	char program[PROTO_NAME]; /* "scry-eye" */
	char version[PROTO_NAME]; /* of the build; must be the core's own */
};

struct proto_ready {
	uint32_t parts;         /* engine: bit mask of what it can do, enum proto_part */
	uint32_t sandbox;       /* enum proto_sandbox: parts that were entered after HELLO, see child_confine() */
	char model[PROTO_TEXT]; /* what was loaded, for people and --json */
};

enum proto_part {
	PROTO_PART_OBJECTS = 1,
	PROTO_PART_FACES = 2,
	PROTO_PART_TEXT = 4,
	PROTO_PART_WORDS = 8, /* llama: free words, choices, grammars */
};

struct proto_failed {
	int32_t error; /* enum scry_error, negative */
	uint32_t reserved;
	char sentence[PROTO_SENTENCE]; /* what, and what to do; the core adds the file's name */
};

struct proto_frame {
	uint32_t ring;
	uint32_t slot;
	uint32_t generation;
	uint32_t width; /* of the pixels in the slot */
	uint32_t height;
	uint32_t source_width; /* of the picture, after orientation, before scaling */
	uint32_t source_height;
	uint32_t decode_us;
	char format[PROTO_NAME]; /* "jpeg", "png", ...: the name of the codec */
};

struct proto_encoded {
	uint32_t encode_us;
	uint32_t reserved;
	uint64_t bytes;
};

struct proto_piece {
	uint32_t bytes; /* used in `text`; complete UTF-8 characters */
	uint32_t reserved;
	char text[PROTO_PIECE];
};

enum proto_item_kind {
	PROTO_ITEM_OBJECT = 1, /* text: class; score; box */
	PROTO_ITEM_FACE,       /* score; box */
	PROTO_ITEM_WORD,       /* text: the word; score: confidence 0..1; box */
	PROTO_ITEM_LABEL,      /* text: label of the whole picture; score: probability */
	PROTO_ITEM_COLOR,      /* text: a colour's name; score: share of the picture */
	PROTO_ITEM_PICTURE,    /* text: "photo", "screen", "page", "blank"; score: 0..1 */
	PROTO_ITEM_BRIGHTNESS, /* score: mean luma 0..1 */
};
#define PROTO_ITEMS 4096 /* items that one request may bring; a worker that sends more is dropped */

struct proto_item {
	uint32_t kind;
	float score;
	float x, y, width, height; /* parts of the frame, 0..1, from the top left */
	char text[PROTO_TEXT];
};

enum proto_finish { PROTO_FINISH_STOP = 1, PROTO_FINISH_LENGTH = 2 };

struct proto_done {
	uint32_t finish;
	uint32_t image_tokens;
	uint32_t prompt_tokens;
	uint32_t tokens;
	uint32_t encode_us;   /* looking: vision encoder or detectors */
	uint32_t prompt_us;   /* reading: prefill, or the text in the picture */
	uint32_t generate_us; /* saying */
	uint32_t drafted;     /* of `tokens`, those that the last answer's words foretold */
};

/* What a worker could do although it should not; 0 everywhere in a sandbox that holds. */
struct proto_probed {
	uint32_t open_file; /* 1: could open a file that it was not given */
	uint32_t write_file;
	uint32_t socket;
	uint32_t exec;
	uint32_t ptrace;
	uint32_t reserved;
};

struct proto_log {
	uint32_t level; /* enum scry_log_level */
	uint32_t reserved;
	char text[PROTO_SENTENCE];
};

static_assert(sizeof(struct proto_head) == 16, "proto_head is part of the wire format");
static_assert(sizeof(struct proto_file) == 16 + PROTO_NAME, "proto_file is part of the wire format");
static_assert(sizeof(struct proto_ring) == 16, "proto_ring is part of the wire format");
static_assert(sizeof(struct proto_start) == 8, "proto_start is part of the wire format");
static_assert(sizeof(struct proto_decode) == 32, "proto_decode is part of the wire format");
static_assert(sizeof(struct proto_encode) == 24, "proto_encode is part of the wire format");
static_assert(sizeof(struct proto_describe) == 48 + PROTO_NAME, "proto_describe is part of the wire format");
static_assert(sizeof(struct proto_hello) == 16 + 2 * PROTO_NAME, "proto_hello is part of the wire format");
static_assert(sizeof(struct proto_ready) == 8 + PROTO_TEXT, "proto_ready is part of the wire format");
static_assert(sizeof(struct proto_failed) == 8 + PROTO_SENTENCE, "proto_failed is part of the wire format");
static_assert(sizeof(struct proto_frame) == 32 + PROTO_NAME, "proto_frame is part of the wire format");
static_assert(sizeof(struct proto_encoded) == 16, "proto_encoded is part of the wire format");
static_assert(sizeof(struct proto_piece) == 8 + PROTO_PIECE, "proto_piece is part of the wire format");
static_assert(sizeof(struct proto_item) == 24 + PROTO_TEXT, "proto_item is part of the wire format");
static_assert(sizeof(struct proto_done) == 32, "proto_done is part of the wire format");
static_assert(sizeof(struct proto_probed) == 24, "proto_probed is part of the wire format");
static_assert(sizeof(struct proto_log) == 8 + PROTO_SENTENCE, "proto_log is part of the wire format");

#endif
