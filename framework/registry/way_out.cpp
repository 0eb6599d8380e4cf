#include "registry/way_out.h"

#include <algorithm>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>

namespace attnlab {
namespace {

constexpr std::size_t kMostNames = 8;  // of a kind, before the sentence becomes a list

// How an option with one number, word or truth value is written; empty for others.
std::string written(const OptionSpec& option, const OptionValue& value) {
  const std::string text = std::visit(
      []<class Value>(const Value& held) -> std::string {
        if constexpr (std::is_arithmetic_v<Value> || std::is_same_v<Value, std::string>) return fmt::format("{}", held);
        return {};
      },
      value);
  return text.empty() ? text : fmt::format("`{}: {}`", option.name, text);
}

// Other values of an option that are worth a try: the default first, then every other word of a choice.
std::vector<OptionValue> other_values(const OptionSpec& option, const OptionValue& now) {
  std::vector<OptionValue> values{option.default_value};
  for (const std::string& choice : option.choices) values.emplace_back(choice);
  if (option.type == OptionType::boolean && std::holds_alternative<bool>(now))
    values.emplace_back(!std::get<bool>(now));
  std::erase(values, now);
  return values;
}

class Search {
 public:
  Search(std::span<const Part> parts, const Clash& clash, const Registry& registry)
      : parts_(parts.begin(), parts.end()), before_(clashes(parts)), clash_(clash), registry_(registry) {}

  std::string text() {
    std::vector<std::string> ways;
    const auto add = [&](std::string way) {
      if (!way.empty() && std::ranges::find(ways, way) == ways.end()) ways.push_back(std::move(way));
    };
    std::vector<std::size_t> sides{clash_.part};
    if (clash_.other.has_value()) sides.insert(sides.begin(), *clash_.other);
    for (const std::size_t side : sides) {
      const std::string option = option_of(side);
      add(option);
      // The one that excludes was chosen for what it does: many others would say little.
      const std::size_t most = side == clash_.part && !ways.empty() ? kMostNames : parts_.max_size();
      if (option.empty() && parts_[side].kind != Kind::attention) add(others_of(side, most));
    }
    for (std::size_t part = 0; ways.empty() && part < parts_.size(); ++part)
      if (parts_[part].kind == Kind::attention) add(others_of(part, parts_.max_size()));
    return ways.empty() ? "" : fmt::format("use {}", fmt::join(ways, ", or "));
  }

 private:
  // Whether the clash is gone with other traits of a part, which then clashes with nothing, and no part misses anything
  // that it had before.
  bool resolves(std::size_t part, Traits traits) {
    // How keys are stored is the cache's choice, whatever holds the rows.
    traits.provides =
        traits.provides | (parts_[part].traits.provides & FeatureSet{Feature::rotated_store, Feature::unrotated_store});
    std::swap(parts_[part].traits, traits);
    const std::vector<Clash> after = clashes(parts_);
    std::swap(parts_[part].traits, traits);
    return std::ranges::all_of(after, [&](const Clash& left) {
      return left != clash_ && left.part != part && left.other != part &&
             std::ranges::find(before_, left) != before_.end();
    });
  }

  // A cache that has options and declares nothing drops no row until they are given.
  [[nodiscard]] bool is_idle(const Descriptor& component) const {
    const Traits traits = registry_.traits(component, {});
    return component.kind == Kind::cache && !component.options.empty() && traits.provides.empty() &&
           traits.needs.empty() && traits.excludes.empty();
  }

  // The first other value of an option with which the part goes together with the rest.
  std::string option_of(std::size_t side) {
    const Descriptor* descriptor = registry_.find(parts_[side].kind, parts_[side].id);
    if (descriptor == nullptr) return {};
    for (const OptionSpec& option : descriptor->options) {
      OptionValues values = parts_[side].options;
      const auto written_value = values.find(option.name);
      const OptionValue now = written_value == values.end() ? option.default_value : written_value->second;
      for (OptionValue& value : other_values(option, now)) {
        const std::string text = written(option, value);
        values[option.name] = std::move(value);
        Problems problems;
        registry_.check(*descriptor, values, problems);
        if (!text.empty() && problems.entries().empty() && resolves(side, registry_.traits(*descriptor, values)))
          return text;
      }
    }
    return {};
  }

  // The other components of the part's kind, with the defaults of their options, that go together with the rest; none
  // where there are more than `most`.
  std::string others_of(std::size_t part, std::size_t most) {
    if (registry_.find(parts_[part].kind, parts_[part].id) == nullptr) return {};
    std::vector<std::string> names;
    for (const Descriptor& other : registry_.components())
      if (other.kind == parts_[part].kind && other.id != parts_[part].id && !is_idle(other) &&
          resolves(part, registry_.traits(other, {})))
        names.push_back(other.id);
    if (names.empty() || names.size() > most) return {};
    std::ranges::sort(names);
    const bool is_long = names.size() > kMostNames;
    if (is_long) names.resize(kMostNames);
    std::string last = is_long ? "another (`attnlab compose` shows which)" : std::move(names.back());
    if (!is_long) names.pop_back();
    return fmt::format("{} {}{}{}", kind_name(parts_[part].kind), fmt::join(names, ", "), names.empty() ? "" : " or ",
                       last);
  }

  std::vector<Part> parts_;
  std::vector<Clash> before_;
  const Clash clash_;
  const Registry& registry_;
};

}  // namespace

std::string way_out(std::span<const Part> parts, const Clash& clash, const Registry& registry) {
  return Search(parts, clash, registry).text();
}

}  // namespace attnlab
