// Rules of the source tree: which room may include which, which library is used in which room, how large files and
// folders may get, and that the host uses only what plugins declare about themselves.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "reference/plugins.h"

namespace attnlab {
namespace {

namespace fs = std::filesystem;

struct Include {
  std::string file;    // relative to the source folder
  std::string room;    // the folder below framework: "core", "report/read", ... or "plugins"
  std::string target;  // as written between the quotes or brackets
};

std::vector<Include> includes_below(const fs::path& folder) {
  static const std::regex line_of_include(R"(^\s*#\s*include\s*["<]([^">]+)[">].*)");
  std::vector<Include> found;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    const std::string extension = entry.path().extension();
    if (extension != ".h" && extension != ".cpp") continue;
    const fs::path relative = fs::relative(entry.path(), ATTNLAB_SOURCE_DIR);
    const std::string room =
        *relative.begin() == "plugins" ? "plugins" : relative.parent_path().lexically_relative("framework").string();
    std::ifstream stream(entry.path());
    std::smatch match;
    for (std::string line; std::getline(stream, line);)
      if (std::regex_match(line, match, line_of_include)) found.push_back({relative.string(), room, match[1]});
  }
  return found;
}

std::vector<Include> all_includes() {
  std::vector<Include> all = includes_below(fs::path(ATTNLAB_SOURCE_DIR) / "framework");
  const std::vector<Include> plugins = includes_below(fs::path(ATTNLAB_SOURCE_DIR) / "plugins");
  all.insert(all.end(), plugins.begin(), plugins.end());
  return all;
}

TEST(Walls, EachLibraryIsIncludedInItsOwnRoomOnly) {
  const std::map<std::string, std::set<std::string>> rooms_of{
      {R"(^(oneapi/)?tbb/.*)", {"parallel"}},
      {R"(^boost/dll.*)", {"registry"}},
      {R"(^yaml-cpp/.*)", {"config"}},
      {R"(^(oneapi/)?dnnl.*)", {"ops"}},
      {R"(^hwy/.*)", {"ops", "tiles", "base", "rows", "states", "policies"}},
      {R"(^CLI/.*)", {"cli"}},
      {R"(^benchmark/.*)", {"bench"}},
      {R"(^(sentencepiece.*|oniguruma.*))", {"model/tokenizers"}},
      {R"(^simdjson.*)", {"model/checkpoints"}},
      {R"(^unicode/.*)", {"base", "model/tokenizers"}},
      {R"(^openssl/.*)", {"base"}},
      {R"(^cairo.*)", {"report/charts"}},
  };
  int checked = 0;
  for (const Include& include : all_includes())
    for (const auto& [pattern, rooms] : rooms_of)
      if (std::regex_match(include.target, std::regex(pattern))) {
        ++checked;
        EXPECT_TRUE(rooms.contains(include.room)) << include.file << " includes " << include.target;
      }
  EXPECT_GT(checked, 8) << "the patterns no longer match anything";
}

TEST(Walls, PluginsAndTheSdkIncludeOnlyTheSdkAndTheStandardLibrary) {
  for (const Include& include : all_includes()) {
    const bool is_plugin = include.room == "plugins";
    const bool is_sdk_header = include.file.find("framework/sdk/include/") == 0;
    if (!is_plugin && !is_sdk_header) continue;
    const bool is_standard =
        include.target.find('/') == std::string::npos && include.target.find('.') == std::string::npos;
    EXPECT_TRUE(is_standard || include.target.starts_with("attnlab/"))
        << include.file << " includes " << include.target;
  }
}

// Each room with the rooms that its files may include; a room stands below those that know it, so there is no circle.
// A room within another (report/read) is a room of its own.
const std::vector<std::pair<std::string, std::set<std::string>>> kRooms{
    {"sdk/include/attnlab", {}},
    {"sdk/src", {}},
    {"base", {}},
    {"parallel", {}},
    {"config", {"base"}},
    {"tiles", {"base"}},
    {"core", {"base", "parallel", "tiles"}},
    {"rows", {"base", "parallel", "tiles"}},
    {"states", {"base", "parallel", "tiles"}},
    {"policies", {"base", "parallel"}},
    {"ops", {"base", "parallel"}},
    {"steps", {"base", "parallel", "core", "ops"}},
    {"registry", {"base"}},
    {"machine", {"base", "ops"}},
    {"model/checkpoints", {"base"}},
    {"model/config", {"base", "model/checkpoints"}},
    {"model/tokenizers", {"base", "model/checkpoints"}},
    {"model/architectures", {"base", "model/checkpoints", "model/config"}},
    {"model", {"model/checkpoints", "model/config", "model/tokenizers", "base", "parallel", "core", "ops", "steps"}},
    {"report/read", {"base"}},
    {"report/statistics", {}},
    {"report/summary", {"base", "report/read", "report/statistics"}},
    {"report/charts", {"base", "report/read", "report/summary"}},
    {"report/merge", {"base", "report/read", "report/summary"}},
    {"report/pages", {"base", "report/read", "report/statistics", "report/summary", "report/charts"}},
    {"tasks", {"machine", "model/tokenizers", "report/read", "config", "base"}},
    {"choices", {"base", "config", "core", "registry"}},
    {"assembly",
     {"choices", "machine", "model", "model/checkpoints", "model/config", "model/tokenizers", "registry", "config",
      "core", "rows", "steps", "base", "report/read"}},
    {"training",
     {"tasks", "assembly", "choices", "machine", "model", "model/checkpoints", "model/config", "model/tokenizers",
      "steps", "config", "ops", "parallel", "base", "report/read"}},
    {"workloads",
     {"tasks", "assembly", "machine", "model", "model/tokenizers", "config", "core", "ops", "steps", "parallel", "base",
      "report/read"}},
    {"conformance",
     {"training", "assembly", "choices", "model", "registry", "tiles", "core", "rows", "steps", "parallel", "base"}},
    {"study",
     {"workloads", "training", "tasks", "assembly", "choices", "machine", "model", "model/checkpoints", "model/config",
      "model/tokenizers", "registry", "config", "core", "parallel", "base", "report/read"}},
    {"runner",
     {"study", "workloads", "training", "tasks", "conformance", "assembly", "machine", "model", "config", "parallel",
      "base", "report/read", "report/statistics", "report/summary", "report/pages"}},
    {"cluster",
     {"runner", "study", "workloads", "training", "tasks", "machine", "config", "parallel", "base", "report/read",
      "report/statistics", "report/summary", "report/pages"}},
    {"bench",
     {"assembly", "choices", "machine", "model", "registry", "core", "rows", "steps", "parallel", "base", "report/read",
      "report/pages"}},
    {"cli",
     {"bench",       "cluster",  "runner",      "study",          "workloads",         "training",     "tasks",
      "conformance", "assembly", "choices",     "model",          "model/checkpoints", "registry",     "config",
      "parallel",    "base",     "report/read", "report/summary", "report/charts",     "report/merge", "report/pages"}},
};

TEST(Walls, RoomsKnowOnlyTheRoomsBelowThem) {
  std::map<std::string, std::set<std::string>> knows(kRooms.begin(), kRooms.end());
  for (const Include& include : all_includes()) {
    if (include.room == "plugins") continue;
    ASSERT_TRUE(knows.contains(include.room)) << include.file << " is in a room that has no rule";
    const std::string other = fs::path(include.target).parent_path().string();
    if (!knows.contains(other) || other == include.room) continue;
    EXPECT_TRUE(knows.at(include.room).contains(other)) << include.file << " includes " << include.target;
  }
}

TEST(Walls, ARoomKnowsOnlyRoomsThatStandBeforeIt) {
  std::set<std::string> before;
  for (const auto& [room, known] : kRooms) {
    for (const std::string& other : known) EXPECT_TRUE(before.contains(other)) << room << " knows " << other;
    before.insert(room);
  }
}

struct SourceFile {
  std::string path;  // relative to the source folder
  std::string text;
};

std::vector<SourceFile> sources_below(const std::vector<const char*>& folders) {
  std::vector<SourceFile> all;
  for (const char* folder : folders)
    for (const auto& entry : fs::recursive_directory_iterator(fs::path(ATTNLAB_SOURCE_DIR) / folder)) {
      const std::string extension = entry.path().extension();
      if (extension != ".h" && extension != ".cpp") continue;
      std::ifstream stream(entry.path());
      all.push_back({fs::relative(entry.path(), ATTNLAB_SOURCE_DIR).string(),
                     {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()}});
    }
  return all;
}

TEST(Walls, NoSourceFileIsLongerThanSixHundredLinesAndNoFolderThanFourThousand) {
  std::map<std::string, std::ptrdiff_t> lines_of_folder;
  for (const SourceFile& file : sources_below({"framework", "plugins", "tests"})) {
    const auto lines = std::ranges::count(file.text, '\n');
    EXPECT_LE(lines, 600) << file.path;
    lines_of_folder[fs::path(file.path).parent_path().string()] += lines;
  }
  EXPECT_GT(lines_of_folder.size(), 30U);
  for (const auto& [folder, lines] : lines_of_folder) EXPECT_LE(lines, 4000) << folder;
}

// 10'000: no character begins there.
bool is_digit_before(std::string_view text, std::size_t at) {
  return at > 0 && text[at - 1] >= '0' && text[at - 1] <= '9';
}

// The texts of string literals, but for those of `field("...", ...)`: there an option is declared. Comments are no
// code, and raw strings are read like others, quote by quote.
std::vector<std::string> literals_of(std::string_view text) {
  std::vector<std::string> literals;
  std::string_view code;  // up to here, without what was skipped
  for (std::size_t at = 0; at < text.size();) {
    const auto skip_to = [&](std::string_view end) {
      const std::size_t found = text.find(end, at + 2);
      at = found == text.npos ? text.size() : found + end.size();
    };
    const std::string_view rest = text.substr(at);
    if (rest.starts_with("//")) {
      skip_to("\n");
    } else if (rest.starts_with("/*")) {
      skip_to("*/");
    } else if (rest[0] == '"' || (rest[0] == '\'' && !is_digit_before(text, at))) {
      std::size_t end = at + 1;
      while (end < text.size() && text[end] != rest[0] && text[end] != '\n') end += text[end] == '\\' ? 2 : 1;
      if (rest[0] == '"' && !code.ends_with("field("))
        literals.emplace_back(text.substr(at + 1, std::min(end, text.size()) - at - 1));
      at = std::min(end + 1, text.size());
    } else {
      const bool is_blank = rest[0] == ' ' || rest[0] == '\n';
      if (!is_blank) code = text.substr(0, at + 1);
      ++at;
    }
  }
  return literals;
}

// Where a word that a plugin uses means something else. No word: all that the file or folder says.
struct Allowed {
  std::string path;
  std::set<std::string> words;
};
const std::vector<Allowed> kAllowed{
    // The one place that names components.
    {"framework/choices/plain_components.h", {}},
    // What options are declared of that several plugins share, and what their own checks say.
    {"framework/sdk/", {}},
    {"framework/policies/", {}},
    // Keys of a checkpoint's config.json, which options take their values from; a tensor of a checkpoint.
    {"framework/model/config/", {}},
    {"framework/model/architectures/", {}},
    {"framework/assembly/model_defaults.cpp", {}},
    {"framework/assembly/layer_run.cpp", {"kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim"}},
    {"framework/conformance/subject.cpp", {"kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim"}},
    {"framework/ops/softmax_block.cpp", {"sinks"}},
    {"framework/cli/merge.cpp", {"merge"}},  // the command
    {"framework/registry/guarded_attention.cpp", {"kv_heads"}},
    // Functions of the SDK, by the names that errors give them.
    {"framework/registry/guarded_storage.cpp", {"residual"}},
    // Keys and tensors of GGUF files.
    {"framework/model/checkpoints/gguf_names.cpp", {"bias"}},
    {"framework/model/tokenizers/gguf_tokenizer.cpp", {"pre"}},
    {"framework/rows/checked_rows.cpp", {"truncate"}},
    {"framework/steps/checking_steps.cpp", {"gate", "merge"}},
    {"framework/steps/recording_steps.cpp", {"gate", "merge"}},
    // Keys that the host itself has in experiments and results.
    {"framework/", {"seed", "none", "page", "weights", "format"}},
    // Types of numbers, of which storages have the names.
    {"framework/base/element.h", {"f32", "bf16", "int8", "int4"}},
    {"framework/config/ranges.cpp", {"factor"}},
    {"framework/training/", {"linear", "decay"}},  // of learning rates
    {"framework/study/spec_schema.cpp", {"factor"}},
    {"framework/study/planned_study.cpp", {"kv_heads"}},
    {"framework/machine/environment.cpp", {"kernel", "bf16"}},
    {"framework/workloads/generate.cpp", {"top_k"}},
    {"framework/tasks/mix.cpp", {"mix", "share"}},
    {"framework/cli/describe_keys.cpp", {"share"}},
    {"framework/workloads/measure_", {"share"}},
    {"framework/report/", {"share"}},
    {"framework/runner/run_training.cpp", {"bits"}},
    {"framework/bench/study.cpp", {"share"}},
    {"framework/report/summary/axes.cpp", {"kv_heads"}},
    {"framework/report/summary/summary_csv.cpp", {"window"}},
    // Results say which options there are, not what they are: of two that vary alike, this one names the curve.
    {"framework/report/summary/arm_series.cpp", {"budget"}},
};

// Names of plugins that texts may hold, since there they are words of English, of the field or of a file format.
const std::vector<Allowed> kAllowedInTexts{
    {"framework/", {"none", "window", "random", "merge"}},           // no one; of text or keys; weights; of pieces
    {"framework/", {"sink"}},                                        // the logit, and the row that takes the rest
    {"framework/sdk/", {"learned"}},                                 // a logit that training finds
    {"framework/training/", {"linear"}},                             // a schedule
    {"framework/model/config/gguf_config.cpp", {"rope", "linear"}},  // keys of GGUF files, and a scaling
    {"framework/tasks/markov.cpp", {"learned"}},                     // from a sequence
    {"framework/assembly/compression.cpp", {"full"}},                // a cache that keeps every row
    {"framework/conformance/laws.cpp", {"full"}},                    // the same
    {"framework/", {"f32", "bf16", "int8", "int4"}},                 // types of numbers
};

// The words of a text: letters, digits and underscores.
std::vector<std::string> words_of(const std::string& text) {
  static const std::regex word("[A-Za-z0-9_]+");
  return {std::sregex_token_iterator(text.begin(), text.end(), word), std::sregex_token_iterator()};
}

// Names in `key: value`, as YAML has it.
std::vector<std::string> keys_of(const std::string& text) {
  static const std::regex key("([A-Za-z0-9_.]+): ");
  return {std::sregex_token_iterator(text.begin(), text.end(), key, 1), std::sregex_token_iterator()};
}

// Which of the words that a file says are not allowed there; what was used is marked.
class Permits {
 public:
  explicit Permits(const std::vector<Allowed>& all) : all_(all), used_(all.size()) {}
  bool has(const SourceFile& file, const std::string& word) {
    bool allowed = false;
    for (std::size_t i = 0; i < all_.size(); ++i)
      if (file.path.starts_with(all_[i].path) && (all_[i].words.empty() || all_[i].words.contains(word)))
        allowed = used_[i] = true;
    return allowed;
  }
  void expect_all_used() const {
    for (std::size_t i = 0; i < all_.size(); ++i)
      EXPECT_TRUE(used_[i]) << all_[i].path << " is allowed words that it does not say";
  }

 private:
  const std::vector<Allowed>& all_;
  std::vector<bool> used_;
};

TEST(Walls, TheHostNamesNoPluginAndSpellsNoOption) {
  std::set<std::string> words, ids;
  for (const Descriptor& component : reference::plugins().components()) {
    ids.insert(component.id);
    words.insert(component.id);
    for (const OptionSpec& option : component.options) words.insert(option.name);
  }
  ASSERT_TRUE(words.contains("h2o") && words.contains("protect.first")) << "the plugins of this build are not there";
  const char* remedy = "\": ask the component (row_limit, visible_window, the types of its options) or the registry";
  Permits alone(kAllowed), in_texts(kAllowedInTexts);
  for (const SourceFile& file : sources_below({"framework"}))
    for (const std::string& literal : literals_of(file.text)) {
      if (words.contains(literal)) {
        EXPECT_TRUE(alone.has(file, literal)) << file.path << " says \"" << literal << remedy;
        continue;
      }
      for (const std::string& word : words_of(literal))
        EXPECT_TRUE(!ids.contains(word) || in_texts.has(file, word))
            << file.path << " names " << word << " in \"" << literal << remedy;
      for (const std::string& key : keys_of(literal))
        EXPECT_TRUE(!words.contains(key) || alone.has(file, key))
            << file.path << " spells " << key << " in \"" << literal << remedy;
    }
  alone.expect_all_used();
  in_texts.expect_all_used();
}

TEST(Walls, NamesAreFoundWithinTexts) {
  EXPECT_EQ(words_of("use `mha`, or {gqa: {kv_heads: 2}}"),
            (std::vector<std::string>{"use", "mha", "or", "gqa", "kv_heads", "2"}));
  EXPECT_EQ(keys_of("use {gqa: {kv_heads: 2}}; a::b"), (std::vector<std::string>{"gqa", "kv_heads"}));
}

TEST(Walls, LiteralsAreWhatCodeSaysAndNotWhatCommentsSay) {
  EXPECT_EQ(
      literals_of("f(1'000, \"a\\\"b\"); // \"no\"\n/* \"no\" */ char c = '\"'; field(\"declared\", 1); g(\"c\")"),
      (std::vector<std::string>{"a\\\"b", "c"}));
}

}  // namespace
}  // namespace attnlab
