#include "choices/component_keys.h"

#include <string>

#include <fmt/format.h>

#include "choices/plain_components.h"

namespace attnlab::experiment {
namespace {

using config::Key;
using config::KeyTable;
using config::KeyType;

Key form(std::string_view name, std::string_view definition, std::string_view doc) {
  return {.name = name, .type = KeyType::form, .doc = doc, .form = definition};
}

}  // namespace

const KeyTable& common_cache_keys() {
  static const std::string of_rows = fmt::format("How rows are held; default {}.", kPlainStorage);
  static const KeyTable keys = {
      form("storage", "storage", of_rows),
      {.name = "keys",
       .type = KeyType::choice,
       .doc = "Whether keys are stored with their rotation; auto: unrotated where the scheme depends on the length.",
       .choices = {"auto", "rotated", "unrotated"}}};
  return keys;
}

const KeyTable& storage_keys() {
  static const std::string of_keys = fmt::format("Storage of keys; default {}.", kPlainStorage);
  static const std::string of_values = fmt::format("Storage of values; default {}.", kPlainStorage);
  static const KeyTable keys = {form("k", "storage_of_side", of_keys),
                                form("v", "storage_of_side", of_values),
                                {.name = "page",
                                 .type = KeyType::integer,
                                 .doc = "Rows of a page; without it rows are not paged.",
                                 .min = 1,
                                 .max = 65'536}};
  return keys;
}

}  // namespace attnlab::experiment
