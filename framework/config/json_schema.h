// Declarations as JSON Schema (draft-07, which editors and Debian's validator understand): the tables of keys that
// readers take, and the options that plugins declare. Not here: how they are put together (study/spec_schema).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include <attnlab/api.h>
#include <attnlab/options.h>

#include "config/keys.h"

namespace attnlab::config {

/// Whether a number may also be written as a range, and an option as a list of its values; and where definitions of
/// forms are found.
struct SchemaStyle {
  bool takes_ranges = false;
  bool takes_lists = false;
  /// "#/definitions/NAME" of a form.
  [[nodiscard]] std::string reference(std::string_view form) const;
};

/// `{"$ref": "#/definitions/NAME"}`
[[nodiscard]] ATTNLAB_API nlohmann::ordered_json schema_reference(const std::string& definition);

/// What a value of the key may be, with its meaning.
[[nodiscard]] ATTNLAB_API nlohmann::ordered_json schema_of(const Key& key, const SchemaStyle& style = {});
/// A map of the keys and of x-..., no others.
[[nodiscard]] ATTNLAB_API nlohmann::ordered_json schema_of(const KeyTable& keys, const SchemaStyle& style = {});
/// A map of the options and no others (those of the table `common` beside them), or nothing.
[[nodiscard]] ATTNLAB_API nlohmann::ordered_json schema_of(const OptionSchema& options, const KeyTable& common,
                                                           const SchemaStyle& style = {});

/// One of the forms.
[[nodiscard]] ATTNLAB_API nlohmann::ordered_json any_of(std::vector<nlohmann::ordered_json> forms);
/// A list of the item, which is not empty.
[[nodiscard]] ATTNLAB_API nlohmann::ordered_json list_of(nlohmann::ordered_json item);
[[nodiscard]] ATTNLAB_API nlohmann::ordered_json one_or_list(const nlohmann::ordered_json& item);

}  // namespace attnlab::config
