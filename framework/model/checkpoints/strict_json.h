// JSON that comes with a checkpoint is foreign input, and nothing in it is guessed. Duplicate keys, nesting that no
// real file has, bytes that are no UTF-8 and files of absurd size are refused, with line and column where there is one.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include <attnlab/api.h>

namespace attnlab::model {

/// Parses one JSON value. Error (where = "WHERE:line:column") if it is no JSON, holds a key twice or nests deeper
/// than 64 levels.
[[nodiscard]] ATTNLAB_API nlohmann::json parse_strict_json(std::string_view text, const std::string& where);

/// The same for a whole file. Error (where = the path) also if the file is missing, is no file, cannot be read or is
/// larger than `max_bytes`.
[[nodiscard]] ATTNLAB_API nlohmann::json read_strict_json(const std::filesystem::path& path, std::size_t max_bytes);

/// The text of such a file. Throws as read_strict_json does, but for what the text says.
[[nodiscard]] std::string read_whole_file(const std::filesystem::path& path, std::size_t max_bytes);

/// A name from a file, in quotes and cut to a length that fits in a message.
[[nodiscard]] std::string in_quotes(std::string_view name);
/// A value from a file as a message shows it: scalars as JSON, cut to length; else "a list" or "an object".
[[nodiscard]] std::string shown(const nlohmann::json& value);
/// What a JSON parser says about an error, without its own prefix and cut to length.
[[nodiscard]] std::string syntax_message(std::string_view what);

}  // namespace attnlab::model
