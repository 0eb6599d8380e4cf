#include "bench/suite.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include <attnlab/error.h>

#include "core/storage.h"
#include "registry/composition.h"

namespace attnlab::bench {
namespace {

using experiment::ComponentChoice;
using experiment::Composition;

constexpr int kHiddenDim = 768;
constexpr int kHeadsOfGroup = 3;  // query heads of a kv head, for variants that share them
constexpr int kHeadDims[] = {64, 128};
constexpr int kContexts[] = {512, 2048, 8192, 32768};

struct NamedStorage {
  std::string name;
  StorageSpec spec;
};

std::vector<NamedStorage> storages() {
  std::vector<NamedStorage> all;
  for (const std::string& element : element_names()) all.push_back({element, {.keys = element, .values = element}});
  all.push_back({"kivi", {.keys = "kivi", .values = "kivi"}});
  all.push_back({"paged", {.page = 16}});
  return all;
}

// A cache that keeps so many rows, by the options that policies have for it.
std::string with_rows(const Descriptor& cache, int rows) {
  const auto find = [&](std::string_view name) {
    const auto found = std::ranges::find(cache.options, name, &OptionSpec::name);
    return found == cache.options.end() ? nullptr : &*found;
  };
  if (find("budget") != nullptr) return fmt::format("{{{}: {{budget: {}}}}}", cache.id, rows);
  if (find("heavy") != nullptr && find("recent") != nullptr)
    return fmt::format("{{{}: {{heavy: {}, recent: {}}}}}", cache.id, rows / 2, rows - rows / 2);
  if (find("window") == nullptr) return cache.id;
  std::int64_t first = 0;
  if (const OptionSpec* sinks = find("sinks"))
    if (const auto* count = std::get_if<std::int64_t>(&sinks->default_value)) first = *count;
  return fmt::format("{{{}: {{window: {}}}}}", cache.id, rows - first);
}

// A latent cache has widths of its own; these are the published ones, for heads of this width.
std::string spelled(const Descriptor& component, int head_dim, int rows) {
  if (component.kind == Kind::cache) return with_rows(component, rows);
  const auto has = [&](std::string_view name) {
    return std::ranges::any_of(component.options, [&](const OptionSpec& option) { return option.name == name; });
  };
  if (!has("kv_lora_rank") || !has("qk_nope_head_dim") || !has("qk_rope_head_dim") || !has("v_head_dim"))
    return component.id;
  return fmt::format("{{{}: {{kv_lora_rank: {}, qk_nope_head_dim: {}, qk_rope_head_dim: {}, v_head_dim: {}}}}}",
                     component.id, 4 * head_dim, head_dim, head_dim / 2, head_dim);
}

// The component itself, or the plain one of its kind and then the others, as partners of another kind.
std::vector<ComponentChoice> candidates(const Registry& registry, Kind kind, const std::string& id, int head_dim,
                                        int rows) {
  std::vector<std::string> ids{id};
  if (id.empty()) {
    ids = registry.ids(kind);
    const auto plain = std::ranges::find(ids, kPlain[static_cast<int>(kind)]);
    if (plain != ids.end()) std::rotate(ids.begin(), plain, plain + 1);
  }
  std::vector<ComponentChoice> all;
  for (const std::string& each : ids)
    all.push_back(
        experiment::choices(registry, kind, spelled(registry.get(kind, each, each), head_dim, rows), each).front());
  return all;
}

// The first legal combination with the component; what the plain partners have against it where there is none.
Composition combine(const Registry& registry, Kind kind, const std::string& id, int head_dim, int rows,
                    const std::optional<StorageSpec>& storage) {
  const auto of = [&](Kind each) { return candidates(registry, each, each == kind ? id : "", head_dim, rows); };
  std::optional<Composition> refused;
  for (const ComponentChoice& attention : of(Kind::attention))
    for (const ComponentChoice& position : of(Kind::position))
      for (ComponentChoice cache : of(Kind::cache)) {
        if (storage) cache.storage = storage;
        Composition parts = experiment::compose(registry, attention, position, cache);
        if (parts.conflicts.empty()) return parts;
        if (!refused) refused = std::move(parts);
      }
  if (!refused) throw Error("", "no plugin of another kind is loaded");
  return *refused;
}

// Budgets in a prefill and in decoding. What evicts at the end of the prompt alone grows from there on: it begins so
// much lower that its mean over the steps that are timed is the budget.
int budget_of(const Registry& registry, Kind kind, const std::string& id, bool decodes) {
  if (kind != Kind::cache || !decodes) return kBudgetRows;
  const Traits traits = registry.traits(registry.get(kind, id, id), {});
  return traits.provides.has(Feature::evicts_after_prompt_only) ? kBudgetRows - kGrowingSteps / 2 : kBudgetRows;
}

void add(Suite& suite, const Registry& registry, Subject subject, const std::string& id,
         const std::optional<StorageSpec>& storage = {}) {
  const Kind kind = subject == Subject::storage ? Kind::cache : static_cast<Kind>(subject);
  for (const int head_dim : kHeadDims) {
    const auto leave_out = [&](const std::string& reason) {
      suite.left_out.push_back({fmt::format("{}/{}/head_dim:{}", subject_name(subject), id, head_dim), reason});
    };
    try {
      const std::string& measured = subject == Subject::storage ? kPlain[2] : id;
      const auto parts_of = [&](bool decodes) {
        return combine(registry, kind, measured, head_dim, budget_of(registry, kind, measured, decodes), storage);
      };
      const Composition parts[] = {parts_of(false), parts_of(true)};
      if (!parts[0].conflicts.empty()) {
        leave_out(parts[0].conflicts.front());
        continue;
      }
      for (const int context : kContexts)
        for (const bool decodes : {false, true})
          suite.entries.push_back({.subject = subject,
                                   .id = id,
                                   .head_dim = head_dim,
                                   .context = context,
                                   .decodes = decodes,
                                   .parts = parts[decodes ? 1 : 0]});
    } catch (const Error& error) {  // options that a plugin's own check refuses
      leave_out(error.what());
    }
  }
}

}  // namespace

std::string_view subject_name(Subject subject) {
  constexpr std::string_view names[] = {"attention", "position", "cache", "storage"};
  return names[static_cast<int>(subject)];
}

std::string Entry::name() const {
  return fmt::format("{}/{}/head_dim:{}/context:{}/{}", subject_name(subject), id, head_dim, context,
                     decodes ? "decode" : "prefill");
}

experiment::LayerSize Entry::size() const {
  const int heads = kHiddenDim / head_dim;
  return {.hidden_dim = kHiddenDim,
          .heads = heads,
          .kv_heads = heads / kHeadsOfGroup,
          .head_dim = head_dim,
          .context = context};
}

Suite make_suite(const Registry& registry) {
  Suite suite;
  for (const Kind kind : {Kind::attention, Kind::position, Kind::cache})
    for (const std::string& id : registry.ids(kind)) add(suite, registry, static_cast<Subject>(kind), id);
  if (registry.find(Kind::cache, kPlain[2]) != nullptr)
    for (const NamedStorage& storage : storages()) add(suite, registry, Subject::storage, storage.name, storage.spec);
  return suite;
}

}  // namespace attnlab::bench
