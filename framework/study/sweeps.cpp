#include "study/sweeps.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <string>
#include <utility>

#include <attnlab/error.h>
#include <fmt/format.h>

#include "config/ranges.h"
#include "config/scalars.h"

namespace attnlab::experiment {
namespace {

using config::Mark;
using config::Node;
using config::ProblemList;
using Entries = std::vector<Node::Entry>;

constexpr const char* kZip = "zip";
constexpr const char* kZipForm = "write zip: {FIRST: [8, 16], SECOND: [24, 16]}, lists of equal length";

std::size_t nodes_in(const Node& tree) {
  std::size_t nodes = 1;
  for (const Node& item : tree.items()) nodes += nodes_in(item);
  for (const Node::Entry& entry : tree.entries()) nodes += nodes_in(entry.value);
  return nodes;
}

class Expander {
 public:
  // A long list beside a sweep is copied for every combination.
  Expander(const Node& whole, const ComponentLookup& lookup, ProblemList& problems)
      : lookup_(lookup),
        problems_(problems),
        most_(std::min(config::kMaxCombinations, 20 * config::kMaxNodes / nodes_in(whole))) {}

  // NAME, or {NAME: {OPTION: VALUE}, layers: {...}}.
  std::vector<Node> component(Kind kind, const Node& node) {
    return map_of(node, [&](const Node::Entry& entry) {
      if (entry.key == "layers")
        return map_of(entry.value, [&](const Node::Entry& layer) { return component(kind, layer.value); });
      return options(entry.value, "", options_of(kind, entry.key));
    });
  }

  std::vector<Node> pattern(const Node& node) {
    constexpr std::array kKinds = {Kind::attention, Kind::position, Kind::cache};
    return map_of(node, [&](const Node::Entry& entry) {
      const auto kind = std::ranges::find(kKinds, entry.key, kind_name);
      return kind == kKinds.end() ? std::vector{entry.value} : component(*kind, entry.value);
    });
  }

  Sweep finish(std::vector<Node> choices, std::size_t problems_before) {
    if (problems_.size() > problems_before) choices.clear();
    return {std::move(choices), std::move(first_)};
  }

 private:
  [[nodiscard]] const OptionSchema& options_of(Kind kind, const std::string& id) const {
    static const OptionSchema nothing;
    try {
      return lookup_.get(kind, id, "").options;
    } catch (const Error&) {  // said with its place when the component is read
      return nothing;
    }
  }

  // Null: there is none. An option of a storage is named storage.NAME.OPTION, or storage.k.NAME.OPTION.
  [[nodiscard]] const OptionSpec* spec_of(const std::string& name, const OptionSchema& schema) const {
    const auto find = [](const OptionSchema& in, std::string_view option) {
      const auto found = std::ranges::find(in, option, &OptionSpec::name);
      return found == in.end() ? nullptr : &*found;
    };
    std::string_view rest = name;
    if (const OptionSpec* spec = find(schema, name); spec != nullptr || !rest.starts_with("storage.")) return spec;
    rest.remove_prefix(std::string_view("storage.").size());
    if (rest.starts_with("k.") || rest.starts_with("v.")) rest.remove_prefix(2);
    const std::size_t dot = rest.find('.');
    if (dot == std::string_view::npos) return nullptr;
    return find(options_of(Kind::storage, std::string(rest.substr(0, dot))), rest.substr(dot + 1));
  }

  // One map for every combination of its entries' values, the first entry changing slowest.
  template <class Values>
  std::vector<Node> map_of(const Node& node, const Values& values_of) {
    if (!node.is_map()) return {node};
    std::vector<Entries> rows = {{}};
    for (const Node::Entry& entry : node.entries()) {
      std::vector<Entries> values;
      for (Node& value : values_of(entry)) values.push_back({{entry.key, entry.key_mark, std::move(value)}});
      rows = product(rows, values, entry.value.mark());
    }
    return maps(node.mark(), std::move(rows));
  }

  std::vector<Node> options(const Node& node, const std::string& prefix, const OptionSchema& schema) {
    if (!node.is_map()) return {node};
    if (config::is_range(node)) return range(node);
    std::vector<Entries> rows = {{}};
    for (const Node::Entry& entry : node.entries()) {
      const bool is_option = spec_of(prefix + entry.key, schema) != nullptr;
      std::vector<Entries> values;
      if (entry.key == kZip && !is_option)
        values = zipped(entry.value, prefix, schema, node);
      else
        for (Node& value : option(entry.value, prefix + entry.key, schema))
          values.push_back({{entry.key, entry.key_mark, std::move(value)}});
      rows = product(rows, values, entry.value.mark());
    }
    return maps(node.mark(), std::move(rows));
  }

  // The values of one option; a list of numbers is one value where the option is such a list.
  std::vector<Node> option(const Node& node, const std::string& name, const OptionSchema& schema) {
    const OptionSpec* spec = spec_of(name, schema);
    const bool is_list = spec != nullptr && (spec->type == OptionType::reals || spec->type == OptionType::integers);
    if (is_list && !std::ranges::any_of(node.items(), &Node::is_sequence)) return numbers(node);
    if (!node.is_sequence()) return options(node, name + ".", schema);
    begin(node);
    if (node.items().empty()) problems_.add(node.mark(), fmt::format("{}: the list is empty", name));
    std::vector<Node> values;
    for (const Node& item : node.items())
      std::ranges::move(is_list ? numbers(item) : options(item, name + ".", schema), std::back_inserter(values));
    return values;
  }

  // A list of numbers with ranges among them.
  std::vector<Node> numbers(const Node& node) {
    if (const Node* found = config::find_range(node)) begin(*found);
    return config::expand_ranges(node, problems_);
  }

  std::vector<Node> range(const Node& node) {
    begin(node);
    return config::expand_range(node, problems_);
  }

  // Row by row the values of several options.
  std::vector<Entries> zipped(const Node& node, const std::string& prefix, const OptionSchema& schema,
                              const Node& beside) {
    begin(node);
    if (!node.is_map() || node.entries().empty()) {
      problems_.add(node.mark(), fmt::format("zip: expected a map of lists, got {}", config::describe(node)), kZipForm);
      return {};
    }
    std::vector<Entries> rows;
    const Node::Entry& first = node.entries().front();
    for (const Node::Entry& entry : node.entries()) {
      if (beside.find(entry.key) != nullptr) {
        problems_.add(entry.key_mark, fmt::format("zip: {} stands beside it too", config::in_quotes(entry.key)),
                      "write it once");
        return {};
      }
      if (!entry.value.is_sequence() && !config::is_range(entry.value)) {
        problems_.add(entry.value.mark(),
                      fmt::format("zip: {}: expected a list, got {}", entry.key, config::describe(entry.value)),
                      kZipForm);
        return {};
      }
      std::vector<Node> values = option(entry.value, prefix + entry.key, schema);
      if (&entry == &first) rows.resize(values.size());
      if (values.size() != rows.size()) {
        problems_.add(
            entry.value.mark(),
            fmt::format("zip: {} has {} values, and {} has {}", entry.key, values.size(), first.key, rows.size()),
            kZipForm);
        return {};
      }
      for (std::size_t i = 0; i < rows.size(); ++i)
        rows[i].push_back({entry.key, entry.key_mark, std::move(values[i])});
    }
    return rows;
  }

  std::vector<Entries> product(const std::vector<Entries>& rows, const std::vector<Entries>& values,
                               const Mark& where) {
    if (rows.size() * values.size() > most_) {
      problems_.add(where, fmt::format("the ranges and lists multiply out to more than {} combinations", most_),
                    "a larger step or a shorter list makes fewer");
      return {};
    }
    std::vector<Entries> all;
    for (const Entries& row : rows)
      for (const Entries& value : values) {
        all.push_back(row);
        all.back().insert(all.back().end(), value.begin(), value.end());
      }
    return all;
  }

  static std::vector<Node> maps(const Mark& mark, std::vector<Entries> rows) {
    std::vector<Node> nodes;
    for (Entries& row : rows) nodes.push_back(Node::map(mark, std::move(row)));
    return nodes;
  }

  void begin(const Node& node) {
    if (!first_) first_ = node.mark();
  }

  const ComponentLookup& lookup_;
  ProblemList& problems_;
  std::size_t most_;
  std::optional<Mark> first_;
};

}  // namespace

Sweep expand_choice(Kind kind, const Node& node, const ComponentLookup& lookup, ProblemList& problems) {
  const std::size_t before = problems.size();
  Expander expander(node, lookup, problems);
  return expander.finish(expander.component(kind, node), before);
}

Sweep expand_pattern(const Node& node, const ComponentLookup& lookup, ProblemList& problems) {
  const std::size_t before = problems.size();
  Expander expander(node, lookup, problems);
  return expander.finish(expander.pattern(node), before);
}

}  // namespace attnlab::experiment
