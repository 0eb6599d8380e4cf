#include "config/problem_list.h"

#include <algorithm>
#include <tuple>
#include <unordered_set>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/utf8.h"

namespace attnlab::config {
namespace {

constexpr std::size_t kMaxShown = 100;  // bytes of a text in a message
constexpr std::size_t kMaxNames = 30;   // of a list of names in a message

}  // namespace

void ProblemList::add(const Mark& mark, std::string what, std::string remedy) {
  entries_.push_back({mark, {mark.text(), std::move(what), std::move(remedy)}});
}

void ProblemList::add(const Mark& mark, const Error& error) {
  for (const Problem& problem : error.problems()) entries_.push_back({mark, problem});
}

void ProblemList::add(const ProblemList& others) {
  entries_.insert(entries_.end(), others.entries_.begin(), others.entries_.end());
}

ProblemList ProblemList::without(const Mark& mark) const {
  ProblemList others = *this;
  std::erase_if(others.entries_, [&](const Entry& entry) { return entry.mark == mark; });
  return others;
}

std::vector<Problem> ProblemList::sorted() const {
  std::vector<std::string> files;
  const auto order = [&](const Entry& entry) {
    const auto file = std::find(files.begin(), files.end(), entry.mark.file) - files.begin();
    return std::tuple(file, entry.mark.line, entry.mark.column);
  };
  std::vector<Entry> entries = entries_;
  for (const Entry& entry : entries)
    if (std::find(files.begin(), files.end(), entry.mark.file) == files.end()) files.push_back(entry.mark.file);
  std::ranges::stable_sort(entries, {}, order);

  std::vector<Problem> problems;
  std::unordered_set<std::string> texts;
  for (Entry& entry : entries)  // a mistake in an anchored or default value is found once for each use of the value
    if (texts.insert(entry.problem.text()).second) problems.push_back(std::move(entry.problem));
  return problems;
}

void ProblemList::throw_if_any() const {
  if (!entries_.empty()) throw Error(sorted());
}

std::string name_remedy(const std::string& name, const std::vector<std::string>& known, const std::string& what) {
  const std::string nearest = name.size() > kMaxShown ? std::string() : nearest_name(name, known);
  if (!nearest.empty()) return fmt::format("did you mean \"{}\"?", nearest);
  if (known.empty()) return {};
  const bool all = known.size() <= kMaxNames;
  const auto end = all ? known.end() : known.begin() + kMaxNames;
  return fmt::format("known {}: {}{}", what, fmt::join(known.begin(), end, ", "), all ? "" : ", ...");
}

std::string key_remedy(const std::string& key, const std::vector<std::string>& known, const std::string& what) {
  if (const auto colon = key.find(':'); colon != std::string::npos && colon > 0 && colon + 1 < key.size()) {
    const std::string before = key.substr(0, colon);
    if (std::ranges::find(known, before) != known.end())
      return fmt::format("write a blank after the colon: \"{}: {}\"", before, key.substr(colon + 1));
  }
  return name_remedy(key, known, what);
}

std::string in_quotes(std::string_view text) {
  if (text.size() <= kMaxShown) return fmt::format("\"{}\"", text);
  return fmt::format("\"{}...\"", whole_characters(text, kMaxShown));  // so that a message stays UTF-8
}

}  // namespace attnlab::config
