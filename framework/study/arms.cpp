#include "study/arms.h"

#include <fnmatch.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <attnlab/error.h>

#include "config/map_reader.h"
#include "config/ranges.h"
#include "config/scalars.h"
#include "study/spec_keys.h"
#include "study/sweeps.h"

namespace attnlab::experiment {
namespace {

using config::MapReader;
using config::Node;
using config::ProblemList;

constexpr std::size_t kMaxArms = config::kMaxCombinations;
constexpr std::array kKinds = {Kind::attention, Kind::position, Kind::cache};

template <class Whole>  // an Arm or an ArmPattern
auto& part_of(Whole& whole, Kind kind) {
  return kind == Kind::attention ? whole.attention : kind == Kind::position ? whole.position : whole.cache;
}

// Keys of a model that an arm has otherwise; null where there are none, or a problem was added.
Node read_model_change(const Node& node, ProblemList& problems) {
  if (node.is_map() || node.is_null()) return node.entries().empty() ? Node() : node;
  problems.add(node.mark(), fmt::format("model: expected keys of the model, got {}", config::describe(node)),
               "write {hidden_size: 64}");
  return {};
}

class ArmReader {
 public:
  ArmReader(const ComponentLookup& lookup, const ArmDefaults& defaults, ProblemList& problems)
      : lookup_(lookup), defaults_(defaults), problems_(problems) {}

  void read_list(const Node& node, std::vector<Arm>& arms) {
    if (!node.is_sequence()) {
      problems_.add(node.mark(), fmt::format("list: expected a list of arms, got {}", config::describe(node)));
      return;
    }
    for (const Node& item : node.items()) {
      if (!item.is_map()) {
        problems_.add(item.mark(), fmt::format("an arm: expected a map, got {}", config::describe(item)),
                      "write {attention: NAME, cache: NAME}");
        continue;
      }
      if (const Sweep sweep = expand_pattern(item, lookup_, problems_); sweep.first) {
        problems_.add(*sweep.first, "a range or a list makes several arms, and this is one arm", "write it in a grid");
        continue;
      }
      MapReader reader(item, "an arm", arm_keys(), problems_);
      Arm arm;
      arm.where = item.mark();
      arm.name = read_name(reader, item);
      arm.tags = reader.texts("tags").value_or(arm.tags);
      arm.threads = reader.count("threads").value_or(arm.threads);
      if (const auto weights = reader.choice("weights")) arm.weights = element_type(*weights);
      if (const auto compute = reader.choice("compute")) arm.compute = arithmetic_of(*compute);
      if (const Node* model = reader.find("model")) arm.model = read_model_change(*model, problems_);
      if (const Node* train = reader.find("train")) arm.train = read_train(*train);
      bool complete = true;
      for (const Kind kind : kKinds) {
        const Node* part = reader.find(kind_name(kind));
        auto choice =
            part != nullptr ? read_layered(kind, *part, lookup_, problems_) : own(kind, item.mark(), arm.model);
        complete = complete && choice.has_value();
        if (choice) part_of(arm, kind) = *std::move(choice);
      }
      reader.finish();
      if (complete) arms.push_back(std::move(arm));
    }
  }

  void read_grid(const Node& node, std::vector<Arm>& arms) {
    const std::size_t before = problems_.size();
    MapReader reader(node, "the grid", grid_keys(), problems_);
    const auto tags = reader.texts("tags");
    reader.finish();
    if (node.entries().empty() && problems_.size() == before)
      problems_.add(node.mark(), "the grid is empty", "name model, attention, position, cache, weights or compute");
    Arm first;
    first.where = node.mark();
    first.from_grid = true;
    first.tags = tags.value_or(first.tags);
    std::vector<Arm> cells = {first};
    for (const Kind kind : kKinds) {
      if (node.find(kind_name(kind)) != nullptr) continue;
      auto choice = own(kind, node.mark(), {});
      if (!choice) return;
      part_of(cells.front(), kind) = *std::move(choice);
    }
    for (const Node::Entry& axis : node.entries()) {
      if (axis.key == "model") {
        cells = with_models(axis.value, cells);
        continue;
      }
      if (axis.key == "weights" || axis.key == "compute") {
        cells = with_names(axis.key, axis.value, cells);
        continue;
      }
      const auto kind = std::ranges::find(kKinds, axis.key, kind_name);
      if (kind == kKinds.end()) continue;
      const std::vector<AxisChoice> choices = read_axis(*kind, axis.value);
      if (cells.size() * choices.size() > kMaxArms) {
        problems_.add(axis.key_mark, fmt::format("the grid has more than {} arms", kMaxArms));
        return;
      }
      std::vector<Arm> product;
      for (const Arm& cell : cells)
        for (const AxisChoice& one : choices) {
          part_of(product.emplace_back(cell), *kind) = one.choice;
          for (const std::string& tag : one.tags)
            if (std::ranges::find(product.back().tags, tag) == product.back().tags.end())
              product.back().tags.push_back(tag);
        }
      cells = std::move(product);
    }
    if (node.find(kind_name(Kind::attention)) == nullptr)
      for (Arm& cell : cells)
        if (auto choice = own(Kind::attention, node.mark(), cell.model)) cell.attention = *std::move(choice);
    std::ranges::move(cells, std::back_inserter(arms));
  }

  // Drops cells of the grid. An exclusion that finds nothing is a mistake, unless something else is wrong already.
  void exclude(const Node& node, std::vector<Arm>& arms) {
    if (!node.is_sequence()) {
      problems_.add(node.mark(), fmt::format("exclude: expected a list, got {}", config::describe(node)));
      return;
    }
    const bool complete = problems_.empty();
    const std::vector<Arm> all = arms;
    std::vector<Node> items;
    for (const Node& item : node.items())
      std::ranges::move(expand_pattern(item, lookup_, problems_).choices, std::back_inserter(items));
    for (const Node& item : items) {
      const auto pattern = read_pattern(item, "exclude", lookup_, problems_);
      if (!pattern) continue;
      const auto drops = [&](const Arm& arm) { return arm.from_grid && pattern->matches(arm); };
      if (complete && std::ranges::none_of(all, drops))
        problems_.add(item.mark(), "exclude: no arm of the grid is like this");
      std::erase_if(arms, drops);
    }
  }

 private:
  struct AxisChoice {
    LayeredChoice choice;
    std::vector<std::string> tags;
  };

  // Every cell with each of the models: a list of maps, or one.
  std::vector<Arm> with_models(const Node& node, const std::vector<Arm>& cells) {
    const std::vector<Node> single = {node};
    std::vector<Node> models;
    for (const Node& item : node.is_sequence() ? node.items() : single)
      models.push_back(read_model_change(item, problems_));
    if (models.empty()) problems_.add(node.mark(), "model: the list is empty");
    std::vector<Arm> product;
    if (cells.size() * models.size() > kMaxArms)
      problems_.add(node.mark(), fmt::format("the grid has more than {} arms", kMaxArms));
    else
      for (const Arm& cell : cells)
        for (const Node& model : models) product.emplace_back(cell).model = model;
    return product;
  }

  // Every cell with each value of a key that is a name of few: a list of them, or one.
  std::vector<Arm> with_names(const std::string& key, const Node& node, const std::vector<Arm>& cells) {
    const std::vector<Node> single = {node};
    std::vector<std::string> names;
    for (const Node& item : node.is_sequence() ? node.items() : single) {
      const Node one = Node::map(item.mark(), {{key, item.mark(), item}});
      if (const auto name = MapReader(one, "the grid", arm_keys(), problems_).choice(key)) names.push_back(*name);
    }
    if (node.is_sequence() && node.items().empty()) problems_.add(node.mark(), key + ": the list is empty");
    if (cells.size() * names.size() > kMaxArms) {
      problems_.add(node.mark(), fmt::format("the grid has more than {} arms", kMaxArms));
      return {};
    }
    std::vector<Arm> product;
    for (const Arm& cell : cells)
      for (const std::string& name : names) {
        Arm& arm = product.emplace_back(cell);
        if (key == "weights")
          arm.weights = element_type(name);
        else
          arm.compute = arithmetic_of(name);
      }
    return product;
  }

  // A map of keys, or `none`.
  Node read_train(const Node& node) {
    if (node.is_map() || node.is_null() || (node.is_scalar() && node.text() == "none")) return node;
    problems_.add(node.mark(), fmt::format("train: expected keys of train, got {}", config::describe(node)),
                  "write {steps: 500}, or none for an arm that is not trained");
    return {};
  }

  // Empty where the arm has none.
  std::string read_name(MapReader& reader, const Node& arm) {
    const auto name = reader.text("name");
    if (!name) return {};
    const bool printable = std::ranges::none_of(*name, [](unsigned char c) { return c < 0x20; });
    if (name->empty() || !printable)
      problems_.add(arm.find("name")->mark(), fmt::format("name: {} is no name of an arm", config::in_quotes(*name)));
    return *name;
  }

  // A list of choices, or one; each may have tags beside its name, and several values of its options.
  std::vector<AxisChoice> read_axis(Kind kind, const Node& node) {
    std::vector<AxisChoice> choices;
    const std::vector<Node> single = {node};
    for (const Node& item : node.is_sequence() ? node.items() : single) {
      std::vector<std::string> tags;
      Node untagged = item;
      if (const Node* written = item.find("tags")) {
        tags = config::as_texts(*written, "tags", problems_).value_or(tags);
        std::vector<Node::Entry> entries = item.entries();
        std::erase_if(entries, [](const Node::Entry& entry) { return entry.key == "tags"; });
        untagged = Node::map(item.mark(), std::move(entries));
      }
      const std::size_t before = problems_.size();
      for (const Node& one : expand_choice(kind, untagged, lookup_, problems_).choices) {
        if (auto choice = read_layered(kind, one, lookup_, problems_)) choices.push_back({*std::move(choice), tags});
        if (problems_.size() > before) break;  // the others of a sweep would say the same
      }
    }
    if (node.is_sequence() && node.items().empty())
      problems_.add(node.mark(), fmt::format("{}: the list is empty", kind_name(kind)));
    return choices;
  }

  // What the model itself has, read once for all arms that leave it as it is.
  std::optional<LayeredChoice> own(Kind kind, const config::Mark& mark, const Node& model) {
    if (kind == Kind::attention && !model.is_null() && defaults_.changed_attention) try {
        return read_layered(kind, Node::scalar(mark, defaults_.changed_attention(model), false), lookup_, problems_);
      } catch (const Error& error) {
        problems_.add(model.mark(), error);
        return std::nullopt;
      }
    auto& known = part_of(own_, kind);
    if (!known) known = read_layered(kind, Node::scalar(mark, part_of(defaults_, kind), false), lookup_, problems_);
    return known;
  }

  const ComponentLookup& lookup_;
  const ArmDefaults& defaults_;
  ProblemList& problems_;
  ArmPattern own_;
};

}  // namespace

const std::optional<LayeredChoice>& ArmPattern::choice(Kind kind) const noexcept {
  return part_of(*this, kind);
}

bool ArmPattern::matches(const Arm& arm) const {
  if (name && *name != arm.name) return false;
  if (model && model->is_null() && !arm.model.is_null()) return false;  // {}: a model that is left as it is
  if (model)
    for (const Node::Entry& entry : model->entries()) {
      const Node* own = arm.model.find(entry.key);
      if (own == nullptr || config::to_json(*own) != config::to_json(entry.value)) return false;
    }
  if (weights && arm.weights != weights) return false;
  if (compute && arm.compute.value_or(Arithmetic::f32) != *compute) return false;
  return std::ranges::all_of(kKinds,
                             [&](Kind kind) { return !choice(kind) || arm.choice(kind).matches(*choice(kind)); });
}

std::optional<ArmPattern> read_pattern(const Node& node, std::string_view section, const ComponentLookup& lookup,
                                       ProblemList& problems) {
  const std::size_t before = problems.size();
  if (const Sweep sweep = expand_pattern(node, lookup, problems); sweep.first) {
    problems.add(*sweep.first, fmt::format("{}: a range or a list makes several of one", section), "write one value");
    return std::nullopt;
  }
  MapReader reader(node, std::string(section), pattern_keys(), problems);
  ArmPattern pattern;
  bool any = false;
  for (const Kind kind : kKinds) {
    const Node* part = reader.find(kind_name(kind));
    if (part == nullptr) continue;
    any = true;
    part_of(pattern, kind) = read_layered(kind, *part, lookup, problems);
  }
  if (const Node* model = reader.find("model")) {
    any = true;
    pattern.model = read_model_change(*model, problems);
  }
  if (const auto weights = reader.choice("weights")) pattern.weights = element_type(*weights);
  if (const auto compute = reader.choice("compute")) pattern.compute = arithmetic_of(*compute);
  any = any || pattern.weights || pattern.compute;
  reader.finish();
  if (!any && problems.size() == before)
    problems.add(node.mark(), fmt::format("{}: names nothing", section),
                 "name model, attention, position, cache, weights or compute");
  return problems.size() == before ? std::optional(pattern) : std::nullopt;
}

std::vector<Arm> read_arms(const Node& node, const ComponentLookup& lookup, const ArmDefaults& defaults,
                           ProblemList& problems) {
  ProblemList found;
  ArmReader reader(lookup, defaults, found);
  std::vector<Arm> arms;
  if (node.is_sequence()) {
    reader.read_list(node, arms);
  } else {
    MapReader(node, "arms", arms_keys(), found).finish();
    for (const Node::Entry& entry : node.entries()) {
      if (entry.key == "grid") reader.read_grid(entry.value, arms);
      if (entry.key == "list") reader.read_list(entry.value, arms);
    }
    if (const Node* exclude = node.find("exclude")) reader.exclude(*exclude, arms);
  }
  if (found.empty()) name_arms(arms, found);
  if (found.empty() && arms.empty()) found.add(node.mark(), "no arm is left to run", "give arms a grid or a list");
  problems.add(found);
  return arms;
}

std::vector<std::size_t> select_arms(const std::vector<Arm>& arms, const std::string& glob) {
  const auto fits = [&](const std::string& text) { return fnmatch(glob.c_str(), text.c_str(), 0) == 0; };
  std::vector<std::size_t> selected;
  for (std::size_t i = 0; i < arms.size(); ++i)
    if (fits(arms[i].name) || std::ranges::any_of(arms[i].tags, fits)) selected.push_back(i);
  return selected;
}

// A part of a name is what a glob without stars was meant for, in most cases; else it is misspelled.
std::string nearest_arms(const std::vector<Arm>& arms, const std::string& glob) {
  constexpr std::size_t kShown = 5;
  std::string part = glob;
  std::erase_if(part, [](char c) { return c == '*' || c == '?'; });
  std::vector<std::string> known;
  std::vector<std::string> holding;
  for (const Arm& arm : arms) {
    std::vector<std::string> names = arm.tags;
    names.push_back(arm.name);
    if (!part.empty() && std::ranges::any_of(names, [&](const auto& name) { return name.find(part) != name.npos; }))
      holding.push_back(arm.name);
    std::ranges::move(names, std::back_inserter(known));
  }
  if (holding.empty()) return config::name_remedy(part, known, "arms and tags");
  const bool all = holding.size() <= kShown;
  holding.resize(std::min(holding.size(), kShown));
  return fmt::format("'*{}*' is in {}{}", part, fmt::join(holding, ", "), all ? "" : ", ...");
}

}  // namespace attnlab::experiment
