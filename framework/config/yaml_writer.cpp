#include "config/yaml_writer.h"

#include <algorithm>
#include <cmath>

#include <nlohmann/json.hpp>

#include <yaml-cpp/emitter.h>
#include <yaml-cpp/emittermanip.h>

#include "config/scalars.h"

namespace attnlab::config {
namespace {

using Json = nlohmann::ordered_json;

// yaml-cpp writes the text "12" without quotes, and what it takes for plain is not always so for others.
void write_text(YAML::Emitter& out, const std::string& text) {
  const auto is_plain = [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '_' || c == '/' || c == '.' || c >= 0x80;
  };
  const bool inside = std::ranges::all_of(text, [&](unsigned char c) {
    return is_plain(c) || c == '-' || c == ' ' || c == '(' || c == ')' || c == '+' || c == '=' || c == ';';
  });
  const bool plain =
      inside && !text.empty() && is_plain(text.front()) && text.back() != ' ' && plain_type(text) == ScalarType::text;
  if (!plain) out << YAML::DoubleQuoted;
  out << text;
}

void write_number(YAML::Emitter& out, const Json& value) {
  if (value.is_number_float() && !std::isfinite(value.get<double>())) {
    const double number = value.get<double>();
    out << (std::isnan(number) ? ".nan" : number > 0 ? ".inf" : "-.inf");
  } else {
    out << value.dump();
  }
}

void write(YAML::Emitter& out, const Json& value) {
  if (value.is_object()) {
    if (value.empty()) out << YAML::Flow;
    out << YAML::BeginMap;
    for (const auto& [key, member] : value.items()) {
      out << YAML::Key;
      write_text(out, key);
      out << YAML::Value;
      write(out, member);
    }
    out << YAML::EndMap;
  } else if (value.is_array()) {
    const bool one_line = std::ranges::none_of(value, [](const Json& item) { return item.is_structured(); });
    out << (one_line ? YAML::Flow : YAML::Block) << YAML::BeginSeq;
    for (const Json& item : value) write(out, item);
    out << YAML::EndSeq;
  } else if (value.is_null()) {
    out << YAML::LowerNull << YAML::Null;
  } else if (value.is_string()) {
    write_text(out, value.get_ref<const std::string&>());
  } else {
    write_number(out, value);
  }
}

}  // namespace

std::string to_yaml(const nlohmann::ordered_json& value) {
  YAML::Emitter out;
  write(out, value);
  return std::string(out.c_str(), out.size()) + "\n";
}

}  // namespace attnlab::config
