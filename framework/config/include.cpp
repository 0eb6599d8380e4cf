#include "config/include.h"

#include <algorithm>
#include <system_error>
#include <utility>
#include <vector>

#include <attnlab/error.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "config/path_text.h"
#include "config/problem_list.h"
#include "config/scalars.h"

namespace attnlab::config {
namespace {

namespace fs = std::filesystem;

class Loader {
 public:
  explicit Loader(FileTexts* texts) : texts_(texts) {}

  // Null where the file cannot be used; why is among the problems then.
  Node load(const fs::path& path, const Mark& where) {
    Node root;
    ++files_;
    try {
      root = parse_text(text_of(path), path.string());
    } catch (const Error& error) {
      problems_.add(where, error);
      return {};
    }
    if (!root.is_map()) {
      if (!chain_.empty())
        problems_.add(root.mark(), fmt::format("an included file: expected a map, got {}", describe(root)));
      return root;
    }
    const Node* include = root.find("include");
    if (include == nullptr) return root;
    chain_.push_back(path);
    Node under = Node::map(root.mark(), {});
    const std::vector<Node> single = {*include};
    for (const Node& item : include->is_sequence() ? include->items() : single) under = merged(under, load_item(item));
    chain_.pop_back();
    std::vector<Node::Entry> entries = root.entries();
    std::erase_if(entries, [](const Node::Entry& entry) { return entry.key == "include"; });
    Node whole = merged(under, Node::map(root.mark(), entries));
    std::vector<Node::Entry> kept = whole.entries();
    std::erase_if(kept, [&](const Node::Entry& entry) {
      const Node* included = under.find(entry.key);
      return entry.value.is_null() && included != nullptr && !included->is_null();
    });
    return Node::map(root.mark(), std::move(kept));
  }

  const ProblemList& problems() const { return problems_; }

 private:
  Node load_item(const Node& item) {
    const Node nothing = Node::map(item.mark(), {});
    const auto path = as_path(item, "include", chain_.back().parent_path(), problems_);
    if (!path) return nothing;
    const auto seen = std::ranges::find_if(chain_, [&](const fs::path& file) { return is_same(file, *path); });
    if (seen != chain_.end()) {
      std::vector<std::string> names;
      for (auto file = seen; file != chain_.end(); ++file) names.push_back(file->string());
      names.push_back(path->string());
      problems_.add(item.mark(), fmt::format("include: the files include each other: {}", fmt::join(names, " -> ")),
                    "leave one of them out");
    } else if (chain_.size() >= kMaxIncludeDepth) {
      problems_.add(item.mark(), fmt::format("include: more than {} files in a row", kMaxIncludeDepth));
    } else if (files_ > kMaxIncludedFiles) {
      // Said once: what is left out after this is no mistake of its own.
      if (!std::exchange(is_full_, true))
        problems_.add(item.mark(), fmt::format("include: more than {} files in all", kMaxIncludedFiles));
    } else {
      std::error_code failure;
      const fs::file_status status = fs::status(*path, failure);
      const bool is_kept = texts_ != nullptr && texts_->are_kept;
      if (!is_kept && (!fs::exists(status) || fs::is_directory(status))) {
        problems_.add(item.mark(),
                      fmt::format("include: {} {}", in_quotes(path->string()),
                                  fs::exists(status) ? "is a folder" : "is not there"),
                      "paths are relative to the file that names them");
        return nothing;
      }
      Node loaded = load(*path, item.mark());
      return loaded.is_map() ? loaded : nothing;
    }
    return nothing;
  }

  std::string text_of(const fs::path& path) const {
    if (texts_ == nullptr) return text_of_file(path);
    if (!texts_->are_kept) return texts_->texts[path.string()] = text_of_file(path);
    const auto kept = texts_->texts.find(path.string());
    if (kept == texts_->texts.end()) throw Error(path.string(), "its text was not kept");
    return kept->second;
  }

  static bool is_same(const fs::path& one, const fs::path& other) {
    std::error_code failure;
    return one == other || fs::equivalent(one, other, failure);
  }

  FileTexts* texts_;
  ProblemList problems_;
  std::vector<fs::path> chain_;  // the files that are being read, outermost first
  std::size_t files_ = 0;
  bool is_full_ = false;
};

}  // namespace

Node merged(const Node& under, const Node& over) {
  if (!under.is_map() || !over.is_map()) return over;
  std::vector<Node::Entry> entries = under.entries();
  for (const Node::Entry& entry : over.entries()) {
    const auto known = std::ranges::find(entries, entry.key, &Node::Entry::key);
    if (known == entries.end())
      entries.push_back(entry);
    else
      *known = {entry.key, entry.key_mark, merged(known->value, entry.value)};
  }
  return Node::map(over.mark(), std::move(entries));
}

Node parse_with_includes(const fs::path& path, FileTexts* texts) {
  Loader loader(texts);
  Node root = loader.load(path, {path.string(), 0, 0});
  loader.problems().throw_if_any();
  return root;
}

}  // namespace attnlab::config
