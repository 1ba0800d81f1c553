/* child_tesseract.c - Tesseract's and Leptonica's C APIs, the only place that knows them.
 *
 * Called by child_lite.c in the worker scry-lite. The picture becomes grey, is enlarged until its letters have the
 * size that the network was trained on, and is read as a whole. Choices were measured with tests/model/reading (20
 * rendered pages, 10 screenshots; share of words read, seconds for all 30):
 *     as it is 96.6 %, 19 s · twice the size 99.8 %, 33 s · three times 99.7 %, 33 s
 *     twice the size with sparse segmentation 99.8 %, 22 s · with Leptonica's adaptive Otsu 98.4 %, 35 s
 *     with Sauvola's thresholds 96.8 %, it loses dark themes · without inversion of lines 65 %
 * so: Tesseract's own global Otsu, its own inversion, scale by letter size, sparse segmentation wherever there are
 * no columns.
 */
#include "engine/child_tesseract.h"

#include <stdlib.h>
#include <string.h>

#include <leptonica/allheaders.h>
#include <tesseract/capi.h>

#include "base/str.h"
#include "scry.h"

/* OpenMP's, when Tesseract was built with it. */
#pragma weak omp_set_max_active_levels
extern void omp_set_max_active_levels(int levels);

#define LETTER_WANTED 20.f /* pixels of a small letter that the LSTM network reads best; it scales lines to 36 */
#define SCALE_MAX 3.f
#define PIXELS_MAX 16000000u /* of the enlarged picture */
#define BACKGROUND_DARK 64   /* levels of grey on either side of which nothing is ink */
#define BACKGROUND_LIGHT 192
#define READING_MS_MAX 20000
#define CONFIDENCE_LEAST 30.f

struct tesseract {
	TessBaseAPI *api;
	char language[32];
};

int
tesseract_create(const void *data, size_t size, const char *language, struct tesseract **out, struct why *why)
{
	struct tesseract *reader = calloc(1, sizeof(*reader));
	if (reader == NULL || (reader->api = TessBaseAPICreate()) == NULL) {
		free(reader);
		return why_set(why, SCRY_E_MEMORY, "out of memory");
	}
	str_copy(reader->language, sizeof(reader->language), language);
	if (size > INT32_MAX ||
	    TessBaseAPIInit5(reader->api, data, (int)size, language, OEM_LSTM_ONLY, NULL, 0, NULL, NULL, 0, 0) != 0) {
		tesseract_destroy(reader);
		return why_set(why, SCRY_E_MODEL, "%s.traineddata is damaged, or has no LSTM network", language);
	}
	*out = reader;
	return 0;
}

void
tesseract_destroy(struct tesseract *reader)
{
	if (reader == NULL)
		return;
	TessBaseAPIEnd(reader->api);
	TessBaseAPIDelete(reader->api);
	free(reader);
}

/* Two backgrounds of nearly one lightness (a dark window on a black desktop) become one. Tesseract puts its one threshold
 * between the two largest groups of levels, and between those two the letters would be lost. Only where nearly all of
 * the picture is on one side and letters stand on the other. */
static void
join_backgrounds(struct Pix *grey)
{
	unsigned levels[256] = {0}, all = (unsigned)(pixGetWidth(grey) * pixGetHeight(grey)), low = 0, middle = 0, high = 0;
	for (int y = 0; y < pixGetHeight(grey); y++) {
		const l_uint32 *line = pixGetData(grey) + (size_t)y * (size_t)pixGetWpl(grey);
		for (int x = 0; x < pixGetWidth(grey); x++)
			levels[GET_DATA_BYTE(line, x)]++;
	}
	for (unsigned i = 0; i < 256; i++) {
		low += i < BACKGROUND_DARK ? levels[i] : 0;
		middle += i < 128 ? levels[i] : 0;
		high += i > BACKGROUND_LIGHT ? levels[i] : 0;
	}
	bool dark = low > all / 100 * 85 && all - middle > all / 200;
	bool light = high > all / 100 * 85 && middle > all / 200;
	for (int y = 0; (dark || light) && y < pixGetHeight(grey); y++) {
		l_uint32 *line = pixGetData(grey) + (size_t)y * (size_t)pixGetWpl(grey);
		for (int x = 0; x < pixGetWidth(grey); x++) {
			unsigned level = GET_DATA_BYTE(line, x);
			if (dark && level < BACKGROUND_DARK)
				SET_DATA_BYTE(line, x, BACKGROUND_DARK);
			else if (light && level > BACKGROUND_LIGHT)
				SET_DATA_BYTE(line, x, BACKGROUND_LIGHT);
		}
	}
}

static struct Pix *
to_grey(const struct lite_image *image)
{
	struct Pix *grey = pixCreate((int)image->width, (int)image->height, 8);
	if (grey == NULL)
		return NULL;
	l_uint32 *line = pixGetData(grey);
	for (unsigned y = 0; y < image->height; y++, line += pixGetWpl(grey)) {
		const uint8_t *row = image->rgb + y * image->stride;
		for (unsigned x = 0; x < image->width; x++, row += 3)
			SET_DATA_BYTE(line, x, (77u * row[0] + 150u * row[1] + 29u * row[2]) >> 8);
	}
	join_backgrounds(grey);
	return grey;
}

static int
compare_heights(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

/* The median height of the connected parts of a two-level picture that have the size and shape of letters; 0 when
 * there are hardly any. *count gets how many. */
static int
letter_height(struct Pix *binary, int *count)
{
	struct Boxa *boxes = pixConnCompBB(binary, 8);
	int n = boxes != NULL ? boxaGetCount(boxes) : 0, found = 0;
	int *heights = n > 0 ? malloc((size_t)n * sizeof(*heights)) : NULL;
	for (int i = 0; heights != NULL && i < n; i++) {
		int x, y, width, height;
		boxaGetBoxGeometry(boxes, i, &x, &y, &width, &height);
		if (height >= 4 && height <= 120 && width >= 2 && width <= 3 * height && height <= 8 * width)
			heights[found++] = height;
	}
	if (found > 0)
		qsort(heights, (size_t)found, sizeof(*heights), compare_heights);
	int median = found >= 8 ? heights[found / 2] : 0;
	free(heights);
	boxaDestroy(&boxes);
	*count = found;
	return median;
}

/* How much to enlarge. Dark and light themes: the ink and what is around it are both tried, letters are where there
 * are more parts like letters. */
static float
choose_scale(struct Pix *grey)
{
	struct Pix *ink = NULL;
	int dark_count, light_count;
	if (pixOtsuAdaptiveThreshold(grey, 64, 64, 1, 1, .1f, NULL, &ink) != 0 || ink == NULL)
		return 2.f;
	int dark = letter_height(ink, &dark_count);
	pixInvert(ink, ink);
	int light = letter_height(ink, &light_count);
	pixDestroy(&ink);
	int height = dark_count >= light_count ? dark : light;
	float scale = height > 0 ? LETTER_WANTED / (float)height : 2.f;
	scale = scale < 1.f ? 1.f : scale > SCALE_MAX ? SCALE_MAX : scale;
	float pixels = (float)pixGetWidth(grey) * (float)pixGetHeight(grey);
	while (scale > 1.f && scale * scale * pixels > PIXELS_MAX)
		scale -= .25f;
	return scale < 1.25f ? 1.f : scale;
}

struct asking {
	tesseract_cancelled_fn cancelled;
	void *user;
	bool stopped;
};

static bool
on_word(void *user, int words)
{
	struct asking *asking = user;
	(void)words;
	asking->stopped = asking->stopped || asking->cancelled(asking->user);
	return asking->stopped;
}

/* Appends the iterator's word; *line counts up at the beginning of each line. */
static void
take_word(TessResultIterator *at, float width, float height, unsigned *line, struct lite_words *words)
{
	const TessPageIterator *page = TessResultIteratorGetPageIteratorConst(at);
	int left, top, right, bottom;
	*line += TessPageIteratorIsAtBeginningOf(page, RIL_TEXTLINE) != 0;
	float confidence = TessResultIteratorConfidence(at, RIL_WORD);
	if (confidence < CONFIDENCE_LEAST || !TessPageIteratorBoundingBox(page, RIL_WORD, &left, &top, &right, &bottom))
		return;
	char *text = TessResultIteratorGetUTF8Text(at, RIL_WORD);
	if (text != NULL && text[strspn(text, " \t\n")] != '\0' && str_utf8_valid(text, strlen(text))) {
		struct lite_word *word = &words->word[words->count++];
		str_copy(word->text, sizeof(word->text), text);
		str_printable(word->text);
		word->score = confidence >= 100.f ? 1.f : confidence / 100.f;
		word->line = *line;
		word->box[0] = (float)left / width;
		word->box[1] = (float)top / height;
		word->box[2] = (float)(right - left) / width;
		word->box[3] = (float)(bottom - top) / height;
	}
	TessDeleteText(text);
}

static int
take_words(struct tesseract *reader, struct Pix *picture, struct lite_words *out)
{
	struct lite_words words = {.word = calloc(LITE_WORDS_MAX, sizeof(*words.word))};
	TessResultIterator *at = TessBaseAPIGetIterator(reader->api);
	unsigned line = 0;
	if (words.word == NULL) {
		if (at != NULL)
			TessResultIteratorDelete(at);
		return SCRY_E_MEMORY;
	}
	if (at != NULL) {
		do {
			take_word(at, (float)pixGetWidth(picture), (float)pixGetHeight(picture), &line, &words);
		} while (words.count < LITE_WORDS_MAX && TessResultIteratorNext(at, RIL_WORD));
		TessResultIteratorDelete(at);
	}
	*out = words;
	return 0;
}

static int
recognise(struct tesseract *reader, struct Pix *picture, bool sparse, struct asking *asking, struct lite_words *out)
{
	ETEXT_DESC *monitor = TessMonitorCreate();
	int error = 0;
	TessMonitorSetCancelFunc(monitor, on_word);
	TessMonitorSetCancelThis(monitor, asking);
	TessMonitorSetDeadlineMSecs(monitor, READING_MS_MAX); /* what was read until then stands */
	TessBaseAPISetPageSegMode(reader->api, sparse ? PSM_SPARSE_TEXT : PSM_AUTO);
	TessBaseAPISetImage2(reader->api, picture);
	TessBaseAPISetSourceResolution(reader->api, 150); /* spares a guess and a line in the log */
	if (TessBaseAPIRecognize(reader->api, monitor) != 0 && !asking->stopped)
		error = SCRY_E_MODEL;
	if (error == 0 && asking->stopped)
		error = SCRY_E_CANCELLED;
	if (error == 0)
		error = take_words(reader, picture, out);
	TessMonitorDelete(monitor);
	TessBaseAPIClear(reader->api);
	return error;
}

int
tesseract_read(struct tesseract *reader, const struct lite_image *image, bool sparse, tesseract_cancelled_fn cancelled,
               void *user, struct lite_words *out, struct why *why)
{
	struct asking asking = {.cancelled = cancelled, .user = user};
	struct Pix *grey = to_grey(image), *picture = NULL;
	int error = SCRY_E_MEMORY;
	/* Tesseract asks for four threads a layer: it gains nothing by them (0.57 s and 0.53 s for a page) and loses
	 * much when the processors are busy, because they wait for each other spinning. The setting is the calling
	 * thread's. */
	if (omp_set_max_active_levels != NULL)
		omp_set_max_active_levels(0);
	if (grey != NULL) {
		float scale = choose_scale(grey);
		picture = scale > 1.f ? pixScale(grey, scale, scale) : pixClone(grey);
	}
	if (picture != NULL)
		error = recognise(reader, picture, sparse, &asking, out);
	pixDestroy(&picture);
	pixDestroy(&grey);
	if (error == SCRY_E_MEMORY)
		why_set(why, error, "out of memory while reading the text");
	else if (error == SCRY_E_MODEL)
		why_set(why, error, "Tesseract failed on this picture (%s)", reader->language);
	return error;
}

const char *
tesseract_version(void)
{
	return TessVersion();
}
