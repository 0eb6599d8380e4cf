#include "bench/suite.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include <attnlab/error.h>

#include "assembly/budget_choice.h"
#include "registry/composition.h"

namespace attnlab::bench {
namespace {

using experiment::ComponentChoice;
using experiment::Composition;
using experiment::StorageChoice;

constexpr int kHiddenDim = 768;
constexpr int kHeadsOfGroup = 3;  // query heads of a kv head, for variants that share them
constexpr int kHeadDims[] = {64, 128};
constexpr int kContexts[] = {512, 2048, 8192, 32768};
constexpr int kPrompts[] = {1024, 2048, 8192};  // that the core is given whole

struct NamedStorage {
  std::string name;
  StorageChoice choice;
};

// Every storage with the defaults of its options, and rows in pages.
std::vector<NamedStorage> named_storages(const Registry& registry) {
  std::vector<NamedStorage> all;
  for (const StorageChoice& storage : experiment::storages(registry)) all.push_back({storage.keys.id, storage});
  all.push_back({"paged", {.page = 16}});
  return all;
}

// With a cache policy that keeps so many rows.
ComponentChoice sized(const Registry& registry, const ComponentChoice& choice, int rows) {
  if (choice.kind != Kind::cache) return choice;
  const auto made = experiment::with_rows(registry, choice, rows);
  return made ? made->cache : choice;
}

// The component itself, or the plain one of its kind and then the others, as partners of another kind.
std::vector<ComponentChoice> candidates(const Registry& registry, Kind kind, const std::string& id, int rows) {
  std::vector<std::string> ids{id};
  if (id.empty()) {
    ids = registry.ids(kind);
    const auto plain = std::ranges::find(ids, kPlain[static_cast<int>(kind)]);
    if (plain != ids.end()) std::rotate(ids.begin(), plain, plain + 1);
  }
  std::vector<ComponentChoice> all;
  for (const std::string& each : ids)
    all.push_back(sized(registry, experiment::choices(registry, kind, each, each).front(), rows));
  return all;
}

// The first legal combination with the component; what the plain partners have against it where there is none.
Composition combine(const Registry& registry, Kind kind, const std::string& id, int rows,
                    const std::optional<StorageChoice>& storage) {
  const auto of = [&](Kind each) { return candidates(registry, each, each == kind ? id : "", rows); };
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
         const std::optional<StorageChoice>& storage = {}) {
  const Kind kind = subject == Subject::storage ? Kind::cache : static_cast<Kind>(subject);
  for (const int head_dim : kHeadDims) {
    const auto leave_out = [&](const std::string& reason) {
      suite.left_out.push_back({fmt::format("{}/{}/head_dim:{}", subject_name(subject), id, head_dim), reason});
    };
    try {
      const std::string& measured = subject == Subject::storage ? kPlain[2] : id;
      const auto parts_of = [&](bool decodes) {
        return combine(registry, kind, measured, budget_of(registry, kind, measured, decodes), storage);
      };
      const Composition parts[] = {parts_of(false), parts_of(true)};
      if (!parts[0].conflicts.empty()) {
        leave_out(parts[0].conflicts.front());
        continue;
      }
      for (const int context : kContexts)
        for (const Pass pass : {Pass::prefill, Pass::decode})
          suite.entries.push_back({.subject = subject,
                                   .id = id,
                                   .head_dim = head_dim,
                                   .context = context,
                                   .pass = pass,
                                   .parts = parts[pass == Pass::decode ? 1 : 0]});
    } catch (const Error& error) {  // options that a plugin's own check refuses
      leave_out(error.what());
    }
  }
}

void add_core(Suite& suite) {
  for (const int head_dim : kHeadDims)
    for (const int context : kPrompts)
      for (const Pass pass : {Pass::prefill, Pass::backward})
        suite.entries.push_back({.subject = Subject::core,
                                 .id = "softmax",
                                 .head_dim = head_dim,
                                 .context = context,
                                 .pass = pass,
                                 .parts = {}});
}

}  // namespace

std::string_view subject_name(Subject subject) {
  constexpr std::string_view names[] = {"attention", "position", "cache", "storage", "core"};
  return names[static_cast<int>(subject)];
}

std::string_view pass_name(Pass pass) {
  constexpr std::string_view names[] = {"prefill", "decode", "backward"};
  return names[static_cast<int>(pass)];
}

std::string Entry::name() const {
  return fmt::format("{}/{}/head_dim:{}/context:{}/{}", subject_name(subject), id, head_dim, context, pass_name(pass));
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
    for (const NamedStorage& storage : named_storages(registry))
      add(suite, registry, Subject::storage, storage.name, storage.choice);
  add_core(suite);
  return suite;
}

}  // namespace attnlab::bench
