// Names of arms: `attention/position/cache`, options only where the ids alone do not tell two arms apart, and then only
// those options that differ: gqa(kv_heads=4)/rope/full.
#include <map>
#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "config/option_reader.h"
#include "config/scalars.h"
#include "study/arms.h"

namespace attnlab::experiment {
namespace {

using Options = std::map<std::string, std::string>;

// The components of an arm in one row: attention, its layers, position, its layers, cache, its layers; what it has
// otherwise of the model and of its training; how its weights are held and multiplied; its threads.
struct Piece {
  std::string before;  // what stands between it and the piece before
  std::string id;
  Options options;
  std::string after;  // the layers
};

Options all_options(const ComponentChoice& choice) {
  Options options;
  for (const auto& [name, value] : choice.options) options[name] = config::option_text(value);
  if (choice.storage) options["storage"] = choice.storage->text();
  if (choice.keys) options["keys"] = stored_keys_name(*choice.keys);
  return options;
}

// A scalar as it was written, else JSON.
std::string value_text(const config::Node& node) {
  return node.is_scalar() ? node.text() : config::to_json(node).dump();
}

std::vector<Piece> pieces_of(const Arm& arm) {
  std::vector<Piece> pieces;
  for (const LayeredChoice* choice : {&arm.attention, &arm.position, &arm.cache}) {
    pieces.push_back({pieces.empty() ? "" : "/", choice->base.id, all_options(choice->base), ""});
    for (const LayerOverride& part : choice->overrides) {
      std::string layers = part.layers.text();
      std::erase(layers, ' ');
      pieces.push_back({"+", part.choice.id, all_options(part.choice), "@" + layers});
    }
  }
  for (const auto& [before, node] : {std::pair{"/model", &arm.model}, std::pair{"/train", &arm.train}}) {
    if (node->is_null()) continue;
    Options keys;
    for (const config::Node::Entry& entry : node->entries()) keys[entry.key] = value_text(entry.value);
    pieces.push_back({before, node->text().empty() ? "" : "=" + node->text(), std::move(keys), ""});
  }
  if (arm.weights) pieces.push_back({"/", fmt::format("weights={}", element_name(*arm.weights)), {}, ""});
  if (arm.compute) pieces.push_back({"/", fmt::format("compute={}", arithmetic_name(*arm.compute)), {}, ""});
  if (arm.threads > 0) pieces.push_back({"/", fmt::format("threads={}", arm.threads), {}, ""});
  return pieces;
}

// With the options of each piece that are in `shown`.
std::string spelled(const std::vector<Piece>& pieces, const std::vector<std::set<std::string>>& shown) {
  std::string name;
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    std::vector<std::string> options;
    for (const auto& [option, value] : pieces[i].options)
      if (i < shown.size() && shown[i].contains(option)) options.push_back(fmt::format("{}={}", option, value));
    const std::string list = options.empty() ? "" : fmt::format("({})", fmt::join(options, ","));
    name += pieces[i].before + pieces[i].id + list + pieces[i].after;
  }
  return name;
}

// For each piece, the options that are not the same in all arms of a group.
std::vector<std::set<std::string>> differences(const std::vector<std::vector<Piece>>& group) {
  std::vector<std::set<std::string>> differing(group.front().size());
  for (const std::vector<Piece>& pieces : group) {
    for (std::size_t i = 0; i < pieces.size(); ++i) {
      const Options& first = group.front()[i].options;
      const Options& own = pieces[i].options;
      for (const auto& [option, value] : own)
        if (const auto other = first.find(option); other == first.end() || other->second != value)
          differing[i].insert(option);
      for (const auto& [option, value] : first)
        if (!own.contains(option)) differing[i].insert(option);
    }
  }
  return differing;
}

// Where two arms that look the same were written: the first component of the later one that is not the earlier's.
const config::Mark& place_of(const Arm& arm, const Arm& earlier) {
  for (const Kind kind : {Kind::attention, Kind::position, Kind::cache}) {
    const config::Mark& mark = arm.choice(kind).base.where;
    if (arm.from_grid && earlier.from_grid && mark != earlier.choice(kind).base.where) return mark;
  }
  return arm.where;
}

}  // namespace

void name_arms(std::vector<Arm>& arms, config::ProblemList& problems) {
  std::map<std::string, std::vector<Arm*>> groups;  // unnamed arms by what they look like without options
  std::set<const Arm*> named;
  for (Arm& arm : arms) {
    if (arm.name.empty())
      groups[spelled(pieces_of(arm), {})].push_back(&arm);
    else
      named.insert(&arm);
  }
  for (const auto& [ids, group] : groups) {
    std::vector<std::vector<Piece>> pieces;
    for (const Arm* arm : group) pieces.push_back(pieces_of(*arm));
    const auto shown = differences(pieces);
    for (std::size_t i = 0; i < group.size(); ++i) group[i]->name = spelled(pieces[i], shown);
  }

  std::map<std::string, const Arm*> owners;
  for (const Arm& arm : arms) {
    const auto [owner, is_new] = owners.emplace(arm.name, &arm);
    if (is_new) continue;
    const Arm& earlier = *owner->second;
    const bool both_named = named.contains(&arm) && named.contains(&earlier);
    problems.add(place_of(arm, earlier),
                 fmt::format("the arm \"{}\" is there twice, also at {}", arm.name, place_of(earlier, arm).text()),
                 both_named ? "give it another name" : "drop it, or give it a name");
  }
}

}  // namespace attnlab::experiment
