/* child.h - a worker's side of the wire: enter the sandbox, say hello, receive, answer.
 *
 * Used by every worker program (scry-eye, scry-lite, ...), in the worker's process, single-threaded (an engine may
 * have threads inside its model library; they never call this). Sends block: the core always reads. The end of the
 * socket ends the process, at once even when it is busy (SIGIO): a worker without a core has nobody to work for.
 */
#ifndef WIRE_CHILD_H
#define WIRE_CHILD_H

#include <stdbool.h>
#include <stdint.h>

#include "wire/msg.h"
#include "wire/proto.h"

/* What a worker's sandbox has to allow; see sandbox.h. */
enum child_sandbox { CHILD_SANDBOX_DECODER, CHILD_SANDBOX_ENGINE, CHILD_SANDBOX_LOADER };

/* Enters the sandbox and sends HELLO. Called first in main, before any input is read. Exits with a sentence on
 * standard error when fd 3 is not a scry socket (someone ran the program by hand). */
void child_hello(const char *program, enum proto_role role, enum child_sandbox sandbox);

/* The second half of CHILD_SANDBOX_LOADER, at START and before anything of a file is read: the process can open these
 * files for reading, by /proc/self/fd/N, and no others. Returns the parts that hold now, for READY. */
uint32_t child_confine(const int *fds, unsigned count);

/* Waits for the next message of the core, answers PING and PROBE itself, and exits 0 on STOP or end of file.
 * A message that does not decode ends the process: the core never sends one. */
void child_receive(struct msg *out);

/* True when the core has cancelled `request`; looks at the socket without waiting. Cheap enough (one system call)
 * to be asked between the layers of a model. Other messages that arrive meanwhile wait for child_receive(). */
bool child_cancelled(uint32_t request);

/* Sends a message with `size` bytes of body and, when fd >= 0, that descriptor (not closed). */
void child_send(enum proto_type type, uint32_t request, const void *body, uint32_t size, int fd);

void child_failed(uint32_t request, int error, const char *format, ...) __attribute__((format(printf, 3, 4)));
void child_log(unsigned level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Text of the answer, as a whole or in pieces: cut at PROTO_PIECE and only between UTF-8 characters. */
void child_piece(uint32_t request, const char *text);

/* The process ends by SIGALRM when the request that begins now is not over in `deadline_ms` plus a grace: the last
 * resort against a decoder that hangs while nobody is left to kill it. 0 disarms. */
void child_deadline(uint32_t deadline_ms);

#endif
