// report.html: the whole report as one file that is opened from disk. Everything that comes from YAML, a plugin or a
// model goes into it as escaped JSON, and onto the page as text.
#pragma once

#include <string>
#include <string_view>

#include <attnlab/api.h>
#include <nlohmann/json_fwd.hpp>

#include "report/summary/results.h"

namespace attnlab::report {

[[nodiscard]] ATTNLAB_API std::string report_html(const Results& results);

/// JSON as the text of a script element: no character in it can end the element, or a line of a script.
[[nodiscard]] ATTNLAB_API std::string script_json(const nlohmann::ordered_json& json);

/// The text with every `@file NAME@` replaced by the asset of that name, and every `@key@` by the key's value.
struct Filling {
  std::string_view key;
  std::string_view text;
};
[[nodiscard]] std::string filled_page(std::string_view page, std::initializer_list<Filling> fillings);

}  // namespace attnlab::report
