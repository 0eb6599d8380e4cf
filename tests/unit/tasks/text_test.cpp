// Texts and ids from files: every window and its targets stand in the file, what is held out was never trained on, and
// sequences are those of the definition.
#include <fstream>
#include <iterator>
#include <set>

#include <fmt/format.h>

#include "model/tokenizers/tokenizer.h"
#include "tasks/example_order.h"
#include "unit/model_test_files.h"
#include "unit/tasks/task_samples.h"

namespace attnlab::tasks {
namespace {

using model_test::TempFolder;

std::string text_of(const std::vector<TokenId>& bytes) {
  return {bytes.begin(), bytes.end()};
}

// No piece of it comes twice.
std::string numbered_text(int numbers) {
  std::string text;
  for (int i = 0; i < numbers; ++i) text += fmt::format("{:04d} ", i);
  return text;
}

TEST(TextTask, HasWindowsSideBySideAndTheTailHeldOut) {
  const TempFolder folder;
  const std::string first = numbered_text(100), second = "Umläute: " + numbered_text(40);
  const std::string files =
      fmt::format("[{}, {}]", folder.write("a.txt", first).string(), folder.write("b.txt", second).string());
  const auto task = task_of(fmt::format("text: {{files: {}, context: 16, held_out: 0.2}}", files));
  EXPECT_EQ(task->length(), 16);
  EXPECT_EQ(task->vocab_size(), 0xC3 + 1) << "ids are the bytes, up to the highest";
  EXPECT_TRUE(task->facts().ids_are_bytes);
  EXPECT_EQ(task->facts().bytes_per_token, 1.0);
  EXPECT_EQ(task->facts().files.size(), 2U);
  std::string trained;
  for (std::int64_t index = 0; index < task->examples(Split::train); ++index) {
    const Example example = example_of(*task, index);
    EXPECT_EQ(example.input.size(), 16U);
    const std::string piece = text_of(example.input) + static_cast<char>(example.targets.back());
    EXPECT_EQ(text_of(example.targets), piece.substr(1));
    const std::string& file = index < (400 - 1) / 16 ? first : second;
    EXPECT_NE(file.substr(0, file.size() * 8 / 10).find(piece), std::string::npos) << piece;
    trained += piece.substr(0, 16);
  }
  EXPECT_EQ(task->examples(Split::train), (400 - 1) / 16 + (168 - 1) / 16);
  EXPECT_EQ(trained.substr(0, 384), first.substr(0, 384));
  EXPECT_EQ(task->examples(Split::validation), (100 - 1) / 16 + (42 - 1) / 16);
  for (std::int64_t index = 0; index < task->examples(Split::validation); ++index) {
    const Example example = example_of(*task, index, Split::validation);
    const std::string piece = text_of(example.input) + static_cast<char>(example.targets.back());
    EXPECT_TRUE(first.substr(400).find(piece) != std::string::npos ||
                second.substr(168).find(piece) != std::string::npos)
        << piece;
  }
}

TEST(TextTask, DrawsWindowsFromAnywhere) {
  const TempFolder folder;
  const std::string text = numbered_text(30);
  const auto task = task_of(fmt::format("text: {{files: {}, context: 8, held_out: 0.5, order: anywhere}}",
                                        folder.write("a.txt", text).string()));
  EXPECT_EQ(task->examples(Split::train), kEndless);
  std::set<std::size_t> places;
  for (int index = 0; index < 2000; ++index) {
    const Example example = example_of(*task, index);
    const std::string piece = text_of(example.input) + static_cast<char>(example.targets.back());
    const std::size_t place = text.substr(0, 75).find(piece);
    ASSERT_NE(place, std::string::npos);
    places.insert(place);
  }
  EXPECT_EQ(places.size(), 75U - 8) << "every place from which a window and the token after it fit";
}

TEST(TextTask, SpeaksTheIdsOfATokenizerWithWhatItPutsBeforeATextOnce) {
  const std::string folder = std::string(ATTNLAB_TEST_DATA_DIR) + "/tokenizer/metaspace";
  const auto tokenizer = model::load_tokenizer(folder);
  const TempFolder texts;
  std::string text;
  for (int i = 0; i < 60; ++i) text += fmt::format("The {}th line of a text.\n", i);
  const auto task = task_of(fmt::format("text: {{files: {}, tokenizer: {}, context: 12, held_out: 0.5}}",
                                        texts.write("a.txt", text).string(), folder));
  EXPECT_EQ(task->facts().tokenizer, folder);
  EXPECT_FALSE(task->facts().ids_are_bytes);
  const std::string tail = text.substr(text.size() - text.size() / 2);
  const std::vector<TokenId> ids = tokenizer->encode(tail);
  EXPECT_DOUBLE_EQ(*task->facts().bytes_per_token, static_cast<double>(tail.size()) / static_cast<double>(ids.size()));
  const auto before = tokenizer->before_prompt();
  const std::size_t piece = 12 - before.size();
  EXPECT_EQ(task->examples(Split::validation), static_cast<std::int64_t>((ids.size() - 1) / piece));
  for (std::int64_t index = 0; index < task->examples(Split::validation); ++index) {
    const Example example = example_of(*task, index, Split::validation);
    const auto first = ids.begin() + index * static_cast<std::int64_t>(piece);
    std::vector<TokenId> input(before.begin(), before.end());
    input.insert(input.end(), first, first + static_cast<std::ptrdiff_t>(piece));
    EXPECT_EQ(example.input, input);
    // After every token the next one, and after BOS the first of the text.
    std::vector<TokenId> targets(input.begin() + 1, input.end());
    targets.push_back(first[static_cast<std::ptrdiff_t>(piece)]);
    for (std::size_t at = 0; at + 1 < before.size(); ++at) targets[at] = kNoTarget;
    EXPECT_EQ(example.targets, targets);
  }
}

TEST(TextTask, RefusesWhatItCannotCut) {
  const TempFolder folder;
  const std::string path = folder.write("short.txt", "ten bytes.").string();
  EXPECT_EQ(problems_of(fmt::format("text: {{files: {}, context: 64}}", path)),
            fmt::format("f.yaml:1:15: text: \"{0}\" has 9 tokens to train on, fewer than a context of 64 and the token "
                        "after it; give a shorter context, a longer text, or another share held_out\n"
                        "f.yaml:1:15: text: \"{0}\" has 1 tokens held out, fewer than a context of 64 and the token "
                        "after it; give a shorter context, a longer text, or another share held_out\n",
                        path));
  EXPECT_EQ(problems_of(fmt::format("text: {{files: {}, context: 9, held_out: 0}}", path)), "");
  EXPECT_EQ(task_of(fmt::format("text: {{files: {}, context: 9, held_out: 0}}", path))->examples(Split::validation), 0);
  EXPECT_EQ(problems_of("text: {context: 8}"), "f.yaml:1:1: the key \"files\" of text is missing\n");
  EXPECT_EQ(problems_of("text: {files: []}"), "f.yaml:1:15: files: the list is empty; name at least one text\n");
  EXPECT_EQ(problems_of(fmt::format("text: {{files: {}}}", (folder.path() / "shrt.txt").string())),
            fmt::format("f.yaml:1:15: files: there is no file \"{}\"; did you mean \"short.txt\"?\n",
                        (folder.path() / "shrt.txt").string()));
  const std::string broken = folder
                                 .write("broken.txt",
                                        "abc\xFF"
                                        "def, and so on.")
                                 .string();
  const std::string tokenizer = std::string(ATTNLAB_TEST_DATA_DIR) + "/tokenizer/metaspace";
  EXPECT_EQ(problems_of(fmt::format("text: {{files: {}, tokenizer: {}, context: 2}}", broken, tokenizer)),
            fmt::format("f.yaml:1:15: {}: the text is not UTF-8: byte 0xFF at offset 3; convert the text to UTF-8\n",
                        broken));
  const std::string key = fmt::format("text: {{files: {}, tokenizer: ", path);
  EXPECT_EQ(problems_of(key + folder.path().string() + "}"),
            fmt::format("f.yaml:1:{}: {} has no tokenizer; expected tokenizer.json or tokenizer.model in this folder\n",
                        key.size() + 1, folder.path().string()));
}

// fixtures/training: sequence s is ids[(length + 1) s ..], and steps take them as they stand.
TEST(TokensTask, HasTheSequencesOfTheDefinition) {
  const TempFolder folder;
  std::string text;
  for (int i = 0; i < 67; ++i) text += std::to_string(i) + (i % 7 == 6 ? "\n" : i % 3 == 0 ? " \t" : " ");
  const std::string file = folder.write("ids.txt", text).string();
  const auto task = task_of(fmt::format("tokens: {{file: {}, length: 10, order: sequential}}", file));
  EXPECT_EQ(task->length(), 10);
  EXPECT_EQ(task->vocab_size(), 67);
  EXPECT_EQ(task->examples(Split::train), 6) << "67 ids, of which the last begins no whole sequence";
  EXPECT_EQ(task->examples(Split::validation), 0);
  EXPECT_TRUE(task->facts().is_sequential);
  for (int number = 0; number < 14; ++number) {
    const std::int64_t index = example_index(*task, 5, Split::train, number);
    EXPECT_EQ(index, number % 6);
    const Example example = example_of(*task, index, Split::train, 5);
    for (int at = 0; at < 10; ++at) {
      EXPECT_EQ(example.input[at], 11 * index + at);
      EXPECT_EQ(example.targets[at], 11 * index + at + 1);
    }
  }
  const auto held_out = task_of(fmt::format("tokens: {{file: {}, length: 10, order: shuffled, held_out: 0.4}}", file));
  EXPECT_FALSE(held_out->facts().is_sequential);
  EXPECT_EQ(held_out->examples(Split::train), 4);
  EXPECT_EQ(held_out->examples(Split::validation), 2);
  EXPECT_EQ(example_of(*held_out, 1, Split::validation).input.front(), 55);
}

// As `train:` of each trace has it: paths are relative to the file, and the file holds what its steps need.
TEST(TokensTask, ReadsTheTracesOfTraining) {
  const std::filesystem::path traces = std::filesystem::path(ATTNLAB_SHARED_DIR) / "fixtures" / "training" / "traces";
  if (!std::filesystem::is_directory(traces)) GTEST_SKIP() << "no " << traces;
  int read = 0;
  for (const auto& entry : std::filesystem::directory_iterator(traces)) {
    const config::Node file = config::parse_file(entry.path() / "adamw.yaml");
    const config::Node& train = *file.find("train");
    const auto task = read_task(*train.find("task"));
    std::ifstream stream(entry.path() / "ids.txt");
    const std::vector<TokenId> ids{std::istream_iterator<TokenId>(stream), {}};
    const std::int64_t needed = std::stoll(train.find("batch")->text()) * std::stoll(train.find("steps")->text());
    EXPECT_EQ(task->examples(Split::train), needed);
    for (std::int64_t sequence = 0; sequence < needed; ++sequence) {
      const Example example = example_of(*task, example_index(*task, 1, Split::train, sequence));
      const auto first = ids.begin() + 33 * sequence;
      EXPECT_EQ(example.input, std::vector<TokenId>(first, first + 32));
      EXPECT_EQ(example.targets, std::vector<TokenId>(first + 1, first + 33));
    }
    ++read;
  }
  EXPECT_GT(read, 0);
}

TEST(TokensTask, ReadsPathsRelativeToTheFile) {
  const TempFolder folder;
  std::filesystem::create_directory(folder.path() / "data");
  folder.write("data/ids.txt", "1 2 3");
  const auto path = folder.write("train.yaml", "task:\n  tokens: {file: data/ids.txt, length: 2}\n");
  const auto task = read_task(*config::parse_file(path).find("task"));
  EXPECT_EQ(task->facts().files, std::vector<std::filesystem::path>{folder.path() / "data" / "ids.txt"});
  EXPECT_EQ(task->facts().where.text(), path.string() + ":2:3");
}

TEST(TokensTask, RefusesWhatIsNoId) {
  const TempFolder folder;
  const std::string wrong = folder.write("ids.txt", "1 2 3\n4 x5 6\n").string();
  EXPECT_EQ(
      problems_of(fmt::format("tokens: {{file: {}, length: 1}}", wrong)),
      fmt::format("{}:2:3: \"x5\" is no token id; token ids are whole numbers from 0, separated by blanks and line "
                  "ends\n",
                  wrong));
  for (const char* ids : {"1 -2 3", "1 2.5", "99999999999", "1,2"}) {
    const std::string file = folder.write("one.txt", ids).string();
    EXPECT_NE(problems_of(fmt::format("tokens: {{file: {}, length: 1}}", file)).find("is no token id"),
              std::string::npos)
        << ids;
  }
  const std::string few = folder.write("few.txt", "1 2 3 4").string();
  EXPECT_EQ(
      problems_of(fmt::format("tokens: {{file: {}, length: 4}}", few)),
      fmt::format("f.yaml:1:16: tokens: \"{}\" has no sequence of 4 tokens and the one after it to train on; give "
                  "a shorter length, or a longer file\n",
                  few));
  EXPECT_NE(problems_of(fmt::format("tokens: {{file: {}, length: 3, held_out: 0.5}}", few)).find("to hold out"),
            std::string::npos);
}

}  // namespace
}  // namespace attnlab::tasks
