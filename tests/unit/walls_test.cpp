// The walls of the house, as sentences about include lines: who may know whom, and which library lives in which room.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;

struct Include {
  std::string file;    // relative to the source folder
  std::string room;    // "sdk", "core", ... or "plugins"
  std::string target;  // as written between the quotes or brackets
};

std::vector<Include> includes_below(const fs::path& folder) {
  static const std::regex line_of_include(R"(^\s*#\s*include\s*["<]([^">]+)[">].*)");
  std::vector<Include> found;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    const std::string extension = entry.path().extension();
    if (extension != ".h" && extension != ".cpp") continue;
    const fs::path relative = fs::relative(entry.path(), ATTNLAB_SOURCE_DIR);
    auto part = relative.begin();
    const std::string room = *part == "plugins" ? "plugins" : (++part)->string();
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
      {R"(^hwy/.*)", {"ops", "core", "base"}},
      {R"(^CLI/.*)", {"cli"}},
      {R"(^benchmark/.*)", {"bench"}},
      {R"(^(sentencepiece.*|unicode/.*|oniguruma.*))", {"model"}},
      {R"(^cairo.*)", {"report"}},
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

TEST(Walls, RoomsKnowOnlyTheRoomsBelowThem) {
  const std::map<std::string, std::set<std::string>> knows{
      {"sdk", {}},
      {"base", {}},
      {"parallel", {}},
      {"core", {"base", "parallel"}},
      {"ops", {"base", "parallel"}},
      {"registry", {"base"}},
      {"config", {}},
      {"steps", {"core", "ops"}},
      {"model", {"base", "parallel", "core", "ops", "steps"}},
      {"report", {}},
      {"experiment", {"base", "parallel", "core", "ops", "steps", "registry", "config", "model", "report"}},
      {"bench", {"base", "parallel", "core", "steps", "registry", "model", "report", "experiment"}},
      {"cli", {"base", "parallel", "core", "ops", "steps", "registry", "config", "model", "report", "experiment", "bench"}},
  };
  for (const Include& include : all_includes()) {
    if (include.room == "plugins") continue;
    ASSERT_TRUE(knows.contains(include.room)) << include.file << " is in a room that has no rule";
    const std::string other = include.target.substr(0, include.target.find('/'));
    if (!knows.contains(other) || other == include.room || other == include.target) continue;
    EXPECT_TRUE(knows.at(include.room).contains(other)) << include.file << " includes " << include.target;
  }
}

TEST(Walls, NoSourceFileIsLongerThanSixHundredLines) {
  for (const char* folder : {"framework", "plugins", "tests"})
    for (const auto& entry : fs::recursive_directory_iterator(fs::path(ATTNLAB_SOURCE_DIR) / folder)) {
      const std::string extension = entry.path().extension();
      if (extension != ".h" && extension != ".cpp") continue;
      std::ifstream stream(entry.path());
      int lines = 0;
      for (std::string line; std::getline(stream, line);) ++lines;
      EXPECT_LE(lines, 600) << entry.path();
    }
}

}  // namespace
