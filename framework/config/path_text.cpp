#include "config/path_text.h"

#include <cstdlib>

#include <fmt/format.h>

#include "config/scalars.h"

namespace attnlab::config {
namespace {

bool is_variable(std::string_view name) {
  constexpr std::string_view kAllowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";
  return !name.empty() && name.find_first_not_of(kAllowed) == std::string_view::npos &&
         (name[0] < '0' || name[0] > '9');
}

std::optional<std::string> with_variables(const Node& node, std::string_view name, ProblemList& problems) {
  const std::string& text = node.text();
  std::string expanded;
  std::size_t from = 0;
  while (true) {
    const std::size_t start = text.find("${", from);
    expanded += text.substr(from, start - from);
    if (start == std::string::npos) return expanded;
    const Mark place = node.mark().after(start + (node.quoted() ? 1 : 0));
    const std::size_t end = text.find('}', start);
    const std::string variable = text.substr(start + 2, end == std::string::npos ? end : end - start - 2);
    if (end == std::string::npos || !is_variable(variable)) {
      problems.add(place, fmt::format("{}: {} is no variable", name, in_quotes(text.substr(start))),
                   "write ${NAME}, with letters, digits and _");
      return std::nullopt;
    }
    const char* const value = std::getenv(variable.c_str());
    if (value == nullptr) {
      problems.add(place, fmt::format("{}: the variable {} is not set", name, variable),
                   fmt::format("set it: {}=FOLDER attnlab ...", variable));
      return std::nullopt;
    }
    expanded += value;
    from = end + 1;
  }
}

}  // namespace

std::string with_home(const std::string& text) {
  for (const std::string_view home : {"~", "$HOME", "${HOME}"}) {
    if (!text.starts_with(home) || (text.size() > home.size() && text[home.size()] != '/')) continue;
    if (const char* const value = std::getenv("HOME")) return value + text.substr(home.size());
  }
  return text;
}

std::optional<std::filesystem::path> as_path(const Node& node, std::string_view name,
                                             const std::filesystem::path& otherwise, ProblemList& problems) {
  if (!as_text(node, name, problems)) return std::nullopt;
  auto text = with_variables(node, name, problems);
  if (!text) return std::nullopt;
  text = with_home(*text);
  if (text->empty() || text->find('\0') != std::string::npos) {
    problems.add(node.mark(), fmt::format("{}: {} is no path", name, in_quotes(*text)));
    return std::nullopt;
  }
  const bool in_file = node.mark().line > 0;
  const std::filesystem::path folder = in_file ? std::filesystem::path(node.mark().file).parent_path() : otherwise;
  return (folder / *text).lexically_normal();
}

}  // namespace attnlab::config
