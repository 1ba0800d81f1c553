/* describe.c - the least program that sees: says what is in the pictures that its command line names.
 *
 *     cc describe.c $(pkg-config --cflags --libs scry) -o describe
 *     ./describe photo.jpg screen.png
 */
#include <stdio.h>

#include <scry.h>

int
main(int argc, char **argv)
{
	struct scry *eyes;
	int failed = 0;
	int error = scry_open(NULL, &eyes);
	if (error != SCRY_OK) {
		fprintf(stderr, "cannot start: %s\n", scry_error_name(error));
		return 1;
	}
	for (int i = 1; i < argc; i++) {
		struct scry_result *seen;
		if (scry_describe(eyes, scry_image_path(argv[i]), NULL, &seen) == SCRY_OK) {
			printf("%s: %s\n", argv[i], scry_result_text(seen));
			scry_result_free(seen);
		} else {
			fprintf(stderr, "%s\n", scry_error(eyes));
			failed = 1;
		}
	}
	scry_close(eyes);
	return failed;
}
