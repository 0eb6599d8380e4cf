#include "report/summary/arm_series.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <map>
#include <set>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

namespace attnlab::report {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kBetween = " · ";
// Cache first: most studies vary it. The storage is a part of its own.
enum Part : std::uint8_t { kCache, kStorage, kAttention, kPosition, kParts };

struct Option {
  std::string name, text;
  bool is_number = false;
};

// One arm, taken apart.
struct Pieces {
  std::array<std::string, kParts> ids;
  std::array<std::vector<Option>, kParts> options;

  [[nodiscard]] const Option* find(Part part, const std::string& name) const {
    const auto found = std::ranges::find(options[part], name, &Option::name);
    return found == options[part].end() ? nullptr : &*found;
  }
};

std::string text_of(const Json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

// Budgets are texts: "64", "25%", "512KiB".
bool is_quantity(const Json& value) {
  if (value.is_number()) return true;
  if (!value.is_string()) return false;
  const auto text = value.get<std::string>();
  return !text.empty() && std::isdigit(static_cast<unsigned char>(text.front())) != 0;
}

void add_options(const Json& json, const std::string& prefix, std::vector<Option>& options) {
  for (const auto& [key, value] : json.items()) {
    if (value.is_object())
      add_options(value, prefix + key + ".", options);
    else
      options.push_back({prefix + key, text_of(value), is_quantity(value)});
  }
}

// {"k": "int8", "v": "int4", "page": 16} as k:int8,v:int4,page:16.
std::string words_of(const Json& map) {
  std::string text;
  for (const auto& [key, value] : map.items())
    text += fmt::format("{}{}:{}", text.empty() ? "" : ",", key, text_of(value));
  return text;
}

// "h2o", {"h2o": {"heavy": 32, "storage": "int8"}}; with "layers" beside it the whole is one word.
void take_apart(const Json& component, Part part, Pieces& pieces) {
  if (!component.is_object() || component.size() != 1 || component.begin()->is_primitive()) {
    if (component.is_object() && component.size() == 1 && part != kStorage)
      pieces.ids[part] = component.items().begin().key();
    else
      pieces.ids[part] = part == kStorage && component.is_object() ? words_of(component) : text_of(component);
    return;
  }
  pieces.ids[part] = component.items().begin().key();
  Json options = *component.begin();
  if (part == kCache && options.is_object() && options.contains("storage")) {
    take_apart(options["storage"], kStorage, pieces);
    options.erase("storage");
  }
  if (options.is_object()) add_options(options, "", pieces.options[part]);
}

Pieces pieces_of(const ArmLayout& arm) {
  Pieces pieces;
  const std::array<std::pair<Part, const std::string*>, 3> texts = {
      {{kAttention, &arm.attention}, {kPosition, &arm.position}, {kCache, &arm.cache}}};
  constexpr std::array kKeys = {"attention", "position", "cache"};
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const auto& [part, text] = texts[i];
    if (arm.resolved.is_object() && arm.resolved.contains(kKeys[i])) {
      take_apart(arm.resolved.at(kKeys[i]), part, pieces);
      continue;
    }
    const Json json = Json::parse(*text, nullptr, false);
    take_apart(json.is_object() ? json : Json(*text), part, pieces);
  }
  if (const auto threads = arm.numbers.find("threads"); threads != arm.numbers.end())
    pieces.options[kAttention].push_back({"threads", fmt::format("{}", threads->second), true});
  for (const char* key : {"weights", "compute"})
    if (arm.resolved.is_object() && arm.resolved.contains(key))
      pieces.options[kAttention].push_back({key, arm.resolved.at(key).get<std::string>(), false});
  return pieces;
}

// A name that name_arms made begins with the ids; any other is the experiment's own.
bool is_own_name(const ArmLayout& arm, const Pieces& pieces) {
  const auto slash = arm.name.find('/');
  return slash == std::string::npos || !arm.name.starts_with(pieces.ids[kAttention]) ||
         arm.name.find('/', slash + 1) == std::string::npos;
}

std::string joined(const std::vector<std::string>& words) {
  return fmt::format("{}", fmt::join(words, kBetween));
}

// Names are shown without the map that they are written in, where that leaves no doubt.
std::string numbers_text(const std::vector<const Option*>& options, bool with_names) {
  std::vector<std::string> words;
  for (const Option* option : options)
    words.push_back(with_names ? fmt::format("{}={}", option->name, option->text) : option->text);
  return fmt::format("{}", fmt::join(words, ","));
}

using Name = std::pair<Part, std::string>;  // an option

class Study {
 public:
  explicit Study(const StudyLayout& layout) : layout_(layout) {
    for (const ArmLayout& arm : layout.arms) pieces_.push_back(pieces_of(arm));
    for (int part = 0; part < kParts; ++part) {
      std::set<std::string> ids;
      for (std::size_t i = 0; i < pieces_.size(); ++i)
        if (ran(i)) ids.insert(pieces_[i].ids[part]);
      differs_[part] = ids.size() > 1;
    }
  }

  std::vector<ArmSeries> series() {
    std::map<std::string, std::vector<std::size_t>> groups;
    std::vector<ArmSeries> all(pieces_.size());
    std::vector<std::string> keys(pieces_.size());
    for (std::size_t i = 0; i < pieces_.size(); ++i) {
      if (ran(i))
        groups[key_of(i, {})].push_back(i);
      else
        keys[i] = "\n" + layout_.arms[i].name;
    }
    for (const auto& [key, arms] : groups) split(arms, all, keys);
    name_series(all, keys);
    name_arms(all);
    set_looks(all, keys);
    return all;
  }

 private:
  // Arms that were refused are in no chart, and are not resolved: they tell nothing apart.
  [[nodiscard]] bool ran(std::size_t arm) const { return layout_.arms[arm].refused.empty(); }

  // What is no number, and the numbers that are named.
  [[nodiscard]] std::string key_of(std::size_t arm, const std::set<Name>& numbers) const {
    std::string key;
    for (int part = 0; part < kParts; ++part) {
      key += pieces_[arm].ids[part] + "\n";
      for (const Option& option : pieces_[arm].options[part])
        if (!option.is_number || numbers.contains({static_cast<Part>(part), option.name}))
          key += fmt::format("{}={}\n", option.name, option.text);
    }
    return key;
  }

  [[nodiscard]] std::string value(std::size_t arm, const Name& name) const {
    const Option* option = pieces_[arm].find(name.first, name.second);
    return option == nullptr ? "" : option->text;
  }

  [[nodiscard]] std::size_t count_of(const std::vector<std::size_t>& arms, const Name& name) const {
    std::set<std::string> values;
    for (const std::size_t arm : arms) values.insert(value(arm, name));
    return values.size();
  }

  // Options that are numbers and differ, those of the cache first.
  [[nodiscard]] std::vector<Name> varying(const std::vector<std::size_t>& arms) const {
    std::vector<Name> names;
    for (int part = 0; part < kParts; ++part)
      for (const Option& option : pieces_[arms.front()].options[part])
        if (const Name name{static_cast<Part>(part), option.name}; option.is_number && count_of(arms, name) > 1)
          names.push_back(name);
    return names;
  }

  // One curve has one thing that moves: the option with the most values, and those that follow it. Others split.
  void split(const std::vector<std::size_t>& arms, std::vector<ArmSeries>& all, std::vector<std::string>& keys) const {
    const std::vector<Name> names = varying(arms);
    std::set<Name> fixed;
    std::vector<Name> moving;
    if (!names.empty()) {
      const auto lead = std::ranges::max_element(
          names, {}, [&](const Name& name) { return std::pair(count_of(arms, name), name.second == "budget"); });
      moving.push_back(*lead);
      for (const Name& name : names) {
        if (name == *lead) continue;
        std::set<std::string> both;
        for (const std::size_t arm : arms) both.insert(value(arm, *lead) + "\n" + value(arm, name));
        if (both.size() == count_of(arms, *lead))
          moving.push_back(name);
        else
          fixed.insert(name);
      }
    }
    std::set<std::string> seen;
    for (const std::size_t arm : arms) {
      keys[arm] = key_of(arm, fixed);
      for (const Name& name : moving) {
        const Option* option = pieces_[arm].find(name.first, name.second);
        if (option == nullptr) continue;
        all[arm].varied += (all[arm].varied.empty() ? "" : ",") + option->name;
        all[arm].point += (all[arm].point.empty() ? "" : ",") + option->text;
      }
      if (seen.insert(keys[arm] + "\n" + all[arm].point).second) continue;
      keys[arm] += "\n" + layout_.arms[arm].name;  // the same once more is no other point of the curve
      all[arm].point.clear();
    }
  }

  // The ids that differ, and of the options those in which the series of the same id differ.
  void name_series(std::vector<ArmSeries>& all, const std::vector<std::string>& keys) const {
    std::map<std::string, std::vector<std::size_t>> members;
    for (std::size_t i = 0; i < keys.size(); ++i) members[keys[i]].push_back(i);
    std::map<std::string, int> uses;
    for (const auto& [key, arms] : members) {
      const std::size_t first = arms.front();
      std::string name = ran(first) ? joined(words(first, all[first].varied)) : layout_.arms[first].name;
      if (name.empty()) name = pieces_[first].ids[kCache];
      if (const int use = ++uses[name]; use > 1) name += fmt::format(" ({})", use);
      for (const std::size_t arm : arms) {
        all[arm].series = name;
        if (arms.size() == 1) all[arm].point.clear();
      }
    }
  }

  // Options that differ among the arms with the same id, without those that move; then the ids that differ.
  [[nodiscard]] std::vector<std::string> words(std::size_t arm, const std::string& without) const {
    std::vector<std::string> all;
    for (const bool numbers : {true, false})
      for (int part = 0; part < kParts; ++part) {
        std::vector<const Option*> shown;
        for (const Option& option : pieces_[arm].options[part])
          if (option.is_number == numbers && option_differs(arm, static_cast<Part>(part), option) &&
              ("," + without + ",").find("," + option.name + ",") == std::string::npos)
            shown.push_back(&option);
        std::ranges::stable_sort(shown, {}, [](const Option* option) { return option->name != "budget"; });
        if (!shown.empty()) all.push_back(numbers_text(shown, true));
      }
    for (int part = 0; part < kParts; ++part)
      if (differs_[part] && !pieces_[arm].ids[part].empty() && (part != kStorage || storage_differs(arm)))
        all.push_back(pieces_[arm].ids[part]);
    return all;
  }

  // Whether an arm that ran and is like this one in `part` has another value.
  template <class Differs>
  [[nodiscard]] bool any_like(std::size_t arm, Part part, const Differs& differs) const {
    for (std::size_t i = 0; i < pieces_.size(); ++i)
      if (ran(i) && pieces_[i].ids[part] == pieces_[arm].ids[part] && differs(pieces_[i])) return true;
    return false;
  }

  [[nodiscard]] bool option_differs(std::size_t arm, Part part, const Option& option) const {
    return any_like(arm, part, [&](const Pieces& other) {
      const Option* theirs = other.find(part, option.name);
      if (theirs == nullptr) return !other.options[part].empty();
      return theirs->text != option.text;
    });
  }

  // The storage is worth a word where the same policy has several.
  [[nodiscard]] bool storage_differs(std::size_t arm) const {
    return any_like(arm, kCache,
                    [&](const Pieces& other) { return other.ids[kStorage] != pieces_[arm].ids[kStorage]; });
  }

  void name_arms(std::vector<ArmSeries>& all) const {
    std::map<std::string, int> uses;
    for (std::size_t i = 0; i < all.size(); ++i) {
      const ArmLayout& arm = layout_.arms[i];
      all[i].arm = arm.name;
      all[i].label = is_own_name(arm, pieces_[i]) ? arm.name : joined(words(i, ""));
      if (all[i].label.empty()) all[i].label = arm.name;
      ++uses[all[i].label];
    }
    for (ArmSeries& one : all)
      if (uses[one.label] > 1) one.label = one.arm;
  }

  // Colours by the part that tells most studies' arms apart, lines by what is left.
  void set_looks(std::vector<ArmSeries>& all, const std::vector<std::string>& keys) const {
    Part by = kCache;
    for (const Part part : {kPosition, kAttention, kStorage, kCache})
      if (differs_[part]) by = part;
    std::map<std::string, int> colours;
    std::map<int, std::map<std::string, int>> lines;  // by colour
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (!ran(i)) continue;
      const std::string& id = pieces_[i].ids[by];
      all[i].colour = colours.emplace(id, static_cast<int>(colours.size())).first->second;
      auto& of_colour = lines[all[i].colour];
      all[i].line = of_colour.emplace(keys[i], static_cast<int>(of_colour.size())).first->second;
    }
  }

  const StudyLayout& layout_;
  std::vector<Pieces> pieces_;
  std::array<bool, kParts> differs_ = {};
};

}  // namespace

std::vector<ArmSeries> arm_series(const StudyLayout& layout) {
  return Study(layout).series();
}

}  // namespace attnlab::report
