#include "workloads/prefill.h"

#include <limits>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "config/json_schema.h"
#include "config/scalars.h"

namespace attnlab::experiment {
namespace {

constexpr int kMostPrefill = std::numeric_limits<int>::max();

}  // namespace

config::Key prefill_key(std::string_view doc) {
  return {.name = "prefill", .type = config::KeyType::form, .doc = doc, .form = "prefill", .written = "tokens or all"};
}

nlohmann::ordered_json prefill_schema() {
  const nlohmann::ordered_json tokens{{"type", "integer"}, {"minimum", 1}, {"maximum", kMostPrefill}};
  return config::any_of({tokens, {{"const", kWholePrefill}}, config::schema_reference("range")});
}

std::optional<int> read_prefill(const config::MapReader& reader, const char* length_key, std::optional<int> length,
                                config::ProblemList& problems) {
  const config::Node* node = reader.find("prefill");
  if (node == nullptr) return std::nullopt;
  if (node->is_scalar() && node->text() == kWholePrefill) return length;
  if (node->is_scalar() && config::plain_type(node->text()) == config::ScalarType::text) {
    problems.add(node->mark(), fmt::format("prefill: expected a number of tokens, got {}", config::describe(*node)),
                 fmt::format("write the tokens of the prompt, or {}", kWholePrefill));
    return std::nullopt;
  }
  const auto tokens = config::as_integer(*node, "prefill", problems, 1, kMostPrefill);
  if (!tokens) return std::nullopt;
  if (length && *tokens > *length) {
    problems.add(node->mark(), fmt::format("prefill: {} is more than the {} of {}", *tokens, length_key, *length));
    return std::nullopt;
  }
  return static_cast<int>(*tokens);
}

std::string prefill_label(int prefill, int length) {
  return prefill >= length ? fmt::format("_prefill_{}", kWholePrefill) : fmt::format("_prefill{}", prefill);
}

}  // namespace attnlab::experiment
