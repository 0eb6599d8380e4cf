#include "report/read/csv.h"

#include <fmt/format.h>

namespace attnlab::report {
namespace {

std::string csv_field(const std::string& text) {
  const bool has_blank_end = !text.empty() && (text.front() == ' ' || text.back() == ' ');
  if (!has_blank_end && text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char letter : text) {
    if (letter == '"') quoted += '"';
    quoted += letter;
  }
  return quoted + '"';
}

}  // namespace

std::string csv_line(const std::vector<std::string>& fields) {
  std::string line;
  for (std::size_t i = 0; i < fields.size(); ++i) {
    if (i > 0) line += ',';
    line += csv_field(fields[i]);
  }
  return line + '\n';
}

std::string csv_number(double value) {
  return fmt::format("{}", value);
}

}  // namespace attnlab::report
