/* files.c - see files.h. */
#include "model/files.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"

static const char *const tessdata_folders[] = {"/usr/share/tesseract-ocr/5/tessdata",
                                               "/usr/share/tesseract-ocr/4.00/tessdata", "/usr/share/tessdata",
                                               "/usr/local/share/tessdata"};

static void
add_place(struct files_places *places, const char *folder, const char *below)
{
	char path[FILES_PATH];
	int n = snprintf(path, sizeof(path), "%s%s", folder, below);
	/* A path that is cut would be another path. */
	if (n > 0 && (size_t)n < sizeof(path) && places->count < sizeof(places->folder) / sizeof(places->folder[0]))
		memcpy(places->folder[places->count++], path, sizeof(path));
}

void
files_places(const char *models, struct files_places *out)
{
	const char *set = secure_getenv("SCRY_MODELS"), *data = secure_getenv("XDG_DATA_HOME"),
			   *home = secure_getenv("HOME");
	out->count = 0;
	if (models != NULL && models[0] != '\0')
		add_place(out, models, "");
	if (set != NULL && set[0] != '\0')
		add_place(out, set, "");
	/* The XDG base directory specification: a relative path there is invalid and to be ignored. */
	if (data != NULL && data[0] == '/')
		add_place(out, data, "/scry/models");
	else if (home != NULL && home[0] == '/')
		add_place(out, home, "/.local/share/scry/models");
	add_place(out, "/var/lib/scry/models", "");
	add_place(out, SCRY_DATADIR "/models", "");
}

void
files_add_place(struct files_places *places, const char *folder)
{
	add_place(places, folder, "/models");
}

const char *
files_home(const struct files_places *places)
{
	return places->count > 2 ? places->folder[0] : "";
}

bool
files_find(const struct files_places *places, const char *name, char path[FILES_PATH])
{
	for (unsigned i = 0; i < places->count; i++) {
		char full[FILES_PATH];
		int n = snprintf(full, sizeof(full), "%s/%s", places->folder[i], name);
		if (n < 0 || (size_t)n >= sizeof(full) || access(full, R_OK) != 0)
			continue;
		memcpy(path, full, sizeof(full));
		return true;
	}
	return false;
}

static unsigned
languages_in(const char *folder, files_language_fn each, void *user)
{
	static const char suffix[] = ".traineddata";
	unsigned found = 0;
	struct dirent *entry;
	DIR *dir = opendir(folder);
	if (dir == NULL)
		return 0;
	while ((entry = readdir(dir)) != NULL) {
		char path[FILES_PATH], language[64];
		size_t length = strlen(entry->d_name), tail = sizeof(suffix) - 1;
		if (length <= tail || length - tail >= sizeof(language) || strcmp(entry->d_name + length - tail, suffix) != 0)
			continue;
		memcpy(language, entry->d_name, length - tail);
		language[length - tail] = '\0';
		int n = snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		/* osd finds the orientation of a script; it is not a language. */
		if (n < 0 || (size_t)n >= sizeof(path) || strcmp(language, "osd") == 0)
			continue;
		each(user, language, path);
		found++;
	}
	closedir(dir);
	return found;
}

unsigned
files_languages(files_language_fn each, void *user)
{
	const char *set = secure_getenv("TESSDATA_PREFIX");
	if (set != NULL && set[0] != '\0')
		return languages_in(set, each, user);
	for (size_t i = 0; i < sizeof(tessdata_folders) / sizeof(tessdata_folders[0]); i++) {
		unsigned found = languages_in(tessdata_folders[i], each, user);
		if (found > 0)
			return found;
	}
	return 0;
}
