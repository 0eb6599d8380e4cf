// What holds of README.md and docs/: the guide stays short, links and paths lead somewhere, and what the code grows (a
// key of an experiment, a room) has its place in the text. Commands are tried in tests/e2e/documents_test.cpp.
#include "reference/documents.h"

#include <cctype>
#include <set>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "reference/plugins.h"

namespace attnlab {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostReadmeLines = 110;
constexpr std::ptrdiff_t kWidth = 120;

const fs::path kRoot = ATTNLAB_SOURCE_DIR;

// As a page names its headings: lower case, blanks as dashes, no punctuation.
std::set<std::string> anchors(const std::string& text) {
  std::set<std::string> found;
  for (const std::string& line : document_lines(text)) {
    if (!line.starts_with("#")) continue;
    std::string anchor;
    for (const char c : line.substr(std::min(line.find_first_not_of("# "), line.size()))) {
      if (c == ' ') anchor += '-';
      if (std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_')
        anchor += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    }
    found.insert(anchor);
  }
  return found;
}

bool has_word(const std::string& text, const std::string& word) {
  return std::regex_search(text, std::regex("\\b" + word + "\\b"));
}

// From the heading to the next one.
std::string section(const std::string& text, const std::string& heading) {
  std::string found;
  bool is_inside = false;
  for (const std::string& line : document_lines(text)) {
    if (line.starts_with("#")) is_inside = line == heading;
    if (is_inside) found += line + "\n";
  }
  return found;
}

TEST(Documents, ReadmeIsAGuideOfTwoScreens) {
  const std::size_t lines = document_lines(document_text(kRoot / "README.md")).size();
  EXPECT_GT(lines, 0U);
  EXPECT_LE(lines, kMostReadmeLines) << "the reference belongs into docs/";
}

TEST(Documents, HaveLinesThatFitOnAScreen) {
  for (const fs::path& file : documents()) {
    int number = 0;
    for (const std::string& line : document_lines(document_text(file))) {
      ++number;
      const auto width = std::ranges::count_if(line, [](char c) { return (c & 0xC0) != 0x80; });
      const bool is_row = line.starts_with("|") && file.parent_path().filename() == "experiments";  // of results
      EXPECT_TRUE(width <= kWidth || is_row) << file << ":" << number;
    }
  }
}

TEST(Documents, LinkToFilesAndSectionsThatAreThere) {
  static const std::regex link(R"(\]\(([^)#\s]*)(#([^)\s]*))?\))");
  int links = 0;
  for (const fs::path& file : documents()) {
    const std::string text = document_text(file);
    for (auto found = std::sregex_iterator(text.begin(), text.end(), link); found != std::sregex_iterator(); ++found) {
      const std::string path = (*found)[1], anchor = (*found)[3];
      if (path.find("://") != std::string::npos) continue;
      ++links;
      const fs::path target = path.empty() ? file : file.parent_path() / path;
      EXPECT_TRUE(fs::is_regular_file(target)) << file << " links to " << path;
      const bool is_anchor = anchor.empty() || anchors(document_text(target)).contains(anchor);
      EXPECT_TRUE(is_anchor) << file << " links to " << path << '#' << anchor;
    }
  }
  EXPECT_GT(links, 20) << "the pattern no longer finds links";
}

TEST(Documents, NameFilesThatAreThere) {
  static const std::regex file_name(
      R"((^|[^\w/.])((experiments|configs|plugins|tests|framework|docs)/[\w./-]*\.(yaml|txt|json|h|cpp|md))\b)");
  static const std::regex folder_name(R"((^|[^\w/.])((framework|tests)/\w+))");
  int files = 0;
  for (const fs::path& document : documents()) {
    const std::string text = document_text(document);
    const std::sregex_iterator end;
    for (auto found = std::sregex_iterator(text.begin(), text.end(), file_name); found != end; ++found) {
      const fs::path named = std::string((*found)[2]);
      if (named.stem() == "mine") continue;  // what the reader is told to make
      ++files;
      EXPECT_TRUE(fs::is_regular_file(kRoot / named)) << document << " names " << named;
    }
    for (auto found = std::sregex_iterator(text.begin(), text.end(), folder_name); found != end; ++found)
      EXPECT_TRUE(fs::is_directory(kRoot / std::string((*found)[2]))) << document << " names " << (*found)[2];
  }
  EXPECT_GT(files, 20) << "the pattern no longer finds files";
}

TEST(Documents, NameEveryRoomOfTheHouse) {
  const std::string text = document_text(kRoot / "docs" / "development.md");
  for (const auto& entry : fs::directory_iterator(kRoot / "framework")) {
    const bool is_named = has_word(text, "framework/" + entry.path().filename().string());
    EXPECT_TRUE(is_named || !entry.is_directory()) << entry.path();
  }
}

TEST(Documents, DescribeEveryKeyOfAnExperiment) {
  const auto schema = nlohmann::json::parse(document_text(kRoot / "configs" / "experiment.schema.json"));
  const std::string text = document_text(kRoot / "docs" / "experiments.md");
  const std::string keys = section(text, "## Keys");
  for (const auto& [key, _] : schema.at("properties").items())
    EXPECT_NE(keys.find("| `" + key + "` |"), std::string::npos) << key;
  const auto& workloads = schema.at("definitions").at("workloads").at("items").at("properties");
  EXPECT_GE(workloads.size(), 4U);
  for (const auto& [workload, value] : workloads.items()) {
    const std::string described = section(text, "### " + workload);
    EXPECT_FALSE(described.empty()) << workload;
    for (const auto& [key, _] : value.at("properties").items())
      EXPECT_TRUE(has_word(described, key)) << workload << ": " << key;
  }
}

// The virtual functions that a header declares in the public part of a class.
std::set<std::string> functions_of(const std::string& header, const std::string& name) {
  const std::string text = document_text(kRoot / "framework/sdk/include/attnlab" / header);
  const std::size_t begin = text.find("class ATTNLAB_API " + name + " ");
  std::string body = text.substr(std::min(begin, text.size()));
  body = body.substr(0, body.find("\n};"));
  body = body.substr(0, body.find("\n protected:"));
  static const std::regex function(R"(virtual [^;{(]*?(\w+)\()");
  std::set<std::string> found;
  for (std::sregex_iterator one(body.begin(), body.end(), function), end; one != end; ++one)
    if ((*one)[1] != name) found.insert((*one)[1]);
  return found;
}

TEST(Documents, DescribeEveryFunctionThatAnAuthorWritesOrCalls) {
  struct Page {
    std::string name, header, of;
  };
  const std::vector<Page> pages{
      {"steps", "steps.h", "Steps"},
      {"steps", "scores.h", "MaskRule"},
      {"attention", "attention_variant.h", "AttentionVariant"},
      {"position", "position_scheme.h", "PositionScheme"},
      {"cache", "eviction.h", "EvictionRule"},
      {"cache", "cache_policy.h", "KvRows"},
      {"cache", "cache_policy.h", "LayerCache"},
      {"cache", "core.h", "KvSource"},
      {"cache", "core.h", "TileSelector"},
      {"storage", "storage.h", "Storage"},
      {"storage", "storage.h", "RowCodec"},
      {"storage", "storage.h", "GroupCodec"},
  };
  for (const Page& page : pages) {
    const std::string text = document_text(kRoot / "docs" / (page.name + ".md"));
    const std::set<std::string> functions = functions_of(page.header, page.of);
    EXPECT_FALSE(functions.empty()) << page.of;
    for (const std::string& function : functions)
      EXPECT_TRUE(has_word(text, function)) << page.name << ".md says nothing of " << page.of << "::" << function;
  }
}

TEST(Documents, NameEveryComponent) {
  const std::string text = document_text(kRoot / "docs/components.md");
  for (const Descriptor& component : reference::plugins().components())
    EXPECT_NE(text.find('`' + component.id + '`'), std::string::npos) << component.id;
}

}  // namespace
}  // namespace attnlab
