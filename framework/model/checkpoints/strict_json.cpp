#include "model/checkpoints/strict_json.h"

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <system_error>
#include <unordered_set>
#include <vector>

#include <attnlab/error.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/utf8.h"

namespace attnlab::model {
namespace {

constexpr int kMaxDepth = 64;           // config.json of the largest models nests 6 deep
constexpr std::size_t kMaxShown = 100;  // bytes of a name or value in a message
constexpr std::size_t kRoomToPad = 64;  // what a reader of blocks may add to a text without copying it

// Cuts between characters, so that a message stays UTF-8.
std::string cut(std::string_view text, std::size_t limit) {
  if (text.size() <= limit) return std::string(text);
  return std::string(whole_characters(text, limit)) + "...";
}

// `offset` counts the bytes before the place that is meant.
std::string place(std::string_view text, std::size_t offset, const std::string& where) {
  const std::string_view before = text.substr(0, std::min(offset, text.size()));
  const auto line = std::count(before.begin(), before.end(), '\n') + 1;
  const std::size_t line_start = before.find_last_of('\n') + 1;  // npos + 1 is 0
  return fmt::format("{}:{}:{}", where, line, before.size() - line_start + 1);
}

}  // namespace

std::string in_quotes(std::string_view name) {
  return fmt::format("\"{}\"", cut(name, kMaxShown));
}

std::string shown(const nlohmann::json& value) {
  if (value.is_object()) return "an object";
  if (value.is_array()) return "a list";
  if (value.is_string()) return in_quotes(value.get_ref<const std::string&>());
  return value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string syntax_message(std::string_view what) {
  // "[json.exception.parse_error.101] parse error at line 1, column 2: syntax error while ..."
  if (const auto bracket = what.find("] "); bracket != std::string_view::npos) what.remove_prefix(bracket + 2);
  if (const auto colon = what.find(": "); what.starts_with("parse error") && colon != std::string_view::npos) {
    what.remove_prefix(colon + 2);
  }
  return cut(what, 2 * kMaxShown);
}

nlohmann::json parse_strict_json(std::string_view text, const std::string& where) {
  using Event = nlohmann::json::parse_event_t;
  // nlohmann's parser takes a NUL for the end of the text and would leave the rest unread.
  if (const auto nul = text.find('\0'); nul != std::string_view::npos) {
    throw Error(place(text, nul, where), "not JSON: a NUL byte");
  }
  std::vector<std::unordered_set<std::string>> open_objects;
  const auto check = [&](int depth, Event event, nlohmann::json& parsed) {
    if (depth >= kMaxDepth) throw Error(where, fmt::format("JSON that nests deeper than {} levels", kMaxDepth));
    if (event == Event::object_start) open_objects.emplace_back();
    if (event == Event::object_end) open_objects.pop_back();
    if (event == Event::key) {
      const std::string& key = parsed.get_ref<const std::string&>();
      if (!open_objects.back().insert(key).second) {
        throw Error(where, fmt::format("the key {} occurs twice", in_quotes(key)), "keep one of the two");
      }
    }
    return true;
  };
  try {
    return nlohmann::json::parse(text, check);
  } catch (const nlohmann::json::parse_error& error) {
    throw Error(place(text, error.byte == 0 ? 0 : error.byte - 1, where), "not JSON: " + syntax_message(error.what()));
  } catch (const nlohmann::json::exception& error) {  // a number beyond the range of double
    throw Error(where, "not JSON: " + syntax_message(error.what()));
  }
}

std::string read_whole_file(const std::filesystem::path& path, std::size_t max_bytes) {
  std::error_code failed;
  const auto status = std::filesystem::status(path, failed);
  if (!std::filesystem::exists(status)) throw Error(path.string(), "no such file");
  if (!std::filesystem::is_regular_file(status)) throw Error(path.string(), "is no regular file");
  const std::uintmax_t size = std::filesystem::file_size(path, failed);
  if (failed) throw Error(path.string(), "cannot be read: " + failed.message());
  if (size > max_bytes) {
    throw Error(path.string(), fmt::format("{} bytes, more than any real file of this kind has ({})", size, max_bytes));
  }
  std::string text;
  text.reserve(size + kRoomToPad);
  text.resize(size);
  std::ifstream file(path, std::ios::binary);
  if (!file.read(text.data(), static_cast<std::streamsize>(size))) throw Error(path.string(), "cannot be read");
  return text;
}

nlohmann::json read_strict_json(const std::filesystem::path& path, std::size_t max_bytes) {
  return parse_strict_json(read_whole_file(path, max_bytes), path.string());
}

}  // namespace attnlab::model
