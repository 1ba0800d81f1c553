/* test_eye.c - the real scry-eye in its real sandbox, spoken to as the core does.
 *
 * argv[1] is the program, argv[2] the folder that tests/data/make-images wrote. One worker lives through all tests: a bad
 * picture may cost its request, never the process.
 */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scry.h"
#include "wire/msg.h"
#include "wire/slots.h"

#define SLOTS 2
#define SLOT_BYTES ((uint64_t)640 * 480 * 3)

static const char *program, *folder;
static int core = -1; /* our end of the socket */
static pid_t child;
static struct slots *ring;
static uint32_t requests;

/* The next message that is not a line of the log. */
static struct msg
next_message(void)
{
	struct msg msg;
	do {
		int error = msg_recv(core, &msg);
		if (error < 0)
			fail_msg("the eye is gone: %s", strerror(-error));
	} while (msg.head.type == PROTO_LOG);
	return msg;
}

static struct msg
decode_fd(int fd, uint32_t max_side)
{
	struct proto_decode body = {
		.max_width = max_side, .max_height = max_side, .flags = PROTO_DECODE_FAST, .deadline_ms = 20000};
	assert_int_equal(msg_send(core, PROTO_DECODE, ++requests, &body, sizeof(body), fd), 0);
	struct msg msg = next_message();
	assert_int_equal(msg.head.request, requests);
	return msg;
}

static struct msg
decode(const char *name, uint32_t max_side)
{
	char path[512];
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	struct msg msg = decode_fd(fd, max_side);
	close(fd);
	return msg;
}

static struct slot_head
head_of(const struct msg *msg)
{
	struct slot_head head;
	assert_int_equal(msg->head.type, PROTO_FRAME);
	assert_int_equal(slots_head(ring, msg->body.frame.slot, msg->body.frame.generation, &head), 0);
	assert_int_equal(head.width, msg->body.frame.width);
	assert_int_equal(head.height, msg->body.frame.height);
	return head;
}

static int
start_eye(void **state)
{
	(void)state;
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	child = fork();
	if (child == 0) {
		if (pair[1] == PROTO_FD)
			fcntl(PROTO_FD, F_SETFD, 0);
		else
			dup2(pair[1], PROTO_FD);
		execl(program, program, (char *)NULL);
		_exit(127);
	}
	close(pair[1]);
	core = pair[0];
	struct msg hello = next_message();
	assert_int_equal(hello.head.type, PROTO_HELLO);
	assert_int_equal(hello.body.hello.role, PROTO_ROLE_EYE);
	assert_string_equal(hello.body.hello.program, "scry-eye");
	assert_int_equal(slots_create(SLOTS, SLOT_BYTES, &ring), 0);
	struct proto_ring body = {.ring = 0, .slots = SLOTS, .slot_bytes = SLOT_BYTES};
	int fd = slots_open_fd(ring, true);
	assert_int_equal(msg_send(core, PROTO_RING, 0, &body, sizeof(body), fd), 0);
	close(fd);
	struct proto_start start = {.threads = 1};
	assert_int_equal(msg_send(core, PROTO_START, 0, &start, sizeof(start), -1), 0);
	assert_int_equal(next_message().head.type, PROTO_READY);
	return 0;
}

static int
stop_eye(void **state)
{
	(void)state;
	int status = -1;
	assert_int_equal(msg_send(core, PROTO_STOP, 0, NULL, 0, -1), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	slots_destroy(ring);
	close(core);
	return 0;
}

/* Nothing that the sandbox forbids can be done. */
static void
test_probe(void **state)
{
	(void)state;
	assert_int_equal(msg_send(core, PROTO_PROBE, 0, NULL, 0, -1), 0);
	struct msg msg = next_message();
	assert_int_equal(msg.head.type, PROTO_PROBED);
	const struct proto_probed *probed = &msg.body.probed;
	assert_int_equal(probed->open_file | probed->write_file | probed->socket | probed->exec | probed->ptrace, 0);
}

/* Equal pictures have equal frames; the sides are those of the picture as it is shown. */
static void
test_frame(void **state)
{
	(void)state;
	struct msg first = decode("turned-6.jpg", 640), second = decode("turned-6.jpg", 640);
	struct slot_head a = head_of(&first), b = head_of(&second);
	assert_int_equal(a.width, 65);
	assert_int_equal(a.height, 97);
	assert_int_equal(first.body.frame.source_width, 65);
	assert_string_equal(first.body.frame.format, "jpeg");
	assert_true(a.hash == b.hash && memcmp(a.signature, b.signature, sizeof(a.signature)) == 0);
	assert_int_not_equal(first.body.frame.slot, second.body.frame.slot);
	/* Both slots are taken. */
	struct msg third = decode("rgb.png", 640);
	assert_int_equal(third.head.type, PROTO_FAILED);
	assert_int_equal(third.body.failed.error, SCRY_E_BUSY);
	slots_release(ring, first.body.frame.slot);
	third = decode("rgb.png", 640);
	assert_true(head_of(&third).hash != b.hash);
	slots_release(ring, third.body.frame.slot);
	slots_release(ring, second.body.frame.slot);
}

/* A picture larger than the slot is scaled until it fits. */
static void
test_capacity(void **state)
{
	(void)state;
	struct msg msg = decode("waves.jpg", 0);
	struct slot_head head = head_of(&msg);
	assert_true((uint64_t)head.stride * head.height <= SLOT_BYTES);
	assert_true(head.width > 700 && head.width < 1280);
	assert_int_equal(msg.body.frame.source_width, 1280);
	slots_release(ring, msg.body.frame.slot);
}

/* Every picture of the list, good and bad: the answer is the one expected, and the worker stays. */
static void
test_list(void **state)
{
	(void)state;
	char path[512], line[512];
	unsigned count = 0;
	snprintf(path, sizeof(path), "%s/list", folder);
	FILE *list = fopen(path, "re");
	assert_non_null(list);
	while (fgets(line, sizeof(line), list) != NULL) {
		char file[64];
		int expected;
		assert_int_equal(sscanf(line, "%63[^\t]\t%d", file, &expected), 2);
		struct msg msg = decode(file, 300);
		int error = msg.head.type == PROTO_FAILED ? msg.body.failed.error : 0;
		if (error != expected)
			fail_msg("%s: %d instead of %d: %s", file, error, expected, error != 0 ? msg.body.failed.sentence : "");
		if (error == 0) {
			head_of(&msg);
			slots_release(ring, msg.body.frame.slot);
		}
		count++;
	}
	fclose(list);
	assert_true(count > 80);
	assert_int_equal(waitpid(child, NULL, WNOHANG), 0);
}

/* What is no file: a pipe, a folder. */
static void
test_no_file(void **state)
{
	(void)state;
	int pipes[2];
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	struct msg msg = decode_fd(pipes[0], 300);
	assert_int_equal(msg.head.type, PROTO_FAILED);
	assert_non_null(strstr(msg.body.failed.sentence, "pipe"));
	int directory = open("/", O_RDONLY | O_CLOEXEC);
	msg = decode_fd(directory, 300);
	assert_int_equal(msg.head.type, PROTO_FAILED);
	assert_int_equal(msg.body.failed.error, SCRY_E_INPUT);
	close(directory);
	close(pipes[0]);
	close(pipes[1]);
}

/* A frame as JPEG in a memfd that nobody can change; a frame that is gone is refused. */
static void
test_encode(void **state)
{
	(void)state;
	struct msg frame = decode("rgb.png", 640);
	head_of(&frame);
	struct proto_encode body = {
		.slot = frame.body.frame.slot, .generation = frame.body.frame.generation, .quality = 90, .deadline_ms = 5000};
	assert_int_equal(msg_send(core, PROTO_ENCODE, ++requests, &body, sizeof(body), -1), 0);
	struct msg msg = next_message();
	assert_int_equal(msg.head.type, PROTO_ENCODED);
	int fd = msg_take_fd(&msg);
	assert_int_equal(fcntl(fd, F_GET_SEALS) & (F_SEAL_WRITE | F_SEAL_SHRINK), F_SEAL_WRITE | F_SEAL_SHRINK);
	struct stat st;
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, msg.body.encoded.bytes);
	struct msg again = decode_fd(fd, 640);
	assert_int_equal(head_of(&again).width, 97);
	close(fd);
	slots_release(ring, again.body.frame.slot);
	slots_release(ring, frame.body.frame.slot);
	body.generation++;
	assert_int_equal(msg_send(core, PROTO_ENCODE, ++requests, &body, sizeof(body), -1), 0);
	msg = next_message();
	assert_int_equal(msg.head.type, PROTO_FAILED);
	assert_int_equal(msg.body.failed.error, SCRY_E_ARGUMENT);
}

int
main(int argc, char **argv)
{
	if (argc != 3) {
		fprintf(stderr, "usage: %s SCRY-EYE FOLDER (made by tests/data/make-images)\n", argv[0]);
		return 2;
	}
	program = argv[1];
	folder = argv[2];
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_probe), cmocka_unit_test(test_frame),   cmocka_unit_test(test_capacity),
		cmocka_unit_test(test_list),  cmocka_unit_test(test_no_file), cmocka_unit_test(test_encode),
	};
	return cmocka_run_group_tests(tests, start_eye, stop_eye);
}
